/**
 * Errors as Node makes them: argument errors with an `ERR_` code, and system errors with `errno`,
 * `code`, `syscall` and, where they have one, an address. `lib/base/errors.ts` serves code that knows
 * nothing of Node; here the messages are Node's to the letter, because programs match on them.
 */
import { getSystemErrorMap, inspect } from 'node:util';

export interface CodedError extends Error {
  code: string;
}

/** A system error, in the shape of Node's. */
export interface SystemError extends CodedError {
  /** Negated, as libuv numbers it. */
  errno: number;
  syscall: string;
  address?: string;
  port?: number;
  /** Given with `localPort` when the caller asked for a local end. */
  localAddress?: string;
  localPort?: number;
}

export interface Place {
  readonly address?: string | null | undefined;
  /** 0 counts as none. */
  readonly port?: number | undefined;
}

/** Error numbers and descriptions by code, as libuv has them. */
const SYSTEM_ERRORS: ReadonlyMap<string, { errno: number; words: string }> = new Map(
  Array.from(getSystemErrorMap(), ([errno, [code, words]]) => [code, { errno, words }]),
);

/** As libuv numbers it, negated; 0 for a code it does not know. */
export const errnoOf = (code: string): number => SYSTEM_ERRORS.get(code)?.errno ?? 0;

/** Gives `error` a code, and a stack that begins `TypeError [ERR_…]: …` as Node's do. */
function coded<E extends Error>(error: E, code: string): E & CodedError {
  const result = error as E & CodedError;
  const { name } = result;
  // The first line of a stack is written when it is captured; afterwards the name is what it was.
  result.name = `${name} [${code}]`;
  Error.captureStackTrace(result, coded);
  delete (result as { name?: string }).name;
  result.code = code;
  return result;
}

/** `read ECONNRESET`: a failed call that concerns no address. */
export function errnoError(code: string, syscall: string): SystemError {
  return newSystemError(`${syscall} ${code}`, code, syscall);
}

/** `connect ECONNREFUSED 10.0.0.1:80`, and ` - Local (10.0.0.2:1024)` when `details` says so. */
export function hostPortError(code: string, syscall: string, place: Place, details?: string): SystemError {
  const { address, port } = place;
  let message = `${syscall} ${code}`;
  if (port !== undefined && port > 0) message += ` ${address}:${port}`;
  else if (address) message += ` ${address}`;
  if (details) message += ` - Local (${details})`;
  return withPlace(newSystemError(message, code, syscall), place);
}

/** `listen EADDRINUSE: address already in use :::80`. */
export function describedError(code: string, syscall: string, place: Place): SystemError {
  const { address, port } = place;
  let message = `${syscall} ${code}: ${SYSTEM_ERRORS.get(code)?.words ?? 'unknown error'}`;
  if (port !== undefined && port > 0) message += ` ${address}:${port}`;
  else if (address) message += ` ${address}`;
  // In the order in which Node gives this one its properties, as they are printed in it.
  const error = Object.assign(new Error(message), { code, errno: errnoOf(code), syscall });
  return withPlace(error, place);
}

function newSystemError(message: string, code: string, syscall: string): SystemError {
  return Object.assign(new Error(message), { errno: errnoOf(code), code, syscall });
}

function withPlace(error: SystemError, { address, port }: Place): SystemError {
  if (address !== undefined) error.address = address as string;
  if (port) error.port = port;
  return error;
}

/** Code of what a lower layer threw; an argument it cannot take is `EINVAL`, as for the kernel. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) throw error;
  return error.code.startsWith('ERR_') ? 'EINVAL' : error.code;
}

/** Several attempts have failed (RFC 8305): all their errors, and the code of the first. */
export function aggregateError(errors: readonly Error[]): AggregateError & CodedError {
  const code = errors[0] !== undefined && 'code' in errors[0] ? String(errors[0].code) : '';
  return Object.assign(new AggregateError(errors), { code });
}

/** Errors that need no argument, by code. */
const PLAIN = {
  ERR_BUFFER_OUT_OF_BOUNDS: 'Attempt to access memory outside buffer bounds',
  ERR_SERVER_ALREADY_LISTEN: 'Listen method has been called more than once without closing.',
  ERR_SERVER_NOT_RUNNING: 'Server is not running.',
  ERR_SOCKET_ALREADY_BOUND: 'Socket is already bound',
  ERR_SOCKET_CLOSED: 'Socket is closed',
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: 'Socket closed before the connection was established',
  ERR_SOCKET_CONNECTION_TIMEOUT: 'Socket connection timeout',
  ERR_SOCKET_HANDLE_ADOPTED: 'The bound socket has already been adopted by a server or socket',
  ERR_SOCKET_DGRAM_IS_CONNECTED: 'Already connected',
  ERR_SOCKET_DGRAM_NOT_CONNECTED: 'Not connected',
  ERR_SOCKET_DGRAM_NOT_RUNNING: 'Not running',
} as const;

