/** What repeated measurements say: their middle, their spread, and whether two sets of them differ. */

const known = (values: readonly number[]): number[] =>
  values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);

/** The middle value, or the mean of the middle two; NaN without values. What is NaN does not count. */
export function median(values: readonly number[]): number {
  const sorted = known(values);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

export function summarise(values: readonly number[]): Summary {
  const sorted = known(values);
  return {
    median: median(sorted),
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    count: sorted.length,
  };
}

/**
 * The rank-sum test of Mann and Whitney: how likely two sets of values at least so far apart would be if
 * both came from one source. It assumes nothing of how the values are distributed. Exact, also with ties:
 * every way of dealing all values into two sets of these sizes is counted.
 * @returns the two-sided probability, 1 where a set is empty
 */
export function rankSumProbability(left: readonly number[], right: readonly number[]): number {
  const a = known(left);
  const b = known(right);
  if (a.length === 0 || b.length === 0) return 1;
  const ranks = doubledRanks([...a, ...b]);
  const observed = ranks.slice(0, a.length).reduce((sum, rank) => sum + rank, 0);
  const expected = a.length * (a.length + b.length + 1);
  const distance = Math.abs(observed - expected);
  let extreme = 0;
  let all = 0;
  for (const [sum, ways] of waysBySum(ranks, a.length)) {
    all += ways;
    if (Math.abs(sum - expected) >= distance) extreme += ways;
  }
  return extreme / all;
}

/** The least probability sets of these sizes can give: that of two sets which do not overlap at all. */
export function leastProbability(left: number, right: number): number {
  let ways = 1;
  for (let i = 1; i <= left; i++) ways = (ways * (right + i)) / i;
  return Math.min(1, 2 / ways);
}

/** Twice the rank of each value, in the order given. Values that are equal share their mean rank. */
function doubledRanks(values: readonly number[]): number[] {
  return values.map((value) => {
    let below = 0;
    let equal = 0;
    for (const other of values) {
      if (other < value) below++;
      else if (other === value) equal++;
    }
    return 2 * below + equal + 1;
  });
}

/** In how many ways `size` of the ranks give each sum. */
function waysBySum(ranks: readonly number[], size: number): Map<number, number> {
  const bySize: Map<number, number>[] = Array.from({ length: size + 1 }, () => new Map<number, number>());
  bySize[0].set(0, 1);
  for (const rank of ranks) {
    for (let taken = size; taken > 0; taken--) {
      for (const [sum, ways] of bySize[taken - 1]) {
        const larger = sum + rank;
        bySize[taken].set(larger, (bySize[taken].get(larger) ?? 0) + ways);
      }
    }
  }
  return bySize[size];
}
