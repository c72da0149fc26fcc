/** What a socket keeps, and the few things all its parts do with it. */
import type { EventEmitter } from 'node:events';
import type { BlockList } from 'node:net';
import { plainError } from '../net/node-errors.js';
import type { UdpHandle } from './handle.js';
import type { SocketType } from './places.js';
import type { SocketOptions } from './socket-options.js';

/** How far a socket is on its way to a port, and to a peer. */
export const Step = { None: 0, Underway: 1, Done: 2 } as const;
export type Step = (typeof Step)[keyof typeof Step];

/** A class and no literal, which the engine would come to allocate as if it were to last. */
export class SocketState {
  /** Null when closed. */
  handle: UdpHandle | null;
  receiving = false;
  bindState: Step = Step.None;
  connectState: Step = Step.None;
  /** What was asked for while the socket was being bound. */
  queue: (() => void)[] | undefined = undefined;
  reuseAddr: unknown;
  reusePort: unknown;
  ipv6Only: unknown;
  recvBufferSize: number | undefined;
  sendBufferSize: number | undefined;
  receiveBlockList: BlockList | undefined;
  sendBlockList: BlockList | undefined;

  constructor(handle: UdpHandle, options: SocketOptions) {
    this.handle = handle;
    this.reuseAddr = options.reuseAddr;
    this.reusePort = options.reusePort;
    this.ipv6Only = options.ipv6Only;
    this.recvBufferSize = options.recvBufferSize;
    this.sendBufferSize = options.sendBufferSize;
    this.receiveBlockList = options.receiveBlockList;
    this.sendBlockList = options.sendBlockList;
  }
}

/** Where a socket keeps its state; named as in Node, where some programs look for it. */
export const kState: unique symbol = Symbol('state symbol');

export interface Stateful extends EventEmitter {
  readonly type: SocketType;
  [kState]: SocketState;
}

/** The handle of a socket that is open. @throws `ERR_SOCKET_DGRAM_NOT_RUNNING` */
export function handleOf(socket: Stateful): UdpHandle {
  const { handle } = socket[kState];
  if (handle === null) throw plainError('ERR_SOCKET_DGRAM_NOT_RUNNING');
  return handle;
}

/**
 * The handle, for calls that Node makes without looking whether there is one.
 * @throws TypeError, as there, when the socket is closed
 */
export const bareHandle = (socket: Stateful): UdpHandle => socket[kState].handle as UdpHandle;

export function stopReceiving(socket: Stateful): void {
  const state = socket[kState];
  if (!state.receiving) return;
  state.handle?.recvStop();
  state.receiving = false;
}
