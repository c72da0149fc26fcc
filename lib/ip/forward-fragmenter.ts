/**
 * Fragmenting what passes through (RFC 791 §3.2, RFC 1812 §5.2.6): IPv4 packets that allow it, which may be
 * fragments themselves. Of IPv6 only what came in fragments, and had to be put together here, is divided again:
 * routers fragment nothing else (RFC 8200 §4.5).
 */
import { copyBytes } from '../base/copy.js';
import { DropReason, type StackStats } from '../base/stats.js';
import type { IpAddress } from '../wire/ip-address.js';
import { ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { IPV4_HEADER_BYTES, IPV4_MF, IPV4_OFFSET_MASK, writeIpv4Checksum } from '../wire/ipv4.js';
import {
  IPV6_FRAGMENT_HEADER_BYTES,
  IPV6_HEADER_BYTES,
  Protocol,
  writeFragmentHeader,
} from '../wire/ipv6.js';
import type { Identification } from './identification.js';
import type { OutputPort } from './interfaces.js';
import { copiedOptions, Ipv4Option } from './ipv4-options.js';

export class ForwardFragmenter {
  readonly #stats: StackStats;
  readonly #identification: Identification;
  #gateway: IpAddress | undefined;

  constructor(stats: StackStats, identification: Identification) {
    this.#stats = stats;
    this.#identification = identification;
  }

  /**
   * Sends a packet as fragments of at most `mtu` bytes; those that find the link full are lost, and the rest with
   * them. Its header is complete but for its checksum, its transport checksum complete.
   * @param gateway the router they go to; undefined where their destination is on the link
   * @returns whether all went
   */
  send(packet: IpPacket, port: OutputPort, mtu: number, gateway: IpAddress | undefined): boolean {
    const { ip } = this.#stats;
    ip.outFragReqds++;
    this.#gateway = gateway;
    const isWhole = packet.version === 4 ? this.#send4(packet, port, mtu) : this.#send6(packet, port, mtu);
    if (isWhole) {
      ip.outFragOKs++;
      return true;
    }
    ip.outFragFails++;
    ip.outDiscards++;
    this.#stats.drop(DropReason.LinkQueueFull);
    return false;
  }

  #send4(packet: IpPacket, port: OutputPort, mtu: number): boolean {
    const { view, at, payloadAt, payloadBytes } = packet;
    const field = view.getUint16(at + 6);
    const isLast = (field & IPV4_MF) === 0;
    const firstOffset = field & IPV4_OFFSET_MASK;
    const options = packet.bytes.slice(at + IPV4_HEADER_BYTES, payloadAt);
    let optionBytes = options.length;
    for (let done = 0; done < payloadBytes; ) {
      const headerBytes = IPV4_HEADER_BYTES + optionBytes;
      const bytes = pieceBytes(mtu - headerBytes, payloadBytes - done);
      if (bytes <= 0 || !port.reserve()) return false;
      const { view: target, at: start } = port;
      copyBytes(view, at, target, start, IPV4_HEADER_BYTES);
      target.setUint8(start, 0x40 | (headerBytes >> 2));
      target.setUint16(start + 2, headerBytes + bytes);
      const more = !isLast || done + bytes < payloadBytes;
      target.setUint16(start + 6, (firstOffset + (done >> 3)) | (more ? IPV4_MF : 0));
      writeOptions(target, start + IPV4_HEADER_BYTES, options, optionBytes);
      copyBytes(view, payloadAt + done, target, start + headerBytes, bytes);
      writeIpv4Checksum(target, start, headerBytes);
      this.#queue(port, headerBytes + bytes);
      // Only the first fragment of all has the options that are not to be copied (RFC 791 §3.1).
      if (done === 0 && optionBytes > 0) {
        const copied = copiedOptions(options);
        options.set(copied);
        optionBytes = copied.length;
      }
      done += bytes;
    }
    return true;
  }

  #send6(packet: IpPacket, port: OutputPort, mtu: number): boolean {
    const { view, at } = packet;
    const { fixedBytes, nextHeaderAt } = unfragmentable(packet);
    const dataAt = at + fixedBytes;
    const dataBytes = packet.length - fixedBytes;
    const headerBytes = fixedBytes + IPV6_FRAGMENT_HEADER_BYTES;
    const identification = this.#identification.next6();
    const nextHeader = view.getUint8(nextHeaderAt);
    for (let done = 0; done < dataBytes; ) {
      const bytes = pieceBytes(mtu - headerBytes, dataBytes - done);
      if (bytes <= 0 || !port.reserve()) return false;
      const { view: target, at: start } = port;
      copyBytes(view, at, target, start, fixedBytes);
      target.setUint16(start + 4, headerBytes - IPV6_HEADER_BYTES + bytes);
      target.setUint8(start + nextHeaderAt - at, Protocol.Fragment);
      const more = done + bytes < dataBytes;
      writeFragmentHeader(target, start + fixedBytes, {
        nextHeader,
        offsetBytes: done,
        more,
        identification,
      });
      copyBytes(view, dataAt + done, target, start + headerBytes, bytes);
      this.#queue(port, headerBytes + bytes);
      done += bytes;
    }
    return true;
  }

  #queue(port: OutputPort, length: number): void {
    port.commit(length, ChecksumState.Unknown, 0, 0);
    if (this.#gateway !== undefined) port.via?.(this.#gateway);
    this.#stats.ip.outFragCreates++;
  }
}

/** Bytes of the next piece: all that is left, or as many multiples of eight as there is room for. */
const pieceBytes = (room: number, left: number): number => (left <= room ? left : room & ~7);

function writeOptions(view: DataView, at: number, options: Uint8Array, length: number): void {
  for (let i = 0; i < length; i++) view.setUint8(at + i, options[i] ?? Ipv4Option.End);
}

/** The headers that every fragment has: those before and with a Routing header (RFC 8200 §4.5). */
function unfragmentable({ view, at, length }: IpPacket): { fixedBytes: number; nextHeaderAt: number } {
  let fixed = { fixedBytes: IPV6_HEADER_BYTES, nextHeaderAt: at + 6 };
  let nextHeaderAt = at + 6;
  for (let bytes = IPV6_HEADER_BYTES; bytes + 8 <= length; ) {
    const next = view.getUint8(nextHeaderAt);
    const isPrecursor = next === Protocol.HopByHop || next === Protocol.Routing;
    if (!isPrecursor && next !== Protocol.DestinationOptions) break;
    nextHeaderAt = at + bytes;
    bytes += (view.getUint8(nextHeaderAt + 1) + 1) * 8;
    // Destination Options belong here only where a Routing header follows.
    if (isPrecursor && bytes < length) fixed = { fixedBytes: bytes, nextHeaderAt };
  }
  return fixed;
}
