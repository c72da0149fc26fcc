/** Counters of several shards, added up. */
import type { Counters } from './worker-messages.js';

/** Adds what is a number to the number of the same name; a name that one lacks counts as 0 there. */
export function addUp(all: readonly Counters[]): Counters {
  const total: Counters = {};
  for (const counters of all) {
    for (const [name, value] of Object.entries(counters)) {
      const sum = total[name];
      if (typeof value === 'number') total[name] = value + (typeof sum === 'number' ? sum : 0);
      else total[name] = addUp(typeof sum === 'object' ? [sum, value] : [value]);
    }
  }
  return total;
}
