/** IPv6 input and output: RFC 8200, RFC 4291, RFC 6437, RFC 8504. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { Begin } from '../../../lib/ip/ip-output.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { Cast } from '../../../lib/wire/ip-packet.js';
import { IpPeer } from '../../support/ip-peer.js';
import {
  addressBytes,
  bytesOf,
  checksumOf,
  fragmentHeader,
  icmp6,
  mappedBytes,
  optionsHeader,
  pattern,
  pseudoHeader,
  read,
  routingHeader,
  tcp,
  udp,
  type V6Fields,
  v6,
} from '../../support/ip-wire.js';

const HOSTS = ['2001:db8::2', '2001:db8::1'] as const;
const data = udp(...HOSTS, pattern(9));

/** Hands in a packet that must vanish without a word, for the reason given. */
function vanishes(peer: IpPeer, packet: Uint8Array, reason: number, link = 1): void {
  peer.receive(packet, { link });
  expect(peer.lastDrop).to.equal(reason);
  expect(peer.udp.packets, 'delivered').to.deep.equal([]);
  expect(peer.tcp.packets, 'delivered').to.deep.equal([]);
  expect(peer.sent(), 'said').to.deep.equal([]);
}

/** Hands in a packet that must be answered by a Parameter Problem. */
function isProblem(packet: Uint8Array, code: number, pointer: number, options = {}): void {
  const peer = new IpPeer(options);
  peer.receive(packet);
  expect(peer.udp.packets).to.deep.equal([]);
  const [error] = peer.sentIcmp();
  expect([error?.type, error?.code, error?.word]).to.deep.equal([4, code, pointer]);
  expect(error.data).to.deep.equal(packet.subarray(0, 1232));
}

/** The payload that goes up, or undefined. */
function delivered(packet: Uint8Array): Uint8Array | undefined {
  const peer = new IpPeer();
  peer.receive(packet);
  expect(peer.sent()).to.deep.equal([]);
  return peer.udp.packets[0]?.payload;
}

describe('IPv6 input: the header', () => {
  it('discards what is shorter than it says, and cuts off what is longer [V6-1] [E34] [E7] [E10]', () => {
    const whole = v6({ payload: data });
    for (let length = 1; length < whole.length; length++) {
      vanishes(new IpPeer(), whole.subarray(0, length), DropReason.IpLength);
    }
    expect(delivered(bytesOf(whole, pattern(30)))).to.deep.equal(data);
    const peer = new IpPeer();
    const short = v6({ next: 99, payload: data, payloadLength: 5 });
    peer.receive(short);
    expect(peer.sentIcmp()[0].data, 'nothing beyond its length').to.deep.equal(short.subarray(0, 45));
  });

  it('discards jumbograms [V6-1] [E35]', () => {
    const jumbo = optionsHeader(17, [0xc2, 4, 0, 1, 0, 0]);
    vanishes(
      new IpPeer(),
      v6({ next: 0, payload: bytesOf(jumbo, data), payloadLength: 0 }),
      DropReason.IpExtensionHeader,
    );
    for (const length of [0, 8, 65_535, 65_536, 0x7fff_ffff, 0xffff_ffff]) {
      const option = [
        0xc2,
        4,
        (length >>> 24) & 255,
        (length >>> 16) & 255,
        (length >>> 8) & 255,
        length & 255,
      ];
      isProblem(v6({ next: 0, payload: bytesOf(optionsHeader(17, option), data) }), 2, 42);
    }
    // A payload of nothing is nothing, not a jumbogram: there is no transport header to find.
    const peer = new IpPeer();
    peer.receive(v6({ next: 59, payloadLength: 0 }));
    expect(peer.lastDrop).to.equal(DropReason.IpNoNextHeader);
  });

  it('does not count hops for itself [V6-15]', () => {
    const peer = new IpPeer();
    for (const hopLimit of [0, 1, 255]) peer.receive(v6({ payload: data, hopLimit }));
    expect(peer.udp.packets.map((packet) => packet.hopLimit)).to.deep.equal([0, 1, 255]);
  });

  it('hands traffic class and ECN up, and ignores the flow label [V6-17] [V6-16]', () => {
    const peer = new IpPeer();
    for (const trafficClass of [0, 3, 0xb8, 0xff])
      peer.receive(v6({ payload: data, trafficClass, flowLabel: 0xabcde }));
    expect(peer.udp.packets.map((packet) => packet.trafficClass)).to.deep.equal([0, 3, 0xb8, 0xff]);
  });

  it('wants 1280 bytes of a link, or does without IPv6 there [V6-18]', () => {
    const peer = new IpPeer();
    const narrow = peer.addPort('narrow', ['10.5.0.1/24'], { mtu: 1279 });
    expect(() => peer.ip.addAddress(2, '2001:db8:5::1/64'))
      .to.throw()
      .with.property('code', 'EINVAL');
    expect(() => peer.ip.routing.routes.add({ destination: '2001:db8:6::/48', port: 2 }))
      .to.throw()
      .with.property('code', 'EINVAL');
    expect(peer.ip.routing.routes.list({ family: 6, port: 2 })).to.deep.equal([]);
    vanishes(peer, v6({ payload: data }), DropReason.IpDisabled, 2);
    const enough = peer.addPort('enough', [], { mtu: 1280 });
    peer.ip.addAddress(3, '2001:db8:5::1/64');
    const path = peer.resolve('2001:db8:5::9');
    expect([path.unusable, path.mtu]).to.deep.equal(['', 1280]);
    // A link that shrinks later loses it.
    enough.mtu = 1279;
    peer.ip.portChanged();
    expect(peer.ip.begin(path, 8)).to.equal(Begin.Unusable);
    expect(narrow.queue).to.deep.equal([]);
  });
});

