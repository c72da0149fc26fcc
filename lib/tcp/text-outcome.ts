/** What became of a segment's text. */
export const TextOutcome = {
  /** There was none, or none that is new. */
  Nothing: 0,
  /** It continued the stream. */
  InOrder: 1,
  /** It continued the stream and filled a gap: acknowledge at once (RFC 5681 §4.2). */
  FilledGap: 2,
  /** It lies beyond a gap. */
  OutOfOrder: 3,
  /** It lies behind more gaps than there may be. */
  Refused: 4,
  /** There was no memory for it. */
  NoMemory: 5,
  /** It lies beyond a gap, and does no more than prolong the SACK block reported first. */
  Prolonged: 6,
} as const;
export type TextOutcome = (typeof TextOutcome)[keyof typeof TextOutcome];
