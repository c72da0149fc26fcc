/** Path MTUs: RFC 1191, RFC 8201, RFC 8021; and what bounds the memory of them. */
import { expect } from 'chai';
import { Begin } from '../../../lib/ip/ip-output.js';
import { plateauBelow } from '../../../lib/ip/path-mtu.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { IpPeer, type PeerOptions } from '../../support/ip-peer.js';
import { icmp4, icmp6, pattern, udp, v4, v6 } from '../../support/ip-wire.js';

const FAR4 = '192.0.2.9';
const FAR6 = '2001:db8:9::9';

function host(given: PeerOptions = {}): IpPeer {
  const peer = new IpPeer(given);
  peer.ip.routing.routes.add({ destination: '0.0.0.0/0', gateway: '10.0.0.254' });
  peer.ip.routing.routes.add({ destination: '::/0', gateway: '2001:db8::fe' });
  return peer;
}

/** Sends a ping of `length` bytes and has a router say that only `mtu` bytes fit. */
function tooBig(peer: IpPeer, family: 4 | 6, mtu: number, length = 1000): void {
  const destination = IpAddress.parse(family === 4 ? FAR4 : FAR6);
  if (peer.ip.echo.get(7) === undefined) peer.ip.echo.add(7, { reply: () => {}, error: () => {} });
  peer.ip.sendEchoRequest({ destination, identifier: 7, sequence: 1, payload: pattern(length) });
  const [sent] = peer.sent();
  if (family === 4) {
    peer.receive(
      v4({ from: '10.0.0.254', protocol: 1, payload: icmp4(3, 4, mtu, sent.bytes.subarray(0, 548)) }),
    );
  } else {
    const addresses = ['2001:db8::fe', '2001:db8::1'] as const;
    peer.receive(
      v6({
        from: addresses[0],
        next: 58,
        payload: icmp6(addresses, 2, 0, mtu, sent.bytes.subarray(0, 1232)),
      }),
    );
  }
}

