/** Gives every stack its `dns`, made when it is first asked for. */
import { Stack } from '../stack/stack.js';
import { createDns, type DnsModule, type DnsOfStack, openDns } from './dns.js';

declare module '../stack/stack.js' {
  interface Stack {
    /** `node:dns` over this stack. Its servers, search domains and hosts are options of the stack. */
    readonly dns: DnsModule;
  }
}

const opened = new WeakMap<object, DnsOfStack>();

/** The `dns` of a stack with its knowledge; undefined for what only plays a stack. */
export function dnsOf(stack: object): DnsOfStack | undefined {
  const known = opened.get(stack);
  if (known !== undefined || !(stack instanceof Stack)) return known;
  const made = openDns(stack);
  opened.set(stack, made);
  return made;
}

Object.defineProperty(Stack.prototype, 'dns', {
  configurable: true,
  enumerable: true,
  get(this: Stack): DnsModule | undefined {
    return dnsOf(this)?.module;
  },
});

export { createDns };
