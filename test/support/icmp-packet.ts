/** ICMP errors for scenario tests, in either family. */
import { completeChecksum, type IpFields, ipPacket, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from './packet-bytes.js';

/** What the error says; type and code follow from it and the family. */
export type IcmpKind =
  | 'net'
  | 'host'
  | 'protocol'
  | 'port'
  | 'too-big'
  | 'source-route'
  | 'prohibited'
  | 'source-quench'
  | 'time-exceeded'
  | 'parameter-problem';

const V4: Readonly<Record<IcmpKind, readonly [type: number, code: number]>> = {
  net: [3, 0],
  host: [3, 1],
  protocol: [3, 2],
  port: [3, 3],
  'too-big': [3, 4],
  'source-route': [3, 5],
  prohibited: [3, 13],
  'source-quench': [4, 0],
  'time-exceeded': [11, 0],
  'parameter-problem': [12, 0],
};

/** ICMPv6 has neither source routes nor Source Quench to complain of. */
const V6: Readonly<Partial<Record<IcmpKind, readonly [type: number, code: number]>>> = {
  net: [1, 0],
  host: [1, 3],
  protocol: [4, 1],
  port: [1, 4],
  'too-big': [2, 0],
  prohibited: [1, 1],
  'time-exceeded': [3, 0],
  'parameter-problem': [4, 0],
};

export interface IcmpFields {
  /** The IP packet it is about; by default the last one the stack sent on this connection. */
  readonly about?: Uint8Array;
  /** Next-hop MTU of `too-big`. */
  readonly mtu?: number;
  /** How many transport bytes are quoted; all that fit by default. */
  readonly quoteBytes?: number;
  /** Who reports it: a router on the link by default. */
  readonly from?: string;
  /** Instead of those of the kind. */
  readonly type?: number;
  readonly code?: number;
  /** The word behind the checksum; 0, or the MTU, by default. */
  readonly word?: number;
  /** Spoils the checksum. */
  readonly badChecksum?: boolean;
}

/** Largest quotation: a datagram of 576 bytes (RFC 1812 §4.3.2.3), or of 1,280 (RFC 4443 §2.4). */
const MAX_QUOTE_V4 = 576 - 28;
const MAX_QUOTE_V6 = 1280 - 48;

/** The error, from `source` to `destination`, about `about`. */
export function icmpErrorPacket(
  kind: IcmpKind,
  addresses: { readonly source: string; readonly destination: string },
  fields: IcmpFields & { readonly about: Uint8Array },
): Uint8Array {
  const isV6 = addresses.source.includes(':');
  const [type, code] = (isV6 ? V6[kind] : V4[kind]) ?? [0, 0];
  if (type === 0 && fields.type === undefined) throw new Error(`ICMPv6 has no "${kind}"`);
  const headerBytes = isV6 ? 40 : (fields.about[0] & 15) * 4;
  const limit = isV6 ? MAX_QUOTE_V6 : MAX_QUOTE_V4;
  const wanted = fields.quoteBytes === undefined ? limit : headerBytes + fields.quoteBytes;
  const quote = fields.about.subarray(0, Math.min(wanted, limit, fields.about.length));
  const message = new Uint8Array(8 + quote.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, fields.type ?? type);
  view.setUint8(1, fields.code ?? code);
  view.setUint32(4, fields.word ?? fields.mtu ?? 0);
  message.set(quote, 8);
  const ip: IpFields = { ...addresses, protocol: isV6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP };
  completeChecksum(ip, message, 2);
  if (fields.badChecksum === true) message[2] ^= 0xff;
  return ipPacket(ip, message);
}
