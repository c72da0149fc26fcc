/**
 * Names. A stack knows itself as `localhost`; every other name is asked of Node's resolver, and so of the
 * host, unless the caller brings a `lookup` of its own.
 */
import dns from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';

const LOCALHOST: readonly dns.LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** `localhost` and what lies below it (RFC 6761 §6.3). */
const isLocalhost = (name: string): boolean => /^(?:.+\.)?localhost\.?$/i.test(name);

/** As `dns.lookup`, but `localhost` is this stack, whatever the host's tables say. */
export const lookup: LookupFunction = (hostname, options, callback) => {
  if (!isLocalhost(hostname)) {
    dns.lookup(hostname, options, callback);
    return;
  }
  const { family } = options;
  const fits = (found: dns.LookupAddress): boolean =>
    family === undefined || family === 0 || family === found.family || family === `IPv${found.family}`;
  const found = LOCALHOST.filter(fits);
  if (options.all) process.nextTick(callback, null, [...found]);
  else process.nextTick(callback, null, found[0]?.address ?? '', found[0]?.family);
};

/** As `lookup` of one address; an address stands for itself. */
export function lookupOne(
  name: string,
  family: 0 | 4 | 6,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  const literal = isIP(name);
  if (literal !== 0) {
    process.nextTick(callback, null, name, literal);
    return;
  }
  lookup(name, { family }, callback as Parameters<LookupFunction>[2]);
}
