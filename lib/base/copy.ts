/**
 * Copies of bytes in and out of shared memory. `TypedArray.set` needs a view for each copy, and on a
 * SharedArrayBuffer V8 moves bytes one machine word at a time with atomic loads; eight words a turn
 * through DataViews are a third faster there, need no alignment, and allocate nothing.
 */

/** Bytes moved in one turn of the loop. */
const TURN_BYTES = 32;

/** Copies `length` bytes between two memories that do not overlap. */
export function copyBytes(
  source: DataView,
  from: number,
  target: DataView,
  to: number,
  length: number,
): void {
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
