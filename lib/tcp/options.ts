/**
 * Settings of TCP. Some belong to a stack, a listener or a socket alike (`TcpOptions`), some to the
 * stack as a whole (`TcpLayerOptions`). Each default stands here once, with its reason.
 */

import type { EcnSetting } from './ecn/negotiation.js';
import { checkOptionNames, checkTcpLayerOptions, checkTcpOptions } from './option-check.js';
import { TcpState } from './state.js';

/** When a connection probes its path for the segments it takes (RFC 4821). */
export type MtuProbing = 'off' | 'blackhole' | 'always';

/**
 * Settings of one connection; also those a listener gives to the ones it accepts, and defaults of a stack.
 */
export interface TcpOptions {
  /** Send small segments at once instead of waiting for acknowledgments (RFC 9293 §3.7.4). */
  readonly noDelay: boolean;
  /** Hold partial segments until uncorked, 200 ms at most. */
  readonly cork: boolean;
  /** Probe an idle peer (RFC 9293 §3.8.4). Off by default, as the RFC demands. */
  readonly keepAlive: boolean;
  /** Idle time before the first keep-alive probe, ms. */
  readonly keepAliveIdleMs: number;
  /** Time between keep-alive probes, ms. */
  readonly keepAliveIntervalMs: number;
  /** Unanswered keep-alive probes after which the connection is given up. */
  readonly keepAliveProbes: number;
  /** Give up when sent data stays unacknowledged this long, ms (RFC 5482); 0 leaves it to `retries2`. */
  readonly userTimeoutMs: number;
  /**
   * Tell the peer how long we wait for acknowledgments, and unless `userTimeoutMs` is set wait as long as it
   * tells us, within the two bounds (RFC 5482).
   */
  readonly userTimeoutOption: boolean;
  /** Least time we wait because the peer says so, ms; by default R2 of RFC 9293 §3.8.3. */
  readonly userTimeoutLowerMs: number;
  /** Longest time we wait because the peer says so, ms. */
  readonly userTimeoutUpperMs: number;
  /** Retransmissions of a SYN: 6 give up after about 127 s. */
  readonly synRetries: number;
  /** R1 of RFC 9293 §3.8.3: after this many retransmissions the route is questioned and the user told. */
  readonly retries1: number;
  /** R2: after as long as this many backed-off retransmissions take, the connection is given up. */
  readonly retries2: number;
  /** Lower bound on 4·RTTVAR, ms. RFC 6298 §2.4 asks for an RTO of 1 s; like Linux we go lower. */
  readonly rtoMinMs: number;
  /** Upper bound on the RTO, ms (RFC 6298 §2.5). */
  readonly rtoMaxMs: number;
  /** RTO before the first measurement, ms (RFC 6298 §2.1). */
  readonly initialRtoMs: number;
  /** Initial window in segments (RFC 6928 §2). */
  readonly initialWindow: number;
  /**
   * Most bytes written and not yet acknowledged; the buffer grows up to it with the window, and where round trips take
   * less than a millisecond no further than what they carry asks for. As large as the largest receive buffer, so that
   * neither end holds up the other.
   */
  readonly sendBufferBytes: number;
  /** Window offered at first, and the buffer behind it, bytes; grows up to `receiveBufferMaxBytes`. */
  readonly receiveBufferBytes: number;
  /**
   * Most bytes received and not yet read; the buffer grows up to it with what is read. The window scale offered
   * follows from it. 32 MiB, as in Linux since 6.16: 1 Gbit/s for 100 ms are 12.5 MB, and while a loss is repaired
   * a round trip more arrives than can be read.
   */
  readonly receiveBufferMaxBytes: number;
  /** Most gaps in what is received; text behind one more is dropped (CVE-2018-5390). */
  readonly maxGaps: number;
  /** Most records of what is in flight; with as many nothing new is sent, and no SACK splits one (CVE-2019-11478). */
  readonly maxSentRecords: number;
  /** Writable is told again once this many bytes or fewer wait to be sent; -1: a third of the buffer is free. */
  readonly notSentLowWaterBytes: number;
  /** Upper bound on the window offered, bytes; 0 for none. */
  readonly windowClampBytes: number;
  /** Offer window scaling (RFC 7323 §2). */
  readonly windowScaling: boolean;
  /** Offer timestamps (RFC 7323 §3). */
  readonly timestamps: boolean;
  /**
   * Drop segments that lack the negotiated timestamps (RFC 7323 §3.2). Linux accepts them, and so do
   * we unless this is set.
   */
  readonly strictTimestamps: boolean;
  /** Offer selective acknowledgment (RFC 2018). */
  readonly sack: boolean;
  /** Largest segment to announce and to send, bytes; 0: as the MTU allows. */
  readonly maxSegmentBytes: number;
  /**
   * Whether segments are made smaller where full ones vanish without a word, and the path is probed for what it
   * takes (RFC 4821, Linux `tcp_mtu_probing`). `blackhole`, when time-outs make it likely; `always`, from the start
   * and then always; `off`. Linux is off by default; paths through tunnels that drop ICMP are too common for that.
   */
  readonly mtuProbing: MtuProbing;
  /** Text of the segments that `always` begins with, and that a black hole falls back to, bytes. Over IPv6 1280-byte packets at least. */
  readonly baseMssBytes: number;
  /** Segments never become smaller than this for want of an answer, bytes (Linux `tcp_mtu_probe_floor`). */
  readonly mtuProbeFloorBytes: number;
  /** Lower bound of the delayed-ACK timer, ms. */
  readonly delayedAckMinMs: number;
  /** Upper bound of the delayed-ACK timer, ms; RFC 9293 §3.8.6.3 allows less than 500. */
  readonly delayedAckMaxMs: number;
  /** Acknowledge every segment at once. */
  readonly quickAck: boolean;
  /** FIN-WAIT-2 of a connection nobody owns any more ends after this, ms; -1: it is reset instead (Linux `TCP_LINGER2`). */
  readonly finTimeoutMs: number;
  /** Deliver the urgent byte in line with the others; otherwise it is kept apart, as in Linux. */
  readonly urgentInline: boolean;
  /** DSCP and ECN byte of what is sent; the stack owns the two ECN bits. */
  readonly trafficClass: number;
  /** TTL or hop limit; 0: the route's, else 64. */
  readonly hopLimit: number;
  /** `close()` waits this long for the peer's ACK of our FIN, ms; 0 resets at once, -1 does not linger. */
  readonly lingerMs: number;
  /**
   * Explicit congestion notification (Linux `tcp_ecn`): `off`; `accept` it where a peer asks for it; `request` it
   * for connections of our own as well. `accept-accurate` and `request-accurate` do the same with feedback of every
   * single mark (RFC 9768), and with the classic one (RFC 3168) where a peer knows only that. A SYN that asks and
   * is refused or gets no answer is followed by one that does not.
   */
  readonly ecn: EcnSetting;
  /** Congestion control to send with: `cubic` (RFC 9438) unless asked for `reno`, `bbr`, or one that was registered. */
  readonly congestionControl: string;
  /** Take less from the window for a congestion mark than for a loss (ABE, RFC 8511), which is an experiment. */
  readonly abe: boolean;
  /** Largest congestion window, bytes. */
  readonly maxCongestionWindowBytes: number;
  /** Pace also what does not ask for it, at a little more than the window in each round trip. */
  readonly pacing: boolean;
  /** Bytes per second at which segments leave at most, in whatever way they are paced; Infinity for no limit. */
  readonly maxPacingRateBps: number;
  /** Infer losses from the time of what was acknowledged (RFC 8985); else from its number (RFC 6675). */
  readonly rack: boolean;
  /** Probe for the loss of the last segments (RFC 8985 §7). */
  readonly tailLossProbe: boolean;
  /** Detect retransmission time-outs that were too early, and take back what they did (RFC 5682). */
  readonly forwardRto: boolean;
  /**
   * TCP Fast Open (RFC 7413): of a connection, text written before its SYN leaves goes with the SYN; of a listener,
   * such text is taken before the handshake is complete. A SYN may arrive twice, and then the application gets its
   * text twice, on two connections (RFC 7413 §6.1): only for requests that may be repeated.
   */
  readonly fastOpen: boolean;
  /** Most connections of a listener that Fast Open has opened and whose handshake is not complete. */
  readonly fastOpenQueue: number;
}

