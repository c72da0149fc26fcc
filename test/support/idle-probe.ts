/**
 * What `allocation-idle.test.ts` runs in a process of its own: measures the memory that idle connections take,
 * and prints it as JSON. Of the two ends of each, one is a raw endpoint; the other too, or a socket.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import '../../lib/net/stack-net.js';
import type { Clock } from '../../lib/base/clock.js';
import { createPipe } from '../../lib/link/pipe-device.js';
import { Stack } from '../../lib/stack/stack.js';
import { SystemClock } from '../../lib/stack/system-clock.js';
import { SystemRandom } from '../../lib/stack/system-random.js';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';

const WARM_UP = 1000;
const COUNT = 4000;
/** SYNs sent at once: a listener remembers only so many. */
const AT_ONCE = 200;

const room = new Uint8Array(64);
const nothing = (): void => {};

const clock: Clock = new SystemClock();
const near = new Stack({ clock, random: new SystemRandom() });
const far = new Stack({ clock, random: new SystemRandom() });
const [left, right] = createPipe({ clock });
near.addLink(left, { addresses: ['10.0.0.1/24'] });
far.addLink(right, { addresses: ['10.0.0.2/24'] });
let answers = 0;

class Asking {
  readonly #endpoint: TcpEndpoint;
  onWritable = nothing;
  onEnd = nothing;
  onClose = nothing;
  constructor(endpoint: TcpEndpoint) {
    this.#endpoint = endpoint;
  }
  onConnect(): void {
    this.#endpoint.write(room, 0, 1);
  }
  onReadable(): void {
    answers += this.#endpoint.read(room);
  }
}

class Answering extends Asking {
  readonly #endpoint: TcpEndpoint;
  constructor(endpoint: TcpEndpoint) {
    super(endpoint);
    this.#endpoint = endpoint;
  }
  override onConnect(): void {}
  override onReadable(): void {
    this.#endpoint.write(room, 0, this.#endpoint.read(room));
  }
}

function listenRaw(): void {
  const listener = far.listenTcp({ port: 80, backlog: 4096 });
  listener.onConnection = () => {
    for (let endpoint = listener.accept(); endpoint !== undefined; endpoint = listener.accept()) {
      endpoint.handler = new Answering(endpoint);
    }
  };
}

async function listenNet(): Promise<void> {
  const server = far.net.createServer((socket) => {
    socket.on('data', (piece) => socket.write(piece));
  });
  await new Promise<void>((listening) => {
    server.listen({ port: 80, host: '10.0.0.2', backlog: 4096 }, listening);
  });
}

async function usedBytes(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    // What the first collection finalises, the second frees.
    await sleep(20);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const endpoints: TcpEndpoint[] = [];

/** Opens connections, has each answer once, and waits until all rest. */
async function open(count: number): Promise<void> {
  for (let i = 1; i <= count; i++) {
    const endpoint = near.connectTcp({ address: '10.0.0.2', port: 80 });
    endpoint.handler = new Asking(endpoint);
    endpoints.push(endpoint);
    if (i % AT_ONCE === 0) while (answers < endpoints.length) await sleep(5);
  }
  while (near.stats.tcp.resting + far.stats.tcp.resting < 2 * endpoints.length) await sleep(50);
}

if (process.argv[2] === 'net') await listenNet();
else listenRaw();
await open(WARM_UP);
const before = await usedBytes();
await open(COUNT);
const bytesOfBoth = ((await usedBytes()) - before) / COUNT;
const started = process.cpuUsage();
await sleep(1000);
const { user, system } = process.cpuUsage(started);
console.log(JSON.stringify({ bytesOfBoth, idleCpuUs: user + system }));
process.exit(0);
