/** Filtering by address: RFC 6890, RFC 3704, RFC 1812 §5.3.7; options; what is documented. */
import { expect } from 'chai';
import { DropReason, StackStats } from '../../../lib/base/stats.js';
import { IpLayer } from '../../../lib/ip/ip-layer.js';
import { NODE_REQUIREMENTS } from '../../../lib/ip/node-requirements.js';
import { DEFAULT_IP_OPTIONS, resolveIpOptions } from '../../../lib/ip/options.js';
import { isGlobal, specialPurpose } from '../../../lib/ip/special-registry.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { IpPacket } from '../../../lib/wire/ip-packet.js';
import { IpPeer, TestPort } from '../../support/ip-peer.js';
import { pattern, udp, v4, v6 } from '../../support/ip-wire.js';

describe('special-purpose addresses', () => {
  it('has the columns of RFC 6890 for every address [MAR-1]', () => {
    const columns = (text: string): string => {
      const entry = specialPurpose(IpAddress.parse(text));
      if (entry === undefined) return 'none';
      const flags = [entry.source, entry.destination, entry.forwardable, entry.global, entry.reserved];
      return `${entry.prefix} ${flags.map((flag) => (flag ? 'T' : 'F')).join('')}`;
    };
    const expected: Record<string, string> = {
      '0.0.0.0': '0.0.0.0/8 TFFFT',
      '0.1.2.3': '0.0.0.0/8 TFFFT',
      '10.255.0.1': '10.0.0.0/8 TTTFF',
      '100.64.0.1': '100.64.0.0/10 TTTFF',
      '100.128.0.1': 'none',
      '127.0.0.1': '127.0.0.0/8 FFFFT',
      '169.254.3.4': '169.254.0.0/16 TTFFT',
      '172.31.255.255': '172.16.0.0/12 TTTFF',
      '172.32.0.0': 'none',
      '192.0.0.1': '192.0.0.0/29 TTTFF',
      '192.0.0.9': '192.0.0.9/32 TTTTF',
      '192.0.0.200': '192.0.0.0/24 FFFFF',
      '192.0.0.170': '192.0.0.170/31 FFFFT',
      '192.0.2.1': '192.0.2.0/24 FFFFF',
      '192.168.1.1': '192.168.0.0/16 TTTFF',
      '198.19.0.1': '198.18.0.0/15 TTTFF',
      '198.51.100.1': '198.51.100.0/24 FFFFF',
      '203.0.113.1': '203.0.113.0/24 FFFFF',
      '240.0.0.1': '240.0.0.0/4 FFFFT',
      '255.255.255.255': '255.255.255.255/32 FTFFT',
      '8.8.8.8': 'none',
      '::1': '::1/128 FFFFT',
      '::': '::/128 TFFFT',
      '64:ff9b::1': '64:ff9b::/96 TTTTF',
      '100::1': '100::/64 TTTFF',
      '2001::1': '2001::/32 TTTFF',
      '2001:1::1': '2001::/23 FFFFF',
      '2001:2::1': '2001:2::/48 TTTFF',
      '2001:db8::1': '2001:db8::/32 FFFFF',
      '2001:20::1': '2001:20::/28 TTTTF',
      '2002::1': '2002::/16 TTTFF',
      'fd00::1': 'fc00::/7 TTTFF',
      'fe80::1': 'fe80::/10 TTFFT',
      '2620::1': 'none',
    };
    for (const [text, row] of Object.entries(expected)) expect(columns(text), text).to.equal(row);
    expect(
      ['8.8.8.8', '10.0.0.1', '2620::1', 'fe80::1', '224.0.0.1'].map((text) =>
        isGlobal(IpAddress.parse(text)),
      ),
    ).to.deep.equal([true, false, true, false, false]);
    // What the protocol itself reserves and no packet may come from, no packet comes from.
    for (const text of Object.keys(expected)) {
      const address = IpAddress.parse(text);
      const entry = specialPurpose(address);
      if (entry === undefined || entry.source || !entry.reserved || text === '192.0.0.170') continue;
      const peer = new IpPeer();
      peer.receive(
        address.family === 4
          ? v4({ from: text, payload: udp(text, '10.0.0.1') })
          : v6({ from: text, payload: udp(text, '2001:db8::1') }),
      );
      expect(peer.lastDrop, text).to.equal(DropReason.IpMartianSource);
    }
  });
});

