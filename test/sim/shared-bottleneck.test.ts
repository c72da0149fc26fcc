import { expect } from 'chai';
import { jainIndex } from '../../bench/goodput/fairness.js';
import { Flow } from '../../bench/goodput/flow.js';
import { SharedBottleneck } from '../../lib/sim/shared-bottleneck.js';

describe('SharedBottleneck', () => {
  for (const family of [4, 6] as const) {
    it(`lets stacks reach one server, each from its own distance, over IPv${family}`, () => {
      const distancesMs = [0, 10, 50];
      const net = new SharedBottleneck({
        family,
        superPackets: family === 6,
        clients: distancesMs.map((delayMs) => ({ delayMs })),
        upstream: { rateBps: 30e6 },
        downstream: { delayMs: 5 },
      });
      const flows = net.clients.map(
        (from, i) => new Flow({ from, to: net.server, address: net.serverAddress, port: 5000 + i }),
      );
      net.clock.advanceBy(2e6);
      const total = flows.reduce((sum, flow) => sum + flow.receivedBytes, 0);
      for (const flow of flows) expect(flow.receivedBytes).to.be.above(50_000);
      // Never more than the shared wire carries, and not much less.
      expect(total).to.be.within((20e6 * 2) / 8, (30e6 * 2) / 8);
      expect(flows[2].rttUs - flows[0].rttUs).to.be.within(50_000, 150_000);
      net.close();
    });
  }

  it('drops what is for nobody', () => {
    const net = new SharedBottleneck({ clients: [{}] });
    net.server.connectTcp({ address: '10.0.0.99', port: 1 });
    net.clock.advanceBy(1e6);
    expect(net.link.outgoing.counters.delivered).to.be.above(0);
    expect(net.clients[0].stats.ip.inReceives).to.equal(0);
    net.close();
  });

  it('refuses to be without clients', () => {
    expect(() => new SharedBottleneck({ clients: [] })).to.throw(RangeError);
  });
});

describe('Jain’s index', () => {
  it('is 1 for equal shares and 1/n when one has all', () => {
    expect(jainIndex([3, 3, 3])).to.be.closeTo(1, 1e-12);
    expect(jainIndex([5, 0, 0, 0])).to.equal(0.25);
    expect(jainIndex([0, 0])).to.equal(0);
  });
});
