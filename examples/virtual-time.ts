/**
 * Two stacks in virtual time: minutes of protocol in milliseconds, and the same packets for the same
 * seed, byte for byte. For tests of what you build on a stack, and for looking at TCP itself.
 *
 *     npx tsx examples/virtual-time.ts [seed]
 *
 * Nothing here needs root, a TUN or the addon.
 */
import { createHash } from 'node:crypto';
import {
  createPipe,
  EmulatedLink,
  PcapDevice,
  SeededRandom,
  Stack,
  type TcpEndpoint,
  type TcpEndpointHandler,
  VirtualClock,
} from 'tunstack';

const BYTES = 500_000;

/** What an endpoint tells, where most of it does not matter. */
const quiet: TcpEndpointHandler = {
  onConnect: () => {},
  onReadable: () => {},
  onWritable: () => {},
  onEnd: () => {},
  onClose: () => {},
};

interface World {
  readonly clock: VirtualClock;
  readonly client: Stack;
  readonly server: Stack;
  /** Of everything that passed the client's link, stamps included. */
  digest(): string;
}

/** A client and a server with 40 ms between them; `loss` is the share of packets lost, each way. */
function makeWorld(seed: number, loss: number): World {
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const [near, far] = createPipe({ clock });
  const conditions = { rateBps: 10e6, delayMs: 20, loss };
  const link = new EmulatedLink(near, {
    clock,
    random: random.fork(),
    outgoing: conditions,
    incoming: conditions,
  });
  const hash = createHash('sha256');
  const recorded = new PcapDevice(link, { clock, sink: (chunk) => hash.update(chunk) });
  // Also the stacks' own secrets (sequence numbers, ports) follow from the seed. Never do this in service.
  const client = new Stack({ clock, random: random.fork() });
  const server = new Stack({ clock, random: random.fork() });
  client.addLink(recorded, { addresses: ['10.0.0.1/24'] });
  server.addLink(far, { addresses: ['10.0.0.2/24'] });
  return { clock, client, server, digest: () => hash.copy().digest('hex') };
}

/** Sends bytes over a lossy link, and tells how that went. */
function transfer(seed: number): string {
  const world = makeWorld(seed, 0.02);
  const { clock, client, server } = world;
  let received = 0;
  const listener = server.listenTcp({ port: 80 });
  listener.onConnection = () => {
    const endpoint = listener.accept() as TcpEndpoint;
    const room = new Uint8Array(65_536);
    const read = (): void => {
      for (let bytes = endpoint.read(room); bytes > 0; bytes = endpoint.read(room)) received += bytes;
    };
    endpoint.handler = { ...quiet, onReadable: read, onEnd: () => endpoint.shutdown() };
  };
  const endpoint = client.connectTcp({ address: '10.0.0.2', port: 80 });
  const data = new Uint8Array(BYTES);
  let sent = 0;
  let isOver = false;
  const write = (): void => {
    sent += endpoint.write(data, sent);
    if (sent === BYTES) endpoint.shutdown();
  };
  endpoint.handler = { ...quiet, onConnect: write, onWritable: write, onClose: () => (isOver = true) };
  // Time moves from event to event; nothing waits.
  clock.runUntil(() => isOver, 600e6);
  const seconds = (clock.nowUs() / 1e6).toFixed(3);
  const { retransSegs } = client.stats.tcp;
  return `${received} bytes in ${seconds} s, ${retransSegs} retransmitted, packets ${world.digest().slice(0, 16)}`;
}

/** How long a connection attempt takes to give up when every packet is lost. */
function giveUp(seed: number): string {
  const { clock, client } = makeWorld(seed, 1);
  const endpoint = client.connectTcp({ address: '10.0.0.2', port: 80 });
  let code = '';
  endpoint.handler = { ...quiet, onClose: (errorCode) => (code = errorCode) };
  clock.runUntil(() => code !== '', 600e6);
  return `${code} after ${(clock.nowUs() / 1e6).toFixed(1)} s and ${client.stats.tcp.synRetrans} SYNs more`;
}

const seed = Number(process.argv[2] ?? 1);
const startedMs = performance.now();
console.log(`seed ${seed}:       ${transfer(seed)}`);
console.log(`the same:     ${transfer(seed)}`);
console.log(`seed ${seed + 1}:       ${transfer(seed + 1)}`);
console.log(`nobody there: ${giveUp(seed)}`);
console.log(`all of it took ${(performance.now() - startedMs).toFixed(0)} ms`);
