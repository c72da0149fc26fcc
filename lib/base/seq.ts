/**
 * TCP sequence numbers and their arithmetic (RFC 9293 §3.4).
 *
 * The number space is a circle of 2^32 points. A point is held as a signed 32-bit integer, which V8
 * keeps as a small integer; `>>> 0` is for printing only. Differences are meaningful while two points
 * lie less than 2^31 apart, which windows of at most 2^30 bytes guarantee.
 */
export type Seq = number & { readonly __unit: 'seq' };

/** Any integer as a point on the circle. */
export const seq = (value: number): Seq => (value | 0) as Seq;

export const seqAdd = (a: Seq, bytes: number): Seq => ((a + bytes) | 0) as Seq;

/** Bytes from `b` up to `a`; negative when `a` lies before `b`. */
export const seqDiff = (a: Seq, b: Seq): number => (a - b) | 0;

export const seqLt = (a: Seq, b: Seq): boolean => ((a - b) | 0) < 0;
export const seqLe = (a: Seq, b: Seq): boolean => ((a - b) | 0) <= 0;
export const seqGt = (a: Seq, b: Seq): boolean => ((a - b) | 0) > 0;
export const seqGe = (a: Seq, b: Seq): boolean => ((a - b) | 0) >= 0;

export const seqMax = (a: Seq, b: Seq): Seq => (((a - b) | 0) >= 0 ? a : b);
export const seqMin = (a: Seq, b: Seq): Seq => (((a - b) | 0) <= 0 ? a : b);

/** Whether `a` lies in the half-open window `[start, start + size)`. */
export const seqInWindow = (a: Seq, start: Seq, size: number): boolean => (a - start) >>> 0 < size;
