/** Joins UDP to IP. */
import { IcmpErrorKind } from '../ip/interfaces.js';
import type { IpLayer } from '../ip/ip-layer.js';
import type { IpPath } from '../ip/path.js';
import type {
  Begun,
  DatagramCarrier,
  DatagramIcmpError,
  DatagramPath,
  DatagramWish,
  GroupFilter,
} from '../udp/carrier.js';
import { UdpLayer, type UdpLayerParts } from '../udp/udp-layer.js';
import type { IpAddress } from '../wire/ip-address.js';
import { Cast, type IpPacket } from '../wire/ip-packet.js';

const UDP_PROTOCOL = 17;

/** The UDP of a stack, joined to its IP. */
export function createUdp(
  parts: Omit<UdpLayerParts, 'ip' | 'options'> & { ip: IpLayer; options: UdpLayerParts['options'] },
): UdpLayer {
  const { ip, options, ...rest } = parts;
  const udp = new UdpLayer({ ...rest, options, ip: new UdpCarrier(ip) });
  ip.setTransport(UDP_PROTOCOL, udp);
  return udp;
}

export class UdpCarrier implements DatagramCarrier {
  readonly #ip: IpLayer;

  constructor(ip: IpLayer) {
    this.#ip = ip;
  }

  get out(): DatagramCarrier['out'] {
    return this.#ip.out;
  }

  generation(): number {
    return this.#ip.routing.generation;
  }

  resolve(wish: DatagramWish): DatagramPath {
    return this.#ip.resolve(wish);
  }

  // Every path UDP holds came from `resolve`.

  begin(path: DatagramPath, transportBytes: number): Begun {
    return this.#ip.begin(path as IpPath, transportBytes);
  }

  commit(path: IpPath, transportBytes: number, checksumOffset: number, segmentSize: number): void {
    this.#ip.commit(path, transportBytes, checksumOffset, segmentSize);
  }

  portUnreachable(packet: IpPacket): void {
    this.#ip.icmpErrors.error(packet, IcmpErrorKind.PortUnreachable);
  }

  reject(packet: IpPacket, kind: IcmpErrorKind): void {
    this.#ip.icmpErrors.error(packet, kind);
  }

  takeForeign(take: boolean): void {
    this.#ip.takeForeign(UDP_PROTOCOL, take);
  }

  tooBig(path: DatagramPath, error: DatagramIcmpError): void {
    this.#ip.learnPathMtu(path as IpPath, error.mtu);
  }

  isLocal(address: IpAddress): boolean {
    return this.#ip.isLocal(address);
  }

  isBroadcast(address: IpAddress): boolean {
    const path = this.#ip.resolve({ destination: address, protocol: UDP_PROTOCOL, allowBroadcast: true });
    return path.cast === Cast.Broadcast;
  }

  linkTo(group: IpAddress): number {
    const path = this.#ip.resolve({ destination: group, protocol: UDP_PROTOCOL });
    if (path.unusable === '') return path.port.index;
    // Groups of one link, named without it, are those of the first that carries IPv6, as on Linux.
    return group.family === 6 ? this.#ip.firstGroupPort() : -1;
  }

  joinGroup(link: number, group: IpAddress, filter: GroupFilter): void {
    this.#ip.joinGroup(link, group, filter);
  }

  leaveGroup(link: number, group: IpAddress, filter: GroupFilter): void {
    this.#ip.leaveGroup(link, group, filter);
  }

  groupFilterChanged(link: number, group: IpAddress): void {
    this.#ip.groupFilterChanged(link, group);
  }

  isMember(link: number, group: IpAddress): boolean {
    return this.#ip.hasGroup(link, group);
  }
}
