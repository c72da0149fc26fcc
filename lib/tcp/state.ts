/** The eleven states of a connection and the moves between them (RFC 9293 §3.3.2, Figure 5). */

/** The states of a connection (RFC 9293 §3.3.2). */
export const TcpState = {
  /** There is no connection, or none any more. */
  CLOSED: 0,
  /** A listener waits for connections; no connection has this state. */
  LISTEN: 1,
  /** Our SYN waits for its answer. */
  SYN_SENT: 2,
  /** Both SYNs are known, and ours is not acknowledged. */
  SYN_RECEIVED: 3,
  /** Text may go both ways. */
  ESTABLISHED: 4,
  /** We have finished sending; our FIN is not acknowledged. */
  FIN_WAIT_1: 5,
  /** Our FIN is acknowledged, and the peer may still send. */
  FIN_WAIT_2: 6,
  /** The peer has finished sending, and we may still send. */
  CLOSE_WAIT: 7,
  /** Both have finished at once; our FIN is not acknowledged. */
  CLOSING: 8,
  /** Both have finished, the peer first; our FIN is not acknowledged. */
  LAST_ACK: 9,
  /** Both have finished; what is old may still arrive. */
  TIME_WAIT: 10,
} as const;
export type TcpState = (typeof TcpState)[keyof typeof TcpState];

const NAMES = Object.keys(TcpState).map((name) => name.replaceAll('_', '-'));

/** As the RFC writes it: `SYN-SENT`. */
export const stateName = (state: TcpState): string => NAMES[state];

/** What moves a connection. */
export type TcpEvent =
  | 'activeOpen'
  | 'passiveOpen'
  | 'rcvSyn'
  | 'rcvSynAck'
  | 'rcvAckOfSyn'
  | 'close'
  | 'rcvFin'
  | 'rcvAckOfFin'
  | 'reset'
  | 'timeout';

const S = TcpState;

/** The moves of RFC 9293 Figure 5. An absent pair is no move. */
const MOVES: Readonly<Record<TcpState, Partial<Record<TcpEvent, TcpState>>>> = {
  [S.CLOSED]: { activeOpen: S.SYN_SENT, passiveOpen: S.LISTEN },
  [S.LISTEN]: { rcvSyn: S.SYN_RECEIVED, close: S.CLOSED },
  [S.SYN_SENT]: {
    rcvSynAck: S.ESTABLISHED,
    rcvSyn: S.SYN_RECEIVED,
    close: S.CLOSED,
    reset: S.CLOSED,
    timeout: S.CLOSED,
  },
  [S.SYN_RECEIVED]: {
    rcvAckOfSyn: S.ESTABLISHED,
    close: S.FIN_WAIT_1,
    rcvFin: S.CLOSE_WAIT,
    reset: S.CLOSED,
    timeout: S.CLOSED,
  },
  [S.ESTABLISHED]: { close: S.FIN_WAIT_1, rcvFin: S.CLOSE_WAIT, reset: S.CLOSED, timeout: S.CLOSED },
  [S.FIN_WAIT_1]: { rcvAckOfFin: S.FIN_WAIT_2, rcvFin: S.CLOSING, reset: S.CLOSED, timeout: S.CLOSED },
  [S.FIN_WAIT_2]: { rcvFin: S.TIME_WAIT, reset: S.CLOSED, timeout: S.CLOSED },
  [S.CLOSE_WAIT]: { close: S.LAST_ACK, reset: S.CLOSED, timeout: S.CLOSED },
  [S.CLOSING]: { rcvAckOfFin: S.TIME_WAIT, reset: S.CLOSED, timeout: S.CLOSED },
  [S.LAST_ACK]: { rcvAckOfFin: S.CLOSED, reset: S.CLOSED, timeout: S.CLOSED },
  [S.TIME_WAIT]: { timeout: S.CLOSED, reset: S.CLOSED },
};

export const nextState = (state: TcpState, event: TcpEvent): TcpState | undefined => MOVES[state][event];

/** RFC 9293 §3.4: both sides have agreed on sequence numbers. */
export const isSynchronized = (state: TcpState): boolean => state >= S.ESTABLISHED;

/** The peer may still send text. */
export const mayReceive = (state: TcpState): boolean =>
  state === S.ESTABLISHED || state === S.FIN_WAIT_1 || state === S.FIN_WAIT_2;

/** Our FIN has not been asked for: text may still be written. */
export const mayWrite = (state: TcpState): boolean =>
  state === S.SYN_SENT || state === S.SYN_RECEIVED || state === S.ESTABLISHED || state === S.CLOSE_WAIT;
