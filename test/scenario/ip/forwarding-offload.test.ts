/** Super-packets, unfinished checksums, the MSS and translators in passing. */
import { expect } from 'chai';
import fc from 'fast-check';
import { DropReason } from '../../../lib/base/stats.js';
import { type PacketTranslator, Verdict } from '../../../lib/ip/forward-hook.js';
import type { LinkIpOptions } from '../../../lib/ip/link-options.js';
import { ChecksumState, type IpPacket } from '../../../lib/wire/ip-packet.js';
import { Protocol } from '../../../lib/wire/ipv6.js';
import { IpPeer } from '../../support/ip-peer.js';
import {
  bytesOf,
  checksumOf,
  fragmentHeader,
  optionsHeader,
  pattern,
  pseudoHeader,
  read,
  type Seen,
  tcp,
  u16,
  udp,
} from '../../support/ip-wire.js';
import { FAR, hopped4, hopped6, NEAR, OWN, Router, transit4, transit6 } from '../../support/router.js';

const SUPER = { mtu: 1500, maxPacketBytes: 65_535, offload: true, udpSegmentation: true } as const;

/** A transport message whose checksum field holds the sum of the pseudo-header only. */
function begun(message: Uint8Array, pair: readonly [string, string], protocol: number): Uint8Array {
  const copy = message.slice();
  const sum = 0xffff - checksumOf(pseudoHeader(pair[0], pair[1], protocol, message.length));
  copy.set(u16(sum), protocol === 6 ? 16 : 6);
  return copy;
}

/** Whether the transport checksum of a packet is right. */
function isSound({ from, to, protocol, payload }: Seen): boolean {
  return checksumOf(pseudoHeader(from, to, protocol, payload.length), payload) === 0;
}

const pair = (family: 4 | 6): readonly [string, string] => [NEAR[family], FAR[family]];

/** A packet with unfinished checksum. */
function unfinished(family: 4 | 6, protocol: 6 | 17, text: number): Uint8Array {
  const [from, to] = pair(family);
  const message = (protocol === 6 ? tcp : udp)(from, to, pattern(text));
  const payload = begun(message, [from, to], protocol);
  return family === 4
    ? transit4({ protocol, payload, df: true, id: 7 })
    : transit6({ next: protocol, payload });
}

