import { expect } from 'chai';
import { GOALS, judge, judgeAll } from '../../bench/support/goals.js';
import { MEASURES } from '../../bench/support/measures.js';
import { parseDeviceCounters } from '../../bench/support/process-cost.js';
import { parseResult, ratiosOf, resultText } from '../../bench/support/results.js';
import { costTable, figureTable, goalLine, ratioTable, report } from '../../bench/support/table.js';
import { TARGETS } from '../../bench/support/targets.js';
import { madeResult } from './support/made-result.js';

const goalOf = (target: string, measure: string) => {
  const goal = GOALS.find((one) => one.target === target && one.measure === measure);
  if (goal === undefined) throw new Error('no such goal');
  return goal;
};

const line = (result: ReturnType<typeof madeResult>, target: string, measure: string): string =>
  goalLine(result, judge(result, goalOf(target, measure)));

describe('goals of the benchmark', () => {
  it('name rows and columns there are, each only once', () => {
    const targets = TARGETS.map(({ name }) => name);
    const measures = MEASURES.map(({ name }) => name);
    for (const { target, measure, reference } of GOALS) {
      expect(targets).to.include(target);
      expect(measures).to.include(measure);
      if (reference !== undefined) expect(targets).to.include(reference);
    }
    const cells = GOALS.map(({ target, measure }) => `${target} ${measure}`);
    expect(new Set(cells).size).to.equal(cells.length);
  });

  it('are judged by the median of the ratios of each round, not the ratio of medians', () => {
    const result = madeResult({ raw: { in1: [10, 40, 90] }, relay: { in1: [10, 20, 100] } });
    expect(ratiosOf(result, 'in1', { of: 'raw', to: 'relay' })).to.deep.equal([1, 2, 0.9]);
    expect(line(result, 'raw', 'in1')).to.equal(
      'raw bulk in, 1 connection: 1.00 × relay (0.90…2.00), goal ≥ 0.95: met, close',
    );
  });

  it('are met or missed clearly where no round says otherwise', () => {
    const result = madeResult({ raw: { msg: [100, 110] }, c: { msg: [100, 100] } });
    expect(line(result, 'raw', 'msg')).to.match(/1\.05 × c \(1\.00…1\.10\), goal ≥ 1\.35: missed$/);
  });

  it('may be upper bounds, and figures without a reference', () => {
    const result = madeResult({ raw: { memory: [1.2], rtt: [8] }, lwip: { rtt: [10] } });
    expect(line(result, 'raw', 'memory')).to.equal(
      'raw memory per idle connection: 1.20 KiB, goal ≤ 1.5: met',
    );
    expect(line(result, 'raw', 'rtt')).to.match(/0\.80 × lwip, goal ≤ 1: met$/);
  });

  it('stay unknown without their reference', () => {
    const result = madeResult({ raw: { udp: [100] } });
    expect(line(result, 'raw', 'udp')).to.equal(
      'raw UDP 64 B echo, 64 in flight: not measured × swap, goal ≥ 0.8',
    );
  });

  it('are only those of what was asked for', () => {
    const outcomes = judgeAll(madeResult({ net: { udp: [2], conn: [1] }, node: { udp: [1], conn: [1] } }));
    expect(outcomes.map(({ goal }) => `${goal.target} ${goal.measure}`)).to.deep.equal([
      'net udp',
      'net conn',
    ]);
  });
});

describe('tables of the benchmark', () => {
  it('have the median of each cell and under it the least and the largest', () => {
    const lines = figureTable(madeResult({ raw: { in1: [1, 3, 2] }, c: { in1: [4, 4.5, 4.25] } })).split(
      '\n',
    );
    expect(lines.map((one) => one.trim().split(/\s+/))).to.deep.equal([
      ['in', '1'],
      ['Gbit/s'],
      ['raw', '2.00'],
      ['1.00…3.00'],
      ['c', '4.25'],
      ['4.00…4.50'],
    ]);
  });

  it('say how many times as good the first row is, also where less is better', () => {
    const text = ratioTable(madeResult({ raw: { udp: [300], rtt: [5] }, lwip: { udp: [100], rtt: [10] } }));
    expect(text).to.match(/lwip +3\.00 +2\.00/);
    expect(text).to.match(/the best neighbour +3\.00 +2\.00/);
  });

  it('take the best neighbour of each column by itself', () => {
    const text = ratioTable(
      madeResult({
        raw: { udp: [100], in1: [10] },
        lwip: { udp: [50], in1: [1] },
        gvisor: { udp: [10], in1: [20] },
      }),
    );
    expect(text).to.match(/the best neighbour +2\.00 +0\.50/);
  });

  it('show processor time per gigabyte for bulk and per packet for the rest', () => {
    const cost = { cpuSeconds: 0.5, packets: 100_000, bytes: 2e9, residentBytes: 2 ** 27 };
    const result = madeResult({ raw: { udp: [1], in1: [1] } });
    const samples = result.samples.map((sample) => ({ ...sample, cost }));
    expect(costTable({ ...result, samples })).to.match(/raw +5\.00 +0\.25 +128/);
  });

  it('show a dash where nothing was measured, say why a row is missing, and what failed', () => {
    const result = madeResult({ raw: { udp: [1], in1: [2] }, swap: { udp: [1] } });
    const text = report({
      ...result,
      targets: [
        ...result.targets,
        { name: 'lwip', title: 'lwIP', missing: 'needs lwIP: apt-get install liblwip-dev' },
      ],
      samples: [...result.samples, { target: 'raw', measure: 'udp', round: 1, error: 'it fell over' }],
    });
    expect(text).to.match(/swap +1\.0 +–/);
    expect(text).to.include('lwIP: needs lwIP: apt-get install liblwip-dev');
    expect(text).to.include('raw udp, round 2: it fell over');
  });
});

describe('results of the benchmark as JSON', () => {
  it('come back as they were', () => {
    const result = madeResult(
      { raw: { udp: [1.5, 2] } },
      {
        curves: [
          {
            name: 'x',
            title: 'X',
            source: 'TUN',
            xTitle: 'x',
            yTitle: 'y',
            logX: true,
            x: [1, 2],
            lines: [{ name: 'raw', y: [1, null] }],
          },
        ],
      },
    );
    expect(parseResult(resultText(result))).to.deep.equal(result);
  });

  it('are refused when they are something else', () => {
    expect(() => parseResult('{}')).to.throw('"format" is not "tunstack-bench-1"');
    expect(() => parseResult('{"format": "tunstack-bench-1"}')).to.throw('no "targets"');
    expect(() => parseResult('null')).to.throw('not a result');
  });

  it('counts packets and bytes of a device both ways', () => {
    const text = `Inter-|   Receive |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  tun0:   100       2    0    0    0     0          0         0      300       4    0    0    0     0       0          0
`;
    expect(parseDeviceCounters(text, 'tun0')).to.deep.equal({ bytes: 400, packets: 6 });
    expect(() => parseDeviceCounters(text, 'tun1')).to.throw('no device tun1');
  });
});
