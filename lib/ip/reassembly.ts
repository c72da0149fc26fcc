/**
 * Putting fragments together again, both families alike (RFC 791 §3.2, RFC 815, RFC 8200 §4.5, RFC 5722).
 *
 * A datagram keeps its fragments as they came and a bitmap of the eight-byte units that are there: a
 * fragment costs what its bytes cost, however many came before (CVE-2018-5391). Overlaps end the datagram.
 * Memory, datagrams, distance and time are bounded, and the hash that finds a datagram is keyed.
 */
import { NEVER } from '../base/clock.js';
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import { DropReason, type StackStats } from '../base/stats.js';
import { ChecksumState, IpPacket } from '../wire/ip-packet.js';
import { writeIpv4Checksum } from '../wire/ipv4.js';
import { IPV6_HEADER_BYTES } from '../wire/ipv6.js';
import { Datagram, type FragmentInfo, FragmentSource } from './datagram.js';
import type { IpOptions } from './options.js';

const BUCKETS = 1024;
const MAX_PAYLOAD = 65_535;
/** Behind the largest header there is room for the largest payload. */
const ROOM_BYTES = 66_000;
const CE = 3;
/** Bits of what ECN fields were seen: Not-ECT, ECT(1), ECT(0), CE. */
const SAW_NOT_ECT = 1;
const SAW_CE = 8;

