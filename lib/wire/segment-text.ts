/**
 * A TCP segment as one line of text, in the notation of packetdrill and tcpdump:
 *
 *     S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>
 *     P. 1:1001(1000) ack 1 win 512 <nop,nop,TS val 5 ecr 6>
 *     [ce] . 1:1(0) ack 1001 win 512 urg 7 <nop,nop,sack 2001:3001>
 *
 * - Flags: `S`YN `F`IN `R`ST `P`SH `.` for ACK, `U`RG, `E`CE, C`W`R, `A`E; `-` for none.
 * - `first:end(bytes)`: the sequence numbers of the text. SYN and FIN take one that is not counted here.
 * - Numbers are relative to an origin, in text the ISNs, so that the first byte of either side is 1. A
 *   TSecr without ACK echoes nothing and stands as it is, 0 (RFC 7323 §3.2).
 * - `[noecn] [ect1] [ect0] [ce]` is the ECN field of the IP header.
 * - Options stand in `<>`: see `option-text.ts`.
 *
 * In text that is compared, not sent, what is left out, and `*` in place of a number, says nothing.
 */
import { ArgumentValueError } from '../base/errors.js';
import { seqAdd, seqDiff } from '../base/seq.js';
import { optionBytes, readOptionTexts } from './option-text.js';
import { ABSOLUTE, type ConnectionOrigin, relativeNumber, type SegmentOrigin } from './segment-origin.js';
import {
  flagsAndWindow,
  formatTcpFlags,
  TcpFlag,
  TcpHeader,
  writeTcpControl,
  writeTcpNumbers,
  writeUrgentPointer,
} from './tcp.js';

/** What a line says. `undefined` where it says nothing. */
export interface SegmentLine {
  /** `TcpFlag` bits. */
  readonly flags: number;
  /** Sequence number of the first byte, and how many bytes of text. */
  readonly start: number;
  readonly textBytes: number;
  readonly ack: number | undefined;
  /** The window field, unscaled. */
  readonly window: number | undefined;
  readonly urgentPointer: number | undefined;
  /** The texts of the options in their order; empty for `<>`. */
  readonly options: readonly string[] | undefined;
  /** ECN field of the IP header, 0 to 3. */
  readonly ecn: number | undefined;
}

/** The ECN field in words, by its value (RFC 3168 §5). */
export const ECN_NAMES = ['noecn', 'ect1', 'ect0', 'ce'] as const;

/** The letters of flags, as packetdrill writes them. */
export const FLAG_LETTERS: Readonly<Record<string, number>> = {
  S: TcpFlag.SYN,
  F: TcpFlag.FIN,
  R: TcpFlag.RST,
  P: TcpFlag.PSH,
  '.': TcpFlag.ACK,
  U: TcpFlag.URG,
  E: TcpFlag.ECE,
  W: TcpFlag.CWR,
  A: TcpFlag.AE,
};

const LINE =
  /^(?:\[(?<ecn>\w+)\] )?(?<flags>[A-Z.]+|-) (?<start>-?\d+):(?<end>-?\d+)\((?<bytes>\d+)\)(?: ack (?<ack>-?\d+|\*))?(?: win (?<window>\d+|\*))?(?: urg (?<urgent>\d+|\*))?(?: <(?<options>[^<>]*)>)?$/;

const header = new TcpHeader();

/** The segment of `length` bytes at `at` in one line; `malformed (n bytes)` when it is none. */
export function formatSegment(view: DataView, at: number, length: number, origin = ABSOLUTE): string {
  const line = readSegmentLine(view, at, length, origin);
  return line === undefined ? `malformed (${length} bytes)` : formatSegmentLine(line);
}

/** A segment of a connection with its direction, `>` out and `<` in, learning the origin on the way. */
export function formatTraced(
  origin: ConnectionOrigin,
  packet: { readonly view: DataView; readonly at: number; readonly length: number },
  outgoing: boolean,
): string {
  const { view, at, length } = packet;
  origin.learn(view, at, length, outgoing);
  return `${outgoing ? '>' : '<'} ${formatSegment(view, at, length, origin.of(outgoing))}`;
}

/** What a segment would say in a line, complete; `undefined` for bytes that are no segment. */
export function readSegmentLine(
  view: DataView,
  at: number,
  length: number,
  origin: SegmentOrigin,
): SegmentLine | undefined {
  if (!header.parse(view, at, length)) return undefined;
  const { flags, urgentPointer } = header;
  return {
    flags,
    start: relativeNumber(seqDiff(header.sequence, origin.sequence)),
    textBytes: header.payloadBytes,
    ack:
      flags & TcpFlag.ACK ? relativeNumber(seqDiff(header.acknowledgment, origin.acknowledgment)) : undefined,
    window: header.window,
    urgentPointer: flags & TcpFlag.URG ? urgentPointer : undefined,
    options: readOptionTexts(view, header.optionsAt, header.optionsBytes, echoing(origin, flags)),
    ecn: undefined,
  };
}

