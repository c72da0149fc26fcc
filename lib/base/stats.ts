/**
 * Counters. Everything that is dropped, refused, limited or given up is counted here, under the name
 * the TCP/IP MIBs or Linux's SNMP and Netstat tables give it where they have one (RFC 4022, 4113,
 * 4293). All are plain numbers that only grow, but for those documented as gauges.
 */

/** Why a packet was dropped. The numbers are positions in this list; append, never reorder. */
export const DropReason = {
  None: 0,
  // IP
  IpEmpty: 1,
  IpVersion: 2,
  IpHeader: 3,
  IpLength: 4,
  IpChecksum: 5,
  IpOptions: 6,
  IpSourceRoute: 7,
  IpMartianSource: 8,
  IpMartianDestination: 9,
  IpNotForUs: 10,
  IpReversePath: 11,
  IpUnknownProtocol: 12,
  IpExtensionHeader: 13,
  IpNoNextHeader: 14,
  IpTooBig: 16,
  IpDisabled: 17,
  IpNested: 18,
  // reassembly
  FragmentOverlap: 20,
  FragmentSize: 21,
  FragmentTiny: 22,
  FragmentLimit: 23,
  FragmentTimeout: 24,
  FragmentEcn: 25,
  FragmentHeaderChain: 26,
  FragmentDuplicate: 27,
  FragmentDistance: 28,
  // ICMP
  IcmpChecksum: 30,
  IcmpHeader: 31,
  IcmpIgnored: 32,
  IcmpRateLimited: 33,
  IcmpQuote: 34,
  IcmpNoSocket: 35,
  IcmpRedirect: 36,
  // UDP
  UdpHeader: 40,
  UdpChecksum: 41,
  UdpNoSocket: 42,
  UdpQueueFull: 43,
  UdpSource: 44,
  // TCP, before a connection is found
  TcpHeader: 50,
  TcpChecksum: 51,
  TcpSource: 52,
  TcpNoConnection: 53,
  TcpSynQueueFull: 54,
  TcpAcceptQueueFull: 55,
  TcpCookieFailed: 56,
  TcpSynFlags: 57,
  TcpConnectionLimit: 58,
  // TCP, on a connection
  TcpOutOfWindow: 60,
  TcpPaws: 61,
  TcpAckUnacceptable: 62,
  TcpNoAckFlag: 63,
  TcpReset: 64,
  TcpSynInWindow: 65,
  TcpAfterClose: 66,
  TcpOutOfOrderLimit: 67,
  TcpMemory: 68,
  TcpTimestampMissing: 69,
  TcpZeroWindow: 70,
  // links
  LinkQueueFull: 80,
  LinkError: 81,
  LinkTooBig: 82,
  LinkMetadata: 84,
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];

const DROP_NAMES: string[] = [];
for (const [name, number] of Object.entries(DropReason)) DROP_NAMES[number] = name;

/** `TcpChecksum` and the like; for messages and captures. */
export const dropReasonName = (reason: number): string => DROP_NAMES[reason] ?? `Reason${reason}`;

/** How many packets were dropped for each reason. */
export class DropCounts {
  readonly #counts = new Float64Array(96);
  /** The reason of the last drop; whoever hands in packets clears it to learn each packet's fate. */
  last: number = DropReason.None;

  drop(reason: DropReason): void {
    this.#counts[reason] = this.#counts[reason] + 1;
    this.last = reason;
  }

  count(reason: DropReason): number {
    return this.#counts[reason];
  }

