/** Time and garbage of small operations: calibrated, repeated, the median reported. */
import { median } from '../support/statistics.js';

export interface Micro {
  readonly name: string;
  /** Bytes one operation works through, where a rate says more than a time. */
  readonly bytes?: number;
  /** Performs the operation so often, and returns something of it, so that it cannot be optimised away. */
  run(times: number): number;
}

export interface MicroResult {
  readonly name: string;
  readonly nsPerOperation: number;
  readonly bytesPerOperation: number;
  readonly gigabytesPerSecond?: number;
}

const SAMPLES = 9;
/** Long enough for the clock, short enough for nine of them. */
const SAMPLE_MS = 30;

/** Where results go, so that they are used. */
let sink = 0;

function sampleMs(micro: Micro, times: number): number {
  const start = performance.now();
  sink ^= micro.run(times) | 0;
  return performance.now() - start;
}

/** Measures one operation. Needs `--expose-gc` for the garbage to mean anything. */
export function measureMicro(micro: Micro): MicroResult {
  let times = 100;
  while (sampleMs(micro, times) < SAMPLE_MS) times *= 2;
  const samples = Array.from({ length: SAMPLES }, () => (sampleMs(micro, times) * 1e6) / times);
  const ns = median(samples);
  return {
    name: micro.name,
    nsPerOperation: ns,
    bytesPerOperation: garbageOf(micro, Math.min(times, 100_000)),
    ...(micro.bytes === undefined ? {} : { gigabytesPerSecond: micro.bytes / ns }),
  };
}

/** The least of a few looks: what Node itself allocates meanwhile is not the operation's. */
function garbageOf(micro: Micro, times: number): number {
  const looks = Array.from({ length: 5 }, () => {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    sink ^= micro.run(times) | 0;
    return (process.memoryUsage().heapUsed - before) / times;
  });
  return Math.max(0, Math.min(...looks));
}
