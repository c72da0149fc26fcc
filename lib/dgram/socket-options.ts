/** What a UDP socket is made with. */
import type { LookupFunction } from 'node:net';
import { checkAbortSignal, checkFunction, checkInteger } from '../net/arguments.js';
import { typeError } from '../net/node-errors.js';
import { lookupOne } from '../net/resolve.js';
import type { SocketType } from './places.js';

export interface SocketOptions {
  type: SocketType;
  /** Share the port with other sockets that ask for it too; false by default. */
  reuseAddr?: boolean | undefined;
  /** As `reuseAddr`, and datagrams are spread over those sockets; false by default. */
  reusePort?: boolean | undefined;
  /** An `udp6` socket that is not for IPv4; false by default. */
  ipv6Only?: boolean | undefined;
  /** Bytes; as Linux does, twice as many are reserved. */
  recvBufferSize?: number | undefined;
  sendBufferSize?: number | undefined;
  /** In place of `dns.lookup`: called with a name or address, 4 or 6, and a callback. */
  lookup?: LookupFunction | undefined;
  signal?: AbortSignal | undefined;
}

/** Finds the address of a name; an empty name is this host. */
export type Resolve = (name: string, found: (error: Error | null, address: string) => void) => void;

export interface SocketSettings extends SocketOptions {
  readonly resolve: Resolve;
  /** Whether addresses need no `resolve`. */
  readonly knowsLiterals: boolean;
}

/** @throws `ERR_SOCKET_BAD_TYPE`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` */
export function readSocketOptions(given: unknown): SocketSettings {
  const options = (typeof given === 'object' && given !== null ? given : { type: given }) as SocketOptions;
  const { type, recvBufferSize, sendBufferSize, lookup, signal } = options;
  if (recvBufferSize) checkInteger(recvBufferSize, 'options.recvBufferSize', 0, 0xffff_ffff);
  if (sendBufferSize) checkInteger(sendBufferSize, 'options.sendBufferSize', 0, 0xffff_ffff);
  if (lookup !== undefined) checkFunction(lookup, 'lookup');
  if (type !== 'udp4' && type !== 'udp6') {
    throw typeError('ERR_SOCKET_BAD_TYPE', 'Bad socket type specified. Valid types are: udp4, udp6');
  }
  if (signal !== undefined) checkAbortSignal(signal, 'options.signal');
  const family = type === 'udp4' ? 4 : 6;
  const self = family === 4 ? '127.0.0.1' : '::1';
  const resolve: Resolve =
    lookup === undefined
      ? (name, found) => lookupOne(name || self, family, found)
      : (name, found) => {
          // Node passes the family as a number, which its types do not know.
          lookup(name || self, family as never, found as Parameters<LookupFunction>[2]);
        };
  return { ...options, resolve, knowsLiterals: lookup === undefined };
}

export interface BindOptions {
  port?: number | null | undefined;
  address?: string | undefined;
  /** There is one process only: ignored. */
  exclusive?: boolean | undefined;
}

/** `([port][, address][, callback])` or `(options[, callback])`. */
export function readBindArguments([first, second]: readonly unknown[]): BindOptions {
  if (typeof first === 'object' && first !== null) return first;
  const port = typeof first === 'function' ? undefined : (first as number | undefined);
  return { port, address: typeof second === 'string' ? second : undefined };
}
