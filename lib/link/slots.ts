/** Changes to the slots of a batch that links make on the way. */
import { BATCH_HEADER_WORDS, BatchWord, type PacketBatch, SLOT_WORDS, SlotWord } from './packet-batch.js';

const slotAt = (i: number): number => BATCH_HEADER_WORDS + i * SLOT_WORDS;

/** Says anew what is known of a packet's transport checksum. */
export function setChecksumState(batch: PacketBatch, i: number, state: number): void {
  batch.words[slotAt(i) + SlotWord.CHECKSUM] = state;
}

/** Takes away what is known only within one host: the routing mark and the verdict. */
export function forgetHost(batch: PacketBatch, i: number): void {
  batch.words[slotAt(i) + SlotWord.MARK] = 0;
  batch.words[slotAt(i) + SlotWord.VERDICT] = 0;
}

/** Takes the `bytes` before a packet to it: a header. */
export function prepend(batch: PacketBatch, i: number, bytes: number): void {
  batch.words[slotAt(i) + SlotWord.OFFSET] -= bytes;
  batch.words[slotAt(i) + SlotWord.LENGTH] += bytes;
}

/** Moves slot `from` to the place `to`, whose packet is dropped; the bytes stay where they are. */
export function moveSlot(batch: PacketBatch, from: number, to: number): void {
  batch.words.copyWithin(slotAt(to), slotAt(from), slotAt(from) + SLOT_WORDS);
}

/** Drops all slots from `count` on. */
export function truncate(batch: PacketBatch, count: number): void {
  batch.words[BatchWord.COUNT] = count;
}
