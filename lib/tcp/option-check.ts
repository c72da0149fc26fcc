/** Which values the settings of TCP may have: wrong ones are refused when they are given, not met later. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { isCongestionControl } from './congestion/registry.js';
import { ECN_SETTINGS } from './ecn/negotiation.js';
import type { MtuProbing, SynCookieMode, TcpLayerOptions, TcpOptions, TimeWaitReuse } from './options.js';

type NumberOption = {
  [K in keyof TcpOptions]: TcpOptions[K] extends number ? K : never;
}[keyof TcpOptions];

/** The longest time a setting may name, ms: about 24 days. */
const MAX_MS = 2 ** 31 - 1;
/** More than any window can offer, and harmless. */
const MAX_BUFFER_BYTES = 2 ** 40;

/** Smallest and largest value of each number, both allowed. */
const RANGES: Partial<Record<NumberOption, readonly [least: number, most: number]>> = {
  keepAliveIdleMs: [1, MAX_MS],
  keepAliveIntervalMs: [1, MAX_MS],
  keepAliveProbes: [1, 127],
  userTimeoutMs: [0, MAX_MS],
  userTimeoutLowerMs: [0, MAX_MS],
  userTimeoutUpperMs: [1, MAX_MS],
  synRetries: [0, 127],
  retries1: [0, MAX_MS],
  retries2: [0, MAX_MS],
  rtoMinMs: [1, MAX_MS],
  rtoMaxMs: [1, MAX_MS],
  initialRtoMs: [1, MAX_MS],
  initialWindow: [1, 1e6],
  sendBufferBytes: [1, MAX_BUFFER_BYTES],
  receiveBufferBytes: [1, MAX_BUFFER_BYTES],
  receiveBufferMaxBytes: [1, MAX_BUFFER_BYTES],
  maxGaps: [0, 1e6],
  maxSentRecords: [1, 2 ** 24],
  notSentLowWaterBytes: [-1, MAX_BUFFER_BYTES],
  windowClampBytes: [0, MAX_BUFFER_BYTES],
  maxSegmentBytes: [0, 0xffff],
  baseMssBytes: [48, 0xffff],
  mtuProbeFloorBytes: [48, 0xffff],
  delayedAckMinMs: [0, 499],
  // RFC 9293 §3.8.6.3: less than half a second.
  delayedAckMaxMs: [0, 499],
  finTimeoutMs: [-1, MAX_MS],
  trafficClass: [0, 255],
  hopLimit: [0, 255],
  lingerMs: [-1, MAX_MS],
  maxCongestionWindowBytes: [1, 2 ** 40],
  fastOpenQueue: [0, 1e6],
};

const MTU_PROBING: ReadonlySet<string> = new Set<MtuProbing>(['off', 'blackhole', 'always']);

/** @throws ArgumentValueError for a name that is not among `known`; ArgumentTypeError for a value of another type */
export function checkOptionNames(given: object, known: object, what: string): void {
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(known, key)) throw new ArgumentValueError(`unknown ${what} option "${key}"`);
    checkType(`${what} option "${key}"`, value, typeof (known as Record<string, unknown>)[key]);
    if (typeof value === 'number' && !Number.isFinite(value) && key !== 'maxPacingRateBps') {
      throw new ArgumentRangeError(`${what} option "${key}" must be a finite number`);
    }
  }
}

function checkType(what: string, value: unknown, expected: string): void {
  if (typeof value === expected) return;
  throw new ArgumentTypeError(`${what} must be a ${expected}, not ${value === null ? 'null' : typeof value}`);
}

/** Checks one setting of a connection. @throws as `checkTcpOptions` */
export function checkTcpOption(name: keyof TcpOptions, value: unknown, standard: unknown): void {
  checkType(`TCP option "${name}"`, value, typeof standard);
  // Of truths any is right.
  if (typeof value !== 'boolean') checkTcpOptions({ [name]: value });
}

/** @throws ArgumentRangeError for a number out of range; ArgumentValueError for an unknown congestion control */
export function checkTcpOptions(given: Partial<TcpOptions>): void {
  for (const [name, range] of Object.entries(RANGES)) {
    const value = given[name as NumberOption];
    if (value === undefined || (value >= range[0] && value <= range[1])) continue;
    throw new ArgumentRangeError(
      `TCP option "${name}" must be from ${range[0]} to ${range[1]}, not ${value}`,
    );
  }
  const { maxPacingRateBps = 1, congestionControl, ecn = 'off', mtuProbing = 'off' } = given;
  if (!ECN_SETTINGS.includes(ecn)) throw new ArgumentValueError(`unknown setting of ECN "${ecn}"`);
  if (!(maxPacingRateBps > 0)) {
    throw new ArgumentRangeError(`TCP option "maxPacingRateBps" must be above 0, not ${maxPacingRateBps}`);
  }
  if (!MTU_PROBING.has(mtuProbing)) {
    throw new ArgumentValueError(
      `TCP option "mtuProbing" must be off, blackhole or always, not "${mtuProbing}"`,
    );
  }
  if (congestionControl !== undefined && !isCongestionControl(congestionControl)) {
    throw new ArgumentValueError(`unknown congestion control "${congestionControl}"`);
  }
}

/** What the words of the layer's settings may be. */
const LAYER_WORDS: Readonly<Record<string, readonly string[]>> = {
  synCookies: ['never', 'overflow', 'always'] satisfies SynCookieMode[],
  timeWaitReuse: ['never', 'loopback', 'always'] satisfies TimeWaitReuse[],
};

/**
 * Checks settings of the layer whose names and types are right.
 * @throws ArgumentTypeError, ArgumentRangeError for ports that are none, or a number out of range; ArgumentValueError
 *   for a word nobody knows
 */
export function checkTcpLayerOptions(given: Partial<TcpLayerOptions>): void {
  for (const [key, value] of Object.entries(given)) {
    const least = key === 'restAfterMs' ? -1 : 0;
    if (typeof value === 'number' && value < least) {
      throw new ArgumentRangeError(`TCP layer option "${key}" must be ${least} or more, not ${value}`);
    }
    if (typeof value === 'string' && LAYER_WORDS[key]?.includes(value) === false) {
      throw new ArgumentValueError(`TCP layer option "${key}" cannot be "${value}"`);
    }
    if (key === 'ephemeralPorts' || key === 'reservedPorts') checkPorts(key, value);
  }
  const { ephemeralPorts: range = [1, 1] } = given;
  if (range.length !== 2 || range[0] > range[1]) {
    throw new ArgumentRangeError('ephemeralPorts must be the first and the last port');
  }
}

function checkPorts(key: string, ports: unknown): void {
  if (!Array.isArray(ports))
    throw new ArgumentTypeError(`TCP layer option "${key}" must be an array of ports`);
  for (const port of ports) {
    if (Number.isInteger(port) && port >= 1 && port <= 65_535) continue;
    throw new ArgumentRangeError(`TCP layer option "${key}" has no port ${String(port)}`);
  }
}
