/** The cases of a sweep, as ranges that can be handed to workers. */
import type { Random } from '../../lib/base/random.js';
import { type FaultCase, type FaultKind, KINDS, type PlannedFault, type SweepConfig } from './fault-case.js';
import { runCase } from './fault-run.js';

/** Cases `from` up to `to` of one configuration and kind: single faults, or pairs of the same kind. */
export interface Range {
  readonly config: SweepConfig;
  readonly kind: FaultKind;
  readonly pairs: boolean;
  /** Packets of an undisturbed transfer. */
  readonly dataPackets: number;
  readonly ackPackets: number;
  readonly from: number;
  readonly to: number;
  /** Only every so many-th case; 1 for all. */
  readonly step: number;
}

export interface Counts {
  readonly dataPackets: number;
  readonly ackPackets: number;
}

/** What an undisturbed transfer takes. @throws Error when even that fails */
export function undisturbed(config: SweepConfig): Counts {
  const { troubles, dataPackets, ackPackets, retransmissions } = runCase({ config, faults: [] });
  if (troubles.length > 0) throw new Error(`an undisturbed transfer fails: ${troubles.join(', ')}`);
  if (retransmissions > 0) throw new Error('an undisturbed transfer sends something twice');
  return { dataPackets, ackPackets };
}

/** The packet of that index: first those with the data, then those against it. */
function faultAt({ dataPackets }: Counts, index: number, kind: FaultKind): PlannedFault {
  return index < dataPackets
    ? { side: 'data', packet: index + 1, kind }
    : { side: 'ack', packet: index - dataPackets + 1, kind };
}

export const packetsOf = ({ dataPackets, ackPackets }: Counts): number => dataPackets + ackPackets;

export const casesOf = (counts: Counts, pairs: boolean): number => {
  const packets = packetsOf(counts);
  return pairs ? (packets * (packets - 1)) / 2 : packets;
};

/** The pair of that index: (0, 1), (0, 2), (1, 2), (0, 3) … */
function pairAt(index: number): [number, number] {
  const second = Math.floor((1 + Math.sqrt(1 + 8 * index)) / 2);
  return [index - (second * (second - 1)) / 2, second];
}

export function* casesIn(range: Range): Generator<FaultCase> {
  const { config, kind } = range;
  for (let index = range.from; index < range.to; index += range.step) {
    const places = range.pairs ? pairAt(index) : [index];
    yield { config, faults: places.map((place) => faultAt(range, place, kind)) };
  }
}

/** How many cases a range has. */
export const sizeOf = ({ from, to, step }: Range): number => Math.ceil((to - from) / step);

/** The cases of a configuration, all or every `step`-th, in ranges of at most `size` of them. */
export function* rangesOf(
  config: SweepConfig,
  { pairs, size, step }: { readonly pairs: boolean; readonly size: number; readonly step: number },
): Generator<Range> {
  const counts = undisturbed(config);
  const total = casesOf(counts, pairs);
  for (const [i, kind] of KINDS.entries()) {
    // Each kind begins elsewhere, so that together they meet more places.
    for (let from = i % step; from < total; from += size * step) {
      yield { config, kind, pairs, ...counts, from, to: Math.min(total, from + size * step), step };
    }
  }
}

const below = (random: Random, limit: number): number => random.uint32() % limit;

/** A pair drawn by chance; its faults may be of two kinds. */
export function randomPair(config: SweepConfig, counts: Counts, random: Random): FaultCase {
  const packets = packetsOf(counts);
  const first = below(random, packets);
  const second = (first + 1 + below(random, packets - 1)) % packets;
  const kinds = [KINDS[below(random, KINDS.length)], KINDS[below(random, KINDS.length)]];
  const places = [Math.min(first, second), Math.max(first, second)];
  return { config, faults: places.map((place, i) => faultAt(counts, place, kinds[i])) };
}
