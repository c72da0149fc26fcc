/** Outside addresses that come, grow old and go, while flows go on (RFC 4862 §5.5.4, RFC 4787 §4.1). */
import { expect } from 'chai';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import {
  HOST,
  HOST_6,
  NatWorld,
  type NatWorldOptions,
  OUTSIDE,
  OUTSIDE_6,
  only,
  PEER,
  PEER_2,
  PEER_6,
  place,
  tcpPacket,
  udpPacket,
} from '../../support/nat-world.js';

const NEWER = '198.51.101.9';
const NEWER_6 = '2001:db8:1::9';
const OUTSIDE_LINK = 2;

describe('NAT and the age of its outside addresses', () => {
  let world: NatWorld;

  const begin = (options: NatWorldOptions = {}): void => {
    world = new NatWorld({ families: [4, 6], ...options });
  };

  const deprecate = (address: string, isDeprecated = true): void =>
    world.stack.ip.deprecateAddress(OUTSIDE_LINK, address, isDeprecated);

  /** As what an endpoint inside is seen by a peer. */
  const seenAs = (host: string, port: number, peer = PEER): ReturnType<typeof place> =>
    only(world.out(udpPacket(place(host, port), place(peer, 53)))).from;

  afterEach(() => world.close());

  for (const [family, host, peer, address, newer] of [
    ['IPv4', HOST, PEER, OUTSIDE, NEWER],
    ['IPv6', HOST_6, PEER_6, OUTSIDE_6, NEWER_6],
  ] as const) {
    describe(family, () => {
      const add = (): void =>
        world.stack.ip.addAddress(OUTSIDE_LINK, `${newer}/${family === 'IPv4' ? 24 : 64}`);

      it('lets flows go on with one that is deprecated, and gives new ones another [NA-1]', () => {
        begin();
        add();
        expect(seenAs(host, 5000, peer)).to.deep.equal(place(address, 5000));
        deprecate(address);
        expect(seenAs(host, 5000, peer), 'a session').to.deep.equal(place(address, 5000));
        only(world.in(udpPacket(place(peer, 53), place(address, 5000))));
        expect(seenAs(host, 5001, peer), 'another endpoint').to.deep.equal(place(newer, 5001));
        expect(seenAs(host, 5001, peer)).to.deep.equal(place(newer, 5001));
        only(world.in(udpPacket(place(peer, 53), place(newer, 5001))));
        expect(seenAs(host, 5000, peer), 'still').to.deep.equal(place(address, 5000));
        expect(world.nat.addresses).to.include.members([newer, address]);
        expect(world.nat.stats).to.include({ sessions: 2, mappings: 2 });
      });

      it('uses one that is deprecated while there is no other [NA-1]', () => {
        begin();
        deprecate(address);
        expect(seenAs(host, 5000, peer)).to.deep.equal(place(address, 5000));
        add();
        expect(seenAs(host, 5001, peer)).to.deep.equal(place(newer, 5001));
        expect(seenAs(host, 5000, peer)).to.deep.equal(place(address, 5000));
      });

      it('stays with the newer where the older is preferred again, and ends nothing', () => {
        begin();
        add();
        seenAs(host, 5000, peer);
        deprecate(address);
        seenAs(host, 5001, peer);
        deprecate(address, false);
        expect(seenAs(host, 5000, peer)).to.deep.equal(place(address, 5000));
        expect(seenAs(host, 5001, peer)).to.deep.equal(place(newer, 5001));
        expect(seenAs(host, 5002, peer)).to.deep.equal(place(newer, 5002));
        expect(world.nat.stats.sessions).to.equal(3);
      });

      it('ends what has one that is gone, and nothing else [NA-2]', () => {
        begin();
        add();
        seenAs(host, 5000, peer);
        deprecate(address);
        seenAs(host, 5001, peer);
        world.stack.ip.removeAddress(OUTSIDE_LINK, address);
        expect(seenAs(host, 5001, peer)).to.deep.equal(place(newer, 5001));
        expect(seenAs(host, 5000, peer)).to.deep.equal(place(newer, 5000));
        expect(world.nat.addresses.filter((one) => one.includes(':') === (family === 'IPv6'))).to.deep.equal([
          newer,
        ]);
      });
    });
  }

  it('leads to port forwards what comes to one that is deprecated [NA-1]', () => {
    begin();
    world.stack.ip.addAddress(OUTSIDE_LINK, `${NEWER}/24`);
    world.nat.forward({ protocol: 'tcp', outsidePort: 80, insideAddress: HOST });
    const client = place(PEER, 1000);
    only(world.in(tcpPacket(client, place(OUTSIDE, 80), 'S')));
    expect(only(world.out(tcpPacket(place(HOST, 80), client, 'S.'))).from).to.deep.equal(place(OUTSIDE, 80));
    deprecate(OUTSIDE);
    only(world.in(tcpPacket(client, place(OUTSIDE, 80), '.')));
    expect(only(world.out(tcpPacket(place(HOST, 80), client, '.'))).from).to.deep.equal(place(OUTSIDE, 80));
    const second = place(PEER_2, 1000);
    only(world.in(tcpPacket(second, place(OUTSIDE, 80), 'S')));
    expect(only(world.out(tcpPacket(place(HOST, 80), second, 'S.'))).from).to.deep.equal(place(OUTSIDE, 80));
  });

  it('does not use one that is tentative [NA-2]', () => {
    begin();
    Object.assign(world.outside, { addressAdded: () => true });
    world.stack.ip.addAddress(OUTSIDE_LINK, `${NEWER}/24`);
    world.stack.ip.removeAddress(OUTSIDE_LINK, OUTSIDE);
    expect(world.out(udpPacket(place(HOST, 5000), place(PEER, 53))), 'nobody knows yet whose it is').to.be
      .empty;
    world.stack.ip.settleAddress(OUTSIDE_LINK, IpAddress.parse(NEWER));
    expect(seenAs(HOST, 5000)).to.deep.equal(place(NEWER, 5000));
  });

  it('keeps an address that was given by hand, whatever the link thinks of it', () => {
    begin({ addresses: [OUTSIDE] });
    world.stack.ip.addAddress(OUTSIDE_LINK, `${NEWER}/24`);
    deprecate(OUTSIDE);
    expect(seenAs(HOST, 5000)).to.deep.equal(place(OUTSIDE, 5000));
  });

  it('gives a host whose address has no port left none of another, and a new host one that has', () => {
    begin({ addresses: [OUTSIDE, NEWER], ports: [2000, 2009] });
    const first = seenAs(HOST, 1024).address;
    const other = first === OUTSIDE ? NEWER : OUTSIDE;
    for (let i = 1; i < 10; i++) expect(seenAs(HOST, 1024 + i).address).to.equal(first);
    expect(world.out(udpPacket(place(HOST, 1050), place(PEER, 53))), 'one too many').to.be.empty;
    for (let i = 0; i < 10; i++) {
      expect(seenAs(`192.168.0.${20 + i}`, 1024).address, `host ${i}`).to.equal(other);
    }
    world.pass(6001);
    expect(seenAs(HOST, 1050).address, 'in place of one at the same address').to.equal(first);
    expect(world.nat.stats.sessionsEvicted, 'and no more ended than that').to.equal(1);
  });

  it('ends no mapping for a flow that has no outside address', () => {
    begin({ addresses: [OUTSIDE] });
    seenAs(HOST, 5000);
    world.pass(6001);
    expect(world.out(udpPacket(place(HOST_6, 5000), place(PEER_6, 53)))).to.be.empty;
    expect(world.nat.stats).to.include({ sessionsEvicted: 0, mappingsRefused: 1, mappings: 1 });
  });
});
