/**
 * Packets nobody sends on purpose. Each lies in memory that ends where it ends, so that reading one byte
 * too far is an error; whatever is sent in answer must be right; nothing must be left behind.
 *
 * SIM_SEED repeats a failing run.
 */
import { expect } from 'chai';
import type { StackStats } from '../../../lib/base/stats.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { IpPeer } from '../../support/ip-peer.js';
import {
  bytesOf,
  fragmentHeader,
  icmp4,
  icmp6,
  optionsHeader,
  pattern,
  read,
  readIcmp,
  routingHeader,
  tcp,
  udp,
  v4,
  v6,
} from '../../support/ip-wire.js';

const SEED = Number(process.env.SIM_SEED ?? 20_260_101);
const HOSTS6 = ['2001:db8::2', '2001:db8::1'] as const;

class Dice {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  /** 0 .. bound - 1. */
  below(bound: number): number {
    return this.#random.uint32() % bound;
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#random.uint32() >>> 24);
  }
}

/** A host with everything switched on that reads more of a packet. */
const host = (seed: number): IpPeer =>
  new IpPeer({
    seed,
    options: {
      echoBroadcast: true,
      acceptRedirects: true,
      icmpDestinationMs: 0,
      icmpErrorsPerSecond: 1_000_000,
      icmpErrorBurst: 1_000_000,
    },
  });

/** Everything a peer sent is a right packet, small enough, and no answer to an answer. */
function checkSent(peer: IpPeer, name: string): void {
  for (const { bytes } of peer.port.queue.splice(0)) {
    const seen = read(bytes);
    expect(bytes.length, name).to.be.at.most(1500);
    expect(seen.to, name).to.match(/^(10\.|2001:db8:|[0-9a-f:.]+$)/);
    if (seen.more || seen.offset > 0) continue;
    const { type, data } = readIcmp(bytes);
    if (seen.version === 4 && type !== 0) expect(data.length, name).to.be.at.most(548);
    if (seen.version === 6 && type !== 129) expect(bytes.length, name).to.be.at.most(1280);
  }
  peer.loopback.queue.length = 0;
}

/** Runs `count` packets through one host. */
function run(seed: number, count: number, make: (dice: Dice) => Uint8Array): StackStats {
  const dice = new Dice(seed);
  const peer = host(seed);
  const errors: number[] = [];
  peer.ip.echo.add(7, { reply: () => {}, error: ({ quote }) => errors.push(quote.payloadBytes) });
  // What a transport may rely on: its bytes are there.
  for (const transport of [peer.udp, peer.tcp]) {
    transport.onPacket = (packet) => {
      expect(packet.payloadAt + packet.payloadBytes).to.be.at.most(packet.at + packet.length);
      expect(packet.payloadBytes).to.be.at.least(0);
    };
    transport.onError = ({ quote }) => {
      expect(quote.payloadBytes).to.be.at.least(8);
      quote.view.getUint8(quote.payloadAt + quote.payloadBytes - 1);
    };
  }
  for (let i = 0; i < count; i++) {
    const packet = make(dice);
    const name = `SIM_SEED=${SEED} packet ${i}: ${Buffer.from(packet).toString('hex')}`;
    try {
      peer.receive(packet);
    } catch (error) {
      throw new Error(name, { cause: error });
    }
    checkSent(peer, name);
    peer.udp.packets.length = 0;
    peer.tcp.packets.length = 0;
    peer.udp.errors.length = 0;
    peer.tcp.errors.length = 0;
    if (dice.chance(200)) peer.advanceMs(5000);
  }
  peer.advanceMs(1_000_000);
  checkSent(peer, 'at the end');
  expect(peer.stats.ip.reasmBytes, 'memory').to.equal(0);
  expect(peer.ip.nextDeadlineUs).to.equal(Number.POSITIVE_INFINITY);
  return peer.stats;
}

/** Breaks a packet: bits, length fields, its end. */
function broken(dice: Dice, packet: Uint8Array): Uint8Array {
  let bytes: Uint8Array = packet.slice();
  const ways = dice.below(4);
  for (let i = 0; i < ways; i++) {
    const way = dice.below(4);
    if (way === 0) bytes[dice.below(bytes.length)] ^= 1 << dice.below(8);
    else if (way === 1)
      bytes[dice.below(Math.min(bytes.length, 64))] = dice.pick([0, 1, 7, 0x7f, 0x80, 0xff]);
    else if (way === 2) bytes = bytes.slice(0, 1 + dice.below(bytes.length));
    else bytes = bytesOf(bytes, dice.bytes(dice.below(40)));
  }
  // Mostly with a header that is right again, so that what lies behind it is looked at.
  if (bytes.length >= 20 && bytes[0] >> 4 === 4 && !dice.chance(8)) {
    const headerBytes = Math.min((bytes[0] & 15) * 4, bytes.length);
    bytes.set([0, 0], 10);
    let sum = 0;
    for (let i = 0; i + 1 < headerBytes; i += 2) sum += bytes[i] * 256 + bytes[i + 1];
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    bytes.set([(~sum >> 8) & 255, ~sum & 255], 10);
  }
  return bytes;
}

