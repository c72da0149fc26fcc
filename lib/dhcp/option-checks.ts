/** Checks of options that client and server share. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';

/** What both have. */
interface Common {
  readonly link: { readonly hookUdp: unknown };
  readonly clock: { readonly createAlarm: unknown };
  readonly onLease?: unknown;
  readonly onLost?: unknown;
}

/** @throws ArgumentTypeError for what is no object or no part; ArgumentValueError for an option nobody knows */
export function checkObjects(options: Common, known: ReadonlySet<string>): void {
  if (options === null || typeof options !== 'object')
    throw new ArgumentTypeError('options must be an object');
  for (const key of Object.keys(options)) {
    if (!known.has(key)) throw new ArgumentValueError(`unknown DHCP option "${key}"`);
  }
  const { link, clock, onLease, onLost } = options;
  if (typeof link?.hookUdp !== 'function') throw new ArgumentTypeError('link must be an EthernetLink');
  if (typeof clock?.createAlarm !== 'function') throw new ArgumentTypeError('clock must be a Clock');
  for (const [name, callback] of Object.entries({ onLease, onLost })) {
    if (callback !== undefined && typeof callback !== 'function') {
      throw new ArgumentTypeError(`${name} must be a function`);
    }
  }
}

/** @throws ArgumentTypeError, ArgumentRangeError */
export function checkInteger(name: string, value: number, [least, most]: readonly [number, number]): void {
  if (typeof value !== 'number') throw new ArgumentTypeError(`${name} must be a number`);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new ArgumentRangeError(`${name} must be an integer within ${least} .. ${most}, not ${value}`);
  }
}
