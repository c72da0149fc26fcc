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
