import { expect } from 'chai';
import { leastProbability, median, rankSumProbability, summarise } from '../../bench/support/statistics.js';

describe('statistics of the benchmark', () => {
  it('takes the middle value, or the mean of the middle two', () => {
    expect(median([3, 1, 2])).to.equal(2);
    expect(median([4, 1, 2, 3])).to.equal(2.5);
    expect(median([])).to.be.NaN;
  });

  it('leaves out rounds that failed', () => {
    expect(summarise([Number.NaN, 5, 7])).to.deep.equal({ median: 6, min: 5, max: 7, count: 2 });
    expect(summarise([Number.NaN]).count).to.equal(0);
  });

  it('sorts by value, not as text', () => {
    expect(median([9, 10, 100])).to.equal(10);
  });

  it('gives the exact probability of the rank-sum test', () => {
    // Two of the C(10, 5) = 252 ways to deal ten ranks put the five least on one side.
    expect(rankSumProbability([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])).to.be.closeTo(2 / 252, 1e-12);
    // 1+2+3+4+6 and 1+2+3+5+… : the published table has p = 0.0159 for U = 1.
    expect(rankSumProbability([1, 2, 3, 4, 6], [5, 7, 8, 9, 10])).to.be.closeTo(4 / 252, 1e-12);
    expect(rankSumProbability([1, 3, 5], [2, 4, 6])).to.be.closeTo(0.7, 1e-12);
  });

  it('finds no difference between a set and itself, or between equal values', () => {
    expect(rankSumProbability([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])).to.equal(1);
    expect(rankSumProbability([7, 7, 7], [7, 7, 7])).to.equal(1);
  });

  it('says the same whichever set comes first', () => {
    const a = [1.2, 5.1, 3.3, 2.8];
    const b = [4.4, 6.1, 2.8, 9.9, 7.3];
    expect(rankSumProbability(a, b)).to.be.closeTo(rankSumProbability(b, a), 1e-12);
  });

  it('knows the least probability of so many rounds, which is that of sets which do not overlap', () => {
    expect(leastProbability(3, 3)).to.be.closeTo(0.1, 1e-12);
    expect(leastProbability(5, 5)).to.be.closeTo(2 / 252, 1e-12);
    expect(leastProbability(4, 6)).to.be.closeTo(
      rankSumProbability([1, 2, 3, 4], [5, 6, 7, 8, 9, 10]),
      1e-12,
    );
    expect(leastProbability(0, 5)).to.equal(1);
  });
});