export const DEFAULT_TCP_OPTIONS: TcpOptions = Object.freeze({
  noDelay: false,
  cork: false,
  keepAlive: false,
  keepAliveIdleMs: 7_200_000,
  keepAliveIntervalMs: 75_000,
  keepAliveProbes: 9,
  userTimeoutMs: 0,
  userTimeoutOption: false,
  userTimeoutLowerMs: 100_000,
  userTimeoutUpperMs: 3_600_000,
  synRetries: 6,
  retries1: 3,
  retries2: 15,
  rtoMinMs: 200,
  rtoMaxMs: 120_000,
  initialRtoMs: 1_000,
  initialWindow: 10,
  sendBufferBytes: 32 << 20,
  receiveBufferBytes: 131_072,
  receiveBufferMaxBytes: 32 << 20,
  maxGaps: 1024,
  maxSentRecords: 16_384,
  notSentLowWaterBytes: -1,
  windowClampBytes: 0,
  windowScaling: true,
  timestamps: true,
  strictTimestamps: false,
  sack: true,
  maxSegmentBytes: 0,
  mtuProbing: 'blackhole',
  baseMssBytes: 1024,
  mtuProbeFloorBytes: 48,
  delayedAckMinMs: 40,
  delayedAckMaxMs: 200,
  quickAck: false,
  finTimeoutMs: 60_000,
  urgentInline: false,
  trafficClass: 0,
  hopLimit: 0,
  lingerMs: -1,
  ecn: 'accept',
  congestionControl: 'cubic',
  abe: false,
  maxCongestionWindowBytes: 2 ** 30,
  pacing: false,
  maxPacingRateBps: Number.POSITIVE_INFINITY,
  rack: true,
  tailLossProbe: true,
  forwardRto: true,
  fastOpen: false,
  fastOpenQueue: 256,
});

