/** Domain names: as bytes of a message, as text, and compared. */
import { dnsHost } from './host.js';

/** Most bytes of a name in a message, its lengths and end included; and of one label (RFC 1035 §2.3.4). */
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;

interface NameRead {
  /** Its labels joined by dots. What is not printable is `\ddd`, and what would confuse has a `\` (RFC 1035 §5.1). */
  readonly text: string;
  /** Where what follows it begins. */
  readonly end: number;
}

const POINTER = 0xc0;

/** Reads a name, compressed or not (RFC 1035 §4.1.4). Pointers lead backwards only. Undefined for what is none. */
export function readName(bytes: Uint8Array, start: number): NameRead | undefined {
  const labels: string[] = [];
  let at = start;
  let end = -1;
  let least = start;
  let length = 1;
  for (;;) {
    if (at >= bytes.length) return undefined;
    const head = bytes[at];
    if (head === 0) return { text: labels.join('.'), end: end < 0 ? at + 1 : end };
    if ((head & POINTER) === POINTER) {
      if (at + 1 >= bytes.length) return undefined;
      if (end < 0) end = at + 2;
      at = ((head & ~POINTER) << 8) | bytes[at + 1];
      if (at >= least) return undefined;
      least = at;
      continue;
    }
    length += head + 1;
    if (head > MAX_LABEL_BYTES || length > MAX_NAME_BYTES || at + 1 + head > bytes.length) return undefined;
    labels.push(showLabel(bytes, at + 1, at + 1 + head));
    at += head + 1;
  }
}

/** Of a label, what has a meaning of its own in text. */
const SPECIAL = new Set('.\\";()@$');

function showLabel(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) {
    const letter = String.fromCharCode(bytes[i]);
    if (bytes[i] < 0x20 || bytes[i] > 0x7e) text += `\\${String(bytes[i]).padStart(3, '0')}`;
    else text += SPECIAL.has(letter) ? `\\${letter}` : letter;
  }
  return text;
}

/** Names that are one have one key (RFC 4343 §3). */
export const nameKey = (name: string): string => name.toLowerCase().replace(/\.$/, '');

/**
 * A name as it can be asked for: in ASCII (RFC 5891), without the dot at the end. Undefined for one that no host
 * can have.
 */
export function askableName(name: string): string | undefined {
  const ascii = /^[\x20-\x7e]*$/.test(name) ? name : dnsHost().toAscii(name);
  const plain = ascii.replace(/\.$/, '');
  if (plain === '') return ascii === name ? '' : undefined;
  if (plain.length > MAX_NAME_BYTES - 2 || !/^[\w\-./*]+$/.test(plain)) return undefined;
  const fits = plain.split('.').every((label) => label.length > 0 && label.length <= MAX_LABEL_BYTES);
  return fits ? plain : undefined;
}

/** `localhost` and what lies below it, which is this host (RFC 6761 §6.3). */
export const isLocalhost = (name: string): boolean => /^(?:.+\.)?localhost\.?$/i.test(name);

/** Names that are nowhere: below `invalid` (RFC 6761 §6.4) and `onion` (RFC 7686 §2). */
export const isNowhere = (name: string): boolean => /^(?:.+\.)?(?:invalid|onion)\.?$/i.test(name);

/** Addresses of `localhost`. */
export const LOOPBACK = { A: '127.0.0.1', AAAA: '::1' } as const;

/** The name under which the name of an address is kept (RFC 1035 §3.5, RFC 3596 §2.5). @param words of `IpAddress` */
export function reverseName(address: { family: 4 | 6; word(i: number): number }): string {
  if (address.family === 4) {
    const word = address.word(3);
    return `${word & 255}.${(word >>> 8) & 255}.${(word >>> 16) & 255}.${word >>> 24}.in-addr.arpa`;
  }
  const hex = [0, 1, 2, 3].map((i) => (address.word(i) >>> 0).toString(16).padStart(8, '0')).join('');
  return `${hex.split('').reverse().join('.')}.ip6.arpa`;
}