describe('IPv6 input: addresses', () => {
  it('drops sources that cannot be [V6-2] [MAR-7] [MAR-3] [E24]', () => {
    for (const from of ['ff02::1', 'ff0e::5', '::', '::1', '2001:db8::1']) {
      for (const next of [6, 17, 58, 99]) {
        const payload =
          next === 6 ? tcp(from, HOSTS[1]) : next === 58 ? icmp6([from, HOSTS[1]], 128, 0, 1) : data;
        vanishes(new IpPeer(), v6({ from, next, payload }), DropReason.IpMartianSource);
      }
    }
    vanishes(new IpPeer(), v6({ from: '::', to: 'ff02::1', payload: data }), DropReason.IpMartianSource);
    vanishes(new IpPeer(), v6({ to: '::', payload: data }), DropReason.IpMartianDestination);
    // :: may ask a group: it is a host that looks whether its address is taken.
    const peer = new IpPeer();
    const solicitation = icmp6(['::', 'ff02::1'], 135, 0, 0, addressBytes('2001:db8::1'));
    peer.receive(v6({ from: '::', to: 'ff02::1', hopLimit: 255, next: 58, payload: solicitation }));
    expect(peer.lastDrop).to.equal(DropReason.IcmpIgnored);
    expect(peer.sent()).to.deep.equal([]);
  });

  it('keeps ::1 inside [V6-3]', () => {
    vanishes(new IpPeer(), v6({ to: '::1', payload: data }), DropReason.IpMartianDestination);
    vanishes(new IpPeer(), v6({ from: '::1', to: '::1', payload: data }), DropReason.IpMartianSource);
    const peer = new IpPeer();
    peer.receive(v6({ from: '::1', to: '::1', payload: udp('::1', '::1') }), { link: 0 });
    expect(peer.udp.packets).to.have.length(1);
    peer.ip.routing.routes.add({ destination: '::/0', port: 1 });
    expect(peer.resolve('2001:db8:9::9', { source: '::1' }).unusable).to.equal('EINVAL');
    peer.ip.routing.rules.add({ priority: 0, table: 'main' });
    peer.ip.routing.rules.delete({ priority: 0, table: 'local' });
    expect(peer.resolve('::1', { source: '2001:db8::1' }).unusable).to.equal('EINVAL');
  });

  it('drops IPv4-mapped addresses on the wire [V6-4] [MAR-7]', () => {
    const peer = new IpPeer();
    const from = mappedBytes('10.0.0.2');
    const to = mappedBytes('10.0.0.1');
    vanishes(peer, v6({ fromBytes: from, payload: data }), DropReason.IpMartianSource);
    vanishes(peer, v6({ toBytes: to, payload: data }), DropReason.IpMartianDestination);
    vanishes(peer, v6({ fromBytes: from, toBytes: to, payload: data }), DropReason.IpMartianSource);
    vanishes(
      peer,
      v6({ fromBytes: mappedBytes('127.0.0.1'), toBytes: to, payload: data }),
      DropReason.IpMartianSource,
      0,
    );
  });

  it('drops groups of scopes that never cross a link, or do not exist [V6-5]', () => {
    const peer = new IpPeer();
    for (const group of ['ff00::1', 'ff01::1', 'ff0f::1', 'ff1f::1', 'ff10::1']) {
      peer.ip.joinGroup(1, IpAddress.parse(group));
      peer.sent(); // the report
      vanishes(peer, v6({ to: group, payload: udp(HOSTS[0], group) }), DropReason.IpMartianDestination);
    }
    for (const group of ['ff02::1', 'ff05::7', 'ff0e::7']) {
      if (group !== 'ff02::1') peer.ip.joinGroup(1, IpAddress.parse(group));
      peer.receive(v6({ to: group, payload: udp(HOSTS[0], group) }));
    }
    peer.sent();
    expect(peer.udp.packets.map(({ cast }) => cast)).to.deep.equal([
      Cast.Multicast,
      Cast.Multicast,
      Cast.Multicast,
    ]);
    peer.udp.packets.length = 0;
    vanishes(peer, v6({ to: 'ff05::8', payload: udp(HOSTS[0], 'ff05::8') }), DropReason.IpNotForUs);
  });
});

