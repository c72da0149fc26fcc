/** The congestion controls by name; users may add their own. */
import { ArgumentValueError } from '../../base/errors.js';
import type { CongestionFactory } from './congestion-control.js';
import { NewReno } from './new-reno.js';

const FACTORIES = new Map<string, CongestionFactory>([['reno', (parameters) => new NewReno(parameters)]]);

/** @throws ArgumentValueError when there is none of that name */
export function congestionFactory(name: string): CongestionFactory {
  const factory = FACTORIES.get(name);
  if (factory === undefined) throw new ArgumentValueError(`unknown congestion control "${name}"`);
  return factory;
}

/** Adds a congestion control, for every stack of this process. @throws ArgumentValueError when the name is taken */
export function registerCongestionControl(name: string, factory: CongestionFactory): void {
  if (FACTORIES.has(name)) throw new ArgumentValueError(`congestion control "${name}" is registered already`);
  FACTORIES.set(name, factory);
}
