/** Joins UDP to IP. */
import { IcmpErrorKind } from '../ip/interfaces.js';
import type { IpLayer } from '../ip/ip-layer.js';
import type { Begin, OutgoingRoom } from '../ip/ip-output.js';
import type { IpPath } from '../ip/path.js';
import type { DatagramCarrier, DatagramIcmpError, DatagramWish } from '../udp/carrier.js';
import type { IpAddress } from '../wire/ip-address.js';
import { Cast, type IpPacket } from '../wire/ip-packet.js';

const UDP_PROTOCOL = 17;

/** Every path UDP holds came from `resolve`. */
export class UdpCarrier implements DatagramCarrier {
  readonly #ip: IpLayer;
  readonly out: OutgoingRoom;

  constructor(ip: IpLayer) {
    this.#ip = ip;
    this.out = ip.out;
  }

  generation(): number {
    return this.#ip.routing.generation;
  }

  resolve(wish: DatagramWish): IpPath {
    return this.#ip.resolve(wish);
  }

  begin(path: IpPath, transportBytes: number): Begin {
    return this.#ip.begin(path, transportBytes);
  }

  // biome-ignore lint/complexity/useMaxParams: as IP has it
  commit(
    path: IpPath,
    transportBytes: number,
    checksumOffset: number,
    segmentSize?: number,
    transportHeaderBytes?: number,
  ): void {
    this.#ip.commit(path, transportBytes, checksumOffset, segmentSize, transportHeaderBytes);
  }

  portUnreachable(packet: IpPacket): void {
    this.#ip.sendIcmpError(packet, IcmpErrorKind.PortUnreachable);
  }

  tooBig(path: IpPath, error: DatagramIcmpError): void {
    this.#ip.learnPathMtu(path, error.mtu);
  }

  isLocal(address: IpAddress): boolean {
    return this.#ip.isLocal(address);
  }

  isBroadcast(address: IpAddress): boolean {
    if (address.family === 6 || address.isMulticast) return false;
    if (address.isLimitedBroadcast) return true;
    const wish = { destination: address, protocol: UDP_PROTOCOL, allowBroadcast: true };
    return this.#ip.resolve(wish).cast === Cast.Broadcast;
  }

  /** By route; where a group means another one on every link, the first link with an address of its own. */
  linkTo(group: IpAddress): number {
    const path = this.#ip.resolve({ destination: group, protocol: UDP_PROTOCOL });
    if (path.unusable === '') return path.port.index;
    const addresses = this.#ip.addresses();
    return addresses.find(({ port, family }) => port > 0 && family === group.family)?.port ?? -1;
  }

  joinGroup(link: number, group: IpAddress): void {
    this.#ip.joinGroup(link, group);
  }

  leaveGroup(link: number, group: IpAddress): void {
    this.#ip.leaveGroup(link, group);
  }

  isMember(link: number, group: IpAddress): boolean {
    return this.#ip.hasGroup(link, group);
  }
}
