/** Puts the `dns` of a stack in place of Node's, in the whole process, as far as the stack has an answer. */
import nodeDns from 'node:dns';
import nodePromises from 'node:dns/promises';
import { promisify } from 'node:util';
import { dnsOf } from '../dns/stack-dns.js';
import type { Stack } from '../stack/stack.js';

type Call = (...args: unknown[]) => unknown;

/** Node's own, as they were. */
const original = {
  lookup: nodeDns.lookup as unknown as Call,
  promise: nodePromises.lookup as unknown as Call,
};

/**
 * With name servers, all of `node:dns` and `node:dns/promises` becomes the stack's. With no more than a hosts table
 * it is `lookup` alone, for the names in it: there is nobody to be asked for the others but the host. Exports are
 * replaced in place; those of ES modules follow with `syncBuiltinESMExports`.
 */
export function replaceDns(stack: Stack): void {
  const own = dnsOf(stack);
  const { servers, hosts } = stack.dnsSettings;
  if (own === undefined || (servers.length === 0 && hosts.size === 0)) return;
  const { promises, ...rest } = own.module;
  if (servers.length > 0) {
    Object.assign(nodePromises, promises);
    // `promises` remains the object it is, which is that of `node:dns/promises`.
    Object.assign(nodeDns, rest);
    return;
  }
  const oneOf =
    (ours: unknown, theirs: Call): Call =>
    (...args) =>
      typeof args[0] === 'string' && own.knows(args[0]) ? (ours as Call)(...args) : theirs(...args);
  const lookup = oneOf(rest.lookup, original.lookup);
  const promise = oneOf(promises.lookup, original.promise);
  Object.defineProperty(lookup, promisify.custom, { value: promise });
  Object.assign(nodeDns, { lookup });
  Object.assign(nodePromises, { lookup: promise });
}
