import { expect } from 'chai';
import { compareResults, hasGotWorse } from '../../bench/support/compare.js';
import { comparisonText } from '../../bench/support/table.js';
import { madeResult } from './support/made-result.js';

const FIVE = [100, 101, 102, 103, 104];
const times = (factor: number): number[] => FIVE.map((value) => value * factor);

const verdicts = (before: Parameters<typeof madeResult>[0], after: Parameters<typeof madeResult>[0]) =>
  compareResults(madeResult(before), madeResult(after)).map(({ target, measure, reference, verdict }) =>
    [target, measure, ...(reference === undefined ? [] : [reference]), verdict].join(' '),
  );

describe('comparison of two runs of the benchmark', () => {
  it('tells better from worse where rounds do not overlap', () => {
    expect(verdicts({ swap: { udp: FIVE } }, { swap: { udp: times(1.2) } })).to.deep.equal([
      'swap udp better',
    ]);
    expect(verdicts({ swap: { udp: FIVE } }, { swap: { udp: times(0.8) } })).to.deep.equal([
      'swap udp worse',
    ]);
  });

  it('knows where less is better', () => {
    expect(verdicts({ lwip: { rtt: FIVE } }, { lwip: { rtt: times(0.8) } })).to.deep.equal([
      'lwip rtt better',
    ]);
  });

  it('keeps quiet where the medians differ and the rounds overlap', () => {
    const wide = { swap: { udp: [60, 80, 100, 120, 140] } };
    expect(verdicts(wide, { swap: { udp: [70, 90, 110, 130, 150] } })).to.deep.equal(['swap udp same']);
  });

  it('keeps quiet about changes nobody would act on', () => {
    expect(
      verdicts(
        { swap: { udp: [1000, 1001, 1002, 1003, 1004] } },
        { swap: { udp: [1005, 1006, 1007, 1008, 1009] } },
      ),
    ).to.deep.equal(['swap udp same']);
  });

  it('does not decide between too few rounds', () => {
    expect(verdicts({ swap: { udp: [1, 2, 3] } }, { swap: { udp: [11, 12, 13] } })).to.deep.equal([
      'swap udp undecided',
    ]);
    const text = comparisonText(
      compareResults(madeResult({ swap: { udp: [1] } }), madeResult({ swap: { udp: [2] } })),
    );
    expect(text).to.match(/No difference.*\n.*1 cells have too few rounds/);
  });

  it('compares the ratios the goals speak of, which a slower machine does not change', () => {
    const before = { raw: { udp: FIVE }, swap: { udp: times(2) } };
    const after = { raw: { udp: times(0.5) }, swap: { udp: times(1) } };
    expect(verdicts(before, after)).to.deep.equal(['raw udp swap same', 'raw udp worse', 'swap udp worse']);
    expect(hasGotWorse(compareResults(madeResult(before), madeResult(after)))).to.equal(false);
  });

  it('calls a run worse when a ratio of a goal is, or a figure no ratio speaks of', () => {
    const worseRatio = compareResults(
      madeResult({ raw: { udp: FIVE }, swap: { udp: FIVE } }),
      madeResult({ raw: { udp: times(0.7) }, swap: { udp: FIVE } }),
    );
    expect(hasGotWorse(worseRatio)).to.equal(true);
    const worseMemory = compareResults(
      madeResult({ raw: { memory: FIVE } }),
      madeResult({ raw: { memory: times(1.3) } }),
    );
    expect(hasGotWorse(worseMemory)).to.equal(true);
  });

  it('leaves out cells that only one of the runs has', () => {
    expect(verdicts({ swap: { udp: FIVE } }, { swap: { udp: FIVE }, c: { msg: FIVE } })).to.deep.equal([
      'swap udp same',
    ]);
  });

  it('prints what changed, by how much and how sure that is', () => {
    const text = comparisonText(
      compareResults(madeResult({ swap: { udp: FIVE } }), madeResult({ swap: { udp: times(1.5) } })),
    );
    expect(text).to.match(/swap udp +102 +153 +\+50\.0 % +p 0\.0079 +better/);
  });
});
