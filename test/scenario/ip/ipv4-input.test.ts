/** IPv4 input: RFC 791, RFC 1122 §3.2, RFC 6864. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { Cast } from '../../../lib/wire/ip-packet.js';
import { IpPeer } from '../../support/ip-peer.js';
import { bytesOf, icmp4, pattern, tcp, udp, v4, v6 } from '../../support/ip-wire.js';

const data = udp('10.0.0.2', '10.0.0.1', pattern(9));

/** Hands in a packet that must vanish without a word, for the reason given. */
function vanishes(peer: IpPeer, packet: Uint8Array, reason: number, link = 1): void {
  peer.receive(packet, { link });
  expect(peer.lastDrop).to.equal(reason);
  expect(peer.udp.packets, 'delivered').to.deep.equal([]);
  expect(peer.tcp.packets, 'delivered').to.deep.equal([]);
  expect(peer.sent(), 'said').to.deep.equal([]);
}

describe('IPv4 input: headers', () => {
  it('tells versions by the first nibble and silently discards all but 4 and 6 [V4-1]', () => {
    for (let version = 0; version < 16; version++) {
      if (version === 4 || version === 6) continue;
      vanishes(new IpPeer(), v4({ payload: data, version }), DropReason.IpVersion);
    }
    const peer = new IpPeer();
    peer.receive(v4({ payload: data }));
    peer.receive(v6({ payload: udp('2001:db8::2', '2001:db8::1') }));
    expect(peer.udp.packets.map(({ version }) => version)).to.deep.equal([4, 6]);
  });

  it('silently discards a header whose checksum is wrong, each single bit of it [V4-2] [E11]', () => {
    const packet = v4({ payload: data });
    for (let bit = 0; bit < 160; bit++) {
      const broken = packet.slice();
      broken[bit >> 3] ^= 1 << (bit & 7);
      const peer = new IpPeer();
      peer.receive(broken);
      expect(peer.udp.packets, `bit ${bit}`).to.deep.equal([]);
      expect(peer.sent(), `bit ${bit}`).to.deep.equal([]);
    }
    vanishes(new IpPeer(), v4({ payload: data, checksum: 0x1234 }), DropReason.IpChecksum);
  });

  it('discards every header length that does not fit [V4-3] [V4-5] [E8]', () => {
    for (let ihl = 0; ihl < 5; ihl++) vanishes(new IpPeer(), v4({ payload: data, ihl }), DropReason.IpHeader);
    // IHL beyond the total length, and beyond what came.
    for (let ihl = 6; ihl < 16; ihl++) {
      vanishes(new IpPeer(), v4({ payload: pattern(ihl * 4 - 21), ihl }), DropReason.IpHeader);
      vanishes(new IpPeer(), v4({ ihl, totalLength: 60 }), DropReason.IpLength);
    }
    for (let totalLength = 0; totalLength < 20; totalLength++) {
      vanishes(new IpPeer(), v4({ payload: data, totalLength }), DropReason.IpHeader);
    }
  });

  it('discards what is shorter than its total length, and cuts off what is longer [V4-4] [E7] [E10]', () => {
    const whole = v4({ payload: data });
    for (let length = 20; length < whole.length; length++) {
      vanishes(new IpPeer(), whole.subarray(0, length), DropReason.IpLength);
    }
    const peer = new IpPeer();
    peer.receive(bytesOf(whole, new Array<number>(26).fill(0xaa)));
    expect(peer.udp.packets[0].payload).to.deep.equal(data);
    // A total length that lies within the transport header: the transport gets just that, and the error quotes just that.
    const short = v4({ protocol: 99, payload: data, totalLength: 24 });
    peer.receive(short);
    const [error] = peer.sentIcmp();
    expect(error.data).to.deep.equal(short.subarray(0, 24));
  });

  it('discards frames of 0 to 19 bytes safely [V4-6]', () => {
    const packet = v4({ payload: data });
    vanishes(new IpPeer(), new Uint8Array(0), DropReason.IpEmpty);
    for (let length = 1; length < 20; length++) {
      vanishes(new IpPeer(), packet.subarray(0, length), DropReason.IpLength);
    }
  });

  it('ignores the reserved flag, and never sets it [V4-7]', () => {
    const peer = new IpPeer();
    peer.receive(v4({ payload: data, evil: true }));
    peer.receive(v4({ payload: data, evil: true, df: true }));
    expect(peer.udp.packets).to.have.length(2);
    peer.receive(v4({ protocol: 1, evil: true, payload: icmp4(8, 0, 1, pattern(4)) }));
    // `read` refuses a packet with the flag.
    expect(peer.sentIcmp()).to.have.length(1);
  });

  it('delivers TTL 0 and 1 to itself: a host does not count hops [V4-15]', () => {
    const peer = new IpPeer();
    for (const ttl of [0, 1, 255]) peer.receive(v4({ payload: data, ttl }));
    expect(peer.udp.packets.map(({ hopLimit }) => hopLimit)).to.deep.equal([0, 1, 255]);
  });

  it('delivers what has the same identification twice: duplicates are the business of others [V4-21]', () => {
    const peer = new IpPeer();
    for (let i = 0; i < 3; i++) peer.receive(v4({ payload: data, id: 77 }));
    expect(peer.udp.packets).to.have.length(3);
  });

  it('hands DS field and ECN up [V4-22]', () => {
    const peer = new IpPeer();
    for (const tos of [0, 1, 2, 3, 0xb8, 0xb9, 0xff]) peer.receive(v4({ payload: data, tos }));
    expect(peer.udp.packets.map(({ trafficClass }) => trafficClass)).to.deep.equal([
      0, 1, 2, 3, 0xb8, 0xb9, 0xff,
    ]);
  });

  it('gives transports the very packet object that came in', () => {
    const peer = new IpPeer();
    const packet = v4({ payload: data });
    const given = peer.aim(packet, 0, packet.length);
    let got: unknown;
    peer.udp.onPacket = (lent) => {
      got = lent;
    };
    peer.ip.input(given);
    expect(got).to.equal(given);
  });
});

