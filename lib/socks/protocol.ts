/**
 * SOCKS version 5, the side of the client: what is said until a proxy has connected (RFC 1928), with a user name and a
 * password where it asks for them (RFC 1929), and the header of datagrams it passes on. Told bytes and asked for
 * bytes; it holds no socket.
 */
import { ArgumentRangeError, ArgumentTypeError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';

export const SocksCommand = { Connect: 1, Associate: 3 } as const;
export type SocksCommand = (typeof SocksCommand)[keyof typeof SocksCommand];

/** What a proxy answers to a request (RFC 1928 §6). */
export const SocksReply = {
  Succeeded: 0,
  GeneralFailure: 1,
  NotAllowed: 2,
  NetworkUnreachable: 3,
  HostUnreachable: 4,
  ConnectionRefused: 5,
  TtlExpired: 6,
  CommandNotSupported: 7,
  AddressTypeNotSupported: 8,
} as const;

const VERSION = 5;
const AUTH_VERSION = 1;
const NO_AUTH = 0;
const USER_PASSWORD = 2;
const NO_METHOD = 0xff;
const ATYP = { V4: 1, Name: 3, V6: 4 } as const;
/** The longest of all answers: a reply with a name of 255 bytes. */
const LONGEST_ANSWER = 262;
const MAX_TEXT_BYTES = 255;
const NO_BYTES = new Uint8Array(0);

/** Where something is to go. */
export interface SocksPlace {
  /** An address, or a name of up to 255 bytes, which the proxy resolves. */
  readonly host: string;
  readonly port: number;
}

export interface SocksCredentials {
  readonly username: string;
  readonly password: string;
}

/**
 * How a handshake ended. `ready`: the proxy has done what was asked. `refused`: it answered with a code. `unauthorized`:
 * it takes none of our ways to authenticate, or not this user. `malformed`: what it says is no SOCKS.
 */
export type SocksOutcome = 'ready' | 'refused' | 'unauthorized' | 'malformed';

/** The conversation up to the proxy's reply. */
export class SocksHandshake {
  /** Undefined while it goes on. */
  outcome: SocksOutcome | undefined;
  /** What the proxy replied, once it is `ready` or `refused`. */
  reply: number = SocksReply.Succeeded;
  /** Where it is bound: the address of a relay for datagrams. A name where the proxy gave one. */
  bound: SocksPlace = { host: '', port: 0 };
  /** What came behind the reply, which is for whoever uses the connection. */
  excess: Uint8Array = NO_BYTES;
  readonly #request: Uint8Array;
  readonly #credentials: SocksCredentials | undefined;
  #awaits: 'method' | 'auth' | 'reply' = 'method';
  readonly #bytes = new Uint8Array(LONGEST_ANSWER);
  #length = 0;

  /** @throws ArgumentTypeError, ArgumentRangeError for a name, user or password that cannot be said */
  constructor(command: SocksCommand, place: SocksPlace, credentials?: SocksCredentials) {
    this.#request = Uint8Array.from([VERSION, command, 0, ...encodePlace(place)]);
    this.#credentials = credentials;
    if (credentials !== undefined) checkCredentials(credentials);
  }

  /** What is sent first: our ways to authenticate. */
  greeting(): Uint8Array {
    const methods = this.#credentials === undefined ? [NO_AUTH] : [NO_AUTH, USER_PASSWORD];
    return Uint8Array.from([VERSION, methods.length, ...methods]);
  }

  /** Takes what came. @returns what is to be sent now; nothing while there is nothing to say */
  push(chunk: Uint8Array): Uint8Array {
    let rest = chunk;
    while (this.outcome === undefined && rest.length > 0) {
      const taken = Math.min(rest.length, LONGEST_ANSWER - this.#length);
      this.#bytes.set(rest.subarray(0, taken), this.#length);
      const before = this.#length;
      this.#length += taken;
      const used = this.#answerBytes();
      if (used < 0 || used > this.#length) return NO_BYTES;
      rest = rest.subarray(used - before);
      const toSend = this.#answered(used);
      this.#length = 0;
      if (this.outcome !== undefined) this.excess = rest;
      else if (toSend.length > 0) return this.#sendAndGoOn(toSend, rest);
    }
    return NO_BYTES;
  }

  /** A proxy that has spoken ahead of us is heard to the end. */
  #sendAndGoOn(toSend: Uint8Array, rest: Uint8Array): Uint8Array {
    if (rest.length === 0) return toSend;
    const more = this.push(rest);
    const both = new Uint8Array(toSend.length + more.length);
    both.set(toSend);
    both.set(more, toSend.length);
    return both;
  }

  /** Bytes of the answer that is awaited, as far as what is there tells; -1 while that is not known. */
  #answerBytes(): number {
    if (this.#awaits !== 'reply') return 2;
    if (this.#length < 2) return -1;
    // Behind a refusal nothing is of use, and some proxies send nothing more.
    if (this.#bytes[1] !== SocksReply.Succeeded) return 2;
    if (this.#length < 5) return -1;
    const place = placeBytes(this.#bytes, 3);
    return place < 0 ? 4 : 3 + place;
  }

  /** A whole answer of `length` bytes is there. @returns what is to be sent */
  #answered(length: number): Uint8Array {
    const bytes = this.#bytes;
    if (this.#awaits === 'method') return this.#methodChosen(bytes[0], bytes[1]);
    if (this.#awaits === 'auth') {
      // The version is that of the negotiation, not of SOCKS; some proxies say 5 all the same.
      if (bytes[0] !== AUTH_VERSION && bytes[0] !== VERSION) return this.#end('malformed');
      if (bytes[1] !== 0) return this.#end('unauthorized');
      this.#awaits = 'reply';
      return this.#request;
    }
    if (bytes[0] !== VERSION) return this.#end('malformed');
    this.reply = bytes[1];
    if (this.reply !== SocksReply.Succeeded) return this.#end('refused');
    const bound = length < 7 ? undefined : decodePlace(bytes, 3);
    if (bound === undefined) return this.#end('malformed');
    this.bound = bound;
    return this.#end('ready');
  }

  #methodChosen(version: number, method: number): Uint8Array {
    const credentials = this.#credentials;
    if (version !== VERSION) return this.#end('malformed');
    if (method === NO_METHOD) return this.#end('unauthorized');
    if (method === NO_AUTH) {
      this.#awaits = 'reply';
      return this.#request;
    }
    if (method !== USER_PASSWORD || credentials === undefined) return this.#end('malformed');
    this.#awaits = 'auth';
    const user = textBytes(credentials.username);
    const password = textBytes(credentials.password);
    return Uint8Array.from([AUTH_VERSION, user.length, ...user, password.length, ...password]);
  }

  #end(outcome: SocksOutcome): Uint8Array {
    this.outcome = outcome;
    return NO_BYTES;
  }
}

const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** @throws ArgumentRangeError, ArgumentTypeError */
export function checkCredentials({ username, password }: SocksCredentials): void {
  if (typeof username !== 'string' || typeof password !== 'string') {
    throw new ArgumentTypeError('user name and password of a proxy must be strings');
  }
  for (const text of [username, password]) {
    const { length } = textBytes(text);
    // RFC 1929 §2 allows 1 .. 255; many proxies take an empty password.
    if (length > MAX_TEXT_BYTES || (length === 0 && text === username)) {
      throw new ArgumentRangeError(
        'user name and password of a proxy have at most 255 bytes, the name at least one',
      );
    }
  }
}

/** Address type, address and port (RFC 1928 §5). @throws ArgumentRangeError for a name of no or too many bytes */
function encodePlace({ host, port }: SocksPlace): Uint8Array {
  const address = IpAddress.tryParse(host);
  const name = address === undefined ? textBytes(host) : NO_BYTES;
  if (address === undefined && (name.length === 0 || name.length > MAX_TEXT_BYTES)) {
    throw new ArgumentRangeError('a name for a proxy to resolve has 1 .. 255 bytes');
  }
  const addressBytes = address === undefined ? 1 + name.length : address.family === 4 ? 4 : 16;
  const bytes = new Uint8Array(1 + addressBytes + 2);
  const view = new DataView(bytes.buffer);
  if (address === undefined) {
    bytes[0] = ATYP.Name;
    bytes[1] = name.length;
    bytes.set(name, 2);
  } else {
    bytes[0] = address.family === 4 ? ATYP.V4 : ATYP.V6;
    address.write(view, 1);
  }
  view.setUint16(1 + addressBytes, port);
  return bytes;
}

/** Bytes that a place at `at` takes; its first two are there. -1 for an address type that is none. */
function placeBytes(bytes: Uint8Array, at: number): number {
  if (bytes[at] === ATYP.V4) return 7;
  if (bytes[at] === ATYP.V6) return 19;
  return bytes[at] === ATYP.Name ? 4 + bytes[at + 1] : -1;
}

/** The place at `at`, all of which is there; undefined for what is none. */
function decodePlace(bytes: Uint8Array, at: number): SocksPlace | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = placeBytes(bytes, at);
  if (length < 0) return undefined;
  const port = view.getUint16(at + length - 2);
  if (bytes[at] !== ATYP.Name) {
    const family = bytes[at] === ATYP.V4 ? 4 : 6;
    return { host: IpAddress.read(view, at + 1, family).toString(), port };
  }
  return { host: new TextDecoder().decode(bytes.subarray(at + 2, at + length - 2)), port };
}

// Datagrams (RFC 1928 §7).

/** Bytes before the text of a datagram to or from an address of IPv4, and of IPv6. */
const DATAGRAM_HEADER_4 = 10;
const DATAGRAM_HEADER_6 = 22;

/** A datagram for the proxy to send to `address` and `port`; `data` is copied. */
export function encodeDatagram(address: IpAddress, port: number, data: Uint8Array): Uint8Array {
  const headerBytes = address.family === 4 ? DATAGRAM_HEADER_4 : DATAGRAM_HEADER_6;
  const bytes = new Uint8Array(headerBytes + data.length);
  const view = new DataView(bytes.buffer);
  bytes[3] = address.family === 4 ? ATYP.V4 : ATYP.V6;
  address.write(view, 4);
  view.setUint16(headerBytes - 2, port);
  bytes.set(data, headerBytes);
  return bytes;
}

/** A datagram that a proxy passed on. */
export interface SocksDatagram {
  readonly address: IpAddress;
  readonly port: number;
  /** A view of what was given. */
  readonly data: Uint8Array;
}

/**
 * What a proxy passed on; undefined for what is malformed, comes from a name, or is a fragment: who does not put such
 * together must drop them (RFC 1928 §7). The reserved bytes are not looked at: they say nothing.
 */
export function decodeDatagram(bytes: Uint8Array): SocksDatagram | undefined {
  if (bytes.length < DATAGRAM_HEADER_4 || bytes[2] !== 0) return undefined;
  const family = bytes[3] === ATYP.V4 ? 4 : bytes[3] === ATYP.V6 ? 6 : 0;
  const headerBytes = family === 4 ? DATAGRAM_HEADER_4 : DATAGRAM_HEADER_6;
  if (family === 0 || bytes.length < headerBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const address = IpAddress.read(view, 4, family);
  return { address, port: view.getUint16(headerBytes - 2), data: bytes.subarray(headerBytes) };
}
