/** What a UDP socket is made with. */
import type { BlockList, LookupFunction } from 'node:net';
import { checkBlockList, checkInteger } from '../net/arguments.js';
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
  /** Datagrams from these addresses are dropped. */
  receiveBlockList?: BlockList | undefined;
  /** Nothing is sent to these addresses: `ERR_IP_BLOCKED`. */
  sendBlockList?: BlockList | undefined;
}

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` */
export function readSocketOptions(given: unknown): SocketOptions {
  if (typeof given !== 'object' || given === null) return { type: given as SocketType };
  const options = given as SocketOptions;
  const { recvBufferSize, sendBufferSize } = options;
  if (recvBufferSize) checkInteger(recvBufferSize, 'options.recvBufferSize', 0, 0xffff_ffff);
  if (sendBufferSize) checkInteger(sendBufferSize, 'options.sendBufferSize', 0, 0xffff_ffff);
  checkBlockList(options.receiveBlockList, 'options.receiveBlockList');
  checkBlockList(options.sendBlockList, 'options.sendBlockList');
  return options;
}

export interface BindOptions {
  port?: unknown;
  address?: string | undefined;
  /** There is one process only: ignored. */
  exclusive?: boolean | undefined;
  /** Descriptors are the host's: see `bind`. */
  fd?: unknown;
}

/** `([port][, address][, callback])` or `(options[, callback])`. */
export function readBindArguments([first, second]: readonly unknown[]): BindOptions {
  if (typeof first === 'object' && first !== null) return first;
  return { port: first, address: typeof second === 'function' ? undefined : (second as string | undefined) };
}