describe('reverse-path filter', () => {
  /** Whether a packet from `from` gets in through each of two links. */
  function entries(mode: 'off' | 'strict' | 'loose', from: string): boolean[] {
    return [1, 2].map((link) => {
      const peer = new IpPeer({ options: { reversePathFilter: mode } });
      peer.addPort('tun1', ['10.1.0.1/24', '2001:db8:1::1/64']);
      const { routes } = peer.ip.routing;
      routes.add({ destination: '192.0.2.0/24', gateway: '10.0.0.9' });
      routes.add({ destination: '2001:db8:77::/48', gateway: '2001:db8::9' });
      routes.add({
        destination: '198.51.100.0/24',
        nexthops: [{ gateway: '10.0.0.9' }, { gateway: '10.1.0.9' }],
      });
      routes.add({ destination: '203.0.113.0/24', type: 'blackhole' });
      const six = from.includes(':');
      peer.receive(
        six ? v6({ from, payload: udp(from, '2001:db8::1') }) : v4({ from, payload: udp(from, '10.0.0.1') }),
        { link },
      );
      if (peer.udp.packets.length === 0) expect(peer.lastDrop).to.equal(DropReason.IpReversePath);
      return peer.udp.packets.length === 1;
    });
  }

  it('wants the way back to be the way in, or any way back, or nothing [MAR-6]', () => {
    for (const [from, strict, loose] of [
      ['10.0.0.9', [true, false], [true, true]],
      ['10.1.0.9', [false, true], [true, true]],
      ['192.0.2.1', [true, false], [true, true]],
      ['2001:db8:77::1', [true, false], [true, true]],
      ['2001:db8:1::9', [false, true], [true, true]],
      ['198.51.100.1', [true, true], [true, true]], // either next hop of a multipath route
      ['203.0.113.1', [false, false], [false, false]], // a blackhole is no way back
      ['172.16.0.1', [false, false], [false, false]], // no route at all
      ['2620::1', [false, false], [false, false]],
    ] as const) {
      expect(entries('strict', from), `strict ${from}`).to.deep.equal(strict);
      expect(entries('loose', from), `loose ${from}`).to.deep.equal(loose);
      expect(entries('off', from), `off ${from}`).to.deep.equal([true, true]);
    }
  });

  it('is not in the way of neighbours and of those who have no address yet', () => {
    const peer = new IpPeer({ options: { reversePathFilter: 'strict' } });
    peer.addPort('tun1', ['10.1.0.1/24']);
    peer.receive(v4({ from: '0.0.0.0', to: '255.255.255.255', payload: udp('0.0.0.0', '255.255.255.255') }), {
      link: 2,
    });
    peer.ip.addAddress(2, 'fe80::1/64');
    peer.receive(v6({ from: 'fe80::9', to: 'fe80::1', payload: udp('fe80::9', 'fe80::1') }), { link: 2 });
    expect(peer.udp.packets).to.have.length(2);
  });
});

