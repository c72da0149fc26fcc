/**
 * TLS over sockets of a stack. Node concludes from a socket of `net` without a handle that it is not connected yet,
 * and waits for `connect`: right for one that is not, wrong for all others.
 */
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { normalizeArguments } from '../net/arguments.js';
import { lendToTls, lendWithEnd } from '../net/wrapping.js';
import type { Stack } from '../stack/stack.js';
import '../net/stack-net.js';
import { connectsToHost } from './host-listening.js';

type Call = (...args: unknown[]) => unknown;

/** Whether `instanceof net.Socket` is to be false for sockets of the stack just now. */
let isHidden = false;
/** Whether `stack.tls` makes a socket, which it lets follow the one below itself. */
let isStackTls = false;

export const isHiddenFromTls = (): boolean => isHidden;

/** Shows TLS only those sockets of the stack as ones of `net` that it has to wait for. */
export function hideFromTls(StackSocket: typeof Socket): void {
  const { prototype } = tls.TLSSocket as unknown as { prototype: { _init?: Call } };
  const { _init: init } = prototype;
  if (init === undefined) return;
  prototype._init = function initialize(this: tls.TLSSocket, ...args: unknown[]): unknown {
    const [socket] = args;
    isHidden = isStackTls || !(socket instanceof StackSocket && socket.pending);
    try {
      return init.apply(this, args);
    } finally {
      isHidden = false;
      // However it was made: by a server that was handed a connection, or by `new tls.TLSSocket(socket)`.
      if (isStackTls) lendToTls(this);
      else lendWithEnd(this);
    }
  };
}

/**
 * What `tls.connect` becomes: over the stack unless it is given a socket or a path.
 * @param connect Node's own
 */
export function tlsConnect(stack: Stack, connect: Call): Call {
  const connectOverStack = stack.tls.connect as unknown as Call;
  return (...args) => {
    if (connectsToHost(args) || hasSocket(args)) return connect(...args);
    isStackTls = true;
    try {
      return connectOverStack(...args);
    } finally {
      isStackTls = false;
    }
  };
}

const hasSocket = (args: readonly unknown[]): boolean => {
  const [options] = normalizeArguments(args);
  return [options, args[1], args[2]].some(
    (value) => typeof value === 'object' && value !== null && Boolean((value as { socket?: unknown }).socket),
  );
};
