/**
 * A batch of packets: one arena of bytes and one table of 32-bit words, both lent to the native
 * addon. The layout has every field from the start, so that later offloads need no new one.
 *
 * Slots lie one behind the other, each starting at a multiple of `SLOT_ALIGN` bytes. A batch is lent
 * for one call: whoever is given one must not keep it, its bytes or a view of them.
 */
import { invariant } from '../base/errors.js';
import type { IpAddress } from '../wire/ip-address.js';
import { ChecksumState } from '../wire/ip-packet.js';

/** Words before the first slot. */
export const BatchWord = { COUNT: 0, ERROR: 1, TAIL: 2 } as const;
export const BATCH_HEADER_WORDS = 8;

/** Words of a slot. */
export const SlotWord = {
  /** First byte of the IP header, from the start of the arena. */
  OFFSET: 0,
  /** Bytes of the packet. */
  LENGTH: 1,
  /** A `ChecksumState`. */
  CHECKSUM: 2,
  /** Payload bytes per segment of a super-packet (`gso_size`); 0 for a plain packet. */
  SEGMENT_SIZE: 3,
  /** Bytes of IP and transport header, which every segment of a super-packet repeats; 0 if unknown. */
  HEADER_BYTES: 4,
  /** Routing mark. */
  MARK: 5,
  /** Time stamp of arrival, ns of the monotonic clock, low and high word; 0 when nobody took one. */
  TIME_LOW: 6,
  TIME_HIGH: 7,
  /** Why the stack dropped it (a `DropReason`), written by the stack for recorders. */
  VERDICT: 8,
  /** Where the text at the end of the packet lies in lent memory, how much of it, and which memory that is. */
  TEXT_AT: 9,
  TEXT_BYTES: 10,
  TEXT_MEMORY: 11,
} as const;
export const SLOT_WORDS = 12;
export const SLOT_ALIGN = 8;

/** Pages of a browser that are not isolated have no shared memory; nor have they an addon to borrow it. */
const WordsMemory = typeof SharedArrayBuffer === 'undefined' ? ArrayBuffer : SharedArrayBuffer;

/** The largest IP packet, rounded up to `SLOT_ALIGN`: room that must be free to read one of unknown size. */
export const MAX_PACKET_BYTES = 65_535;
export const MAX_SLOT_BYTES = 65_600;

/**
 * A batch of packets: one arena of bytes and one table of 32-bit words. Slots are numbered from 0. A batch is
 * lent for one call: whoever is given one must not keep it, its bytes or a view of them.
 */
export class PacketBatch {
  /** The arena. */
  readonly bytes: Uint8Array;
  /** The arena, for reading and writing fields. */
  readonly view: DataView;
  /** The table: `BATCH_HEADER_WORDS`, then `SLOT_WORDS` for each of `limit` slots. */
  readonly words: Int32Array;
  /** Most packets it holds. */
  readonly limit: number;
  /** Memories that texts lie in, of packets for a link that gathers them. */
  readonly memories: Uint8Array[] = [];
  /** Bytes left free before each packet that is appended, for a header that a link writes there; 0 but for such a link. */
  headroom = 0;
  /** First hops of packets for a link that resolves them, by slot; absent where that is the destination itself. */
  readonly nextHops: (IpAddress | undefined)[] = [];

  /**
   * @param limit most packets it holds; 64 by default
   * @param arenaBytes bytes for all of them together; 1 MiB by default
   */
  constructor(limit = 64, arenaBytes = 1 << 20) {
    // Ordinary memory: V8 moves bytes of shared memory word by word, four times as slowly.
    const arena = new ArrayBuffer(arenaBytes);
    this.bytes = new Uint8Array(arena);
    this.view = new DataView(arena);
    this.words = new Int32Array(new WordsMemory(4 * (BATCH_HEADER_WORDS + limit * SLOT_WORDS)));
    this.limit = limit;
  }

  /** Packets in it. */
  get count(): number {
    return this.words[BatchWord.COUNT];
  }

  /** First free byte of the arena: where the next packet goes. */
  get tail(): number {
    return this.words[BatchWord.TAIL] + this.headroom;
  }

  /** Bytes left in the arena for one packet more; 0 or less when there are none, 0 when all slots are taken. */
  get room(): number {
    return this.count === this.limit ? 0 : this.bytes.length - this.tail;
  }

  /** Empties it. */
  clear(): void {
    if (this.memories.length > 0) this.memories.length = 0;
    if (this.nextHops.length > 0) this.nextHops.fill(undefined, 0, this.count);
    this.words[BatchWord.COUNT] = 0;
    this.words[BatchWord.ERROR] = 0;
    this.words[BatchWord.TAIL] = 0;
  }

  /** First byte of the IP header of slot `i`, from the start of the arena. */
  offset(i: number): number {
    return this.words[slotAt(i) + SlotWord.OFFSET];
  }

  /** Bytes of the packet in slot `i`. */
  length(i: number): number {
    return this.words[slotAt(i) + SlotWord.LENGTH];
  }

  /** What is known of its transport checksum. */
  checksum(i: number): ChecksumState {
    return this.words[slotAt(i) + SlotWord.CHECKSUM] as ChecksumState;
  }

  /** Payload bytes per segment of a super-packet (`gso_size`); 0 for a plain packet. */
  segmentSize(i: number): number {
    return this.words[slotAt(i) + SlotWord.SEGMENT_SIZE];
  }

