import { expect } from 'chai';
import { PingStatistics, summaryLines } from '../../../lib/cli/ping/statistics.js';

describe('statistics of ping', () => {
  it('are those of iputils', () => {
    const statistics = new PingStatistics();
    statistics.transmitted = 4;
    statistics.duplicates = 1;
    statistics.errors = 1;
    for (const rttUs of [1000, 2000, 3000]) statistics.addReply(rttUs);
    expect(summaryLines('host', statistics.summary(3_004_400))).to.deep.equal([
      '--- host ping statistics ---',
      '4 packets transmitted, 3 received, +1 duplicates, +1 errors, 25% packet loss, time 3004ms',
      'rtt min/avg/max/mdev = 1.000/2.000/3.000/0.816 ms',
    ]);
  });

  it('have no times without a reply', () => {
    expect(summaryLines('host', new PingStatistics().summary(0))).to.deep.equal([
      '--- host ping statistics ---',
      '0 packets transmitted, 0 received, 0% packet loss, time 0ms',
    ]);
  });
});
