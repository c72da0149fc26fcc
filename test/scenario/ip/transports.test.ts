/** IP and its transports together: what only both can do right. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import type { RouteSpec } from '../../../lib/ip/route.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { Stack } from '../../../lib/stack/stack.js';
import type { TcpEndpoint } from '../../../lib/stack/tcp-endpoint.js';
import { NewReno } from '../../../lib/tcp/congestion/new-reno.js';
import { registerCongestionControl } from '../../../lib/tcp/congestion/registry.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import {
  bytesOf,
  checksumOf,
  pattern,
  pseudoHeader,
  read,
  readIcmp,
  type Seen,
  tcp,
  u16,
  u32,
  udp,
  v4,
  v6,
} from '../../support/ip-wire.js';
import { WireLink } from '../../support/wire-link.js';

/** A stack at 10.0.0.1 and 2001:db8::1, and what it sent. */
class Host {
  readonly clock = new VirtualClock(1_000_000);
  readonly wire: WireLink;
  readonly stack: Stack;
  readonly sent: Seen[] = [];

  constructor(mtu = 1500) {
    this.wire = new WireLink({ mtu });
    this.stack = new Stack({ clock: this.clock, random: new SeededRandom(1) });
    this.stack.addLink(this.wire, { addresses: ['10.0.0.1/24', '2001:db8::1/64'] });
    this.wire.onSent = ({ bytes }) => this.sent.push(read(bytes));
  }

  route(spec: RouteSpec): this {
    this.stack.routing.routes.add(spec);
    return this;
  }

  /** Hands packets in; what was sent since is taken. */
  receive(...packets: Uint8Array[]): Seen[] {
    this.wire.inject(packets);
    return this.take();
  }

  take(): Seen[] {
    this.clock.advanceBy(0);
    expect(this.wire.faults).to.deep.equal([]);
    return this.sent.splice(0);
  }
}

/** The fields of a segment that these tests look at. */
function segment(seen: Seen): {
  ports: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  mss: number;
  text: Uint8Array;
} {
  const bytes = seen.payload;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const end = (bytes[12] >> 4) * 4;
  let mss = 0;
  for (let i = 20; i < end && bytes[i] !== 0; i += bytes[i] === 1 ? 1 : bytes[i + 1]) {
    if (bytes[i] === 2) mss = bytes[i + 2] * 256 + bytes[i + 3];
  }
  return {
    ports: view.getUint32(0),
    seq: view.getUint32(4),
    ack: view.getUint32(8),
    flags: bytes[13],
    window: view.getUint16(14),
    mss,
    text: bytes.subarray(end),
  };
}

const [SYN, RST, ACK] = [2, 4, 16];

/** A segment to the stack in answer to `seen`, with MSS 1460 and no other option where it carries SYN. */
function answer(
  seen: Seen,
  flags: number,
  seq: number,
  ack: number,
  window = 65_535,
  text: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const { ports } = segment(seen);
  const options = (flags & SYN) !== 0 ? [2, 4, ...u16(1460)] : [];
  const bytes = bytesOf(
    u16(ports & 0xffff),
    u16(ports >>> 16),
    u32(seq),
    u32(ack),
    [((20 + options.length) / 4) << 4, flags],
    u16(window),
    [0, 0, 0, 0],
    options,
    text,
  );
  bytes.set(u16(checksumOf(pseudoHeader(seen.to, seen.from, 6, bytes.length), bytes)), 16);
  const make = seen.version === 4 ? v4 : v6;
  return make({ from: seen.to, to: seen.from, protocol: 6, next: 6, payload: bytes });
}

