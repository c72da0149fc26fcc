/**
 * Records on their way from one thread to one other, through shared memory: one side appends, the other reads, each
 * moving only its own end. Whoever finds nothing, or no room, says so in the ring before it rests, and is woken.
 */
const WRITTEN = 0;
const READ = 16;
/** The reader rests until something is written. */
const READER_RESTS = 32;
/** The writer waits until something was read. */
const WRITER_WAITS = 33;
const CONTROL_BYTES = 256;

/** Before each record: type, number of what it is about, a value, bytes that follow. */
const RECORD_BYTES = 16;
const SKIP = 0;

/** Bytes of memory a ring takes up that holds `ringBytes`. */
export const ringMemoryBytes = (ringBytes: number): number => CONTROL_BYTES + ringBytes;

class RingEnd {
  readonly control: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly size: number;

  /** @param ringBytes a power of two */
  constructor(memory: SharedArrayBuffer, at: number, ringBytes: number) {
    this.control = new Int32Array(memory, at, CONTROL_BYTES / 4);
    this.bytes = new Uint8Array(memory, at + CONTROL_BYTES, ringBytes);
    this.view = new DataView(memory, at + CONTROL_BYTES, ringBytes);
    this.size = ringBytes;
  }
}

const spaceOf = (payloadBytes: number): number => (RECORD_BYTES + payloadBytes + 15) & -16;

/** The side that appends. */
export class RingWriter {
  readonly #end: RingEnd;
  readonly #wake: () => void;
  #written: number;
  /** How far the reader was when this side last looked. */
  #seenRead = 0;
  /** Where the record begun lies. */
  #at = 0;

  /** @param wake called when the reader rests and must be told of a record */
  constructor(place: RingPlace, wake: () => void) {
    this.#end = new RingEnd(place.memory, place.at, place.ringBytes);
    this.#wake = wake;
    this.#written = Atomics.load(this.#end.control, WRITTEN);
  }

  /** Where `begin` lets a payload be written. */
  get bytes(): Uint8Array {
    return this.#end.bytes;
  }

  get view(): DataView {
    return this.#end.view;
  }

  /** The longest payload there is room for now: behind the last record, or at the beginning of the ring. */
  room(): number {
    const { size } = this.#end;
    const free = this.#free();
    const rest = size - (this.#written & (size - 1));
    return Math.max(0, Math.max(Math.min(free, rest), free - rest) - RECORD_BYTES);
  }

  /** Begins a record of `bytes` bytes. @returns where in `bytes` its payload lies; -1 when there is no room */
  begin(type: number, id: number, value: number, bytes: number): number {
    const { size, view } = this.#end;
    const need = spaceOf(bytes);
    const free = this.#free();
    const rest = size - (this.#written & (size - 1));
    const skipped = rest < need ? rest : 0;
    if (free < need + skipped) return -1;
    let at = this.#written & (size - 1);
    if (skipped > 0) {
      view.setInt32(at, SKIP);
      this.#written = (this.#written + skipped) | 0;
      at = 0;
    }
    view.setInt32(at, type);
    view.setInt32(at + 4, id);
    view.setInt32(at + 8, value);
    view.setInt32(at + 12, bytes);
    this.#at = at;
    return at + RECORD_BYTES;
  }

  /** Hands the record begun to the reader. */
  commit(): void {
    const { control, view } = this.#end;
    this.#written = (this.#written + spaceOf(view.getInt32(this.#at + 12))) | 0;
    Atomics.store(control, WRITTEN, this.#written);
    if (Atomics.exchange(control, READER_RESTS, 0) === 1) this.#wake();
  }

  /** Appends a record without payload. @returns false when there is no room */
  put(type: number, id: number, value: number): boolean {
    if (this.begin(type, id, value, 0) < 0) return false;
    this.commit();
    return true;
  }

  /** There was no room: the reader wakes this side when there is. @returns false when there is room already */
  await(): boolean {
    const { control } = this.#end;
    Atomics.store(control, WRITER_WAITS, 1);
    // What was read since this side last looked has woken nobody.
    return Atomics.load(control, READ) === this.#seenRead;
  }

  #free(): number {
    this.#seenRead = Atomics.load(this.#end.control, READ);
    return this.#end.size - ((this.#written - this.#seenRead) | 0);
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
  readonly #end: RingEnd;
  readonly #wake: () => void;
  #read: number;
  /** Where reading goes on when the record at hand is given back. */
  #next: number;

  /** @param wake called when the writer waits for room and there is some again */
  constructor(place: RingPlace, wake: () => void) {
    this.#end = new RingEnd(place.memory, place.at, place.ringBytes);
    this.#wake = wake;
    this.#read = Atomics.load(this.#end.control, READ);
    this.#next = this.#read;
  }

  get bytes(): Uint8Array {
    return this.#end.bytes;
  }

  get view(): DataView {
    return this.#end.view;
  }

  /** Gives the record at hand back, and aims at the next. @returns false when there is none */
  next(): boolean {
    const { control, view, size } = this.#end;
    if (this.#next !== this.#read) {
      this.#read = this.#next;
      Atomics.store(control, READ, this.#read);
      if (Atomics.exchange(control, WRITER_WAITS, 0) === 1) this.#wake();
    }
    if (Atomics.load(control, WRITTEN) === this.#read) return false;
    let at = this.#read & (size - 1);
    if (view.getInt32(at) === SKIP) {
      this.#read = (this.#read + size - at) | 0;
      at = 0;
    }
    this.type = view.getInt32(at);
    this.id = view.getInt32(at + 4);
    this.value = view.getInt32(at + 8);
    this.length = view.getInt32(at + 12);
    this.at = at + RECORD_BYTES;
    this.#next = (this.#read + spaceOf(this.length)) | 0;
    return true;
  }

  /** Nothing was left: the writer wakes this side. @returns false when something has come meanwhile */
  rest(): boolean {
    const { control } = this.#end;
    Atomics.store(control, READER_RESTS, 1);
    if (Atomics.load(control, WRITTEN) === this.#read) return true;
    // Unless the writer has seen it, and calls.
    return Atomics.exchange(control, READER_RESTS, 0) === 0;
  }
}

/** Where a ring lies. */
export interface RingPlace {
  readonly memory: SharedArrayBuffer;
  readonly at: number;
  readonly ringBytes: number;
}