  /** Only the reasons that occurred, by name. */
  toJSON(): Record<string, number> {
    const seen: Record<string, number> = {};
    for (let i = 1; i < this.#counts.length; i++) {
      if (this.#counts[i] > 0) seen[dropReasonName(i)] = this.#counts[i]!;
    }
    return seen;
  }
}

/** RFC 4293 ipSystemStats, one table for both versions of IP. */
export class IpStats {
  inReceives = 0;
  inHdrErrors = 0;
  inAddrErrors = 0;
  inNoRoutes = 0;
  inUnknownProtos = 0;
  inTruncatedPkts = 0;
  inDiscards = 0;
  inDelivers = 0;
  /** Packets with a good header by their ECN field (Linux `InNoECTPkts` and so on), a super-packet as one. */
  inNoEctPkts = 0;
  inEct1Pkts = 0;
  inEct0Pkts = 0;
  inCePkts = 0;
  inMcastPkts = 0;
  inBcastPkts = 0;
  outRequests = 0;
  outNoRoutes = 0;
  outDiscards = 0;
  outFragReqds = 0;
  outFragOKs = 0;
  outFragFails = 0;
  outFragCreates = 0;
  reasmReqds = 0;
  reasmOKs = 0;
  reasmFails = 0;
  reasmTimeout = 0;
  /** Gauge: bytes held by incomplete datagrams. */
  reasmBytes = 0;

