/** Joins TCP to IP: resolves paths, and lends room for segments in the packets of the link they lead to. */

import type { IpLayer } from '../ip/ip-layer.js';
import { Begin } from '../ip/ip-output.js';
import type { IpPath, PathRequest } from '../ip/path.js';
import type { PathWish, SegmentCarrier, SegmentPath } from '../tcp/carrier.js';
import type { SegmentOutput } from '../tcp/segment-output.js';
import { type IcmpRejection, rejectionKind } from '../wire/icmp-rejection.js';
import { ANY_V4, ANY_V6, type IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { TcpHeader } from '../wire/tcp.js';

const TCP_PROTOCOL = 6;
/** Where segments go that no path takes: they are lost, as on any network. */
const NOWHERE_BYTES = 66_000;

/** What a connection asks of the routing tables, and keeps: one shape for all, without what is not asked. */
class TcpPathRequest implements PathRequest {
  readonly protocol = TCP_PROTOCOL;
  readonly destination: IpAddress;
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly oif: number;
  readonly transparent: boolean;

  constructor(wish: PathWish) {
    const { destination } = wish;
    this.destination = destination;
    this.source = wish.source ?? (destination.family === 4 ? ANY_V4 : ANY_V6);
    this.sourcePort = wish.sourcePort;
    this.destinationPort = wish.destinationPort;
    this.oif = wish.oif ?? 0;
    this.transparent = wish.transparent === true;
  }
}

export class TcpCarrier implements SegmentCarrier, SegmentOutput {
  readonly #ip: IpLayer;
  #path: IpPath | undefined;
  #nowhere: Uint8Array | undefined;
  view: DataView = new DataView(new ArrayBuffer(0));
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  maxTransportBytes = 0;
  takesSuperPackets = false;
  goesNowhere = false;

  constructor(ip: IpLayer) {
    this.#ip = ip;
  }

  resolve(wish: PathWish): SegmentPath {
    return this.#ip.resolve(new TcpPathRequest(wish));
  }

  resolveReply(packet: IpPacket): SegmentPath {
    const path = this.#ip.resolveReply(packet, TCP_PROTOCOL);
    // Segments are atomic, also those without a connection: they need no identification (RFC 6864 §4.1).
    path.dontFragment = true;
    return path;
  }

  isLocal(address: IpAddress): boolean {
    return this.#ip.isLocal(address);
  }

  takeForeign(take: boolean): void {
    this.#ip.takeForeign(TCP_PROTOCOL, take);
  }

  refuse(packet: IpPacket, reason: IcmpRejection): void {
    this.#ip.icmpErrors.error(packet, rejectionKind(reason));
  }

  reconsider(path: SegmentPath): void {
    const doubted = path as IpPath;
    doubted.generation = -1;
    // Half a turn away lies another next hop, where the route has several (Linux `sk_rethink_txhash`).
    if (doubted.flowHash >= 0) doubted.flowHash = (doubted.flowHash + 0x4000_0000) & 0x7fff_ffff;
  }

  aim(path: SegmentPath): SegmentOutput {
    // Every path TCP holds came from `resolve` or `resolveReply`.
    const aimed = path as IpPath;
    this.#path = aimed;
    this.#ip.revalidate(aimed);
    this.takesSuperPackets = aimed.port.maxPacketBytes > aimed.port.mtu || aimed.port.isLoopback;
    const packetBytes = this.takesSuperPackets ? aimed.port.maxPacketBytes : aimed.mtu;
    this.maxTransportBytes = packetBytes - aimed.headerBytes;
    return this;
  }

  begin(transportBytes: number): boolean {
    const path = this.#path as IpPath;
    const outcome = this.#ip.begin(path, transportBytes);
    this.goesNowhere = outcome === Begin.TooBig || outcome === Begin.Unusable;
    if (outcome === Begin.Full) return false;
    if (this.goesNowhere) {
      this.#lendNowhere();
      return true;
    }
    const { out } = this.#ip;
    this.view = out.view;
    this.bytes = out.bytes;
    this.at = out.at;
    return true;
  }

  lend(memory: Uint8Array, at: number, length: number): boolean {
    return !this.goesNowhere && this.#ip.lend(this.#path as IpPath, memory, at, length);
  }

  setEcn(ecn: number): void {
    (this.#path as IpPath).ecn = ecn;
  }

  commit(transportBytes: number, segmentSize: number): void {
    if (this.goesNowhere) return;
    const path = this.#path as IpPath;
    this.#ip.commit(path, transportBytes, TcpHeader.CHECKSUM_AT, segmentSize);
  }

  #lendNowhere(): void {
    this.#nowhere ??= new Uint8Array(NOWHERE_BYTES);
    this.bytes = this.#nowhere;
    this.view = new DataView(this.#nowhere.buffer);
    this.at = 0;
  }
}