describe('IPv6 input: extension headers', () => {
  const destination = (next: number): number[] => optionsHeader(next, [30, 2, 0, 0]);
  const hop = (next: number): number[] => optionsHeader(next, [5, 2, 0, 0]);

  it('goes through them in any order and number, Hop-by-Hop first only [V6-6]', () => {
    const chains: [number, Uint8Array][] = [
      [0, bytesOf(hop(17), data)],
      [60, bytesOf(destination(17), data)],
      [60, bytesOf(destination(60), destination(60), destination(17), data)],
      [0, bytesOf(hop(43), routingHeader(60, 4, 0), destination(17), data)],
      [
        43,
        bytesOf(
          routingHeader(60, 4, 0),
          destination(43),
          routingHeader(44, 4, 0),
          fragmentHeader(17, 0, false, 1),
          data,
        ),
      ],
      [0, bytesOf(hop(60), destination(44), fragmentHeader(60, 0, false, 1), destination(17), data)],
    ];
    for (const [next, payload] of chains)
      expect(delivered(v6({ next, payload })), `chain of ${next}`).to.deep.equal(data);
    isProblem(v6({ next: 60, payload: bytesOf(destination(0), hop(17), data) }), 1, 40);
    isProblem(v6({ next: 0, payload: bytesOf(hop(0), hop(17), data) }), 1, 40);
    isProblem(v6({ next: 0, payload: bytesOf(hop(60), destination(0), hop(17), data) }), 1, 48);
    isProblem(v6({ next: 44, payload: bytesOf(fragmentHeader(0, 0, false, 1), hop(17), data) }), 1, 40);
  });

  it('reports Next Headers it does not know, where they stand [V6-7]', () => {
    for (const next of [1, 4, 41, 50, 51, 89, 99, 132, 135, 139, 253, 255]) {
      isProblem(v6({ next, payload: pattern(20) }), 1, 6);
      isProblem(v6({ next: 60, payload: bytesOf(destination(next), pattern(20)) }), 1, 40);
      isProblem(v6({ next: 0, payload: bytesOf(hop(60), destination(next), pattern(20)) }), 1, 48);
      isProblem(v6({ next: 44, payload: bytesOf(fragmentHeader(next, 0, false, 1), pattern(20)) }), 1, 40);
    }
    // In what was put together the place is that in the whole.
    const peer = new IpPeer();
    peer.receive(
      v6({ next: 44, payload: bytesOf(fragmentHeader(60, 0, true, 1), destination(99), pattern(8)) }),
    );
    peer.receive(v6({ next: 44, payload: bytesOf(fragmentHeader(60, 16, false, 1), pattern(8)) }));
    expect(peer.sentIcmp()[0]).to.include({ type: 4, code: 1, word: 40 });
  });

  it('stops at No Next Header without a word [V6-8]', () => {
    vanishes(new IpPeer(), v6({ next: 59 }), DropReason.IpNoNextHeader);
    vanishes(new IpPeer(), v6({ next: 59, payload: pattern(100) }), DropReason.IpNoNextHeader);
    vanishes(
      new IpPeer(),
      v6({ next: 0, payload: bytesOf(hop(60), destination(59), data) }),
      DropReason.IpNoNextHeader,
    );
  });

  it('does with unknown options what their upper two bits say, for one or many [V6-9] [E18]', () => {
    for (const kind of [0, 60]) {
      for (const to of ['2001:db8::1', 'ff02::1']) {
        const many = to === 'ff02::1';
        const payload = (option: number): Uint8Array =>
          bytesOf(optionsHeader(17, [1, 0, option, 3, 1, 2, 3]), udp(HOSTS[0], to, pattern(9)));
        for (const low of [0x02, 0x1e, 0x3f]) {
          const skip = new IpPeer();
          skip.receive(v6({ to, next: kind, payload: payload(low) }));
          expect(skip.udp.packets, 'skipped').to.have.length(1);
          vanishes(
            new IpPeer(),
            v6({ to, next: kind, payload: payload(0x40 | low) }),
            DropReason.IpExtensionHeader,
          );
          isProblem(v6({ to, next: kind, payload: payload(0x80 | low) }), 2, 44);
          if (many)
            vanishes(
              new IpPeer(),
              v6({ to, next: kind, payload: payload(0xc0 | low) }),
              DropReason.IpExtensionHeader,
            );
          else isProblem(v6({ to, next: kind, payload: payload(0xc0 | low) }), 2, 44);
        }
      }
    }
  });

  it('takes padding of any length and content, and no option beyond its header [V6-10]', () => {
    for (let length = 0; length <= 253; length++) {
      const pad = [1, length, ...new Array<number>(length).fill(0xaa)];
      expect(
        delivered(v6({ next: 60, payload: bytesOf(optionsHeader(17, pad), data) })),
        `PadN ${length}`,
      ).to.deep.equal(data);
    }
    for (const pads of [6, 14, 254]) {
      const header = optionsHeader(17, new Array<number>(pads).fill(0));
      expect(delivered(v6({ next: 0, payload: bytesOf(header, data) })), `${pads} × Pad1`).to.deep.equal(
        data,
      );
    }
    for (const options of [
      [30, 5, 0, 0, 0, 0],
      [1, 5, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 30],
      [1, 2, 0, 0, 1, 1],
      [30, 255, 0, 0, 0, 0],
    ]) {
      vanishes(
        new IpPeer(),
        v6({ next: 60, payload: bytesOf([17, 0, ...options], data) }),
        DropReason.IpExtensionHeader,
      );
    }
  });

  it('cannot be led beyond the packet by a header length [V6-11] [E17]', () => {
    for (const next of [0, 43, 60]) {
      for (let length = 0; length < 256; length++) {
        const header = [17, length, 0, 0, 0, 0, 0, 0];
        const packet = v6({ next, payload: bytesOf(header, new Uint8Array(17)) });
        const fits = (length + 1) * 8 <= packet.length - 40;
        const peer = new IpPeer();
        peer.receive(packet);
        if (!fits) expect(peer.lastDrop, `${next} ${length}`).to.equal(DropReason.IpExtensionHeader);
        expect(peer.udp.packets.length, `${next} ${length}`).to.equal(fits ? 1 : 0);
        if (fits) expect(peer.udp.packets[0].payload.length).to.equal(packet.length - 40 - (length + 1) * 8);
      }
      // Headers that end in the middle of themselves.
      for (let bytes = 0; bytes < 8; bytes++) {
        vanishes(new IpPeer(), v6({ next, payload: new Uint8Array(bytes) }), DropReason.IpExtensionHeader);
        vanishes(new IpPeer(), v6({ next: 44, payload: pattern(bytes) }), DropReason.IpExtensionHeader);
      }
    }
  });

  it('goes through eight headers, and eight options in each, and no more [V6-12] [E17]', () => {
    const chain = (count: number): Uint8Array =>
      bytesOf(...new Array(count).fill(0).map((_, i) => destination(i === count - 1 ? 17 : 60)), data);
    expect(delivered(v6({ next: 60, payload: chain(8) }))).to.deep.equal(data);
    vanishes(new IpPeer(), v6({ next: 60, payload: chain(9) }), DropReason.IpExtensionHeader);
    vanishes(new IpPeer(), v6({ next: 60, payload: chain(180) }), DropReason.IpExtensionHeader);
    const options = (count: number): number[] =>
      optionsHeader(17, new Array<number[]>(count).fill([30, 1, 7]).flat());
    expect(delivered(v6({ next: 60, payload: bytesOf(options(8), data) }))).to.deep.equal(data);
    vanishes(
      new IpPeer(),
      v6({ next: 60, payload: bytesOf(options(9), data) }),
      DropReason.IpExtensionHeader,
    );
    vanishes(
      new IpPeer(),
      v6({ next: 0, payload: bytesOf(options(600), data) }),
      DropReason.IpExtensionHeader,
    );
    const other = new IpPeer({ options: { extensionHeaders: 2, optionsPerHeader: 1 } });
    other.receive(v6({ next: 60, payload: chain(3) }));
    other.receive(v6({ next: 60, payload: bytesOf(options(2), data) }));
    expect(other.udp.packets).to.deep.equal([]);
    other.receive(v6({ next: 60, payload: chain(2) }));
    expect(other.udp.packets).to.have.length(1);
  });

  it('is no way station of routing headers [V6-13]', () => {
    const address = addressBytes('2001:db8::9');
    for (const type of [0, 1, 2, 3, 4, 253]) {
      const left = (segments: number): Uint8Array =>
        v6({ next: 43, payload: bytesOf(routingHeader(17, type, segments, [...address]), data) });
      for (const segments of [1, 2, 255]) isProblem(left(segments), 0, 42);
      expect(delivered(left(0)), `type ${type}`).to.deep.equal(data);
    }
  });

  it('has no use for Router Alert [V6-14]', () => {
    expect(delivered(v6({ next: 0, payload: bytesOf(optionsHeader(17, [5, 2, 0, 0]), data) }))).to.deep.equal(
      data,
    );
    const peer = new IpPeer();
    vanishes(
      peer,
      v6({ to: '2001:db8::9', next: 0, payload: bytesOf(optionsHeader(17, [5, 2, 0, 0]), data) }),
      DropReason.IpNotForUs,
    );
    // Of what is for others nothing is looked at, be it as broken as it may.
    vanishes(
      peer,
      v6({ to: '2001:db8::9', next: 0, payload: bytesOf(optionsHeader(17, [0x9e, 0]), data) }),
      DropReason.IpNotForUs,
    );
  });
});