  countEcn(field: number): void {
    if (field === 0) this.inNoEctPkts++;
    else if (field === 1) this.inEct1Pkts++;
    else if (field === 2) this.inEct0Pkts++;
    else this.inCePkts++;
  }
}

/** RFC 4293 icmpStats and Linux's additions. */
export class IcmpStats {
  inMsgs = 0;
  inErrors = 0;
  inCsumErrors = 0;
  inDestUnreachs = 0;
  inTimeExcds = 0;
  inParmProbs = 0;
  inPktTooBigs = 0;
  inRedirects = 0;
  inEchos = 0;
  inEchoReps = 0;
  outMsgs = 0;
  outDestUnreachs = 0;
  outTimeExcds = 0;
  outParmProbs = 0;
  outPktTooBigs = 0;
  outEchos = 0;
  outEchoReps = 0;
  outRateLimited = 0;
  /** Errors whose quotation matched no socket or failed validation. */
  inUnmatched = 0;
}

/** RFC 4113 and Linux's additions. */
export class UdpStats {
  inDatagrams = 0;
  noPorts = 0;
  inErrors = 0;
  outDatagrams = 0;
  rcvbufErrors = 0;
  sndbufErrors = 0;
  inCsumErrors = 0;
}

/** RFC 4022 and Linux's `TcpExt`. */
export class TcpStats {
  activeOpens = 0;
  passiveOpens = 0;
  attemptFails = 0;
  estabResets = 0;
  /** Gauge: connections in ESTABLISHED or CLOSE-WAIT. */
  currEstab = 0;
  inSegs = 0;
  outSegs = 0;
  retransSegs = 0;
  inErrs = 0;
  inCsumErrors = 0;
  outRsts = 0;
  /** RSTs in answer to segments of no connection that the rate limit kept back. */
  outRstsLimited = 0;
  // handshake and listeners
  listenOverflows = 0;
  listenDrops = 0;
  synCookiesSent = 0;
  synCookiesRecv = 0;
  synCookiesFailed = 0;
  synRetrans = 0;
  embryonicRsts = 0;
  // TIME-WAIT
  tw = 0;
  twRecycled = 0;
  twOverflow = 0;
  /** Gauge: TIME-WAIT records. */
  twCount = 0;
  // loss recovery
  timeouts = 0;
  fastRetrans = 0;
  slowStartRetrans = 0;
  lostRetransmit = 0;
  renoRecovery = 0;
  sackRecovery = 0;
  sackReneging = 0;
  /** Segments acknowledged as marked (Linux `TCPDeliveredCE`), and SYNs repeated without ECN after an RST. */
  deliveredCe = 0;
  ecnFallbacks = 0;
  tlpProbes = 0;
  tlpRecoveries = 0;
  spuriousRtos = 0;
  undone = 0;
  // receiving
  outOfOrderQueued = 0;
  outOfOrderDropped = 0;
  /** Ranges out of order that were given up again for want of memory. */
  outOfOrderPruned = 0;
  outOfOrderMerged = 0;
  duplicates = 0;
  dsackSent = 0;
  dsackRecv = 0;
  delayedAcks = 0;
  pureAcks = 0;
  /** Answers to our SYN that echo a timestamp no SYN of ours had. */
  pawsActive = 0;
  pawsEstab = 0;
  challengeAcks = 0;
  challengeAcksSkipped = 0;
  ackSkipped = 0;
  zeroWindowProbes = 0;
  toZeroWindowAdv = 0;
  fromZeroWindowAdv = 0;
  urgent = 0;
  // closing
  keepAliveProbes = 0;
  keepAliveTimeouts = 0;
  abortOnData = 0;
  abortOnClose = 0;
  abortOnTimeout = 0;
  /** FIN-WAIT-2 that was not waited for (`finTimeoutMs` -1). */
  abortOnLinger = 0;
  abortOnMemory = 0;
  /** RSTs of our own accord that could not be sent. */
  abortFailed = 0;
  /** Gauge: connections whose owner has closed them and whose peer has not. */
  orphans = 0;
  orphanLimit = 0;
  // memory
  memoryPressures = 0;
  /** Gauge: bytes of send and receive buffers in use. */
  memoryBytes = 0;
  /** Bad SACK blocks that were ignored. */
  sackInvalid = 0;
  malformedOptions = 0;
  /** ICMP errors that quote a number of a connection which is not in flight (Linux `OutOfWindowIcmps`). */
  outOfWindowIcmps = 0;
  // path MTU discovery by probes (RFC 4821)
  mtuProbes = 0;
  mtuProbeSuccess = 0;
  mtuProbeFail = 0;
  /** How often segments were made smaller because full ones did not arrive. */
  mtuBlackHoles = 0;
  // Fast Open (RFC 7413): SYNs whose text was taken, all of it, and not, as a client …
  fastOpenActive = 0;
  fastOpenActiveFail = 0;
  /** Paths given up for a while, on which nothing passed after a SYN with Fast Open. */
  fastOpenBlackhole = 0;
  // … and as a server: connections opened by a cookie, those of them by one of the key before, wrong cookies,
  // SYNs that asked for one, and SYNs for which no place was left.
  fastOpenPassive = 0;
  fastOpenPassiveAltKey = 0;
  fastOpenPassiveFail = 0;
  fastOpenCookieReqd = 0;
  fastOpenListenOverflow = 0;
}

/** What `stack.dns` asked, and what came of it. */
export class DnsStats {
  /** Queries sent over UDP, the repeated ones included, and over TCP. */
  queries = 0;
  queriesTcp = 0;
  /** Answers that were taken, whatever they say. */
  responses = 0;
  /** Attempts that ended without an answer, and those that reached no server. */
  timeouts = 0;
  unreachable = 0;
  /** Datagrams dropped because their ID, their question or their kind is not that of a query under way (RFC 5452 §9.1). */
  mismatched = 0;
  /** Messages dropped because they cannot be read. */
  malformed = 0;
  /** Answers cut short, and asked for again over TCP. */
  truncated = 0;
  /** Attempts that went over TCP because so many datagrams did not match. */
  floods = 0;
  /** Servers that know no EDNS (RFC 6891 §7). */
  ednsRefused = 0;
  /** Answers `SERVFAIL`, `REFUSED` and the like. */
  serverFailures = 0;
  /** Aliases that lead in a circle, or too far. */
  aliasLoops = 0;
  /** Questions joined to one that was under way (RFC 5452 §5). */
  joined = 0;
  cacheHits = 0;
  cacheMisses = 0;
  /** Answers that made room in the cache before their time. */
  cacheEvictions = 0;
  /** Questions refused because too many waited. */
  overflows = 0;
}

/** All counters of one stack. */
export class StackStats {
  readonly drops = new DropCounts();
  readonly ip = new IpStats();
  readonly icmp = new IcmpStats();
  readonly udp = new UdpStats();
  readonly tcp = new TcpStats();
  readonly dns = new DnsStats();

  drop(reason: DropReason): void {
    this.drops.drop(reason);
  }
}
