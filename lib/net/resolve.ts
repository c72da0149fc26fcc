/**
 * Names. A stack knows itself as `localhost`, and asks its own `dns` where it has name servers or the name in its
 * hosts table. Every other name is asked of Node's resolver, and so of the host, unless the caller brings a
 * `lookup` of its own.
 */
import dns, { ADDRCONFIG, ALL, V4MAPPED } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { isLocalhost, LOOPBACK } from '../dns/names.js';
import { dnsOf } from '../dns/stack-dns.js';
import { checkHostname } from './arguments.js';
import { argumentValueError } from './node-errors.js';

const LOCALHOST: readonly dns.LookupAddress[] = [
  { address: LOOPBACK.A, family: 4 },
  { address: LOOPBACK.AAAA, family: 6 },
];

const FAMILIES: ReadonlySet<unknown> = new Set([undefined, 0, 4, 6, 'IPv4', 'IPv6']);

/** What sockets of `stack` look names up with: as `dns.lookup`. */
export function lookupOf(stack: object): LookupFunction {
  return (hostname, options, callback) => {
    checkHostname(hostname, 'hostname');
    const own = dnsOf(stack);
    if (own?.knows(hostname)) own.module.lookup(hostname, options, callback);
    // Families that are none are refused by Node.
    else if (isLocalhost(hostname) && FAMILIES.has(options.family)) lookupLocalhost(options, callback);
    else dns.lookup(hostname, options, callback);
  };
}

/** `localhost` is this stack, whatever the host's tables say. */
function lookupLocalhost(...[options, callback]: LookupTail): void {
  const { family, hints = 0 } = options;
  if ((hints & ~(ADDRCONFIG | ALL | V4MAPPED)) !== 0) throw argumentValueError('hints', hints);
  const fits = (found: dns.LookupAddress): boolean =>
    family === undefined || family === 0 || family === found.family || family === `IPv${found.family}`;
  const found = LOCALHOST.filter(fits);
  if (options.all) process.nextTick(callback, null, [...found]);
  else process.nextTick(callback, null, found[0]?.address ?? '', found[0]?.family);
}

type LookupTail =
  Parameters<LookupFunction> extends [string, infer Options, infer Callback] ? [Options, Callback] : never;

export type LookupOne = (
  name: string,
  family: 0 | 4 | 6,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
) => void;

/** As `lookupOf` for one address; an address stands for itself. */
export function lookupOneOf(stack: object): LookupOne {
  const lookup = lookupOf(stack);
  return (name, family, callback) => {
    const literal = isIP(name);
    if (literal !== 0) process.nextTick(callback, null, name, literal);
    else lookup(name, { family }, callback as Parameters<LookupFunction>[2]);
  };
}
