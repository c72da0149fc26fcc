/**
 * DNS messages (RFC 1035 §4), written and read by the codec of the host. Nobody knows who sent what arrives here: its
 * structure is walked before the codec sees it, so that its counts, lengths and pointers are true, and
 * what cannot be read is a value, not an exception.
 */
import { dnsHost } from './host.js';
import { nameKey, readName } from './names.js';

/** The types of records that can be asked for. */
export const RECORD_TYPES = [
  'A',
  'AAAA',
  'ANY',
  'CAA',
  'CNAME',
  'MX',
  'NAPTR',
  'NS',
  'PTR',
  'SOA',
  'SRV',
  'TLSA',
  'TXT',
] as const;
export type RecordType = (typeof RECORD_TYPES)[number];

export interface Question {
  /** Without the dot at the end; '' for the root. */
  readonly name: string;
  readonly type: RecordType;
}

export interface DnsRecord {
  /** As `nameKey` gives it. */
  readonly owner: string;
  /** `A`, `CNAME` and so on; `UNKNOWN_65280` for what the codec does not know. */
  readonly type: string;
  readonly ttlSeconds: number;
  /** As the codec reads it, its names in the form of `readName`. */
  readonly data: unknown;
}

export interface DnsMessage {
  /** With the upper bits that EDNS brings (RFC 6891 §6.1.3). */
  readonly rcode: number;
  readonly isTruncated: boolean;
  /** Whether the sender knows EDNS. */
  readonly hasOpt: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
}

/** Response codes (RFC 1035 §4.1.1, RFC 6891 §9). */
export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

const HEADER_BYTES = 12;
const QUESTION_TAIL_BYTES = 4;
const RECORD_HEADER_BYTES = 10;
const CLASS_IN = 1;
const TYPE_OPT = 41;
const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const OPCODE_MASK = 0x7800;
/** Records of one message that are read; a longer message cannot be an answer to one of our questions. */
const MAX_RECORDS = 4096;

/** A query with an ID, and an OPT record unless `udpPayloadBytes` is 0 (RFC 6891 §6.1). */
export const encodeQuery = (question: Question, id: number, udpPayloadBytes: number): Uint8Array =>
  dnsHost().codec.encode(question, id, udpPayloadBytes);

/** `mismatched`: not the answer to this query. `malformed`: perhaps it is, but it cannot be read. */
export type Reply = DnsMessage | 'mismatched' | 'malformed';

/** What `bytes` say in answer to `query`, both whole messages. */
export function readReply(query: Uint8Array, bytes: Uint8Array): Reply {
  if (bytes.length < HEADER_BYTES) return 'malformed';
  const reply = viewOf(bytes);
  const flags = reply.getUint16(2);
  if (reply.getUint16(0) !== viewOf(query).getUint16(0)) return 'mismatched';
  if ((flags & FLAG_RESPONSE) === 0 || (flags & OPCODE_MASK) !== 0) return 'mismatched';
  const rcode = flags & 15;
  const questions = reply.getUint16(4);
  // A server that could not read the query at all may leave out the question.
  const mayLackQuestion =
    rcode !== Rcode.NOERROR && rcode !== Rcode.NXDOMAIN && bytes.length === HEADER_BYTES;
  if (questions === 0 && mayLackQuestion) return { ...EMPTY, rcode };
  if (questions !== 1 || !hasQuestionOf(query, bytes)) return 'mismatched';
  return readMessage(bytes, flags) ?? 'malformed';
}

const EMPTY = { isTruncated: false, hasOpt: false, answers: [], authorities: [] };

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Whether the question section repeats that of the query, letters in either case (RFC 5452 §9.1, RFC 4343 §3). */
function hasQuestionOf(query: Uint8Array, bytes: Uint8Array): boolean {
  let end = HEADER_BYTES;
  while (query[end] !== 0) end += query[end] + 1;
  end += 1 + QUESTION_TAIL_BYTES;
  if (bytes.length < end) return false;
  for (let i = HEADER_BYTES; i < end - QUESTION_TAIL_BYTES; i++) {
    if (lower(bytes[i]) !== lower(query[i])) return false;
  }
  for (let i = end - QUESTION_TAIL_BYTES; i < end; i++) if (bytes[i] !== query[i]) return false;
  return true;
}