/** The line, without `<>` where there are no options. */
export function formatSegmentLine(line: SegmentLine): string {
  const { ecn, ack, window, urgentPointer, options } = line;
  let text = ecn === undefined ? '' : `[${ECN_NAMES[ecn]}] `;
  const end = line.start < 0 ? line.start + line.textBytes : (line.start + line.textBytes) % 0x1_0000_0000;
  text += `${formatTcpFlags(line.flags) || '-'} ${line.start}:${end}(${line.textBytes})`;
  if (ack !== undefined) text += ` ack ${ack}`;
  if (window !== undefined) text += ` win ${window}`;
  if (urgentPointer !== undefined) text += ` urg ${urgentPointer}`;
  if (options !== undefined && options.length > 0) text += ` <${options.join(',')}>`;
  return text;
}

/**
 * Reads a line.
 * @throws ArgumentValueError for anything else, saying what is wrong with it
 */
export function parseSegmentLine(text: string): SegmentLine {
  const fields = LINE.exec(text.trim().replace(/\s+/g, ' '))?.groups;
  if (fields === undefined) throw new ArgumentValueError(`not a segment: "${text}"`);
  const start = Number(fields.start);
  const textBytes = Number(fields.bytes);
  if (((start + textBytes) | 0) !== (Number(fields.end) | 0)) {
    throw new ArgumentValueError(`${fields.start}:${fields.end} are not ${textBytes} bytes, in "${text}"`);
  }
  return {
    flags: parseFlags(fields.flags, text),
    start,
    textBytes,
    ack: numberOrNothing(fields.ack),
    window: numberOrNothing(fields.window),
    urgentPointer: numberOrNothing(fields.urgent),
    options: fields.options === undefined ? undefined : splitOptions(fields.options),
    ecn: fields.ecn === undefined ? undefined : parseEcn(fields.ecn, text),
  };
}

/**
 * Writes the header a line describes to `at`, all but ports and checksum; options are padded with zeros
 * to whole words. What the line leaves out is zero, the window 65,535. The text belongs behind it.
 * @returns bytes of the header
 * @throws ArgumentValueError for options that are none, or more than 40 bytes of them
 */
export function writeSegmentLine(line: SegmentLine, view: DataView, at: number, origin = ABSOLUTE): number {
  const options = optionBytes(line.options ?? [], echoing(origin, line.flags));
  const headerBytes = TcpHeader.MIN_BYTES + ((options.length + 3) & ~3);
  if (headerBytes > TcpHeader.MAX_BYTES) {
    throw new ArgumentValueError(`${options.length} bytes of TCP options do not fit a header`);
  }
  const hasAck = (line.flags & TcpFlag.ACK) !== 0 || line.ack !== undefined;
  writeTcpNumbers(
    view,
    at,
    seqAdd(origin.sequence, line.start),
    hasAck ? seqAdd(origin.acknowledgment, line.ack ?? 0) : ABSOLUTE.sequence,
  );
  writeTcpControl(view, at, headerBytes, flagsAndWindow(line.flags, line.window ?? 0xffff));
  if (line.urgentPointer !== undefined) writeUrgentPointer(view, at, line.urgentPointer);
  for (let i = TcpHeader.MIN_BYTES; i < headerBytes; i++) {
    view.setUint8(at + i, options[i - TcpHeader.MIN_BYTES] ?? 0);
  }
  return headerBytes;
}

/** Without ACK nothing is echoed. */
const echoing = (origin: SegmentOrigin, flags: number): SegmentOrigin =>
  flags & TcpFlag.ACK ? origin : { ...origin, tsEcr: 0 };

function parseFlags(letters: string, text: string): number {
  if (letters === '-') return 0;
  let flags = 0;
  for (const letter of letters) {
    const flag = FLAG_LETTERS[letter];
    if (flag === undefined || flags & flag) throw new ArgumentValueError(`flags "${letters}" in "${text}"`);
    flags |= flag;
  }
  return flags;
}

function parseEcn(name: string, text: string): number {
  const ecn = (ECN_NAMES as readonly string[]).indexOf(name);
  if (ecn < 0) throw new ArgumentValueError(`ECN field "[${name}]" in "${text}"`);
  return ecn;
}

const splitOptions = (text: string): readonly string[] =>
  text.trim() === '' ? [] : text.split(',').map((option) => option.trim());

const numberOrNothing = (word: string | undefined): number | undefined =>
  word === undefined || word === '*' ? undefined : Number(word);
