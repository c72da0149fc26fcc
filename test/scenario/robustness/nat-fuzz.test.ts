/** Any bytes at all, from both sides of a translator that stands beside listeners for any address: nothing is thrown or left. */
import { expect } from 'chai';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { icmp4, udp, v4 } from '../../support/ip-wire.js';
import {
  HOST,
  HOST_2,
  HOST_6,
  NatWorld,
  OUTSIDE,
  OUTSIDE_6,
  PEER,
  PEER_2,
  PEER_6,
  place,
  tcpPacket,
  udpPacket,
} from '../../support/nat-world.js';

const SEED = Number(process.env.SIM_SEED ?? 7);
const PACKETS = 15_000;
const FLAGS = ['S', 'S.', '.', 'F.', 'R', 'R.', 'P.', '', 'SF'];
const FOUR = [
  HOST,
  HOST_2,
  OUTSIDE,
  PEER,
  PEER_2,
  '192.0.2.9',
  '192.168.0.1',
  '255.255.255.255',
  '224.0.0.9',
];
const SIX = [HOST_6, OUTSIDE_6, PEER_6, 'fd00::1', '::7:8:9:a', 'fe80::5', 'ff02::1'];
const PORTS = [53, 80, 5000, 5001, 8080, 8081, 40_000];

const IP_FAULT = /IPv4|length|MTU|TTL|hop limit|version|cut off|empty|unfinished/;

class Dice {
  readonly #random = new SeededRandom(SEED);

  below(limit: number): number {
    return this.#random.uint32() % limit;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }
}

describe('a translator, sent anything', function () {
  this.timeout(60_000);
  this.slow(20_000);

  it(`throws nothing, keeps its books, and forgets everything (SIM_SEED=${SEED}) [C1]`, () => {
    const dice = new Dice();
    const world = new NatWorld({
      families: [4, 6],
      maxSessions: 60,
      maxMappings: 40,
      maxSessionsPerSource: 30,
      filtering: dice.of(['endpoint-independent', 'address-dependent', 'address-and-port-dependent']),
      unsolicitedSyn: dice.of(['unreachable', 'drop', 'accept']),
    });
    const { stack, nat } = world;
    stack.listenAnyTcp({ ports: [80], maxPending: 20 }, (request) => {
      const end = dice.below(4);
      if (end === 0) request.accept().close();
      else if (end === 1) request.reject();
      else if (end === 2) request.ignore();
    });
    stack.listenAnyEcho({});
    for (const outsidePort of [8080, 8081]) {
      nat.forward({ protocol: 'tcp', outsidePort, insideAddress: HOST, insidePort: 80 });
      nat.forward({ protocol: 'udp', outsidePort, insideAddress: HOST, insidePort: 53 });
    }
    for (let i = 0; i < PACKETS; i++) {
      const wire = dice.below(2) === 0 ? world.inside : world.outside;
      wire.inject(packets(dice).map((bytes) => damaged(dice, bytes)));
      if (i % 50 === 49) world.pass(dice.of([0, 10, 1000, 7000]));
      const { mappings, sessions } = nat.stats;
      expect(world.sessions, 'sessions').to.equal(sessions);
      expect(mappings).to.be.at.most(Math.min(40, sessions));
      expect(sessions).to.be.at.most(60);
    }
    expect(nat.stats.translatedOut, 'what got through').to.be.above(100);
    expect(nat.stats.translatedIn).to.be.above(20);
    // Segments that came damaged stay so: of IP the router answers for all.
    const faults = [...world.inside.faults, ...world.outside.faults].filter((fault) => IP_FAULT.test(fault));
    expect(faults).to.deep.equal([]);
    world.pass(8_000_000);
    expect(nat.stats).to.include({ mappings: 0, sessions: 0 });
    expect(stack.stats.ip.reasmBytes).to.equal(0);
    expect(stack.tcp.connections).to.equal(0);
    world.close();
    expect(world.clock.pending).to.equal(0);
  });
});

function packets(dice: Dice): Uint8Array[] {
  const addresses = dice.below(4) === 0 ? SIX : FOUR;
  const from = place(dice.of(addresses), dice.of(PORTS));
  const to = place(dice.of(addresses), dice.of(PORTS));
  switch (dice.below(6)) {
    case 0:
    case 1:
      return [udpPacket(from, to)];
    case 2: {
      const quote = dice.below(2) === 0 ? udpPacket(to, from) : tcpPacket(to, from, 'S');
      if (addresses === SIX) return [quote];
      const payload = icmp4(dice.of([3, 11, 12]), dice.below(5), 0, quote);
      return [v4({ from: from.address, to: to.address, protocol: 1, payload })];
    }
    case 3: {
      if (addresses === SIX) return [udpPacket(from, to)];
      const payload = udp(from.address, to.address, new Uint8Array(100), [from.port, to.port]);
      const whole = { from: from.address, to: to.address, protocol: 17, id: dice.below(8) };
      return [
        v4({ ...whole, payload: payload.slice(0, 64), more: true }),
        v4({ ...whole, payload: payload.slice(64), offset: 64 }),
      ];
    }
    default:
      return [tcpPacket(from, to, dice.of(FLAGS))];
  }
}

/** One in four is damaged somewhere, or cut short. */
function damaged(dice: Dice, bytes: Uint8Array): Uint8Array {
  const kind = dice.below(8);
  if (kind === 0) bytes[dice.below(bytes.length)] = dice.below(256);
  return kind === 1 ? bytes.subarray(0, dice.below(bytes.length + 1)) : bytes;
}