describe('IP and TCP', () => {
  it('never answers TCP that was sent to many, and delivers UDP that was [V4-24]', () => {
    const host = new Host();
    host.stack.listenTcp({ port: 80 });
    const socket = host.stack.openUdp(4, { broadcast: true });
    socket.bind(IpAddress.parse('0.0.0.0'), 7);
    for (const to of ['255.255.255.255', '10.0.0.255']) {
      expect(host.receive(v4({ to, protocol: 6, payload: tcp('10.0.0.2', to) })), to).to.deep.equal([]);
      expect(
        host.receive(v4({ to, protocol: 6, payload: tcp('10.0.0.2', to, [], [4000, 81]) })),
        to,
      ).to.deep.equal([]);
      host.receive(v4({ to, payload: udp('10.0.0.2', to, pattern(3)) }));
      expect(socket.receive()?.length, to).to.equal(3);
    }
    expect(host.stack.stats.drops.count(DropReason.TcpSource)).to.equal(4);
    expect(host.receive(v4({ protocol: 6, payload: tcp('10.0.0.2', '10.0.0.1') })), 'to one').to.have.length(
      1,
    );
    // Sending to many needs permission.
    socket.send(pattern(3), { destination: IpAddress.parse('10.0.0.255'), port: 9 });
    expect(host.take().map(({ to }) => to)).to.deep.equal(['10.0.0.255']);
    socket.setOptions({ broadcast: false });
    expect(() => socket.send(pattern(3), { destination: IpAddress.parse('10.0.0.255'), port: 9 }))
      .to.throw()
      .with.property('code', 'EACCES');
    host.stack.close();
  });

  it('answers closed ports of TCP with a reset and those of UDP with an error [IC6-7]', () => {
    const host = new Host();
    const hosts = ['2001:db8::2', '2001:db8::1'] as const;
    const [reset] = host.receive(v6({ next: 6, payload: tcp(...hosts) }));
    expect([reset.protocol, segment(reset).flags & RST]).to.deep.equal([6, RST]);
    const datagram = v6({ payload: udp(...hosts, pattern(5)) });
    const [error] = host.receive(datagram).map(({ bytes }) => readIcmp(bytes));
    expect([error.type, error.code]).to.deep.equal([1, 4]);
    expect(error.data).to.deep.equal(datagram);
    const [reset4] = host.receive(v4({ protocol: 6, payload: tcp('10.0.0.2', '10.0.0.1') }));
    expect(reset4.protocol).to.equal(6);
    const [error4] = host
      .receive(v4({ payload: udp('10.0.0.2', '10.0.0.1') }))
      .map(({ bytes }) => readIcmp(bytes));
    expect([error4.type, error4.code]).to.deep.equal([3, 3]);
    host.stack.close();
  });

  it('counts forty bytes for the IPv6 header, sixty with that of TCP [V6-20]', () => {
    for (const [mtu, mss] of [
      [1280, 1220],
      [1500, 1440],
      [9000, 8940],
    ]) {
      const host = new Host(mtu);
      host.stack.connectTcp({ address: '2001:db8::9', port: 80 });
      const [syn] = host.take();
      expect(segment(syn).mss, `MTU ${mtu}`).to.equal(mss);
      host.stack.connectTcp({ address: '10.0.0.9', port: 80 });
      expect(segment(host.take()[0]).mss).to.equal(mss + 20);
      host.stack.close();
    }
    // A peer that names no MSS gets segments of 1220 bytes in IPv6 (1280 - 60), 536 in IPv4.
    const host = new Host();
    for (const [from, to, size] of [
      ['2001:db8::2', '2001:db8::1', 1220],
      ['10.0.0.2', '10.0.0.1', 536],
    ] as const) {
      const listener = host.stack.listenTcp({ port: 80, address: to });
      const make = size === 1220 ? v6 : v4;
      const [synAck] = host.receive(make({ from, to, next: 6, protocol: 6, payload: tcp(from, to) }));
      host.receive(answer(synAck, ACK, 2, segment(synAck).seq + 1));
      const endpoint = listener.accept() as TcpEndpoint;
      endpoint.write(pattern(4000));
      const [first] = host.take();
      // Options may take some of it; what they leave is the least for that MTU.
      expect((first.payload[12] >> 4) * 4 - 20 + segment(first).text.length, to).to.equal(size);
    }
    host.stack.close();
  });
});

