/**
 * Where the transport header of a packet in passing lies, of which only the IP header has been read; and the
 * checksum in it, for links that complete none.
 */
import { finishChecksum, packetPseudoSum, sumBytes } from '../wire/checksum.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { IPV4_OFFSET_MASK } from '../wire/ipv4.js';
import { IPV6_FRAGMENT_HEADER_BYTES, IPV6_HEADER_BYTES, Protocol } from '../wire/ipv6.js';
import { isExtension } from './extension-headers.js';

/** Extension headers looked behind. */
const MAX_HEADERS = 8;
const TCP_BYTES = 20;
const UDP_BYTES = 8;

export class UpperHeader {
  protocol = 0;
  /** First byte of the transport header. */
  at = 0;
  /** Bytes from there to the end of the packet. */
  bytes = 0;
  /** Bytes of the transport header of TCP and UDP; 0 for others. */
  headerBytes = 0;

  /**
   * Finds the transport header.
   * @returns false where there is none: a fragment behind the first, headers that are cut short or too many
   */
  find(packet: IpPacket): boolean {
    return (packet.version === 4 ? this.#find4(packet) : this.#find6(packet)) && this.#measure(packet);
  }

  #find4(packet: IpPacket): boolean {
    if ((packet.view.getUint16(packet.at + 6) & IPV4_OFFSET_MASK) !== 0) return false;
    this.protocol = packet.protocol;
    this.at = packet.payloadAt;
    this.bytes = packet.payloadBytes;
    return true;
  }

  #find6({ view, at: start, length }: IpPacket): boolean {
    const end = start + length;
    let next = view.getUint8(start + 6);
    let at = start + IPV6_HEADER_BYTES;
    for (let count = 0; isExtension(next); count++) {
      if (count >= MAX_HEADERS || end - at < 8) return false;
      const isFragment = next === Protocol.Fragment;
      if (isFragment && (view.getUint16(at + 2) & 0xfff8) !== 0) return false;
      next = view.getUint8(at);
      at += isFragment ? IPV6_FRAGMENT_HEADER_BYTES : (view.getUint8(at + 1) + 1) * 8;
    }
    this.protocol = next;
    this.at = at;
    this.bytes = end - at;
    return at <= end;
  }

  #measure({ view }: IpPacket): boolean {
    this.headerBytes = 0;
    if (this.protocol === Protocol.Udp) {
      this.headerBytes = UDP_BYTES;
      return this.bytes >= UDP_BYTES;
    }
    if (this.protocol !== Protocol.Tcp) return true;
    if (this.bytes < TCP_BYTES) return false;
    this.headerBytes = (view.getUint8(this.at + 12) >> 4) * 4;
    return this.headerBytes >= TCP_BYTES && this.headerBytes <= this.bytes;
  }

  /** Completes a checksum of the packet found that was only begun. @returns false where none is known */
  completeChecksum(packet: IpPacket): boolean {
    const offset = this.#checksumOffset();
    if (offset < 0 || this.bytes < offset + 2) return false;
    const { view } = packet;
    const at = this.at + offset;
    view.setUint16(at, 0);
    const pseudo = this.protocol === Protocol.Icmp ? 0 : packetPseudoSum(packet, this.protocol, this.bytes);
    const sum = finishChecksum(sumBytes(view, this.at, this.bytes, pseudo));
    // Zero would say that there is none (RFC 768).
    view.setUint16(at, sum === 0 && this.protocol === Protocol.Udp ? 0xffff : sum);
    return true;
  }

  #checksumOffset(): number {
    if (this.protocol === Protocol.Tcp) return 16;
    if (this.protocol === Protocol.Udp) return 6;
    return this.protocol === Protocol.Icmp || this.protocol === Protocol.Icmpv6 ? 2 : -1;
  }
}
