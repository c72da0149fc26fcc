/** What the two sides of a stack in another thread say to each other. */
import { type RingPlace, SharedRing } from '../base/shared-ring.js';

/** Types of records, about a connection unless it says otherwise. */
export const Say = {
  /** Text; both ways. */
  Data: 1,
  /** `value` bytes more may be sent this way: so many of those that came were consumed; both ways. */
  Credit: 2,
  // From the application.
  /** A FIN follows what was written. */
  Shutdown: 3,
  ShutdownRead: 4,
  /** It is given up; `value` is how many bytes were consumed, modulo 2^32. */
  Close: 5,
  Abort: 6,
  /** A setting: the payload is a `SettingCall`, as JSON. */
  Setting: 7,
  /** About a listener: it may give `value` connections more. */
  Accepted: 8,
  // From the stack.
  Connected: 16,
  /** The peer has finished sending. */
  Ended: 17,
  /** It is over: the payload is the code of the error, or nothing. */
  Over: 18,
  /** A soft error: the payload is its code. */
  Trouble: 19,
  /** Everything that was written is acknowledged. */
  Drained: 20,
  /** A `Close` was heard. The number is free. */
  Gone: 21,
  /** About a listener: the payload is its `Ends`, as JSON; `value` its number. */
  Accept: 22,
  /** About the stack: `value` 1, it has something to deliver and must live; 0, no longer. */
  Hold: 23,
} as const;

/** A call of a method that only sets something. */
export type SettingCall = readonly [method: string, ...args: unknown[]];

/** What is known of a connection from its beginning. */
export interface Ends {
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
  readonly link: number;
}

/** What is asked and answered at once. */
export type Question =
  | { readonly ask: 'connect'; readonly options: object }
  | { readonly ask: 'listen'; readonly options: object }
  | { readonly ask: 'bind'; readonly options: object }
  | { readonly ask: 'bound-listen' | 'bound-connect'; readonly id: number; readonly options: object }
  | { readonly ask: 'unbind' | 'unlisten'; readonly id: number }
  | { readonly ask: 'info'; readonly id: number }
  | { readonly ask: 'get'; readonly id: number; readonly name: string }
  | { readonly ask: 'set'; readonly id: number; readonly name: string; readonly value: unknown }
  | { readonly ask: 'stats' | 'addresses' }
  | { readonly ask: 'port-index'; readonly port: string | number }
  | { readonly ask: 'port-name'; readonly index: number };

/** An error, as it crosses. */
export interface SentError {
  readonly code: string;
  readonly message: string;
  readonly syscall?: string | undefined;
  readonly address?: string | undefined;
  readonly port?: number | undefined;
}

/** `failed`: there was none, for this reason. */
export type Answer =
  | { readonly value: unknown }
  | { readonly error: SentError }
  | { readonly failed: string };

/** In place of the number of the question answered last: the thread has ended. */
export const NO_ANSWERS = -1;

/** What a connection may have under way to the other thread and not consumed there, bytes, each way. */
export const DEFAULT_WINDOW_BYTES = 1 << 20;
export const DEFAULT_RING_BYTES = 1 << 23;
/** Credit is given back in pieces of at least this share of the window. */
export const CREDIT_SHARE = 4;
/** Records either side hears before others have their turn. */
export const MAX_RECORDS = 4096;
/** Connections a listener may have given that nobody has accepted. */
export const ACCEPT_WINDOW = 128;
/** The longest text of a record: a super-packet. */
export const MAX_PIECE_BYTES = 65_536;

/** The two rings in one memory. */
export function ringPlaces(memory: SharedArrayBuffer): { toStack: RingPlace; fromStack: RingPlace } {
  const half = memory.byteLength / 2;
  const ringBytes = half - SharedRing.memoryBytes(0);
  return { toStack: { memory, at: 0, ringBytes }, fromStack: { memory, at: half, ringBytes } };
}

export const newRings = (ringBytes: number): SharedArrayBuffer =>
  new SharedArrayBuffer(2 * SharedRing.memoryBytes(ringBytes));
