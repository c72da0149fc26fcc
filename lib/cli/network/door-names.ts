/** Names for the host, where the stack of a command reaches it through a gateway. */
import type { LookupFunction } from 'node:net';

/** They stand for the host's 127.0.0.1 and ::1. */
export const HOST_ADDRESSES = ['10.0.2.2', 'fd00::2'] as const;

/**
 * The addresses of what people call the host itself: the stack's own loopback leads nowhere. Undefined for others; none
 * where it has no address of the family.
 */
export function hostItself(host: string, family: 0 | 4 | 6): readonly string[] | undefined {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const [v4, v6] = HOST_ADDRESSES;
  const isV4 = /^127(\.\d+){3}$/.test(name);
  const isName = /^(.+\.)?localhost\.?$/.test(name);
  if (!isV4 && !isName && name !== '::1') return undefined;
  const found = isV4 ? [v4] : isName ? [v4, v6] : [v6];
  return found.filter((address) => family === 0 || address.includes(':') === (family === 6));
}

/** A `lookup` for sockets that finds these addresses for any name. */
export function lookupOf(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  return (name, { all }, callback) => {
    const [first] = found;
    if (first === undefined) {
      const error = Object.assign(new Error(`${name} has no address of that family`), { code: 'ENOTFOUND' });
      process.nextTick(callback, error, '');
    } else if (all) process.nextTick(callback, null, found);
    else process.nextTick(callback, null, first.address, first.family);
  };
}
