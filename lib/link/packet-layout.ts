/**
 * Where the parts of a packet lie, for links that must touch transport headers: to complete a checksum,
 * to split a super-packet, to join packets.
 */
import { finishChecksum, foldSum, sumBytes } from '../wire/checksum.js';

export const Protocol = { TCP: 6, UDP: 17, ICMPV6: 58 } as const;

/** IPv6 extension headers that may stand before a transport header: hop-by-hop, routing, destination. */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
/** More than these are not looked through. */
const MAX_EXTENSION_HEADERS = 8;

const NO_VIEW = new DataView(new ArrayBuffer(0));

/** Aimed at a packet whose transport header is to be found. */
export class PacketLayout {
  view: DataView = NO_VIEW;
  /** First byte of the IP header. */
  at = 0;
  version: 4 | 6 = 4;
  /** Bytes of the packet as IP says, which may be fewer than the link said. */
  length = 0;
  protocol = 0;
  transportAt = 0;
  /** Bytes of transport header and payload. */
  transportBytes = 0;
  /** Bytes of the TCP or UDP header; 0 for another protocol. */
  transportHeaderBytes = 0;

  /**
   * Finds the transport header of the packet of `length` bytes at `at`. False when there is none to
   * find: a malformed packet, a fragment, or a destination that a routing header will change.
   */
  parse(view: DataView, at: number, length: number): boolean {
    this.view = view;
    this.at = at;
    if (length < 1) return false;
    const found = view.getUint8(at) >> 4 === 4 ? this.#parseV4(length) : this.#parseV6(length);
    return found && this.#parseTransport();
  }

  /** First byte of the payload. */
  get payloadAt(): number {
    return this.transportAt + this.transportHeaderBytes;
  }

  get payloadBytes(): number {
    return this.transportBytes - this.transportHeaderBytes;
  }

  /** Bytes before the payload. */
  get headerBytes(): number {
    return this.transportAt - this.at + this.transportHeaderBytes;
  }

  /** Where the transport's checksum field is; 0 for a protocol without one known here. */
  get checksumAt(): number {
    if (this.protocol === Protocol.TCP) return this.transportAt + 16;
    if (this.protocol === Protocol.UDP) return this.transportAt + 6;
    if (this.protocol === Protocol.ICMPV6 && this.transportBytes >= 4) return this.transportAt + 2;
    return 0;
  }

  /** The pseudo-header sum for `transportBytes` bytes. */
  pseudoSum(transportBytes = this.transportBytes): number {
    const addresses =
      this.version === 4 ? sumBytes(this.view, this.at + 12, 8) : sumBytes(this.view, this.at + 8, 32);
    return addresses + this.protocol + transportBytes;
  }

  /** Whether the transport checksum is right; a UDP checksum of zero over IPv4 is none, and right. */
  checksumHolds(): boolean {
    const at = this.checksumAt;
    if (at === 0) return false;
    if (this.protocol === Protocol.UDP && this.view.getUint16(at) === 0) return this.version === 4;
    return foldSum(sumBytes(this.view, this.transportAt, this.transportBytes, this.pseudoSum())) === 0xffff;
  }

  /** Writes the transport checksum, computed from scratch. False for a protocol without one known here. */
  completeChecksum(): boolean {
    const at = this.checksumAt;
    if (at === 0) return false;
    this.view.setUint16(at, 0);
    const sum = sumBytes(this.view, this.transportAt, this.transportBytes, this.pseudoSum());
    const checksum = finishChecksum(sum);
    // Zero means "none" in UDP (RFC 768); its equal in ones' complement is sent instead.
    this.view.setUint16(at, checksum === 0 && this.protocol === Protocol.UDP ? 0xffff : checksum);
    return true;
  }

  #parseV4(length: number): boolean {
    if (length < 20) return false;
    const view = this.view;
    const at = this.at;
    const headerBytes = (view.getUint8(at) & 15) * 4;
    this.version = 4;
    this.length = view.getUint16(at + 2);
    if (headerBytes < 20 || headerBytes > this.length || this.length > length) return false;
    if ((view.getUint16(at + 6) & 0x3fff) !== 0) return false;
    this.protocol = view.getUint8(at + 9);
    this.transportAt = at + headerBytes;
    this.transportBytes = this.length - headerBytes;
    return true;
  }

  #parseV6(length: number): boolean {
    const view = this.view;
    const at = this.at;
    if (length < 40 || view.getUint8(at) >> 4 !== 6) return false;
    this.version = 6;
    this.length = 40 + view.getUint16(at + 4);
    if (this.length > length) return false;
    const end = at + this.length;
    let next = view.getUint8(at + 6);
    let header = at + 40;
    for (let i = 0; next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS; i++) {
      if (i === MAX_EXTENSION_HEADERS || header + 8 > end) return false;
      if (next === ROUTING && view.getUint8(header + 3) !== 0) return false;
      next = view.getUint8(header);
      header += (view.getUint8(header + 1) + 1) * 8;
    }
    if (next === FRAGMENT || header > end) return false;
    this.protocol = next;
    this.transportAt = header;
    this.transportBytes = end - header;
    return true;
  }

  #parseTransport(): boolean {
    this.transportHeaderBytes = 0;
    if (this.protocol === Protocol.UDP) {
      this.transportHeaderBytes = 8;
      return this.transportBytes >= 8;
    }
    if (this.protocol !== Protocol.TCP) return true;
    if (this.transportBytes < 20) return false;
    this.transportHeaderBytes = (this.view.getUint8(this.transportAt + 12) >> 4) * 4;
    return this.transportHeaderBytes >= 20 && this.transportHeaderBytes <= this.transportBytes;
  }
}

/** Whether the packet at `at`, which has an IP header, names UDP as its payload right there. */
export const isUdp = (view: DataView, at: number): boolean =>
  view.getUint8(view.getUint8(at) >> 4 === 4 ? at + 9 : at + 6) === Protocol.UDP;

/** Writes the header checksum of the IPv4 packet at `at`. */
export function completeIpv4Checksum(view: DataView, at: number): void {
  view.setUint16(at + 10, 0);
  view.setUint16(at + 10, finishChecksum(sumBytes(view, at, (view.getUint8(at) & 15) * 4)));
}