describe('forwarding: offloads', () => {
  for (const family of [4, 6] as const) {
    const hopped = family === 4 ? hopped4 : hopped6;

    it(`passes super-packets whole to a link that takes them, IPv${family}`, () => {
      const router = new Router({ far: SUPER });
      const packets = [
        { packet: unfinished(family, 6, 20_000), segmentSize: 1400, headers: (family === 4 ? 20 : 40) + 20 },
        { packet: unfinished(family, 17, 20_000), segmentSize: 1400, headers: (family === 4 ? 20 : 40) + 8 },
        { packet: unfinished(family, 6, 1400), segmentSize: 0, headers: 0 },
      ];
      for (const { packet, segmentSize, headers } of packets) {
        router.peer.receive(packet, { checksum: ChecksumState.Partial, segmentSize });
        const [out] = router.far.queue.splice(0);
        expect(out.bytes).to.deep.equal(hopped(packet));
        expect(out).to.include({ checksum: ChecksumState.Partial, segmentSize, headerBytes: headers });
      }
      expect(router.stats.ip.outForwDatagrams).to.equal(3);
    });

    it(`divides them for a link that takes none, and completes checksums, IPv${family}`, () => {
      const router = new Router();
      for (const protocol of [6, 17] as const) {
        const packet = unfinished(family, protocol, 5000);
        router.peer.receive(packet, { checksum: ChecksumState.Partial, segmentSize: 1400 });
        const { far } = router.sent();
        expect(far.map(({ payload }) => payload.length)).to.deep.equal(
          [1400, 1400, 1400, 800].map((bytes) => bytes + (protocol === 6 ? 20 : 8)),
        );
        expect(far.every(isSound)).to.equal(true);
        expect(far.every(({ ttl }) => ttl === 63)).to.equal(true);
        const texts = far.map(({ payload }) => payload.subarray(protocol === 6 ? 20 : 8));
        expect(bytesOf(...texts)).to.deep.equal(pattern(5000));
        // Each counts as what it is for whoever counts: one super-packet.
        router.peer.receive(unfinished(family, protocol, 100), { checksum: ChecksumState.Partial });
        const [single] = router.sent().far;
        expect(isSound(single)).to.equal(true);
      }
      expect(router.stats.ip.outForwDatagrams).to.equal(4);
    });

    it(`divides UDP for a link that takes only TCP whole, IPv${family}`, () => {
      const router = new Router({ far: { ...SUPER, udpSegmentation: false } });
      const packet = unfinished(family, 17, 5000);
      router.peer.receive(packet, { checksum: ChecksumState.Partial, segmentSize: 1400 });
      const { far } = router.sent();
      expect(far).to.have.length(4);
      expect(far.every(isSound)).to.equal(true);
    });

    it(`says how large segments may be that do not fit, IPv${family}`, () => {
      const router = new Router({ far: { ...SUPER, mtu: 1400 } });
      const headers = family === 4 ? 40 : 60;
      const packet = unfinished(family, 6, 20_000);
      const given = { checksum: ChecksumState.Partial };
      router.peer.receive(packet, { ...given, segmentSize: 1400 - headers });
      expect(router.far.queue.splice(0)).to.have.length(1);
      router.peer.receive(packet, { ...given, segmentSize: 1401 - headers });
      const [error] = router.peer.sentIcmp();
      const expected = family === 4 ? [3, 4, 1400] : [2, 0, 1400];
      expect([error.type, error.code, error.word]).to.deep.equal(expected);
      expect(router.far.queue).to.deep.equal([]);
    });
  }

  it('fragments segments that are too large and may be divided, also for a link that divides', () => {
    const payload = begun(tcp(NEAR[4], FAR[4], pattern(4000)), pair(4), 6);
    const packet = transit4({ protocol: 6, payload, id: 50 });
    const given = { checksum: ChecksumState.Partial, segmentSize: 1460 };
    const router = new Router({ far: { mtu: 1000 } });
    router.peer.receive(packet, given);
    const { far } = router.sent();
    expect(far).to.have.length(6);
    const other = new Router({ far: { ...SUPER, mtu: 1000 } });
    other.peer.receive(packet, given);
    expect(other.sent().far).to.deep.equal(far);
    const host = new IpPeer({ addresses: [`${FAR[4]}/24`] });
    for (const { bytes } of far) host.receive(bytes);
    expect(host.tcp.packets).to.have.length(3);
    const texts = host.tcp.packets.map((segment) => {
      const sum = checksumOf(pseudoHeader(NEAR[4], FAR[4], 6, segment.payload.length), segment.payload);
      expect(sum).to.equal(0);
      return segment.payload.subarray(20);
    });
    expect(bytesOf(...texts)).to.deep.equal(pattern(4000));
  });

  it('completes a checksum before it fragments what it covers', () => {
    const router = new Router({ far: { ...SUPER, mtu: 1000 } });
    const payload = begun(udp(NEAR[4], FAR[4], pattern(1400)), pair(4), 17);
    router.peer.receive(transit4({ payload }), { checksum: ChecksumState.Partial });
    const host = new IpPeer({ addresses: [`${FAR[4]}/24`] });
    for (const { bytes } of router.sent().far) host.receive(bytes);
    expect(host.udp.packets[0].payload).to.deep.equal(udp(NEAR[4], FAR[4], pattern(1400)));
  });

  it('completes a checksum of zero as one that is there (RFC 768)', () => {
    const router = new Router();
    const datagram = Array.from({ length: 65_536 }, (_, word) => udp(NEAR[4], FAR[4], u16(word))).find(
      (candidate) => candidate[6] === 255 && candidate[7] === 255,
    ) as Uint8Array;
    router.peer.receive(transit4({ payload: begun(datagram, pair(4), 17) }), {
      checksum: ChecksumState.Partial,
    });
    expect(router.sent().far[0].payload).to.deep.equal(datagram);
  });

  it('leaves the judgment of checksums to the end of the path', () => {
    const router = new Router({ far: SUPER });
    for (const [given, expected] of [
      [ChecksumState.Unknown, ChecksumState.Unknown],
      [ChecksumState.Bad, ChecksumState.Unknown],
      [ChecksumState.Valid, ChecksumState.Valid],
    ]) {
      router.peer.receive(transit4(), { checksum: given });
      expect(router.far.queue.splice(0)[0].checksum).to.equal(expected);
    }
  });

  it('drops what claims to be a super-packet and can be none', () => {
    const router = new Router();
    const claims = [
      transit4({ protocol: 50, payload: pattern(3000) }),
      transit4({ protocol: 6, payload: pattern(12) }),
      transit4({ protocol: 6, payload: tcp(NEAR[4], FAR[4], pattern(900)), more: true }),
      transit4({
        protocol: 6,
        payload: [...tcp(NEAR[4], FAR[4], pattern(900))].fill(0xf0, 12, 13),
        offset: 80,
      }),
    ];
    for (const packet of claims) {
      router.peer.receive(packet, { checksum: ChecksumState.Partial, segmentSize: 1000 });
      expect(router.peer.lastDrop).to.equal(DropReason.LinkMetadata);
    }
    router.peer.receive(transit4({ protocol: 132, payload: pattern(20) }), {
      checksum: ChecksumState.Partial,
    });
    expect(router.peer.lastDrop).to.equal(DropReason.LinkMetadata);
    expect(router.isSilent).to.equal(true);
    expect(router.stats.ip).to.include({ outDiscards: 5, outForwDatagrams: 0 });
  });

  it('loses the rest of a super-packet where the link is full', () => {
    const router = new Router();
    router.far.room = 2;
    router.peer.receive(unfinished(4, 6, 5000), { checksum: ChecksumState.Partial, segmentSize: 1400 });
    expect(router.far.queue).to.have.length(2);
    expect(router.stats.drops.count(DropReason.LinkQueueFull)).to.equal(1);
    expect(router.stats.ip).to.include({ outDiscards: 1, outForwDatagrams: 0 });
  });
});

