/** Gives every stack its `streams`, made when it is first asked for. */
import { lookupOf } from '../net/resolve.js';
import { Stack } from '../stack/stack.js';
import { createStreams, type Streams } from './streams.js';
import type { Resolve } from './streams-stack.js';

declare module '../stack/stack.js' {
  interface Stack {
    /** Connections and listeners as WHATWG streams. */
    readonly streams: Streams;
  }
}

const made = new WeakMap<Stack, Streams>();

const resolveOf =
  (stack: Stack): Resolve =>
  (host) =>
    new Promise((found, failed) => {
      lookupOf(stack)(host, { all: true }, (error, addresses) => {
        if (error) failed(error);
        else found((addresses as { address: string }[]).map(({ address }) => address));
      });
    });

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

export { createStreams };
