/** Bytes allocated per packet between two Ethernets: none. As `allocation.test.ts` measures. */
import { expect } from 'chai';
import { run } from './support/child.js';

const PROCESSES = 5;
/** Bytes that a turn may cost, however few packets it carries. */
const TURN_BYTES = 640;

describe('bytes allocated per packet in an Ethernet frame', function () {
  this.timeout(120_000);

  it('are none when it goes from one Ethernet to the next', async () => {
    let best = { perPacket: Number.POSITIVE_INFINITY, perTurn: Number.POSITIVE_INFINITY };
    for (let i = 0; i < PROCESSES && best.perPacket >= 1; i++) {
      const flags = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128', '--import=tsx'];
      const args = [...flags, 'test/support/allocation-ethernet-probe.ts'];
      const { stdout } = await run(process.execPath, args, { limitMs: 60_000 });
      const cost = JSON.parse(stdout) as typeof best;
      if (cost.perPacket < best.perPacket) best = cost;
    }
    expect(best.perPacket, 'per packet').to.be.lessThan(1);
    expect(best.perTurn, 'per turn').to.be.lessThan(TURN_BYTES);
  });
});
