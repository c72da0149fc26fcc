/**
 * Copies of bytes: without garbage where there is little to copy, at the speed of memory where there is
 * much. `TypedArray.set` moves 64 KiB in 0.6 µs, but wants a view of just these bytes, 100 bytes and 40 ns
 * of it; eight words a turn through DataViews want none, at a seventh of that speed, or a fifteenth once
 * anything in the process has detached an ArrayBuffer: then V8 looks at every access whether it still may.
 */

/** Bytes moved in one turn of the loop. */
const TURN_BYTES = 32;
/** From here on views are soon earned back. A segment on an Ethernet stays below: a packet costs no garbage. */
const VIEW_BYTES = 2048;

/** Copies `length` bytes between two memories that do not overlap. */
export function copyBytes(
  source: DataView,
  from: number,
  target: DataView,
  to: number,
  length: number,
): void {
  if (length < VIEW_BYTES) copyWords(source, from, target, to, length);
  else viewOf(target, to, length).set(viewOf(source, from, length));
}

const viewOf = (memory: DataView, at: number, length: number): Uint8Array =>
  new Uint8Array(memory.buffer, memory.byteOffset + at, length);

function copyWords(source: DataView, from: number, target: DataView, to: number, length: number): void {
  const turns = length & -TURN_BYTES;
  let done = 0;
  for (; done < turns; done += TURN_BYTES) copyTurn(source, from + done, target, to + done);
  for (; done + 4 <= length; done += 4) target.setInt32(to + done, source.getInt32(from + done, true), true);
  for (; done < length; done++) target.setUint8(to + done, source.getUint8(from + done));
}

function copyTurn(source: DataView, from: number, target: DataView, to: number): void {
  target.setInt32(to, source.getInt32(from, true), true);
  target.setInt32(to + 4, source.getInt32(from + 4, true), true);
  target.setInt32(to + 8, source.getInt32(from + 8, true), true);
  target.setInt32(to + 12, source.getInt32(from + 12, true), true);
  target.setInt32(to + 16, source.getInt32(from + 16, true), true);
  target.setInt32(to + 20, source.getInt32(from + 20, true), true);
  target.setInt32(to + 24, source.getInt32(from + 24, true), true);
  target.setInt32(to + 28, source.getInt32(from + 28, true), true);
}