describe('IPv4 input: addresses', () => {
  it('silently discards what is for somebody else [V4-8]', () => {
    for (const to of ['10.0.0.7', '10.0.1.1', '192.0.2.1', '224.0.0.251', '239.1.2.3', '10.0.1.255']) {
      vanishes(new IpPeer(), v4({ to, payload: data }), DropReason.IpNotForUs);
    }
    const peer = new IpPeer();
    peer.ip.routing.routes.add({ destination: 'default', gateway: '10.0.0.2' });
    // With a default route too: this host forwards nothing.
    vanishes(peer, v4({ to: '192.0.2.1', payload: data }), DropReason.IpNotForUs);
  });

  it('drops sources that no host has [V4-9] [MAR-2] [MAR-3] [E24]', () => {
    const bad = [
      '224.0.0.1',
      '239.255.255.255',
      '240.0.0.1',
      '254.1.1.1',
      '255.255.255.255',
      '10.0.0.255', // broadcast of an own subnet
      '10.0.0.0',
      '10.0.0.1', // ourselves
      '0.0.0.1',
      '0.1.2.3',
    ];
    for (const from of bad) {
      for (const protocol of [1, 6, 17, 99]) {
        const peer = new IpPeer();
        const payload = protocol === 6 ? tcp(from, '10.0.0.1') : protocol === 1 ? icmp4(8, 0, 1) : data;
        vanishes(peer, v4({ from, protocol, payload }), DropReason.IpMartianSource);
        expect(peer.loopback.queue).to.deep.equal([]);
      }
    }
    const peer = new IpPeer({ options: { acceptLocal: true } });
    peer.receive(v4({ from: '10.0.0.1', payload: data }));
    expect(peer.udp.packets, 'accept_local').to.have.length(1);
  });

  it('drops the land attack: source and destination the same [MAR-4] [E25]', () => {
    const peer = new IpPeer();
    vanishes(
      peer,
      v4({
        from: '10.0.0.1',
        to: '10.0.0.1',
        protocol: 6,
        payload: tcp('10.0.0.1', '10.0.0.1', [], [80, 80]),
      }),
      DropReason.IpMartianSource,
    );
    const six = '2001:db8::1';
    peer.receive(v6({ from: six, to: six, next: 6, payload: tcp(six, six, [], [80, 80]) }));
    expect(peer.lastDrop).to.equal(DropReason.IpMartianSource);
    expect(peer.tcp.packets).to.deep.equal([]);
  });

  it('keeps 127.0.0.0/8 inside unless told otherwise [V4-10]', () => {
    vanishes(new IpPeer(), v4({ to: '127.0.0.1', payload: data }), DropReason.IpMartianDestination);
    vanishes(new IpPeer(), v4({ from: '127.0.0.1', payload: data }), DropReason.IpMartianSource);
    vanishes(
      new IpPeer(),
      v4({ from: '127.3.2.1', to: '127.0.0.1', payload: data }),
      DropReason.IpMartianSource,
    );
    const inside = new IpPeer();
    inside.receive(v4({ from: '127.0.0.1', to: '127.0.0.1', payload: data }), { link: 0 });
    inside.receive(v4({ from: '127.0.0.1', to: '127.200.1.1', payload: data }), { link: 0 });
    expect(inside.udp.packets).to.have.length(2);
    const open = new IpPeer({ options: { routeLocalnet: true } });
    open.receive(v4({ to: '127.0.0.1', payload: data }));
    expect(open.udp.packets).to.have.length(1);
  });

  it('takes 0.0.0.0 as source for broadcasts only, and never answers it [V4-11] [MAR-9]', () => {
    for (const to of ['10.0.0.1', '10.0.0.255', '224.0.0.1']) {
      const syn = v4({ from: '0.0.0.0', to, protocol: 6, payload: tcp('0.0.0.0', to) });
      vanishes(new IpPeer(), syn, DropReason.IpMartianSource);
    }
    const peer = new IpPeer();
    const replies: string[] = [];
    peer.udp.onPacket = (packet) => replies.push(peer.ip.resolveReply(packet, 17).unusable);
    peer.receive(v4({ from: '0.0.0.0', to: '255.255.255.255', payload: data }));
    expect(peer.udp.packets).to.have.length(1);
    expect(replies).to.deep.equal(['EINVAL']);
    // Neither an ICMP error nor an echo reply goes to nobody.
    peer.receive(v4({ from: '0.0.0.0', to: '255.255.255.255', protocol: 99, payload: data }));
    const open = new IpPeer({ options: { echoBroadcast: true } });
    open.receive(v4({ from: '0.0.0.0', to: '255.255.255.255', protocol: 1, payload: icmp4(8, 0, 1) }));
    for (const p of [peer, open]) {
      expect(p.sent()).to.deep.equal([]);
      expect(p.loopback.queue).to.deep.equal([]);
    }
  });

  it('drops a SYN from :: before anything could answer it [MAR-9] [E24]', () => {
    const peer = new IpPeer();
    const replies: string[] = [];
    peer.tcp.onPacket = (packet) => replies.push(peer.ip.resolveReply(packet, 6).unusable);
    peer.receive(v6({ from: '::', next: 6, payload: tcp('::', '2001:db8::1') }));
    peer.receive(v6({ from: '::', to: 'ff02::1', next: 6, payload: tcp('::', 'ff02::1') }));
    peer.receive(v6({ from: 'ff02::1', next: 6, payload: tcp('ff02::1', '2001:db8::1') }));
    expect(peer.tcp.packets).to.deep.equal([]);
    expect(peer.stats.drops.count(DropReason.IpMartianSource)).to.equal(3);
  });

  it('discards what is for 0.0.0.0 [V4-12]', () => {
    vanishes(new IpPeer(), v4({ to: '0.0.0.0', payload: data }), DropReason.IpMartianDestination);
    vanishes(new IpPeer(), v4({ to: '0.255.1.2', payload: data }), DropReason.IpMartianDestination);
    vanishes(new IpPeer(), v4({ from: '0.0.0.0', to: '0.0.0.0', payload: data }), DropReason.IpMartianSource);
  });

  it('does not make anything of documentation prefixes [MAR-5]', () => {
    const peer = new IpPeer({ addresses: ['192.0.2.1/24', '2001:db8::1/64'] });
    for (const from of ['192.0.2.7', '198.51.100.7', '203.0.113.7']) {
      peer.receive(v4({ from, to: '192.0.2.1', payload: udp(from, '192.0.2.1') }));
    }
    peer.receive(v6({ from: '2001:db8:1::7', payload: udp('2001:db8:1::7', '2001:db8::1') }));
    expect(peer.udp.packets).to.have.length(4);
  });

  it('takes its addresses on every link, or each only on its own when strict [V4-23]', () => {
    const weak = new IpPeer();
    weak.addPort('tun1', ['10.1.0.1/24', '2001:db8:1::1/64']);
    weak.receive(v4({ from: '10.9.9.9', to: '10.1.0.1', payload: data }));
    weak.receive(
      v6({ from: '2001:db8:9::9', to: '2001:db8:1::1', payload: udp('2001:db8:9::9', '2001:db8:1::1') }),
    );
    expect(weak.udp.packets).to.have.length(2);

    const strong = new IpPeer({ options: { strongHost: true } });
    strong.addPort('tun1', ['10.1.0.1/24', '2001:db8:1::1/64']);
    vanishes(strong, v4({ from: '10.9.9.9', to: '10.1.0.1', payload: data }), DropReason.IpNotForUs);
    const six = v6({
      from: '2001:db8:9::9',
      to: '2001:db8:1::1',
      payload: udp('2001:db8:9::9', '2001:db8:1::1'),
    });
    vanishes(strong, six, DropReason.IpNotForUs);
    vanishes(strong, v4({ from: '10.9.9.9', to: '10.1.0.255', payload: data }), DropReason.IpNotForUs);
    strong.receive(v4({ from: '10.9.9.9', to: '10.1.0.1', payload: data }), { link: 2 });
    strong.receive(six, { link: 2 });
    strong.receive(v4({ from: '10.9.9.9', to: '10.1.0.255', payload: data }), { link: 2 });
    expect(strong.udp.packets).to.have.length(3);
  });

  it('delivers broadcasts and joined groups as such', () => {
    const peer = new IpPeer();
    const group = '239.1.2.3';
    peer.ip.joinGroup(1, peer.resolve(group, { oif: 1 }).destination);
    for (const to of ['255.255.255.255', '10.0.0.255', '10.0.0.0', '224.0.0.1', group, '10.0.0.1']) {
      peer.receive(v4({ to, payload: udp('10.0.0.2', to) }));
    }
    expect(peer.udp.packets.map(({ cast }) => cast)).to.deep.equal([
      Cast.Broadcast,
      Cast.Broadcast,
      Cast.Broadcast,
      Cast.Multicast,
      Cast.Multicast,
      Cast.Unicast,
    ]);
    // A group is joined on a link, not on all.
    peer.addPort('tun1', ['10.1.0.1/24']);
    peer.receive(v4({ to: group, payload: udp('10.0.0.2', group) }), { link: 2 });
    expect(peer.lastDrop).to.equal(DropReason.IpNotForUs);
  });

  it('knows no broadcast address in prefixes of 31 and 32 bits [V4-25]', () => {
    const peer = new IpPeer({ addresses: ['10.0.0.2/31', '10.0.1.5/32'] });
    vanishes(peer, v4({ from: '10.9.9.9', to: '10.0.0.3', payload: data }), DropReason.IpNotForUs);
    const local = peer.ip.routing.routes.list({ table: 'local', port: 1, family: 4 });
    expect(local.filter(({ type }) => type === 'broadcast')).to.deep.equal([]);
    // The other address of a /31 is a host like any other.
    expect(peer.resolve('10.0.0.3').unusable).to.equal('');
    expect(peer.resolve('10.0.0.3').cast).to.equal(Cast.Unicast);
    peer.receive(v4({ from: '10.0.0.3', to: '10.0.0.2', payload: udp('10.0.0.3', '10.0.0.2') }));
    expect(peer.udp.packets).to.have.length(1);
  });
});

