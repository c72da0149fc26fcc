/** Checks of arguments, with the messages of `node:dns`. */
import { isIP } from 'node:net';
import { inspect } from 'node:util';
import { checkBoolean, checkFunction, checkInteger, checkNumber, checkPort } from '../net/arguments.js';
import { argumentTypeError, argumentValueError, typeError, typeOf } from '../net/node-errors.js';
import { readServer } from '../stack/dns-options.js';
import { IpAddress } from '../wire/ip-address.js';
import type { DnsServer, LocalAddresses } from './dns-stack.js';
import { Hint, RESULT_ORDERS, type ResultOrder } from './lookup.js';

/** @throws `ERR_INVALID_ARG_VALUE` */
export function checkOneOf<T>(value: unknown, name: string, allowed: readonly T[]): asserts value is T {
  if (allowed.includes(value as T)) return;
  const list = allowed.map((one) => inspect(one)).join(', ');
  throw argumentValueError(name, value, `must be one of: ${list}`);
}

export interface LookupSettings {
  family: 0 | 4 | 6;
  hints: number;
  all: boolean;
  order: ResultOrder;
}

const FAMILIES = [0, 4, 6] as const;
const FAMILY_NAMES: Readonly<Record<string, 4 | 6>> = { IPv4: 4, IPv6: 6 };
const HINTS = Hint.ADDRCONFIG | Hint.ALL | Hint.V4MAPPED;

/**
 * What stands between name and callback of `lookup`.
 * @param acceptsNames whether `IPv4` and `IPv6` name families, as for callbacks
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
 */
export function readLookupOptions(given: unknown, order: ResultOrder, acceptsNames: boolean): LookupSettings {
  const settings: LookupSettings = { family: 0, hints: 0, all: false, order };
  if (typeof given === 'number') {
    checkOneOf(given, 'family', FAMILIES);
    // -0 is 0.
    settings.family = (given + 0) as 0 | 4 | 6;
    return settings;
  }
  if (given !== undefined && typeof given !== 'object') {
    const message = `The "options" argument must be of type object or integer. Received ${typeOf(given)}`;
    throw typeError('ERR_INVALID_ARG_TYPE', message);
  }
  const { hints, family, all, verbatim, order: wanted } = (given ?? {}) as Record<string, unknown>;
  if (hints !== undefined && hints !== null) {
    checkNumber(hints, 'options.hints');
    settings.hints = hints >>> 0;
    if ((settings.hints & ~HINTS) !== 0) throw argumentValueError('hints', settings.hints);
  }
  if (family !== undefined && family !== null) {
    const named = acceptsNames && typeof family === 'string' ? FAMILY_NAMES[family] : undefined;
    const number = named ?? family;
    checkOneOf(number, 'options.family', FAMILIES);
    settings.family = (number + 0) as 0 | 4 | 6;
  }
  if (all !== undefined && all !== null) {
    checkBoolean(all, 'options.all');
    settings.all = all;
  }
  if (verbatim !== undefined && verbatim !== null) {
    checkBoolean(verbatim, 'options.verbatim');
    settings.order = verbatim ? 'verbatim' : 'ipv4first';
  }
  if (wanted !== undefined && wanted !== null) {
    checkOneOf(wanted, 'options.order', RESULT_ORDERS);
    settings.order = wanted;
  }
  return settings;
}

/** @throws `ERR_INVALID_ARG_TYPE` */
export const checkCallback = (value: unknown): void => checkFunction(value, 'callback');

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_IP_ADDRESS`, `ERR_SOCKET_BAD_PORT` */
export function readServers(given: unknown): DnsServer[] {
  if (!Array.isArray(given)) throw argumentTypeError('servers', 'Array', given);
  const servers: DnsServer[] = [];
  // Places left empty are none, as in Node.
  given.forEach((text: unknown, index) => {
    if (typeof text !== 'string') throw argumentTypeError(`servers[${index}]`, 'string', text);
    const port = Number(/:(\d+)$/.exec(text)?.[1]);
    if (isIP(text) === 0 && port > 0xffff) checkPort(port);
    const server = readServer(text);
    if (server === undefined) throw typeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${text}`);
    servers.push(server);
  });
  return servers;
}

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` */
export function readLocalAddresses(first: unknown, second: unknown): LocalAddresses {
  const found: { 4?: IpAddress; 6?: IpAddress } = {};
  for (const [name, text] of Object.entries({ ipv4: first, ipv6: second })) {
    if (name === 'ipv6' && text === undefined) continue;
    if (typeof text !== 'string') throw argumentTypeError(name, 'string', text);
    const family = isIP(text);
    const address = IpAddress.tryParse(text);
    if (address === undefined || (family !== 4 && family !== 6)) {
      throw typeError('ERR_INVALID_ARG_VALUE', 'Invalid IP address.');
    }
    if (found[family] !== undefined) {
      throw typeError('ERR_INVALID_ARG_VALUE', `Cannot specify two IPv${family} addresses.`);
    }
    found[family] = address;
  }
  // The unspecified address leaves the choice to the routes.
  return Object.fromEntries(Object.entries(found).filter(([, address]) => !address.isUnspecified));
}

export interface ResolverSettings {
  /** -1 for the stack's. */
  readonly timeout: number;
  readonly tries: number | undefined;
  /** 0 for that of every resolver. */
  readonly maxTimeout: number;
}

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` */
export function readResolverOptions(given: unknown): ResolverSettings {
  const options = { ...(given as object) } as Record<keyof ResolverSettings, unknown>;
  const { timeout = -1, tries, maxTimeout = 0 } = options;
  checkInteger(timeout, 'options.timeout', -1);
  checkInteger(maxTimeout, 'options.maxTimeout', 0, 0xffff_ffff);
  if (tries !== undefined) checkInteger(tries, 'options.tries', 1);
  return { timeout, tries, maxTimeout };
}
