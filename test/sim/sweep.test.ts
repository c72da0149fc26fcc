/**
 * Every packet of a transfer of 100 segments suffers in turn, and pairs drawn by chance; what must hold
 * stands at the head of `bench/sweep/fault-run.ts`. `npm run sweep` runs every pair in every configuration.
 */
import { expect } from 'chai';
import { CONTROLS } from '../../bench/support/controls.js';
import {
  allConfigs,
  commandFor,
  type FaultCase,
  type FaultKind,
  KINDS,
  type SweepConfig,
} from '../../bench/sweep/fault-case.js';
import { runCase } from '../../bench/sweep/fault-run.js';
import { type Counts, casesIn, casesOf, randomPair, undisturbed } from '../../bench/sweep/plan.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';

const MAX_TOLD = 5;
/** Far more than any test takes on a machine with nothing else to do. */
const LIMIT_MS = 60_000;
/** Pairs drawn for each congestion control. */
const PAIRS = 300;
const seed = Number(process.env.SIM_SEED ?? Date.now() % 1e9);

const configs = allConfigs(CONTROLS);
const countsOf = new Map<SweepConfig, Counts>();

function counts(config: SweepConfig): Counts {
  const known = countsOf.get(config) ?? undisturbed(config);
  countsOf.set(config, known);
  return known;
}

/** Runs cases, and fails with what went wrong and how to run it again. */
function expectNoTrouble(cases: Iterable<FaultCase>): void {
  const told: string[] = [];
  let failures = 0;
  for (const faulty of cases) {
    const { troubles } = runCase(faulty);
    if (troubles.length === 0) continue;
    if (failures++ < MAX_TOLD) told.push(`${commandFor(faulty)} (${troubles.join('; ')})`);
  }
  if (failures > 0) expect.fail(`${failures} runs failed: ${told.join(' | ')}`);
}

/**
 * Every packet that may suffer, in one of the four configurations that differ in family and super-packets; in two
 * of them where it is lost. Which one goes by its number, so that each configuration meets every place.
 */
function* singleFaults(control: string, role: string, kind: FaultKind): Generator<FaultCase> {
  const own = configs.filter((config) => config.control === control && config.role === role);
  const period = kind === 'drop' ? own.length / 2 : own.length;
  for (const [i, config] of own.entries()) {
    const all = {
      config,
      kind,
      pairs: false,
      ...counts(config),
      from: 0,
      to: casesOf(counts(config), false),
      step: 1,
    };
    for (const faulty of casesIn(all)) {
      if ((faulty.faults[0].packet + i + KINDS.indexOf(kind)) % period === 0) yield faulty;
    }
  }
}

describe('a transfer with one fault', function () {
  this.timeout(LIMIT_MS);

  for (const control of CONTROLS) {
    for (const role of ['up', 'down'] as const) {
      for (const kind of KINDS) {
        it(`is as it should be whatever packet suffers: ${kind}, sending ${role}, ${control}`, () => {
          expectNoTrouble(singleFaults(control, role, kind));
        });
      }
    }
  }
});

describe('a transfer with two faults', function () {
  this.timeout(LIMIT_MS);

  for (const control of CONTROLS) {
    it(`is as it should be for pairs drawn by chance: ${control}, SIM_SEED=${seed}`, () => {
      const random = new SeededRandom(seed);
      const own = configs.filter((config) => config.control === control);
      expectNoTrouble(
        Array.from({ length: PAIRS }, () => {
          const config = own[random.uint32() % own.length];
          return randomPair(config, counts(config), random);
        }),
      );
    });
  }
});
