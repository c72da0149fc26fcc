/** Every micro-benchmark, as a table or with `--json`. Run it with `--expose-gc`. */

import { microTable } from '../support/table.js';
import { buffers } from './buffers.js';
import { checksum } from './checksum.js';
import { codec } from './codec.js';
import { measureMicro } from './harness.js';

const results = [...codec, ...checksum, ...buffers].map(measureMicro);

if (process.argv.includes('--json')) {
  console.log(JSON.stringify(results, null, 2));
} else {
  console.log(microTable(results));
}