export const plainError = (code: keyof typeof PLAIN): CodedError => coded(new Error(PLAIN[code]), code);

/** `ERR_IP_BLOCKED`: an address that a block list has. */
export const blockedError = (address: string): CodedError =>
  coded(new Error(`IP(${address}) is blocked by net.BlockList`), 'ERR_IP_BLOCKED');

export const typeError = (code: string, message: string): TypeError & CodedError =>
  coded(new TypeError(message), code);

export const rangeError = (code: string, message: string): RangeError & CodedError =>
  coded(new RangeError(message), code);

const PRIMITIVES = new Set(['string', 'function', 'number', 'object', 'boolean', 'bigint', 'symbol']);

const listOf = (words: readonly string[]): string =>
  words.length < 3 ? words.join(' or ') : `${words.slice(0, -1).join(', ')}, or ${words[words.length - 1]}`;

/** `ERR_INVALID_ARG_TYPE`; `expected` are names of primitive types or of classes. */
export function argumentTypeError(
  name: string,
  expected: string | readonly string[],
  actual: unknown,
): TypeError & CodedError {
  const names = typeof expected === 'string' ? [expected] : expected;
  const types = names.filter((word) => PRIMITIVES.has(word.toLowerCase())).map((word) => word.toLowerCase());
  const wanted = new Set(types);
  // Node counts "Function" and "Object" with the primitive types, but classes apart.
  const classes = names.filter((word) => !wanted.has(word.toLowerCase()));
  const parts: string[] = [];
  if (types.length > 0) parts.push(`${types.length > 1 ? 'one of type' : 'of type'} ${listOf(types)}`);
  if (classes.length > 0) parts.push(`an instance of ${listOf(classes)}`);
  const kind = name.includes('.') ? 'property' : 'argument';
  return typeError(
    'ERR_INVALID_ARG_TYPE',
    `The "${name}" ${kind} must be ${parts.join(' or ')}. Received ${typeOf(actual)}`,
  );
}

/** `ERR_INVALID_ARG_VALUE`. */
export function argumentValueError(
  name: string,
  value: unknown,
  reason = 'is invalid',
): TypeError & CodedError {
  let shown = inspect(value);
  if (shown.length > 128) shown = `${shown.slice(0, 128)}...`;
  const kind = name.includes('.') ? 'property' : 'argument';
  return typeError('ERR_INVALID_ARG_VALUE', `The ${kind} '${name}' ${reason}. Received ${shown}`);
}

/** `ERR_OUT_OF_RANGE`. */
export function outOfRangeError(name: string, range: string, value: unknown): RangeError & CodedError {
  const large = Number.isInteger(value) && Math.abs(value as number) > 2 ** 32;
  const shown = large ? (value as number).toLocaleString('en-US').replaceAll(',', '_') : inspect(value);
  return rangeError(
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`,
  );
}

/** `ERR_MISSING_ARGS`: any one of `names` was needed. */
export function missingArgumentError(...names: string[]): TypeError & CodedError {
  const list = names.map((name) => `"${name}"`).join(' or ');
  return typeError('ERR_MISSING_ARGS', `The ${list} argument must be specified`);
}

/** What a value is, as Node's messages put it. */
export function typeOf(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'undefined';
    case 'bigint':
      return `type bigint (${value}n)`;
    case 'number':
      return `type number (${Object.is(value, -0) ? '-0' : value})`;
    case 'boolean':
      return `type boolean (${value})`;
    case 'symbol':
      return `type symbol (${String(value)})`;
    case 'function':
      return `function ${value.name}`;
    case 'string': {
      const shown = value.length > 28 ? `${value.slice(0, 25)}...` : value;
      return shown.includes("'") ? `type string (${JSON.stringify(shown)})` : `type string ('${shown}')`;
    }
    default: {
      if (value === null) return 'null';
      const maker: unknown = (value as object).constructor;
      if (typeof maker === 'function' && 'name' in maker) return `an instance of ${maker.name}`;
      return inspect(value, { depth: -1 });
    }
  }
}
