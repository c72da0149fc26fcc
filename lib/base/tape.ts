/**
 * What an object remembers, folded into as little memory as it takes, and unfolded again. Parts of what is folded
 * have one method, which passes each of their fields to the tape and takes what it answers: while the tape
 * records, that is the same value, and when it plays, the one that was recorded. So both ways cannot differ.
 *
 * Most fields of something at rest are as they were in the beginning. For each field one bit says whether it
 * is, and only the others take eight bytes.
 */

/** Bits in a word of them: the sign is not used, so that every word is a small integer. */
const BITS = 30;

/** What was recorded: words of bits, each followed by the numbers it announces; and what is no number. */
export interface Recording {
  readonly numbers: readonly number[];
  readonly objects: readonly unknown[];
}

const NO_OBJECTS: readonly unknown[] = Object.freeze([]);

export class Tape {
  #isRecording = false;
  /**
   * What is recorded grows here, for all recordings; one takes a copy of exactly its size. Filled with no integers:
   * V8 holds doubles in place then, eight bytes each.
   */
  readonly #room: number[] = Array.from({ length: 256 }, () => 0.5);
  #numbers: readonly number[] = this.#room;
  #objects: readonly unknown[] = NO_OBJECTS;
  #found: unknown[] = [];
  #nextNumber = 0;
  #nextObject = 0;
  /** Place of the word of bits in hand, the word, and how many of its bits have been passed. */
  #wordAt = 0;
  #word = 0;
  #bit = 0;

  /** What is passed from now on, until `taken`, is recorded. */
  record(): void {
    this.#isRecording = true;
    this.#nextNumber = 1;
    this.#begin(0);
  }

  /** Ends a recording. */
  taken(): Recording {
    this.#room[this.#wordAt] = this.#word;
    const found = this.#found;
    const objects = found.length === 0 ? NO_OBJECTS : found;
    if (found.length > 0) this.#found = [];
    return { numbers: this.#room.slice(0, this.#nextNumber), objects };
  }

  /** What is passed from now on is answered from a recording. */
  play(recording: Recording): void {
    this.#isRecording = false;
    this.#numbers = recording.numbers;
    this.#objects = recording.objects;
    this.#nextNumber = 1;
    this.#nextObject = 0;
    this.#begin(0);
    this.#word = this.#numbers[0];
  }

  /** A number; nothing is kept of one that is `usual`, which must be known when playing too. */
  number(value: number, usual: number): number {
    if (this.#isRecording) {
      const isUsual = Object.is(value, usual);
      this.#mark(isUsual);
      if (!isUsual) this.#room[this.#nextNumber++] = value;
      return value;
    }
    return this.#isMarked() ? this.#numbers[this.#nextNumber++] : usual;
  }

  /** A truth, usually false. */
  flag(value: boolean): boolean {
    if (this.#isRecording) {
      this.#mark(!value);
      return value;
    }
    return this.#isMarked();
  }

  /** What is kept as it is: no number, or something whose kind has no way to be folded. */
  object<T>(value: T | undefined): T | undefined {
    if (this.#isRecording) {
      this.#mark(value === undefined);
      if (value !== undefined) this.#found.push(value);
      return value;
    }
    return this.#isMarked() ? (this.#objects[this.#nextObject++] as T) : undefined;
  }

  #begin(at: number): void {
    this.#wordAt = at;
    this.#word = 0;
    this.#bit = 0;
  }

  #mark(isUsual: boolean): void {
    if (this.#bit === BITS) {
      this.#room[this.#wordAt] = this.#word;
      this.#room[this.#nextNumber] = 0;
      this.#begin(this.#nextNumber++);
    }
    if (!isUsual) this.#word |= 1 << this.#bit;
    this.#bit++;
  }

  #isMarked(): boolean {
    if (this.#bit === BITS) {
      this.#begin(this.#nextNumber);
      this.#word = this.#numbers[this.#nextNumber++];
    }
    return (this.#word & (1 << this.#bit++)) !== 0;
  }
}
