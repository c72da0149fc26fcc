/** What a stack is driven by: the clock, the randomness and the links it is given, and nothing else. */
import { expect } from 'chai';
import { EmulatedLink } from '../../lib/link/emulated-link.js';
import { PcapDevice } from '../../lib/link/pcap.js';
import { createPipe } from '../../lib/link/pipe-device.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { Simulation } from '../../lib/sim/simulation.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack } from '../../lib/stack/stack.js';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';

const BYTES = 200_000;

/** A transfer each way over a bad link. @returns the capture of all packets, as the client's side saw them */
function capture(seed: number, congestionControl: string): Uint8Array {
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const [near, far] = createPipe({ clock });
  const conditions = { rateBps: 5e6, delayMs: 15, jitterMs: 3, loss: 0.04, duplicate: 0.01 };
  const link = new EmulatedLink(near, {
    clock,
    random: random.fork(),
    outgoing: conditions,
    incoming: conditions,
  });
  const chunks: Uint8Array[] = [];
  const recorded = new PcapDevice(link, { clock, sink: (chunk) => void chunks.push(chunk.slice()) });
  const tcp = { connection: { congestionControl } };
  const client = new Stack({ clock, random: random.fork(), tcp });
  const server = new Stack({ clock, random: random.fork(), tcp });
  client.addLink(recorded, { addresses: ['10.0.0.1/24'] });
  server.addLink(far, { addresses: ['10.0.0.2/24'] });
  const listener = server.listenTcp({ port: 80 });
  let over = 0;
  const talk = (endpoint: TcpEndpoint): void => {
    const room = new Uint8Array(16_384);
    let left = BYTES;
    const write = (): void => {
      left -= endpoint.write(new Uint8Array(left));
      if (left === 0) endpoint.shutdown();
    };
    endpoint.handler = {
      onConnect: write,
      onWritable: write,
      onReadable: () => {
        while (endpoint.read(room) > 0);
      },
      onEnd: () => {},
      onClose: (errorCode) => {
        expect(errorCode).to.equal('');
        over++;
      },
    };
  };
  listener.onConnection = () => talk(listener.accept() as TcpEndpoint);
  talk(client.connectTcp({ address: '10.0.0.2', port: 80 }));
  clock.runUntil(() => over === 2, 600e6);
  expect(over, 'both ends have ended').to.equal(2);
  const again = client.stats.tcp.retransSegs + server.stats.tcp.retransSegs;
  expect(again, 'the link was bad').to.be.greaterThan(0);
  return Buffer.concat(chunks);
}

describe('two runs with one seed', function () {
  this.timeout(60_000);

  for (const congestionControl of ['reno', 'cubic', 'bbr']) {
    it(`have the same packets at the same times, byte for byte, with ${congestionControl}`, () => {
      const first = capture(7, congestionControl);
      expect(first.length).to.be.greaterThan(2 * BYTES);
      expect(Buffer.compare(first, capture(7, congestionControl)), 'same seed').to.equal(0);
      expect(Buffer.compare(first, capture(8, congestionControl)), 'another seed').to.not.equal(0);
    });
  }
});

/** Everything of the host by which time could pass, or chance come in. */
const HOST: readonly (readonly [object: object, name: string])[] = [
  [globalThis, 'setTimeout'],
  [globalThis, 'setInterval'],
  [globalThis, 'setImmediate'],
  [globalThis, 'queueMicrotask'],
  [process, 'nextTick'],
  [process, 'hrtime'],
  [Date, 'now'],
  [performance, 'now'],
  [Math, 'random'],
  [crypto, 'getRandomValues'],
  [crypto, 'randomUUID'],
];

/** Runs `body` while each of those throws. */
function withoutHost(body: () => void): void {
  const saved = HOST.map(([object, name]) => Reflect.get(object, name) as unknown);
  const forbid = (name: string) => (): never => {
    throw new Error(`${name} was used`);
  };
  for (const [object, name] of HOST)
    Object.defineProperty(object, name, { value: forbid(name), configurable: true, writable: true });
  try {
    body();
  } finally {
    HOST.forEach(([object, name], i) => {
      Object.defineProperty(object, name, { value: saved[i], configurable: true, writable: true });
    });
  }
}

describe('a stack', () => {
  it('is driven by what it is given alone: without time and chance of the host it does all the same', () => {
    withoutHost(() => {
      const net = new Simulation({
        seed: 3,
        upstream: { delayMs: 10, loss: 0.05 },
        downstream: { delayMs: 10 },
      });
      expect(net.transfer({ bytes: 100_000, direction: 'both' })).to.equal(200_000);
      expect(net.rest(), 'comes to rest').to.equal(true);
      net.close();
    });
  });

  it('repeats a SYN for 127 s of its own time in a moment of ours', () => {
    const startedMs = performance.now();
    const clock = new VirtualClock();
    const stack = new Stack({ clock, random: new SeededRandom(1) });
    const [near] = createPipe({ clock });
    stack.addLink(near, { addresses: ['10.0.0.1/24'] });
    let code = '';
    const endpoint = stack.connectTcp({ address: '10.0.0.2', port: 80 });
    endpoint.handler = {
      onConnect: () => {},
      onReadable: () => {},
      onWritable: () => {},
      onEnd: () => {},
      onClose: (errorCode) => {
        code = errorCode;
      },
    };
    clock.runUntil(() => code !== '', 600e6);
    expect(code).to.equal('ETIMEDOUT');
    expect(clock.nowUs()).to.equal(127e6);
    expect(performance.now() - startedMs).to.be.lessThan(1000);
    stack.close();
  });
});
