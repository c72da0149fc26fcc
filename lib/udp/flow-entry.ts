/** A flow as the layer keeps it: whose it is, what was decided, what waits to be told. */
import type { IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { UdpFlow, UdpFlowRequest } from './flow.js';
import type { AnyUdpListener } from './flow-listener.js';
import type { FlowEnds, FlowRow } from './flow-table.js';
import { PathCache } from './path-cache.js';

/** What became of a flow. */
export const FlowState = {
  /** Nobody was asked yet. */
  New: 0,
  /** Asked about, not decided on. */
  Pending: 1,
  /** Accepted. */
  Open: 2,
  /** Rejected or ignored: remembered for a while, so that the same is not asked with every datagram. */
  Refused: 3,
  /** No longer in the table. */
  Ended: 4,
} as const;
export type FlowState = (typeof FlowState)[keyof typeof FlowState];

/** Why a flow ended: nothing was sent from inside for `idleMs`; its owner, the listener, or the stack was closed. */
export type FlowEnd = 'idle' | 'closed' | 'listener' | 'stack';

/** A datagram kept until somebody reads the flow. */
export interface HeldDatagram {
  readonly data: Uint8Array;
  readonly address: string;
  readonly port: number;
}

/** An ICMP error about what was sent to the inside of a flow. */
export interface FlowError {
  /** `ECONNREFUSED` where nobody has the port any more, `EMSGSIZE` where it was too large, and the like. */
  readonly code: string;
  /** For `EMSGSIZE`: the largest IP packet that passes, bytes; 0 if not known. */
  readonly mtu: number;
  /** From which address the datagram was sent. */
  readonly address: string;
  /** From which port. */
  readonly port: number;
}

/** Paths kept for one flow: most are answered from one address or a few. */
const MAX_PATHS = 8;

export class FlowEntry implements FlowRow {
  readonly listener: AnyUdpListener;
  /** Its deadline's id. */
  readonly id: number;
  row = -1;
  readonly version: 4 | 6;
  readonly s0: number;
  readonly s1: number;
  readonly s2: number;
  readonly s3: number;
  readonly sourcePort: number;
  readonly link: number;
  /** Where the datagram went that it was asked about for; in a symmetric flow, where all go. */
  d0 = 0;
  d1 = 0;
  d2 = 0;
  d3 = 0;
  destinationPort = 0;
  /** The inside. */
  readonly source: IpAddress;
  destination: IpAddress;
  readonly mark: number;
  state: FlowState = FlowState.New;
  /** When something was last sent from inside, µs. */
  activeUs = 0;
  /** The kind of ICMP error that a refused flow is answered with; 0 for none. */
  refusal = 0;
  /** The beginning of the datagram it is asked about for; until it is decided on. */
  first: IpPacket | undefined;
  request: UdpFlowRequest | undefined = undefined;
  flow: UdpFlow | undefined = undefined;
  readonly held: HeldDatagram[] = [];
  heldBytes = 0;
  /** The last ICMP error that was not told yet. */
  error: FlowError | undefined = undefined;
  /** Whether it is on the list of those with something to tell. */
  isReady = false;
  readonly paths = new PathCache(MAX_PATHS);

  constructor(listener: AnyUdpListener, id: number, packet: IpPacket, ends: FlowEnds) {
    this.listener = listener;
    this.id = id;
    this.version = ends.version;
    this.s0 = ends.s0;
    this.s1 = ends.s1;
    this.s2 = ends.s2;
    this.s3 = ends.s3;
    this.sourcePort = ends.sourcePort;
    this.link = ends.link;
    this.mark = packet.mark;
    this.source = packet.source();
    this.destination = packet.destination();
    this.first = undefined;
    this.aimAt(packet, ends);
  }

  /** The destination it is asked about for. */
  aimAt(packet: IpPacket, ends: FlowEnds): void {
    this.d0 = ends.d0;
    this.d1 = ends.d1;
    this.d2 = ends.d2;
    this.d3 = ends.d3;
    this.destinationPort = ends.destinationPort;
    this.destination = packet.destination();
  }
}
