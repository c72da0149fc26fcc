/** Internet checksums in TypeScript; on a TUN the addon or the kernel does those of payloads. */
import { finishChecksum, sumBytes, updateChecksum16 } from '../../lib/wire/checksum.js';
import type { Micro } from './harness.js';

const view = new DataView(new SharedArrayBuffer(1 << 17));
for (let at = 0; at < view.byteLength; at += 4) view.setUint32(at, (at * 2_654_435_761) >>> 0);

const ofBytes = (length: number): Micro => ({
  name: `checksum of ${length} bytes`,
  bytes: length,
  run: (times) => {
    let sum = 0;
    for (let i = 0; i < times; i++) sum += finishChecksum(sumBytes(view, (i & 7) * 8, length));
    return sum;
  },
});

export const checksum: readonly Micro[] = [
  ...[20, 64, 1460, 65_535].map(ofBytes),
  {
    name: 'checksum update for one word',
    run: (times) => {
      let sum = 0x1234;
      for (let i = 0; i < times; i++) sum = updateChecksum16(sum, i & 0xffff, (i + 1) & 0xffff);
      return sum;
    },
  },
];