describe('martians', () => {
  it('counts each drop by its reason, and writes of few [MAR-8]', () => {
    const lines: string[] = [];
    const stats = new StackStats();
    const ip = new IpLayer({ random: new SeededRandom(1), stats, onMartian: (line) => lines.push(line) });
    for (const port of [new TestPort(0, 'lo'), new TestPort(1, 'tun0')]) ip.addPort(port);
    ip.addAddress(1, '10.0.0.1/24');
    const packet = new IpPacket();
    const receive = (bytes: Uint8Array, nowMs: number): void => {
      packet.aim(bytes, new DataView(bytes.buffer), 0, bytes.length);
      packet.link = 1;
      packet.nowUs = nowMs * 1000;
      ip.input(packet);
    };
    for (let i = 0; i < 40; i++) receive(v4({ from: '240.0.0.1', payload: pattern(8) }), 1000 + i);
    for (let i = 0; i < 5; i++) receive(v4({ to: '0.0.0.0', payload: pattern(8) }), 1100);
    receive(v4({ to: '10.0.0.7', payload: pattern(8) }), 1200);
    expect(stats.drops.count(DropReason.IpMartianSource)).to.equal(40);
    expect(stats.drops.count(DropReason.IpMartianDestination)).to.equal(5);
    expect(stats.drops.count(DropReason.IpNotForUs)).to.equal(1);
    expect(stats.ip.inAddrErrors).to.equal(46);
    expect(lines).to.have.length(10);
    expect(lines[0]).to.equal('IpMartianSource: 240.0.0.1 to 10.0.0.1 on port 1');
    receive(v4({ to: '0.0.0.0', payload: pattern(8) }), 6100);
    expect(lines).to.have.length(11);
    expect(lines[10]).to.equal('IpMartianDestination: 10.0.0.2 to 0.0.0.0 on port 1');
  });
});

describe('IP options', () => {
  it('are one frozen object that refuses what it does not know', () => {
    const options = resolveIpOptions({ hopLimit: 9 });
    expect(options).to.deep.equal({ ...DEFAULT_IP_OPTIONS, hopLimit: 9 });
    expect(Object.isFrozen(options)).to.equal(true);
    expect(() => resolveIpOptions({ hopLimits: 9 } as never)).to.throw(
      TypeError,
      'unknown IP option "hopLimits"',
    );
    const wrong = [
      { hopLimit: 256 },
      { hopLimit: '9' },
      { reversePathFilter: 'yes' },
      { strongHost: 1 },
      { routes: -1 },
      { routes: 1.5 },
    ];
    for (const given of wrong)
      expect(() => resolveIpOptions(given as never), JSON.stringify(given)).to.throw();
  });

  it('bound groups and addresses', () => {
    const peer = new IpPeer({ options: { groups: 3, addresses: 4 }, addresses: ['10.0.0.1/24'] });
    const join = (i: number): void => peer.ip.joinGroup(1, IpAddress.parse(`239.0.0.${i}`));
    for (const i of [1, 2, 3, 3]) join(i);
    expect(() => join(4))
      .to.throw()
      .with.property('code', 'ENOBUFS');
    const leave = (): void => peer.ip.leaveGroup(1, IpAddress.parse('239.0.0.3'));
    leave();
    expect(peer.ip.hasGroup(1, IpAddress.parse('239.0.0.3')), 'joined twice').to.equal(true);
    leave();
    expect(peer.ip.hasGroup(1, IpAddress.parse('239.0.0.3'))).to.equal(false);
    expect(leave).to.throw().with.property('code', 'EADDRNOTAVAIL');
    expect(() => peer.ip.joinGroup(1, IpAddress.parse('10.0.0.1'))).to.throw(TypeError);
    peer.ip.addAddress(1, '10.7.0.1/24');
    expect(() => peer.ip.addAddress(1, '10.8.0.1/24'))
      .to.throw()
      .with.property('code', 'ENOBUFS');
  });
});

describe('node requirements', () => {
  it('says of each what is here and what is not, and why not [N-1]', () => {
    const topics = (implemented: boolean): string =>
      NODE_REQUIREMENTS.filter((one) => one.implemented === implemented)
        .map(({ topic }) => topic)
        .join(', ');
    expect(topics(true))
      .to.match(/path MTU/)
      .and.to.match(/limits on extension headers/)
      .and.to.match(/listener discovery/)
      .and.to.match(/unreachability/)
      .and.to.match(/duplicate address detection/);
    for (const missing of [/anycast/, /DHCPv6/, /temporary addresses/]) {
      expect(topics(false)).to.match(missing);
    }
    for (const { source, implemented, note } of NODE_REQUIREMENTS) {
      expect(source).to.match(/^RFC \d+( §[\d.]+)?(, RFC \d+)?$/);
      if (!implemented) expect(note).to.not.equal('');
    }
  });
});