/** A SYN with options. */
function syn(family: 4 | 6, options: readonly number[], flags = 2): Uint8Array {
  const [from, to] = pair(family);
  const segment = bytesOf(tcp(from, to), options);
  segment[12] = (segment.length / 4) << 4;
  segment[13] = flags;
  segment.set([0, 0], 16);
  segment.set(u16(checksumOf(pseudoHeader(from, to, 6, segment.length), segment)), 16);
  return family === 4 ? transit4({ protocol: 6, payload: segment }) : transit6({ next: 6, payload: segment });
}

const MSS = [2, 4, 5, 180];

describe('forwarding: the MSS', () => {
  /** The options of a SYN after a router with such settings on its links; its checksum proved. */
  function optionsAfter(
    packet: Uint8Array,
    settings: { near?: Partial<LinkIpOptions>; far?: Partial<LinkIpOptions>; mtu?: number },
  ): number[] {
    const router = new Router({ far: { mtu: settings.mtu ?? 1500 } });
    router.peer.ip.setLinkOptions(1, settings.near ?? {});
    router.peer.ip.setLinkOptions(2, settings.far ?? {});
    router.peer.receive(packet);
    const [seen] = router.sent().far;
    const upper = seen.payload.subarray(seen.protocol === 6 ? 0 : seen.payload.length - 24);
    const pseudo = pseudoHeader(seen.from, seen.to, 6, upper.length);
    expect(checksumOf(pseudo, upper), 'checksum').to.equal(0);
    const before = read(packet).payload.subarray(-upper.length);
    const changed = upper.findIndex((byte, i) => i >= 20 && byte !== before[i]);
    expect(router.stats.ip.mssClamped).to.equal(changed < 0 ? 0 : 1);
    return [...upper.subarray(20)];
  }
  const mss = (bytes: number): number[] => [2, 4, ...u16(bytes)];

  it('is left alone unless a link is told otherwise', () => {
    expect(optionsAfter(syn(4, MSS), { mtu: 1000 })).to.deep.equal(MSS);
  });

  it('is lowered to what the narrower link takes', () => {
    const path = { mssClamp: 'path' } as const;
    expect(optionsAfter(syn(4, MSS), { far: path, mtu: 1400 })).to.deep.equal(mss(1360));
    expect(optionsAfter(syn(4, MSS), { near: path, mtu: 1400 })).to.deep.equal(mss(1360));
    expect(optionsAfter(syn(6, MSS), { far: path, mtu: 1400 })).to.deep.equal(mss(1340));
    expect(optionsAfter(syn(4, mss(1000)), { far: path, mtu: 1400 })).to.deep.equal(mss(1000));
    expect(optionsAfter(syn(4, MSS, 0x12), { far: path, mtu: 1400 }), 'SYN-ACK').to.deep.equal(mss(1360));
    // The answer came through the wider link, and will leave by the narrower one.
    expect(optionsAfter(syn(4, mss(8960)), { far: path, mtu: 9000 })).to.deep.equal(mss(1460));
  });

  it('is lowered to a number, but not raised', () => {
    expect(optionsAfter(syn(4, MSS), { far: { mssClamp: 1200 } })).to.deep.equal(mss(1200));
    expect(optionsAfter(syn(4, MSS), { near: { mssClamp: 1200 } })).to.deep.equal(mss(1200));
    expect(optionsAfter(syn(4, MSS), { near: { mssClamp: 1300 }, far: { mssClamp: 1200 } })).to.deep.equal(
      mss(1200),
    );
    expect(optionsAfter(syn(4, mss(800)), { far: { mssClamp: 1200 } })).to.deep.equal(mss(800));
  });

  it('keeps the checksum right wherever the option stands and whatever it says', () => {
    const value = fc.integer({ min: 0, max: 65_535 });
    const place = fc.integer({ min: 0, max: 3 });
    fc.assert(
      fc.property(value, place, fc.integer({ min: 64, max: 65_495 }), (said, before, most) => {
        const options = [...new Array<number>(before).fill(1), ...mss(said)];
        while (options.length % 4 !== 0) options.push(0);
        const after = optionsAfter(syn(4, options), { far: { mssClamp: most } });
        const limit = Math.min(said, most, 1460);
        expect(after.slice(before, before + 4)).to.deep.equal(mss(limit));
      }),
      { numRuns: 500 },
    );
  });

  it('is left alone in what is no SYN, in fragments, and where options cannot be read', () => {
    const clamp = { far: { mssClamp: 1000 } } as const;
    expect(optionsAfter(syn(4, MSS, 0x10), clamp)).to.deep.equal(MSS);
    expect(optionsAfter(syn(4, MSS, 0x06), clamp), 'RST').to.deep.equal(MSS);
    for (const options of [
      [2, 3, 5, 180],
      [3, 0, 2, 4, 5, 180, 1, 1],
      [1, 1, 1, 2],
      [0, 2, 4, 5, 180, 0, 0, 0],
      [4, 40, 2, 4],
      [1, 1, 2, 4],
    ]) {
      expect(optionsAfter(syn(4, options), clamp)).to.deep.equal(options);
    }
    const router = new Router({ options: { mssClamp: 1000 } });
    const fragment = transit4({ protocol: 6, more: true, payload: read(syn(4, MSS)).payload });
    router.peer.receive(fragment);
    expect(router.far.queue[0].bytes).to.deep.equal(hopped4(fragment));
  });

  it('is found behind extension headers, and where the checksum is only begun', () => {
    const router = new Router({ options: { mssClamp: 1000 }, far: SUPER });
    const segment = read(syn(6, MSS)).payload;
    router.peer.receive(transit6({ next: 60, payload: bytesOf(optionsHeader(6, []), segment) }));
    const [packet] = router.sent().far;
    const upper = packet.payload.subarray(8);
    expect([...upper.subarray(20)]).to.deep.equal(mss(1000));
    expect(checksumOf(pseudoHeader(NEAR[6], FAR[6], 6, upper.length), upper)).to.equal(0);
    const partial = begun(read(syn(4, MSS)).payload, pair(4), 6);
    router.peer.receive(transit4({ protocol: 6, payload: partial }), { checksum: ChecksumState.Partial });
    const out = read(router.far.queue[0].bytes).payload;
    expect([...out.subarray(20)]).to.deep.equal(mss(1000));
    expect(out.subarray(16, 18)).to.deep.equal(partial.subarray(16, 18));
  });
});

