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
const TC = 0x02;
const POINTER = 0xc0;

/** Bytes of an answer that who asked takes in one datagram: his OPT record says so (RFC 6891 §6.2.3). */
export function udpPayloadBytes(message: Uint8Array): number {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const records = view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
  let at = questionEnd(message);
  for (let i = 0; i < records; i++) {
    const isRoot = message[at] === 0;
    at = nameEnd(message, at);
    if (at === 0 || at + RECORD_BYTES > message.length) return LEAST_BYTES;
    if (isRoot && view.getUint16(at) === TYPE_OPT) {
      return Math.min(Math.max(view.getUint16(at + 2), LEAST_BYTES), MOST_BYTES);
    }
    at += RECORD_BYTES + view.getUint16(at + 8);
  }
  return LEAST_BYTES;
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

/** The question alone, and that there would be more: who asked asks again over TCP (RFC 2181 §9). */
export function truncated(answer: Uint8Array): Uint8Array {
  const end = questionEnd(answer);
  const short = answer.slice(0, end === 0 ? HEADER_BYTES : end);
  short[2] |= TC;
  // Answers, authorities and additional records: none; nor a question that could not be read.
  short.fill(0, end === 0 ? 4 : 6, HEADER_BYTES);
  return short;
}
