/** DHCP messages (RFC 2131 §2, RFC 2132): read with every bound checked, and written. */
import { MacAddress } from '../ethernet/mac-address.js';
import { IpAddress } from '../wire/ip-address.js';

export const DhcpType = {
  Discover: 1,
  Offer: 2,
  Request: 3,
  Decline: 4,
  Ack: 5,
  Nak: 6,
  Release: 7,
  Inform: 8,
} as const;

export const DhcpOption = {
  Pad: 0,
  SubnetMask: 1,
  Router: 3,
  DnsServers: 6,
  HostName: 12,
  Domain: 15,
  Mtu: 26,
  Broadcast: 28,
  RequestedAddress: 50,
  LeaseTime: 51,
  Overload: 52,
  MessageType: 53,
  ServerId: 54,
  ParameterList: 55,
  Message: 56,
  MaxSize: 57,
  RenewalTime: 58,
  RebindingTime: 59,
  ClientId: 61,
  SearchDomains: 119,
  ClasslessRoutes: 121,
  End: 255,
} as const;

export const SERVER_PORT = 67;
export const CLIENT_PORT = 68;
/** A lease without end, s. */
export const INFINITE_LEASE = 0xffff_ffff;

const COOKIE = 0x6382_5363;
const FIXED_BYTES = 236;
const OPTIONS_AT = FIXED_BYTES + 4;
/** Messages are at least as long as BOOTP's, as some relays and hosts demand (RFC 1542 §2.1). */
const MIN_BYTES = 300;
const ETHERNET = 1;
const SNAME_AT = 44;
const FILE_AT = 108;
const BROADCAST_FLAG = 0x8000;
/** Options of one message, and bytes of one option put together (RFC 3396), beyond which it is not read. */
const MAX_OPTIONS = 128;
const MAX_OPTION_BYTES = 1024;

/** A DHCP message. */
export interface DhcpMessage {
  /** Whether a client sent it. */
  readonly isRequest: boolean;
  /** A `DhcpType`. */
  readonly type: number;
  readonly transaction: number;
  readonly seconds: number;
  /** Whether the client cannot hear answers to itself alone. */
  readonly isBroadcast: boolean;
  readonly clientAddress: IpAddress;
  readonly yourAddress: IpAddress;
  /** Of a relay agent; unspecified without one. */
  readonly relay: IpAddress;
  readonly mac: MacAddress;
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** Reads a message; undefined for what is none of DHCP over Ethernet. */
export function readDhcp(bytes: Uint8Array): DhcpMessage | undefined {
  if (bytes.length < OPTIONS_AT) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const operation = view.getUint8(0);
  const isSound =
    view.getUint8(1) === ETHERNET && view.getUint8(2) === 6 && view.getUint32(FIXED_BYTES) === COOKIE;
  if (!isSound || (operation !== 1 && operation !== 2)) return undefined;
  const options = new Map<number, Uint8Array>();
  if (!readOptions(bytes, OPTIONS_AT, bytes.length, options)) return undefined;
  const overload = options.get(DhcpOption.Overload)?.[0] ?? 0;
  // RFC 2131 §4.1: first the file field, then the server's name.
  if ((overload & 1) !== 0 && !readOptions(bytes, FILE_AT, FIXED_BYTES, options)) return undefined;
  if ((overload & 2) !== 0 && !readOptions(bytes, SNAME_AT, FILE_AT, options)) return undefined;
  const type = options.get(DhcpOption.MessageType);
  if (type?.length !== 1 || type[0] < DhcpType.Discover || type[0] > DhcpType.Inform) return undefined;
  return {
    isRequest: operation === 1,
    type: type[0],
    transaction: view.getUint32(4),
    seconds: view.getUint16(8),
    isBroadcast: (view.getUint16(10) & BROADCAST_FLAG) !== 0,
    clientAddress: IpAddress.read(view, 12, 4),
    yourAddress: IpAddress.read(view, 16, 4),
    relay: IpAddress.read(view, 24, 4),
    mac: MacAddress.read(view, 28),
    options,
  };
}

/** Adds the options of one field; false when one reaches beyond it. */
function readOptions(bytes: Uint8Array, start: number, end: number, into: Map<number, Uint8Array>): boolean {
  let count = 0;
  for (let at = start; at < end; ) {
    const code = bytes[at++];
    if (code === DhcpOption.Pad) continue;
    if (code === DhcpOption.End) return true;
    const length = at < end ? bytes[at] : 0;
    if (at >= end || at + 1 + length > end || ++count > MAX_OPTIONS) return false;
    const piece = bytes.subarray(at + 1, at + 1 + length);
    const before = into.get(code);
    // RFC 3396 §5: one option in several pieces.
    if (before === undefined) into.set(code, piece.slice());
    else if (before.length + length <= MAX_OPTION_BYTES) into.set(code, Uint8Array.of(...before, ...piece));
    at += 1 + length;
  }
  return true;
}

/** Writes a message; options in their order, in pieces of at most 255 bytes. */
export function writeDhcp(message: DhcpMessage): Uint8Array {
  let length = OPTIONS_AT + 3 + 1;
  for (const { length: bytes } of message.options.values())
    length += bytes + 2 * Math.max(1, Math.ceil(bytes / 255));
  const bytes = new Uint8Array(Math.max(MIN_BYTES, length));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, message.isRequest ? 1 : 2);
  view.setUint8(1, ETHERNET);
  view.setUint8(2, 6);
  view.setUint32(4, message.transaction);
  view.setUint16(8, message.seconds);
  view.setUint16(10, message.isBroadcast ? BROADCAST_FLAG : 0);
  message.clientAddress.write(view, 12);
  message.yourAddress.write(view, 16);
  message.relay.write(view, 24);
  message.mac.write(view, 28);
  view.setUint32(FIXED_BYTES, COOKIE);
  let at = OPTIONS_AT;
  const put = (code: number, value: Uint8Array): void => {
    for (let from = 0; from === 0 || from < value.length; from += 255) {
      const piece = value.subarray(from, from + 255);
      bytes[at++] = code;
      bytes[at++] = piece.length;
      bytes.set(piece, at);
      at += piece.length;
    }
  };
  put(DhcpOption.MessageType, Uint8Array.of(message.type));
  for (const [code, value] of message.options) put(code, value);
  bytes[at] = DhcpOption.End;
  return bytes;
}
