/** The same packets through the kernel's router and ours: what leaves must be the same. */
import { expect } from 'chai';
import { TunDevice } from '../../lib/link/tun-device.js';
import { ChecksumState } from '../../lib/wire/ip-packet.js';
import { eventually } from '../support/interop-wait.js';
import {
  bytesOf,
  fragmentHeader,
  icmp4,
  icmp6,
  optionsHeader,
  pattern,
  read,
  readIcmp,
  routingHeader,
  tcp,
  udp,
} from '../support/ip-wire.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';
import { FAR, NEAR, OWN, Router, transit4, transit6 } from '../support/router.js';
import { skip } from '../support/skip.js';

const FAR_MTU = 1400;

/** What left by either side, as far as it matters. */
interface Outcome {
  readonly near: readonly unknown[];
  readonly far: readonly unknown[];
}

/** A packet without what may differ: who made an error numbers it as he likes. */
function essence(bytes: Uint8Array): unknown {
  const { version, from, to, ttl, tos, payload, protocol } = read(bytes);
  const isError =
    protocol === (version === 4 ? 1 : 58) && (version === 4 ? payload[0] !== 8 : payload[0] < 128);
  const ours = version === 4 ? [OWN[4], '10.1.0.1'] : [OWN[6], '2001:db8:1::1', 'fe80::1', 'fe80::9'];
  if (!isError || !ours.includes(from)) return [...bytes].join(' ');
  const { type, code, word, data } = readIcmp(bytes);
  return { from, to, ttl, tos, type, code, word, data: [...data].join(' ') };
}

/** The kernel as a router between two TUNs. */
class KernelRouter {
  readonly #namespace: TestNamespace;
  readonly #near: TunDevice;
  readonly #far: TunDevice;
  #fromNear: Uint8Array[] = [];
  #fromFar: Uint8Array[] = [];
  #mark = 0;

