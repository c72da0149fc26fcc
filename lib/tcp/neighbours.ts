/**
 * Other stacks that share this one's addresses, each with connections of its own: what TCP tells them, and asks
 * them for when a segment comes for somebody it does not know. Without neighbours none of this is called.
 */
import type { IpPacket } from '../wire/ip-packet.js';

/** Whether a segment without a connection here may open one, and whether somebody here would have it. */
export const StrangerKind = {
  /** Not a SYN, or not one alone: it belongs to a connection that exists, or to none. */
  Segment: 0,
  /** A SYN, and a listener for it is here. */
  SynHeard: 1,
  /** A SYN, and none is here. */
  SynUnheard: 2,
} as const;
export type StrangerKind = (typeof StrangerKind)[keyof typeof StrangerKind];

export interface TcpNeighbours {
  /**
   * A segment for ends that nobody has here; its checksum is right.
   * @returns whether it was given to a neighbour, whose business it is from now on
   */
  takeSegment(packet: IpPacket, localPort: number, remotePort: number, kind: StrangerKind): boolean;
  /** Somebody has these ends from now on: the `TUPLE_WORDS` words of a tuple, from `at`. */
  occupied(words: Int32Array, at: number): void;
  /** Nobody has them any more. */
  vacated(words: Int32Array, at: number): void;
  /** A port is listened on, or bound, from now on; the first of several claims tells. */
  portTaken(port: number): void;
  /** It is free again. */
  portFreed(port: number): void;
}
