/** What a translator does at its limits, with floods, and with options that cannot be. */
import { expect } from 'chai';
import { Nat } from '../../../lib/nat/nat.js';
import { newPortSet, PortPool } from '../../../lib/nat/port-pool.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { Stack } from '../../../lib/stack/stack.js';
import { bytesOf, v4 } from '../../support/ip-wire.js';
import {
  HOST,
  HOST_2,
  NatWorld,
  type NatWorldOptions,
  OUTSIDE,
  only,
  PEER,
  place,
  tcpPacket,
  udpPacket,
} from '../../support/nat-world.js';

/** Nobody else has ports. */
const NOBODY = { kept: newPortSet(), isFree: () => true };

describe('NAT limits', function () {
  this.timeout(60_000);
  this.slow(5000);

  let world: NatWorld;

  const begin = (options: NatWorldOptions = {}): void => {
    world = new NatWorld(options);
  };

  /** One more flow of a host. @returns whether it got through */
  const flow = (port: number, host = HOST): boolean =>
    world.out(udpPacket(place(host, port), place(PEER, 53))).length === 1;

  afterEach(() => {
    world.close();
    expect(world.clock.pending).to.equal(0);
  });

  /** One of many hosts inside. */
  const host = (i: number): string => `192.168.0.${10 + i}`;

  /** Flows a host gets, one after the other, until it is refused one. */
  const takeAll = (from: string): number => {
    let count = 0;
    while (flow(2000 + count, from)) count++;
    return count;
  };

  for (const limit of ['maxSessions', 'maxMappings'] as const) {
    it(`${limit}: one below, at and above [NL-1]`, () => {
      begin({ [limit]: 20 });
      for (let i = 0; i < 20; i++) expect(flow(1000, host(i)), `flow ${i + 1}`).to.equal(true);
      expect(flow(1000, host(20)), 'one too many').to.equal(false);
      expect(flow(1000, host(0)), 'those that are there go on').to.equal(true);
      const { sessions, mappings, sessionsRefused, mappingsRefused } = world.nat.stats;
      expect([sessions, mappings]).to.deep.equal([20, 20]);
      expect(sessionsRefused + mappingsRefused).to.equal(1);
    });

    it(`${limit}: leaves room for others, however many hosts take all they get [NL-9]`, () => {
      begin({ [limit]: 64 });
      expect([0, 1, 2, 3, 4].map((i) => takeAll(host(i)))).to.deep.equal([32, 16, 8, 4, 2]);
      expect(flow(1000, host(5)), 'the next').to.equal(true);
    });

    it(`${limit}: gives hosts that take turns the same [NL-9]`, () => {
      begin({ [limit]: 60 });
      let taken = 0;
      while (flow(1000 + taken, host(taken % 2))) taken++;
      expect(taken).to.equal(40);
      expect(takeAll(host(2)), 'and as much to who comes then').to.equal(10);
    });

    it(`${limit}: a host makes room for those that have less, not for those that have more [NL-9]`, () => {
      begin({ [limit]: 12 });
      expect([0, 1, 2, 3].map((i) => takeAll(host(i)))).to.deep.equal([6, 3, 2, 1]);
      world.pass(3000);
      // Those of the second host stay fresh; the others are due to give way.
      for (let i = 0; i < 3; i++) flow(2000 + i, host(1));
      world.pass(3001);
      for (let i = 0; i < 3; i++) flow(2000 + i, host(1));
      world.takeInside();
      expect(flow(3000, host(3)), 'one of those with as much or more').to.equal(true);
      const before = world.nat.stats.sessionsEvicted;
      expect(flow(3000, host(0)), 'one of its own').to.equal(true);
      expect(world.nat.stats.sessionsEvicted).to.equal(before + 1);
      for (let i = 0; i < 3; i++) expect(flow(2000 + i, host(1)), 'still there').to.equal(true);
    });
  }

  for (const limit of ['maxSessionsPerSource', 'maxMappingsPerSource'] as const) {
    it(`${limit}: one below, at and above (RFC 6888 §3 REQ-4) [NL-1]`, () => {
      begin({ [limit]: 20 });
      for (let i = 0; i < 20; i++) expect(flow(1000 + i), `flow ${i + 1}`).to.equal(true);
      expect(flow(1020), 'one too many').to.equal(false);
      expect(flow(1000), 'those that are there go on').to.equal(true);
      expect(flow(1000, HOST_2), 'another host').to.equal(true);
      const other = world.out(udpPacket(place(HOST, 1000), place(PEER, 54)));
      expect(other, 'another session of a mapping').to.have.length(limit === 'maxMappingsPerSource' ? 1 : 0);
      world.pass(6001);
      expect(flow(1020), 'in place of one of its own').to.equal(true);
      expect(world.nat.stats.sessionsEvicted).to.equal(1);
    });
  }

  it('leaves a port forward its mapping, whatever else its host has', () => {
    begin({ maxMappingsPerSource: 5 });
    world.nat.forward({ protocol: 'udp', outsidePort: 53, insideAddress: HOST });
    expect(takeAll(HOST)).to.equal(5);
    world.takeInside();
    only(world.in(udpPacket(place(PEER, 1000), place(OUTSIDE, 53))));
    expect(only(world.out(udpPacket(place(HOST, 53), place(PEER, 1000)))).from.port).to.equal(53);
  });

  it('gives the place of a flow that was never answered to another, after a while [NL-3]', () => {
    begin({ maxSessions: 10 });
    for (let i = 0; i < 10; i++) flow(1000 + i, host(i));
    only(world.in(udpPacket(place(PEER, 53), place(OUTSIDE, 1000))));
    expect(flow(2000, host(10))).to.equal(false);
    world.pass(6001);
    for (let i = 0; i < 9; i++) expect(flow(2000 + i, host(10 + i))).to.equal(true);
    expect(flow(3000, host(20))).to.equal(false);
    expect(world.takeInside(), 'refusals').to.have.length(2);
    only(world.in(udpPacket(place(PEER, 53), place(OUTSIDE, 1000))));
    expect(world.nat.stats.sessionsEvicted).to.equal(9);
  });

  it('gives the place of a connection that has ended to another at once, and never that of a living one [NL-3]', () => {
    begin({ maxSessions: 2 });
    const server = place(PEER, 80);
    for (const [i, port] of [1000, 1001].entries()) {
      world.out(tcpPacket(place(host(i), port), server, 'S'));
      world.in(tcpPacket(server, place(OUTSIDE, port), 'S.'));
      world.out(tcpPacket(place(host(i), port), server, '.'));
    }
    world.pass(3_600_000);
    expect(world.out(tcpPacket(place(HOST, 1002), server, 'S'))).to.be.empty;
    world.in(tcpPacket(server, place(OUTSIDE, 1001), 'R'));
    only(world.out(tcpPacket(place(HOST, 1002), server, 'S')));
    only(world.in(tcpPacket(server, place(OUTSIDE, 1000), '.')));
    expect(world.nat.stats.sessionsEvicted).to.equal(1);
  });

  it('refuses a flow when all ports are taken, and takes any of them again [NL-4]', () => {
    begin({ ports: [2000, 2009] });
    const seen = new Set<number>();
    for (let i = 0; i < 10; i++) {
      seen.add(only(world.out(udpPacket(place(HOST, 40_000 + i), place(PEER, 53)))).from.port);
    }
    expect(seen.size).to.equal(10);
    expect(flow(50_000)).to.equal(false);
    expect(world.nat.stats.mappingsRefused).to.equal(1);
    world.pass(300_001);
    expect(flow(50_000)).to.equal(true);
  });

  it('needs no state for a flood from outside [NL-2]', () => {
    begin();
    world.nat.forward({ protocol: 'tcp', outsidePort: 80, insideAddress: HOST });
    world.nat.forward({ protocol: 'udp', outsidePort: 53, insideAddress: HOST });
    flow(5000);
    for (let i = 0; i < 3000; i++) {
      const from = place(`10.${i >> 8}.${i & 255}.1`, 1000 + i);
      world.outside.inject([
        tcpPacket(from, place(OUTSIDE, 80), 'S'),
        udpPacket(from, place(OUTSIDE, 53)),
        udpPacket(from, place(OUTSIDE, 5000)),
        tcpPacket(from, place(OUTSIDE, 5001), 'S'),
      ]);
      world.takeInside();
    }
    expect(world.nat.stats).to.include({ sessions: 1, mappings: 1, synsHeld: 256 });
    expect(flow(5001)).to.equal(true);
  });

  it('holds ten thousand flows, and lets go of all [NL-6]', () => {
    begin();
    for (let i = 0; i < 10_000; i++) {
      const host = `192.168.0.${2 + (i % 250)}`;
      only(world.out(udpPacket(place(host, 1024 + Math.floor(i / 250)), place(PEER, 53))));
    }
    expect(world.nat.stats.sessions).to.equal(10_000);
    world.pass(300_001);
    expect(world.nat.stats).to.include({ sessions: 0, mappings: 0, sessionsExpired: 10_000 });
    expect([...world.nat.sessions()]).to.deep.equal([]);
  });

  it('lets go of ten thousand connections, whatever state they are reset in [NL-6]', () => {
    begin();
    const random = new SeededRandom(11);
    const below = (bound: number): number => random.uint32() % bound;
    const server = place(PEER, 80);
    for (let i = 0; i < 10_000; i++) {
      const client = place(`192.168.0.${2 + (i % 200)}`, 2000 + Math.floor(i / 200));
      const { from } = only(world.out(tcpPacket(client, server, 'S')));
      const steps: readonly [out: boolean, flags: string][] = [
        [false, 'S.'],
        [true, '.'],
        [true, 'P.'],
        [false, 'F.'],
        [true, 'F.'],
        [false, '.'],
      ];
      for (const [out, flags] of steps.slice(0, below(7))) {
        only(out ? world.out(tcpPacket(client, server, flags)) : world.in(tcpPacket(server, from, flags)));
      }
      if (below(3) === 0) world.in(tcpPacket(server, from, 'R'));
      if (below(3) === 0) world.out(tcpPacket(client, server, 'R.'));
    }
    expect(world.nat.stats).to.include({ sessions: 10_000, sessionsRefused: 0 });
    world.pass(7_440_001);
    expect(world.nat.stats).to.include({ sessions: 0, mappings: 0 });
  });

  it('drops headers that are cut short, and damaged ones it is told of', () => {
    begin();
    const short = v4({ from: HOST, to: PEER, protocol: 17, payload: bytesOf([1, 2, 3]) });
    expect(world.out(short)).to.be.empty;
    const packet = udpPacket(place(HOST, 1), place(PEER, 2));
    expect(world.outAs(packet, { checksum: 2 })).to.be.empty;
    expect(world.nat.stats.malformed).to.equal(2);
  });

  it('lets nothing without ports leave with an address of the inside [NL-7]', () => {
    begin();
    expect(world.out(v4({ from: HOST, to: PEER, protocol: 47, payload: bytesOf([1, 2, 3]) }))).to.be.empty;
    expect(world.nat.stats.unsupported).to.equal(1);
    expect(world.takeInside(), 'and says so').to.have.length(1);
  });

  it('is one for a stack, and leaves the stack as it was', () => {
    begin();
    const { stack } = world;
    expect(() => new Nat({ stack, outside: 2 })).to.throw('EBUSY');
    flow(5000);
    world.nat.close();
    world.nat.close();
    expect(world.nat.isClosed).to.equal(true);
    expect(() => world.nat.forward({ protocol: 'tcp', outsidePort: 1, insideAddress: HOST })).to.throw(
      'ENETDOWN',
    );
    expect(only(world.out(udpPacket(place(HOST, 5000), place(PEER, 53)))).from.address).to.equal(HOST);
    new Nat({ stack, outside: 'outside' }).close();
  });

  it('refuses options that cannot be', () => {
    begin();
    const { stack } = world;
    const make = (options: object) => () => new Nat({ stack, outside: 2, ...options });
    world.nat.close();
    for (const wrong of [
      { outside: 0 },
      { outside: 9 },
      { outside: 'nowhere' },
      { udpMs: 10 },
      { udpMs: '300000' },
      { ports: [1, 2] },
      { ports: [3000, 2000] },
      { ports: 3000 },
      { filtering: 'none' },
      { families: [5] },
      { inside: ['10.0.0.0/33'] },
      { addresses: ['0.0.0.0'] },
      { addresses: '198.51.100.1' },
      { unsolicitedSynMs: 5999 },
      { maxSession: 5 },
      { stack: undefined },
    ]) {
      expect(make(wrong), JSON.stringify(wrong)).to.throw(/./);
    }
    const closed = new Stack({ clock: world.clock, random: new SeededRandom(2) });
    closed.close();
    expect(() => new Nat({ stack: closed, outside: 1 })).to.throw(/./);
  });
});

