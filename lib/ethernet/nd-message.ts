/**
 * Messages of neighbour and router discovery (RFC 4861 §4): whether one may be believed, what it says, and how it is
 * written.
 */
import { finishChecksum, foldSum, sumBytes } from '../wire/checksum.js';
import { IpAddress } from '../wire/ip-address.js';
import { MacAddress } from './mac-address.js';

export const NdType = {
  RouterSolicitation: 133,
  RouterAdvertisement: 134,
  NeighborSolicitation: 135,
  NeighborAdvertisement: 136,
  Redirect: 137,
} as const;

export const NdOption = {
  SourceLinkAddress: 1,
  TargetLinkAddress: 2,
  Prefix: 3,
  RedirectedHeader: 4,
  Mtu: 5,
  Route: 24,
  Rdnss: 25,
  Dnssl: 31,
} as const;

/** Flags of a neighbour advertisement, in its first byte behind the checksum. */
export const NaFlag = { Router: 0x80, Solicited: 0x40, Override: 0x20 } as const;

export const IPV6_BYTES = 40;
const ICMPV6 = 58;
/** What no router forwards (RFC 4861 §6.1, §7.1, §8.1). */
const HOP_LIMIT = 255;
/** Bytes before the options of each message, by type from 133 on. */
const FIXED_BYTES = [8, 16, 24, 24, 40];
/** More options than these are not read; no sane message has as many. */
const MAX_OPTIONS = 64;

export const ALL_NODES = IpAddress.parse('ff02::1');
export const ALL_ROUTERS = IpAddress.parse('ff02::2');

/** The solicited-node group of an address (RFC 4291 §2.7.1). */
export const solicitedNode = (address: IpAddress): IpAddress =>
  IpAddress.v6(0xff02_0000, 0, 1, 0xff00_0000 | (address.w3 & 0x00ff_ffff));

const NO_VIEW = new DataView(new ArrayBuffer(0));

/** A message in hand, aimed anew at each. */
export class NdMessage {
  view: DataView = NO_VIEW;
  /** First byte of the IPv6 header. */
  packetAt = 0;
  packetBytes = 0;
  /** First byte of the message, and how many there are. */
  at = 0;
  length = 0;
  type = 0;

  /** Whether a packet, whose IPv6 header is there whole, is one of these messages and not inside another header. */
  static isOne(view: DataView, at: number, length: number): boolean {
    if (length <= IPV6_BYTES || view.getUint8(at + 6) !== ICMPV6) return false;
    const type = view.getUint8(at + IPV6_BYTES);
    return type >= NdType.RouterSolicitation && type <= NdType.Redirect;
  }

  /**
   * Aims at a packet that `isOne`; false when it may not be believed: it came from beyond the link, its checksum does
   * not hold, its code is not 0, it is too short, or an option has no length (RFC 4861 §6.1, §7.1, §8.1).
   */
  parse(view: DataView, at: number, length: number): boolean {
    const bytes = view.getUint16(at + 4);
    if (IPV6_BYTES + bytes > length || view.getUint8(at + 7) !== HOP_LIMIT) return false;
    this.view = view;
    this.packetAt = at;
    this.packetBytes = IPV6_BYTES + bytes;
    this.at = at + IPV6_BYTES;
    this.length = bytes;
    this.type = view.getUint8(this.at);
    const fixed = FIXED_BYTES[this.type - NdType.RouterSolicitation];
    if (bytes < fixed || view.getUint8(this.at + 1) !== 0) return false;
    const sum = sumBytes(view, at + 8, 32, ICMPV6 + bytes);
    if (foldSum(sumBytes(view, this.at, bytes, sum)) !== 0xffff) return false;
    return this.#hasSoundOptions(fixed);
  }

  get source(): IpAddress {
    return IpAddress.read(this.view, this.packetAt + 8, 6);
  }

  get destination(): IpAddress {
    return IpAddress.read(this.view, this.packetAt + 24, 6);
  }

  /** Of solicitations, advertisements of neighbours, and redirects. */
  get target(): IpAddress {
    return IpAddress.read(this.view, this.at + 8, 6);
  }

  /** What a redirect is about. */
  get redirected(): IpAddress {
    return IpAddress.read(this.view, this.at + 24, 6);
  }

