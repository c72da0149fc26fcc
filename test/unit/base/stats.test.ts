import { expect } from 'chai';
import { DropReason, dropReasonName, StackStats } from '../../../lib/base/stats.js';

describe('counters', () => {
  it('count each reason of a drop apart, under its name [MAR-8]', () => {
    const stats = new StackStats();
    stats.drop(DropReason.IpMartianSource);
    stats.drop(DropReason.IpMartianSource);
    stats.drop(DropReason.UdpChecksum);
    expect(stats.drops.count(DropReason.IpMartianSource)).to.equal(2);
    expect(stats.drops.count(DropReason.IpChecksum)).to.equal(0);
    expect(stats.drops.last).to.equal(DropReason.UdpChecksum);
    expect(stats.drops.toJSON()).to.deep.equal({ IpMartianSource: 2, UdpChecksum: 1 });
    expect(JSON.parse(JSON.stringify(stats)).drops).to.deep.equal({ IpMartianSource: 2, UdpChecksum: 1 });
  });

  it('have a number and a name of its own for every reason, and room for all', () => {
    const numbers = Object.values(DropReason);
    expect(new Set(numbers).size).to.equal(numbers.length);
    const stats = new StackStats();
    for (const [name, number] of Object.entries(DropReason)) {
      expect(dropReasonName(number)).to.equal(name);
      if (number === DropReason.None) continue;
      stats.drop(number);
      expect(stats.drops.count(number), name).to.equal(1);
    }
    expect(Object.keys(stats.drops.toJSON())).to.have.length(numbers.length - 1);
    expect(dropReasonName(9999)).to.equal('Reason9999');
  });

  it('start at zero and are exact far beyond 32 bits [G13]', () => {
    const stats = new StackStats();
    for (const group of [stats.ip, stats.icmp, stats.udp, stats.tcp]) {
      for (const [name, value] of Object.entries(group)) expect(value, name).to.equal(0);
    }
    stats.ip.inReceives = 2 ** 52;
    stats.ip.inReceives++;
    expect(stats.ip.inReceives).to.equal(4_503_599_627_370_497);
  });
});
