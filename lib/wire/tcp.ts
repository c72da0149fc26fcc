/**
 * The TCP header (RFC 9293 §3.1): a flyweight to read one, functions to write one.
 */
import type { Seq } from '../base/seq.js';

/** Control bits. AE is bit 7 of byte 12 (RFC 9768 §3.1), the others are byte 13. */
export const TcpFlag = {
  FIN: 0x01,
  SYN: 0x02,
  RST: 0x04,
  PSH: 0x08,
  ACK: 0x10,
  URG: 0x20,
  ECE: 0x40,
  CWR: 0x80,
  AE: 0x100,
} as const;

const NO_VIEW = new DataView(new ArrayBuffer(0));

export class TcpHeader {
  static readonly MIN_BYTES = 20;
  static readonly MAX_BYTES = 60;
  /** Offset of the checksum field. */
  static readonly CHECKSUM_AT = 16;

  #view: DataView = NO_VIEW;
  #at = 0;
  #length = 0;

  /**
   * Aims at `length` bytes at `at`. False, and nothing aimed, when they cannot be a segment: shorter
   * than a header, or a data offset below 5 or beyond the segment (RFC 9293 §3.1).
   */
  parse(view: DataView, at: number, length: number): boolean {
    if (length < TcpHeader.MIN_BYTES) return false;
    const headerBytes = (view.getUint8(at + 12) >> 4) * 4;
    if (headerBytes < TcpHeader.MIN_BYTES || headerBytes > length) return false;
    this.#view = view;
    this.#at = at;
    this.#length = length;
    return true;
  }

  get sourcePort(): number {
    return this.#view.getUint16(this.#at);
  }

  get destinationPort(): number {
    return this.#view.getUint16(this.#at + 2);
  }

  get sequence(): Seq {
    return this.#view.getInt32(this.#at + 4) as Seq;
  }

  get acknowledgment(): Seq {
    return this.#view.getInt32(this.#at + 8) as Seq;
  }

  get headerBytes(): number {
    return (this.#view.getUint8(this.#at + 12) >> 4) * 4;
  }

  /** The nine control bits, as in `TcpFlag`; the three reserved bits are ignored. */
  get flags(): number {
    return this.#view.getUint16(this.#at + 12) & 0x1ff;
  }

  /** As on the wire, unscaled. */
  get window(): number {
    return this.#view.getUint16(this.#at + 14);
  }

  get checksum(): number {
    return this.#view.getUint16(this.#at + 16);
  }

  get urgentPointer(): number {
    return this.#view.getUint16(this.#at + 18);
  }

  get optionsAt(): number {
    return this.#at + TcpHeader.MIN_BYTES;
  }

  get optionsBytes(): number {
    return this.headerBytes - TcpHeader.MIN_BYTES;
  }

  get payloadAt(): number {
    return this.#at + this.headerBytes;
  }

  get payloadBytes(): number {
    return this.#length - this.headerBytes;
  }
}

/** Writes both ports at `at`. */
export function writeTcpPorts(view: DataView, at: number, source: number, destination: number): void {
  view.setUint16(at, source);
  view.setUint16(at + 2, destination);
}

/** Writes sequence and acknowledgment number. */
export function writeTcpNumbers(view: DataView, at: number, sequence: Seq, acknowledgment: Seq): void {
  view.setInt32(at + 4, sequence);
  view.setInt32(at + 8, acknowledgment);
}

/** Writes data offset, flags, window; the checksum and the urgent pointer become zero. */
export function writeTcpControl(
  view: DataView,
  at: number,
  headerBytes: number,
  flagsAndWindow: number,
): void {
  view.setUint16(at + 12, ((headerBytes >> 2) << 12) | (flagsAndWindow >>> 16));
  view.setUint16(at + 14, flagsAndWindow & 0xffff);
  view.setInt32(at + 16, 0);
}

/** Flags and window as `writeTcpControl` takes them. */
export const flagsAndWindow = (flags: number, window: number): number => (flags << 16) | window;

export function writeUrgentPointer(view: DataView, at: number, pointer: number): void {
  view.setUint16(at + 18, pointer);
}

/** Flags as packetdrill and tcpdump print them: `S`, `P.`, `F.`, `R`, `.` for ACK alone. */
export function formatTcpFlags(flags: number): string {
  let text = '';
  if (flags & TcpFlag.SYN) text += 'S';
  if (flags & TcpFlag.FIN) text += 'F';
  if (flags & TcpFlag.RST) text += 'R';
  if (flags & TcpFlag.PSH) text += 'P';
  if (flags & TcpFlag.ACK) text += '.';
  if (flags & TcpFlag.URG) text += 'U';
  if (flags & TcpFlag.ECE) text += 'E';
  if (flags & TcpFlag.CWR) text += 'W';
  if (flags & TcpFlag.AE) text += 'A';
  return text;
}
