/**
 * One datagram of which fragments are missing, and the host that sends such.
 */
import { DropReason } from '../base/stats.js';
import type { IpFamily } from '../wire/ip-address.js';
import type { Cast, IpPacket } from '../wire/ip-packet.js';
import { IPV6_FRAGMENT_HEADER_BYTES } from '../wire/ipv6.js';

/** A fragment, its header read. One object, filled anew for each. */
export class FragmentInfo {
  identification = 0;
  /** Bytes of the datagram before this piece. */
  offset = 0;
  more = false;
  /** First byte of the piece, and how many there are. */
  dataAt = 0;
  dataBytes = 0;
  /** Bytes of the header every fragment repeats, which becomes the header of the whole. */
  headerBytes = 0;
  /** IPv6: where in that header the Next Header field lies that named the Fragment header. */
  nextHeaderOffset = 0;
  /** Protocol of what is fragmented; the first fragment's counts. */
  nextHeader = 0;
}

/** A host that sent fragments, known while it has incomplete datagrams here. */
export class FragmentSource {
  readonly s0: number;
  readonly s1: number;
  readonly s2: number;
  readonly s3: number;
  readonly hash: number;
  /** Its incomplete datagrams. */
  datagrams = 0;
  /** Fragments it has sent, for `reassemblyDistance`. */
  turn = 0;
  next: FragmentSource | undefined = undefined;

  constructor(packet: IpPacket, hash: number) {
    this.s0 = packet.s0;
    this.s1 = packet.s1;
    this.s2 = packet.s2;
    this.s3 = packet.s3;
    this.hash = hash;
  }

  isOf(packet: IpPacket): boolean {
    return packet.s3 === this.s3 && packet.s2 === this.s2 && packet.s1 === this.s1 && packet.s0 === this.s0;
  }
}

/** Words of a bitmap with one bit for each eight bytes of the largest datagram. */
const BITMAP_WORDS = 256;
const NO_BYTES = new Uint8Array(0);
const NO_BITS = new Int32Array(0);

export class Datagram {
  /** What a datagram is charged before its first byte, and each fragment besides its bytes. */
  static readonly OVERHEAD_BYTES = 4 * BITMAP_WORDS + 512;
  static readonly FRAGMENT_OVERHEAD_BYTES = 128;

  // Its key (RFC 791 §3.2; RFC 8200 §4.5, which leaves out the protocol).
  readonly version: IpFamily;
  readonly s0: number;
  readonly s1: number;
  readonly s2: number;
  readonly s3: number;
  readonly d0: number;
  readonly d1: number;
  readonly d2: number;
  readonly d3: number;
  readonly identification: number;
  readonly #protocol: number;
  /** Counts for addresses that mean something else on another link. */
  readonly link: number;

  readonly hash: number;
  readonly source: FragmentSource;
  readonly cast: Cast;
  readonly createdUs: number;
  readonly deadlineUs: number;
  /** Chain of datagrams of one hash. */
  next: Datagram | undefined = undefined;
  /** `turn` of its source when its last fragment came. */
  turn = 0;
  memoryBytes = 0;
  /** It contradicted itself: what comes for it is discarded. */
  isDead = false;

  /** Header for the whole, from the first fragment; empty until that came. */
  header = NO_BYTES;
  /** IPv6: where in it the Next Header field lies that names what was fragmented. */
  nextHeaderOffset = 0;
  nextHeader = 0;
  hopLimit = 0;
  trafficClass = 0;
  /** One bit for each ECN field seen. */
  sawEcn = 0;
  /** Bytes of the whole payload; -1 until the last fragment came. */
  totalBytes = -1;
  #receivedBytes = 0;
  #endBytes = 0;
  #bitmap: Int32Array = new Int32Array(BITMAP_WORDS);
  /** Pieces by offset. */
  readonly #pieces = new Map<number, Uint8Array>();
  /** Header and Fragment header of the first fragment as they came. */
  #firstHeader = NO_BYTES;

  constructor(
    packet: IpPacket,
    info: FragmentInfo,
    place: { source: FragmentSource; hash: number; deadlineUs: number },
  ) {
    this.version = packet.version;
    this.s0 = packet.s0;
    this.s1 = packet.s1;
    this.s2 = packet.s2;
    this.s3 = packet.s3;
    this.d0 = packet.d0;
    this.d1 = packet.d1;
    this.d2 = packet.d2;
    this.d3 = packet.d3;
    this.identification = info.identification;
    this.#protocol = packet.version === 4 ? packet.protocol : 0;
    this.link = packet.link;
    this.cast = packet.cast;
    this.source = place.source;
    this.hash = place.hash;
    this.createdUs = packet.nowUs;
    this.deadlineUs = place.deadlineUs;
  }

