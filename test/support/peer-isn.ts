/**
 * How a scenario gets the ISS it wants without touching the stack: an ISN is a hash plus a clock of 4 µs
 * (RFC 6528 §3), so time begins as much later as the clock needs to make up the difference.
 */
import { DEFAULT_IRS, type PeerOptions } from './peer-options.js';

/** The ISS at time zero by everything the hash depends on. */
const measured = new Map<string, number>();

/** How much later than usual time must begin, µs; 0 when any ISS will do. `measure` tells the ISS at delay 0. */
export function isnDelayUs(options: PeerOptions, measure: (options: PeerOptions) => number): number {
  const { iss, ...others } = options;
  if (iss === undefined) return 0;
  const usual = { ...others, irs: DEFAULT_IRS };
  const key = JSON.stringify(usual, (_, value: unknown) =>
    typeof value === 'function' ? 'function' : value,
  );
  const found = measured.get(key) ?? measure(usual);
  measured.set(key, found);
  return ((iss - found) >>> 0) * 4;
}

/**
 * ISNs of all scenarios that choose none, so that whole files can be run again where numbers wrap (FSM-44):
 *
 *     SCENARIO_ISN=4294967295 npx mocha 'test/scenario/tcp/*.test.ts'
 *
 * It moves the time at which they begin, too: a scenario that cannot bear that chooses its own.
 */
export function withIsnOfRun(given: PeerOptions): PeerOptions {
  const { tailLossProbe } = given;
  const options =
    tailLossProbe === undefined ? given : { ...given, options: { tailLossProbe, ...given.options } };
  const isn = process.env.SCENARIO_ISN;
  if (isn === undefined || options.iss !== undefined || options.irs !== undefined) return options;
  return { ...options, iss: Number(isn), irs: Number(isn) };
}
