import { expect } from 'chai';
import { Pacer } from '../../../lib/tcp/pacer.js';

/** 1000 bytes a millisecond. */
const RATE_BPS = 1e6;

/** Sends pieces of 1000 bytes at one time for as long as they may leave. @returns how many did */
function burst(pacer: Pacer, nowUs: number): number {
  let count = 0;
  while (pacer.mayLeave(nowUs)) {
    pacer.sent(1000, RATE_BPS, nowUs);
    count++;
  }
  return count;
}

describe('Pacer', () => {
  it('lets a burst of a millisecond leave after idle time, and what follows at the rate', () => {
    const pacer = new Pacer();
    expect(burst(pacer, 1e6)).to.equal(2);
    expect(pacer.deadlineUs).to.equal(1e6 + 1000);
    expect(burst(pacer, 1e6 + 1000)).to.equal(1);
    pacer.isBlocked = false;
    pacer.idle();
    expect(burst(pacer, 2e6)).to.equal(2);
  });

  it('makes good what an alarm is late by, 20 ms at most', () => {
    const pacer = new Pacer();
    burst(pacer, 1e6);
    let sent = 0;
    for (let round = 1; round <= 10; round++) sent += burst(pacer, 1e6 + round * 12_000);
    // Woken only every 12 ms, it still sends 1000 bytes a millisecond.
    expect(sent).to.equal(120);
    expect(burst(pacer, 5e6)).to.equal(21);
  });

  it('asks for no alarm while nothing waits', () => {
    const pacer = new Pacer();
    expect(pacer.deadlineUs).to.equal(Number.POSITIVE_INFINITY);
    pacer.hold(3e6);
    expect(pacer.deadlineUs).to.equal(3e6);
    expect(pacer.isHeld(2e6)).to.equal(true);
    expect(pacer.isHeld(3e6)).to.equal(false);
    expect(pacer.deadlineUs).to.equal(Number.POSITIVE_INFINITY);
  });
});
