/** Paths that drop what is too large without a word (RFC 2923 §2.1), and what probes find there (RFC 4821). */
import { expect } from 'chai';
import { TcpStats } from '../../lib/base/stats.js';
import { Simulation, type SimulationOptions } from '../../lib/sim/simulation.js';
import type { TcpOptions } from '../../lib/tcp/options.js';

const PATH = { delayMs: 10, rateBps: 50e6, queueBytes: 200_000 };

interface Outcome {
  readonly received: number;
  readonly mssBytes: number;
  readonly seconds: number;
  readonly stats: Simulation['client']['stats']['tcp'];
}

/** Sends so many bytes over a path that takes packets of `mtu` bytes. */
function send(
  bytes: number,
  mtu: number,
  connection: Partial<TcpOptions>,
  more: SimulationOptions = {},
): Outcome {
  const net = new Simulation({
    seed: 3,
    upstream: { ...PATH, mtu },
    downstream: PATH,
    client: { tcp: { connection } },
    ...more,
  });
  const transfer = net.start({ bytes });
  net.clock.runUntil(() => transfer.isOver, 60e6);
  const { mssBytes } = transfer.clientEndpoint.connection.sender;
  const outcome = {
    received: transfer.isIntact ? transfer.receivedBytes : -1,
    mssBytes,
    seconds: transfer.durationUs / 1e6,
    stats: Object.assign(new TcpStats(), net.client.stats.tcp),
  };
  net.close();
  return outcome;
}

describe('a path that drops what is too large without a word', () => {
  for (const family of [4, 6] as const) {
    const headers = (family === 4 ? 40 : 60) + 12;

    it(`is found out by time-outs, and carries all there is, IPv${family} [PMTU-14 PMTU-10]`, () => {
      for (const mtu of [1499, 1420, 1281]) {
        const { received, mssBytes, stats } = send(2_000_000, mtu, {}, { family });
        expect(received, `MTU ${mtu}`).to.equal(2_000_000);
        expect(mssBytes, `MTU ${mtu}`).to.be.within(mtu - headers - 8, mtu - headers);
        // The three that it takes to notice; what probes lose costs none.
        expect(stats.timeouts, `MTU ${mtu}`).to.equal(3);
        expect(stats.mtuBlackHoles).to.equal(1);
      }
    });

    it(`stays a black hole for those who do not look for one, IPv${family} [PMTU-14]`, () => {
      expect(send(100_000, 1400, { mtuProbing: 'off' }, { family }).received).to.equal(0);
      expect(send(900, 1400, { mtuProbing: 'off' }, { family }).received, 'small segments pass').to.equal(
        900,
      );
    });

    it(`is searched from the start by those who always do, without a time-out, IPv${family} [PMTU-10]`, () => {
      for (const [mtu, more] of [
        [1500, {}],
        [1420, {}],
        [1300, { rack: false }],
        [1420, { sack: false }],
      ] as const) {
        const what = `MTU ${mtu} ${JSON.stringify(more)}`;
        const options = { mtuProbing: 'always', ...more } as const;
        const { received, mssBytes, stats } = send(8_000_000, mtu, options, { family });
        expect(received, what).to.equal(8_000_000);
        expect(mssBytes, what).to.be.within(mtu - headers - 8, mtu - headers);
        expect(stats.mtuProbeSuccess, what).to.be.above(0);
        // Without SACK or RACK what the queue loses twice at the end of slow start may cost one.
        if (Object.keys(more).length === 0) expect(stats.timeouts, what).to.equal(0);
      }
    });
  }

  it('may be narrower still: over IPv4, down to the smallest packets that carry anything [PMTU-14]', () => {
    for (const mtu of [1000, 600, 300]) {
      // The answers of the peer, which are small, come through: the path is alive.
      const chatty = { downstream: PATH, upstream: { ...PATH, mtu } };
      const net = new Simulation({ seed: 3, ...chatty });
      const transfer = net.start({ bytes: 30_000, direction: 'both', writeBytes: 100 });
      net.clock.runUntil(() => transfer.isOver, 600e6);
      expect([transfer.isIntact, transfer.receivedBytes], `MTU ${mtu}`).to.deep.equal([true, 60_000]);
      expect(transfer.clientEndpoint.connection.sender.mssBytes).to.be.at.most(mtu - 52);
      net.close();
    }
  });

  it('may come and go while a connection lives [PMTU-14 PMTU-10]', () => {
    let mtu = 1500;
    const upstream = { ...PATH, dropIf: (packet: Uint8Array) => packet.length > mtu };
    const net = new Simulation({ seed: 5, upstream, downstream: PATH });
    const transfer = net.start({ bytes: 60_000_000 });
    const { sender } = transfer.clientEndpoint.connection;
    const until = (seconds: number): void => void net.clock.runUntil(() => false, seconds * 1e6);
    until(1);
    expect(sender.mssBytes).to.equal(1448);
    mtu = 1350;
    until(5);
    expect(sender.mssBytes).to.be.within(1290, 1298);
    mtu = 1200;
    until(5);
    expect(sender.mssBytes).to.be.within(1140, 1148);
    expect(net.client.stats.tcp.mtuBlackHoles).to.equal(2);
    net.close();
  });

  it('is searched again ten minutes after a search, when it may have become wider [PMTU-10]', () => {
    let mtu = 1300;
    const small = (packet: Uint8Array): boolean => packet.length <= mtu;
    const upstream = { delayMs: 10, rateBps: 1e6, queueBytes: 20_000, dropIf: (p: Uint8Array) => !small(p) };
    const net = new Simulation({ seed: 5, upstream, downstream: PATH });
    const transfer = net.start({ bytes: 400_000_000 });
    const { sender } = transfer.clientEndpoint.connection;
    const until = (seconds: number): void => void net.clock.runUntil(() => false, seconds * 1e6);
    until(30);
    expect(sender.mssBytes).to.be.within(1240, 1248);
    mtu = 1500;
    until(550);
    expect(sender.mssBytes, 'not yet').to.be.within(1240, 1248);
    until(60);
    expect(sender.mssBytes).to.equal(1448);
    net.close();
  });

  it('costs congestion control nothing to be searched [PMTU-10]', () => {
    const free = send(20_000_000, 1500, { mtuProbing: 'off', maxSegmentBytes: 1300 });
    const searched = send(20_000_000, 1352, { mtuProbing: 'always' });
    expect(searched.stats.mtuProbeFail).to.be.above(1);
    expect(searched.seconds / free.seconds).to.be.below(1.08);
  });

  it('is not suspected of an outage for longer than it lasts', () => {
    let isDown = false;
    const upstream = { ...PATH, dropIf: () => isDown };
    const net = new Simulation({ seed: 9, upstream, downstream: PATH });
    const transfer = net.start({ bytes: 60_000_000 });
    const { sender } = transfer.clientEndpoint.connection;
    const until = (seconds: number): void => void net.clock.runUntil(() => false, seconds * 1e6);
    until(1);
    isDown = true;
    until(10);
    expect(sender.mssBytes).to.equal(1012 + 12);
    isDown = false;
    until(10);
    expect(sender.mssBytes).to.equal(1448);
    expect(net.client.stats.tcp).to.include({ mtuProbeFail: 0, mtuBlackHoles: 1 });
    net.close();
  });
});