const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);

/** Where a record lies, and what stands before its data. */
interface Place {
  readonly owner: string;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  readonly dataAt: number;
  readonly end: number;
}

/** The records of all sections one after the other; undefined when they are not what the header promises. */
function walk(bytes: Uint8Array): Place[] | undefined {
  const view = viewOf(bytes);
  const question = readName(bytes, HEADER_BYTES);
  if (question === undefined) return undefined;
  let at = question.end + QUESTION_TAIL_BYTES;
  const count = view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
  if (count > MAX_RECORDS) return undefined;
  const places: Place[] = [];
  for (let i = 0; i < count; i++) {
    const name = readName(bytes, at);
    if (name === undefined || name.end + RECORD_HEADER_BYTES > bytes.length) return undefined;
    const dataAt = name.end + RECORD_HEADER_BYTES;
    const end = dataAt + view.getUint16(dataAt - 2);
    if (end > bytes.length) return undefined;
    const ttl = view.getInt32(dataAt - 6);
    places.push({
      owner: nameKey(name.text),
      type: view.getUint16(name.end),
      class: view.getUint16(name.end + 2),
      // A time with its highest bit set is none (RFC 2181 §8).
      ttlSeconds: ttl < 0 ? 0 : ttl,
      dataAt,
      end,
    });
    at = end;
  }
  return places;
}

function readMessage(bytes: Uint8Array, flags: number): DnsMessage | undefined {
  const places = walk(bytes);
  if (places === undefined) return undefined;
  const decoded = dnsHost().codec.decode(bytes);
  if (decoded === undefined || decoded.bytes !== endOf(places, bytes)) return undefined;
  const [answers, authorities, additionals] = decoded.sections;
  const records: (DnsRecord | undefined)[] = [];
  for (const [i, { type, data }] of [...answers, ...authorities].entries()) {
    const place = places[i];
    if (place.class !== CLASS_IN) {
      records.push(undefined);
      continue;
    }
    const checked = checkData(bytes, place, type, data);
    if (checked === undefined) return undefined;
    records.push({ owner: place.owner, type, ttlSeconds: place.ttlSeconds, data: checked });
  }
  const isHere = (record: DnsRecord | undefined): record is DnsRecord => record !== undefined;
  const opt = additionals.findIndex(({ type }) => type === 'OPT');
  const extended = opt < 0 ? 0 : bytes[places[records.length + opt].dataAt - 6] << 4;
  return {
    rcode: extended | (flags & 15),
    isTruncated: (flags & FLAG_TRUNCATED) !== 0,
    hasOpt: places.some(({ type }) => type === TYPE_OPT),
    answers: records.slice(0, answers.length).filter(isHere),
    authorities: records.slice(answers.length).filter(isHere),
  };
}

/** Where the last record ends. What follows is nobody's. */
const endOf = (places: readonly Place[], bytes: Uint8Array): number =>
  places.at(-1)?.end ?? (readName(bytes, HEADER_BYTES)?.end ?? 0) + QUESTION_TAIL_BYTES;

/** The data of a record, with names as `readName` shows them; undefined when its length and they do not agree. */
function checkData(bytes: Uint8Array, { dataAt, end }: Place, type: string, data: unknown): unknown {
  const nameIn = (at: number): string | undefined => {
    const name = readName(bytes, at);
    return name === undefined || name.end > end ? undefined : name.text;
  };
  const with1 = (key: string, at: number): unknown => {
    const name = nameIn(at);
    return name === undefined ? undefined : { ...(data as object), [key]: name };
  };
  switch (type) {
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return nameIn(dataAt);
    case 'MX':
      return with1('exchange', dataAt + 2);
    case 'SRV':
      return with1('target', dataAt + 6);
    case 'NAPTR': {
      let at = dataAt + 4;
      for (let i = 0; i < 3 && at < end; i++) at += bytes[at] + 1;
      return with1('replacement', at);
    }
    case 'SOA': {
      const mname = readName(bytes, dataAt);
      const rname = mname && readName(bytes, mname.end);
      if (mname === undefined || rname === undefined || rname.end + 20 > end) return undefined;
      return { ...(data as object), mname: mname.text, rname: rname.text };
    }
    default:
      return data ?? null;
  }
}