  get isComplete(): boolean {
    return this.totalBytes >= 0 && this.#receivedBytes === this.totalBytes;
  }

  isOf(packet: IpPacket, info: FragmentInfo): boolean {
    return (
      info.identification === this.identification &&
      packet.version === this.version &&
      packet.s3 === this.s3 &&
      packet.d3 === this.d3 &&
      packet.s2 === this.s2 &&
      packet.d2 === this.d2 &&
      packet.s1 === this.s1 &&
      packet.d1 === this.d1 &&
      packet.s0 === this.s0 &&
      packet.d0 === this.d0 &&
      (packet.version === 4
        ? packet.protocol === this.#protocol
        : !this.#isZoned || packet.link === this.link)
    );
  }

  /** Whether a fragment fits in: `None`, `FragmentDuplicate`, or why the whole datagram must go. */
  judge(info: FragmentInfo): DropReason {
    const end = info.offset + info.dataBytes;
    const same = this.#pieces.get(info.offset);
    if (same !== undefined && same.length === info.dataBytes && info.more === (end !== this.totalBytes)) {
      return DropReason.FragmentDuplicate;
    }
    if (this.#overlaps(info.offset, end)) return DropReason.FragmentOverlap;
    // Two different ends, or data behind the end.
    const ends = this.totalBytes >= 0;
    if (info.more ? ends && end > this.totalBytes : ends || this.#endBytes > end)
      return DropReason.FragmentSize;
    return DropReason.None;
  }

  /** Keeps a copy of a fragment that fits in. @returns bytes to charge */
  take(packet: IpPacket, info: FragmentInfo): number {
    const end = info.offset + info.dataBytes;
    let charged = info.dataBytes + Datagram.FRAGMENT_OVERHEAD_BYTES;
    this.#pieces.set(info.offset, packet.bytes.slice(info.dataAt, info.dataAt + info.dataBytes));
    this.#mark(info.offset, end);
    this.#receivedBytes += info.dataBytes;
    this.#endBytes = Math.max(this.#endBytes, end);
    this.sawEcn |= 1 << packet.ecn;
    if (!info.more) this.totalBytes = end;
    if (info.offset === 0) {
      this.header = packet.bytes.slice(packet.at, packet.at + info.headerBytes);
      this.#firstHeader = packet.bytes.slice(packet.at, info.dataAt);
      this.nextHeaderOffset = info.nextHeaderOffset;
      this.nextHeader = info.nextHeader;
      this.hopLimit = packet.hopLimit;
      this.trafficClass = packet.trafficClass;
      charged += 2 * info.headerBytes + IPV6_FRAGMENT_HEADER_BYTES;
    }
    return charged;
  }

  /** Writes all pieces behind a header of `headerBytes`. */
  copyTo(bytes: Uint8Array, headerBytes: number): void {
    for (const [offset, piece] of this.#pieces) bytes.set(piece, headerBytes + offset);
  }

  /** Lets go of the pieces. @returns bytes no longer in use */
  kill(): number {
    const freed = this.memoryBytes - Datagram.OVERHEAD_BYTES / 2;
    this.isDead = true;
    this.#pieces.clear();
    this.#bitmap = NO_BITS;
    this.header = NO_BYTES;
    this.#firstHeader = NO_BYTES;
    return freed;
  }

  /** The first fragment as it came; undefined when it has not. */
  firstFragment(): Uint8Array | undefined {
    const piece = this.#pieces.get(0);
    if (piece === undefined) return undefined;
    const whole = new Uint8Array(this.#firstHeader.length + piece.length);
    whole.set(this.#firstHeader);
    whole.set(piece, this.#firstHeader.length);
    return whole;
  }

  /** Whether its addresses mean something else on another link. */
  get #isZoned(): boolean {
    return this.d0 >>> 24 === 0xff || this.d0 >>> 22 === 0x3fa || this.s0 >>> 22 === 0x3fa;
  }

  #overlaps(start: number, end: number): boolean {
    for (let unit = start >> 3; unit << 3 < end; ) {
      const bit = unit & 31;
      const count = Math.min(32 - bit, ((end + 7) >> 3) - unit);
      if ((this.#bitmap[unit >> 5] & run(bit, count)) !== 0) return true;
      unit += count;
    }
    return false;
  }

  #mark(start: number, end: number): void {
    for (let unit = start >> 3; unit << 3 < end; ) {
      const bit = unit & 31;
      const count = Math.min(32 - bit, ((end + 7) >> 3) - unit);
      this.#bitmap[unit >> 5] |= run(bit, count);
      unit += count;
    }
  }
}

/** `count` ones from bit `from` on; together at most 32. */
const run = (from: number, count: number): number => (count === 32 ? -1 : ((1 << count) - 1) << from);
