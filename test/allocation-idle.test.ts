/** Memory that idle connections take beyond their unread data, and the time an idle process takes. */
import { expect } from 'chai';
import { run } from './support/child.js';

/** Compiled code and the like are in what a process measures: the best of a few counts. */
const PROCESSES = 3;
/** About 1.2 KB and 3.4 KB on Node 20; versions of Node and V8 differ. */
const MOST_RAW_BYTES = 2000;
const MOST_NET_BYTES = 5000;

interface Idle {
  /** Of a raw endpoint and what is at its other end. */
  readonly bytesOfBoth: number;
  /** In a second in which nothing happens. */
  readonly idleCpuUs: number;
}

async function least(what: 'raw' | 'net', enoughBytes: number): Promise<Idle> {
  let best: Idle = { bytesOfBoth: Number.POSITIVE_INFINITY, idleCpuUs: Number.POSITIVE_INFINITY };
  for (let i = 0; i < PROCESSES && best.bytesOfBoth > enoughBytes; i++) {
    const args = ['--expose-gc', '--import=tsx', 'test/support/idle-probe.ts', what];
    const { stdout } = await run(process.execPath, args, { limitMs: 120_000 });
    const { bytesOfBoth, idleCpuUs } = JSON.parse(stdout) as Idle;
    best = {
      bytesOfBoth: Math.min(best.bytesOfBoth, bytesOfBoth),
      idleCpuUs: Math.min(best.idleCpuUs, idleCpuUs),
    };
  }
  return best;
}

describe('an idle connection', function () {
  this.timeout(400_000);
  let raw: Idle;

  before(async () => {
    raw = await least('raw', 2 * MOST_RAW_BYTES);
  });

  it('takes little more than a kilobyte as a raw endpoint', () => {
    expect(raw.bytesOfBoth / 2).to.be.lessThan(MOST_RAW_BYTES);
  });

  it('takes little more than a socket takes by itself as one of `net`', async () => {
    const { bytesOfBoth } = await least('net', MOST_NET_BYTES + raw.bytesOfBoth / 2);
    expect(bytesOfBoth - raw.bytesOfBoth / 2).to.be.lessThan(MOST_NET_BYTES);
  });

  it('takes no time, however many there are', () => {
    // The process itself looks at its timers and collects garbage.
    expect(raw.idleCpuUs).to.be.lessThan(50_000);
  });
});
