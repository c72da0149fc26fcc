/** Counters of TCP. */

/** RFC 4022 and Linux's `TcpExt`, under their names where they have one. */
export class TcpStats {
  /** Connections begun here: a SYN is to be sent. */
  activeOpens = 0;
  /** Connections accepted by the stack for listeners, whether or not anybody took them. */
  passiveOpens = 0;
  /** Attempts that failed before ESTABLISHED: refused, reset, unreachable or timed out, from either side. */
  attemptFails = 0;
  /** Connections that an RST of the peer ended, once they were more than a SYN or a half-open record. */
  estabResets = 0;
  /** Gauge: connections in ESTABLISHED or CLOSE-WAIT. */
  currEstab = 0;
  /** Gauge: connections at rest, of which a record is kept until something happens to them (`restAfterMs`). */
  resting = 0;
  /** Segments that came in, bad ones too; a super-packet counts as one. */
  inSegs = 0;
  /** Segments sent, RSTs and those sent again included; each segment of a super-packet is one. */
  outSegs = 0;
  /** Segments sent again, SYNs included. */
  retransSegs = 0;
  /** Segments dropped for their checksum or their header. */
  inErrs = 0;
  /** Segments dropped for their checksum; in `inErrs` too. */
  inCsumErrors = 0;
  /** RSTs sent. */
  outRsts = 0;
  /** RSTs in answer to segments of no connection that the rate limit kept back (`resetsPerSecond`). */
  outRstsLimited = 0;
  // handshake and listeners
  /** SYNs and last ACKs of handshakes that found too many connections waiting to be accepted. */
  listenOverflows = 0;
  /** SYNs dropped at a limit: of the accept queue, of half-open connections, of all connections. */
  listenDrops = 0;
  /** SYNs answered with a cookie, without keeping a record (RFC 4987 §3.6). */
  synCookiesSent = 0;
  /** Connections that came of a cookie brought back. */
  synCookiesRecv = 0;
  /** ACKs that should have brought back a cookie, and did not. */
  synCookiesFailed = 0;
  /** SYNs and SYN-ACKs sent again; in `retransSegs` too. */
  synRetrans = 0;
  /** Half-open connections ended by an exact RST, or by another SYN in the window. */
  embryonicRsts = 0;
  // requests for any address (`listenAny`)
  /** Gauge: SYNs that wait to be decided. */
  anyPending = 0;
  /** SYNs that were put before a handler. */
  anyRequests = 0;
  /** The same SYNs sent again, before they were decided or while they are ignored. */
  anyRepeated = 0;
  /** Requests accepted; in `passiveOpens` too. */
  anyAccepted = 0;
  /** Requests refused, with RST or ICMP. */
  anyRejected = 0;
  /** Requests ignored. */
  anyIgnored = 0;
  /** Requests that the peer has reset before they were decided. */
  anyCancelled = 0;
  /** Requests that nobody has decided in time. */
  anyExpired = 0;
  /** SYNs dropped because too many waited to be decided; in `listenDrops` too. */
  anyOverflows = 0;
  // TIME-WAIT
  /** Connections that reached TIME-WAIT. */
  tw = 0;
  /** TIME-WAIT records that made way for a new connection of the same addresses and ports (RFC 6191). */
  twRecycled = 0;
  /** Connections that got no TIME-WAIT record, because `maxTimeWait` was reached. */
  twOverflow = 0;
  /** Gauge: TIME-WAIT records. */
  twCount = 0;
  // loss recovery
  /** Expiries of the retransmission timer (RFC 6298 §5.4), those of SYNs apart. */
  timeouts = 0;
  /** Segments sent again in fast recovery; in `retransSegs` too. */
  fastRetrans = 0;
  /** Segments sent again after a time-out; in `retransSegs` too. */
  slowStartRetrans = 0;
  /** Segments that were sent again and found lost again. */
  lostRetransmit = 0;
  /** Fast recoveries begun without SACK (RFC 6582). */
  renoRecovery = 0;
  /** Fast recoveries begun with SACK (RFC 6675, RFC 8985). */
  sackRecovery = 0;
  /** Time-outs that found the peer to have gone back on a SACK (RFC 2018 §8). */
  sackReneging = 0;
  /** Segments acknowledged as marked (Linux `TCPDeliveredCE`). */
  deliveredCe = 0;
  /** SYNs repeated without ECN after an RST (RFC 3168 §6.1.1.1). */
  ecnFallbacks = 0;
  /** Probes sent for a lost tail (RFC 8985 §7). */
  tlpProbes = 0;
  /** Losses that such a probe repaired, as the ACK showed (RFC 8985 §7.4). */
  tlpRecoveries = 0;
  /** Time-outs that F-RTO found needless (RFC 5682). */
  spuriousRtos = 0;
  /** Reductions of the congestion window taken back, because nothing had been lost (RFC 3522, RFC 4015, RFC 5682). */
  undone = 0;
  // receiving
  /** Segments kept behind a gap. */
  outOfOrderQueued = 0;
  /** Segments behind a gap that were dropped: too many gaps (`maxGaps`), or memory is scarce. */
  outOfOrderDropped = 0;
  /** Ranges out of order that were given up again for want of memory. */
  outOfOrderPruned = 0;
  /** Segments in order that made more of what waited readable. */
  outOfOrderMerged = 0;
  /** Segments, or parts of them, that had been received before. */
  duplicates = 0;
  /** Duplicates to be reported to the peer (RFC 2883). */
  dsackSent = 0;
  /** Duplicates the peer has reported. */
  dsackRecv = 0;
  /** ACKs sent because the delayed-ACK timer expired. */
  delayedAcks = 0;
  /** ACKs sent with neither text nor SYN nor FIN. */
  pureAcks = 0;
  /** Answers to our SYN that echo a timestamp no SYN of ours had. */
  pawsActive = 0;
  /** Segments whose timestamp was older than the last one (RFC 7323 §5). */
  pawsEstab = 0;
  /** ACKs owed in answer to segments that cannot be accepted (RFC 5961). */
  challengeAcks = 0;
  /** Those kept back, because another went less than `invalidAckIntervalMs` ago. */
  challengeAcksSkipped = 0;
  /** The same in TIME-WAIT. */
  ackSkipped = 0;
  /** Probes of a window that is closed (RFC 9293 §3.8.6.1). */
  zeroWindowProbes = 0;
  /** How often the window offered became 0. */
  toZeroWindowAdv = 0;
  /** How often it opened again. */
  fromZeroWindowAdv = 0;
  /** Urgent pointers that told of something new (RFC 9293 §3.8.5). */
  urgent = 0;
  // closing
  /** Keep-alive probes sent (RFC 9293 §3.8.4). */
  keepAliveProbes = 0;
  /** Connections given up because keep-alive probes were not answered. */
  keepAliveTimeouts = 0;
  /** Connections reset because text came when nobody would read it, and those not kept in FIN-WAIT-2. */
  abortOnData = 0;
  /** Connections reset at `close`, for text nobody had read (RFC 2525 §2.17) or `lingerMs` 0. */
  abortOnClose = 0;
  /** Connections given up because nothing was acknowledged for too long: `retries2`, `userTimeoutMs`, zero window. */
  abortOnTimeout = 0;
  /** FIN-WAIT-2 that was not waited for (`finTimeoutMs` -1). */
  abortOnLinger = 0;
  /** Connections without owner that were given up while the memory of the stack was scarce. */
  abortOnMemory = 0;
  /** RSTs of our own accord that could not be sent. */
  abortFailed = 0;
  /** Gauge: connections whose owner has closed them and whose peer has not. */
  orphans = 0;
  /** Connections reset at `close`, because there were `maxOrphans`. */
  orphanLimit = 0;
  // memory
  /** How often `memoryBytes` rose above `memoryPressureBytes`. */
  memoryPressures = 0;
  /** Gauge: bytes of send and receive buffers in use. */
  memoryBytes = 0;
  /** Bad SACK blocks that were ignored. */
  sackInvalid = 0;
  /** Segments with an option whose length is impossible; the options before it count. */
  malformedOptions = 0;
  /** ICMP errors that quote a number of a connection which is not in flight (Linux `OutOfWindowIcmps`). */
  outOfWindowIcmps = 0;
  // path MTU discovery by probes (RFC 4821)
  /** Segments sent to learn whether the path takes one so large. */
  mtuProbes = 0;
  /** Those of them that arrived: segments became larger. */
  mtuProbeSuccess = 0;
  /** Those of them that were lost, and nothing else with them. */
  mtuProbeFail = 0;
  /** How often segments were made smaller because full ones did not arrive. */
  mtuBlackHoles = 0;
  // Fast Open (RFC 7413), as a client …
  /** SYNs whose text was taken, all of it. */
  fastOpenActive = 0;
  /** SYNs whose text was not taken, or not all of it. */
  fastOpenActiveFail = 0;
  /** Paths given up for a while, on which nothing passed after a SYN with Fast Open. */
  fastOpenBlackhole = 0;
  // … and as a server
  /** Connections opened by a cookie. */
  fastOpenPassive = 0;
  /** Those of them whose cookie was made with the key before. */
  fastOpenPassiveAltKey = 0;
  /** Wrong cookies; the SYN was answered as any other, with a right one. */
  fastOpenPassiveFail = 0;
  /** SYNs that asked for a cookie. */
  fastOpenCookieReqd = 0;
  /** SYNs with Fast Open that were answered as any other, because `fastOpenQueue` was full. */
  fastOpenListenOverflow = 0;
}
