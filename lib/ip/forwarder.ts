/**
 * Passing on what is for others (RFC 1812 §5.2.1): a packet that came in through one link leaves through another,
 * a hop nearer to its end, or its sender hears why not.
 *
 * Everything that can be refused is refused before anything of the packet is changed, so that errors quote it as
 * it came. Then it is changed in place and copied once, into the batch of the link it leaves by.
 */
import { copyBytes } from '../base/copy.js';
import { DropReason, type StackStats } from '../base/stats.js';
import { updateChecksum16 } from '../wire/checksum.js';
import { Icmp6Type, Icmp6Unreachable } from '../wire/icmp.js';
import type { IpAddress } from '../wire/ip-address.js';
import { Cast, ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { IPV4_DF, IPV4_HEADER_BYTES, writeIpv4Checksum } from '../wire/ipv4.js';
import { IPV6_MIN_MTU, Protocol } from '../wire/ipv6.js';
import type { AddressBook } from './addresses.js';
import { hasLinkLocalSource, isBound } from './forward-address.js';
import type { ForwardFragmenter } from './forward-fragmenter.js';
import { type PacketTranslator, Verdict } from './forward-hook.js';
import type { IcmpResponder } from './icmp-responder.js';
import { IcmpErrorKind, type OutputPort, type PacketSegmenter } from './interfaces.js';
import { stampOptions } from './ipv4-options.js';
import type { LinkSettings } from './link-options.js';
import { findMss, lowerMss, mssOf } from './mss-clamp.js';
import type { PortTable } from './ports.js';
import type { RedirectSender } from './redirect-sender.js';
import { LOOPBACK_PORT, RouteQuery, RouteResult } from './route-query.js';
import type { Routing } from './routing.js';
import { UpperHeader } from './upper-header.js';

export interface ForwarderParts {
  readonly stats: StackStats;
  readonly settings: LinkSettings;
  readonly ports: PortTable;
  readonly routing: Routing;
  readonly addresses: AddressBook;
  readonly responder: IcmpResponder;
  readonly redirects: RedirectSender;
  readonly fragmenter: ForwardFragmenter;
  /** Divides super-packets for links that take none; without it those are dropped. */
  readonly segmenter: PacketSegmenter | undefined;
}

/** Room for a segment that must be fragmented: no packet is larger. */
const SCRATCH_BYTES = 65_600;

export class Forwarder {
  /** Rewrites what passes through; undefined when nothing does. */
  translator: PacketTranslator | undefined;
  readonly #parts: ForwarderParts;
  readonly #stats: StackStats;
  readonly #query = new RouteQuery();
  readonly #result = new RouteResult();
  readonly #back = new RouteResult();
  readonly #upper = new UpperHeader();
  /** Whether the packet in hand was put together here from fragments. */
  #isAssembled = false;
  /** The router it goes to; undefined where its destination is on the link. */
  #gateway: IpAddress | undefined;
  #scratch: Uint8Array | undefined;
  #scratchView: DataView | undefined;

  constructor(parts: ForwarderParts) {
    this.#parts = parts;
    this.#stats = parts.stats;
  }

  /** Whether packets that come in through a link are passed on. */
  isOn(link: number): boolean {
    return this.#parts.settings.of(link).forwarding;
  }

  /** As `forward`, for a packet about which the tables have yet to be asked. */
  route(packet: IpPacket, isAssembled: boolean): void {
    this.#query.setIncoming(packet);
    this.#parts.routing.lookup(this.#query, this.#result);
    this.forward(packet, this.#result, isAssembled);
  }

  /**
   * Passes on a packet whose header, options and addresses have been found right. It is lent, and changed.
   * @param way what the tables say about it
   * @param isAssembled it came in fragments, and was put together here
   */
  forward(packet: IpPacket, way: RouteResult, isAssembled = false): void {
    const { ip } = this.#stats;
    if (isBound(packet)) return this.#refuseAddress(packet);
    ip.inForwDatagrams++;
    const port = this.#wayOut(packet, way);
    if (port === undefined) return this.#noRoute(packet, way);
    if (packet.hopLimit <= 1) {
      ip.inHdrErrors++;
      return this.#refuse(packet, DropReason.IpHopLimit, IcmpErrorKind.TimeExceeded);
    }
    this.#isAssembled = isAssembled;
    this.#gateway = way.nexthop?.gateway;
    const mtu = mtuOf(packet, way, port);
    const isTooLarge = this.#wireBytes(packet) > mtu;
    if (isTooLarge && !this.#mayFragment(packet)) return this.#tooBig(packet, mtu);
    const { translator } = this;
    // On links without neighbours there is no better first hop; what is translated must come through here.
    if (port.index === packet.link && port.resolves === true && translator === undefined) {
      this.#parts.redirects.consider(packet, way);
    }
    // Before its source is another: the way back is that to who sent it.
    this.#clamp(packet, port, mtu);
    if (translator !== undefined && translator.outbound(packet, port.index, packet.nowUs) !== Verdict.Accept)
      return;
    this.#change(packet, port);
    if (this.#send(packet, port, mtu)) ip.outForwDatagrams++;
  }

  // ---- what stands in the way -------------------------------------------------------------------

  /** The port a packet leaves by; undefined when there is none. */
  #wayOut(packet: IpPacket, way: RouteResult): OutputPort | undefined {
    if (way.error !== '' || way.route === undefined || way.nexthop === undefined) return undefined;
    const { type } = way.route;
    // A broadcast comes here when it is for another link and may go there; a group has nobody who routes it.
    if (type !== 'unicast' && !(type === 'broadcast' && packet.cast === Cast.Broadcast)) return undefined;
    const port = this.#parts.ports.get(way.nexthop.portIndex);
    if (port === undefined || port.isLoopback) return undefined;
    return packet.version === 6 && port.mtu < IPV6_MIN_MTU ? undefined : port;
  }

  /** RFC 1812 §5.3.7, RFC 3927 §2.7, RFC 4007 §9. */
  #refuseAddress(packet: IpPacket): void {
    this.#stats.ip.inAddrErrors++;
    this.#stats.drop(DropReason.IpNotForwardable);
    if (!hasLinkLocalSource(packet) || packet.cast !== Cast.Unicast) return;
    this.translator?.restore(packet);
    this.#parts.responder.sendAsRouter(packet, {
      type: Icmp6Type.Unreachable,
      code: Icmp6Unreachable.BeyondScope,
    });
  }

  /** RFC 1812 §5.2.7.1: what the route, or that there is none, means to the sender. */
  #noRoute(packet: IpPacket, way: RouteResult): void {
    this.#stats.ip.inNoRoutes++;
    switch (way.error) {
      case 'EINVAL':
        this.#stats.drop(DropReason.IpBlackhole);
        return;
      case 'EACCES':
        return this.#refuse(packet, DropReason.IpNoRoute, IcmpErrorKind.Prohibited);
      case 'EHOSTUNREACH':
        return this.#refuse(packet, DropReason.IpNoRoute, IcmpErrorKind.HostUnreachable);
      default:
        return this.#refuse(packet, DropReason.IpNoRoute, IcmpErrorKind.NetUnreachable);
    }
  }

  /** RFC 1191 §4, RFC 8200 §5: the sender learns how large a packet may be. */
  #tooBig(packet: IpPacket, mtu: number): void {
    this.#stats.ip.inTooBigErrors++;
    if (packet.version === 4) this.#stats.ip.outFragFails++;
    this.#refuse(packet, DropReason.IpTooBig, IcmpErrorKind.PacketTooBig, mtu);
  }

  #refuse(packet: IpPacket, reason: DropReason, kind: IcmpErrorKind, info = 0): void {
    this.#stats.drop(reason);
    this.translator?.restore(packet);
    this.#parts.responder.errorAsRouter(packet, kind, info);
  }

  // ---- sizes ------------------------------------------------------------------------------------

  /** Bytes of the packet, or of the largest segment of a super-packet, on the wire. */
  #wireBytes(packet: IpPacket): number {
    if (packet.segmentSize === 0) return packet.length;
    // What is a super-packet without a transport header will be refused where it is divided.
    if (!this.#upper.find(packet)) return packet.length;
    return Math.min(packet.length, this.#upper.at - packet.at + this.#upper.headerBytes + packet.segmentSize);
  }

  /** RFC 1812 §5.2.6: unless it says no; of IPv6, only what was in fragments before (RFC 8200 §4.5). */
  #mayFragment(packet: IpPacket): boolean {
    if (packet.version === 6) return this.#isAssembled;
    return (packet.view.getUint16(packet.at + 6) & IPV4_DF) === 0;
  }

  // ---- changes ----------------------------------------------------------------------------------

  /** What a router changes of each packet: options, and one hop less to go. */
  #change(packet: IpPacket, port: OutputPort): void {
    packet.hopLimit--;
    const { view, at } = packet;
    if (packet.version === 6) {
      view.setUint8(at + 7, packet.hopLimit);
      return;
    }
    const before = view.getUint16(at + 8);
    const after = before - 0x100;
    view.setUint16(at + 8, after);
    // RFC 1624 §3: an update, so that damage done here to other fields shows at the end of the path.
    view.setUint16(at + 10, updateChecksum16(view.getUint16(at + 10), before, after));
    if (packet.payloadAt - at > IPV4_HEADER_BYTES) this.#stamp(packet, port);
  }

  /** The MSS is held down by the ways on both sides, as what is sent by it comes the other way. */
  #clamp(packet: IpPacket, port: OutputPort, mtu: number): void {
    const { settings } = this.#parts;
    const to = settings.of(port.index).mssClamp;
    const from = settings.of(packet.link).mssClamp;
    if (to === 'off' && from === 'off') return;
    const at = findMss(packet, this.#upper);
    if (at < 0) return;
    let most = mssOf(packet.version, Math.min(mtu, this.#mtuBack(packet)));
    if (typeof to === 'number') most = Math.min(most, to);
    if (typeof from === 'number') most = Math.min(most, from);
    if (lowerMss(packet, this.#upper.at, at, most)) this.#stats.ip.mssClamped++;
  }

  /** What the way back to the sender takes, bytes. */
  #mtuBack(packet: IpPacket): number {
    const { ports, routing } = this.#parts;
    const query = this.#query;
    query.setReverse(packet);
    query.iif = LOOPBACK_PORT;
    routing.lookup(query, this.#back);
    const port = ports.get(this.#back.nexthop?.portIndex ?? packet.link);
    return port === undefined ? Number.POSITIVE_INFINITY : mtuOf(packet, this.#back, port);
  }

  /** RFC 1812 §5.3.13: Record Route and Timestamp get the address of the port it leaves by, if that has any. */
  #stamp(packet: IpPacket, port: OutputPort): void {
    const entries = this.#parts.addresses.usable();
    const own = entries.find((entry) => entry.port === port.index && entry.address.family === 4);
    if (own === undefined) return;
    const stamp = { address: own.address.w3, timeMs: Math.floor(packet.nowUs / 1000) };
    if (!stampOptions(packet, stamp)) return;
    writeIpv4Checksum(packet.view, packet.at, packet.payloadAt - packet.at);
  }

  // ---- out --------------------------------------------------------------------------------------

  /** @returns whether all of it was queued */
  #send(packet: IpPacket, port: OutputPort, mtu: number): boolean {
    if (packet.segmentSize > 0) return this.#sendSuperPacket(packet, port, mtu);
    const isBegun = packet.checksum === ChecksumState.Partial;
    if (isBegun && (packet.length > mtu || !this.#leavesChecksum(packet, port)) && !this.#complete(packet)) {
      return this.#discard(DropReason.LinkMetadata);
    }
    if (packet.length > mtu) return this.#parts.fragmenter.send(packet, port, mtu, this.#gateway);
    return this.#copy(packet, port, 0) || this.#discard(DropReason.LinkQueueFull);
  }

  /** Whether the port completes the checksum that was begun: of TCP and UDP only. */
  #leavesChecksum(packet: IpPacket, port: OutputPort): boolean {
    if (!port.checksumOffload || !this.#upper.find(packet)) return false;
    return this.#upper.protocol === Protocol.Tcp || this.#upper.protocol === Protocol.Udp;
  }

  #complete(packet: IpPacket): boolean {
    if (!this.#upper.find(packet) || !this.#upper.completeChecksum(packet)) return false;
    packet.checksum = ChecksumState.Valid;
    return true;
  }

  #copy(packet: IpPacket, port: OutputPort, headerBytes: number): boolean {
    if (!port.reserve()) return false;
    const { length, checksum } = packet;
    copyBytes(packet.view, packet.at, port.view, port.at, length);
    // What nobody has looked at, or has found wrong, is for the end of the path to judge.
    const state = checksum === ChecksumState.Bad ? ChecksumState.Unknown : checksum;
    port.commit(length, state, packet.segmentSize, headerBytes);
    if (this.#gateway !== undefined) port.via?.(this.#gateway);
    return true;
  }

  /** Whole, where the port takes such; else in segments, and those in fragments where they must be. */
  #sendSuperPacket(packet: IpPacket, port: OutputPort, mtu: number): boolean {
    if (!this.#upper.find(packet)) return this.#discard(DropReason.LinkMetadata);
    const headerBytes = this.#upper.at - packet.at + this.#upper.headerBytes;
    const isTaken =
      packet.checksum === ChecksumState.Partial &&
      port.checksumOffload &&
      packet.length <= port.maxPacketBytes &&
      headerBytes + packet.segmentSize <= mtu &&
      (this.#upper.protocol === Protocol.Tcp || port.udpSegmentation);
    if (isTaken) return this.#copy(packet, port, headerBytes) || this.#discard(DropReason.LinkQueueFull);
    const { segmenter } = this.#parts;
    if (segmenter === undefined || !segmenter.aimAt(packet)) return this.#discard(DropReason.LinkMetadata);
    for (let k = 0; k < segmenter.count; k++) {
      const isQueued =
        segmenter.lengthOf(k) <= mtu
          ? this.#sendSegment(segmenter, k, port)
          : this.#sendLargeSegment(packet, k, { port, mtu });
      if (!isQueued) return false;
    }
    return true;
  }

  #sendSegment(segmenter: PacketSegmenter, k: number, port: OutputPort): boolean {
    if (!port.reserve()) return this.#discard(DropReason.LinkQueueFull);
    const length = segmenter.write(k, port.bytes, port.view, port.at);
    port.commit(length, ChecksumState.Unknown, 0, 0);
    if (this.#gateway !== undefined) port.via?.(this.#gateway);
    return true;
  }

  #sendLargeSegment(packet: IpPacket, k: number, way: { port: OutputPort; mtu: number }): boolean {
    const { segmenter, fragmenter } = this.#parts;
    if (segmenter === undefined) return false;
    this.#scratch ??= new Uint8Array(SCRATCH_BYTES);
    this.#scratchView ??= new DataView(this.#scratch.buffer);
    const { bytes, view, at, payloadAt, length: wholeBytes } = packet;
    const length = segmenter.write(k, this.#scratch, this.#scratchView, 0);
    // The fragmenter needs of a packet only its place and its sizes, which are put back.
    packet.aim(this.#scratch, this.#scratchView, 0, length);
    packet.payloadAt = payloadAt - at;
    packet.payloadBytes = length - packet.payloadAt;
    const isQueued = fragmenter.send(packet, way.port, way.mtu, this.#gateway);
    packet.aim(bytes, view, at, wholeBytes);
    packet.payloadAt = payloadAt;
    packet.payloadBytes = at + wholeBytes - payloadAt;
    return isQueued;
  }

  #discard(reason: DropReason): false {
    this.#stats.ip.outDiscards++;
    this.#stats.drop(reason);
    return false;
  }
}

/** What the way takes, bytes. What ICMP taught about paths of ours does not count for others (RFC 1812 §5.2.6). */
function mtuOf(packet: IpPacket, way: RouteResult, port: OutputPort): number {
  const said = way.route?.mtu ?? 0;
  const mtu = said > 0 ? Math.min(said, port.mtu) : port.mtu;
  return packet.version === 6 ? Math.max(mtu, IPV6_MIN_MTU) : mtu;
}
