/** The congestion controls by name; users may add their own. */
import { ArgumentValueError } from '../../base/errors.js';
import type { Random } from '../../base/random.js';
import { Bbr } from './bbr/bbr.js';
import type { CongestionFactory, CongestionMaker } from './congestion-control.js';
import { Cubic } from './cubic.js';
import { NewReno } from './new-reno.js';

const FACTORIES = new Map<string, CongestionFactory>([
  ['bbr', (parameters) => new Bbr(parameters)],
  ['cubic', (parameters) => new Cubic(parameters)],
  ['reno', (parameters) => new NewReno(parameters)],
]);

/**
 * The congestion control of a name, with the randomness it may want.
 * @throws ArgumentValueError when there is none of that name
 */
export function congestionMaker(name: string, random: Random): CongestionMaker {
  const factory = FACTORIES.get(name);
  if (factory === undefined) throw new ArgumentValueError(`unknown congestion control "${name}"`);
  // Named one by one: this is made for each connection, and a copy by spreading takes a microsecond.
  return ({ mssBytes, initialWindowBytes, maxWindowBytes, rttUs, nowUs, inherited, abe, paced }) =>
    factory({ mssBytes, initialWindowBytes, maxWindowBytes, rttUs, nowUs, inherited, abe, paced, random });
}

/** Whether there is a congestion control of that name. */
export const isCongestionControl = (name: string): boolean => FACTORIES.has(name);

/** Adds a congestion control, for every stack of this process. @throws ArgumentValueError when the name is taken */
export function registerCongestionControl(name: string, factory: CongestionFactory): void {
  if (FACTORIES.has(name)) throw new ArgumentValueError(`congestion control "${name}" is registered already`);
  FACTORIES.set(name, factory);
}
