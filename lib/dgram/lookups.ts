/** How a socket finds addresses of names. */
import dns from 'node:dns';
import { isIP } from 'node:net';
import { checkFunction } from '../net/arguments.js';
import { typeError } from '../net/node-errors.js';
import { NODE_MAJOR } from '../net/node-version.js';
import { lookupOneOf } from '../net/resolve.js';
import type { DgramStack } from './dgram-stack.js';
import type { SocketType } from './places.js';

export type Found = (error: Error | null, address: string) => void;
/** Finds the address of a name; an empty name is this host. */
export type Lookup = (name: string | null | undefined, found: Found) => void;
/** In the manner of `dns.lookup`: a name or address, 4 or 6, and a callback. */
export type GivenLookup = (name: string, family: 4 | 6, found: Found) => void;

/** What `dns.lookup` is while nobody has put another in its place. */
const hostLookup = dns.lookup;

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_SOCKET_BAD_TYPE` */
export function makeLookup(stack: DgramStack, type: SocketType, given: unknown): Lookup {
  if (given !== undefined) checkFunction(given, 'lookup');
  if (type !== 'udp4' && type !== 'udp6') {
    throw typeError('ERR_SOCKET_BAD_TYPE', 'Bad socket type specified. Valid types are: udp4, udp6');
  }
  const family = type === 'udp4' ? 4 : 6;
  const self = family === 4 ? '127.0.0.1' : '::1';
  const ask = (given as GivenLookup | undefined) ?? usualLookup(stack);
  return (name, found) => ask(name || self, family, found);
}

/** The stack's own, unless the program has replaced `dns.lookup`: then it wants that to be asked. */
function usualLookup(stack: DgramStack): GivenLookup {
  const current = dns.lookup;
  if (current === hostLookup) return lookupOneOf(stack);
  return (name, family, found) => {
    // Before Node 24 also addresses were asked for.
    if (NODE_MAJOR >= 24 && isIP(name) === family) process.nextTick(found, null, name);
    else current(name, family, found);
  };
}