  /** The byte behind the checksum: flags of a neighbour advertisement, the hop limit of a router's. */
  get flags(): number {
    return this.view.getUint8(this.at + 4);
  }

  /** Where the first option of a type begins, after `from`; -1 without one. It has at least `bytes` bytes. */
  option(type: number, bytes: number, from = -1): number {
    const end = this.at + this.length;
    let i = this.at + FIXED_BYTES[this.type - NdType.RouterSolicitation];
    while (i < end) {
      const length = this.view.getUint8(i + 1) * 8;
      if (i > from && this.view.getUint8(i) === type && length >= bytes) return i;
      i += length;
    }
    return -1;
  }

  /** The Ethernet address in an option; undefined without one, or where it can be nobody's. */
  linkAddress(type: number): MacAddress | undefined {
    const at = this.option(type, 8);
    if (at < 0) return undefined;
    const mac = MacAddress.read(this.view, at + 2);
    return mac.isGroup || mac.isZero ? undefined : mac;
  }

  /** Whether it has an option of a type, however long. */
  has(type: number): boolean {
    return this.option(type, 8) >= 0;
  }

  /** Options: each a type, a length in units of eight bytes that is not zero, and that much room. */
  #hasSoundOptions(fixed: number): boolean {
    let count = 0;
    for (let i = fixed; i < this.length; count++) {
      const bytes = i + 1 < this.length ? this.view.getUint8(this.at + i + 1) * 8 : 0;
      if (bytes === 0 || i + bytes > this.length || count === MAX_OPTIONS) return false;
      i += bytes;
    }
    return true;
  }
}

/** Who sends a message to whom. */
export interface NdEnds {
  readonly source: IpAddress;
  readonly destination: IpAddress;
}

/**
 * An IPv6 packet with a message of `length` bytes, of which `fill` writes all behind the checksum; its place is given.
 */
export function writeNd(
  type: number,
  length: number,
  ends: NdEnds,
  fill: (view: DataView, at: number) => void,
): Uint8Array {
  const bytes = new Uint8Array(IPV6_BYTES + length);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, 0x6000_0000);
  view.setUint16(4, length);
  view.setUint8(6, ICMPV6);
  view.setUint8(7, HOP_LIMIT);
  ends.source.write(view, 8);
  ends.destination.write(view, 24);
  view.setUint8(IPV6_BYTES, type);
  fill(view, IPV6_BYTES);
  const sum = sumBytes(view, 8, 32, ICMPV6 + length);
  view.setUint16(IPV6_BYTES + 2, finishChecksum(sumBytes(view, IPV6_BYTES, length, sum)));
  return bytes;
}

/** Writes a link-layer address option, of eight bytes. */
export function writeLinkAddress(view: DataView, at: number, type: number, mac: MacAddress): void {
  view.setUint8(at, type);
  view.setUint8(at + 1, 1);
  mac.write(view, at + 2);
}

/** A neighbour solicitation; without `mac` it has no source link-layer address (RFC 4861 §4.3). */
export const neighborSolicitation = (ends: NdEnds, target: IpAddress, mac?: MacAddress): Uint8Array =>
  writeNd(NdType.NeighborSolicitation, mac === undefined ? 24 : 32, ends, (view, at) => {
    target.write(view, at + 8);
    if (mac !== undefined) writeLinkAddress(view, at + 24, NdOption.SourceLinkAddress, mac);
  });

/** A neighbour advertisement (RFC 4861 §4.4). */
export const neighborAdvertisement = (
  ends: NdEnds,
  target: IpAddress,
  flags: number,
  mac: MacAddress,
): Uint8Array =>
  writeNd(NdType.NeighborAdvertisement, 32, ends, (view, at) => {
    view.setUint8(at + 4, flags);
    target.write(view, at + 8);
    writeLinkAddress(view, at + 24, NdOption.TargetLinkAddress, mac);
  });

/** A router solicitation (RFC 4861 §4.1). */
export const routerSolicitation = (source: IpAddress, mac: MacAddress): Uint8Array =>
  writeNd(
    NdType.RouterSolicitation,
    source.isUnspecified ? 8 : 16,
    { source, destination: ALL_ROUTERS },
    (view, at) => {
      if (!source.isUnspecified) writeLinkAddress(view, at + 8, NdOption.SourceLinkAddress, mac);
    },
  );
