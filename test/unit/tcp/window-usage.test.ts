import { expect } from 'chai';
import { seq } from '../../../lib/base/seq.js';
import { WindowUsage } from '../../../lib/tcp/window-usage.js';

const LIMIT = 10_000;
const AVOIDANCE = 5000;
const SLOW_START = 1e9;

describe('WindowUsage', () => {
  it('lets the window grow where it held something back, until a window without that has been acknowledged', () => {
    const usage = new WindowUsage(seq(0));
    expect(usage.isLimited(LIMIT, AVOIDANCE)).to.equal(false);
    usage.paused(10_000, true, seq(0), seq(10_000));
    expect(usage.isLimited(LIMIT, AVOIDANCE)).to.equal(true);
    usage.paused(3000, false, seq(9999), seq(13_000));
    expect(usage.isLimited(LIMIT, AVOIDANCE)).to.equal(true);
    usage.paused(3000, false, seq(10_000), seq(13_000));
    expect(usage.isLimited(LIMIT, AVOIDANCE)).to.equal(false);
  });

  it('in slow start asks for more than half of it to have been in flight at once (Linux tcp_is_cwnd_limited)', () => {
    const usage = new WindowUsage(seq(0));
    usage.paused(5000, false, seq(0), seq(5000));
    expect(usage.isLimited(LIMIT, SLOW_START)).to.equal(false);
    usage.paused(5001, false, seq(0), seq(5001));
    expect(usage.isLimited(LIMIT, SLOW_START)).to.equal(true);
    expect(usage.isLimited(LIMIT, AVOIDANCE)).to.equal(false);
    // The most of a window counts, not the last.
    usage.paused(100, false, seq(5000), seq(5101));
    expect(usage.isLimited(LIMIT, SLOW_START)).to.equal(true);
    usage.paused(100, false, seq(5001), seq(5101));
    expect(usage.isLimited(LIMIT, SLOW_START)).to.equal(false);
  });

  it('knows where a window ends also where the sequence numbers do', () => {
    const usage = new WindowUsage(seq(0xffff_f000));
    usage.paused(8192, true, seq(0xffff_f000), seq(0x1000));
    usage.paused(10, false, seq(0xffff_ffff), seq(0x1000));
    expect(usage.isLimited(LIMIT, AVOIDANCE)).to.equal(true);
    usage.paused(10, false, seq(0x1000), seq(0x1000));
    expect(usage.isLimited(LIMIT, AVOIDANCE)).to.equal(false);
  });
});
