/** Answers in the shapes of `node:dns`. */
import type { CaaData, MxData, NaptrData, SoaData, SrvData, TlsaData } from 'dns-packet';
import { NODE_MAJOR } from '../net/node-version.js';
import type { Answer } from './answer.js';
import type { DnsRecord, RecordType } from './message.js';

/** One record as `resolve…` gives it; `resolveAny` adds its type. */
type Shape = (record: DnsRecord) => unknown;

const text = ({ data }: DnsRecord): string => String(data);

const SHAPES: Readonly<Partial<Record<string, Shape>>> = {
  A: text,
  AAAA: text,
  CNAME: text,
  NS: text,
  PTR: text,
  TXT: ({ data }) => (data as Buffer[]).map((piece) => piece.toString('latin1')),
  MX({ data }) {
    const { exchange, preference } = data as MxData;
    return { exchange, priority: preference };
  },
  CAA({ data }) {
    const { flags, tag, value } = data as CaaData;
    return { critical: flags, [tag]: value };
  },
  NAPTR({ data }) {
    const { flags, services, regexp, replacement, order, preference } = data as NaptrData;
    return { flags, service: services, regexp, replacement, order, preference };
  },
  SRV({ data }) {
    const { target, port, priority, weight } = data as SrvData;
    return { name: target, port, priority, weight };
  },
  SOA({ data }) {
    const { mname, rname, serial, refresh, retry, expire, minimum } = data as SoaData;
    return { nsname: mname, hostmaster: rname, serial, refresh, retry, expire, minttl: minimum };
  },
  TLSA({ data }) {
    const { usage, selector, matchingType, certificate } = data as TlsaData;
    const { buffer, byteOffset, byteLength } = certificate;
    return {
      certUsage: usage,
      selector,
      match: matchingType,
      data: buffer.slice(byteOffset, byteOffset + byteLength),
    };
  },
};

/** The types of `resolveAny` in its order. */
const ANY_ORDER = ['A', 'CNAME', 'AAAA', 'MX', 'NS', 'TXT', 'SRV', 'PTR', 'NAPTR', 'SOA', 'TLSA', 'CAA'];

function shapeAny(record: DnsRecord): object {
  const { type, ttlSeconds } = record;
  const shape = SHAPES[type]?.(record);
  if (type === 'A' || type === 'AAAA') return { address: shape, ttl: ttlSeconds, type };
  if (type === 'TXT') return { entries: shape, type };
  return typeof shape === 'string' ? { value: shape, type } : { ...(shape as object), type };
}

/** Types whose records say so themselves since Node 24, as those of `resolveAny` always have. */
const TELL_TYPE: ReadonlySet<RecordType> = new Set(NODE_MAJOR >= 24 ? ['CAA', 'MX', 'SRV'] : []);

/** Types of which Node gives an empty list where the server gave records, but none of these. */
const MAY_BE_EMPTY = new Set<RecordType>(['CAA', 'MX', 'NAPTR', 'SRV', 'TLSA', 'TXT']);

/** The code of the error that an answer is for `resolve…`; '' for none. */
export function codeOfAnswer(type: RecordType, { code, records, hasOthers, isAlias }: Answer): string {
  if (code !== 'ENODATA') return code === '' && records.length === 0 ? 'ENODATA' : code;
  if (hasOthers && type === 'SOA') return 'EBADRESP';
  const mayBeEmpty = type === 'A' || type === 'AAAA' ? isAlias : hasOthers && MAY_BE_EMPTY.has(type);
  return mayBeEmpty ? '' : 'ENODATA';
}

/** What `resolve…` gives its caller. */
export function shapeOf(type: RecordType, { records }: Answer, withTtl: boolean): unknown {
  if (type === 'ANY') {
    return ANY_ORDER.flatMap((one) => records.filter((record) => record.type === one)).map(shapeAny);
  }
  const shape = SHAPES[type] ?? text;
  if (type === 'SOA') return shape(records[0]);
  if (withTtl && (type === 'A' || type === 'AAAA')) {
    return records.map((record) => ({ address: text(record), ttl: record.ttlSeconds }));
  }
  return records.map((record) => {
    const shown = shape(record);
    return TELL_TYPE.has(type) ? { ...(shown as object), type } : shown;
  });
}