describe('a pool of ports', function () {
  this.timeout(20_000);
  this.slow(3000);

  it('gives every port of its range once, whatever is wanted', () => {
    const pool = new PortPool(new SeededRandom(3), [1024, 65_535], true);
    const seen = new Set<number>();
    for (let i = 0; i < 65_535 - 1023; i++) {
      const port = pool.choose(1024 + (i % 7), NOBODY);
      expect(seen.has(port)).to.equal(false);
      seen.add(port);
      pool.use(port);
    }
    expect(pool.choose(2000, NOBODY)).to.equal(-1);
    pool.release(33_333);
    expect(pool.choose(2000, NOBODY)).to.equal(33_333);
  });

  it('asks nobody about ports that are kept', () => {
    const pool = new PortPool(new SeededRandom(3), [1024, 65_535], true);
    const kept = newPortSet().fill(-1);
    kept[40_000 >>> 5] = ~(1 << (40_000 & 31));
    const asked: number[] = [];
    const isFree = (port: number): boolean => asked.push(port) > 0;
    expect(pool.choose(5000, { kept, isFree })).to.equal(40_000);
    expect(asked).to.deep.equal([40_000]);
    kept.fill(-1);
    expect(pool.choose(5000, { kept, isFree })).to.equal(-1);
    expect(asked).to.deep.equal([40_000]);
  });

  it('gives one above 1023 where all below are taken (RFC 4787 §4.2.1 REQ-3 a recommends, no more) [NU-3]', () => {
    const pool = new PortPool(new SeededRandom(3), [2000, 2001], true);
    for (let port = 1; port < 1024; port++) pool.use(port);
    expect(pool.choose(500, NOBODY)).to.equal(2000);
    pool.release(7);
    expect(pool.choose(500, NOBODY)).to.equal(7);
  });

  it('chooses by chance, evenly (RFC 6056 §3.3.1)', () => {
    const pool = new PortPool(new SeededRandom(4), [1024, 65_535], true);
    pool.use(2000);
    const quarters = [0, 0, 0, 0];
    for (let i = 0; i < 4000; i++) {
      const port = pool.choose(2000, NOBODY);
      expect(port % 2).to.equal(0);
      quarters[Math.floor(((port - 1024) / 64_512) * 4)]++;
    }
    for (const count of quarters) expect(count).to.be.within(850, 1150);
  });
});
