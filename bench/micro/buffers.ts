/** The rings a connection's payload passes through. */
import { type Seq, seq } from '../../lib/base/seq.js';
import { RangeSet } from '../../lib/buffer/range-set.js';
import { ReceiveBuffer } from '../../lib/buffer/receive-buffer.js';
import { SendBuffer } from '../../lib/buffer/send-buffer.js';
import type { Micro } from './harness.js';

const arena = new DataView(new SharedArrayBuffer(1 << 20));
const application = new Uint8Array(1 << 20);
const SEGMENT = 1460;
const SUPER = 64 * 1024;

/** Written by the application, copied into a packet, acknowledged. */
const sending = (length: number): Micro => {
  const buffer = new SendBuffer(seq(0));
  let next = 0;
  return {
    name: `send buffer: ${length} bytes in, out, released`,
    bytes: length,
    run: (times) => {
      for (let i = 0; i < times; i++) {
        buffer.write(application, 0, length);
        buffer.copyTo(seq(next), arena, 0, length);
        next = (next + length) | 0;
        buffer.release(next as Seq);
      }
      return arena.getUint8(0);
    },
  };
};

/** In order with a reader that lags: through the ring. */
const receiving = (length: number): Micro => {
  const buffer = new ReceiveBuffer(seq(0));
  return {
    name: `receive buffer: ${length} bytes in order, read`,
    bytes: length,
    run: (times) => {
      for (let i = 0; i < times; i++) {
        buffer.append(arena, 0, length);
        buffer.read(application, 0, length);
      }
      return application[0];
    },
  };
};

/** A hole of one segment and one segment behind it, which the second arrival fills. */
const reordered: Micro = (() => {
  const buffer = new ReceiveBuffer(seq(0));
  return {
    name: 'receive buffer: two segments the wrong way round, read',
    bytes: 2 * SEGMENT,
    run: (times: number) => {
      for (let i = 0; i < times; i++) {
        buffer.insert(seq(buffer.end + SEGMENT), arena, 0, SEGMENT);
        buffer.append(arena, 0, SEGMENT);
        buffer.absorb();
        buffer.read(application, 0, 2 * SEGMENT);
      }
      return application[0];
    },
  };
})();

const ranges: Micro = {
  name: 'range set: add and merge among 64 ranges',
  run: (times) => {
    const set = new RangeSet(1024);
    for (let i = 0; i < 64; i++) set.add(seq(i * 1000), seq(i * 1000 + 500));
    for (let i = 0; i < times; i++) {
      const at = (i & 63) * 1000 + 100;
      set.add(seq(at), seq(at + 100));
    }
    return set.count;
  },
};

export const buffers: readonly Micro[] = [
  sending(SEGMENT),
  sending(SUPER),
  receiving(SEGMENT),
  receiving(SUPER),
  reordered,
  ranges,
];
