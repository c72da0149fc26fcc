import { expect } from 'chai';
import { IcmpErrorKind } from '../../lib/ip/interfaces.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { frameOf, hex, Lan, type LanHost, Pinger, viewOf } from './lan.js';

const parse = (text: string): IpAddress => IpAddress.parse(text);
const ARP = 0x0806;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;

describe('Ethernet link', () => {
  let lan: Lan;
  let a: LanHost;
  let b: LanHost;

  beforeEach(() => {
    lan = new Lan();
    a = lan.host('a', { addresses: ['10.0.0.1/24', 'fd00::1/64'], ethernet: { mac: '52:54:00:00:00:0a' } });
    b = lan.host('b', { addresses: ['10.0.0.2/24', 'fd00::2/64'], ethernet: { mac: '52:54:00:00:00:0b' } });
    lan.advanceMs(10);
    lan.seen.length = 0;
  });

  it('asks for a neighbour once, sends what waited, and is asked nothing back (RFC 826)', () => {
    const ping = new Pinger(a.stack);
    ping.send('10.0.0.2');
    ping.send('10.0.0.2');
    lan.advanceMs(10);
    expect(ping.replies).to.deep.equal([1, 2]);
    const arps = lan.framesOf(ARP).map(hex);
    expect(arps).to.deep.equal([
      `ffffffffffff52540000000a0806${'0001080006040001'}52540000000a0a000001${'000000000000'}0a000002`,
      `52540000000a52540000000b0806${'0001080006040002'}52540000000b0a00000252540000000a0a000001`,
    ]);
    expect(lan.framesOf(IPV4)).to.have.length(4);
  });

  it('finds IPv6 neighbours by solicitation of their group (RFC 4861 §7.2)', () => {
    const ping = new Pinger(a.stack);
    ping.send('fd00::2');
    lan.advanceMs(10);
    expect(ping.replies).to.deep.equal([1]);
    const [solicitation, advertisement] = lan.framesOf(IPV6);
    expect(hex(solicitation.subarray(0, 6))).to.equal('3333ff000002');
    expect(solicitation[14 + 7], 'hop limit').to.equal(255);
    expect(hex(solicitation.subarray(54 + 24))).to.equal('010152540000000a');
    expect(advertisement[54]).to.equal(136);
    expect(advertisement[58], 'solicited, override').to.equal(0x60);
    expect(hex(advertisement.subarray(0, 6)), 'to who asked').to.equal('52540000000a');
  });

  it('carries TCP, both families, with an MSS that fits the frame', () => {
    for (const address of ['10.0.0.2', 'fd00::2']) {
      const received: number[] = [];
      const listener = b.stack.listenTcp({ port: 80, address });
      const client = a.stack.connectTcp({ address, port: 80 });
      client.write(new Uint8Array(20_000));
      lan.advanceMs(200);
      const server = listener.accept();
      expect(server, address).to.not.equal(undefined);
      const buffer = new Uint8Array(65_536);
      for (let turn = 0; turn < 20; turn++) {
        received.push(server?.read(buffer) ?? 0);
        lan.advanceMs(50);
      }
      expect(received.reduce((sum, n) => sum + n, 0)).to.equal(20_000);
      expect(Math.max(...lan.seen.map(({ length }) => length))).to.equal(1514);
      client.abort();
      listener.close();
      lan.advanceMs(10);
    }
  });

  it('delivers a text whichever one of its frames is lost, those of ARP and discovery among them', () => {
    for (const [address, from] of [
      ['10.0.0.2', '10.0.0.1'],
      ['fd00::2', 'fd00::1'],
    ]) {
      for (let lost = 0; lost < 24; lost++) {
        const net = new Lan();
        const near = net.host('a', { addresses: [`${from}/${from.includes(':') ? 64 : 24}`] });
        const far = net.host('b', { addresses: [`${address}/${address.includes(':') ? 64 : 24}`] });
        net.advanceMs(10);
        let count = 0;
        net.passes = () => count++ !== lost;
        const listener = far.stack.listenTcp({ port: 80, address });
        const client = near.stack.connectTcp({ address, port: 80 });
        client.write(new Uint8Array(12_000));
        const buffer = new Uint8Array(65_536);
        let server = listener.accept();
        let bytes = 0;
        for (let turn = 0; turn < 100; turn++) {
          net.advanceMs(50);
          server ??= listener.accept();
          bytes += server?.read(buffer) ?? 0;
        }
        expect(bytes, `${address}, frame ${lost}`).to.equal(12_000);
      }
    }
  });

  it('asks from an address of another link where its own has none, or none near (Linux arp_announce 0)', () => {
    const c = lan.host('c', { ethernet: { proxy: ['192.0.2.1/32'] } });
    c.stack.ip.addAddress(0, '192.0.2.1/32');
    c.stack.routing.routes.add({ destination: '10.0.0.0/24', port: c.index });
    const d = lan.host('d', { addresses: ['10.7.0.1/24', '10.0.0.3/24', '10.8.0.1/24'] });
    b.stack.routing.routes.add({ destination: '192.0.2.1/32', port: b.index });
    const pings = [c, d].map(({ stack }) => new Pinger(stack));
    for (const ping of pings) ping.send('10.0.0.2');
    lan.advanceMs(10);
    const senders = lan.framesOf(ARP).map((frame) => hex(frame.subarray(28, 32)));
    expect(senders.slice(0, 2)).to.deep.equal(['c0000201', '0a000003']);
    expect(pings.map(({ replies }) => replies)).to.deep.equal([[1], [1]]);
  });

  it('sends by the router that the routes name, whatever the destination', () => {
    a.stack.routing.routes.add({ destination: '0.0.0.0/0', gateway: '10.0.0.2' });
    a.stack.routing.routes.add({ destination: '::/0', gateway: 'fd00::2' });
    const ping = new Pinger(a.stack);
    ping.send('192.0.2.7');
    ping.send('2001:db8::7');
    lan.advanceMs(10);
    const targets = lan.framesOf(ARP).map((frame) => hex(frame.subarray(38, 42)));
    expect(targets[0]).to.equal('0a000002');
    const packets = [...lan.framesOf(IPV4), ...lan.framesOf(IPV6).filter((frame) => frame[54] === 128)];
    expect(packets).to.have.length(2);
    for (const frame of packets) expect(hex(frame.subarray(0, 6))).to.equal('52540000000b');
    expect(a.link.neighbors().map(({ address }) => address)).to.have.members(['10.0.0.2', 'fd00::2']);
  });

  it('sends every fragment to the router', () => {
    a.stack.routing.routes.add({ destination: '0.0.0.0/0', gateway: '10.0.0.2' });
    new Pinger(a.stack).send('192.0.2.7', { bytes: 3000 });
    lan.advanceMs(10);
    const packets = lan.framesOf(IPV4);
    expect(packets).to.have.length(3);
    for (const frame of packets) expect(hex(frame.subarray(0, 6))).to.equal('52540000000b');
  });

  it('maps groups and broadcasts to Ethernet addresses (RFC 1112 §6.4, RFC 2464 §7)', () => {
    const send = (to: string): string => {
      lan.seen.length = 0;
      const from = lan.seen.length;
      const udp4 = a.stack.openUdp(to.includes(':') ? 6 : 4, {
        broadcast: true,
        multicastLink: a.index,
        boundLink: a.index,
      });
      udp4.send(new Uint8Array(1), { destination: parse(to), port: 9 });
      lan.advanceMs(1);
      udp4.close();
      return hex(lan.seen[from].subarray(0, 6));
    };
    expect(send('239.129.2.3')).to.equal('01005e010203');
    expect(send('ff05::1:2345')).to.equal('333300012345');
    expect(send('10.0.0.255')).to.equal('ffffffffffff');
    expect(send('255.255.255.255')).to.equal('ffffffffffff');
    expect(lan.framesOf(ARP)).to.have.length(0);
  });

  it('tells who waits for a neighbour that is not there, after three requests (RFC 4861 §7.2.2) [IC6-12]', () => {
    for (const [i, absent] of ['10.0.0.9', 'fd00::9'].entries()) {
      const ping = new Pinger(a.stack, 10 + i);
      lan.seen.length = 0;
      ping.send(absent);
      lan.advanceMs(2900);
      expect(ping.errors, absent).to.deep.equal([]);
      expect(lan.seen).to.have.length(3);
      lan.advanceMs(200);
      expect(ping.errors, absent).to.deep.equal([IcmpErrorKind.HostUnreachable]);
      expect(a.link.neighbors().map(({ address }) => address)).to.not.include(absent);
    }
    expect(a.link.counters.neighborUnreachable).to.equal(2);
  });

  it('lets the oldest packets make room for new ones while a neighbour is asked for [IC6-12]', () => {
    const ping = new Pinger(a.stack);
    lan.passes = (frame) => viewOf(frame).getUint16(12) !== ARP;
    for (let i = 0; i < 100; i++) ping.send('10.0.0.2');
    lan.advanceMs(10);
    expect(a.link.counters.neighborQueueFull).to.equal(36);
    lan.passes = () => true;
    lan.advanceMs(1000);
    expect(ping.replies).to.have.length(64);
    expect(ping.replies[0]).to.equal(37);
  });

  it('drops frames for others, of other VLANs, of unknown types, from impossible senders, and short ones', () => {
    const from = '52:54:00:00:00:99';
    const { mac } = a.link;
    const to = mac.toString();
    const packet = new Uint8Array(28);
    packet.set([0x45, 0, 0, 28]);
    const other = '52:54:00:00:00:77';
    lan.inject(frameOf({ from, to: other, type: IPV4 }, packet));
    lan.inject(frameOf({ from, to, type: 0x8100 }, Uint8Array.of(0, 5, 8, 0, ...packet)));
    lan.inject(frameOf({ from, to, type: 0x88cc }, packet));
    lan.inject(frameOf({ from: '01:00:5e:00:00:01', to, type: IPV4 }, packet));
    lan.inject(frameOf({ from: to, to: 'ff:ff:ff:ff:ff:ff', type: IPV4 }, packet));
    lan.inject(new Uint8Array(13));
    lan.inject(frameOf({ from, to, type: IPV6 }, packet));
    lan.advanceMs(1);
    const { counters } = a.link;
    expect(counters.toJSON()).to.include({
      inOtherHost: 1,
      inOtherVlan: 1,
      inUnknownTypes: 1,
      inHeaderErrors: 4,
    });
    expect(a.stack.stats.ip.inReceives).to.equal(0);
  });

  it('gives the stack no packet for one host from a frame for all (RFC 1122 §3.3.6)', () => {
    const packet = new Uint8Array(28);
    packet.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1]);
    lan.inject(frameOf({ from: '52:54:00:00:00:99', to: 'ff:ff:ff:ff:ff:ff', type: IPV4 }, packet));
    lan.advanceMs(1);
    expect(a.link.counters.inMisaddressed).to.equal(1);
    expect(a.stack.stats.ip.inReceives).to.equal(0);
  });

  it('speaks within a VLAN where it was given one', () => {
    const c = lan.host('c', { addresses: ['10.5.0.1/24'], ethernet: { vlan: 5 } });
    const d = lan.host('d', { addresses: ['10.5.0.2/24'], ethernet: { vlan: 5 } });
    const ping = new Pinger(c.stack);
    ping.send('10.5.0.2');
    lan.advanceMs(10);
    expect(ping.replies).to.deep.equal([1]);
    expect(hex(lan.seen[lan.seen.length - 1].subarray(12, 18))).to.equal('810000050800');
    expect(a.link.counters.inOtherVlan).to.be.greaterThan(0);
    expect(d.link.counters.inOtherVlan).to.equal(0);
  });

  it('answers for networks of others where it is told to, and overrides nobody (RFC 1027, RFC 4861 §7.2.8)', () => {
    const c = lan.host('c', {
      addresses: ['10.0.0.3/24', 'fd00::3/64'],
      ethernet: { proxy: ['10.0.0.64/26', 'fd00::/120'] },
    });
    lan.advanceMs(10);
    lan.seen.length = 0;
    const ping = new Pinger(a.stack);
    ping.send('10.0.0.70');
    ping.send('fd00::70');
    ping.send('fd00::2');
    lan.advanceMs(10);
    const macs = a.link.neighbors().map(({ address, mac }) => [address, mac]);
    expect(macs).to.deep.include.members([
      ['10.0.0.70', c.link.mac.toString()],
      ['fd00::70', c.link.mac.toString()],
      ['fd00::2', '52:54:00:00:00:0b'],
    ]);
    const flags = lan.framesOf(IPV6).filter((frame) => frame[54] === 136 && frame[77] === 0x70);
    expect(flags.map((frame) => frame[58])).to.deep.equal([0x40]);
  });

  it('refuses options that cannot be right', () => {
    const make = (options: object) => () => lan.link('x', { frames: a.device, ...options });
    expect(make({ mac: '01:00:5e:00:00:01' })).to.throw(RangeError);
    expect(make({ mac: '52:54' }))
      .to.throw(TypeError)
      .with.property('code', 'ERR_INVALID_ARG_VALUE');
    expect(make({ vlan: 4095 })).to.throw(RangeError);
    expect(make({ mtu: 1505 })).to.throw(RangeError);
    expect(make({ mto: 1500 })).to.throw(TypeError, 'unknown Ethernet option "mto"');
    expect(make({ neighbors: { maxEntries: 0 } })).to.throw(RangeError);
    expect(make({ detection: { ipv4ProbeMs: [2, 1] } })).to.throw(RangeError);
    expect(make({ secret: new Uint8Array(3) })).to.throw(TypeError);
    expect(make({ clock: undefined })).to.throw(TypeError);
  });

  it('stops when its device fails, says so, and frees what it kept', () => {
    new Pinger(a.stack).send('10.0.0.9');
    a.stack.ip.addAddress(a.index, '10.0.0.7/24', { probe: true });
    let failure = '';
    a.stack.onLinkDown = (_link, error) => {
      failure = error.message;
    };
    a.device.fail(new Error('unplugged'));
    lan.advanceMs(1);
    expect(failure).to.equal('unplugged');
    expect(a.link.neighbors()).to.deep.equal([]);
    b.stack.close();
    lan.advanceMs(1);
    const others = lan.clock.pending;
    a.stack.close();
    lan.advanceMs(1);
    expect(others, 'the alarm of the stack itself').to.be.at.most(1);
    expect(lan.clock.pending).to.equal(0);
  });

  it('must be added to a stack itself', () => {
    expect(() => lan.link('x').open(() => {})).to.throw(TypeError, 'what wraps it goes around its frames');
    const other = lan.link('y');
    a.stack.addLink(other);
    expect(() => b.stack.addLink(other)).to.throw('EBUSY');
  });

  it('leaves no alarm behind when it is closed', () => {
    new Pinger(a.stack).send('10.0.0.9');
    lan.advanceMs(100);
    a.stack.close();
    b.stack.close();
    lan.advanceMs(1);
    expect(lan.clock.pending).to.equal(0);
  });
});
