/** Scenarios run again and again: over both families of IP, and over sequence numbers where they wrap. */
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { finishAll } from './scenario-hooks.js';

/** To be spread into the options of a `Peer`. */
export interface FamilyChoice {
  readonly ipv6: boolean;
}

/** To be spread into the options of a `Peer`: the ISNs of the stack and of the peer. */
export interface IsnChoice {
  readonly iss: number;
  readonly irs: number;
}

/**
 * Runs `scenario` over IPv4, then over IPv6. Around `it` it makes two tests, whose titles can hold `name`;
 * inside one, two runs.
 */
export function forEachFamily(scenario: (family: FamilyChoice, name: 'IPv4' | 'IPv6') => void): void {
  run('over IPv4', () => scenario({ ipv6: false }, 'IPv4'));
  run('over IPv6', () => scenario({ ipv6: true }, 'IPv6'));
}

/**
 * Runs `scenario` with ISS and IRS each out of 0, 1, 2^31-1, 2^31, 2^32-1 and a random number: 36 times
 * (row FSM-44). Inside one test; each run is finished and checked for leaks before the next.
 */
export function forEachIsn(scenario: (isn: IsnChoice) => void): void {
  const random = new SeededRandom(44);
  const numbers = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, random.uint32()];
  for (const iss of numbers) {
    for (const irs of numbers) run(`with ISS ${iss} and IRS ${irs}`, () => scenario({ iss, irs }));
  }
}

/** A failure says in which run it happened. */
function run(which: string, scenario: () => void): void {
  try {
    scenario();
    finishAll();
  } catch (error) {
    if (error instanceof Error) error.message = `${which}: ${error.message}`;
    throw error;
  }
}
