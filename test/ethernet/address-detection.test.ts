import { expect } from 'chai';
import type { AddressConflict } from '../../lib/ethernet/address-detection.js';
import { ArpOperation, NO_MAC, writeArp } from '../../lib/ethernet/arp-packet.js';
import { MacAddress } from '../../lib/ethernet/mac-address.js';
import { neighborSolicitation } from '../../lib/ethernet/nd-message.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { frameOf, hex, Lan, type LanHost, Pinger, viewOf } from './lan.js';

const ARP = 0x0806;
const IPV6 = 0x86dd;
const PEER = '52:54:00:00:00:99';

const ndTypes = (frames: Uint8Array[]): number[] => frames.map((frame) => frame[54]);

describe('Ethernet address detection', () => {
  const tentative = ({ stack, index }: LanHost): string[] =>
    stack.ip
      .addresses(index)
      .filter((entry) => entry.tentative)
      .map(({ address }) => address);

  it('asks for an IPv6 address, waits a second, and only then uses and announces it (RFC 4862 §5.4) [IC6-14]', () => {
    const lan = new Lan();
    const a = lan.host('a', { ethernet: { detection: {}, linkLocal: false }, addresses: ['fd00::1/64'] });
    expect(tentative(a)).to.deep.equal(['fd00::1/64']);
    expect(() => a.stack.listenTcp({ port: 80, address: 'fd00::1' })).to.throw('EADDRNOTAVAIL');
    lan.advanceMs(1000);
    const [solicitation] = lan.framesOf(IPV6);
    expect(solicitation[54]).to.equal(135);
    expect(hex(solicitation.subarray(22, 38)), 'from nobody').to.equal('0'.repeat(32));
    expect(hex(solicitation.subarray(38, 54))).to.equal('ff0200000000000000000001ff000001');
    expect(solicitation, 'without its address').to.have.length(14 + 40 + 24);
    lan.advanceMs(1000);
    expect(tentative(a)).to.deep.equal([]);
    expect(ndTypes(lan.framesOf(IPV6))).to.deep.equal([135, 136]);
    a.stack.listenTcp({ port: 80, address: 'fd00::1' });
  });

  it('answers nothing for a tentative address, and sends nothing from it [IC6-14]', () => {
    const lan = new Lan();
    const a = lan.host('a', { ethernet: { detection: {} }, addresses: ['fd00::1/64'] });
    const b = lan.host('b', { addresses: ['fd00::2/64'] });
    const ping = new Pinger(b.stack);
    ping.send('fd00::1');
    expect(new Pinger(a.stack).send('fd00::2')).to.equal('ENETUNREACH');
    lan.advanceMs(500);
    expect(ping.replies).to.deep.equal([]);
    const answers = lan.framesOf(IPV6).filter((frame) => frame[54] === 136);
    expect(answers.filter((frame) => hex(frame.subarray(62, 78)) === `fd00${'0'.repeat(27)}1`)).to.deep.equal(
      [],
    );
    lan.advanceMs(2500);
    expect(ping.replies).to.deep.equal([1]);
  });

  it('gives up an address that somebody has, and says so [IC6-14]', () => {
    const lan = new Lan();
    lan.host('a', { addresses: ['fd00::1/64'] });
    const b = lan.host('b', { ethernet: { detection: {} } });
    const conflicts: AddressConflict[] = [];
    b.link.onConflict = (conflict) => void conflicts.push(conflict);
    b.stack.ip.addAddress(b.index, 'fd00::1/64');
    lan.advanceMs(3000);
    expect(conflicts.map(({ address, isLost }) => [String(address), isLost])).to.deep.equal([
      ['fd00::1', true],
    ]);
    expect(b.stack.ip.addresses(b.index).map(({ address }) => address)).to.not.include('fd00::1/64');
    expect(b.link.counters.addressConflicts).to.equal(1);
  });

  it('lets only one of two hosts that ask for one address at once have it (RFC 4862 §5.4.3) [IC6-14]', () => {
    const lan = new Lan();
    const hosts = ['a', 'b'].map((name) =>
      lan.host(name, { ethernet: { detection: {}, linkLocal: false }, addresses: ['fd00::1/64'] }),
    );
    lan.advanceMs(4000);
    const owners = hosts.filter(({ stack, index }) => stack.ip.addresses(index).length > 0);
    expect(owners).to.have.length(1);
    expect(hosts.map(({ link }) => link.counters.addressConflicts)).to.have.members([0, 1]);
  });

  it('gives up at once an address that somebody asks for as we do (RFC 4862 §5.4.3) [IC6-14]', () => {
    const lan = new Lan();
    const a = lan.host('a', { ethernet: { detection: {}, linkLocal: false }, addresses: ['fd00::1/64'] });
    lan.advanceMs(1);
    const target = IpAddress.parse('fd00::1');
    const ends = { source: IpAddress.parse('::'), destination: IpAddress.parse('ff02::1:ff00:1') };
    const question = neighborSolicitation(ends, target);
    lan.inject(frameOf({ from: PEER, to: '33:33:ff:00:00:01', type: IPV6 }, question));
    lan.advanceMs(1);
    expect(a.stack.ip.addresses(a.index)).to.deep.equal([]);
  });

  it('tries another link-local address where identifiers allow for it (RFC 7217 §5)', () => {
    const lan = new Lan();
    const secret = new Uint8Array(16).fill(7);
    const mac = '52:54:00:00:00:0a';
    const first = lan.host('a', { ethernet: { secret, mac } });
    const [own] = first.stack.ip.addresses(first.index);
    const taken = IpAddress.parse(own.address.replace('/64', ''));
    first.stack.close();
    lan.advanceMs(10);
    lan.host('squatter', { addresses: [`${taken}/64`] });
    const second = lan.host('b', { ethernet: { secret, mac, detection: {} } });
    lan.advanceMs(5000);
    const [next] = second.stack.ip.addresses(second.index);
    expect(next.address).to.match(/^fe80::/);
    expect(next.address).to.not.equal(own.address);
    expect(next.tentative).to.equal(false);
  });

  it('makes its link-local address from the Ethernet address (RFC 4291 App. A)', () => {
    const lan = new Lan();
    const { stack, index } = lan.host('a', { ethernet: { mac: '52:54:00:12:34:56' } });
    expect(stack.ip.addresses(index).map(({ address }) => address)).to.deep.equal([
      'fe80::5054:ff:fe12:3456/64',
    ]);
  });

  it('announces an IPv4 address twice, two seconds apart, and asks before only where it should (RFC 5227 §2.3)', () => {
    const lan = new Lan();
    lan.host('a', { ethernet: { detection: {}, linkLocal: false }, addresses: ['10.0.0.1/24'] });
    lan.advanceMs(10);
    expect(lan.framesOf(ARP).map((frame) => hex(frame.subarray(28)))).to.deep.equal([
      '0a000001' + '000000000000' + '0a000001',
    ]);
    lan.advanceMs(10_000);
    expect(lan.framesOf(ARP)).to.have.length(2);
  });

  it('asks three times within seven seconds before it uses an IPv4 address (RFC 5227 §2.1.1)', () => {
    const lan = new Lan();
    const a = lan.host('a', {
      ethernet: { detection: { ipv4: true }, linkLocal: false },
      addresses: ['10.0.0.1/24'],
    });
    const times: number[] = [];
    lan.listen((frame) => {
      if (viewOf(frame).getUint16(12) === ARP) times.push(lan.clock.nowUs() / 1e6);
    });
    expect(tentative(a)).to.deep.equal(['10.0.0.1/24']);
    lan.advanceMs(8000);
    expect(tentative(a)).to.deep.equal([]);
    const probes = lan.framesOf(ARP).filter((frame) => hex(frame.subarray(28, 32)) === '00000000');
    expect(probes).to.have.length(3);
    expect(times[0]).to.be.within(0, 1);
    expect(times[1] - times[0]).to.be.within(1, 2);
    expect(times[3] - times[2]).to.be.closeTo(2, 0.001);
  });

  const claim = (lan: Lan, sender: string, target: string): void => {
    const packet = writeArp({
      operation: ArpOperation.Request,
      senderMac: MacAddress.parse(PEER),
      senderIp: IpAddress.parse(sender).w3,
      targetMac: NO_MAC,
      targetIp: IpAddress.parse(target).w3,
    });
    lan.inject(frameOf({ from: PEER, to: 'ff:ff:ff:ff:ff:ff', type: ARP }, packet));
    lan.advanceMs(1);
  };

  it('gives up an IPv4 address that is claimed, or asked for, while it asks (RFC 5227 §2.1.1)', () => {
    for (const sender of ['10.0.0.1', '0.0.0.0']) {
      const lan = new Lan();
      const a = lan.host('a', { ethernet: { detection: { ipv4: true } }, addresses: ['10.0.0.1/24'] });
      lan.advanceMs(1500);
      claim(lan, sender, '10.0.0.1');
      expect(a.stack.ip.addresses(a.index).filter(({ family }) => family === 4)).to.deep.equal([]);
      expect(a.link.counters.addressConflicts).to.equal(1);
    }
  });

  it('defends its IPv4 address, once in ten seconds, and never believes the claim (RFC 5227 §2.4)', () => {
    const lan = new Lan();
    const a = lan.host('a', { addresses: ['10.0.0.1/24'] });
    lan.advanceMs(10);
    lan.seen.length = 0;
    for (let i = 0; i < 3; i++) claim(lan, '10.0.0.1', '10.0.0.1');
    const defences = (): number =>
      lan.framesOf(ARP).filter((frame) => hex(frame.subarray(6, 12)) !== hex(mac())).length;
    const mac = (): Uint8Array => MacAddress.parse(PEER).toBytes();
    expect(defences()).to.equal(1);
    expect(a.link.neighbors()).to.deep.equal([]);
    lan.advanceMs(10_000);
    claim(lan, '10.0.0.1', '10.0.0.1');
    expect(defences()).to.equal(2);
    expect(a.link.counters.addressConflicts).to.equal(4);
  });

  it('leaves out detection where it is told to', () => {
    const lan = new Lan();
    const a = lan.host('a', { ethernet: { detection: {}, linkLocal: false } });
    a.stack.ip.addAddress(a.index, 'fd00::1/64', { probe: false });
    expect(tentative(a)).to.deep.equal([]);
  });

  it('asks for an address where it is told to, whatever it does by itself [IC6-14]', () => {
    const lan = new Lan();
    const a = lan.host('a', { ethernet: { detection: { ipv6Probes: 0 }, linkLocal: false } });
    a.stack.ip.addAddress(a.index, 'fd00::1/64', { probe: true });
    a.stack.ip.addAddress(a.index, 'fd00::2/64');
    expect(tentative(a)).to.deep.equal(['fd00::1/64']);
    lan.advanceMs(2100);
    expect(tentative(a)).to.deep.equal([]);
    expect(ndTypes(lan.framesOf(IPV6)).filter((type) => type === 135)).to.have.length(1);
  });

  it('gives itself another link-local address only for one it has given itself', () => {
    for (const linkLocal of [true, false]) {
      const lan = new Lan();
      lan.host('a', { addresses: ['fe80::7/64'], ethernet: { linkLocal: false } });
      const secret = new Uint8Array(16).fill(9);
      const b = lan.host('b', { ethernet: { detection: {}, linkLocal, secret } });
      b.stack.ip.addAddress(b.index, 'fe80::7/64');
      lan.advanceMs(5000);
      expect(b.link.counters.addressConflicts).to.equal(1);
      const own = b.stack.ip.addresses(b.index).map(({ address }) => address);
      expect(own).to.have.length(linkLocal ? 1 : 0);
      expect(own).to.not.include('fe80::7/64');
    }
  });

  it('goes without a link-local address where somebody has each it can make, and there is nobody to tell', () => {
    const lan = new Lan();
    const mac = '52:54:00:00:00:0a';
    lan.host('a', { addresses: ['fe80::5054:ff:fe00:a/64'], ethernet: { linkLocal: false } });
    const b = lan.host('b', { ethernet: { detection: {}, mac } });
    b.link.onConflict = () => {
      throw new Error('mine');
    };
    expect(() => lan.advanceMs(5000)).to.throw('mine');
    lan.advanceMs(5000);
    expect(b.stack.ip.addresses(b.index)).to.deep.equal([]);
  });

  it('takes away an address for whose routes there is no room, once it is known to be free', () => {
    const lan = new Lan();
    const a = lan.host('a', { ethernet: { linkLocal: false }, stack: { ip: { routes: 10 } } });
    a.stack.ip.addAddress(a.index, 'fd00::1/64', { probe: true });
    const { routes } = a.stack.routing;
    for (let i = routes.list().length; i < 10; i++)
      routes.add({ destination: `10.${i}.0.0/16`, port: a.index });
    lan.advanceMs(3000);
    expect(a.stack.ip.addresses(a.index)).to.deep.equal([]);
    expect(routes.list()).to.have.length(10);
  });

  it('answers whoever asks for the same address by the time the first has waited', () => {
    const lan = new Lan();
    const a = lan.host('a', { addresses: ['10.0.0.1/24'] });
    const answers: [number, string | undefined][] = [];
    for (let i = 0; i < 4; i++) {
      a.link.askFor(IpAddress.parse('10.0.0.9'), 500, (mac) =>
        answers.push([lan.clock.nowUs() / 1000, mac?.toString()]),
      );
      lan.advanceMs(200);
    }
    expect(answers.map(([, mac]) => mac)).to.deep.equal([undefined, undefined, undefined]);
    expect(answers.map(([ms]) => ms)).to.deep.equal([500, 500, 500]);
    expect(lan.framesOf(ARP)).to.have.length(2);
    claim(lan, '10.0.0.9', '10.0.0.9');
    expect(answers.at(-1)?.[1]).to.equal(PEER);
  });

  it('goes on with its own addresses where who asked for another throws', () => {
    const lan = new Lan();
    const a = lan.host('a', { ethernet: { detection: { ipv4WaitMs: 0 }, linkLocal: false } });
    a.stack.ip.addAddress(a.index, '10.0.0.1/24', { probe: true });
    a.link.askFor(IpAddress.parse('10.0.0.9'), 200, () => {
      throw new Error('mine');
    });
    expect(() => lan.advanceMs(10_000)).to.throw('mine');
    lan.advanceMs(10_000);
    expect(tentative(a)).to.deep.equal([]);
    expect(a.stack.ip.addresses(a.index)).to.have.length(1);
  });

  it('reports the solicited-node groups of its addresses, so that switches let them through (RFC 4861 §7.2.1)', () => {
    const lan = new Lan();
    lan.carriesReports = true;
    lan.host('a', { ethernet: { linkLocal: false, detection: {} }, addresses: ['fd00::1/64'] });
    lan.advanceMs(1);
    const [report] = lan.framesOf(IPV6);
    expect(hex(report.subarray(0, 6)), 'to all MLDv2 routers').to.equal('333300000016');
    expect(hex(report.subarray(22, 38)), 'from nobody yet, RFC 3590').to.equal('0'.repeat(32));
    expect(hex(report)).to.include('ff0200000000000000000001ff000001');
  });

  it('joins the solicited-node group of an address before it asks for it [IC6-13]', () => {
    const lan = new Lan();
    const a = lan.host('a', { ethernet: { detection: {} }, addresses: ['fd00::1/64'] });
    expect(a.stack.ip.hasGroup(a.index, IpAddress.parse('ff02::1:ff00:1'))).to.equal(true);
  });
});