/** When a listener answers with SYN cookies (RFC 4987 §3.6). */
export type SynCookieMode = 'never' | 'overflow' | 'always';

/** Where a new connection may take the ports of one in TIME-WAIT that had timestamps (Linux `tcp_tw_reuse`). */
export type TimeWaitReuse = 'never' | 'loopback' | 'always';

/** Settings of TCP as a whole, of one stack. */
export interface TcpLayerOptions {
  /** Defaults of every connection; each of the settings may be left out. */
  readonly connection: TcpOptions;
  /** Retransmissions of a SYN-ACK: 5 give up after about 63 s. */
  readonly synAckRetries: number;
  /** Most half-open connections of one listener. */
  readonly maxSynBacklog: number;
  /** Most half-open connections of the stack. */
  readonly maxHalfOpen: number;
  /**
   * When SYNs are answered with cookies: never, always, or only when there are too many half-open
   * connections.
   */
  readonly synCookies: SynCookieMode;
  /** Answer with RST when the accept queue is full, instead of letting the peer try again. */
  readonly abortOnOverflow: boolean;
  /** Most connections, TIME-WAIT not counted. */
  readonly maxConnections: number;
  /** How long TIME-WAIT lasts, 2·MSL (RFC 9293 §3.4.2), ms. */
  readonly timeWaitMs: number;
  /** Most TIME-WAIT records; connections beyond it end without (`twOverflow`). */
  readonly maxTimeWait: number;
  /** RFC 1337 §3: an RST does not end TIME-WAIT. Off, as in Linux. */
  readonly rfc1337: boolean;
  /** Where `connect` may use a tuple in TIME-WAIT again, 1 s after its last timestamp (RFC 6191): as Linux, loopback. */
  readonly timeWaitReuse: TimeWaitReuse;
  /** Most connections closed by their owner and not yet finished; one more is reset. */
  readonly maxOrphans: number;
  /** Retransmissions for one of those, before it is given up. */
  readonly orphanRetries: number;
  /** Bytes of buffers of all connections from which on windows shrink and gaps are not kept. */
  readonly memoryPressureBytes: number;
  /** Bytes of buffers of all connections above which nothing is admitted. */
  readonly memoryMaxBytes: number;
  /** Range of ephemeral ports, both ends included (RFC 6056). */
  readonly ephemeralPorts: readonly [number, number];
  /** Ports of that range that are never chosen. */
  readonly reservedPorts: readonly number[];
  /** At most one challenge ACK, or reply to an unacceptable segment, per connection and this, ms. */
  readonly invalidAckIntervalMs: number;
  /** RSTs per second for segments of no connection. */
  readonly resetsPerSecond: number;
  /**
   * An established connection that nothing happens to for so long is folded into a few hundred bytes, and made
   * again from them when something does, which nobody can tell from its segments; ms. 0: whenever it has nothing to
   * do; -1: never.
   */
  readonly restAfterMs: number;
  /** How long a key makes Fast Open cookies, ms; those it made are taken as long again. */
  readonly fastOpenKeyMs: number;
  /** Most servers whose Fast Open cookies are remembered. */
  readonly fastOpenServers: number;
}

