/** Gives every stack its `dgram`, made when it is first asked for. */
import { Stack } from '../stack/stack.js';
import { createDgram, type DgramModule } from './dgram.js';

declare module '../stack/stack.js' {
  interface Stack {
    /** `node:dgram` over this stack. */
    readonly dgram: DgramModule;
  }
}

const modules = new WeakMap<Stack, DgramModule>();

Object.defineProperty(Stack.prototype, 'dgram', {
  configurable: true,
  enumerable: true,
  get(this: Stack): DgramModule {
    const known = modules.get(this);
    if (known !== undefined) return known;
    const made = createDgram(this);
    modules.set(this, made);
    return made;
  },
});

export { createDgram };
