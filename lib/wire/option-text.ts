/**
 * TCP options as text, in packetdrill's words: `mss 1460`, `sackOK`, `TS val 100 ecr 0`, `nop`,
 * `wscale 7`, `sack 1001:2001 3001:4001`, `eol`; and for what packetdrill has no words `uto 120`
 * (seconds), `FO 0011223344556677`, `ECN e0b 1 ceb 0 e1b 1` (the counters of RFC 9768 in either order, as
 * many as there are), `kind 30 00ff` (number and content of any other option) and
 * `raw 02ff00` (bytes as they stand, for options that are not well-formed).
 */
import { ArgumentValueError } from '../base/errors.js';
import { type Seq, seqAdd } from '../base/seq.js';
import { relativeNumber } from './segment-origin.js';
import { TcpOptionKind } from './tcp-options.js';

/** What relative numbers in options stand for: SACK edges, TSval, TSecr. */
export interface OptionOrigin {
  readonly acknowledgment: Seq;
  readonly tsVal: number;
  readonly tsEcr: number;
}

/** The options in `length` bytes at `at`, each as text. Padding behind `eol` is not told unless it is not zero. */
export function readOptionTexts(
  view: DataView,
  at: number,
  length: number,
  origin: OptionOrigin,
): readonly string[] {
  const texts: string[] = [];
  const end = at + length;
  let next = at;
  while (next < end) {
    const kind = view.getUint8(next);
    if (kind === TcpOptionKind.NOP) {
      texts.push('nop');
      next++;
    } else if (kind === TcpOptionKind.EOL) {
      texts.push('eol');
      if (!isZero(view, next + 1, end)) texts.push(`raw ${hexOf(view, next + 1, end)}`);
      return texts;
    } else {
      const bytes = next + 1 < end ? view.getUint8(next + 1) : 0;
      if (bytes < 2 || next + bytes > end) {
        texts.push(`raw ${hexOf(view, next, end)}`);
        return texts;
      }
      texts.push(optionText(view, next, bytes, origin));
      next += bytes;
    }
  }
  return texts;
}

function optionText(view: DataView, at: number, bytes: number, origin: OptionOrigin): string {
  const kind = view.getUint8(at);
  switch (kind) {
    case TcpOptionKind.MSS:
      if (bytes === 4) return `mss ${view.getUint16(at + 2)}`;
      break;
    case TcpOptionKind.WINDOW_SCALE:
      if (bytes === 3) return `wscale ${view.getUint8(at + 2)}`;
      break;
    case TcpOptionKind.SACK_PERMITTED:
      if (bytes === 2) return 'sackOK';
      break;
    case TcpOptionKind.TIMESTAMPS:
      if (bytes === 10) return timestampsText(view, at, origin);
      break;
    case TcpOptionKind.SACK:
      if (bytes > 2 && (bytes - 2) % 8 === 0) return sackText(view, at, bytes, origin);
      break;
    case TcpOptionKind.FAST_OPEN:
      return `FO ${hexOf(view, at + 2, at + bytes)}`.trim();
    case TcpOptionKind.USER_TIMEOUT:
      if (bytes === 4) return userTimeoutText(view.getUint16(at + 2));
      break;
    case TcpOptionKind.ACCURATE_ECN_0:
    case TcpOptionKind.ACCURATE_ECN_1:
      if (bytes === 5 || bytes === 8 || bytes === 11) return countersText(view, at, bytes);
      break;
    default:
      break;
  }
  return `kind ${kind} ${hexOf(view, at + 2, at + bytes)}`.trim();
}

function timestampsText(view: DataView, at: number, origin: OptionOrigin): string {
  const value = relativeNumber((view.getInt32(at + 2) - origin.tsVal) | 0);
  const echo = relativeNumber((view.getInt32(at + 6) - origin.tsEcr) | 0);
  return `TS val ${value} ecr ${echo}`;
}

function sackText(view: DataView, at: number, bytes: number, origin: OptionOrigin): string {
  let text = 'sack';
  for (let block = at + 2; block < at + bytes; block += 8) {
    const start = relativeNumber((view.getInt32(block) - origin.acknowledgment) | 0);
    const end = relativeNumber((view.getInt32(block + 4) - origin.acknowledgment) | 0);
    text += ` ${start}:${end}`;
  }
  return text;
}

const userTimeoutText = (field: number): string =>
  field & 0x8000 ? `uto ${(field & 0x7fff) * 60}` : `uto ${field}`;

/** Names of the counters in the order of each kind. */
const COUNTER_NAMES = { 172: ['e0b', 'ceb', 'e1b'], 174: ['e1b', 'ceb', 'e0b'] } as const;