/** A translator that does what it is told, and keeps what it was shown. */
class TestTranslator implements PacketTranslator {
  readonly shown: string[] = [];
  onInbound: (packet: IpPacket) => Verdict = () => Verdict.Accept;
  onOutbound: (packet: IpPacket, port: number) => Verdict = () => Verdict.Accept;
  onRestore: (packet: IpPacket) => void = () => {};

  inbound(packet: IpPacket): Verdict {
    this.shown.push(`in ${packet.source()} > ${packet.destination()} ${packet.payloadBytes}`);
    return this.onInbound(packet);
  }

  outbound(packet: IpPacket, port: number): Verdict {
    this.shown.push(`out ${packet.source()} > ${packet.destination()} by ${port}, TTL ${packet.hopLimit}`);
    return this.onOutbound(packet, port);
  }

  restore(packet: IpPacket): void {
    this.shown.push('restore');
    this.onRestore(packet);
  }

  revert(): boolean {
    return false;
  }
}

/** Writes another IPv4 address into a packet, as a translator must: header, checksums and words. */
function rewrite(packet: IpPacket, at: 12 | 16, address: string): void {
  const { view } = packet;
  const octets = address.split('.').map(Number);
  for (const [i, octet] of octets.entries()) view.setUint8(packet.at + at + i, octet);
  const word = view.getInt32(packet.at + at);
  if (at === 12) packet.s3 = word;
  else packet.d3 = word;
  view.setUint16(packet.at + 10, 0);
  const header = packet.bytes.slice(packet.at, packet.payloadAt);
  view.setUint16(packet.at + 10, checksumOf(header));
}

