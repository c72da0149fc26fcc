/** What a receiver owes for the congestion mark of what arrived, or for the lack of one; bits. */
export const AckDuty = {
  None: 0,
  /** An ACK at once. */
  Now: 1,
  /** The next segments acknowledged one by one. */
  Quick: 2,
} as const;
