/** Numbers of errors, as the handle below a socket tells them: 0 for success, negative as libuv has them. */
import { getSystemErrorMap, getSystemErrorName, type InspectOptions, inspect } from 'node:util';
import { codeOf, errnoError, hostPortError, type Place, type SystemError } from '../net/node-errors.js';

const NUMBERS: ReadonlyMap<string, number> = new Map(
  Array.from(getSystemErrorMap(), ([errno, [code]]) => [code, errno]),
);

/** `UNKNOWN` of libuv: for codes the host has no number for. */
const UNKNOWN = -4094;

export const errnoOf = (code: string): number => NUMBERS.get(code) ?? UNKNOWN;

/** Runs `act`. @returns 0, or the number of the error it threw; what is no such error is thrown on */
export function attempt(act: () => void): number {
  try {
    act();
    return 0;
  } catch (error) {
    return errnoOfError(error);
  }
}

/** The number of what was thrown. */
export const errnoOfError = (error: unknown): number => errnoOf(codeOf(error));

/** `setTTL EINVAL`. */
export const errnoException = (errno: number, syscall: string): SystemError =>
  errnoError(getSystemErrorName(errno), syscall);

/** `bind EADDRINUSE 10.0.0.1:80`. */
export const placeException = (errno: number, syscall: string, place: Place): SystemError =>
  hostPortError(getSystemErrorName(errno), syscall, place);

/** `ERR_SOCKET_BUFFER_SIZE`: the size of a buffer could not be asked for or set. */
export function bufferSizeException(code: string, syscall: string): Error {
  const errno = errnoOf(code);
  const words = getSystemErrorMap().get(errno)?.[1] ?? 'unknown error';
  const error = new Error(`Could not get or set buffer size: ${syscall} returned ${code} (${words})`);
  const info: Record<string, unknown> = { errno, code, message: words, syscall };
  const name = (value: string): void => {
    Object.defineProperty(error, 'name', { value, writable: true, configurable: true });
  };
  // The first line of a stack is written when somebody first looks at it.
  name('SystemError [ERR_SOCKET_BUFFER_SIZE]');
  Error.captureStackTrace(error, bufferSizeException);
  void error.stack;
  name('SystemError');
  Object.assign(error, { code: 'ERR_SOCKET_BUFFER_SIZE' });
  Object.defineProperty(error, 'info', { value: info, enumerable: true, configurable: true });
  // Node's are windows into `info`, and are printed as such.
  for (const key of ['errno', 'syscall']) {
    const set = (value: unknown): void => {
      info[key] = value;
    };
    Object.defineProperty(error, key, { get: () => info[key], set, enumerable: true, configurable: true });
  }
  const inspected = (_depth: number, options: InspectOptions): string =>
    inspect(error, { ...options, getters: true, customInspect: false });
  Object.defineProperty(error, inspect.custom, { value: inspected });
  const text = `SystemError [ERR_SOCKET_BUFFER_SIZE]: ${error.message}`;
  Object.defineProperty(error, 'toString', { value: () => text });
  return error;
}