const transport4 = (dice: Dice): { protocol: number; payload: Uint8Array } =>
  dice.pick([
    { protocol: 17, payload: udp('10.0.0.2', '10.0.0.1', dice.bytes(dice.below(60))) },
    { protocol: 6, payload: tcp('10.0.0.2', '10.0.0.1', dice.bytes(dice.below(60))) },
    { protocol: 1, payload: icmp4(8, 0, 0x7_0001, dice.bytes(dice.below(60))) },
    { protocol: dice.below(256), payload: dice.bytes(dice.below(60)) },
  ]);

const transport6 = (dice: Dice): { next: number; payload: Uint8Array } =>
  dice.pick([
    { next: 17, payload: udp(...HOSTS6, dice.bytes(dice.below(60))) },
    { next: 6, payload: tcp(...HOSTS6, dice.bytes(dice.below(60))) },
    { next: 58, payload: icmp6(HOSTS6, 128, 0, 0x7_0001, dice.bytes(dice.below(60))) },
    { next: dice.below(256), payload: dice.bytes(dice.below(60)) },
  ]);

describe('fuzz: IP', () => {
  it('survives bytes that are no packet at all', () => {
    run(SEED, 4000, (dice) => {
      const bytes = dice.bytes(1 + dice.below(200));
      bytes[0] = dice.pick([0x45, 0x4f, 0x60, 0x6f, bytes[0]]);
      return bytes;
    });
  });

  it('survives IPv4 headers whose lengths lie [E7] [E8] [E10]', () => {
    const stats = run(SEED + 1, 6000, (dice) => {
      const { protocol, payload } = transport4(dice);
      const options = dice.chance(2) ? dice.bytes(dice.below(10) * 4) : [];
      return broken(
        dice,
        v4({
          protocol,
          payload,
          options: [...options],
          ...(dice.chance(3) ? { totalLength: dice.below(120) } : {}),
          ...(dice.chance(6) ? { ihl: dice.below(16) } : {}),
        }),
      );
    });
    expect(stats.ip.inDelivers).to.be.above(400);
    expect(stats.ip.inHdrErrors).to.be.above(400);
    expect(stats.ip.inTruncatedPkts).to.be.above(100);
  });

  it('survives IPv4 options of every kind, and sends back no more than fits [E22]', () => {
    const stats = run(SEED + 2, 4000, (dice) => {
      const options: number[] = [];
      while (options.length < 40 && !dice.chance(6)) {
        const type = dice.pick([0, 1, 7, 68, 130, 131, 136, 137, 148, dice.below(256)]);
        const length = dice.pick([0, 1, 2, 3, 4, 7, 8, 11, 12, 39, 40, dice.below(256)]);
        options.push(type);
        if (type > 1) options.push(length, dice.below(50), ...dice.bytes(dice.below(12)));
      }
      return v4({
        protocol: 1,
        payload: icmp4(8, 0, 1, pattern(dice.below(1400))),
        options: options.slice(0, 40),
      });
    });
    expect(stats.icmp.outEchoReps).to.be.above(400);
    expect(stats.icmp.outParmProbs).to.be.above(400);
  });

  it('survives IPv6 headers whose lengths lie, jumbograms too [E7] [E34] [E35]', () => {
    const stats = run(SEED + 3, 6000, (dice) => {
      const { next, payload } = transport6(dice);
      const jumbo = dice.chance(4);
      return broken(
        dice,
        v6({
          next: jumbo ? 0 : next,
          payload: jumbo ? bytesOf(optionsHeader(next, [0xc2, 4, ...dice.bytes(4)]), payload) : payload,
          ...(dice.chance(3) ? { payloadLength: dice.pick([0, 1, 7, 8, dice.below(200), 0xffff]) } : {}),
        }),
      );
    });
    expect(stats.ip.inDelivers).to.be.above(400);
    expect(stats.ip.inTruncatedPkts).to.be.above(200);
    expect(stats.icmp.inCsumErrors).to.be.above(50);
  });

  it('survives IPv6 chains of any length, order and content [E17]', () => {
    const stats = run(SEED + 4, 8000, (dice) => {
      const count = dice.below(14);
      const kinds = Array.from({ length: count }, () => dice.pick([0, 43, 44, 60, 60, 60, 51, 59]));
      const { next, payload } = transport6(dice);
      kinds.push(next);
      const headers = kinds.slice(0, -1).map((kind, i) => {
        const after = kinds[i + 1];
        if (kind === 43)
          return routingHeader(after, dice.below(5), dice.pick([0, 0, 0, 1, 255]), [
            ...dice.bytes(dice.below(3) * 8),
          ]);
        if (kind === 44) return fragmentHeader(after, dice.pick([0, 0, 0, 8]), dice.chance(4), 1);
        const options: number[] = [];
        while (options.length < 20 && !dice.chance(3))
          options.push(
            dice.pick([0, 1, 5, 30, 0x5e, 0x9e, 0xde, dice.below(256)]),
            dice.pick([0, 1, 2, 4, 255]),
            ...dice.bytes(dice.below(5)),
          );
        const header = optionsHeader(after, options);
        if (dice.chance(10)) header[1] = dice.below(256);
        return header;
      });
      return broken(
        dice,
        v6({
          next: kinds[0],
          payload: bytesOf(...headers, payload),
          to: dice.pick(['2001:db8::1', 'ff02::1']),
        }),
      );
    });
    expect(stats.ip.inDelivers).to.be.above(150);
    expect(stats.icmp.outParmProbs).to.be.above(400);
  });

  it('survives ICMP of any type with any quotation, and answers no error [E20] [E37]', () => {
    const stats = run(SEED + 5, 6000, (dice) => {
      const type = dice.pick([
        0,
        1,
        2,
        3,
        4,
        5,
        8,
        11,
        12,
        128,
        129,
        133,
        134,
        135,
        136,
        137,
        dice.below(256),
      ]);
      const word = dice.pick([0, 1, 0x7_0001, 0xff_0000, 2 ** 31, 2 ** 32 - 1, dice.below(65_536)]);
      const quote4 = v4({
        from: '10.0.0.1',
        to: '192.0.2.9',
        ...transport4(dice),
        ...(dice.chance(4) ? { ihl: dice.below(16) } : {}),
      });
      const quote6 = v6({ from: '2001:db8::1', to: '2001:db8:9::9', ...transport6(dice) });
      const four = dice.chance(2);
      const quote = dice.chance(8) ? dice.bytes(dice.below(100)) : broken(dice, four ? quote4 : quote6);
      const message = four
        ? icmp4(type, dice.below(20), word, quote)
        : icmp6(HOSTS6, type, dice.pick([0, dice.below(256)]), word, quote);
      const cut = dice.chance(5) ? dice.below(12) : message.length;
      const hopLimit = dice.pick([64, 255]);
      const payload = message.subarray(0, cut);
      return four ? v4({ protocol: 1, payload }) : v6({ next: 58, payload, hopLimit });
    });
    expect(stats.icmp.inUnmatched).to.be.above(200);
    expect(stats.icmp.inDestUnreachs).to.be.above(200);
    expect(stats.icmp.outDestUnreachs + stats.icmp.outParmProbs, 'errors about errors').to.equal(0);
  });
});

