/** The Internet checksum (RFC 1071) done plainly, apart from the library's own. */

/** The pseudo-header of either family, unfolded. */
export function pseudoSum(view: DataView, protocol: number, length: number): number {
  const [from, to] = view.getUint8(0) >> 4 === 4 ? [12, 20] : [8, 40];
  let sum = protocol + (length >>> 16) + (length & 0xffff);
  for (let i = from; i < to; i += 2) sum += view.getUint16(i);
  return sum;
}

/** The ones' complement sum of RFC 1071, word by word. */
export function onesSum(view: DataView, at: number, length: number, start = 0): number {
  let sum = start;
  for (let i = 0; i + 1 < length; i += 2) sum += view.getUint16(at + i);
  if (length % 2 === 1) sum += view.getUint8(at + length - 1) << 8;
  return fold(sum);
}

export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** The checksum field for a message whose field is zero. */
export const plainChecksum = (view: DataView, at: number, length: number, pseudo = 0): number =>
  ~onesSum(view, at, length, pseudo) & 0xffff;