export class Reassembly {
  readonly #stats: StackStats;
  readonly #options: IpOptions;
  readonly #hash: TableHash;
  readonly #buckets: (Datagram | undefined)[] = new Array<Datagram | undefined>(BUCKETS).fill(undefined);
  readonly #sources: (FragmentSource | undefined)[] = new Array<FragmentSource | undefined>(BUCKETS).fill(
    undefined,
  );
  /** Incomplete datagrams of each family, oldest first. All of one family wait equally long. */
  readonly #queues = { 4: new Set<Datagram>(), 6: new Set<Datagram>() };
  #count = 0;
  #room: Uint8Array | undefined;
  #roomView: DataView | undefined;
  /** The datagram put together last; lent until the next. */
  readonly #whole = new IpPacket();

  constructor(env: { random: Random; stats: StackStats; options: IpOptions }) {
    this.#stats = env.stats;
    this.#options = env.options;
    this.#hash = new TableHash(env.random);
  }

  /** Incomplete datagrams. */
  get size(): number {
    return this.#count;
  }

  /** Datagrams that share a hash, where most do: what a lookup may cost. */
  get longestChain(): number {
    let longest = 0;
    for (const head of this.#buckets) {
      let length = 0;
      for (let datagram = head; datagram !== undefined; datagram = datagram.next) length++;
      longest = Math.max(longest, length);
    }
    return longest;
  }

  /** Whether a packet is one that was put together here. */
  isOurs(packet: IpPacket): boolean {
    return packet === this.#whole;
  }

  /** When the oldest datagram has waited long enough, µs. */
  get nextDeadlineUs(): number {
    return Math.min(
      oldest(this.#queues[4])?.deadlineUs ?? NEVER,
      oldest(this.#queues[6])?.deadlineUs ?? NEVER,
    );
  }

  /**
   * Takes a fragment. Reasons to drop it are counted here.
   * @returns the datagram it completed, aimed at memory that is lent until the next call
   */
  accept(packet: IpPacket, info: FragmentInfo): IpPacket | undefined {
    const ip = this.#stats.ip;
    ip.reasmReqds++;
    const hash = this.#hashOf(packet, info);
    const bad = info.dataBytes === 0 || (info.more && (info.dataBytes & 7) !== 0);
    if (bad) return this.#refuse(DropReason.FragmentSize);
    let datagram = this.#find(packet, info, hash);
    if (info.offset + info.dataBytes > MAX_PAYLOAD) {
      if (datagram !== undefined) this.#abandon(datagram);
      return this.#refuse(DropReason.FragmentSize);
    }
    if (datagram?.isDead === true) return this.#refuse(DropReason.FragmentOverlap);
    if (datagram !== undefined && this.#isFar(datagram)) {
      this.#abandon(datagram);
      this.#stats.drop(DropReason.FragmentDistance);
      datagram = undefined;
    }
    datagram ??= this.#create(packet, info, hash);
    const verdict = datagram.judge(info);
    if (verdict === DropReason.FragmentDuplicate) {
      this.#stats.drop(verdict);
      return undefined;
    }
    if (verdict !== DropReason.None) {
      this.#spoil(datagram);
      return this.#refuse(verdict);
    }
    this.#charge(datagram, datagram.take(packet, info));
    if (datagram.isComplete) return this.#complete(datagram, packet);
    this.#makeRoom();
    return undefined;
  }

  /** Drops datagrams that have waited too long; `report` hears of each whose first fragment is here. */
  expire(nowUs: number, report: (packet: IpPacket) => void): void {
    for (const queue of [this.#queues[4], this.#queues[6]]) {
      for (const datagram of queue) {
        if (datagram.deadlineUs > nowUs) break;
        const first = datagram.isDead ? undefined : this.#firstFragment(datagram, nowUs);
        if (!datagram.isDead) {
          this.#stats.ip.reasmTimeout++;
          this.#stats.ip.reasmFails++;
          this.#stats.drop(DropReason.FragmentTimeout);
        }
        this.#remove(datagram);
        if (first !== undefined) report(first);
      }
    }
  }

  #refuse(reason: DropReason): undefined {
    this.#stats.ip.reasmFails++;
    this.#stats.drop(reason);
    return undefined;
  }

  #hashOf(packet: IpPacket, info: FragmentInfo): number {
    const source = packet.s0 ^ packet.s1 ^ packet.s3;
    const destination = packet.d0 ^ packet.d1 ^ packet.d3;
    return this.#hash.hash3(source, destination, info.identification) & (BUCKETS - 1);
  }

  #find(packet: IpPacket, info: FragmentInfo, hash: number): Datagram | undefined {
    let datagram = this.#buckets[hash];
    while (datagram !== undefined && !datagram.isOf(packet, info)) datagram = datagram.next;
    return datagram;
  }

  #create(packet: IpPacket, info: FragmentInfo, hash: number): Datagram {
    if (this.#count >= this.#options.reassemblyDatagrams) this.#evictOldest();
    const waitMs = packet.version === 4 ? this.#options.reassemblyMs4 : this.#options.reassemblyMs6;
    const source = this.#sourceOf(packet);
    const datagram = new Datagram(packet, info, { source, hash, deadlineUs: packet.nowUs + waitMs * 1000 });
    datagram.next = this.#buckets[hash];
    this.#buckets[hash] = datagram;
    this.#queues[packet.version].add(datagram);
    this.#count++;
    this.#charge(datagram, Datagram.OVERHEAD_BYTES);
    source.datagrams++;
    datagram.turn = ++source.turn;
    return datagram;
  }

  /** Whether so many fragments of other datagrams came between that its identification may be in use again. */
  #isFar(datagram: Datagram): boolean {
    const distance = ++datagram.source.turn - datagram.turn;
    datagram.turn = datagram.source.turn;
    return this.#options.reassemblyDistance > 0 && distance > this.#options.reassemblyDistance;
  }

  #sourceOf(packet: IpPacket): FragmentSource {
    const hash = this.#hash.hash3(packet.s0 ^ packet.s1, packet.s2, packet.s3) & (BUCKETS - 1);
    let source = this.#sources[hash];
    while (source !== undefined && !source.isOf(packet)) source = source.next;
    if (source !== undefined) return source;
    const made = new FragmentSource(packet, hash);
    made.next = this.#sources[hash];
    this.#sources[hash] = made;
    return made;
  }

  #charge(datagram: Datagram, bytes: number): void {
    datagram.memoryBytes += bytes;
    this.#stats.ip.reasmBytes += bytes;
  }

  /** Above the high watermark the oldest go, of whichever family, until the low one is reached. */
  #makeRoom(): void {
    if (this.#stats.ip.reasmBytes <= this.#options.reassemblyHighBytes) return;
    while (this.#count > 0 && this.#stats.ip.reasmBytes > this.#options.reassemblyLowBytes)
      this.#evictOldest();
  }

  #evictOldest(): void {
    const four = oldest(this.#queues[4]);
    const six = oldest(this.#queues[6]);
    const victim = four === undefined || (six !== undefined && six.createdUs < four.createdUs) ? six : four;
    if (victim === undefined) return;
    this.#abandon(victim);
    this.#stats.drop(DropReason.FragmentLimit);
  }

  #abandon(datagram: Datagram): void {
    if (!datagram.isDead) this.#stats.ip.reasmFails++;
    this.#remove(datagram);
  }

  /**
   * Ends a datagram that contradicts itself. Of IPv6 its identification stays known until its time is up,
   * so that fragments still to come are discarded with it (RFC 5722 §4); an IPv4 identification is too
   * short for that.
   */
  #spoil(datagram: Datagram): void {
    if (datagram.version === 4) {
      this.#remove(datagram);
      return;
    }
    this.#charge(datagram, -datagram.kill());
  }

  #remove(datagram: Datagram): void {
    this.#stats.ip.reasmBytes -= datagram.memoryBytes;
    datagram.memoryBytes = 0;
    this.#queues[datagram.version].delete(datagram);
    this.#count--;
    this.#buckets[datagram.hash] = without(this.#buckets[datagram.hash], datagram);
    const { source } = datagram;
    if (--source.datagrams === 0) this.#sources[source.hash] = without(this.#sources[source.hash], source);
  }

  /** Puts a datagram together and takes it off the books. */
  #complete(datagram: Datagram, last: IpPacket): IpPacket | undefined {
    this.#remove(datagram);
    const { header, totalBytes } = datagram;
    const tooBig =
      header.length + totalBytes > (datagram.version === 4 ? MAX_PAYLOAD : MAX_PAYLOAD + IPV6_HEADER_BYTES);
    if (tooBig) return this.#refuse(DropReason.FragmentSize);
    // RFC 3168 §5.3: what is not ECN-capable does not mix with what is.
    if ((datagram.sawEcn & SAW_NOT_ECT) !== 0 && datagram.sawEcn !== SAW_NOT_ECT) {
      return this.#refuse(DropReason.FragmentEcn);
    }
    const { bytes, view } = this.#memory();
    bytes.set(header);
    datagram.copyTo(bytes, header.length);
    const whole = this.#whole;
    whole.aim(bytes, view, 0, header.length + totalBytes);
    this.#copyFields(whole, last, datagram);
    whole.trafficClass = datagram.trafficClass | ((datagram.sawEcn & SAW_CE) !== 0 ? CE : 0);
    if (datagram.version === 4) finishHeader4(view, header.length, whole.length, whole.trafficClass);
    else finishHeader6(view, datagram, whole);
    this.#stats.ip.reasmOKs++;
    return whole;
  }

  #copyFields(whole: IpPacket, from: IpPacket, datagram: Datagram): void {
    whole.link = from.link;
    whole.checksum = ChecksumState.Unknown;
    whole.segmentSize = 0;
    whole.mark = from.mark;
    whole.nowUs = from.nowUs;
    whole.version = datagram.version;
    whole.s0 = datagram.s0;
    whole.s1 = datagram.s1;
    whole.s2 = datagram.s2;
    whole.s3 = datagram.s3;
    whole.d0 = datagram.d0;
    whole.d1 = datagram.d1;
    whole.d2 = datagram.d2;
    whole.d3 = datagram.d3;
    whole.cast = from.cast;
    whole.isForeign = from.isForeign;
    whole.isDeclined = false;
    whole.hopLimit = datagram.hopLimit;
    whole.protocol = datagram.nextHeader;
    whole.payloadAt = datagram.header.length;
    whole.payloadBytes = whole.length - datagram.header.length;
  }

  /** The first fragment as it came in, for a Time Exceeded that quotes it; undefined when it never came. */
  #firstFragment(datagram: Datagram, nowUs: number): IpPacket | undefined {
    const first = datagram.firstFragment();
    if (first === undefined) return undefined;
    const { bytes, view } = this.#memory();
    bytes.set(first);
    const packet = this.#whole;
    packet.aim(bytes, view, 0, first.length);
    this.#copyFields(packet, packet, datagram);
    packet.link = datagram.link;
    packet.nowUs = nowUs;
    packet.cast = datagram.cast;
    return packet;
  }

  #memory(): { bytes: Uint8Array; view: DataView } {
    this.#room ??= new Uint8Array(ROOM_BYTES);
    this.#roomView ??= new DataView(this.#room.buffer);
    return { bytes: this.#room, view: this.#roomView };
  }
}

