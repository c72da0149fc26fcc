/** Every micro-benchmark, as a table or with `--json`. Run it with `--expose-gc`. */
import { buffers } from './buffers.js';
import { checksum } from './checksum.js';
import { codec } from './codec.js';
import { type MicroResult, measureMicro } from './harness.js';

const results = [...codec, ...checksum, ...buffers].map(measureMicro);

function line(result: MicroResult, width: number): string {
  const rate = result.gigabytesPerSecond === undefined ? '' : `${result.gigabytesPerSecond.toFixed(1)} GB/s`;
  const ns = result.nsPerOperation.toFixed(result.nsPerOperation < 100 ? 1 : 0);
  const garbage = result.bytesPerOperation.toFixed(result.bytesPerOperation < 10 ? 1 : 0);
  return `${result.name.padEnd(width)}  ${ns.padStart(8)} ns  ${garbage.padStart(6)} B garbage  ${rate.padStart(10)}`;
}

if (process.argv.includes('--json')) {
  console.log(JSON.stringify(results, null, 2));
} else {
  const width = Math.max(...results.map(({ name }) => name.length));
  for (const result of results) console.log(line(result, width));
}