export const DEFAULT_TCP_LAYER_OPTIONS: TcpLayerOptions = Object.freeze<TcpLayerOptions>({
  connection: DEFAULT_TCP_OPTIONS,
  synAckRetries: 5,
  maxSynBacklog: 1024,
  maxHalfOpen: 16_384,
  synCookies: 'overflow',
  abortOnOverflow: false,
  maxConnections: 262_144,
  timeWaitMs: 60_000,
  maxTimeWait: 65_536,
  rfc1337: false,
  timeWaitReuse: 'loopback',
  maxOrphans: 16_384,
  orphanRetries: 8,
  memoryPressureBytes: 256 << 20,
  memoryMaxBytes: 512 << 20,
  ephemeralPorts: [32_768, 60_999],
  reservedPorts: [],
  invalidAckIntervalMs: 500,
  resetsPerSecond: 10_000,
  restAfterMs: 1000,
  fastOpenKeyMs: 7_200_000,
  fastOpenServers: 4096,
});

/**
 * `given` over `base`, frozen.
 * @throws ArgumentValueError for an unknown option, one of the wrong type, or a congestion control nobody knows;
 *   ArgumentRangeError for a number out of range
 */
export function resolveTcpOptions(given: Partial<TcpOptions> = {}, base = DEFAULT_TCP_OPTIONS): TcpOptions {
  // Connections that ask for nothing of their own share what they have.
  if (Object.keys(given).length === 0) return base;
  checkOptionNames(given, DEFAULT_TCP_OPTIONS, 'TCP');
  checkTcpOptions(given);
  return Object.freeze({ ...base, ...given });
}

/** As `resolveTcpOptions`, for the settings of the whole layer. */
export function resolveTcpLayerOptions(
  given: Partial<Omit<TcpLayerOptions, 'connection'>> & { connection?: Partial<TcpOptions> } = {},
): TcpLayerOptions {
  checkOptionNames(given, DEFAULT_TCP_LAYER_OPTIONS, 'TCP layer');
  const { connection: own, ...layer } = given;
  checkTcpLayerOptions(layer);
  const connection = resolveTcpOptions(own);
  return Object.freeze({ ...DEFAULT_TCP_LAYER_OPTIONS, ...given, connection });
}

/** Below this no segment size is accepted, whatever a peer or a router says (Linux `tcp_min_snd_mss`). */
export const MIN_SEND_MSS = 48;

/** States in which a connection counts as established (RFC 4022 tcpCurrEstab). */
export const countsAsEstablished = (state: TcpState): boolean =>
  state === TcpState.ESTABLISHED || state === TcpState.CLOSE_WAIT;