describe('IPv4 input: protocols and options', () => {
  it('reports protocols it does not know [V4-13]', () => {
    for (const protocol of [0, 3, 4, 41, 47, 50, 51, 58, 89, 132, 136, 255]) {
      const peer = new IpPeer();
      const packet = v4({ protocol, payload: pattern(40) });
      peer.receive(packet);
      const [error] = peer.sentIcmp();
      expect([error.type, error.code, error.word], `protocol ${protocol}`).to.deep.equal([3, 2, 0]);
      expect(error.data).to.deep.equal(packet);
      expect(peer.lastDrop).to.equal(DropReason.IpUnknownProtocol);
    }
    const quiet = new IpPeer();
    quiet.receive(v4({ to: '10.0.0.255', protocol: 99, payload: pattern(40) }));
    expect(quiet.sent()).to.deep.equal([]);
    // The rate is limited: six at once to one destination.
    const busy = new IpPeer();
    for (let i = 0; i < 20; i++) busy.receive(v4({ protocol: 99, payload: pattern(40) }));
    expect(busy.sent()).to.have.length(6);
  });

  it('does not look into tunnels [E9]', () => {
    const peer = new IpPeer();
    const inner4 = v4({ payload: data });
    const inner6 = v6({ payload: udp('2001:db8::2', '2001:db8::1') });
    peer.receive(v4({ protocol: 4, payload: inner4 }));
    peer.receive(v4({ protocol: 41, payload: inner6 }));
    peer.receive(v6({ next: 4, payload: inner4 }));
    peer.receive(v6({ next: 41, payload: inner6 }));
    peer.receive(v6({ next: 41, payload: v6({ next: 41, payload: inner6 }) }));
    expect(peer.udp.packets).to.deep.equal([]);
    expect(peer.stats.drops.count(DropReason.IpUnknownProtocol)).to.equal(5);
  });

  it('lets raw listeners hear a protocol first, and is not sorry for it then [V4-14]', () => {
    const peer = new IpPeer();
    const heard: string[] = [];
    const end = peer.ip.addRawListener(99, 0, (packet) =>
      heard.push(`raw ${packet.version} ${packet.payloadBytes}`),
    );
    peer.ip.addRawListener(17, 4, (packet) => heard.push(`raw udp ${packet.version}`));
    peer.udp.onPacket = () => heard.push('udp');
    peer.receive(v4({ protocol: 99, payload: pattern(12) }));
    peer.receive(v6({ next: 99, payload: pattern(13) }));
    peer.receive(v4({ payload: data }));
    peer.receive(v6({ payload: udp('2001:db8::2', '2001:db8::1') }));
    expect(heard).to.deep.equal(['raw 4 12', 'raw 6 13', 'raw udp 4', 'udp', 'udp']);
    expect(peer.sent()).to.deep.equal([]);
    end();
    peer.receive(v4({ protocol: 99, payload: pattern(12) }));
    expect(peer.sentIcmp()[0].code).to.equal(2);
    expect(heard).to.have.length(5);
  });

  it('skips options it does not know, in any order and place [V4-16] [V4-20]', () => {
    const lists = [
      [1, 1, 1, 1],
      [0],
      [1, 0, 99, 99],
      [30, 4, 1, 2, 1, 148, 4, 0, 0],
      [200, 2, 1, 200, 3, 7, 130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [...new Array<number>(40).fill(1)],
      [94, 40, ...new Array<number>(38).fill(5)],
      [1, 7, 7, 4, 0, 0, 0, 0, 68, 8, 5, 0, 0, 0, 0, 0],
    ];
    for (const options of lists) {
      const peer = new IpPeer();
      peer.receive(v4({ options, payload: data }));
      expect(peer.udp.packets[0]?.payload, `options ${options.join()}`).to.deep.equal(data);
    }
  });

  it('answers impossible option lengths with a Parameter Problem that points at them [V4-16]', () => {
    const cases: [number[], number][] = [
      [[30, 0, 0, 0], 20],
      [[30, 1, 0, 0], 20],
      [[30, 5, 0, 0], 20],
      [[1, 1, 1, 30], 23],
      [[1, 148, 255, 0], 21],
      [[148, 4, 0, 0, 1, 7, 4, 4], 25],
    ];
    for (const [options, pointer] of cases) {
      const peer = new IpPeer();
      const packet = v4({ options, payload: data });
      peer.receive(packet);
      expect(peer.udp.packets).to.deep.equal([]);
      const [error] = peer.sentIcmp();
      expect([error.type, error.code, error.word >>> 24], `options ${options.join()}`).to.deep.equal([
        12,
        0,
        pointer,
      ]);
      expect(error.data).to.deep.equal(packet);
    }
  });

  it('drops source routes, loose and strict, also of fragments [V4-17] [E21]', () => {
    for (const type of [131, 137]) {
      const options = [1, type, 11, 4, 10, 0, 0, 9, 10, 0, 0, 8];
      vanishes(new IpPeer(), v4({ options, payload: data }), DropReason.IpSourceRoute);
      const peer = new IpPeer();
      vanishes(peer, v4({ options, payload: pattern(64), more: true }), DropReason.IpSourceRoute);
      expect(peer.stats.ip.reasmReqds).to.equal(0);
      // Nor does an echo request bring one back.
      vanishes(peer, v4({ options, protocol: 1, payload: icmp4(8, 0, 1) }), DropReason.IpSourceRoute);
    }
  });

  it('ignores Router Alert [V4-19]', () => {
    const peer = new IpPeer();
    for (const value of [0, 1, 0xffff]) {
      peer.receive(v4({ options: [148, 4, value >> 8, value & 255], payload: data }));
    }
    expect(peer.udp.packets).to.have.length(3);
    // For others it stays somebody else's packet.
    peer.receive(v4({ to: '10.0.0.7', options: [148, 4, 0, 0], payload: data }));
    expect(peer.lastDrop).to.equal(DropReason.IpNotForUs);
  });

  it('takes the longest IP header before the longest TCP header [E36]', () => {
    const peer = new IpPeer();
    const segment = bytesOf(tcp('10.0.0.2', '10.0.0.1'), new Array<number>(40).fill(1));
    segment[12] = 0xf0;
    peer.receive(v4({ options: new Array<number>(40).fill(1), protocol: 6, payload: segment }));
    expect(peer.tcp.packets[0].payload).to.deep.equal(segment);
    // What a path with as many options carries is never negative, and what is sent says the same.
    const path = peer.resolve('10.0.0.2', { protocol: 6 });
    path.options = new Uint8Array(40).fill(1);
    expect(path.maxTransportBytes).to.equal(1440);
    peer.send(path, segment, 16);
    const [sent] = peer.sent();
    expect([sent.options.length, sent.payload.length]).to.deep.equal([40, 60]);
  });
});
