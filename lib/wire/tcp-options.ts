/**
 * TCP options (RFC 9293 §3.2, RFC 7323, RFC 2018, RFC 7413, RFC 5482): a reader that survives any
 * bytes, and writers that emit them in the order Linux does.
 */
import type { Seq } from '../base/seq.js';
import { firstEcnCountersBytes, writeFirstEcnCounters } from './ecn-counters.js';

export const TcpOptionKind = {
  EOL: 0,
  NOP: 1,
  MSS: 2,
  WINDOW_SCALE: 3,
  SACK_PERMITTED: 4,
  SACK: 5,
  TIMESTAMPS: 8,
  USER_TIMEOUT: 28,
  FAST_OPEN: 34,
  /** The counters of RFC 9768 §3.2.3, in either order. */
  ACCURATE_ECN_0: 172,
  ACCURATE_ECN_1: 174,
} as const;

/** NOP, NOP, Timestamps, 10: how nearly every segment of a connection with time stamps begins its options. */
const ALIGNED_TIMESTAMPS = 0x0101_080a;
export const TIMESTAMPS_BYTES = 12;
/** As many as the data offset can tell of. */
export const MAX_OPTION_BYTES = 40;

/** Largest shift (RFC 7323 §2.3). */
export const MAX_WINDOW_SCALE = 14;
const MAX_SACK_BLOCKS = 4;

/** What the options of one segment said. One object, filled anew for each. */
export class TcpOptionReader {
  /** 0 when absent. */
  mss = 0;
  /** As sent, which may exceed 14; -1 when absent. */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  /** TSval and TSecr as signed 32-bit integers. */
  tsVal = 0;
  tsEcr = 0;
  sackCount = 0;
  /** Left and right edge of each SACK block. */
  readonly sackEdges = new Int32Array(2 * MAX_SACK_BLOCKS);
  /** Place and length of a Fast Open cookie; length 0 asks for one, -1 when absent. */
  cookieAt = 0;
  cookieBytes = -1;
  /** User timeout in seconds (RFC 5482 §3); 0 when absent. */
  userTimeoutS = 0;
  /** Counters of text by ECN field, low 24 bits; -1 for each that is absent (RFC 9768 §3.2.3). */
  hasEcnCounters = false;
  ect0Bytes = -1;
  ceBytes = -1;
  ect1Bytes = -1;
  /** An option whose length cannot be: parsing stopped there. */
  malformed = false;

  clear(): void {
    this.mss = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.tsVal = 0;
    this.tsEcr = 0;
    this.sackCount = 0;
    this.cookieBytes = -1;
    this.userTimeoutS = 0;
    this.hasEcnCounters = false;
    this.malformed = false;
  }

  /**
   * Reads `length` bytes of options at `at`. Unknown kinds are skipped; a known kind of a wrong length
   * is ignored; of an option given twice the last counts. Parsing ends at EOL, and at an option length
   * below 2 or beyond the header, which sets `malformed` (RFC 9293 §3.1, MUST-7).
   */
  parse(view: DataView, at: number, length: number): void {
    this.clear();
    if (length === TIMESTAMPS_BYTES && view.getInt32(at) === ALIGNED_TIMESTAMPS) {
      this.#readTimestamps(view, at + 2);
      return;
    }
    const end = at + length;
    let next = at;
    while (next < end) {
      const kind = view.getUint8(next);
      if (kind === TcpOptionKind.EOL) return;
      if (kind === TcpOptionKind.NOP) {
        next++;
        continue;
      }
      const bytes = next + 1 < end ? view.getUint8(next + 1) : 0;
      if (bytes < 2 || next + bytes > end) {
        this.malformed = true;
        return;
      }
      this.#read(view, next, kind, bytes);
      next += bytes;
    }
  }

