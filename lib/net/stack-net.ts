/** Gives every stack its `net`, made when it is first asked for. */
import { Stack } from '../stack/stack.js';
import { createNet, type NetModule } from './net.js';

declare module '../stack/stack.js' {
  interface Stack {
    /** `node:net` over this stack. */
    readonly net: NetModule;
  }
}

/** Makes `stack.net`, and keeps it. Importing this file does it for all stacks. */
export function attachNet(stack: Stack): NetModule {
  const module = createNet(stack);
  Object.defineProperty(stack, 'net', { value: module });
  return module;
}

Object.defineProperty(Stack.prototype, 'net', {
  configurable: true,
  get(this: Stack) {
    return attachNet(this);
  },
});
