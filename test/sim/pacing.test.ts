/** Whatever is lost and however it is sent, it leaves no faster than the rate it was given, and no slower without need. */
import { expect } from 'chai';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import { Simulation } from '../../lib/sim/simulation.js';
import { textBytesOf } from '../support/tampering.js';

const BYTES = 120_000;
/** Two bursts, as time at the rate, µs (no alarm is late here); and a tail loss probe, which does not wait. */
const EARNED_US = 2_000;
const SPARE_BYTES = 4 * 1460;

interface Outcome {
  readonly seconds: number;
  /** Most bytes that were ahead of the rate at any time, since any time. */
  readonly aheadBytes: number;
}

function run(rateBps: number, control: string, superPackets: boolean, path: DirectionOptions): Outcome {
  let allowed = 0;
  let lastUs = 0;
  let aheadBytes = 0;
  const net = new Simulation({
    seed: rateBps,
    superPackets,
    upstream: {
      ...path,
      delayMs: 10,
      observe: (packet) => {
        const nowUs = net.clock.nowUs();
        // A bucket that time empties at the rate: what is in it is ahead of the rate.
        allowed = Math.max(0, allowed - ((nowUs - lastUs) * rateBps) / 1e6) + textBytesOf(packet);
        lastUs = nowUs;
        aheadBytes = Math.max(aheadBytes, allowed);
      },
    },
    downstream: { delayMs: 10 },
    client: { tcp: { connection: { maxPacingRateBps: rateBps, congestionControl: control } } },
  });
  const transfer = net.start({ bytes: BYTES });
  net.clock.runUntil(() => transfer.isOver, 600e6);
  expect(transfer.isIntact && transfer.receivedBytes === BYTES, 'all arrived').to.equal(true);
  net.rest();
  net.close();
  return { seconds: transfer.durationUs / 1e6, aheadBytes };
}

describe('a largest pacing rate', function () {
  this.timeout(30_000);

  for (const control of ['cubic', 'bbr']) {
    for (const superPackets of [false, true]) {
      const link = superPackets ? 'super-packets' : 'plain packets';
      it(`is never exceeded by more than a burst, and is used: ${control}, ${link}`, () => {
        for (const rateBps of [20_000, 500_000]) {
          const most = (rateBps * EARNED_US) / 1e6 + SPARE_BYTES;
          const clean = run(rateBps, control, superPackets, {});
          expect(clean.aheadBytes, `ahead at ${rateBps}`).to.be.at.most(most);
          expect(clean.seconds, `time at ${rateBps}`).to.be.within(
            (BYTES - most) / rateBps,
            (1.1 * BYTES) / rateBps + 0.5,
          );
          const bad = run(rateBps, control, superPackets, {
            loss: 0.03,
            reorder: { probability: 0.1, delayMs: 8 },
          });
          expect(bad.aheadBytes, `ahead at ${rateBps} with losses`).to.be.at.most(most);
        }
      });
    }
  }
});
