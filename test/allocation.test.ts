/**
 * Bytes allocated per packet between link and socket, and between links: none. What a packet costs is the difference between
 * turns of few and of many packets; a turn costs a few boxed numbers, whatever it carries.
 *
 * Which calls V8 inlines varies from process to process, and a time passed to a function that it did not
 * inline is boxed. So the best of a few processes counts: what allocates by itself does so in all of them.
 */
import { expect } from 'chai';
import { run } from './support/child.js';

/** Bytes that a turn may cost, however few packets it carries. */
const TURN_BYTES = 512;
const PROCESSES = 5;

interface Cost {
  readonly perPacket: number;
  readonly perTurn: number;
}

type Measured =
  | 'receiving'
  | 'receiving for any address'
  | 'receiving a flow'
  | 'sending'
  | 'forwarding'
  | 'translating';

async function least(what: Measured): Promise<Cost> {
  let best: Cost = { perPacket: Number.POSITIVE_INFINITY, perTurn: Number.POSITIVE_INFINITY };
  for (let i = 0; i < PROCESSES && best.perPacket >= 1; i++) {
    const flags = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128', '--import=tsx'];
    const args = [...flags, 'test/support/allocation-probe.ts', what];
    const { stdout } = await run(process.execPath, args, { limitMs: 60_000 });
    const cost = JSON.parse(stdout) as Cost;
    if (cost.perPacket < best.perPacket) best = cost;
  }
  return best;
}

describe('bytes allocated per packet', function () {
  this.timeout(120_000);

  it('are none between link and socket when text arrives in order', async () => {
    const { perPacket, perTurn } = await least('receiving');
    expect(perPacket, 'per packet').to.be.lessThan(1);
    expect(perTurn, 'per turn').to.be.lessThan(TURN_BYTES);
  });

  it('are none when the text is for an address that is not ours', async () => {
    const { perPacket, perTurn } = await least('receiving for any address');
    expect(perPacket, 'per packet').to.be.lessThan(1);
    expect(perTurn, 'per turn').to.be.lessThan(TURN_BYTES);
  });

  it('are those of one view where datagrams are for any address', async () => {
    const { perPacket, perTurn } = await least('receiving a flow');
    expect(perPacket, 'per packet').to.be.lessThan(1);
    expect(perTurn, 'per turn').to.be.lessThan(TURN_BYTES);
  });

  it('are none between socket and link when text is sent', async () => {
    const { perPacket, perTurn } = await least('sending');
    expect(perPacket, 'per packet').to.be.lessThan(1);
    expect(perTurn, 'per turn').to.be.lessThan(TURN_BYTES);
  });

  it('are none between two links when packets are passed on', async () => {
    const { perPacket, perTurn } = await least('forwarding');
    expect(perPacket, 'per packet').to.be.lessThan(1);
    expect(perTurn, 'per turn').to.be.lessThan(TURN_BYTES);
  });

  it('are none when they are translated on the way, by sessions that are known', async () => {
    const { perPacket, perTurn } = await least('translating');
    expect(perPacket, 'per packet').to.be.lessThan(1);
    expect(perTurn, 'per turn').to.be.lessThan(TURN_BYTES);
  });
});
