/**
 * A codec of DNS messages for places without Node's Buffer: queries of every kind, and of answers the data that finding
 * addresses takes. Records of other types have a number for a name, and no data.
 */
import { IpAddress } from '../wire/ip-address.js';
import type { Decoded, DecodedMessage, MessageCodec } from './host.js';
import type { Question, RecordType } from './message.js';
import { readName } from './names.js';

const HEADER_BYTES = 12;
const QUESTION_TAIL_BYTES = 4;
const OPT_BYTES = 11;
const CLASS_IN = 1;
const TYPE_OPT = 41;
const RECURSION_DESIRED = 0x0100;

/** Numbers of types (RFC 1035 §3.2.2 and others). */
const NUMBER_OF: Readonly<Record<RecordType, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  TLSA: 52,
  ANY: 255,
  CAA: 257,
};

function encode({ name, type }: Question, id: number, udpPayloadBytes: number): Uint8Array {
  const labels = name === '' ? [] : name.split('.');
  const nameBytes = labels.reduce((sum, label) => sum + 1 + label.length, 1);
  const optBytes = udpPayloadBytes === 0 ? 0 : OPT_BYTES;
  const bytes = new Uint8Array(HEADER_BYTES + nameBytes + QUESTION_TAIL_BYTES + optBytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, RECURSION_DESIRED);
  view.setUint16(4, 1);
  view.setUint16(10, optBytes === 0 ? 0 : 1);
  let at = HEADER_BYTES;
  for (const label of labels) {
    bytes[at++] = label.length;
    for (let i = 0; i < label.length; i++) bytes[at++] = label.charCodeAt(i);
  }
  at++;
  view.setUint16(at, NUMBER_OF[type]);
  view.setUint16(at + 2, CLASS_IN);
  if (optBytes > 0) {
    // After the name of the root: type, and the size in place of a class (RFC 6891 §6.1.2).
    view.setUint16(at + 5, TYPE_OPT);
    view.setUint16(at + 7, udpPayloadBytes);
  }
  return bytes;
}

/** Reads the data of a record of `length` bytes at `at`; undefined where it has another length than its type. */
type Reader = (view: DataView, at: number, length: number) => Decoded | undefined;

const READERS: Readonly<Record<number, Reader>> = {
  1: (view, at, length) => (length === 4 ? { type: 'A', data: textOf(view, at, 4) } : undefined),
  // Names are read by whoever walks the message.
  5: () => ({ type: 'CNAME', data: '' }),
  6: (view, at, length) =>
    length < 20 ? undefined : { type: 'SOA', data: { minimum: view.getUint32(at + length - 4) } },
  28: (view, at, length) => (length === 16 ? { type: 'AAAA', data: textOf(view, at, 16) } : undefined),
  [TYPE_OPT]: () => ({ type: 'OPT', data: null }),
};

function textOf(view: DataView, at: number, bytes: 4 | 16): string {
  if (bytes === 4) return [0, 1, 2, 3].map((i) => view.getUint8(at + i)).join('.');
  return IpAddress.read(view, at, 6).toString();
}

function decode(bytes: Uint8Array): DecodedMessage | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const question = readName(bytes, HEADER_BYTES);
  if (question === undefined) return undefined;
  let at = question.end + QUESTION_TAIL_BYTES;
  const sections: [Decoded[], Decoded[], Decoded[]] = [[], [], []];
  for (const [i, section] of sections.entries()) {
    for (let left = view.getUint16(6 + 2 * i); left > 0; left--) {
      const owner = readName(bytes, at);
      if (owner === undefined) return undefined;
      const type = view.getUint16(owner.end);
      const length = view.getUint16(owner.end + 8);
      const reader = READERS[type];
      const record =
        reader === undefined ? { type: `UNKNOWN_${type}`, data: null } : reader(view, owner.end + 10, length);
      if (record === undefined) return undefined;
      section.push(record);
      at = owner.end + 10 + length;
    }
  }
  return { sections, bytes: at };
}

export const plainCodec: MessageCodec = { encode, decode };
