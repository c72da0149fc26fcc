/** Connections that rest go on as if they never had: nobody who sees their segments can tell. */
import { expect } from 'chai';
import { EmulatedLink } from '../../lib/link/emulated-link.js';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import { PcapDevice } from '../../lib/link/pcap.js';
import { createPipe } from '../../lib/link/pipe-device.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { Simulation } from '../../lib/sim/simulation.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack } from '../../lib/stack/stack.js';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';
import type { TcpOptions } from '../../lib/tcp/options.js';

const QUESTIONS = 40;

interface Conditions {
  readonly options?: Partial<TcpOptions>;
  readonly wire?: DirectionOptions;
  readonly seed?: number;
}

interface Talk {
  readonly capture: Uint8Array;
  /** How often a connection was seen at rest. */
  readonly rests: number;
  readonly counters: string;
}

/** Questions and answers of many sizes with pauses of many lengths between them, over a link that may be bad. */
function talk({ options = {}, wire = {}, seed = 3 }: Conditions, restAfterMs: number): Talk {
  const clock = new VirtualClock(1e9);
  const random = new SeededRandom(seed);
  const [near, far] = createPipe({ clock });
  const emulated = new EmulatedLink(near, { clock, random: random.fork(), outgoing: wire, incoming: wire });
  const chunks: Uint8Array[] = [];
  const recorded = new PcapDevice(emulated, { clock, sink: (chunk) => void chunks.push(chunk.slice()) });
  const tcp = { connection: options, restAfterMs };
  const client = new Stack({ clock, random: random.fork(), tcp });
  const server = new Stack({ clock, random: random.fork(), tcp });
  client.addLink(recorded, { addresses: ['10.0.0.1/24'] });
  server.addLink(far, { addresses: ['10.0.0.2/24'] });
  answerAll(server);
  const chance = random.fork();
  const asker = askOn(client, (left) => {
    const pauseUs = [0, 100, 30_000, 400_000, 1_500_000, 5_000_000][chance.uint32() % 6];
    clock
      .createAlarm(() => left(1 + (chance.uint32() % 3 === 0 ? chance.uint32() % 60_000 : 30)))
      .setAt(clock.nowUs() + pauseUs);
  });
  let rests = 0;
  clock.runUntil(() => {
    rests += client.stats.tcp.resting + server.stats.tcp.resting;
    return asker.isOver();
  }, 3_600e6);
  expect(asker.isOver(), 'all was answered').to.equal(true);
  const counters = JSON.stringify([client.stats, server.stats], (key, value) =>
    key === 'resting' || key === 'memoryBytes' ? undefined : value,
  );
  return { capture: Buffer.concat(chunks), rests, counters };
}

function answerAll(server: Stack): void {
  const listener = server.listenTcp({ port: 80 });
  listener.onConnection = () => {
    const endpoint = listener.accept() as TcpEndpoint;
    let waiting = Buffer.alloc(0);
    const write = (): void => {
      waiting = waiting.subarray(endpoint.write(waiting));
    };
    const room = Buffer.alloc(65_536);
    endpoint.handler = {
      onConnect: () => {},
      onReadable: () => {
        for (let bytes = endpoint.read(room); bytes > 0; bytes = endpoint.read(room)) {
          waiting = Buffer.concat([waiting, room.subarray(0, bytes)]);
        }
        write();
      },
      onWritable: write,
      onEnd: () => endpoint.close(),
      onClose: () => {},
    };
  };
}

/** Asks again and again; before each question `pause` says when, and of how many bytes. */
function askOn(client: Stack, pause: (ask: (bytes: number) => void) => void): { isOver(): boolean } {
  const endpoint = client.connectTcp({ address: '10.0.0.2', port: 80 });
  const room = Buffer.alloc(65_536);
  let [unsent, awaited, asked] = [0, 0, 0];
  let isOver = false;
  const write = (): void => {
    unsent -= endpoint.write(Buffer.alloc(unsent, asked));
  };
  const next = (): void => {
    if (asked++ === QUESTIONS) endpoint.shutdown();
    else
      pause((bytes) => {
        unsent = awaited = bytes;
        write();
      });
  };
  endpoint.handler = {
    onConnect: next,
    onWritable: write,
    onReadable: () => {
      const before = awaited;
      for (let bytes = endpoint.read(room); bytes > 0; bytes = endpoint.read(room)) awaited -= bytes;
      if (before > 0 && awaited === 0) next();
    },
    onEnd: () => {
      endpoint.close();
      isOver = true;
    },
    onClose: () => {},
  };
  return { isOver: () => isOver };
}

const BAD: DirectionOptions = {
  rateBps: 5e6,
  delayMs: 15,
  jitterMs: 6,
  loss: 0.04,
  duplicate: 0.01,
  reorder: { probability: 0.03, delayMs: 10 },
};

const CONDITIONS: Readonly<Record<string, Conditions>> = {
  'over a perfect link': {},
  'over a bad link': { wire: BAD },
  'over a bad link, by another chance': { wire: BAD, seed: 11 },
  'over a bad link without SACK': { wire: BAD, options: { sack: false } },
  'over a bad link without timestamps': { wire: BAD, options: { timestamps: false } },
  'with Reno': { wire: BAD, options: { congestionControl: 'reno' } },
  'with BBR': { wire: BAD, options: { congestionControl: 'bbr' } },
  'with congestion marks': { wire: BAD, options: { ecn: 'request-accurate' } },
  'with keep-alive': {
    wire: BAD,
    options: { keepAlive: true, keepAliveIdleMs: 1000, keepAliveIntervalMs: 300 },
  },
  'with probes of the path MTU': { wire: BAD, options: { mtuProbing: 'always' } },
  'paced, with a user timeout': {
    wire: BAD,
    options: { pacing: true, userTimeoutMs: 60_000, userTimeoutOption: true },
  },
};

