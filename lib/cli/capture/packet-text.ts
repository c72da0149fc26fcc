/** A packet as one line, and as fields to filter by. */
import { IpAddress } from '../../wire/ip-address.js';
import { ConnectionOrigin } from '../../wire/segment-origin.js';
import { formatSegment } from '../../wire/segment-text.js';
import { TcpHeader } from '../../wire/tcp.js';
import { icmpText } from './icmp-text.js';

export type ProtocolName = 'tcp' | 'udp' | 'icmp' | 'other';

/** What a packet says, as far as it goes. */
export interface PacketFields {
  readonly version: 4 | 6;
  readonly source: string;
  readonly destination: string;
  /** Number of the protocol behind all headers of IP. */
  readonly protocolNumber: number;
  readonly protocol: ProtocolName;
  /** Absent where there are none, as in all fragments but the first. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Of the whole packet, bytes. */
  readonly length: number;
  readonly hopLimit: number;
  /** Where the transport's header begins, and how many bytes there are from there. */
  readonly at: number;
  readonly bytes: number;
  /** Offset of a fragment, bytes; absent for a whole packet. */
  readonly fragmentAt?: number;
}

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMP6 = 58;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
/** Hop-by-hop options, routing, destination options: their length is in units of eight bytes. */
const OPTION_HEADERS = new Set([0, 43, 60]);
/** More than any packet needs. */
const MAX_HEADERS = 16;
const IPV6_HEADER_BYTES = 40;

/** @returns undefined for what is no packet */
export function readPacket(view: DataView): PacketFields | undefined {
  const version = view.byteLength < 1 ? 0 : view.getUint8(0) >> 4;
  if (version === 4 && view.byteLength >= 20) return readV4(view);
  return version === 6 && view.byteLength >= IPV6_HEADER_BYTES ? readV6(view) : undefined;
}

function readV4(view: DataView): PacketFields | undefined {
  const at = (view.getUint8(0) & 15) * 4;
  const length = Math.min(view.getUint16(2) || view.byteLength, view.byteLength);
  if (at < 20 || at > length) return undefined;
  const fragment = view.getUint16(6);
  const isFragment = (fragment & 0x3fff) !== 0;
  return complete(view, {
    version: 4,
    source: IpAddress.read(view, 12, 4).toString(),
    destination: IpAddress.read(view, 16, 4).toString(),
    protocolNumber: view.getUint8(9),
    length,
    hopLimit: view.getUint8(8),
    at,
    bytes: length - at,
    ...(isFragment ? { fragmentAt: (fragment & 0x1fff) * 8 } : {}),
  });
}

function readV6(view: DataView): PacketFields {
  const length = Math.min(IPV6_HEADER_BYTES + view.getUint16(4), view.byteLength);
  let protocolNumber = view.getUint8(6);
  let at = IPV6_HEADER_BYTES;
  let fragmentAt: number | undefined;
  for (let i = 0; i < MAX_HEADERS && at + 8 <= length; i++) {
    const next = view.getUint8(at);
    if (OPTION_HEADERS.has(protocolNumber)) at += (view.getUint8(at + 1) + 1) * 8;
    else if (protocolNumber === AUTHENTICATION) at += (view.getUint8(at + 1) + 2) * 4;
    else if (protocolNumber === FRAGMENT) {
      const field = view.getUint16(at + 2);
      if ((field & 0xfff9) !== 0) fragmentAt = field & 0xfff8;
      at += 8;
    } else break;
    protocolNumber = next;
    // What follows in later fragments are bytes, not headers.
    if (fragmentAt !== undefined && fragmentAt > 0) break;
  }
  return complete(view, {
    version: 6,
    source: IpAddress.read(view, 8, 6).toString(),
    destination: IpAddress.read(view, 24, 6).toString(),
    protocolNumber,
    length,
    hopLimit: view.getUint8(7),
    at,
    bytes: Math.max(0, length - at),
    ...(fragmentAt === undefined ? {} : { fragmentAt }),
  });
}

function complete(view: DataView, fields: Omit<PacketFields, 'protocol'>): PacketFields {
  const { protocolNumber, at, bytes, fragmentAt = 0 } = fields;
  const isIcmp = protocolNumber === ICMP || protocolNumber === ICMP6;
  const protocol =
    protocolNumber === TCP ? 'tcp' : protocolNumber === UDP ? 'udp' : isIcmp ? 'icmp' : 'other';
  if (isIcmp || protocol === 'other' || fragmentAt > 0 || bytes < 4) return { ...fields, protocol };
  return { ...fields, protocol, sourcePort: view.getUint16(at), destinationPort: view.getUint16(at + 2) };
}

/** Connections whose relative numbers are kept; the one unseen for longest makes room. */
const MAX_CONNECTIONS = 1024;

/** Writes packets as text; sequence numbers are relative to the beginning of their connection. */
export class PacketText {
  readonly #origins = new Map<string, ConnectionOrigin>();

  /** `IP 10.0.0.2.5000 > 10.0.0.1.80: S 0:0(0) win 64240 <mss 1460>` */
  line(view: DataView, fields: PacketFields, outgoing: boolean): string {
    const { version, source, destination, sourcePort, destinationPort } = fields;
    const place = (address: string, port: number | undefined): string =>
      port === undefined ? address : `${address}.${port}`;
    const ends = `${place(source, sourcePort)} > ${place(destination, destinationPort)}`;
    return `${version === 4 ? 'IP' : 'IP6'} ${ends}: ${this.#about(view, fields, outgoing)}`;
  }

  #about(view: DataView, fields: PacketFields, outgoing: boolean): string {
    const { protocol, protocolNumber, bytes, fragmentAt } = fields;
    if (fragmentAt !== undefined && fragmentAt > 0) {
      return `fragment of protocol ${protocolNumber}, ${fragmentAt}:${fragmentAt + bytes}`;
    }
    const mark = fragmentAt === undefined ? '' : ', first fragment';
    if (protocol === 'tcp' && bytes >= TcpHeader.MIN_BYTES && fragmentAt === undefined) {
      return this.#segment(view, fields, outgoing);
    }
    if (protocol === 'udp') return `UDP, length ${Math.max(0, bytes - 8)}${mark}`;
    if (protocol === 'icmp') return icmpText(view, fields) + mark;
    return `${protocol === 'tcp' ? 'TCP' : `protocol ${protocolNumber}`}, length ${bytes}${mark}`;
  }

  #segment(view: DataView, fields: PacketFields, outgoing: boolean): string {
    const { source, destination, sourcePort, destinationPort, at, bytes } = fields;
    const ours = `${source} ${sourcePort}`;
    const theirs = `${destination} ${destinationPort}`;
    const key = outgoing ? `${ours} ${theirs}` : `${theirs} ${ours}`;
    let origin = this.#origins.get(key);
    // A SYN begins anew, also between the same ports.
    if (origin === undefined || (view.getUint8(at + 13) & 0x12) === 0x02) origin = new ConnectionOrigin();
    this.#origins.delete(key);
    this.#origins.set(key, origin);
    if (this.#origins.size > MAX_CONNECTIONS) {
      for (const oldest of this.#origins.keys()) {
        this.#origins.delete(oldest);
        break;
      }
    }
    origin.learn(view, at, bytes, outgoing);
    return formatSegment(view, at, bytes, origin.of(outgoing));
  }
}