describe('path MTU', () => {
  it('falls to what Packet Too Big says, never rises, and is forgotten after ten minutes [IC6-9]', () => {
    const peer = host();
    const path = peer.resolve(FAR6);
    const other = peer.resolve('2001:db8:9::10');
    const mtu = (): number => {
      peer.ip.revalidate(path);
      return path.mtu;
    };
    expect(mtu()).to.equal(1500);
    tooBig(peer, 6, 1400);
    expect(mtu(), 'paths in use follow').to.equal(1400);
    expect(peer.resolve(FAR6).mtu).to.equal(1400);
    peer.ip.revalidate(other);
    expect(other.mtu, 'other destinations do not').to.equal(1500);
    tooBig(peer, 6, 1450);
    expect(mtu(), 'never up').to.equal(1400);
    peer.advanceMs(300_000);
    tooBig(peer, 6, 1280);
    expect(mtu()).to.equal(1280);
    peer.advanceMs(599_999);
    expect(mtu()).to.equal(1280);
    peer.advanceMs(1);
    expect(mtu(), 'forgotten').to.equal(1500);
    expect(peer.ip.pathMtu.size).to.equal(0);
    expect(peer.ip.nextDeadlineUs).to.equal(Number.POSITIVE_INFINITY);
  });

  it('never falls below 1280 for IPv6, and no fragment headers come of trying [FR6-8]', () => {
    const peer = host();
    for (const mtu of [0, 1, 68, 576, 1279]) tooBig(peer, 6, mtu);
    const path = peer.resolve(FAR6);
    expect(path.mtu).to.equal(1500);
    expect(peer.ip.pathMtu.size).to.equal(0);
    tooBig(peer, 6, 1280);
    tooBig(peer, 6, 1000);
    peer.send(path, udp('2001:db8::1', FAR6, pattern(500)), 6);
    const [sent] = peer.sent();
    expect([sent.df, sent.bytes[6]], 'no Fragment header').to.deep.equal([true, 17]);
    expect(path.mtu).to.equal(1280);
  });

  it('falls for IPv4 to 552 at least, below which DF is given up', () => {
    const peer = host();
    const path = peer.resolve(FAR4);
    tooBig(peer, 4, 1300);
    expect(peer.send(path, pattern(1281))).to.equal(Begin.TooBig);
    expect(peer.send(path, pattern(1280))).to.equal(Begin.Ok);
    expect(peer.sent()[0].df).to.equal(true);
    expect(path.mtu).to.equal(1300);
    for (const mtu of [551, 68, 67, 1]) {
      tooBig(peer, 4, mtu);
      expect(peer.send(path, pattern(900)), `at ${mtu}`).to.equal(Begin.Ok);
      expect(path.mtu).to.equal(552);
      expect(path.mtuLocked).to.equal(true);
      const fragments = peer.sent();
      expect(fragments.map(({ df, payload }) => [df, payload.length])).to.deep.equal([
        [false, 528],
        [false, 372],
      ]);
    }
    peer.advanceMs(600_000);
    peer.ip.revalidate(path);
    expect([path.mtu, path.mtuLocked]).to.deep.equal([1500, false]);
    // A router that names no MTU: the plateau below what did not fit.
    tooBig(peer, 4, 0, 1472);
    peer.ip.revalidate(path);
    expect(path.mtu).to.equal(1492);
    expect([65_535, 32_000, 1500, 1492, 576, 69, 68, 20].map(plateauBelow)).to.deep.equal([
      32_000, 17_914, 1492, 1006, 508, 68, 68, 68,
    ]);
  });

  it('believes only what is about a packet of ours that somebody waits for', () => {
    const peer = host();
    const quote = (identifier: number, from = '10.0.0.1'): Uint8Array =>
      v4({ from, to: FAR4, protocol: 1, payload: icmp4(8, 0, identifier * 65_536, pattern(20)) });
    const say = (bytes: Uint8Array): void =>
      peer.receive(v4({ from: '10.0.0.254', protocol: 1, payload: icmp4(3, 4, 900, bytes) }));
    say(quote(8));
    say(quote(7, '10.0.0.77'));
    say(v4({ from: '10.0.0.1', to: FAR4, payload: udp('10.0.0.1', FAR4) }));
    expect(peer.ip.pathMtu.size, 'a transport decides for itself').to.equal(0);
    const path = peer.resolve(FAR4);
    expect(path.mtu).to.equal(1500);
    expect(peer.udp.errors).to.have.length(1);
    expect(peer.ip.learnPathMtu(path, 900)).to.equal(true);
    expect(path.mtu).to.equal(900);
    expect(peer.ip.learnPathMtu(path, 900)).to.equal(false);
    expect(peer.ip.learnPathMtu(path, 1200)).to.equal(false);
  });

  it('does not learn where the route forbids it, and takes the least of link, route and lesson', () => {
    const peer = host();
    peer.ip.routing.routes.add({
      destination: '192.0.2.0/24',
      gateway: '10.0.0.254',
      mtu: 1300,
      mtuLock: true,
    });
    const path = peer.resolve(FAR4);
    tooBig(peer, 4, 900);
    peer.ip.revalidate(path);
    expect([path.mtu, path.mtuLocked]).to.deep.equal([1300, true]);
    peer.send(path, pattern(2000));
    expect(
      peer.sent().every(({ df }) => !df),
      'and then nothing is sent with DF',
    ).to.equal(true);
    peer.ip.routing.routes.replace({ destination: '192.0.2.0/24', gateway: '10.0.0.254', mtu: 1300 });
    peer.ip.revalidate(path);
    expect(path.mtu).to.equal(1300);
    tooBig(peer, 4, 1400);
    peer.ip.revalidate(path);
    expect(path.mtu).to.equal(1300);
    peer.port.mtu = 1200;
    peer.ip.portChanged();
    peer.ip.revalidate(path);
    expect(path.mtu).to.equal(1200);
  });

  it('keeps lessons for each destination and route, a bounded number, until the route goes [RT-22]', () => {
    const peer = host({ options: { pathExceptions: 64 } });
    const learn = (i: number): void => {
      const path = peer.resolve(`192.0.${i >> 8}.${i & 255}`);
      expect(peer.ip.learnPathMtu(path, 1000 + (i % 400))).to.equal(true);
    };
    for (let i = 0; i < 63; i++) learn(i);
    expect([peer.ip.pathMtu.size, peer.ip.pathMtu.evictions]).to.deep.equal([63, 0]);
    learn(63);
    expect([peer.ip.pathMtu.size, peer.ip.pathMtu.evictions]).to.deep.equal([64, 0]);
    learn(64);
    expect([peer.ip.pathMtu.size, peer.ip.pathMtu.evictions]).to.deep.equal([64, 1]);
    for (let i = 65; i < 2000; i++) learn(i);
    expect(peer.ip.pathMtu.size).to.equal(64);
    // Who had to go is chance: neither the oldest nor the youngest only.
    const kept = peer.ip.pathMtu.list().map(({ destination }) => (destination.w3 & 0xffff) - 0);
    const recent = kept.filter((low) => low >= 2000 - 64).length;
    expect(recent).to.be.within(15, 60);
    expect(kept).to.include(1999);

    // Lessons belong to the route they were learnt on.
    const path = peer.resolve('192.0.7.207');
    expect(path.mtu).to.equal(1000 + (1999 % 400));
    peer.ip.routing.routes.add({ destination: '192.0.7.0/24', gateway: '10.0.0.253' });
    peer.ip.revalidate(path);
    expect(path.mtu).to.equal(1500);
    peer.ip.routing.routes.delete({ destination: '192.0.7.0/24' });
    peer.ip.revalidate(path);
    expect(path.mtu).to.equal(1000 + (1999 % 400));
    peer.ip.routing.routes.delete({ destination: '0.0.0.0/0' });
    expect(peer.ip.pathMtu.size, 'and go with it').to.equal(0);
    peer.ip.routing.routes.add({ destination: '0.0.0.0/0', gateway: '10.0.0.254' });
    peer.ip.revalidate(path);
    expect(path.mtu).to.equal(1500);
    expect(peer.ip.nextDeadlineUs).to.be.above(peer.nowUs);
    peer.advanceMs(700_000);
    expect(peer.ip.nextDeadlineUs).to.equal(Number.POSITIVE_INFINITY);
  });
});
