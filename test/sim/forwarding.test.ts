/** Whole connections through a router of ours, in virtual time. */
import { expect } from 'chai';
import { createPipe } from '../../lib/link/pipe-device.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack } from '../../lib/stack/stack.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { RoutedWorld } from '../support/routed-world.js';

const BYTES = 400_000;
const PAYLOAD = new Uint8Array(8);

describe('through a router of ours', () => {
  for (const family of [4, 6] as const) {
    for (const [near, far] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ]) {
      const kinds = [near, far].map((offload) => (offload ? 'offloads' : 'none')).join(' to ');

      it(`every byte arrives, both ways, links with ${kinds}, IPv${family}`, () => {
        const world = new RoutedWorld({ family, near: { offload: near }, far: { offload: far } });
        expect(world.transfer({ bytes: BYTES, direction: 'both' })).to.equal(2 * BYTES);
        const { ip, drops } = world.router.stats;
        expect(drops.toJSON()).to.deep.equal({});
        expect(ip.outForwDatagrams).to.equal(ip.inForwDatagrams);
        expect(ip.inDelivers).to.equal(0);
        for (const { stats } of [world.client, world.server]) {
          expect([stats.tcp.retransSegs, stats.tcp.timeouts]).to.deep.equal([0, 0]);
        }
        world.close();
      });
    }

    it(`a narrower way behind it is found out at once, IPv${family}`, () => {
      for (const offload of [false, true]) {
        const world = new RoutedWorld({ family, near: { offload }, far: { offload }, routeMtu: 1300 });
        expect(world.transfer({ bytes: BYTES, direction: 'up' }), `offloads ${offload}`).to.equal(BYTES);
        expect(world.client.stats.tcp.timeouts).to.equal(0);
        expect(world.client.stats.icmp.inPktTooBigs).to.be.greaterThan(0);
        expect(world.router.stats.ip.inTooBigErrors).to.be.greaterThan(0);
        world.close();
      }
    });

    it(`nobody has to find out where the MSS is held down, IPv${family}`, () => {
      const world = new RoutedWorld({ family, routeMtu: 1300, router: { mssClamp: 'path' } });
      expect(world.transfer({ bytes: BYTES, direction: 'both' })).to.equal(2 * BYTES);
      expect(world.router.stats.ip).to.include({ inTooBigErrors: 0, mssClamped: 2 });
      expect(world.client.stats.icmp.inMsgs).to.equal(0);
      world.close();
    });

    it(`loss, reordering and delay on both sides are borne, IPv${family}`, () => {
      const bad = { loss: 0.02, delayMs: 10, reorder: { probability: 0.05, delayMs: 4 }, duplicate: 0.01 };
      for (let seed = 1; seed <= 10; seed++) {
        const side = { up: bad, down: bad };
        const world = new RoutedWorld({ seed, family, near: side, far: side });
        const done = world.transfer({ bytes: 100_000, direction: 'both', limitMs: 600_000 });
        expect(done, `seed ${seed}`).to.equal(200_000);
        world.close();
      }
    });
  }

  it('the loss of any single packet is borne', () => {
    for (let lost = 1; lost <= 40; lost++) {
      const world = new RoutedWorld({ far: { up: { drop: [lost] }, down: { drop: [lost] } } });
      expect(world.transfer({ bytes: 30_000 }), `packet ${lost}`).to.equal(30_000);
      world.close();
    }
  });

  it('the same seed gives the same packets', () => {
    const run = (): string[] => {
      const seen: string[] = [];
      const observe = (packet: Uint8Array, _number: number, arrivalUs: number): void => {
        seen.push(`${arrivalUs} ${Buffer.from(packet).toString('base64')}`);
      };
      const bad = { loss: 0.05, delayMs: 5, observe };
      const world = new RoutedWorld({ seed: 7, near: { up: bad, down: bad, mtu: 1500 }, routeMtu: 1290 });
      expect(world.transfer({ bytes: 60_000, direction: 'both' })).to.equal(120_000);
      world.close();
      return seen;
    };
    const first = run();
    expect(first.length).to.be.greaterThan(100);
    expect(run()).to.deep.equal(first);
  });

  it('pings tell who is how far away', () => {
    for (const [to, own] of [
      ['10.2.0.2', '10.1.0.1'],
      ['fd02::2', 'fd01::1'],
    ]) {
      const world = new RoutedWorld();
      const heard: string[] = [];
      world.client.ip.echo.add(77, {
        reply: (packet) => heard.push(`reply ${packet.source()}`),
        error: ({ reporter, type, code }) => heard.push(`${reporter.source()} ${type}/${code}`),
      });
      for (const hopLimit of [1, 2]) {
        const request = {
          destination: IpAddress.parse(to),
          identifier: 77,
          sequence: hopLimit,
          payload: PAYLOAD,
        };
        expect(world.client.ip.sendEchoRequest({ ...request, hopLimit })).to.equal('');
      }
      world.clock.advanceBy(1000);
      const expired = to.includes(':') ? '3/0' : '11/0';
      expect(heard).to.deep.equal([`${own} ${expired}`, `reply ${to}`]);
      world.close();
    }
  });

  it('a loop of two routers wears packets out, and one complaint comes of each', () => {
    const clock = new VirtualClock(1e9);
    const router = (seed: number): Stack =>
      new Stack({ clock, random: new SeededRandom(seed), ip: { forwarding: true } });
    const [a, b, host] = [router(1), router(2), router(3)];
    const [x, y] = createPipe({ clock });
    const [h, ha] = createPipe({ clock });
    host.addLink(h, { addresses: ['10.1.0.2/24'], defaultRoute: true });
    a.addLink(ha, { addresses: ['10.1.0.1/24'] });
    a.addLink(x, { addresses: ['10.5.0.1/24'], defaultRoute: true });
    b.addLink(y, { addresses: ['10.5.0.2/24'], defaultRoute: true });
    const request = {
      destination: IpAddress.parse('203.0.113.1'),
      identifier: 5,
      sequence: 1,
      payload: PAYLOAD,
    };
    expect(host.ip.sendEchoRequest(request)).to.equal('');
    expect(clock.runUntilIdle(10_000_000)).to.equal(true);
    const passed = a.stats.ip.outForwDatagrams + b.stats.ip.outForwDatagrams;
    // The complaint of b passes through a; the request ends where its last hop was used up.
    expect(passed - (a.stats.icmp.outTimeExcds === 1 ? 0 : 1)).to.equal(63);
    expect(a.stats.icmp.outTimeExcds + b.stats.icmp.outTimeExcds).to.equal(1);
    expect(host.stats.icmp.inTimeExcds).to.equal(1);
    for (const stack of [a, b, host]) stack.close();
  });

  it('links added with settings of their own have them', () => {
    const clock = new VirtualClock(1e9);
    const router = new Stack({ clock, random: new SeededRandom(1), ip: { forwarding: true } });
    const host = new Stack({ clock, random: new SeededRandom(2) });
    const [near, nearRouter] = createPipe({ clock });
    const [, farRouter] = createPipe({ clock });
    host.addLink(near, { addresses: ['10.1.0.2/24'], defaultRoute: true });
    router.addLink(nearRouter, { addresses: ['10.1.0.1/24'], ip: { forwarding: false } });
    router.addLink(farRouter, { addresses: ['10.2.0.1/24'] });
    const request = {
      destination: IpAddress.parse('10.2.0.2'),
      identifier: 5,
      sequence: 1,
      payload: PAYLOAD,
    };
    host.ip.sendEchoRequest(request);
    clock.advanceBy(1000);
    expect(router.stats.ip).to.include({ inAddrErrors: 1, inForwDatagrams: 0 });
    router.ip.setLinkOptions(1, { forwarding: true });
    host.ip.sendEchoRequest(request);
    clock.advanceBy(1000);
    expect(router.stats.ip).to.include({ inAddrErrors: 1, outForwDatagrams: 1 });
    for (const stack of [router, host]) stack.close();
  });
});
