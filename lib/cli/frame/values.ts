/**
 * What people type, as values. Each reader throws a `UsageError` that says what was expected.
 */
import { parseServer } from '../../gateway/places.js';
import { IpAddress, IpPrefix } from '../../wire/ip-address.js';
import { UsageError } from './errors.js';

/** A whole number within bounds. */
export const integer =
  (least: number, most: number = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const bounds = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `within ${least} .. ${most}`;
    throw new UsageError(`expected a whole number ${bounds}`);
  };

export const port = integer(1, 65_535);
/** 0 for any free one. */
export const portOrAny = integer(0, 65_535);

const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const MAX_DURATION_MS = 2 ** 31 - 1; // what Node's timers take

/**
 * A time: `50ms`, `1.5s`, `2m`, `1h`. @returns ms
 * @param bare unit of a number without one; without it the unit must be there
 */
export const duration =
  (bare?: 's' | 'ms') =>
  (text: string): number => {
    const [, digits, unit = bare] = /^(\d+(?:\.\d+)?|\.\d+)(us|ms|s|m|h)?$/.exec(text) ?? [];
    const ms = unit === undefined ? Number.NaN : Number(digits) * UNIT_MS[unit];
    if (ms <= MAX_DURATION_MS) return ms;
    const example = bare === 's' ? '2, 0.2, 500ms or 1m' : bare === 'ms' ? '50, 50ms or 2s' : '50ms or 2s';
    throw new UsageError(`expected a time such as ${example}`);
  };

/** A time in seconds unless it has a unit, as `ping` and `nc` take it. @returns ms */
export const seconds = duration('s');

/** The same in whole milliseconds, for what takes no others. */
export const milliseconds =
  (least: number, most = MAX_DURATION_MS) =>
  (text: string): number => {
    const ms = Math.round(seconds(text));
    if (ms >= least && ms <= most) return ms;
    throw new UsageError(`expected a time from ${least / 1000} to ${most / 1000} seconds`);
  };

const RATE_UNITS: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };

/** A rate as `tc` takes it: `500kbit`, `10mbit`, `1gbit`. @returns bits per second */
export function rate(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(bit|kbit|mbit|gbit)(?:\/s)?$/i.exec(text) ?? [];
  const value = unit === undefined ? 0 : Number(digits) * RATE_UNITS[unit.toLowerCase()];
  if (value > 0) return value;
  throw new UsageError('expected a rate such as 500kbit, 10mbit or 1gbit');
}

/** `2%` or `0.02`. @returns 0 .. 1 */
export function probability(text: string): number {
  const [, digits, percent] = /^(\d+(?:\.\d+)?|\.\d+)(%)?$/.exec(text) ?? [];
  const value = digits === undefined ? Number.NaN : Number(digits) / (percent === undefined ? 1 : 100);
  if (value >= 0 && value <= 1) return value;
  throw new UsageError('expected a probability such as 2% or 0.02');
}

/** `10.0.0.1/24`. @returns it as the kernel spells it */
export function addressAndLength(text: string): string {
  const slash = text.indexOf('/');
  try {
    if (slash >= 0) return `${IpAddress.parse(text.slice(0, slash))}/${IpPrefix.parse(text).length}`;
  } catch {
    // Told below.
  }
  throw new UsageError('expected an address with its length, such as 10.0.0.1/24 or fd00::1/64');
}

/** `10.0.0.0/8`, or one address. @returns what was typed */
export function prefix(text: string): string {
  try {
    IpPrefix.parse(text);
  } catch {
    throw new UsageError('expected an address or prefix, such as 10.0.0.1, 10.0.0.0/8 or fd00::/8');
  }
  return text;
}

/** `10.0.0.1`, `fd00::1`. @returns what was typed */
export function address(text: string): string {
  try {
    IpAddress.parse(text);
  } catch {
    throw new UsageError('expected an address, such as 10.0.0.1 or fd00::1');
  }
  return text;
}

const MAX_INTERFACE_BYTES = 15;

/** The name of an interface, as the kernel takes it; `%d` is a number it chooses. @returns what was typed */
export function interfaceName(text: string): string {
  const isName = /^[^\s/:]+$/.test(text) && !/^\.\.?$/.test(text);
  if (isName && Buffer.byteLength(text) <= MAX_INTERFACE_BYTES) return text;
  throw new UsageError('expected the name of an interface, such as tun7, of at most 15 bytes');
}

/** `192.0.2.1`, `192.0.2.1:5353`, `fd00::1`, `[fd00::1]:5353`. @returns what was typed */
export function nameServer(text: string): string {
  try {
    parseServer(text);
  } catch {
    throw new UsageError('expected the address of a name server, such as 192.0.2.1 or [fd00::1]:5353');
  }
  return text;
}

/** A range of ports, both ends in it. */
export type PortRange = readonly [first: number, last: number];

/** `80`, `20-25`, `22,80,8000-8100`. */
export function portRanges(text: string): readonly PortRange[] {
  return text.split(',').map((piece): PortRange => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(piece) ?? [];
    const range: PortRange = [Number(first), Number(last)];
    if (first !== undefined && range[0] >= 1 && range[0] <= range[1] && range[1] <= 65_535) return range;
    throw new UsageError('expected ports such as 80, 20-25 or 22,80,8000-8100');
  });
}
