/** Checks of what callers hand in: wrong arguments throw at once, with Node's codes. */
import { ArgumentRangeError, ArgumentTypeError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';

/** @throws ArgumentTypeError, ArgumentValueError when it is no IP address */
export const toAddress = (value: string | IpAddress, name: string): IpAddress => {
  if (value instanceof IpAddress) return value;
  if (typeof value !== 'string') throw new ArgumentTypeError(`${name} must be an IP address`);
  return IpAddress.parse(value);
};

/** @throws ArgumentTypeError, ArgumentRangeError when it is no port; 0 passes */
export function checkPort(value: number, name: string): number {
  if (typeof value !== 'number') throw new ArgumentTypeError(`${name} must be a number`);
  if (!Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new ArgumentRangeError(`${name} must be >= 0 and < 65536, not ${value}`);
  }
  return value;
}

/** @throws ArgumentTypeError, ArgumentRangeError when `memory` has no `length` bytes at `at` */
export function checkSpan(memory: Uint8Array, at: number, length: number): void {
  // Not `instanceof`: what another realm made, as test runners have them, is as good.
  if (!ArrayBuffer.isView(memory) || memory.BYTES_PER_ELEMENT !== 1) {
    throw new ArgumentTypeError('memory must be a Uint8Array');
  }
  if (Number.isInteger(at) && Number.isInteger(length) && at >= 0 && length >= 0) {
    if (at + length <= memory.length) return;
  }
  throw new ArgumentRangeError(`there are no ${length} bytes at ${at} of ${memory.length}`);
}

const MAX_BUFFER_BYTES = 2 ** 30;

/** @throws ArgumentRangeError when no buffer has so many */
export function checkBufferBytes(bytes: number): number {
  if (Number.isInteger(bytes) && bytes >= 1 && bytes <= MAX_BUFFER_BYTES) return bytes;
  throw new ArgumentRangeError(`a buffer has 1 to ${MAX_BUFFER_BYTES} bytes, not ${bytes}`);
}
