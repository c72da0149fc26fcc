import { expect } from 'chai';
import { SeededRandom } from '../../../../lib/sim/seeded-random.js';
import { MaxBandwidthFilter, WindowedMax } from '../../../../lib/tcp/congestion/bbr/filters.js';

describe('BBR: the maximum of bandwidth', () => {
  it('remembers a sample for the cycle it was made in and the next', () => {
    const filter = new MaxBandwidthFilter();
    expect(filter.maxBps).to.equal(0);
    filter.add(100);
    filter.advance();
    filter.add(60);
    expect(filter.maxBps).to.equal(100);
    filter.advance();
    expect(filter.maxBps).to.equal(60);
    filter.add(40);
    filter.advance();
    expect(filter.maxBps).to.equal(40);
  });

  it('keeps the last cycle that had samples when one has none', () => {
    const filter = new MaxBandwidthFilter();
    filter.add(100);
    for (let i = 0; i < 5; i++) filter.advance();
    expect(filter.maxBps).to.equal(100);
  });

  it('rises with any larger sample at once', () => {
    const filter = new MaxBandwidthFilter();
    filter.add(100);
    filter.advance();
    filter.add(150);
    expect(filter.maxBps).to.equal(150);
  });
});

describe('BBR: the windowed maximum', () => {
  it('is exact while the maximum is young, and never older than the window', () => {
    const random = new SeededRandom(3);
    const filter = new WindowedMax();
    const all: { value: number; time: number }[] = [];
    for (let time = 0; time < 2000; time++) {
      const value = random.uint32() % 1000;
      all.push({ value, time });
      filter.add(value, time, 10);
      const inWindow = all.slice(-11).map((sample) => sample.value);
      expect(inWindow, `at ${time}`).to.include(filter.max);
      expect(filter.max).to.be.at.least(value);
    }
  });

  it('forgets a peak after the window', () => {
    const filter = new WindowedMax();
    filter.add(1000, 0, 10);
    for (let time = 1; time <= 10; time++) {
      filter.add(5, time, 10);
      expect(filter.max).to.equal(1000);
    }
    filter.add(5, 11, 10);
    expect(filter.max).to.equal(5);
  });

  it('forgets all when nothing was said for longer than the window', () => {
    const filter = new WindowedMax();
    filter.add(1000, 0, 10);
    filter.add(1, 50, 10);
    expect(filter.max).to.equal(1);
  });
});