describe('fuzz: fragments', () => {
  interface Piece {
    readonly offset: number;
    readonly bytes: Uint8Array;
    readonly more: boolean;
  }

  /** A datagram as a careful reader of the rules would keep it: byte by byte. */
  class Reference {
    #bytes = new Map<number, number>();
    #pieces: Piece[] = [];
    #end = -1;
    /** IPv6 remembers what it gave up. */
    dead = false;
    readonly #remembers: boolean;

    constructor(remembers: boolean) {
      this.#remembers = remembers;
    }

    /** The payload this piece completes. */
    add(piece: Piece): Uint8Array | undefined {
      const { offset, bytes, more } = piece;
      if (this.dead || bytes.length === 0 || (more && bytes.length % 8 !== 0)) return undefined;
      if (offset + bytes.length > 65_535) return this.#giveUp(false);
      const end = offset + bytes.length;
      if (this.#pieces.some((p) => p.offset === offset && p.bytes.length === bytes.length && p.more === more))
        return undefined;
      // Units of eight bytes are what a fragment occupies.
      for (let at = offset; at < Math.ceil(end / 8) * 8; at++)
        if (this.#bytes.has(at)) return this.#giveUp(true);
      if (!more && (this.#end >= 0 || this.#pieces.some((p) => p.offset + p.bytes.length > end)))
        return this.#giveUp(true);
      if (more && this.#end >= 0 && end > this.#end) return this.#giveUp(true);
      for (let i = 0; i < Math.ceil(bytes.length / 8) * 8; i++) this.#bytes.set(offset + i, bytes[i] ?? -1);
      this.#pieces.push(piece);
      if (!more) this.#end = end;
      if (this.#end < 0) return undefined;
      const whole = new Uint8Array(this.#end);
      for (let at = 0; at < this.#end; at++) {
        const byte = this.#bytes.get(at);
        if (byte === undefined) return undefined;
        whole[at] = byte;
      }
      this.#forget();
      return whole;
    }

    #giveUp(contradiction: boolean): undefined {
      this.#forget();
      if (contradiction && this.#remembers) this.dead = true;
      return undefined;
    }

    #forget(): void {
      this.#bytes = new Map();
      this.#pieces = [];
      this.#end = -1;
    }
  }

  it('delivers exactly what a careful reader of the rules would, from any fragments [E19]', () => {
    let delivered = 0;
    for (let round = 0; round < 600; round++) {
      const dice = new Dice(SEED + round);
      for (const family of [4, 6] as const) {
        const peer = new IpPeer({ options: { icmpErrorBurst: 0 } });
        const reference = new Reference(family === 6);
        const units = 2 + dice.below(5);
        for (let i = 0; i < 14; i++) {
          const start = dice.below(units);
          const more = !dice.chance(4);
          let length = dice.chance(12) ? dice.below(20) : (1 + dice.below(units - start)) * 8;
          if (!more && dice.chance(2)) length = Math.max(0, length - dice.below(8));
          const offset = dice.chance(60) ? 65_520 : start * 8;
          // The first fragment of UDP must hold its header, and an atomic one is no fragment.
          if (offset === 0 && (length < 8 || !more)) continue;
          const piece: Piece = { offset, bytes: dice.bytes(length), more };
          if (family === 4) peer.receive(v4({ payload: piece.bytes, offset, more, id: 9 }));
          else
            peer.receive(
              v6({ next: 44, payload: bytesOf(fragmentHeader(17, offset, more, 9), piece.bytes) }),
            );
          // What IPv6 reports it does not let into the datagram.
          const reported = family === 6 && ((more && length % 8 !== 0) || offset + length > 65_535);
          const expected = reported ? undefined : reference.add(piece);
          const got = peer.udp.packets.splice(0)[0]?.payload;
          expect(got, `SIM_SEED=${SEED} round ${round} IPv${family} piece ${i}`).to.deep.equal(expected);
          if (got !== undefined) delivered++;
        }
      }
    }
    expect(delivered).to.be.above(60);
  });

  it('survives fragments of everything, mixed with atomic ones and broken ones [E19]', () => {
    let count = 0;
    const stats = run(SEED + 6, 8000, (dice) => {
      // A few pieces for each datagram, now and then for an old one.
      const id = dice.chance(10) ? dice.below(2000) : count++ >> 2;
      const wild = dice.chance(3);
      const [offset, length, more] = wild
        ? [
            dice.pick([0, 8, 16, 24, 64, 1480, 65_512, 65_528]),
            dice.pick([0, 1, 7, 8, 16, 24, 64, 1400]),
            dice.chance(2),
          ]
        : dice.pick<[number, number, boolean]>([
            [0, 24, true],
            [24, 9, false],
          ]);
      if (dice.chance(2)) {
        const protocol = dice.pick([17, 17, 17, 6, 1, dice.below(256)]);
        return broken(
          dice,
          v4({ protocol, payload: dice.bytes(length), offset, more, id, tos: dice.pick([0, 0, 0, 1, 2, 3]) }),
        );
      }
      const { next } = transport6(dice);
      const headers = bytesOf(
        fragmentHeader(dice.chance(6) ? 44 : next, offset, more, id),
        dice.bytes(length),
      );
      const hop = dice.chance(5);
      return broken(
        dice,
        v6({
          next: hop ? 0 : 44,
          payload: hop ? bytesOf(optionsHeader(44, [5, 2, 0, 0]), headers) : headers,
        }),
      );
    });
    expect(stats.ip.reasmReqds).to.be.above(2000);
    expect(stats.ip.reasmOKs).to.be.above(20);
    expect(stats.ip.reasmTimeout).to.be.above(20);
  });
});
