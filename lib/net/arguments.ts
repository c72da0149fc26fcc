/** Checks of arguments, and the many ways to call `listen` and `connect`, as `node:net` has them. */
import net, { type BlockList, isIP } from 'node:net';
import { argumentTypeError, argumentValueError, outOfRangeError, rangeError, typeOf } from './node-errors.js';

/** @throws `ERR_SOCKET_BAD_PORT` */
export function checkPort(port: unknown, name = 'Port', allowZero = true): number {
  // Not every value can be made a number of.
  const number = typeof port === 'number' || typeof port === 'string' ? Number(port) : Number.NaN;
  if (
    (typeof port === 'string' && port.trim().length === 0) ||
    number !== number >>> 0 ||
    number > 0xffff ||
    (number === 0 && !allowZero)
  ) {
    const operator = allowZero ? '>=' : '>';
    throw rangeError(
      'ERR_SOCKET_BAD_PORT',
      `${name} should be ${operator} 0 and < 65536. Received ${typeOf(port)}.`,
    );
  }
  return number;
}

/** @throws `ERR_INVALID_ARG_TYPE` */
export function checkNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number') throw argumentTypeError(name, 'number', value);
}

/** @throws `ERR_INVALID_ARG_TYPE` */
export function checkString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw argumentTypeError(name, 'string', value);
}

/**
 * Text without NUL, at which the host's own functions would stop reading.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
 */
export function checkHostname(value: unknown, name: string): asserts value is string {
  checkString(value, name);
  if (value.includes('\0')) throw argumentValueError(name, value, 'must be a string without null bytes');
}

/** @throws `ERR_INVALID_ARG_TYPE` */
export function checkBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== 'boolean') throw argumentTypeError(name, 'boolean', value);
}

/** An object that is no array. @throws `ERR_INVALID_ARG_TYPE` */
export function checkObject(value: unknown, name: string): asserts value is object {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw argumentTypeError(name, 'Object', value);
  }
}

/** Nothing, or a `BlockList`. @throws `ERR_INVALID_ARG_TYPE` */
export function checkBlockList(value: unknown, name: string): void {
  if (value && !(value instanceof net.BlockList)) throw argumentTypeError(name, 'net.BlockList', value);
}

/** Whether a block list, where there is one, has an address. */
export const isBlocked = (list: BlockList | undefined, address: string, family?: number): boolean =>
  list?.check(address, (family ?? isIP(address)) === 4 ? 'ipv4' : 'ipv6') === true;

/** @throws `ERR_INVALID_ARG_TYPE` */
export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw argumentTypeError(name, 'Function', value);
}

/** An integer within `min` and `max`. @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` */
export function checkInteger(
  value: unknown,
  name: string,
  min = -0x8000_0000,
  max = 0x7fff_ffff,
): asserts value is number {
  checkNumber(value, name);
  if (!Number.isInteger(value)) throw outOfRangeError(name, 'an integer', value);
  if (value < min || value > max) throw outOfRangeError(name, `>= ${min} && <= ${max}`, value);
}

/** @throws `ERR_INVALID_ARG_TYPE` */
export function checkAbortSignal(signal: unknown, name: string): asserts signal is AbortSignal {
  if (signal === null || typeof signal !== 'object' || !('aborted' in signal)) {
    throw argumentTypeError(name, 'AbortSignal', signal);
  }
}

/**
 * Milliseconds of a timeout: finite, not negative, at most 2^31-1.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function checkDuration(msecs: unknown, name: string): number {
  checkNumber(msecs, name);
  if (msecs < 0 || !Number.isFinite(msecs)) {
    throw outOfRangeError(name, 'a non-negative finite number', msecs);
  }
  const max = 0x7fff_ffff;
  if (msecs <= max) return msecs;
  process.emitWarning(
    `${msecs} does not fit into a 32-bit signed integer.\nTimer duration was truncated to ${max}.`,
    'TimeoutOverflowWarning',
  );
  return max;
}

export type Callback = (...args: unknown[]) => void;

/** Marks arguments that have been normalized: Node's own mark where it shows, so that either takes the other's. */
const NORMALIZED: unique symbol = (markOfNode() ?? Symbol('normalizedArgs')) as never;

function markOfNode(): symbol | undefined {
  const { _normalizeArgs: normalize } = net as { _normalizeArgs?: (args: unknown[]) => object };
  return Object.getOwnPropertySymbols(normalize?.([]) ?? {})[0];
}

/** Options and callback of a call. */
export type NormalizedArguments<Options> = [options: Options, callback: Callback | null] & {
  [NORMALIZED]?: true;
};

export interface PlaceOptions {
  port?: unknown;
  host?: unknown;
  path?: unknown;
}

/** A number as Node reads one from an argument; `false` when it is none. */
export const toNumber = (value: unknown): number | false => {
  const number = Number(value);
  return number >= 0 ? number : false;
};

const isPath = (value: unknown): value is string => typeof value === 'string' && toNumber(value) === false;

/**
 * `(options, callback)`, `(path, callback)` and `(port, host, callback)` as options and callback. What
 * was normalized already passes unchanged.
 */
export function normalizeArguments<Options extends PlaceOptions>(
  args: readonly unknown[],
): NormalizedArguments<Options> {
  const [first, second] = args;
  if (Array.isArray(first) && NORMALIZED in first) return first as NormalizedArguments<Options>;
  let options: PlaceOptions = {};
  if (typeof first === 'object' && first !== null) options = first;
  else if (isPath(first)) options.path = first;
  else if (args.length > 0) {
    options.port = first;
    if (typeof second === 'string') options.host = second;
  }
  const last = args[args.length - 1];
  const normalized: NormalizedArguments<Options> = [
    options as Options,
    typeof last === 'function' ? (last as Callback) : null,
  ];
  normalized[NORMALIZED] = true;
  return normalized;
}
