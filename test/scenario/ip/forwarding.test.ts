/** IPv4 in passing: RFC 1812 §5, RFC 1624, RFC 2644, RFC 3704; section 5 of the list. */
import { expect } from 'chai';
import fc from 'fast-check';
import { DropReason } from '../../../lib/base/stats.js';
import { isBound } from '../../../lib/ip/forward-address.js';
import { specialPurpose } from '../../../lib/ip/special-registry.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { Cast, IpPacket } from '../../../lib/wire/ip-packet.js';
import { IpPeer } from '../../support/ip-peer.js';
import { bytesOf, icmp4, pattern, read, readIcmp, udp, type V4Fields, v6 } from '../../support/ip-wire.js';
import { FAR, hopped4, NEAR, OWN, OWN_FAR, Router, transit4, transit6 } from '../../support/router.js';

/** Bytes that left by a router's far link, one packet. */
function passed(router: Router, packet: Uint8Array): Uint8Array | undefined {
  router.peer.receive(packet);
  const [only] = router.far.queue.splice(0);
  return only?.bytes;
}

describe('forwarding: IPv4', () => {
  it('is off unless asked for: packets for others are dropped without a word [FW4-1]', () => {
    const peer = new IpPeer();
    const far = peer.addPort('far0', ['10.1.0.1/24', '2001:db8:1::1/64']);
    for (const packet of [transit4(), transit6(), transit4({ ttl: 1 }), transit4({ to: '203.0.113.1' })]) {
      peer.receive(packet);
      expect(peer.lastDrop).to.equal(DropReason.IpNotForUs);
    }
    expect(far.queue.length + peer.port.queue.length).to.equal(0);
    expect(peer.stats.ip).to.include({ inAddrErrors: 4, inForwDatagrams: 0, inNoRoutes: 0 });
  });

  it('is for each link to turn on or off, by where packets come in [FW4-1]', () => {
    const router = new Router();
    router.peer.ip.setLinkOptions(1, { forwarding: false });
    router.peer.receive(transit4());
    expect(router.peer.lastDrop).to.equal(DropReason.IpNotForUs);
    router.peer.receive(transit4({ from: FAR[4], to: NEAR[4] }), { link: 2 });
    expect(router.sent().near).to.have.length(1);
    router.peer.ip.setLinkOptions(1, { forwarding: true });
    router.peer.receive(transit4());
    expect(router.sent().far).to.have.length(1);
    // What loops back inside comes from nowhere else.
    router.peer.ip.setLinkOptions(0, { forwarding: true });
    router.peer.receive(transit4({ from: OWN[4] }), { link: 0 });
    expect(router.peer.lastDrop).to.equal(DropReason.IpNotForUs);
    expect(router.isSilent).to.equal(true);
  });

  it('settings of links are checked', () => {
    const { ip } = new Router().peer;
    expect(() => ip.setLinkOptions(9, {})).to.throw(RangeError, 'no link 9');
    expect(() => ip.setLinkOptions(1, { hopLimit: 3 } as never)).to.throw(TypeError, 'hopLimit');
    expect(() => ip.setLinkOptions(1, { forwarding: 1 } as never)).to.throw(TypeError, 'boolean');
    expect(() => ip.setLinkOptions(1, { mssClamp: 'on' } as never)).to.throw(TypeError, 'off, path');
    expect(() => ip.setLinkOptions(1, { mssClamp: 63 })).to.throw(RangeError, '64');
    expect(() => ip.setLinkOptions(1, { mssClamp: 1200, reversePathFilter: 'loose' })).not.to.throw();
  });

  it('passes a packet on as it came, a hop nearer to its end', () => {
    const router = new Router();
    const packet = transit4({ tos: 0xb9, id: 77, ttl: 9 });
    expect(passed(router, packet)).to.deep.equal(hopped4(packet));
    expect(router.stats.ip).to.include({
      inForwDatagrams: 1,
      outForwDatagrams: 1,
      inDelivers: 0,
      outRequests: 0,
    });
    // Any protocol, known or not, and nothing of it is answered.
    const strange = transit4({ protocol: 200, payload: [] });
    expect(passed(router, strange)).to.deep.equal(hopped4(strange));
    expect(router.isSilent).to.equal(true);
  });

  it('delivers what is for it, by any link, and does not pass it on', () => {
    const router = new Router();
    router.peer.receive(transit4({ to: OWN_FAR[4], ttl: 1 }));
    expect(router.peer.udp.packets).to.have.length(1);
    expect(router.isSilent).to.equal(true);
    // Where addresses belong to their links, it is nobody's.
    const strong = new Router({ options: { strongHost: true } });
    strong.peer.receive(transit4({ to: OWN_FAR[4] }));
    expect(strong.peer.lastDrop).to.equal(DropReason.IpNotForUs);
    expect(strong.isSilent).to.equal(true);
  });

  it('validates headers before it passes anything on [FW4-2]', () => {
    const router = new Router();
    const good = transit4({ options: [1, 1, 1, 1] });
    const wrong: readonly V4Fields[] = [
      { version: 5 },
      { ihl: 4 },
      { ihl: 15 },
      { totalLength: good.length + 1 },
      { totalLength: 19 },
      { checksum: 0x1234 },
    ];
    for (const fields of wrong) {
      router.peer.receive(transit4({ options: [1, 1, 1, 1], ...fields }));
      expect(router.isSilent, JSON.stringify(fields)).to.equal(true);
    }
    for (let length = 0; length < 20; length++) router.peer.receive(good.subarray(0, length));
    // A single damaged bit of the header is seen by its checksum.
    for (let bit = 0; bit < 24 * 8; bit++) {
      const damaged = good.slice();
      damaged[bit >> 3] ^= 1 << (bit & 7);
      router.peer.receive(damaged);
    }
    expect(router.isSilent).to.equal(true);
    expect(router.stats.ip.inForwDatagrams).to.equal(0);
    // What lies behind the packet is no part of it.
    expect(passed(router, bytesOf(good, [9, 9, 9]))).to.deep.equal(hopped4(good));
  });

  it('takes one from the TTL, and says so when none is left [FW4-3]', () => {
    const router = new Router();
    for (const ttl of [255, 64, 2]) {
      expect(read(passed(router, transit4({ ttl })) as Uint8Array).ttl).to.equal(ttl - 1);
    }
    for (const ttl of [1, 0]) {
      const packet = transit4({ ttl, tos: 0xbb });
      router.peer.receive(packet);
      expect(router.peer.lastDrop).to.equal(DropReason.IpHopLimit);
      const [error] = router.peer.sentIcmp();
      expect([error.type, error.code, error.word]).to.deep.equal([11, 0, 0]);
      expect(error.data).to.deep.equal(packet);
      // From an address of its own on the link, of the same service, as control (RFC 1812 §4.3.2.4, §4.3.2.5).
      expect([error.packet.from, error.packet.to]).to.deep.equal([OWN[4], NEAR[4]]);
      expect([error.packet.tos, error.packet.ttl]).to.deep.equal([0xd8, 64]);
    }
    expect(router.far.queue).to.deep.equal([]);
    expect(router.stats.ip).to.include({ inHdrErrors: 2, outForwDatagrams: 3 });
    expect(router.stats.icmp.outTimeExcds).to.equal(2);
  });

  it('complains of errors, later fragments and packets from nobody to nobody [FW4-3]', () => {
    const router = new Router();
    router.peer.receive(transit4({ ttl: 1, protocol: 1, payload: icmp4(3, 1, 0, transit4()) }));
    router.peer.receive(transit4({ ttl: 1, offset: 8, payload: pattern(16) }));
    router.peer.receive(transit4({ ttl: 1, from: '0.0.0.0' }));
    expect(router.isSilent).to.equal(true);
    router.peer.receive(transit4({ ttl: 1, protocol: 1, payload: icmp4(8, 0, 0, [1]) }));
    expect(router.peer.sentIcmp()).to.have.length(1);
  });

  it('limits its complaints as those of a host, but not how large packets may be', () => {
    const router = new Router({ far: { mtu: 576 } });
    for (let i = 0; i < 20; i++) router.peer.receive(transit4({ ttl: 1 }));
    expect(router.peer.sentIcmp()).to.have.length(6);
    for (let i = 0; i < 20; i++) router.peer.receive(transit4({ df: true, payload: pattern(600) }));
    expect(router.peer.sentIcmp()).to.have.length(20);
    expect(router.stats.icmp.outRateLimited).to.equal(14);
  });

  it('updates the checksum as one from scratch would be, whatever the header [FW4-4]', () => {
    const router = new Router();
    const octet = fc.integer({ min: 0, max: 255 });
    const fields = fc.record({
      tos: octet,
      ttl: fc.integer({ min: 2, max: 255 }),
      protocol: octet.filter((protocol) => protocol !== 1),
      id: fc.integer({ min: 0, max: 65_535 }),
      df: fc.boolean(),
      payload: fc.uint8Array({ maxLength: 40 }),
    });
    fc.assert(
      fc.property(fields, (given) => {
        const packet = transit4(given);
        expect(passed(router, packet)).to.deep.equal(hopped4(packet));
      }),
      { numRuns: 2000 },
    );
  });

  it('has both forms of zero in a checksum right, coming in and going out [FW4-4]', () => {
    const router = new Router();
    let zeros = 0;
    // Every checksum there is comes by once.
    for (let id = 0; id < 65_536; id++) {
      const packet = transit4({ id, payload: [], protocol: 99 });
      const result = passed(router, packet);
      expect(result).to.deep.equal(hopped4(packet));
      if (packet[10] === 0 && packet[11] === 0) {
        // 0xffff is the same number, and what some write in its place (RFC 1624 §3).
        const other = packet.slice();
        other.set([0xff, 0xff], 10);
        expect(passed(router, other)).to.deep.equal(hopped4(packet));
        zeros++;
      }
      if (result?.[10] === 0 && result[11] === 0) zeros++;
    }
    expect(zeros).to.equal(2);
  });

  it('passes on nothing from or to what can be nobody [FW4-5]', () => {
    const router = new Router();
    router.peer.ip.routing.routes.add({ destination: 'default', port: 2 });
    for (const from of ['127.0.0.1', '224.0.0.1', '255.255.255.255', '0.0.0.1', '240.0.0.1', '10.0.0.255']) {
      router.peer.receive(transit4({ from }));
      expect(router.peer.lastDrop, from).to.equal(DropReason.IpMartianSource);
    }
    // An address of the router itself comes from nowhere else.
    for (const from of [OWN[4], OWN_FAR[4]]) {
      router.peer.receive(transit4({ from }));
      expect(router.peer.lastDrop, from).to.equal(DropReason.IpMartianSource);
    }
    for (const to of ['127.0.0.1', '0.0.0.0', '0.1.2.3']) {
      router.peer.receive(transit4({ to }));
      expect(router.peer.lastDrop, to).to.equal(DropReason.IpMartianDestination);
    }
    expect(router.isSilent).to.equal(true);
    expect(router.stats.ip.inForwDatagrams).to.equal(0);
  });

  it('asks of each link whether its packets may come that way [FW4-6]', () => {
    const strange = transit4({ from: '10.2.0.9' });
    const lost = transit4({ from: '203.0.113.9' });
    const fates = (mode: 'off' | 'strict' | 'loose'): boolean[] => {
      const router = new Router();
      router.peer.ip.setLinkOptions(1, { reversePathFilter: mode });
      const result = [transit4(), strange, lost].map((packet) => passed(router, packet) !== undefined);
      expect(router.near.queue).to.deep.equal([]);
      expect(router.stats.drops.count(DropReason.IpReversePath)).to.equal(
        result.filter((isPassed) => !isPassed).length,
      );
      return result;
    };
    expect(fates('off')).to.deep.equal([true, true, true]);
    expect(fates('loose')).to.deep.equal([true, true, false]);
    expect(fates('strict')).to.deep.equal([true, false, false]);
    // The setting of another link does not matter, that of the stack does.
    const other = new Router();
    other.peer.ip.setLinkOptions(2, { reversePathFilter: 'strict' });
    expect(passed(other, strange)).not.to.equal(undefined);
    const all = new Router({ options: { reversePathFilter: 'strict' } });
    expect(passed(all, strange)).to.equal(undefined);
  });

  it('keeps link-local and reserved addresses on their link, without a word [FW4-7]', () => {
    const router = new Router();
    router.peer.ip.routing.routes.add({ destination: 'default', port: 2 });
    const pairs = [
      { to: '169.254.1.2' },
      { from: '169.254.3.4' },
      { to: '240.0.0.1' },
      { to: '255.255.255.254' },
      { to: '192.0.0.170' },
    ];
    for (const pair of pairs) {
      router.peer.receive(transit4({ ...pair, ttl: 1 }));
      expect(router.peer.lastDrop, JSON.stringify(pair)).to.equal(DropReason.IpNotForwardable);
    }
    expect(router.isSilent).to.equal(true);
    expect(router.stats.ip).to.include({ inAddrErrors: pairs.length, inForwDatagrams: 0 });
  });

  it('keeps to its link whatever the registries say the protocol reserves [FW4-7] [MAR-1]', () => {
    const packet = new IpPacket();
    const place = (text: string): boolean => {
      const address = IpAddress.parse(text);
      packet.version = address.family;
      const host = IpAddress.parse(address.family === 4 ? '8.8.8.8' : '2620::1');
      [packet.s0, packet.s1, packet.s2, packet.s3] = [host.w0, host.w1, host.w2, host.w3];
      [packet.d0, packet.d1, packet.d2, packet.d3] = [address.w0, address.w1, address.w2, address.w3];
      const asDestination = isBound(packet);
      [packet.s0, packet.s1, packet.s2, packet.s3] = [address.w0, address.w1, address.w2, address.w3];
      [packet.d0, packet.d1, packet.d2, packet.d3] = [host.w0, host.w1, host.w2, host.w3];
      expect(isBound(packet), `${text} as source`).to.equal(asDestination);
      return asDestination;
    };
    const texts = [
      '0.0.0.0',
      '0.255.0.1',
      '1.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '126.255.255.255',
      '127.0.0.1',
    ];
    texts.push('128.0.0.1', '169.253.255.255', '169.254.0.0', '169.254.255.255', '169.255.0.0', '192.0.0.8');
    texts.push('192.0.0.169', '192.0.0.170', '192.0.0.171', '192.0.0.172', '192.0.2.1', '192.168.1.1');
    texts.push(
      '198.18.0.1',
      '223.255.255.255',
      '240.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      '::2',
      'fe80::1',
    );
    texts.push('febf::1', 'fec0::1', 'fd00::1', '2001:db8::1', '64:ff9b::1', '2001::1', '100::1');
    for (const text of texts) {
      const entry = specialPurpose(IpAddress.parse(text));
      const isReserved = entry?.reserved === true && !entry.forwardable;
      expect(place(text), text).to.equal(isReserved);
    }
    expect(place('224.0.0.251'), 'groups').to.equal(true);
    expect(place('ff0e::1'), 'groups').to.equal(true);
  });

  it('never passes on what is for everybody, to another link only where told to [FW4-8]', () => {
    const limited = transit4({ to: '255.255.255.255' });
    const directed = transit4({ to: '10.1.0.255' });
    const local = transit4({ to: '10.0.0.255' });
    const router = new Router();
    for (const packet of [limited, directed, local]) router.peer.receive(packet);
    // It is one of those it is for.
    expect(router.peer.udp.packets.map(({ cast }) => cast)).to.deep.equal(new Array(3).fill(Cast.Broadcast));
    expect(router.isSilent).to.equal(true);
    router.peer.ip.setLinkOptions(1, { directedBroadcast: true });
    for (const packet of [limited, local]) router.peer.receive(packet);
    expect(router.isSilent).to.equal(true);
    expect(passed(router, directed)).to.deep.equal(hopped4(directed));
    expect(router.peer.udp.packets).to.have.length(6);
    expect(router.sent()).to.deep.equal({ near: [], far: [], third: [] });
    // Nobody hears of what becomes of it.
    router.peer.receive(transit4({ to: '10.1.0.255', ttl: 1 }));
    router.peer.ip.setLinkOptions(1, { forwarding: false });
    router.peer.receive(directed);
    expect(router.isSilent).to.equal(true);
  });

  it('says how large a packet may be that must not be divided [FW4-9]', () => {
    const router = new Router({ far: { mtu: 1400 } });
    const fits = transit4({ df: true, payload: pattern(1380) });
    expect(passed(router, fits)).to.deep.equal(hopped4(fits));
    const large = transit4({ df: true, payload: pattern(1381) });
    router.peer.receive(large);
    expect(router.peer.lastDrop).to.equal(DropReason.IpTooBig);
    const [error] = router.peer.sentIcmp();
    expect([error.type, error.code, error.word]).to.deep.equal([3, 4, 1400]);
    expect(error.data).to.deep.equal(large.subarray(0, 548));
    expect(error.packet.from).to.equal(OWN[4]);
    // A route may say less, and never more than its link takes.
    router.peer.ip.routing.routes.add({ destination: '10.1.0.2/32', port: 2, mtu: 1300 });
    router.peer.receive(fits);
    expect(router.peer.sentIcmp()[0].word).to.equal(1300);
    router.peer.ip.routing.routes.add({ destination: '10.1.0.3/32', port: 2, mtu: 9000 });
    router.peer.receive(transit4({ to: '10.1.0.3', df: true, payload: pattern(1381) }));
    expect(router.peer.sentIcmp()[0].word).to.equal(1400);
    expect(router.far.queue).to.deep.equal([]);
    expect(router.stats.ip).to.include({ inTooBigErrors: 3, outFragFails: 3, outFragCreates: 0 });
  });

  it('divides a packet that may be divided, options where they belong [FW4-9]', () => {
    const router = new Router({ far: { mtu: 576 } });
    // A security label goes with every fragment, a record of the route with the first.
    const label = [130, 4, 1, 2];
    const route = [7, 7, 4, 0, 0, 0, 0, 1];
    const packet = transit4({
      id: 4711,
      ttl: 7,
      tos: 3,
      payload: pattern(1480),
      options: [...label, ...route],
    });
    router.peer.receive(packet);
    const { far } = router.sent();
    let offset = 0;
    for (const [i, piece] of far.entries()) {
      expect(piece).to.include({ from: NEAR[4], to: FAR[4], id: 4711, ttl: 6, tos: 3, df: false });
      expect(piece.bytes.length).to.be.at.most(576);
      expect(piece.offset).to.equal(offset);
      expect(piece.more).to.equal(i < far.length - 1);
      const options = i === 0 ? [...label, 7, 7, 8, 10, 1, 0, 1, 1] : label;
      expect([...piece.options]).to.deep.equal(options);
      offset += piece.payload.length;
    }
    expect(bytesOf(...far.map(({ payload }) => payload))).to.deep.equal(pattern(1480));
    expect(router.stats.ip).to.include({
      outFragReqds: 1,
      outFragOKs: 1,
      outFragCreates: far.length,
      outForwDatagrams: 1,
    });
  });

  it('says what routes mean: no way, a host that is away, not allowed, or nothing [FW4-10]', () => {
    const router = new Router();
    const { routes } = router.peer.ip.routing;
    routes.add({ destination: '10.7.1.0/24', type: 'unreachable' });
    routes.add({ destination: '10.7.2.0/24', type: 'prohibit' });
    routes.add({ destination: '10.7.3.0/24', type: 'blackhole' });
    routes.add({ destination: '10.7.4.0/24', type: 'throw' });
    const heard = (to: string): number[] => {
      router.peer.receive(transit4({ to }));
      return router.peer.sentIcmp().flatMap(({ type, code }) => [type, code]);
    };
    expect(heard('10.9.9.9'), 'no route').to.deep.equal([3, 0]);
    expect(heard('10.7.1.1'), 'unreachable').to.deep.equal([3, 1]);
    expect(heard('10.7.2.1'), 'prohibit').to.deep.equal([3, 13]);
    expect(router.peer.lastDrop).to.equal(DropReason.IpNoRoute);
    expect(heard('10.7.3.1'), 'blackhole').to.deep.equal([]);
    expect(router.peer.lastDrop).to.equal(DropReason.IpBlackhole);
    expect(heard('10.7.4.1'), 'throw').to.deep.equal([3, 0]);
    // What would loop back inside leads nowhere either.
    routes.add({ destination: '10.7.5.0/24', port: 0 });
    expect(heard('10.7.5.1'), 'loopback').to.deep.equal([3, 0]);
    expect(router.peer.loopback.queue).to.deep.equal([]);
    router.far.isUp = false;
    router.peer.ip.portChanged();
    expect(heard(FAR[4]), 'link down').to.deep.equal([3, 0]);
    expect(router.stats.ip.inNoRoutes).to.equal(7);
    expect(router.far.queue).to.deep.equal([]);
  });

  it('says what rules mean alike [FW4-10]', () => {
    const router = new Router();
    const { rules } = router.peer.ip.routing;
    rules.add({ priority: 10, iif: 'tun0', to: '10.1.0.0/24', action: 'prohibit' });
    router.peer.receive(transit4());
    expect(router.peer.sentIcmp().map(({ code }) => code)).to.deep.equal([13]);
    router.peer.receive(transit4({ from: '10.2.0.9' }), { link: 3 });
    expect(router.sent().far).to.have.length(1);
  });

  it('tells neighbours of a shorter way, on links that have neighbours [FW4-11]', () => {
    const router = new Router({ far: { resolves: true } });
    // It reports its groups to links that have neighbours.
    router.far.queue.length = 0;
    const { routes } = router.peer.ip.routing;
    routes.add({ destination: '10.5.0.0/16', gateway: '10.1.0.9', port: 2 });
    const packet = transit4({ from: FAR[4], to: '10.5.1.1' });
    router.peer.receive(packet, { link: 2 });
    const [redirect, onward] = router.far.queue.splice(0);
    const { type, code, word, data, packet: from } = readIcmp(redirect.bytes);
    expect([type, code]).to.deep.equal([5, 1]);
    expect(IpAddress.v4(word | 0).toString()).to.equal('10.1.0.9');
    expect(data).to.deep.equal(packet);
    expect([from.from, from.to]).to.deep.equal([OWN_FAR[4], FAR[4]]);
    // It goes its way all the same.
    expect(onward.bytes).to.deep.equal(hopped4(packet));
    expect(router.far.routers[1]).to.equal('10.1.0.9');
    expect(router.stats.icmp.outRedirects).to.equal(1);
    const quietly = (from: string, to: string): void => {
      router.peer.receive(transit4({ from, to }), { link: 2 });
      expect(
        router.peer.sent(router.far).map(({ protocol }) => protocol),
        `${from} to ${to}`,
      ).to.deep.equal([17]);
    };
    // Who is no neighbour has another first hop, and a neighbour of somebody else is none of his.
    quietly('10.2.0.9', '10.5.1.1');
    expect(router.third.queue).to.deep.equal([]);
    routes.add({ destination: '10.6.0.0/16', gateway: '172.16.0.1', port: 2, onlink: true });
    quietly(FAR[4], '10.6.1.1');
    // To a neighbour itself it is a shorter way, too.
    router.peer.receive(transit4({ from: FAR[4], to: '10.1.0.7' }), { link: 2 });
    const [direct] = router.far.queue.splice(0);
    expect(IpAddress.v4(readIcmp(direct.bytes).word | 0).toString()).to.equal('10.1.0.7');
    router.peer.ip.setLinkOptions(2, { sendRedirects: false });
    quietly(FAR[4], '10.1.0.7');
  });

  it('has no redirects on links without neighbours, as a TUN is [FW4-11]', () => {
    const router = new Router();
    router.peer.ip.routing.routes.add({ destination: '10.5.0.0/16', gateway: '10.0.0.9', port: 1 });
    router.peer.receive(transit4({ to: '10.5.1.1' }));
    expect(router.sent().near.map(({ protocol }) => protocol)).to.deep.equal([17]);
  });

  it('passes on no source routes [FW4-12]', () => {
    const router = new Router();
    for (const type of [131, 137]) {
      router.peer.receive(transit4({ options: [type, 7, 4, 10, 2, 0, 2, 0] }));
      expect(router.peer.lastDrop).to.equal(DropReason.IpSourceRoute);
    }
    expect(router.isSilent).to.equal(true);
  });

  it('reports options that cannot be read, from an address of its own', () => {
    const router = new Router();
    router.peer.receive(transit4({ options: [1, 68, 0, 1] }));
    const [error] = router.peer.sentIcmp();
    expect([error.type, error.code, error.word >>> 24]).to.deep.equal([12, 0, 21]);
    expect(error.packet.from).to.equal(OWN[4]);
    expect(router.far.queue).to.deep.equal([]);
  });

  it('adds itself to Record Route and Timestamp, as the port it leaves by is called [FW4-13]', () => {
    const router = new Router();
    const options = (given: readonly number[]): number[] => {
      const result = passed(router, transit4({ options: given }));
      return [...read(result as Uint8Array).options];
    };
    const own = [10, 1, 0, 1];
    expect(options([7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])).to.deep.equal([7, 11, 8, ...own, 0, 0, 0, 0, 0]);
    expect(options([7, 7, 8, 9, 9, 9, 9, 0]), 'full').to.deep.equal([7, 7, 8, 9, 9, 9, 9, 0]);
    const timeMs = Math.floor(router.peer.nowUs / 1000);
    const stamp = [0x80 | (timeMs >>> 24), (timeMs >> 16) & 255, (timeMs >> 8) & 255, timeMs & 255];
    expect(options([68, 8, 5, 0, 0, 0, 0, 0])).to.deep.equal([68, 8, 9, 0, ...stamp]);
    expect(options([68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0])).to.deep.equal([68, 12, 13, 1, ...own, ...stamp]);
    expect(options([68, 8, 9, 0, 1, 2, 3, 4]), 'overflow').to.deep.equal([68, 8, 9, 0x10, 1, 2, 3, 4]);
    // Others pass as they are.
    expect(options([148, 4, 0, 0])).to.deep.equal([148, 4, 0, 0]);
    // Without an address there is nothing to add.
    router.peer.ip.removeAddress(2, OWN_FAR[4]);
    router.peer.ip.routing.routes.add({ destination: '10.1.0.0/24', port: 2 });
    expect(options([7, 7, 4, 0, 0, 0, 0, 0])).to.deep.equal([7, 7, 4, 0, 0, 0, 0, 0]);
  });

  it('passes on nothing for groups, joined or not [FW4-14]', () => {
    const router = new Router();
    router.peer.ip.joinGroup(1, IpAddress.parse('239.1.1.1'));
    router.peer.ip.routing.routes.add({ destination: '224.0.0.0/4', port: 2 });
    router.peer.receive(transit4({ to: '239.1.1.1' }));
    expect(router.peer.udp.packets).to.have.length(1);
    router.sent();
    for (const to of ['239.1.1.2', '224.0.0.251', '232.1.1.1']) {
      router.peer.receive(transit4({ to }));
      expect(router.peer.lastDrop).to.equal(DropReason.IpNotForUs);
    }
    router.peer.receive(v6({ from: NEAR[6], to: 'ff0e::1:2', payload: udp(NEAR[6], 'ff0e::1:2') }));
    expect(router.isSilent).to.equal(true);
  });

  it('divides fragments again, so that they fit together as before [FW4-15]', () => {
    const bits = fc.record({
      mtu: fc.integer({ min: 68, max: 1500 }),
      offset: fc.integer({ min: 0, max: 5000 }).map((units) => units * 8),
      bytes: fc.integer({ min: 1, max: 1400 }),
      more: fc.boolean(),
      optionWords: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(bits, ({ mtu, offset, bytes, more, optionWords }) => {
        const router = new Router({ far: { mtu } });
        const payload = pattern(more ? (bytes + 7) & ~7 : bytes);
        const options = new Array<number[]>(optionWords).fill([130, 4, 1, 2]).flat();
        const packet = transit4({ id: 99, offset, more, payload, protocol: 50, options });
        router.peer.receive(packet);
        const { far } = router.sent();
        let at = offset;
        for (const [i, piece] of far.entries()) {
          const isLast = i === far.length - 1;
          expect(piece.bytes.length).to.be.at.most(mtu);
          expect(piece.offset).to.equal(at);
          expect(piece.more).to.equal(!isLast || more);
          if (piece.more) expect(piece.payload.length % 8).to.equal(0);
          expect([...piece.options]).to.deep.equal(options);
          at += piece.payload.length;
        }
        expect(bytesOf(...far.map((piece) => piece.payload))).to.deep.equal(payload);
      }),
      { numRuns: 300 },
    );
  });

  it('gives fragments of fragments to a host that puts them together [FW4-15]', () => {
    const whole = udp(NEAR[4], FAR[4], pattern(2900));
    const narrow = new Router({ far: { mtu: 1006 } });
    const narrower = new Router({ far: { mtu: 300 } });
    const host = new IpPeer({ addresses: [`${FAR[4]}/24`] });
    for (const [offset, end] of [
      [0, 1480],
      [1480, whole.length],
    ]) {
      narrow.peer.receive(
        transit4({ id: 5, offset, more: end < whole.length, payload: whole.subarray(offset, end) }),
      );
    }
    for (const { bytes } of narrow.sent().far) narrower.peer.receive(bytes);
    const pieces = narrower.sent().far;
    expect(pieces.length).to.be.greaterThan(10);
    for (const { bytes } of pieces.reverse()) host.receive(bytes);
    expect(host.udp.packets.map(({ payload }) => payload)).to.deep.equal([whole]);
  });

  it('passes fragments on one by one, and puts none together [FR4-17]', () => {
    const router = new Router();
    const second = transit4({ id: 9, offset: 24, payload: pattern(8) });
    const first = transit4({ id: 9, more: true, payload: pattern(24) });
    // A tiny first fragment is for the end of the path to judge.
    const tiny = transit4({ id: 10, protocol: 6, more: true, payload: pattern(8) });
    const packets = [second, first, tiny];
    for (const packet of packets) router.peer.receive(packet);
    expect(router.far.queue.splice(0).map(({ bytes }) => bytes)).to.deep.equal(packets.map(hopped4));
    expect(router.stats.ip).to.include({ reasmReqds: 0, reasmBytes: 0, outForwDatagrams: 3 });
    for (const { bytes } of router.far.queue) expect(read(bytes).payload.length).to.be.greaterThan(0);
  });

  it('goes by rules and routes: marks, traffic classes, links and next hops', () => {
    const router = new Router();
    const { routes, rules } = router.peer.ip.routing;
    routes.add({ destination: '10.1.0.0/24', port: 3, table: 100 });
    rules.add({ priority: 100, mark: 7, table: 100 });
    router.peer.receive(transit4());
    router.peer.receive(transit4(), { mark: 7 });
    const marked = router.sent();
    expect([marked.far.length, marked.third.length]).to.deep.equal([1, 1]);
    routes.add({ destination: '10.1.0.0/24', port: 3, tos: 0x10 });
    router.peer.receive(transit4({ tos: 0x10 }));
    router.peer.receive(transit4({ tos: 0x13 }));
    router.peer.receive(transit4({ tos: 0x20 }));
    const classes = router.sent();
    expect([classes.far.length, classes.third.length]).to.deep.equal([1, 2]);
    rules.add({ priority: 50, iif: 'tun0', ipproto: 17, dport: 7, action: 'unreachable' });
    router.peer.receive(transit4());
    expect(router.peer.sentIcmp().map(({ code }) => code)).to.deep.equal([1]);
    // A later fragment has no ports, and its first four bytes are none.
    router.peer.receive(transit4({ offset: 8, payload: [0, 9, 0, 7] }));
    expect(router.sent().far).to.have.length(1);
  });

  it('keeps a flow to one of several next hops, its fragments with it', () => {
    const router = new Router({ options: { multipathHash: 'l4' } });
    router.peer.ip.routing.routes.add({
      destination: '10.8.0.0/16',
      nexthops: [
        { gateway: '10.1.0.9', port: 2 },
        { gateway: '10.2.0.9', port: 3 },
      ],
    });
    const seen = new Map<number, Set<string>>();
    for (let round = 0; round < 3; round++) {
      for (let port = 5000; port < 5040; port++) {
        const to = '10.8.0.1';
        router.peer.receive(transit4({ to, payload: udp(NEAR[4], to, [], [port, 53]) }));
        const { far, third } = router.sent();
        const links = seen.get(port) ?? new Set();
        seen.set(port, links.add(far.length === 1 ? 'far' : third.length === 1 ? 'third' : 'none'));
      }
    }
    expect([...seen.values()].every((links) => links.size === 1)).to.equal(true);
    expect(new Set([...seen.values()].flatMap((links) => [...links]))).to.deep.equal(
      new Set(['far', 'third']),
    );
    const fragments = Array.from(
      { length: 20 },
      (_, i): Uint8Array =>
        transit4({ to: '10.8.0.1', id: 3, offset: i * 8, more: true, payload: pattern(8).map((b) => b + i) }),
    );
    for (const fragment of fragments) router.peer.receive(fragment);
    const { far, third } = router.sent();
    expect([far.length, third.length]).to.have.members([0, 20]);
  });

  it('drops and counts what finds its link full', () => {
    const router = new Router({ far: { mtu: 576 } });
    router.far.room = 1;
    const dropped = (): number => router.stats.drops.count(DropReason.LinkQueueFull);
    router.peer.receive(transit4());
    router.peer.receive(transit4());
    expect(dropped()).to.equal(1);
    expect(router.stats.ip).to.include({ outForwDatagrams: 1, outDiscards: 1 });
    router.far.room = 2;
    router.peer.receive(transit4({ payload: pattern(1400) }));
    expect(dropped()).to.equal(2);
    expect(router.stats.ip).to.include({
      outForwDatagrams: 1,
      outDiscards: 2,
      outFragFails: 1,
      outFragOKs: 0,
    });
    expect(router.near.queue).to.deep.equal([]);
  });
});