  /** Bytes of IP and transport header, which every segment of a super-packet repeats; 0 if unknown. */
  headerBytes(i: number): number {
    return this.words[slotAt(i) + SlotWord.HEADER_BYTES];
  }

  /** Routing mark. */
  mark(i: number): number {
    return this.words[slotAt(i) + SlotWord.MARK];
  }

  /** Sets the routing mark. */
  setMark(i: number, mark: number): void {
    this.words[slotAt(i) + SlotWord.MARK] = mark;
  }

  /** Nanoseconds of the monotonic clock at arrival; 0 when nobody took them. */
  timeNs(i: number): number {
    const at = slotAt(i);
    return this.words[at + SlotWord.TIME_HIGH] * 0x1_0000_0000 + (this.words[at + SlotWord.TIME_LOW] >>> 0);
  }

  /** Says when it arrived, ns of the monotonic clock. */
  setTimeNs(i: number, ns: number): void {
    const at = slotAt(i);
    this.words[at + SlotWord.TIME_LOW] = (ns % 0x1_0000_0000) | 0;
    this.words[at + SlotWord.TIME_HIGH] = Math.floor(ns / 0x1_0000_0000);
  }

  /** Why the stack dropped it, a `DropReason`; 0 when it did not. */
  verdict(i: number): number {
    return this.words[slotAt(i) + SlotWord.VERDICT];
  }

  /** Says why the stack dropped it; for recorders. */
  setVerdict(i: number, reason: number): void {
    this.words[slotAt(i) + SlotWord.VERDICT] = reason;
  }

  /**
   * Makes a slot of the `length` bytes that were written at `tail` (there is room for `room` of them).
   * @returns its index
   */
  append(length: number, checksum: ChecksumState, segmentSize: number, headerBytes: number): number {
    const i = this.count;
    const tail = this.tail;
    invariant(i < this.limit && tail + length <= this.bytes.length, 'a slot fits the batch');
    const at = slotAt(i);
    const words = this.words;
    words[at + SlotWord.OFFSET] = tail;
    words[at + SlotWord.LENGTH] = length;
    words[at + SlotWord.CHECKSUM] = checksum;
    words[at + SlotWord.SEGMENT_SIZE] = segmentSize;
    words[at + SlotWord.HEADER_BYTES] = headerBytes;
    words[at + SlotWord.MARK] = 0;
    words[at + SlotWord.TIME_LOW] = 0;
    words[at + SlotWord.TIME_HIGH] = 0;
    words[at + SlotWord.VERDICT] = 0;
    words[at + SlotWord.TEXT_BYTES] = 0;
    words[BatchWord.COUNT] = i + 1;
    words[BatchWord.TAIL] = (tail + length + SLOT_ALIGN - 1) & -SLOT_ALIGN;
    return i;
  }

  /**
   * Says that the last `length` bytes of the last packet are not in the arena, whose room for them stays free, but in
   * `memory` at `at`, where they must stay as they are until the batch was sent. For links that `gather` only.
   */
  lendText(memory: Uint8Array, at: number, length: number): void {
    const { memories, words } = this;
    if (memories.length === 0 || memories[memories.length - 1] !== memory) memories.push(memory);
    const slot = slotAt(this.count - 1);
    words[slot + SlotWord.TEXT_AT] = at;
    words[slot + SlotWord.TEXT_BYTES] = length;
    words[slot + SlotWord.TEXT_MEMORY] = memories.length - 1;
  }

  /** Copies the text of a packet to where it belongs in the arena, if it lies elsewhere. */
  takeText(i: number): void {
    const { words } = this;
    const slot = slotAt(i);
    const length = words[slot + SlotWord.TEXT_BYTES];
    if (length === 0) return;
    const at = words[slot + SlotWord.TEXT_AT];
    const text = this.memories[words[slot + SlotWord.TEXT_MEMORY]].subarray(at, at + length);
    this.bytes.set(text, this.offset(i) + this.length(i) - length);
    words[slot + SlotWord.TEXT_BYTES] = 0;
  }

  /** Says by which router the last packet goes. For links that `resolves` only. */
  setNextHop(router: IpAddress): void {
    // Made once, and for all slots: a list that grew each time would leave garbage.
    if (this.nextHops.length === 0) for (let i = 0; i < this.limit; i++) this.nextHops.push(undefined);
    this.nextHops[this.count - 1] = router;
  }

  /** Appends a copy of slot `i` of another batch, its metadata included. */
  appendCopy(from: PacketBatch, i: number): number {
    const offset = from.offset(i);
    const length = from.length(i);
    this.bytes.set(from.bytes.subarray(offset, offset + length), this.tail);
    const copy = this.append(length, from.checksum(i), from.segmentSize(i), from.headerBytes(i));
    this.words[slotAt(copy) + SlotWord.MARK] = from.mark(i);
    return copy;
  }

  /** Appends a copy of `packet`, of which nothing else is known. */
  appendPacket(packet: Uint8Array, checksum: ChecksumState = ChecksumState.Unknown): number {
    this.bytes.set(packet, this.tail);
    return this.append(packet.length, checksum, 0, 0);
  }
}

const slotAt = (i: number): number => BATCH_HEADER_WORDS + i * SLOT_WORDS;