const oldest = (queue: Set<Datagram>): Datagram | undefined => queue.values().next().value;

/** A chain with one link taken out. */
function without<T extends { next: T | undefined }>(head: T | undefined, gone: T): T | undefined {
  if (head === gone) return gone.next;
  for (let link = head; link !== undefined; link = link.next) {
    if (link.next === gone) link.next = gone.next;
  }
  return head;
}

/** RFC 791 §3.2: total length and checksum anew, no flags, no offset. */
function finishHeader4(view: DataView, headerBytes: number, totalBytes: number, trafficClass: number): void {
  view.setUint8(1, trafficClass);
  view.setUint16(2, totalBytes);
  view.setUint16(6, 0);
  writeIpv4Checksum(view, 0, headerBytes);
}

/** RFC 8200 §4.5: payload length anew, and the Fragment header skipped over. */
function finishHeader6(view: DataView, datagram: Datagram, whole: IpPacket): void {
  view.setUint16(4, whole.length - IPV6_HEADER_BYTES);
  view.setUint8(datagram.nextHeaderOffset, datagram.nextHeader);
  view.setUint16(0, (view.getUint16(0) & 0xf00f) | (whole.trafficClass << 4));
  // The chain of headers is walked again from the start.
  whole.protocol = view.getUint8(6);
  whole.payloadAt = IPV6_HEADER_BYTES;
  whole.payloadBytes = whole.length - IPV6_HEADER_BYTES;
}