describe('a connection that rests', function () {
  this.timeout(60_000);

  for (const [name, conditions] of Object.entries(CONDITIONS)) {
    it(`sends the same packets at the same times as one that never does, ${name}`, () => {
      const never = talk(conditions, -1);
      expect(never.rests).to.equal(0);
      for (const restAfterMs of [0, 1, 1000]) {
        const resting = talk(conditions, restAfterMs);
        expect(resting.rests, `how often, after ${restAfterMs} ms`).to.be.greaterThan(2);
        expect(Buffer.compare(resting.capture, never.capture), `after ${restAfterMs} ms`).to.equal(0);
        expect(resting.counters).to.equal(never.counters);
      }
    });
  }

  it('tells what it knows without awaking, and takes settings', () => {
    const sim = new Simulation({ server: { tcp: { restAfterMs: -1 } } });
    const listener = sim.server.listenTcp({ port: 80 });
    const endpoint = sim.client.connectTcp({ address: sim.serverAddress, port: 80 });
    sim.clock.runUntil(() => false, 100_000);
    const peer = listener.accept() as TcpEndpoint;
    const before = endpoint.info;
    expect(sim.client.stats.tcp.resting).to.equal(0);
    expect(sim.rest()).to.equal(true);
    expect(sim.client.stats.tcp.resting).to.equal(1);
    const { sinceHeardUs, sinceSentUs, ...info } = endpoint.info;
    expect(before).to.deep.include(info);
    expect([sinceHeardUs >= 1e6, sinceSentUs >= 1e6]).to.deep.equal([true, true]);
    expect(endpoint.getOption('noDelay')).to.equal(false);
    expect(endpoint).to.include({
      readableBytes: 0,
      unsentBytes: 0,
      unackedBytes: 0,
      errorCode: '',
      isPeerClosed: false,
    });
    expect(endpoint.writableBytes).to.be.greaterThan(0);
    expect(endpoint.read(new Uint8Array(10))).to.equal(0);
    expect(sim.client.stats.tcp.resting).to.equal(1);
    endpoint.setNoDelay(true);
    expect(sim.client.stats.tcp.resting).to.equal(0);
    sim.rest();
    expect(sim.client.stats.tcp.resting).to.equal(1);
    expect(endpoint.getOption('noDelay')).to.equal(true);
    peer.write(new Uint8Array(100));
    sim.rest();
    // Nobody has read them.
    expect(sim.client.stats.tcp.resting).to.equal(0);
    expect(endpoint.readableBytes).to.equal(100);
    endpoint.read(new Uint8Array(100));
    peer.abort();
    sim.rest();
    expect(endpoint.errorCode).to.equal('ECONNRESET');
    expect(sim.client.stats.tcp.resting).to.equal(0);
  });
});

describe('20,000 connections of which nothing is heard', function () {
  this.timeout(120_000);

  it('rest without any alarm, and each still answers', () => {
    const count = 20_000;
    const sim = new Simulation({ superPackets: true });
    const listener = sim.server.listenTcp({ port: 80, backlog: count });
    const room = new Uint8Array(64);
    listener.onConnection = () => {
      for (let endpoint = listener.accept(); endpoint !== undefined; endpoint = listener.accept()) {
        const server = endpoint;
        server.handler = {
          onConnect: () => {},
          onReadable: () => server.write(room, 0, server.read(room)),
          onWritable: () => {},
          onEnd: () => {},
          onClose: () => {},
        };
      }
    };
    let answers = 0;
    const clients = Array.from({ length: count }, (_, i) => {
      const endpoint = sim.client.connectTcp({ address: sim.serverAddress, port: 80 });
      endpoint.handler = {
        onConnect: () => {},
        onReadable: () => {
          answers += endpoint.read(room);
        },
        onWritable: () => {},
        onEnd: () => {},
        onClose: (errorCode) => expect(errorCode).to.equal(''),
      };
      // No more SYNs at once than the listener remembers.
      if (i % 500 === 499) sim.clock.runUntil(() => false, 10_000);
      return endpoint;
    });
    for (let round = 1; round <= 2; round++) {
      expect(sim.rest()).to.equal(true);
      expect(sim.clock.pending, 'alarms').to.equal(0);
      expect(sim.client.stats.tcp.resting).to.equal(count);
      expect(sim.server.stats.tcp.resting).to.equal(count);
      expect(sim.server.stats.tcp.memoryBytes, 'of buffers').to.equal(0);
      clients.forEach((endpoint, i) => {
        if (endpoint.write(room, 0, 1) !== 1) expect.fail('a write');
        if (i % 500 === 499) sim.clock.runUntil(() => false, 10_000);
      });
      sim.clock.runUntil(() => answers === round * count, 10e6);
      expect(answers).to.equal(round * count);
    }
    sim.close();
    expect(sim.client.stats.tcp.resting).to.equal(0);
  });
});