  #read(view: DataView, at: number, kind: number, bytes: number): void {
    switch (kind) {
      case TcpOptionKind.MSS:
        if (bytes === 4) this.mss = view.getUint16(at + 2);
        break;
      case TcpOptionKind.WINDOW_SCALE:
        if (bytes === 3) this.windowScale = view.getUint8(at + 2);
        break;
      case TcpOptionKind.SACK_PERMITTED:
        if (bytes === 2) this.sackPermitted = true;
        break;
      case TcpOptionKind.TIMESTAMPS:
        if (bytes === 10) this.#readTimestamps(view, at);
        break;
      case TcpOptionKind.SACK:
        this.#readSack(view, at, bytes);
        break;
      case TcpOptionKind.FAST_OPEN:
        this.#readFastOpen(at, bytes);
        break;
      case TcpOptionKind.USER_TIMEOUT:
        if (bytes === 4) this.#readUserTimeout(view.getUint16(at + 2));
        break;
      case TcpOptionKind.ACCURATE_ECN_0:
      case TcpOptionKind.ACCURATE_ECN_1:
        this.#readEcnCounters(view, at, kind, bytes);
        break;
      default:
        break;
    }
  }

  #readTimestamps(view: DataView, at: number): void {
    this.hasTimestamps = true;
    this.tsVal = view.getInt32(at + 2);
    this.tsEcr = view.getInt32(at + 6);
  }

  #readSack(view: DataView, at: number, bytes: number): void {
    const blocks = (bytes - 2) / 8;
    if (!Number.isInteger(blocks) || blocks < 1 || blocks > MAX_SACK_BLOCKS) return;
    this.sackCount = blocks;
    for (let i = 0; i < 2 * blocks; i++) this.sackEdges[i] = view.getInt32(at + 2 + 4 * i);
  }

  /** Length 2 asks for a cookie; a cookie has 4 to 16 bytes, an even number (RFC 7413 §4.1.1). */
  #readFastOpen(at: number, bytes: number): void {
    const cookieBytes = bytes - 2;
    if (cookieBytes !== 0 && (cookieBytes < 4 || cookieBytes > 16 || cookieBytes % 2 !== 0)) return;
    this.cookieAt = at + 2;
    this.cookieBytes = cookieBytes;
  }

  /** As many counters as the length has room for, whatever it is (RFC 9768 §3.2.3). */
  #readEcnCounters(view: DataView, at: number, kind: number, bytes: number): void {
    const outer = bytes >= 5 ? view.getUint32(at + 1) & 0xff_ffff : -1;
    const inner = bytes >= 11 ? view.getUint32(at + 7) & 0xff_ffff : -1;
    this.hasEcnCounters = true;
    this.ceBytes = bytes >= 8 ? view.getUint32(at + 4) & 0xff_ffff : -1;
    this.ect0Bytes = kind === TcpOptionKind.ACCURATE_ECN_0 ? outer : inner;
    this.ect1Bytes = kind === TcpOptionKind.ACCURATE_ECN_0 ? inner : outer;
  }

  /** The first bit tells minutes from seconds; the value zero is reserved (RFC 5482 §3). */
  #readUserTimeout(field: number): void {
    const value = field & 0x7fff;
    this.userTimeoutS = field & 0x8000 ? value * 60 : value;
  }
}

/** What a SYN or SYN-ACK offers. */
export interface SynOptions {
  mss: number;
  /** -1: do not offer. */
  windowScale: number;
  sackPermitted: boolean;
  timestamps: boolean;
  tsVal: number;
  tsEcr: number;
  /** Fast Open cookie; an empty one asks for one (RFC 7413 §4.1.1). Absent: no such option. */
  fastOpenCookie?: Uint8Array | undefined;
  /** AE, CWR and ECE as they apply (RFC 3168 §6.1.1, RFC 9768 §3.1). */
  ecnFlags: number;
  /** Whether a SYN-ACK has the counters of RFC 9768 §3.2.3, as far as they fit. */
  ecnCounters: boolean;
}

/** How many bytes `writeSynOptions` writes. */
export function synOptionsBytes(options: SynOptions): number {
  const bytes =
    4 +
    (options.timestamps ? TIMESTAMPS_BYTES : options.sackPermitted ? 4 : 0) +
    (options.windowScale >= 0 ? 4 : 0) +
    (options.fastOpenCookie === undefined ? 0 : fastOpenBytes(options.fastOpenCookie));
  return bytes + (options.ecnCounters ? firstEcnCountersBytes(MAX_OPTION_BYTES - bytes) : 0);
}

/** Bytes of a Fast Open option and its padding. */
const fastOpenBytes = (cookie: Uint8Array): number => (2 + cookie.length + 3) & ~3;

