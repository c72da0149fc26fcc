/** Errors that cross from one thread to the other, with what Node's users look at. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError, StackError } from '../base/errors.js';
import type { SentError } from './protocol.js';

export function packError(error: unknown): SentError {
  if (error instanceof StackError) {
    const { code, message, syscall, address, port } = error;
    return { code, message, syscall, address, port };
  }
  const { code = '', message } = error as Error & { code?: string };
  return { code, message };
}

const ARGUMENT_ERRORS: Readonly<Record<string, new (message: string) => Error>> = {
  ERR_INVALID_ARG_TYPE: ArgumentTypeError,
  ERR_INVALID_ARG_VALUE: ArgumentValueError,
  ERR_OUT_OF_RANGE: ArgumentRangeError,
};

export function unpackError({ code, message, syscall, address, port }: SentError): Error {
  if (syscall !== undefined) return new StackError(code, syscall, address, port);
  const Kind = ARGUMENT_ERRORS[code];
  return Kind === undefined ? new TypeError(message) : new Kind(message);
}
