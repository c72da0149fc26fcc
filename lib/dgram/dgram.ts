/** `node:dgram` for a private stack: the same calls, classes and events, over the stack's own UDP. */
import nodeDgram from 'node:dgram';
import { EventEmitter } from 'node:events';
import { deprecate } from 'node:util';
import { callable } from '../net/callable.js';
import { showAsNode } from '../net/show-as-node.js';
import type { DgramStack } from './dgram-stack.js';
import { errnoOf } from './errno.js';
import { UdpHandle } from './handle.js';
import { makeLookup } from './lookups.js';
import type { SocketType } from './places.js';
import { initialize, StackDgramSocket } from './socket.js';

/** What `node:dgram` offers, in its own types, so that code written for one takes the other. */
export type DgramModule = Pick<typeof nodeDgram, 'createSocket' | 'Socket'>;

type Arguments =
  ConstructorParameters<typeof StackDgramSocket> extends [DgramStack, ...infer Rest] ? Rest : never;

/** Makes the `dgram` of a stack. Every call makes a new class: keep what it returns. */
export function createDgram(stack: DgramStack): DgramModule {
  const Socket = callable<StackDgramSocket, new (...args: Arguments) => StackDgramSocket>(
    class Socket extends StackDgramSocket {
      constructor(...args: Arguments) {
        super(stack, ...args);
      }
    },
    (socket, args) => {
      EventEmitter.call(socket as never);
      initialize(socket, stack, args);
    },
  );
  const module = {
    Socket,
    createSocket: (...args: Arguments) => new Socket(...args),
    _createSocketHandle: deprecate(
      (address: string, port: number, type: SocketType, ...[fd, flags]: (number | undefined)[]) =>
        createHandle(stack, { address, port, type, fd, flags }),
      'dgram._createSocketHandle() is deprecated',
      'DEP0112',
    ),
  };
  showAsNode(module, nodeDgram);
  // The class keeps Node's promises, which the types of its many overloads cannot be told.
  return module as unknown as DgramModule;
}

interface HandleWish {
  readonly address: string | null;
  readonly port: number | null;
  readonly type: SocketType;
  readonly fd: number | undefined;
  readonly flags: number | undefined;
}

/** A handle, bound where an address or port is given; or the number of an error. */
function createHandle(stack: DgramStack, wish: HandleWish): UdpHandle | number {
  const { address, port, type, fd, flags } = wish;
  const handle = new UdpHandle(stack, type, makeLookup(stack, type, undefined));
  let errno = 0;
  // Descriptors are the host's.
  if (Number.isInteger(fd) && (fd as number) > 0) errno = errnoOf('EINVAL');
  else if (port || address) errno = handle.bind(address ?? '', port || 0, flags);
  if (errno === 0) return handle;
  handle.close();
  return errno;
}