/**
 * Writes the options of a SYN in Linux's order: MSS, SACK-permitted, timestamps, NOP, window scale, Fast Open;
 * ECN's counters, which may be cut, come last.
 */
export function writeSynOptions(view: DataView, at: number, options: SynOptions): number {
  let next = at;
  view.setUint32(next, (TcpOptionKind.MSS << 24) | (4 << 16) | options.mss);
  next += 4;
  if (options.timestamps) {
    // With SACK permitted its two bytes take the place of the two NOPs.
    const lead = options.sackPermitted ? (TcpOptionKind.SACK_PERMITTED << 24) | (2 << 16) : 0x0101_0000;
    view.setInt32(next, lead | (TcpOptionKind.TIMESTAMPS << 8) | 10);
    view.setInt32(next + 4, options.tsVal);
    view.setInt32(next + 8, options.tsEcr);
    next += TIMESTAMPS_BYTES;
  } else if (options.sackPermitted) {
    view.setInt32(
      next,
      (TcpOptionKind.NOP << 24) | (TcpOptionKind.NOP << 16) | (TcpOptionKind.SACK_PERMITTED << 8) | 2,
    );
    next += 4;
  }
  if (options.windowScale >= 0) {
    view.setInt32(
      next,
      (TcpOptionKind.NOP << 24) | (TcpOptionKind.WINDOW_SCALE << 16) | (3 << 8) | options.windowScale,
    );
    next += 4;
  }
  if (options.fastOpenCookie !== undefined) next += writeFastOpen(view, next, options.fastOpenCookie);
  if (options.ecnCounters) next += writeFirstEcnCounters(view, next, MAX_OPTION_BYTES - (next - at));
  return next - at;
}

/** Writes a Fast Open option, padded with NOPs behind it. @returns bytes written */
function writeFastOpen(view: DataView, at: number, cookie: Uint8Array): number {
  view.setUint8(at, TcpOptionKind.FAST_OPEN);
  view.setUint8(at + 1, 2 + cookie.length);
  for (let i = 0; i < cookie.length; i++) view.setUint8(at + 2 + i, cookie[i]);
  const bytes = fastOpenBytes(cookie);
  for (let i = 2 + cookie.length; i < bytes; i++) view.setUint8(at + i, TcpOptionKind.NOP);
  return bytes;
}

/** Writes NOP, NOP, timestamps. @returns 12 */
export function writeTimestamps(view: DataView, at: number, tsVal: number, tsEcr: number): number {
  view.setInt32(at, ALIGNED_TIMESTAMPS);
  view.setInt32(at + 4, tsVal);
  view.setInt32(at + 8, tsEcr);
  return TIMESTAMPS_BYTES;
}

/** Writes NOP, NOP, SACK with the first `blocks` blocks of `edges`. @returns bytes written */
export function writeSack(view: DataView, at: number, edges: Int32Array, blocks: number): number {
  const bytes = 2 + 8 * blocks;
  view.setInt32(at, 0x0101_0000 | (TcpOptionKind.SACK << 8) | bytes);
  for (let i = 0; i < 2 * blocks; i++) view.setInt32(at + 4 + 4 * i, edges[i]);
  return 2 + bytes;
}

export const USER_TIMEOUT_BYTES = 4;

/** Writes a user timeout, `field` as RFC 5482 §3 has it. @returns 4 */
export function writeUserTimeout(view: DataView, at: number, field: number): number {
  view.setUint32(at, (TcpOptionKind.USER_TIMEOUT << 24) | (USER_TIMEOUT_BYTES << 16) | field);
  return USER_TIMEOUT_BYTES;
}

/** How many SACK blocks fit beside `otherBytes` bytes of other options (RFC 2018 §3). */
export const sackBlocksThatFit = (otherBytes: number): number =>
  Math.max(0, Math.min(MAX_SACK_BLOCKS, (MAX_OPTION_BYTES - otherBytes - 4) >> 3));

/** Bytes of a SACK option with so many blocks, padded; none of an option without. */
export const sackOptionBytes = (blocks: number): number => (blocks === 0 ? 0 : 4 + 8 * blocks);

/** A SACK edge of a reader. */
export const sackEdge = (options: TcpOptionReader, i: number): Seq => options.sackEdges[i] as Seq;
