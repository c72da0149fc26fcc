/** Addresses a name was found to have: which can be tried, in which order, and what is wrong with the others. */
import { isIP } from 'node:net';
import { rangeError, typeError } from './node-errors.js';

/** As `connect` was asked. */
interface Wish {
  readonly host?: string | undefined;
  readonly port?: number | string | undefined;
}

export interface Found {
  readonly address: string;
  readonly family: number;
}

export const invalidIpAddress = (address: unknown): TypeError =>
  typeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${String(address)}`);

const invalidFamily = (family: unknown, { host, port }: Wish): RangeError =>
  Object.assign(
    rangeError('ERR_INVALID_ADDRESS_FAMILY', `Invalid address family: ${String(family)} ${host}:${port}`),
    { host, port },
  );

export const isUsable = ({ address, family }: Found): boolean =>
  typeof address === 'string' && isIP(address) !== 0 && (family === 4 || family === 6);

export function problemOf(found: Found, options: Wish): Error | undefined {
  if (typeof found.address !== 'string' || isIP(found.address) === 0) return invalidIpAddress(found.address);
  return isUsable(found) ? undefined : invalidFamily(found.family, options);
}

/** Both families in turn, beginning with that of the first; each address once. */
export function alternate(addresses: readonly Found[]): Found[] {
  const seen = new Set<string>();
  const once = addresses.filter(({ address }) => !seen.has(address) && seen.add(address));
  const first = once.filter(({ family }) => family === once[0]?.family);
  const second = once.filter(({ family }) => family !== once[0]?.family);
  const order: Found[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    if (i < first.length) order.push(first[i]);
    if (i < second.length) order.push(second[i]);
  }
  return order;
}
