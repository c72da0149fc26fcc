/**
 * What a translator needs to know of a TCP connection: whether both sides have it, whether it ended. It judges
 * no sequence numbers: those are for the two ends.
 */
import { TcpFlag } from '../wire/tcp.js';

/** What was seen of a session. Of other protocols only `ANSWERED` is used. */
export const Seen = {
  /** A SYN of the inside, and of the outside. */
  SYN_OUT: 1,
  SYN_IN: 2,
  FIN_OUT: 4,
  FIN_IN: 8,
  RST: 16,
  /** Segments behind the handshake. */
  ESTABLISHED: 32,
  /** The session began in the middle of a connection. */
  PICKED_UP: 64,
  /** The side that did not begin has sent something. */
  ANSWERED: 128,
  /** The outside began, through a port forward. */
  INWARD: 256,
} as const;

const BOTH_SYN = Seen.SYN_OUT | Seen.SYN_IN;
const BOTH_FIN = Seen.FIN_OUT | Seen.FIN_IN;

/** Whether a connection has ended, as far as one can see from between. */
export const isOver = (seen: number): boolean => (seen & Seen.RST) !== 0 || (seen & BOTH_FIN) === BOTH_FIN;

/** Whether a connection lives: half-closed ones do, which may last (RFC 5382 §5). */
export const isEstablished = (seen: number): boolean => (seen & Seen.ESTABLISHED) !== 0 && !isOver(seen);

/** What the first segment of a session says, which the inside sent. */
export function beginTcp(flags: number): number {
  if ((flags & TcpFlag.SYN) === 0) return trackTcp(Seen.PICKED_UP, flags, true);
  // SYN and ACK: the answer to a SYN that passed without a session.
  return (flags & TcpFlag.ACK) === 0 ? Seen.SYN_OUT : BOTH_SYN;
}

/** What the first segment of a session says that the outside has begun. */
export const beginTcpInward = (flags: number): number =>
  (flags & (TcpFlag.SYN | TcpFlag.ACK)) === TcpFlag.SYN ? Seen.SYN_IN : 0;

/** Whether nobody inside has said anything yet in what the outside began: any such may go at any time. */
export const isUninvited = (seen: number): boolean => (seen & (Seen.INWARD | Seen.ANSWERED)) === Seen.INWARD;

/** What is known of a session once something has passed from the side that did not begin it. */
export const answered = (seen: number, outward: boolean): number =>
  outward === ((seen & Seen.INWARD) !== 0) ? seen | Seen.ANSWERED : seen;

/** What is known of a session once a segment with `flags` has passed. */
export function trackTcp(seen: number, flags: number, outward: boolean): number {
  if ((flags & TcpFlag.RST) !== 0) return seen | Seen.RST;
  const syn = outward ? Seen.SYN_OUT : Seen.SYN_IN;
  if ((flags & TcpFlag.SYN) !== 0) {
    // The same ports again, for another connection.
    if (isOver(seen) && (flags & TcpFlag.ACK) === 0) return syn | (seen & (Seen.ANSWERED | Seen.INWARD));
    return seen | syn;
  }
  // Who sends on was not reset: an RST may be forged (RFC 7857 §2.2).
  let next = seen & ~Seen.RST;
  // The inside goes on with a connection of which the outside has not shown the beginning.
  if (outward && (next & (BOTH_SYN | Seen.PICKED_UP)) === 0) next |= Seen.PICKED_UP;
  if ((flags & TcpFlag.FIN) !== 0) next |= outward ? Seen.FIN_OUT : Seen.FIN_IN;
  const opened = (next & BOTH_SYN) === BOTH_SYN || (!outward && (next & Seen.PICKED_UP) !== 0);
  return opened && (flags & TcpFlag.ACK) !== 0 ? next | Seen.ESTABLISHED : next;
}