describe('forwarding: a translator', () => {
  function bed(): { router: Router; translator: TestTranslator } {
    const router = new Router();
    const translator = new TestTranslator();
    router.peer.ip.setTranslator(translator);
    return { router, translator };
  }

  it('is shown what passes and what is for us, before and after the way is known', () => {
    const { router, translator } = bed();
    router.peer.receive(transit4({ ttl: 9 }));
    router.peer.receive(transit4({ to: OWN[4] }));
    router.peer.receive(transit6());
    expect(translator.shown).to.deep.equal([
      'in 10.0.0.2 > 10.1.0.2 11',
      'out 10.0.0.2 > 10.1.0.2 by 2, TTL 9',
      'in 10.0.0.2 > 10.0.0.1 11',
      'in 2001:db8::2 > 2001:db8:1::2 11',
      'out 2001:db8::2 > 2001:db8:1::2 by 2, TTL 64',
    ]);
    expect(router.peer.udp.packets).to.have.length(1);
    translator.shown.length = 0;
    // What cannot be, and what this host sends itself, is none of its business.
    router.peer.receive(transit4({ from: '127.0.0.1' }));
    router.peer.receive(transit4({ checksum: 1 }));
    router.peer.send(router.peer.resolve(FAR[4]), udp(OWN[4], FAR[4]), 6);
    expect(translator.shown).to.deep.equal([]);
    router.peer.ip.setTranslator(undefined);
    router.sent();
    router.peer.receive(transit4());
    expect(translator.shown).to.deep.equal([]);
    expect(router.sent().far).to.have.length(1);
  });

  it('may send a packet for us elsewhere, and give it another source', () => {
    const { router, translator } = bed();
    translator.onInbound = (packet) => {
      rewrite(packet, 16, FAR[4]);
      return Verdict.Accept;
    };
    translator.onOutbound = (packet) => {
      rewrite(packet, 12, '10.1.0.1');
      return Verdict.Accept;
    };
    router.peer.receive(transit4({ to: OWN[4] }));
    const [packet] = router.sent().far;
    expect([packet.from, packet.to, packet.ttl]).to.deep.equal(['10.1.0.1', FAR[4], 63]);
    expect(router.peer.udp.packets).to.deep.equal([]);
  });

  it('may take or drop a packet, on both sides of the way', () => {
    const { router, translator } = bed();
    for (const verdict of [Verdict.Drop, Verdict.Handled]) {
      translator.onInbound = () => verdict;
      router.peer.receive(transit4());
      router.peer.receive(transit6());
      router.peer.receive(transit4({ to: OWN[4] }));
      translator.onInbound = () => Verdict.Accept;
      translator.onOutbound = () => verdict;
      router.peer.receive(transit4());
      router.peer.receive(transit6());
    }
    expect(router.isSilent).to.equal(true);
    expect(router.peer.udp.packets).to.deep.equal([]);
  });

  it('puts back what it changed before an error quotes it', () => {
    const { router, translator } = bed();
    translator.onInbound = (packet) => {
      if (packet.version === 4) rewrite(packet, 16, FAR[4]);
      return Verdict.Accept;
    };
    translator.onRestore = (packet) => rewrite(packet, 16, '10.0.0.77');
    router.far.mtu = 1280;
    const packets = [
      transit4({ to: '10.0.0.77', ttl: 1 }),
      transit4({ to: '10.0.0.77', df: true, payload: pattern(1400) }),
      transit4({ to: '10.0.0.77', options: [7, 0, 0, 0] }),
    ];
    for (const packet of packets) {
      router.peer.receive(packet);
      const [error] = router.peer.sentIcmp();
      expect(error.data).to.deep.equal(packet.subarray(0, 548));
      expect(error.packet.from).to.equal(OWN[4]);
    }
    expect(translator.shown.filter((line) => line.startsWith('out'))).to.deep.equal([]);
  });

  it('may ask for the whole of what comes in fragments, which is then divided again', () => {
    const { router, translator } = bed();
    const isLater = ({ view, at }: IpPacket): boolean => (view.getUint16(at + 6) & 0x3fff) !== 0;
    translator.onInbound = (packet) => (isLater(packet) ? Verdict.Reassemble : Verdict.Accept);
    const whole = udp(NEAR[4], FAR[4], pattern(2500));
    const first = transit4({ id: 8, more: true, payload: whole.subarray(0, 1480) });
    const second = transit4({ id: 8, offset: 1480, payload: whole.subarray(1480) });
    router.peer.receive(second);
    expect(router.isSilent).to.equal(true);
    router.peer.receive(first);
    expect(translator.shown.slice(-2)).to.deep.equal([
      'in 10.0.0.2 > 10.1.0.2 2508',
      'out 10.0.0.2 > 10.1.0.2 by 2, TTL 64',
    ]);
    const { far } = router.sent();
    expect(far.map(({ bytes, ttl, id }) => [bytes.length <= 1500, ttl, id])).to.deep.equal([
      [true, 63, 8],
      [true, 63, 8],
    ]);
    expect(bytesOf(...far.map(({ payload }) => payload))).to.deep.equal(whole);
    // For us, it is delivered whole.
    router.peer.receive(transit4({ id: 9, to: OWN[4], more: true, payload: whole.subarray(0, 1480) }));
    router.peer.receive(transit4({ id: 9, to: OWN[4], offset: 1480, payload: whole.subarray(1480) }));
    expect(router.peer.udp.packets.map(({ payload }) => payload)).to.deep.equal([whole]);
    expect(router.stats.ip).to.include({ reasmOKs: 2, reasmBytes: 0 });
  });

  it('may ask that of IPv6, too: what was in fragments leaves in fragments', () => {
    const { router, translator } = bed();
    translator.onInbound = ({ protocol }) =>
      protocol === Protocol.Udp || protocol === Protocol.DestinationOptions
        ? Verdict.Accept
        : Verdict.Reassemble;
    const whole = bytesOf(optionsHeader(17, [1, 0]), udp(NEAR[6], FAR[6], pattern(2500)));
    const pieces = [
      bytesOf(fragmentHeader(60, 0, true, 5), whole.subarray(0, 1232)),
      bytesOf(fragmentHeader(60, 1232, false, 5), whole.subarray(1232)),
    ];
    for (const payload of pieces) router.peer.receive(transit6({ next: 44, payload }));
    const { far } = router.sent();
    expect(far).to.have.length(2);
    const host = new IpPeer({ addresses: [`${FAR[6]}/64`] });
    for (const { bytes, ttl } of far) {
      expect(bytes.length).to.be.at.most(1500);
      expect(ttl).to.equal(63);
      host.receive(bytes);
    }
    expect(host.udp.packets.map(({ payload }) => payload)).to.deep.equal([
      udp(NEAR[6], FAR[6], pattern(2500)),
    ]);
    for (const payload of pieces) router.peer.receive(transit6({ to: OWN[6], next: 44, payload }));
    expect(router.peer.udp.packets).to.have.length(1);
    // Within what was put together, another Fragment header is one too many.
    const nested = bytesOf(fragmentHeader(17, 0, true, 6), pattern(16));
    const dropped = (): number => router.stats.drops.count(DropReason.IpNested);
    for (const [offset, end, trusting] of [
      [0, 16, false],
      [16, nested.length, false],
      [0, 16, true],
      [16, nested.length, true],
    ] as const) {
      if (trusting) {
        expect(dropped()).to.equal(1);
        // Where packets are put together they begin with the memory.
        translator.onInbound = ({ at }) => (at === 0 ? Verdict.Accept : Verdict.Reassemble);
      }
      const head = fragmentHeader(44, offset, end < nested.length, 7);
      router.peer.receive(
        transit6({ to: OWN[6], next: 44, payload: bytesOf(head, nested.subarray(offset, end)) }),
      );
    }
    expect(dropped()).to.equal(2);
    // What is no fragment stays what it is.
    translator.onInbound = () => Verdict.Reassemble;
    router.peer.receive(transit6());
    expect(router.sent().far).to.have.length(1);
  });

  it('has headers before the Fragment header in every fragment', () => {
    const { router, translator } = bed();
    translator.onInbound = ({ view, at, payloadBytes }) =>
      view.getUint8(at + 40) === 44 && payloadBytes < 2000 ? Verdict.Reassemble : Verdict.Accept;
    const whole = udp(NEAR[6], FAR[6], pattern(2500));
    const hops = optionsHeader(44, [5, 2, 0, 0]);
    const pieces = [
      bytesOf(hops, fragmentHeader(17, 0, true, 5), whole.subarray(0, 1232)),
      bytesOf(hops, fragmentHeader(17, 1232, false, 5), whole.subarray(1232)),
    ];
    for (const payload of pieces) router.peer.receive(transit6({ next: 0, payload }));
    const left = router.far.queue.splice(0).map(({ bytes }) => bytes);
    expect(left).to.have.length(2);
    for (const bytes of left) expect([bytes[6], bytes[40], bytes[48]]).to.deep.equal([0, 44, 17]);
    const host = new IpPeer({ addresses: [`${FAR[6]}/64`] });
    for (const bytes of left) host.receive(bytes);
    expect(host.udp.packets.map(({ payload }) => payload)).to.deep.equal([whole]);
  });
});

