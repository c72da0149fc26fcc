/** Gives every stack its `streams`, made when it is first asked for. */
import { Stack } from '../stack/stack.js';
import { createStreams, type Streams } from './streams.js';
import type { Resolve } from './streams-stack.js';

const made = new WeakMap<Stack, Streams>();

/** As `attachStreams`, unless stacks have them already: Node's go before those of pages, where both are loaded. */
export function offerStreams(resolveOf: (stack: Stack) => Resolve): void {
  if (!('streams' in Stack.prototype)) attachStreams(resolveOf);
}

/** @param resolveOf how a stack finds the addresses of names */
export function attachStreams(resolveOf: (stack: Stack) => Resolve): void {
  Object.defineProperty(Stack.prototype, 'streams', {
    configurable: true,
    enumerable: true,
    get(this: Stack): Streams {
      let streams = made.get(this);
      if (streams === undefined) {
        streams = createStreams(this, resolveOf(this));
        made.set(this, streams);
      }
      return streams;
    },
  });
}
