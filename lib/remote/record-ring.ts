/**
 * Records on their way from one thread to one other: whoever finds nothing, or no room, says so in the ring before it
 * rests, and is woken.
 */
import { RECORD_BYTES, type RingPlace, recordSpace, SharedRing } from '../base/shared-ring.js';

/** The reader rests until something is written. */
const READER_RESTS = SharedRing.FREE_WORDS;
/** The writer waits until something was read. */
const WRITER_WAITS = SharedRing.FREE_WORDS + 1;

// Before each record: type, number of what it is about, a value, bytes that follow.

const decoder = new TextDecoder();

/** The side that appends. */
export class RingWriter {
  readonly #ring: SharedRing;
  readonly #wake: () => void;
  #written: number;
  /** How far the reader was when this side last looked. */
  #seenRead = 0;
  /** Where the record begun lies. */
  #at = 0;

  /** @param wake called when the reader rests and must be told of a record */
  constructor(place: RingPlace, wake: () => void) {
    this.#ring = new SharedRing(place);
    this.#wake = wake;
    this.#written = this.#ring.written;
  }

  /** Where `begin` lets a payload be written. */
  get bytes(): Uint8Array {
    return this.#ring.bytes;
  }

  /** The longest payload there is room for now: behind the last record, or at the beginning of the ring. */
  room(): number {
    const { size } = this.#ring;
    this.#seenRead = this.#ring.read;
    const free = size - ((this.#written - this.#seenRead) | 0);
    const rest = size - this.#ring.offset(this.#written);
    return Math.max(0, Math.max(Math.min(free, rest), free - rest) - RECORD_BYTES);
  }

  /** Begins a record of `bytes` bytes. @returns where in `bytes` its payload lies; -1 when there is no room */
  begin(type: number, id: number, value: number, bytes: number): number {
    const ring = this.#ring;
    const { view } = ring;
    const space = recordSpace(bytes);
    this.#seenRead = ring.read;
    if (!ring.fits(space, this.#written, this.#seenRead)) return -1;
    this.#written = ring.place(space, this.#written);
    const at = ring.offset(this.#written);
    view.setInt32(at, type);
    view.setInt32(at + 4, id);
    view.setInt32(at + 8, value);
    view.setInt32(at + 12, bytes);
    this.#at = at;
    return at + RECORD_BYTES;
  }

  /** Hands the record begun to the reader. */
  commit(): void {
    const ring = this.#ring;
    this.#written = (this.#written + recordSpace(ring.view.getInt32(this.#at + 12))) | 0;
    ring.written = this.#written;
    if (Atomics.exchange(ring.control, READER_RESTS, 0) === 1) this.#wake();
  }

  /** Appends a record without payload. @returns false when there is no room */
  put(type: number, id: number, value: number): boolean {
    if (this.begin(type, id, value, 0) < 0) return false;
    this.commit();
    return true;
  }

  /** There was no room: the reader wakes this side when there is. @returns false when there is room already */
  await(): boolean {
    Atomics.store(this.#ring.control, WRITER_WAITS, 1);
    // What was read since this side last looked has woken nobody.
    return this.#ring.read === this.#seenRead;
  }
}

/** The side that reads: `next` aims it at a record, which is lent until the next call. */
export class RingReader {
  type = 0;
  id = 0;
  value = 0;
  /** Where in `bytes` the payload lies, and how long it is. */
  at = 0;
  length = 0;
  readonly #ring: SharedRing;
  readonly #wake: () => void;
  #read: number;
  /** Where reading goes on when the record at hand is given back. */
  #next: number;

  /** @param wake called when the writer waits for room and there is some again */
  constructor(place: RingPlace, wake: () => void) {
    this.#ring = new SharedRing(place);
    this.#wake = wake;
    this.#read = this.#ring.read;
    this.#next = this.#read;
  }

  get bytes(): Uint8Array {
    return this.#ring.bytes;
  }

  get view(): DataView {
    return this.#ring.view;
  }

  /** The payload of the record at hand, as text. */
  text(): string {
    return decoder.decode(this.bytes.slice(this.at, this.at + this.length));
  }

  /** Gives the record at hand back, and aims at the next. @returns false when there is none */
  next(): boolean {
    const ring = this.#ring;
    const { view } = ring;
    if (this.#next !== this.#read) {
      this.#read = this.#next;
      ring.read = this.#read;
      if (Atomics.exchange(ring.control, WRITER_WAITS, 0) === 1) this.#wake();
    }
    if (ring.written === this.#read) return false;
    this.#read = ring.find(this.#read);
    const at = ring.offset(this.#read);
    this.type = view.getInt32(at);
    this.id = view.getInt32(at + 4);
    this.value = view.getInt32(at + 8);
    this.length = view.getInt32(at + 12);
    this.at = at + RECORD_BYTES;
    this.#next = (this.#read + recordSpace(this.length)) | 0;
    return true;
  }

  /** Nothing was left: the writer wakes this side. @returns false when something has come meanwhile */
  rest(): boolean {
    const ring = this.#ring;
    Atomics.store(ring.control, READER_RESTS, 1);
    if (ring.written === this.#read) return true;
    // Unless the writer has seen it, and calls.
    return Atomics.exchange(ring.control, READER_RESTS, 0) === 0;
  }
}