describe('forwarding: next to who takes any address', () => {
  it('passes on what nobody took, and what was declined', () => {
    const router = new Router();
    router.peer.ip.takeForeign(6, true);
    router.peer.receive(transit4());
    expect(router.sent().far).to.have.length(1);
    const segment = transit4({ protocol: 6, payload: tcp(NEAR[4], FAR[4]) });
    router.peer.receive(segment);
    expect(router.peer.tcp.packets).to.have.length(1);
    expect(router.isSilent).to.equal(true);
    router.peer.tcp.onPacket = (packet) => {
      packet.isDeclined = true;
    };
    router.peer.receive(segment);
    expect(router.far.queue.splice(0).map(({ bytes }) => bytes)).to.deep.equal([hopped4(segment)]);
    router.peer.receive(transit6({ next: 6, payload: tcp(NEAR[6], FAR[6]) }));
    expect(router.sent().far).to.have.length(1);
    router.peer.ip.setLinkOptions(1, { forwarding: false });
    router.peer.receive(segment);
    expect(router.peer.lastDrop).to.equal(DropReason.IpNotForUs);
    expect(router.isSilent).to.equal(true);
  });

  it('divides again what was put together to be shown to them', () => {
    const router = new Router();
    router.peer.ip.takeForeign(17, true);
    router.peer.udp.onPacket = (packet) => {
      packet.isDeclined = true;
    };
    const whole4 = udp(NEAR[4], FAR[4], pattern(2500));
    router.peer.receive(transit4({ id: 8, more: true, payload: whole4.subarray(0, 1480) }));
    router.peer.receive(transit4({ id: 8, offset: 1480, payload: whole4.subarray(1480) }));
    const whole6 = udp(NEAR[6], FAR[6], pattern(2500));
    for (const [offset, end] of [
      [0, 1232],
      [1232, whole6.length],
    ]) {
      const head = fragmentHeader(17, offset, end < whole6.length, 3);
      router.peer.receive(transit6({ next: 44, payload: bytesOf(head, whole6.subarray(offset, end)) }));
    }
    const host = new IpPeer({ addresses: [`${FAR[4]}/24`, `${FAR[6]}/64`] });
    for (const { bytes } of router.sent().far) host.receive(bytes);
    expect(host.udp.packets.map(({ payload }) => payload)).to.deep.equal([whole4, whole6]);
  });
});
