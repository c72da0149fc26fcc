/** `node:dgram` for a private stack: the same calls, classes and events, over the stack's own UDP. */
import type nodeDgram from 'node:dgram';
import type { DgramStack } from './dgram-stack.js';
import { StackDgramSocket } from './socket.js';

/** What `node:dgram` offers, in its own types, so that code written for one takes the other. */
export type DgramModule = Pick<typeof nodeDgram, 'createSocket' | 'Socket'>;

type Arguments =
  ConstructorParameters<typeof StackDgramSocket> extends [DgramStack, ...infer Rest] ? Rest : never;

/** Makes the `dgram` of a stack. Every call makes a new class: keep what it returns. */
export function createDgram(stack: DgramStack): DgramModule {
  class Socket extends StackDgramSocket {
    constructor(...args: Arguments) {
      super(stack, ...args);
    }
  }
  const module = {
    Socket,
    createSocket: (...args: Arguments) => new Socket(...args),
  };
  // The class keeps Node's promises, which the types of its many overloads cannot be told.
  return module as unknown as DgramModule;
}