  private constructor(namespace: TestNamespace, near: TunDevice, far: TunDevice) {
    this.#namespace = namespace;
    this.#near = near;
    this.#far = far;
    keep(near, (packet) => this.#fromNear.push(packet));
    keep(far, (packet) => this.#fromFar.push(packet));
  }

  static async create(): Promise<KernelRouter> {
    const namespace = await TestNamespace.create();
    const netns = namespace.path;
    const near = TunDevice.create({
      name: 'near0',
      netns,
      offload: false,
      address: [`${OWN[4]}/24`, `${OWN[6]}/64`],
    });
    const far = TunDevice.create({
      name: 'far0',
      netns,
      offload: false,
      mtu: FAR_MTU,
      address: ['10.1.0.1/24', '2001:db8:1::1/64'],
    });
    await namespace.shell(`
      sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
      sysctl -qw net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0
      sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.near0.rp_filter=0 net.ipv4.conf.far0.rp_filter=0
      sysctl -qw net.ipv6.conf.all.accept_source_route=0
      ip -6 address flush dev near0 scope link
      ip -6 address flush dev far0 scope link
      ip -6 address add fe80::9/64 dev near0 nodad
      ip route add unreachable 10.7.1.0/24
      ip route add prohibit 10.7.2.0/24
      ip route add blackhole 10.7.3.0/24
      ip route add 10.1.0.5/32 dev far0 mtu 1290
      ip -6 route add prohibit 2001:db8:72::/48
      ip -6 route add blackhole 2001:db8:73::/48`);
    return new KernelRouter(namespace, near, far);
  }

  /** What comes of a packet: everything that left before two marks that went through behind it. */
  async pass(packet: Uint8Array): Promise<Outcome> {
    const mark = ++this.#mark;
    const there = udp(NEAR[4], FAR[4], pattern(mark), [60_001, 60_001]);
    const back = udp(FAR[4], NEAR[4], pattern(mark), [60_002, 60_002]);
    send(this.#near, packet);
    send(this.#near, transit4({ id: mark, payload: there }));
    const isMark = (ports: number) => (bytes: Uint8Array) =>
      bytes[0] === 0x45 && bytes[9] === 17 && bytes[20] * 256 + bytes[21] === ports;
    await eventually(
      'the mark to arrive',
      () => this.#fromFar.filter(isMark(60_001)).length,
      (n) => n === 1,
    );
    send(this.#far, transit4({ id: mark, from: FAR[4], to: NEAR[4], payload: back }));
    await eventually(
      'the mark to return',
      () => this.#fromNear.filter(isMark(60_002)).length,
      (n) => n === 1,
    );
    const near = this.#fromNear.filter((bytes) => !isMark(60_002)(bytes) && !isChatter(bytes));
    const far = this.#fromFar.filter((bytes) => !isMark(60_001)(bytes) && !isChatter(bytes));
    this.#fromNear = [];
    this.#fromFar = [];
    return { near: near.map(essence), far: far.map(essence) };
  }

  async close(): Promise<void> {
    this.#near.close();
    this.#far.close();
    await this.#namespace.close();
  }
}

function keep(device: TunDevice, take: (packet: Uint8Array) => void): void {
  device.open((batch) => {
    for (let i = 0; i < batch.count; i++) {
      take(batch.bytes.slice(batch.offset(i), batch.offset(i) + batch.length(i)));
    }
  });
}

function send(device: TunDevice, packet: Uint8Array): void {
  const batch = device.borrow();
  if (batch === undefined) throw new Error(`${device.name} is full`);
  batch.appendPacket(packet, ChecksumState.Valid);
  device.send(batch);
}

/** What the kernel says to the groups of its links by itself. */
const isChatter = (bytes: Uint8Array): boolean => bytes[0] >> 4 === 6 && bytes[24] === 0xff;

/** What ours makes of it. */
function passOurs(router: Router, packet: Uint8Array): Outcome {
  router.peer.receive(packet);
  const of = (port: typeof router.near): unknown[] => port.queue.splice(0).map(({ bytes }) => essence(bytes));
  return { near: of(router.near), far: of(router.far) };
}

function ourRouter(): Router {
  const router = new Router({
    far: { mtu: FAR_MTU },
    options: { icmpDestinationMs: 0, icmpErrorsPerSecond: 1_000_000, icmpErrorBurst: 1_000_000 },
  });
  router.peer.ip.addAddress(1, 'fe80::9/64');
  const { routes } = router.peer.ip.routing;
  routes.add({ destination: '10.7.1.0/24', type: 'unreachable' });
  routes.add({ destination: '10.7.2.0/24', type: 'prohibit' });
  routes.add({ destination: '10.7.3.0/24', type: 'blackhole' });
  routes.add({ destination: '10.1.0.5/32', port: 2, mtu: 1290 });
  routes.add({ destination: '2001:db8:72::/48', type: 'prohibit' });
  routes.add({ destination: '2001:db8:73::/48', type: 'blackhole' });
  return router;
}

const label = [130, 4, 1, 2];

/**
 * What is left out differs on purpose. Ours keeps 169.254/16 and 240/4 on their link (RFC 3927 §2.7, RFC 1812 §5.3.7),
 * drops what is for :: without a word, leaves hop-by-hop options to the ends (RFC 8200 §4), says of an unreachable
 * route of IPv6 that its address is, and fragments without leaving padding where options were.
 */
const PACKETS: Readonly<Record<string, Uint8Array>> = {
  'a datagram': transit4({ tos: 0xb8, id: 1234 }),
  'a segment': transit4({ protocol: 6, df: true, payload: tcp(NEAR[4], FAR[4], pattern(700)) }),
  'a protocol nobody knows': transit4({ protocol: 222, payload: pattern(10) }),
  'bytes behind the end': bytesOf(transit4(), [1, 2, 3]),
  'a TTL of 2': transit4({ ttl: 2 }),
  'a TTL of 1': transit4({ ttl: 1, payload: udp(NEAR[4], FAR[4], pattern(900)) }),
  'a TTL of 0': transit4({ ttl: 0 }),
  'a TTL of 1 of some service': transit4({ ttl: 1, tos: 0xb8 }),
  'an error with a TTL of 1': transit4({ ttl: 1, protocol: 1, payload: icmp4(3, 1, 0, transit4()) }),
  'an echo with a TTL of 1': transit4({ ttl: 1, protocol: 1, payload: icmp4(8, 0, 5, [1, 2]) }),
  'a later fragment with a TTL of 1': transit4({ ttl: 1, offset: 64, payload: pattern(64) }),
  'a first fragment with a TTL of 1': transit4({ ttl: 1, more: true, payload: pattern(64) }),
  'what just fits': transit4({ df: true, payload: pattern(1380) }),
  'what must not be divided': transit4({ df: true, payload: pattern(1381) }),
  'what a route has no room for': transit4({ to: '10.1.0.5', df: true, payload: pattern(1300) }),
  'what may be divided': transit4({ id: 77, payload: pattern(1480) }),
  'a fragment to divide': transit4({ id: 77, offset: 2000, more: true, payload: pattern(1480) }),
  'a last fragment to divide': transit4({ id: 78, offset: 2000, payload: pattern(1479) }),
  'an option to divide': transit4({ id: 79, options: label, payload: pattern(1460) }),
  'a record of its route': transit4({ options: [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0] }),
  'a record that is full': transit4({ options: [7, 7, 8, 9, 9, 9, 9, 0] }),
  'a router alert': transit4({ options: [148, 4, 0, 0] }),
  'a source route': transit4({ options: [131, 7, 4, 10, 1, 0, 9, 0] }),
  'an option without length': transit4({ options: [7, 0, 4, 0] }),
  'no route': transit4({ to: '203.0.113.9' }),
  'an unreachable route': transit4({ to: '10.7.1.1' }),
  'a prohibited route': transit4({ to: '10.7.2.1' }),
  'a black hole': transit4({ to: '10.7.3.1' }),
  'a wrong checksum': transit4({ checksum: 0x1111 }),
  'a header that is too long': transit4({ ihl: 15 }),
  'more than there is': transit4({ totalLength: 2000 }),
  'a loopback source': transit4({ from: '127.0.0.1' }),
  'a group as source': transit4({ from: '224.0.0.1' }),
  'a source of the router': transit4({ from: OWN[4] }),
  'an unknown source': transit4({ from: '0.0.0.0' }),
  'a broadcast source': transit4({ from: '255.255.255.255' }),
  'a loopback destination': transit4({ to: '127.0.0.1' }),
  everybody: transit4({ to: '255.255.255.255' }),
  'everybody on the other link': transit4({ to: '10.1.0.255' }),
  'a group': transit4({ to: '239.1.1.1' }),
  'a strange source': transit4({ from: '10.99.0.1' }),
  'IPv6: a datagram': transit6({ trafficClass: 0x2e, flowLabel: 0xabcde }),
  'IPv6: a protocol nobody knows': transit6({ next: 222, payload: pattern(10) }),
  'IPv6: nothing behind': transit6({ next: 59, payload: [] }),
  'IPv6: a hop limit of 2': transit6({ hopLimit: 2 }),
  'IPv6: a hop limit of 1': transit6({ hopLimit: 1, payload: udp(NEAR[6], FAR[6], pattern(1300)) }),
  'IPv6: a hop limit of 0': transit6({ hopLimit: 0 }),
  'IPv6: an error with a hop limit of 1': transit6({
    hopLimit: 1,
    next: 58,
    payload: icmp6([NEAR[6], FAR[6]], 1, 0, 0, transit6()),
  }),
  'IPv6: what just fits': transit6({ payload: pattern(1360) }),
  'IPv6: what is too large': transit6({ payload: pattern(1361) }),
  'IPv6: fragments': transit6({ next: 44, payload: bytesOf(fragmentHeader(17, 8, true, 7), pattern(64)) }),
  'IPv6: a routing header on its way': transit6({
    next: 43,
    payload: bytesOf(routingHeader(17, 4, 1, [...pattern(16)]), udp(NEAR[6], FAR[6])),
  }),
  'IPv6: options of the destination': transit6({
    next: 60,
    payload: bytesOf(optionsHeader(17, [0xc9, 0]), udp(NEAR[6], FAR[6])),
  }),
  'IPv6: options that all may skip': transit6({
    next: 0,
    payload: bytesOf(optionsHeader(17, [0x1e, 1, 0]), udp(NEAR[6], FAR[6])),
  }),
  'IPv6: no route': transit6({ to: '2001:db8:99::1' }),
  'IPv6: a prohibited route': transit6({ to: '2001:db8:72::1' }),
  'IPv6: a black hole': transit6({ to: '2001:db8:73::1' }),
  'IPv6: a link-local source': transit6({ from: 'fe80::2' }),
  'IPv6: a loopback source': transit6({ from: '::1' }),
  'IPv6: a group as source': transit6({ from: 'ff0e::1' }),
  'IPv6: nobody as source': transit6({ from: '::' }),
  'IPv6: a group': transit6({ to: 'ff0e::77' }),
  'IPv6: a loopback': transit6({ to: '::1' }),
};

describe("the kernel's router and ours", function () {
  this.timeout(20_000);
  let kernel: KernelRouter;

  before(needsTun);
  before(async function () {
    if (process.getuid?.() !== 0) skip(this, 'two TUNs in one namespace need root');
    kernel = await KernelRouter.create();
  });
  after(() => kernel?.close());

  for (const [what, packet] of Object.entries(PACKETS)) {
    it(`make the same of ${what}`, async () => {
      expect(passOurs(ourRouter(), packet)).to.deep.equal(await kernel.pass(packet));
    });
  }
});
