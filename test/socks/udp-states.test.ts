/** UDP through a proxy: every state of an association, and everything that may happen in it. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { SocksTunnelStats } from '../../lib/socks/counters.js';
import { eventually } from '../support/interop-wait.js';
import { OUTSIDE, type RawPort, RawWorld } from './support/raw-world.js';
import { ScriptedProxy, type Step } from './support/scripted-proxy.js';

type Counts = Partial<SocksTunnelStats>;

/** Greeting and request: nobody knows yet from where he will send. */
const ASKED: readonly Step[] = [3, [5, 0], 10];
const STATES: readonly (readonly [name: string, steps: readonly Step[]])[] = [
  ['before the greeting', []],
  ['after the greeting', [3]],
  ['in the midst of the method', [3, [5]]],
  ['after the method', [3, [5, 0]]],
  ['after the request', ASKED],
];
/** Of a datagram of that address, at port 7. */
const HEADER = [0, 0, 0, 1, 192, 0, 2, 7, 0, 7] as const;

/** Where a proxy's datagrams arrive. */
class Relay {
  readonly heard: Buffer[] = [];
  /** The socket of the tunnel that sent last. */
  peer = 0;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes, from) => {
      this.heard.push(bytes);
      this.peer = from.port;
    });
  }

  static async open(address = '127.0.0.1'): Promise<Relay> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.bind(0, address);
    await once(socket, 'listening');
    return new Relay(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Sends to the tunnel. */
  async send(bytes: readonly number[], to = this.peer): Promise<void> {
    const { address } = this.#socket.address();
    await new Promise((resolve) => this.#socket.send(Uint8Array.from(bytes), to, address, resolve));
  }

  close(): void {
    this.#socket.close();
  }
}

describe('a tunnel, UDP: states and events', function () {
  this.timeout(30_000);
  let world: RawWorld;
  let relay: Relay;
  beforeEach(async () => {
    world = await RawWorld.open();
    relay = await Relay.open();
  });
  afterEach(async () => {
    relay.close();
    await world.close();
  });

  const portBytes = (): readonly number[] => [relay.port >> 8, relay.port & 255];
  /** A reply with the relay's place, "here" by default. */
  const reply = (...place: number[]): number[] => [
    5,
    0,
    0,
    ...(place.length > 0 ? place : [1, 0, 0, 0, 0]),
    ...portBytes(),
  ];

  const asks = (steps: readonly Step[], family: 4 | 6 = 4): Promise<RawPort> =>
    world.begins(steps, family, (port) => port.udp('question'));

  const fails = async (steps: readonly Step[], answer: string, counts: Counts, family: 4 | 6 = 4) =>
    world.endsWith(await asks(steps, family), answer, { udpRequests: 1, udpRefused: 1, ...counts });

  /** A flow whose first datagram has reached the relay. */
  const associated = async (...more: Step[]): Promise<RawPort> => {
    const before = relay.heard.length;
    const port = await asks([...ASKED, reply(), 'pause', ...more]);
    await eventually(
      'the datagram',
      () => relay.heard.length,
      (length) => length > before,
    );
    return port;
  };

  for (const [name, steps] of STATES) {
    it(`hears "port unreachable" where the proxy ends, resets or hangs ${name}`, async () => {
      for (const [family, answer] of [
        [4, 'ICMP 3/3'],
        [6, 'ICMP 1/4'],
      ] as const) {
        await fails([...steps, 'fin'], answer, { proxyUnreachable: 1 }, family);
        await fails([...steps, 'rst'], answer, { proxyUnreachable: 1 }, family);
        await fails(steps, answer, { proxyTimeouts: 1 }, family);
      }
    });

    it(`asks no more where the tunnel, or the stack, ends ${name}`, async () => {
      await asks(steps);
      world.tunnel.close();
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ udpRequests: 1, udpRefused: 1 });
      await world.close();
      world = await RawWorld.open();
      await asks(steps);
      world.stack.close();
      await world.nothingLeft();
    });
  }

  it('hears "port unreachable" where a reply is cut anywhere', async () => {
    for (const whole of [reply(), reply(4, ...new Array<number>(16).fill(0)), reply(3, 2, 97, 98)]) {
      for (let length = 1; length < whole.length; length++) {
        const steps = [...ASKED, whole.slice(0, length)];
        await fails([...steps, 'fin'], 'ICMP 3/3', { proxyUnreachable: 1 });
        await fails([...steps, 'rst'], 'ICMP 3/3', { proxyUnreachable: 1 });
        await fails(steps, 'ICMP 3/3', { proxyTimeouts: 1 });
      }
    }
  });

  for (const [code, answer4, answer6] of [
    [1, '3/3', '1/4'],
    [2, '3/13', '1/1'],
    [3, '3/0', '1/0'],
    [4, '3/1', '1/3'],
    [5, '3/3', '1/4'],
    [6, '3/1', '1/3'],
    [8, '3/0', '1/0'],
    [9, '3/3', '1/4'],
    [255, '3/3', '1/4'],
  ] as const) {
    it(`hears ${answer4}, or ${answer6}, where the proxy replies ${code}, and the proxy is asked again`, async () => {
      for (const rest of [[0, 1, 0, 0, 0, 0, 0, 0], []]) {
        await fails([...ASKED, [5, code, ...rest]], `ICMP ${answer4}`, {}, 4);
        await fails([...ASKED, [5, code, ...rest]], `ICMP ${answer6}`, {}, 6);
      }
      expect(world.proxy.connections).to.equal(4);
    });
  }

  it('asks a proxy that has no UDP again after a minute', async () => {
    await fails([...ASKED, [5, 7]], 'ICMP 3/3', {});
    const second = world.port();
    second.udp('question');
    expect(await second.hears()).to.deep.equal(['ICMP 3/3']);
    expect(world.counted()).to.deep.equal({ udpRequests: 1, udpRefused: 1 });
    expect(world.proxy.connections).to.equal(1);
    world.timers.advance(60_000);
    await associated();
    expect(world.proxy.connections).to.equal(2);
  });

  for (const [name, place] of [
    ['"here"', []],
    ['"here", as IPv6 says it', [4, ...new Array<number>(16).fill(0)]],
    ['its address', [1, 127, 0, 0, 1]],
    ['its address, mapped into IPv6', [4, ...new Array<number>(10).fill(0), 255, 255, 127, 0, 0, 1]],
    ['its name', [3, 9, ...Buffer.from('localhost')]],
  ] as const) {
    it(`sends to the relay where the proxy says ${name}`, async () => {
      world.proxy.isSlow = true;
      const port = await asks([...ASKED, reply(...place)]);
      await eventually(
        'the datagram',
        () => relay.heard.length,
        (length) => length === 1,
      );
      expect([...relay.heard[0]]).to.deep.equal([...HEADER, ...Buffer.from('question')]);
      await relay.send([...HEADER, 104, 105]);
      expect(await port.hears()).to.deep.equal([`${OUTSIDE[4]} 7: hi`]);
      expect(world.counted()).to.deep.equal({ udpRequests: 1, udpAssociated: 1, udpOut: 1, udpIn: 1 });
    });
  }

  it('sends to the relay of a proxy at an address of IPv6', async () => {
    await world.close();
    const proxy = await ScriptedProxy.start(0, '::1');
    world = await RawWorld.open({ proxy: { host: '::1', port: proxy.port } });
    await world.proxy.close();
    world.proxy = proxy;
    for (const place of [[], [4, ...new Array<number>(15).fill(0), 1], [3, 3, ...Buffer.from('::1')]]) {
      relay.close();
      relay = await Relay.open('::1');
      const port = await asks([...ASKED, reply(...place)]);
      await eventually(
        'the datagram',
        () => relay.heard.length,
        (length) => length === 1,
      );
      await relay.send([...HEADER, 104, 105]);
      expect(await port.hears()).to.deep.equal([`${OUTSIDE[4]} 7: hi`]);
    }
  });

  for (const [name, place, counts] of [
    ['port 0', [5, 0, 0, 1, 127, 0, 0, 1, 0, 0], { proxyMalformed: 1 }],
    ['no name', [5, 0, 0, 3, 0, 0, 80], { proxyMalformed: 1 }],
    // A label this long is nobody's: no name server is asked.
    [
      'a name that does not resolve',
      [5, 0, 0, 3, 64, ...Buffer.alloc(64, 'x'), 0, 80],
      { proxyUnreachable: 1 },
    ],
    ['a name of zeros', [5, 0, 0, 3, 2, 0, 0, 0, 80], { proxyUnreachable: 1 }],
    ['a name that is no text', [5, 0, 0, 3, 2, 255, 254, 0, 80], { proxyUnreachable: 1 }],
  ] as const) {
    it(`hears "port unreachable" where the proxy has ${name} for a relay`, async () => {
      await fails([...ASKED, place], 'ICMP 3/3', counts);
    });
  }

  it('keeps 32 datagrams while the proxy is asked, and sends them in order', async () => {
    const port = await asks([...ASKED, 'pause', reply()]);
    port.udp(Array.from({ length: 40 }, (_, i) => `${i}`));
    world.proxy.goOn();
    await eventually(
      'the datagrams',
      () => relay.heard.length,
      (length) => length === 32,
    );
    const texts = relay.heard.map((bytes) => String(bytes.subarray(10)));
    expect(texts).to.deep.equal(['question', ...Array.from({ length: 31 }, (_, i) => `${i}`)]);
  });

  it('asks for as many flows at once as there may be', async () => {
    const ports = Array.from({ length: 1100 }, () => world.port());
    for (const port of ports) port.udp('question');
    expect(world.tunnel.udpFlows).to.equal(ports.length);
    world.tunnel.close();
    await world.nothingLeft();
  });

  it('drops what the relay sends that is no datagram of SOCKS, or from nobody', async () => {
    const port = await associated();
    world.counted();
    const dropped: readonly (readonly number[])[] = [
      [],
      ...HEADER.slice(1).map((_, i) => HEADER.slice(0, i + 1)),
      [0, 0, 1, ...HEADER.slice(3), 65],
      [0, 0, 255, ...HEADER.slice(3), 65],
      [0, 0, 0, 3, 1, 65, 0, 7, 65, 65, 65],
      [0, 0, 0, 0, ...HEADER.slice(4), 65],
      [0, 0, 0, 2, ...HEADER.slice(4), 65],
      [0, 0, 0, 4, ...HEADER.slice(4), 65],
      // The other family, a group, everybody, nobody, oneself, and port 0.
      [0, 0, 0, 4, 32, 1, 13, 184, ...new Array<number>(12).fill(1), 0, 7, 65],
      [0, 0, 0, 1, 224, 0, 0, 1, 0, 7, 65],
      [0, 0, 0, 1, 255, 255, 255, 255, 0, 7, 65],
      [0, 0, 0, 1, 0, 0, 0, 0, 0, 7, 65],
      [0, 0, 0, 1, 127, 0, 0, 1, 0, 7, 65],
      [0, 0, 0, 1, 192, 0, 2, 7, 0, 0, 65],
    ];
    for (const bytes of dropped) await relay.send(bytes);
    // Reserved bytes say nothing; from another address and port the flow may be answered, too.
    await relay.send([1, 2, 0, ...HEADER.slice(3), 66]);
    await relay.send([0, 0, 0, 1, 198, 51, 100, 9, 1, 0, 67]);
    expect(await port.hears(2)).to.deep.equal([`${OUTSIDE[4]} 7: B`, '198.51.100.9 256: C']);
    expect(world.counted()).to.deep.equal({ udpIn: 2, udpDropped: dropped.length });
  });

  it('hears nobody but the relay', async () => {
    const port = await associated();
    const other = await Relay.open();
    await other.send([...HEADER, 65], relay.peer);
    await relay.send([...HEADER, 66]);
    expect(await port.hears()).to.deep.equal([`${OUTSIDE[4]} 7: B`]);
    other.close();
  });

  for (const how of ['fin', 'rst'] as const) {
    it(`ends a flow whose association ends by ${how}, and makes another for what is sent next`, async () => {
      const port = await associated([1, 2, 3], how);
      world.counted();
      world.proxy.goOn();
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({});
      await relay.send([...HEADER, 66]);
      world.proxy.steps = [...ASKED, reply()];
      port.udp('again');
      await eventually(
        'the datagram',
        () => relay.heard.length,
        (length) => length === 2,
      );
      expect(port.heard).to.deep.equal([]);
      expect(world.counted()).to.deep.equal({ udpRequests: 1, udpAssociated: 1, udpOut: 1 });
    });
  }

  it('hears "port unreachable", or nothing, where the proxy ends or resets with its reply', async () => {
    for (const how of ['fin', 'rst', 'fin', 'rst'] as const) {
      const ports = Array.from({ length: 20 }, () => world.port());
      world.proxy.steps = [...ASKED, reply(), how];
      for (const port of ports) port.udp('question');
      await world.nothingLeft();
      const { udpRefused = 0, udpAssociated = 0, proxyUnreachable = 0, proxyMalformed = 0 } = world.counted();
      expect(udpRefused + udpAssociated).to.equal(ports.length);
      expect([proxyUnreachable, proxyMalformed]).to.deep.equal([udpRefused, 0]);
      expect(ports.flatMap(({ heard }) => heard)).to.deep.equal(new Array(udpRefused).fill('ICMP 3/3'));
    }
  });

  it('ends a flow whose relay is gone', async () => {
    const port = await associated();
    const { port: place } = relay;
    relay.close();
    port.udp('to nobody');
    await world.nothingLeft();
    relay = await Relay.open();
    expect(relay.port).not.to.equal(place);
    await associated();
  });

  it('ends an association when the tunnel, or the stack, ends', async () => {
    await associated();
    world.tunnel.close();
    await world.nothingLeft();
    await world.close();
    world = await RawWorld.open();
    await associated();
    world.stack.close();
    await world.nothingLeft();
  });

  it('probes the connection that holds an association, which else would say nothing', async () => {
    await associated();
    const { port } = world.proxy;
    const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    const lines = readFileSync('/proc/net/tcp', 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
    const own = lines.filter(([, , to, state]) => to === remote && state === '01');
    // The second timer of the kernel's is that of keep-alives.
    expect(own.map(([, , , , , timer]) => timer.slice(0, 2))).to.deep.equal(['02']);
  });

  it('says so of UDP where it is refused, and nothing where it is dropped', async () => {
    for (const [udp, heard] of [
      ['reject', ['ICMP 3/3']],
      ['drop', []],
    ] as const) {
      await world.close();
      world = await RawWorld.open({ udp });
      const port = world.port();
      port.udp('question');
      await eventually(
        'it is counted',
        () => world.tunnel.stats.udpRefused,
        (count) => count === 1,
      );
      // It was answered by then, or never will be.
      await new Promise((resolve) => setImmediate(resolve));
      expect(port.heard).to.deep.equal(heard);
      expect(world.proxy.connections).to.equal(0);
    }
  });
});