function countersText(view: DataView, at: number, bytes: number): string {
  const names = COUNTER_NAMES[view.getUint8(at) as 172 | 174];
  let text = 'ECN';
  for (let i = 0; 5 + 3 * i <= bytes; i++)
    text += ` ${names[i]} ${view.getUint32(at + 1 + 3 * i) & 0xff_ffff}`;
  return text;
}

function countersBytes(text: string, words: readonly string[]): number[] {
  const kind = words[0] === 'e1b' ? TcpOptionKind.ACCURATE_ECN_1 : TcpOptionKind.ACCURATE_ECN_0;
  const content: number[] = [];
  for (let i = 0; 2 * i < words.length; i++) {
    if (words[2 * i] !== COUNTER_NAMES[kind][i])
      throw new ArgumentValueError(`not counters of ECN: "${text}"`);
    const value = numberOf(words[2 * i + 1], text);
    content.push((value >> 16) & 0xff, ...word16(value));
  }
  return withLength(kind, content);
}

/**
 * Puts the options of a list of texts into bytes, unpadded.
 * @throws ArgumentValueError for a text that is no option
 */
export function optionBytes(texts: readonly string[], origin: OptionOrigin): number[] {
  const bytes: number[] = [];
  for (const text of texts) bytes.push(...bytesOf(text, origin));
  return bytes;
}

function bytesOf(text: string, origin: OptionOrigin): number[] {
  const [name, ...words] = text.split(' ');
  switch (name) {
    case 'nop':
      return [TcpOptionKind.NOP];
    case 'eol':
      return [TcpOptionKind.EOL];
    case 'mss':
      return [TcpOptionKind.MSS, 4, ...word16(numberOf(words[0], text))];
    case 'wscale':
      return [TcpOptionKind.WINDOW_SCALE, 3, numberOf(words[0], text)];
    case 'sackOK':
      return [TcpOptionKind.SACK_PERMITTED, 2];
    case 'TS':
      return timestampBytes(text, words, origin);
    case 'sack':
      return sackBytes(text, words, origin);
    case 'uto':
      return [TcpOptionKind.USER_TIMEOUT, 4, ...word16(userTimeoutField(numberOf(words[0], text)))];
    case 'ECN':
      return countersBytes(text, words);
    case 'FO':
      return withLength(TcpOptionKind.FAST_OPEN, fromHex(words.join(''), text));
    case 'kind':
      return withLength(numberOf(words[0], text), fromHex(words.slice(1).join(''), text));
    case 'raw':
      return fromHex(words.join(''), text);
    default:
      throw new ArgumentValueError(`not a TCP option: "${text}"`);
  }
}

function timestampBytes(text: string, words: readonly string[], origin: OptionOrigin): number[] {
  if (words.length !== 4 || words[0] !== 'val' || words[2] !== 'ecr') {
    throw new ArgumentValueError(`timestamps are written "TS val 1 ecr 2", not "${text}"`);
  }
  return [
    TcpOptionKind.TIMESTAMPS,
    10,
    ...word32(numberOf(words[1], text) + origin.tsVal),
    ...word32(numberOf(words[3], text) + origin.tsEcr),
  ];
}

function sackBytes(text: string, words: readonly string[], origin: OptionOrigin): number[] {
  const edges: number[] = [];
  for (const block of words) {
    const [start, end, ...rest] = block.split(':');
    if (rest.length > 0) throw new ArgumentValueError(`not a SACK block: "${block}"`);
    for (const edge of [start, end])
      edges.push(...word32(seqAdd(origin.acknowledgment, numberOf(edge, text))));
  }
  return withLength(TcpOptionKind.SACK, edges);
}

/** In seconds where fifteen bits hold them, else in minutes (RFC 5482 §3). */
const userTimeoutField = (seconds: number): number =>
  seconds < 0x8000 ? seconds : 0x8000 | Math.floor(seconds / 60);

const withLength = (kind: number, content: readonly number[]): number[] => [
  kind,
  content.length + 2,
  ...content,
];

const word16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const word32 = (value: number): number[] => [...word16(value >> 16), ...word16(value)];

function numberOf(word: string | undefined, text: string): number {
  if (word === undefined || !/^-?\d+$/.test(word)) {
    throw new ArgumentValueError(`a number is missing in the TCP option "${text}"`);
  }
  return Number(word);
}

function fromHex(hex: string, text: string): number[] {
  if (!/^([0-9a-f]{2})*$/i.test(hex)) throw new ArgumentValueError(`not hexadecimal bytes: "${text}"`);
  const bytes: number[] = [];
  for (let i = 0; i < hex.length; i += 2) bytes.push(Number.parseInt(hex.slice(i, i + 2), 16));
  return bytes;
}

function hexOf(view: DataView, from: number, to: number): string {
  let hex = '';
  for (let i = from; i < to; i++) hex += view.getUint8(i).toString(16).padStart(2, '0');
  return hex;
}

function isZero(view: DataView, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (view.getUint8(i) !== 0) return false;
  return true;
}
