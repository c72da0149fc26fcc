/** Other stacks that share this one's addresses, each with sockets of its own, as UDP sees them. */
import type { IpPacket } from '../wire/ip-packet.js';

export interface UdpNeighbours {
  /**
   * A datagram to us alone, for a port without a socket here; its checksum is right.
   * @returns whether it was given to a neighbour, whose business it is from now on
   */
  takeDatagram(packet: IpPacket, localPort: number, remotePort: number): boolean;
  /** A datagram to many. @returns how many neighbours were given a copy */
  copyDatagram(packet: IpPacket, localPort: number): number;
  /** A port has a socket from now on; the first of several tells. */
  portTaken(port: number): void;
  /** It has none any more. */
  portFreed(port: number): void;
}
