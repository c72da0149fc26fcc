/** How long an answer may be for who asked over UDP, and what is left of one that is longer (RFC 1035, RFC 6891). */
import { questionEnd } from '../gateway/dns-question.js';

const HEADER_BYTES = 12;
/** The most that may be sent to who does not say how much he takes (RFC 1035 §2.3.4). */
const LEAST_BYTES = 512;
/** The most that UDP carries over IPv4. */
const MOST_BYTES = 65_507;
const TYPE_OPT = 41;
/** Type, class, TTL and the length of the data, behind a record's name. */
const RECORD_BYTES = 10;
/** Where the class is in a record whose name is the root; an OPT record has a size there. */
const CLASS_AT = 3;
const TC = 0x02;
const POINTER = 0xc0;
const NO_BYTES = new Uint8Array(0);

/** Bytes of an answer that who asked takes in one datagram: his OPT record says so (RFC 6891 §6.2.3). */
export function udpPayloadBytes(message: Uint8Array): number {
  const opt = optOf(message);
  if (opt === undefined) return LEAST_BYTES;
  const bytes = (opt[CLASS_AT] << 8) | opt[CLASS_AT + 1];
  return Math.min(Math.max(bytes, LEAST_BYTES), MOST_BYTES);
}

/** The OPT record of a message; undefined where it has none, or cannot be read. */
function optOf(message: Uint8Array): Uint8Array | undefined {
  let at = questionEnd(message);
  if (at === 0) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const records = view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
  for (let i = 0; i < records; i++) {
    const start = at;
    at = nameEnd(message, at);
    if (at === 0 || at + RECORD_BYTES > message.length) return undefined;
    const type = view.getUint16(at);
    at += RECORD_BYTES + view.getUint16(at + 8);
    if (at > message.length) return undefined;
    if (message[start] === 0 && type === TYPE_OPT) return message.subarray(start, at);
  }
  return undefined;
}

/** Where a name ends; 0 where it does not. */
function nameEnd(message: Uint8Array, start: number): number {
  let at = start;
  while (at < message.length) {
    const length = message[at];
    if (length === 0) return at + 1;
    if ((length & POINTER) === POINTER) return at + 2;
    at += length + 1;
  }
  return 0;
}

/**
 * The question alone, and that there would be more: who asked asks again over TCP (RFC 2181 §9). An OPT record stays
 * (RFC 6891 §7), as long as it fits.
 * @param limit bytes that who asked takes
 */
export function truncated(answer: Uint8Array, limit: number): Uint8Array {
  const questionBytes = questionEnd(answer);
  const end = questionBytes === 0 ? HEADER_BYTES : questionBytes;
  const found = optOf(answer);
  const opt = found === undefined || end + found.length > limit ? NO_BYTES : found;
  const short = new Uint8Array(end + opt.length);
  short.set(answer.subarray(0, end));
  short.set(opt, end);
  short[2] |= TC;
  // Answers, authorities and additional records: none but OPT; nor a question that could not be read.
  short.fill(0, questionBytes === 0 ? 4 : 6, HEADER_BYTES);
  if (opt.length > 0) short[HEADER_BYTES - 1] = 1;
  return short;
}