describe('IPv6 output', () => {
  it('labels flows: the same label for one, others for others, none in answers [V6-16]', () => {
    const peer = new IpPeer();
    const labelOf = (
      given: V6Fields & { sourcePort?: number; destinationPort?: number; protocol?: number },
      from = peer,
    ): number => {
      const path = from.resolve(given.to ?? '2001:db8::9', {
        sourcePort: 1000,
        destinationPort: 80,
        ...given,
      });
      from.send(path, udp('2001:db8::1', '2001:db8::9'));
      return from.sent()[0].flowLabel;
    };
    const label = labelOf({});
    for (let i = 0; i < 5; i++) expect(labelOf({})).to.equal(label);
    const labels = new Set<number>();
    for (let port = 1; port <= 500; port++) labels.add(labelOf({ sourcePort: port }));
    labels.add(labelOf({ to: '2001:db8::10' }));
    labels.add(labelOf({ protocol: 6 }));
    expect(labels.size, 'twenty bits, well spread').to.be.above(495);
    const bits =
      [...labels].reduce((sum, value) => sum + value.toString(2).split('1').length - 1, 0) / labels.size;
    expect(bits, 'half of the bits').to.be.within(9.5, 10.5);
    expect(labelOf({}, new IpPeer({ seed: 2 })), 'keyed').to.not.equal(label);
    expect(labelOf({}, new IpPeer({ options: { flowLabels: false } }))).to.equal(0);
    peer.receive(v6({ next: 99, flowLabel: 0x12345 }));
    peer.udp.onPacket = (packet) => {
      expect(peer.ip.resolveReply(packet, 6).flowLabel).to.equal(0);
    };
    peer.receive(v6({ payload: data, flowLabel: 0x12345 }));
    expect(peer.sent()[0].flowLabel).to.equal(0);
  });

  it('sums the pseudo-header of the final destination, the length and protocol of what it carries [V6-19]', () => {
    const peer = new IpPeer();
    for (const [protocol, message, at] of [
      [6, tcp('2001:db8::1', '2001:db8::9', pattern(777)), 16],
      [17, udp('2001:db8::1', '2001:db8::9', pattern(778)), 6],
    ] as const) {
      const blank = message.slice();
      blank.set([0x55, 0x55], at);
      peer.send(peer.resolve('2001:db8::9', { protocol }), blank, at);
      const { payload } = peer.sent()[0];
      expect(payload).to.deep.equal(message);
      expect(
        checksumOf(pseudoHeader('2001:db8::1', '2001:db8::9', protocol, message.length), payload),
      ).to.equal(0);
    }
    // Behind extension headers too: neither their length nor their protocol counts.
    const listener: string[] = [];
    peer.ip.echo.add(1, {
      reply: (_, { dataBytes }) => listener.push(`reply of ${dataBytes}`),
      error: () => {},
    });
    const reply = icmp6(['2001:db8::2', '2001:db8::1'], 129, 0, 0x1_0001, pattern(21));
    const options = optionsHeader(43, [30, 2, 0, 0]);
    peer.receive(v6({ next: 60, payload: bytesOf(options, routingHeader(58, 4, 0), reply) }));
    expect(listener).to.deep.equal(['reply of 21']);
  });

  it('fragments what it sends itself where that is wanted, with a header of 48 bytes', () => {
    const peer = new IpPeer({ mtu: 1280 });
    const path = peer.resolve('2001:db8::9');
    const message = udp('2001:db8::1', '2001:db8::9', pattern(4000));
    expect(peer.send(path, message, 6)).to.equal(Begin.TooBig);
    path.dontFragment = false;
    expect(peer.send(path, message, 6)).to.equal(Begin.Ok);
    const fragments = peer.sent();
    expect(fragments.map(({ offset, more, payload }) => [offset, more, payload.length])).to.deep.equal([
      [0, true, 1232],
      [1232, true, 1232],
      [2464, true, 1232],
      [3696, false, 312],
    ]);
    expect(new Set(fragments.map(({ id }) => id)).size).to.equal(1);
    expect(bytesOf(...fragments.map(({ payload }) => payload))).to.deep.equal(message);
    expect(peer.send(path, pattern(65_535))).to.equal(Begin.Ok);
    expect(peer.send(path, pattern(65_536))).to.equal(Begin.TooBig);
  });

  it('draws identifications at random [FR6-9] [A15]', () => {
    const peer = new IpPeer();
    const seen: number[] = [];
    for (let i = 0; i < 400; i++) {
      const path = peer.resolve(`2001:db8::${(16 + (i % 4)).toString(16)}`);
      path.dontFragment = false;
      peer.send(path, pattern(1500));
      seen.push(peer.sent()[0].id);
    }
    expect(new Set(seen).size).to.equal(400);
    expect(seen).to.not.include(0);
    // No counter: neither the next nor the next of the same destination is near.
    for (const lag of [1, 4]) {
      const near = seen.slice(lag).filter((id, i) => Math.abs(id - seen[i]) < 2 ** 24).length;
      expect(near, `lag ${lag}`).to.be.below(20);
    }
    const quarters = [0, 0, 0, 0];
    for (const id of seen) quarters[id >>> 30]++;
    for (const count of quarters) expect(count).to.be.within(65, 135);
  });

  it('loses no packet that a reader would not find right', () => {
    const peer = new IpPeer();
    const path = peer.resolve('2001:db8::9');
    path.trafficClass = 0xb8;
    path.ecn = 2;
    path.hopLimit = 7;
    peer.send(path, udp('2001:db8::1', '2001:db8::9'), 6);
    const [frame] = peer.port.queue;
    const seen = read(frame.bytes);
    expect([seen.tos, seen.ttl, seen.from, seen.to]).to.deep.equal([0xba, 7, '2001:db8::1', '2001:db8::9']);
  });
});
