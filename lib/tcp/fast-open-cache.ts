/**
 * What a client remembers of servers for TCP Fast Open (RFC 7413 §4.1.3): their cookies and segment sizes, and
 * which paths swallow SYNs that carry more than a SYN used to.
 */
import type { Tuple } from './tuple.js';

/** A cookie nobody refreshed is forgotten after a day, µs; no server is known whose keys live longer. */
const COOKIE_LIFETIME_US = 24 * 3600e6;

/** After the second lost SYN in a row the next are plain for this long, doubled with each, µs (as Linux 3.7 did). */
const LOST_SYN_PAUSE_US = 60e6;

/** A black hole is avoided for an hour, doubled each time it is met again, 64 hours at most (Linux `tcp_fastopen.c`). */
const BLACK_HOLE_PAUSE_US = 3600e6;
const MAX_DOUBLINGS = 6;

const NO_COOKIE = new Uint8Array(0);

/** What is known of one path: a server's address, seen from one of ours. */
export class FastOpenMemory {
  /** Empty where there is none. */
  cookie: Uint8Array = NO_COOKIE;
  /** MSS the server announced; 0 where it is not known. */
  mssBytes = 0;
  #learnedAtUs = 0;
  /** SYNs with a Fast Open option in a row that were answered only when repeated without. */
  #lostSyns = 0;
  #blackHoles = 0;
  #pausedUntilUs = 0;

  /** Whether SYNs are to be plain for now. */
  isPaused(nowUs: number): boolean {
    return nowUs < this.#pausedUntilUs;
  }

  /** A SYN-ACK tells of the server. @param cookie undefined where it brings none */
  learn(mssBytes: number, cookie: Uint8Array | undefined, nowUs: number): void {
    this.mssBytes = mssBytes;
    if (cookie === undefined) return;
    this.cookie = cookie;
    this.#learnedAtUs = nowUs;
  }

  forgetOld(nowUs: number): void {
    if (nowUs - this.#learnedAtUs > COOKIE_LIFETIME_US) this.cookie = NO_COOKIE;
  }

  /** Fast Open has worked: what was held against the path is forgiven. */
  worked(): void {
    this.#lostSyns = 0;
    this.#blackHoles = 0;
  }

  /** A SYN with a Fast Open option was lost, and the plain one after it was not. */
  lostSyn(nowUs: number): void {
    this.#lostSyns++;
    if (this.#lostSyns > 1) this.#pause(nowUs + LOST_SYN_PAUSE_US * 2 ** Math.min(this.#lostSyns, 10));
  }

  /** Nothing passes on a connection that began with Fast Open. */
  blackHole(nowUs: number): void {
    this.#pause(nowUs + BLACK_HOLE_PAUSE_US * 2 ** Math.min(this.#blackHoles, MAX_DOUBLINGS));
    this.#blackHoles++;
  }

  #pause(untilUs: number): void {
    this.#pausedUntilUs = Math.max(this.#pausedUntilUs, untilUs);
  }
}

export class FastOpenCache {
  readonly #limit: number;
  /** In the order of their last use. */
  readonly #memories = new Map<string, FastOpenMemory>();

  /** @param limit most paths that are remembered; the one used longest ago is forgotten first */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#memories.size;
  }

  /** What is known of the path of a new connection. */
  of(tuple: Tuple, nowUs: number): FastOpenMemory {
    const key = `${tuple.local} ${tuple.remote}`;
    const memory = this.#memories.get(key) ?? new FastOpenMemory();
    this.#memories.delete(key);
    if (this.#memories.size >= this.#limit) this.#forgetOne();
    this.#memories.set(key, memory);
    memory.forgetOld(nowUs);
    return memory;
  }

  #forgetOne(): void {
    for (const key of this.#memories.keys()) {
      this.#memories.delete(key);
      return;
    }
  }
}
