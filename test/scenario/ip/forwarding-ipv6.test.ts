/** IPv6 in passing: RFC 8200, RFC 4443, RFC 4007, RFC 4861 §8.2, RFC 5095. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { IpPeer } from '../../support/ip-peer.js';
import {
  bytesOf,
  fragmentHeader,
  icmp6,
  optionsHeader,
  pattern,
  read,
  readIcmp,
  routingHeader,
  tcp,
  udp,
  v6,
} from '../../support/ip-wire.js';
import { FAR, hopped6, NEAR, OWN, OWN_FAR, Router, transit6 } from '../../support/router.js';

function passed(router: Router, packet: Uint8Array): Uint8Array | undefined {
  router.peer.receive(packet);
  const [only] = router.far.queue.splice(0);
  return only?.bytes;
}

describe('forwarding: IPv6', () => {
  it('passes a packet on with one hop less and nothing else changed', () => {
    const router = new Router();
    const packets = [
      transit6({ trafficClass: 0xba, flowLabel: 0x12345, hopLimit: 255 }),
      transit6({ next: 59, payload: [] }),
      transit6({ next: 200, payload: pattern(9), hopLimit: 2 }),
    ];
    for (const packet of packets) expect(passed(router, packet)).to.deep.equal(hopped6(packet));
    expect(router.isSilent).to.equal(true);
    expect(router.stats.ip).to.include({ inForwDatagrams: 3, outForwDatagrams: 3 });
  });

  it('says that no hop was left, and delivers what is for it all the same (RFC 4443 §3.3)', () => {
    const router = new Router();
    for (const hopLimit of [1, 0]) {
      const packet = transit6({ hopLimit });
      router.peer.receive(packet);
      expect(router.peer.lastDrop).to.equal(DropReason.IpHopLimit);
      const [error] = router.peer.sentIcmp();
      expect([error.type, error.code, error.word]).to.deep.equal([3, 0, 0]);
      expect(error.data).to.deep.equal(packet);
      expect([error.packet.from, error.packet.to, error.packet.tos]).to.deep.equal([OWN[6], NEAR[6], 0]);
    }
    router.peer.receive(transit6({ to: OWN_FAR[6], hopLimit: 1 }));
    expect(router.peer.udp.packets).to.have.length(1);
    expect(router.far.queue).to.deep.equal([]);
  });

  it('does not look at options and extension headers of others (RFC 8200 §4)', () => {
    const router = new Router();
    const upper = udp(NEAR[6], FAR[6], [1]);
    const chains = [
      // An option of which a destination would complain, behind headers in any order.
      { next: 0, payload: bytesOf(optionsHeader(17, [0xc2, 0]), upper) },
      { next: 60, payload: bytesOf(optionsHeader(17, [0x9e, 1, 0]), upper) },
      { next: 43, payload: bytesOf(routingHeader(17, 0, 1, pattern(16) as unknown as number[]), upper) },
      { next: 60, payload: bytesOf(optionsHeader(0, [1, 0]), optionsHeader(17, []), upper) },
      { next: 44, payload: bytesOf(fragmentHeader(17, 0, true, 5), pattern(16)) },
      { next: 44, payload: bytesOf(fragmentHeader(17, 16, false, 5), pattern(7)) },
    ];
    for (const chain of chains) {
      const packet = transit6(chain);
      expect(passed(router, packet)).to.deep.equal(hopped6(packet));
    }
    expect(router.isSilent).to.equal(true);
    expect(router.stats.ip.reasmReqds).to.equal(0);
  });

  it('is no way station of source routes (RFC 5095 §3)', () => {
    const router = new Router();
    const payload = bytesOf(
      routingHeader(17, 0, 1, [...new Array<number>(16).fill(1)]),
      udp(NEAR[6], OWN[6]),
    );
    router.peer.receive(v6({ from: NEAR[6], to: OWN[6], next: 43, payload }));
    expect(router.peer.sentIcmp().map(({ type, code }) => [type, code])).to.deep.equal([[4, 0]]);
    expect(router.far.queue).to.deep.equal([]);
  });

  it('divides nothing, and says how large packets may be [FR6-10]', () => {
    const router = new Router({ far: { mtu: 1400 } });
    const fits = transit6({ payload: pattern(1360) });
    expect(passed(router, fits)).to.deep.equal(hopped6(fits));
    const large = transit6({ payload: pattern(1361) });
    router.peer.receive(large);
    expect(router.peer.lastDrop).to.equal(DropReason.IpTooBig);
    const [error] = router.peer.sentIcmp();
    expect([error.type, error.code, error.word]).to.deep.equal([2, 0, 1400]);
    expect(error.data).to.deep.equal(large.subarray(0, 1232));
    expect(error.packet.from).to.equal(OWN[6]);
    // Every link carries 1280 bytes, whatever a route says (RFC 8200 §5).
    router.peer.ip.routing.routes.add({ destination: '2001:db8:1::2/128', port: 2, mtu: 600 });
    const least = transit6({ payload: pattern(1240) });
    expect(passed(router, least)).to.deep.equal(hopped6(least));
    router.peer.receive(transit6({ payload: pattern(1241) }));
    expect(router.peer.sentIcmp()[0].word).to.equal(1280);
    expect(router.far.queue).to.deep.equal([]);
    expect(router.stats.ip).to.include({ inTooBigErrors: 2, outFragCreates: 0, outFragFails: 0 });
    expect(router.stats.icmp.outPktTooBigs).to.equal(2);
  });

  it('has no way over links too narrow for it', () => {
    const router = new Router();
    // As the MTU of a TUN may become.
    router.far.mtu = 1279;
    router.peer.receive(transit6());
    expect(router.peer.sentIcmp().map(({ type, code }) => [type, code])).to.deep.equal([[1, 0]]);
    expect(router.far.queue).to.deep.equal([]);
  });

  it('keeps link-local addresses on their link (RFC 4007 §9)', () => {
    const router = new Router();
    router.peer.ip.routing.routes.add({ destination: '::/0', port: 2 });
    router.peer.ip.addAddress(1, 'fe80::9/64');
    const packet = transit6({ from: 'fe80::2' });
    router.peer.receive(packet);
    expect(router.peer.lastDrop).to.equal(DropReason.IpNotForwardable);
    // Its sender hears that he needs another source.
    const [error] = router.peer.sentIcmp();
    expect([error.type, error.code]).to.deep.equal([1, 2]);
    expect([error.packet.from, error.packet.to]).to.deep.equal(['fe80::9', 'fe80::2']);
    expect(error.data).to.deep.equal(packet);
    router.peer.receive(transit6({ to: 'fe80::77' }));
    expect(router.peer.lastDrop).to.equal(DropReason.IpNotForwardable);
    expect(router.isSilent).to.equal(true);
    expect(router.stats.ip.inForwDatagrams).to.equal(0);
  });

  it('passes on nothing from or to what can be nobody, nor for groups', () => {
    const router = new Router();
    router.peer.ip.routing.routes.add({ destination: '::/0', port: 2 });
    router.peer.ip.routing.routes.add({ destination: 'ff00::/8', port: 2 });
    const packets = [
      transit6({ from: '::' }),
      transit6({ from: '::1' }),
      transit6({ from: 'ff02::1' }),
      transit6({ from: OWN_FAR[6] }),
      transit6({ to: '::' }),
      transit6({ to: '::1' }),
      transit6({ to: 'ff0e::9' }),
      transit6({ to: 'ff02::9' }),
      transit6({ next: 0, payload: [] }),
    ];
    for (const packet of packets) {
      router.peer.receive(packet);
      expect(router.peer.lastDrop).not.to.equal(DropReason.None);
    }
    expect(router.isSilent).to.equal(true);
    expect(router.stats.ip.inForwDatagrams).to.equal(0);
  });

  it('says what routes mean (RFC 4443 §3.1)', () => {
    const router = new Router();
    const { routes } = router.peer.ip.routing;
    routes.add({ destination: '2001:db8:71::/48', type: 'unreachable' });
    routes.add({ destination: '2001:db8:72::/48', type: 'prohibit' });
    routes.add({ destination: '2001:db8:73::/48', type: 'blackhole' });
    const heard = (to: string): number[] => {
      router.peer.receive(transit6({ to }));
      return router.peer.sentIcmp().flatMap(({ type, code }) => [type, code]);
    };
    expect(heard('2001:db8:99::1')).to.deep.equal([1, 0]);
    expect(heard('2001:db8:71::1')).to.deep.equal([1, 3]);
    expect(heard('2001:db8:72::1')).to.deep.equal([1, 1]);
    expect(heard('2001:db8:73::1')).to.deep.equal([]);
    // No error about an error.
    router.peer.receive(
      transit6({
        to: '2001:db8:99::1',
        next: 58,
        payload: icmp6([NEAR[6], '2001:db8:99::1'], 1, 0, 0, transit6()),
      }),
    );
    expect(router.isSilent).to.equal(true);
  });

  it('asks whether packets may come that way, each link as it is set', () => {
    const router = new Router();
    router.peer.ip.setLinkOptions(1, { reversePathFilter: 'strict' });
    expect(passed(router, transit6({ from: '2001:db8:2::9' }))).to.equal(undefined);
    expect(router.peer.lastDrop).to.equal(DropReason.IpReversePath);
    expect(passed(router, transit6())).not.to.equal(undefined);
    expect(router.isSilent).to.equal(true);
  });

  it('tells neighbours of a shorter way (RFC 4861 §8.2)', () => {
    const router = new Router({ far: { resolves: true } });
    // It reports its groups to links that have neighbours.
    router.far.queue.length = 0;
    const { routes } = router.peer.ip.routing;
    routes.add({ destination: '2001:db8:5::/48', gateway: 'fe80::77', port: 2 });
    const packet = transit6({
      from: FAR[6],
      to: '2001:db8:5::1',
      payload: udp(FAR[6], '2001:db8:5::1', [7, 8]),
    });
    router.peer.receive(packet, { link: 2 });
    const [redirect, onward] = router.far.queue.splice(0);
    const { type, code, word, data, packet: from } = readIcmp(redirect.bytes);
    expect([type, code, word]).to.deep.equal([137, 0, 0]);
    expect([from.from, from.to, from.ttl]).to.deep.equal(['fe80::1', FAR[6], 255]);
    const view = new DataView(data.slice().buffer);
    expect(IpAddress.read(view, 0, 6).toString()).to.equal('fe80::77');
    expect(IpAddress.read(view, 16, 6).toString()).to.equal('2001:db8:5::1');
    const quoted = packet.length & ~7;
    expect([...data.subarray(32, 40)]).to.deep.equal([4, 1 + quoted / 8, 0, 0, 0, 0, 0, 0]);
    expect(data.subarray(40)).to.deep.equal(packet.subarray(0, quoted));
    expect(onward.bytes).to.deep.equal(hopped6(packet));
    expect(router.stats.icmp.outRedirects).to.equal(1);
    const quietly = (source: string, to: string): void => {
      router.peer.receive(transit6({ from: source, to }), { link: 2 });
      expect(
        router.peer.sent(router.far).map(({ protocol }) => protocol),
        to,
      ).to.deep.equal([17]);
    };
    // A router that is known by another address than its link-local one cannot be named.
    routes.add({ destination: '2001:db8:6::/48', gateway: '2001:db8:1::9', port: 2 });
    quietly(FAR[6], '2001:db8:6::1');
    quietly('2001:db8:2::9', '2001:db8:5::1');
    expect(router.third.queue).to.deep.equal([]);
    router.peer.receive(transit6({ from: FAR[6], to: '2001:db8:1::9' }), { link: 2 });
    const [direct] = router.far.queue.splice(0);
    const target = readIcmp(direct.bytes).data.slice();
    expect(IpAddress.read(new DataView(target.buffer), 0, 6).toString()).to.equal('2001:db8:1::9');
  });

  it('sends redirects a host believes that obeys them', () => {
    const router = new Router({ far: { resolves: true } });
    router.peer.ip.routing.routes.add({ destination: '2001:db8:5::/48', gateway: 'fe80::77', port: 2 });
    const host = new IpPeer({ addresses: [`${FAR[6]}/64`], options: { acceptRedirects: true } });
    host.ip.routing.routes.add({ destination: '::/0', gateway: 'fe80::1', port: 1 });
    const path = host.resolve('2001:db8:5::1');
    host.send(path, udp(FAR[6], '2001:db8:5::1', [1]), 6);
    for (const { bytes } of host.port.queue.splice(0)) router.peer.receive(bytes, { link: 2 });
    const redirects = router.far.queue.splice(0).filter(({ bytes }) => bytes[6] === 58);
    expect(redirects).to.have.length(1);
    host.receive(redirects[0].bytes);
    expect(host.stats.drops.toJSON()).to.deep.equal({});
    expect(host.ip.revalidate(path)).to.equal(true);
    expect(path.gateway?.toString()).to.equal('fe80::77');
  });

  it('passes on TCP, whole or in what fragments its sender made', () => {
    const router = new Router();
    const host = new IpPeer({ addresses: [`${FAR[6]}/64`] });
    const segment = tcp(NEAR[6], FAR[6], pattern(2000));
    for (const [offset, end] of [
      [0, 1208],
      [1208, segment.length],
    ]) {
      const payload = bytesOf(
        fragmentHeader(6, offset, end < segment.length, 77),
        segment.subarray(offset, end),
      );
      const result = passed(router, transit6({ next: 44, payload }));
      expect(read(result as Uint8Array).offset).to.equal(offset);
      host.receive(result as Uint8Array);
    }
    expect(host.tcp.packets.map(({ payload }) => payload)).to.deep.equal([segment]);
  });
});
