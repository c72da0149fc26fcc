/** As much of a DNS message as somebody needs who only passes it on (RFC 1035 §4.1). */

const HEADER_BYTES = 12;
const MAX_LABEL = 63;
/** Type and class, behind the name. */
const QUESTION_TAIL = 4;
const QR = 0x80;
const RECURSION_AVAILABLE = 0x80;
const SERVFAIL = 2;

/** Largest message passed on, bytes: what UDP carries. */
export const MAX_MESSAGE_BYTES = 65_507;

/**
 * Where the one question of a message ends; 0 where it has not exactly one, or is none. Nobody compresses the name
 * of a first question: there is nothing before it.
 */
export function questionEnd(bytes: Uint8Array): number {
  if (bytes.length < HEADER_BYTES || bytes[4] !== 0 || bytes[5] !== 1) return 0;
  let at = HEADER_BYTES;
  while (at < bytes.length) {
    const length = bytes[at++];
    if (length === 0) return at + QUESTION_TAIL <= bytes.length ? at + QUESTION_TAIL : 0;
    if (length > MAX_LABEL) return 0;
    at += length;
  }
  return 0;
}

/** Whether it is an answer; else it is a question. */
export const isAnswer = (bytes: Uint8Array): boolean => (bytes[2] & QR) !== 0;

export const messageId = (bytes: Uint8Array): number => (bytes[0] << 8) | bytes[1];

export function setMessageId(bytes: Uint8Array, id: number): void {
  bytes[0] = id >> 8;
  bytes[1] = id & 0xff;
}

/** Whether an answer repeats the question, letter by letter (RFC 5452 §9.1). */
export function answersQuestion(answer: Uint8Array, question: Uint8Array): boolean {
  if (answer.length < HEADER_BYTES + question.length) return false;
  for (let i = 0; i < question.length; i++) {
    if (answer[HEADER_BYTES + i] !== question[i]) return false;
  }
  return true;
}

/** What a question becomes that no server has answered: SERVFAIL, with the question alone (RFC 1035 §4.1.1). */
export function serverFailure(message: Uint8Array): Uint8Array {
  const answer = message.slice(0, questionEnd(message));
  answer[2] |= QR;
  answer[3] = RECURSION_AVAILABLE | SERVFAIL;
  // Answers, authorities and additional records: none.
  answer.fill(0, 6, HEADER_BYTES);
  return answer;
}

/** The question itself, copied out of a message. */
export const questionOf = (bytes: Uint8Array, end: number): Uint8Array => bytes.slice(HEADER_BYTES, end);