describe('routes and TCP', () => {
  const FAR = '192.0.2.9';

  /** A connection to `FAR` over a route, as far as its SYN. */
  function begun(attributes: Partial<RouteSpec>): { host: Host; endpoint: TcpEndpoint; syn: Seen } {
    const host = new Host().route({ destination: '192.0.2.0/24', gateway: '10.0.0.254', ...attributes });
    const endpoint = host.stack.connectTcp({ address: FAR, port: 80 });
    const [syn] = host.take();
    return { host, endpoint, syn };
  }

  /** The same, established, and what it sends of 60,000 bytes at once. */
  function flight(attributes: Partial<RouteSpec>): {
    host: Host;
    endpoint: TcpEndpoint;
    syn: Seen;
    sent: Seen[];
  } {
    const { host, endpoint, syn } = begun(attributes);
    host.clock.advanceBy(5000);
    host.receive(answer(syn, SYN | ACK, 1000, segment(syn).seq + 1));
    endpoint.write(pattern(60_000));
    return { host, endpoint, syn, sent: host.take() };
  }

  it('lets a route choose MSS, window and hop limit of the handshake [RT-17]', () => {
    const plain = begun({}).syn;
    expect([segment(plain).mss, plain.ttl, segment(plain).window]).to.deep.equal([1460, 64, 65_535]);
    expect(segment(begun({ advmss: 1000 }).syn).mss).to.equal(1000);
    expect(begun({ hopLimit: 7 }).syn.ttl).to.equal(7);
    expect(segment(begun({ window: 5000 }).syn).window).to.equal(5000);
    expect(segment(begun({ initrwnd: 4 }).syn).window).to.be.within(4 * 1400, 4 * 1460);
  });

  it('lets a route choose the first flight and the size of segments [RT-17]', () => {
    const sizes = (sent: readonly Seen[]): number[] =>
      sent.map((seen) => segment(seen).text.length).filter((size) => size > 0);
    expect(sizes(flight({}).sent)).to.deep.equal(new Array<number>(10).fill(1460));
    expect(sizes(flight({ initcwnd: 3 }).sent)).to.deep.equal([1460, 1460, 1460]);
    expect(sizes(flight({ initcwnd: 25 }).sent)).to.have.length(25);
    const narrow = flight({ mtu: 1300, mtuLock: true }).sent;
    expect(Math.max(...sizes(narrow))).to.equal(1260);
    expect(
      narrow.every(({ df }) => !df),
      'a locked MTU sets no DF',
    ).to.equal(true);
    expect(flight({ hopLimit: 7 }).sent.every(({ ttl }) => ttl === 7)).to.equal(true);
  });

  it('lets a route choose the least retransmission timeout [RT-17]', () => {
    /** Milliseconds until the first byte is sent again. */
    const patience = (attributes: Partial<RouteSpec>): number => {
      const { host, sent } = flight(attributes);
      const { seq } = segment(sent.filter((seen) => segment(seen).text.length > 0)[0]);
      for (let ms = 1; ms < 5000; ms++) {
        host.clock.advanceBy(1000);
        if (host.take().some((seen) => segment(seen).seq === seq && segment(seen).text.length > 0)) return ms;
      }
      return 5000;
    };
    const [short, usual, long] = [
      patience({ rtoMinUs: 50_000 }),
      patience({}),
      patience({ rtoMinUs: 900_000 }),
    ];
    expect(short).to.be.below(usual);
    expect(long).to.be.within(900, 1100);
  });

  it('lets a route ask for acknowledgements at once, and name a congestion control [RT-17]', () => {
    /** Whether each of 40 small segments is acknowledged at once. */
    const prompt = (attributes: Partial<RouteSpec>): number => {
      const { host, syn } = begun(attributes);
      const { seq } = segment(syn);
      host.receive(answer(syn, SYN | ACK, 1000, seq + 1));
      let acknowledged = 0;
      for (let i = 0; i < 40; i++) {
        host.clock.advanceBy(1000);
        const acks = host.receive(answer(syn, ACK, 1001 + i * 10, seq + 1, 65_535, pattern(10)));
        acknowledged += acks.filter((seen) => segment(seen).ack === 1011 + i * 10).length;
      }
      return acknowledged;
    };
    expect(prompt({ quickAck: 1 })).to.equal(40);
    expect(prompt({})).to.be.below(40);
    let made = 0;
    registerCongestionControl('counting', (parameters) => {
      made++;
      return new NewReno(parameters);
    });
    flight({});
    expect(made).to.equal(0);
    flight({ congestionControl: 'counting' });
    expect(made).to.be.above(0);
  });
});
