/** Who is asked about SYNs to any address and port: a filter, limits, and what came of the requests so far. */
import type { PacketMatcher } from '../wire/any-filter.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { TcpOptions } from './options.js';
import type { UndecidedSyn } from './undecided.js';

/** What came of the requests of one listener. All but `pending` only grow. */
export interface AnyCounts {
  /** Requests to be decided. */
  pending: number;
  /** SYNs that were put before the handler; those sent again are not. */
  requests: number;
  /** Accepted. */
  accepted: number;
  /** Answered with RST or ICMP. */
  rejected: number;
  /** Never answered, by decision. */
  ignored: number;
  /** Reset by the peer before they were decided. */
  cancelled: number;
  /** Forgotten, because nobody decided in time. */
  expired: number;
  /** SYNs dropped because too many waited to be decided. */
  overflows: number;
}

export interface AnyListenerParameters {
  readonly matcher: PacketMatcher;
  /** Index of the only link whose packets match, on which its connections then live alone; -1 for all. */
  readonly link: number;
  /** Whether our own addresses count too, as far as nobody listens there. */
  readonly ownAddresses: boolean;
  /** Most requests that wait to be decided; and most that are ignored and remembered. */
  readonly maxPending: number;
  /** How long a request is remembered, decided or not, µs. */
  readonly pendingUs: number;
  /** Settings of the connections. */
  readonly options: TcpOptions;
  /** Called in the flush after a SYN came. */
  readonly onRequest: (record: UndecidedSyn) => void;
}

export class AnyListener {
  readonly parameters: AnyListenerParameters;
  readonly counts: AnyCounts = {
    pending: 0,
    requests: 0,
    accepted: 0,
    rejected: 0,
    ignored: 0,
    cancelled: 0,
    expired: 0,
    overflows: 0,
  };
  /** Requests that are ignored, the first first: who sends again is not asked about again. */
  readonly ignored = new Set<UndecidedSyn>();
  isClosed = false;

  constructor(parameters: AnyListenerParameters) {
    this.parameters = parameters;
  }

  /** Whether a SYN to `port` is for its handler to decide. */
  wants(packet: IpPacket, port: number): boolean {
    const { matcher, ownAddresses } = this.parameters;
    return (packet.isForeign || ownAddresses) && matcher.matches(packet, port);
  }

  get isFull(): boolean {
    return this.counts.pending >= this.parameters.maxPending;
  }
}
