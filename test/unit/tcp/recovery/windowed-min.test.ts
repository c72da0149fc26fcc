import { expect } from 'chai';
import fc from 'fast-check';
import { WindowedMin } from '../../../../lib/tcp/recovery/windowed-min.js';

const WINDOW_US = 1000;

describe('WindowedMin', () => {
  it('is at most the newest sample, and never one older than the window, nor below the smallest in it', () => {
    const sample = fc.record({
      afterUs: fc.integer({ min: 0, max: 400 }),
      value: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 100 }), (samples) => {
        const minimum = new WindowedMin(WINDOW_US);
        expect(minimum.value).to.equal(Number.POSITIVE_INFINITY);
        const seen: { atUs: number; value: number }[] = [];
        let nowUs = 5000;
        for (const { afterUs, value } of samples) {
          nowUs += afterUs;
          seen.push({ atUs: nowUs, value });
          minimum.update(value, nowUs);
          const inWindow = seen.filter(({ atUs }) => nowUs - atUs <= WINDOW_US).map((one) => one.value);
          expect(minimum.value).to.be.at.most(value);
          // It may have forgotten a sample of the window too early, but it made none up.
          expect(minimum.value).to.be.at.least(Math.min(...inWindow));
          expect(inWindow).to.include(minimum.value);
        }
      }),
    );
  });

  it('keeps the smallest for the whole window, and takes the best of what came after it', () => {
    const minimum = new WindowedMin(WINDOW_US);
    minimum.update(10, 0);
    minimum.update(30, 300);
    minimum.update(20, 600);
    minimum.update(40, 1000);
    expect(minimum.value).to.equal(10);
    minimum.update(40, 1001);
    expect(minimum.value).to.equal(20);
    minimum.update(40, 1601);
    expect(minimum.value).to.equal(40);
  });

  it('begins anew after a pause longer than the window', () => {
    const minimum = new WindowedMin(WINDOW_US);
    minimum.update(10, 0);
    minimum.update(99, 5000);
    expect(minimum.value).to.equal(99);
  });
});
