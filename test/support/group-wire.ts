/** IGMP and MLD for tests: queries built field by field, and what a host says read back as lines of text. */

import { IpAddress } from '../../lib/wire/ip-address.js';
import {
  addressBytes,
  bytesOf,
  checksumOf,
  icmp6,
  optionsHeader,
  pseudoHeader,
  read,
  u16,
  v4,
  v6,
} from './ip-wire.js';

export const ROUTER_ALERT = [148, 4, 0, 0];

export interface QueryFields {
  group?: string;
  sources?: readonly string[];
  /** The code as on the wire: tenths of seconds (IGMP) or milliseconds (MLD), or a floating point code. */
  code?: number;
  robustness?: number;
  /** Seconds, or a floating point code. */
  interval?: number;
  /** 1, 2, 3 for IGMP; 1, 2 for MLD. */
  version?: number;
  from?: string;
  to?: string;
  withoutAlert?: boolean;
  hopLimit?: number;
  /** Bytes cut from the end, or added. */
  cut?: number;
  badChecksum?: boolean;
}

const resized = (bytes: Uint8Array, cut: number): Uint8Array =>
  cut >= 0 ? bytes.subarray(0, bytes.length - cut) : bytesOf(bytes, new Uint8Array(-cut));

/** An IGMP message in its packet. */
export function igmp(message: readonly number[], fields: QueryFields = {}): Uint8Array {
  const bytes = resized(Uint8Array.from(message), fields.cut ?? 0).slice();
  bytes.set([0, 0], 2);
  bytes.set(u16(checksumOf(bytes) ^ (fields.badChecksum ? 1 : 0)), 2);
  return v4({
    from: fields.from ?? '10.0.0.254',
    to: fields.to ?? fields.group ?? '224.0.0.1',
    protocol: 2,
    ttl: fields.hopLimit ?? 1,
    payload: bytes,
    options: fields.withoutAlert ? [] : ROUTER_ALERT,
  });
}

export function igmpQuery(fields: QueryFields = {}): Uint8Array {
  const {
    version = 3,
    code = version === 1 ? 0 : 100,
    robustness = 2,
    interval = 125,
    sources = [],
  } = fields;
  const message = [0x11, code, 0, 0, ...addressBytes(fields.group ?? '0.0.0.0')];
  if (version === 3) {
    message.push(
      robustness,
      interval,
      ...u16(sources.length),
      ...sources.flatMap((source) => [...addressBytes(source)]),
    );
  }
  return igmp(message, fields);
}

/** An MLD message in its packet. */
export function mld(
  type: number,
  word: number,
  data: readonly number[],
  fields: QueryFields = {},
): Uint8Array {
  const ends = [fields.from ?? 'fe80::fe', fields.to ?? fields.group ?? 'ff02::1'] as const;
  const message = icmp6(ends, type, 0, word, resized(Uint8Array.from(data), fields.cut ?? 0));
  if (fields.badChecksum) message[3] ^= 1;
  const header = fields.withoutAlert ? optionsHeader(58, []) : optionsHeader(58, [5, 2, 0, 0]);
  const payload = bytesOf(header, message);
  return v6({ from: ends[0], to: ends[1], next: 0, hopLimit: fields.hopLimit ?? 1, payload });
}

export function mldQuery(fields: QueryFields = {}): Uint8Array {
  const { version = 2, code = 10_000, robustness = 2, interval = 125, sources = [] } = fields;
  const data = [...addressBytes(fields.group ?? '::')];
  if (version === 2) {
    data.push(
      robustness,
      interval,
      ...u16(sources.length),
      ...sources.flatMap((source) => [...addressBytes(source)]),
    );
  }
  return mld(130, code << 16, data, fields);
}

const KINDS = ['', 'is_in', 'is_ex', 'to_in', 'to_ex', 'allow', 'block'];

/** Every byte of a packet of ours proved: options, hop limit, checksums, lengths. @throws Error for what is wrong */
export function readGroupMessage(packet: Uint8Array): string {
  const seen = read(packet);
  const need = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`${what} of ${seen.from} > ${seen.to}`);
  };
  need(seen.ttl === 1, `hop limit ${seen.ttl}`);
  let message = seen.payload;
  if (seen.version === 4) {
    need(seen.protocol === 2 && seen.tos === 0xc0, 'protocol or TOS');
    need(String(seen.options) === String(ROUTER_ALERT), 'router alert');
    need(checksumOf(message) === 0, 'checksum');
  } else {
    need(String(message.subarray(0, 8)) === '58,0,5,2,0,0,1,0', 'router alert');
    message = message.subarray(8);
    need(checksumOf(pseudoHeader(seen.from, seen.to, 58, message.length), message) === 0, 'checksum');
  }
  const [words, bytes] = describe(message, seen.version);
  need(bytes === message.length, 'length');
  return `${seen.from} > ${seen.to} ${words}`;
}

function describe(message: Uint8Array, version: number): [string, number] {
  const view = new DataView(message.buffer, message.byteOffset);
  const family = version === 4 ? 4 : 6;
  const unit = family === 4 ? 4 : 16;
  const oldAt = family === 4 ? 4 : 8;
  const names: Record<number, string> = { 18: 'v1', 22: 'v2', 23: 'leave', 131: 'v1', 132: 'done' };
  const old = names[message[0]];
  if (old !== undefined) return [`${old} ${IpAddress.read(view, oldAt, family)}`, oldAt + unit];
  if (message[0] !== (family === 4 ? 34 : 143)) throw new Error(`type ${message[0]}`);
  const records: string[] = [];
  let at = 8;
  for (let i = 0; i < view.getUint16(6); i++) {
    const count = view.getUint16(at + 2);
    const kind = KINDS[message[at]];
    const group = IpAddress.read(view, at + 4, family);
    const sources = Array.from({ length: count }, (_, j) =>
      IpAddress.read(view, at + 4 + unit * (j + 1), family).toString(),
    );
    records.push(`${kind} ${group} {${sources.join(' ')}}`);
    at += 4 + unit * (count + 1);
  }
  return [records.join(', '), at];
}
