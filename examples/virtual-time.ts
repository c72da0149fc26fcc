/**
 * A stack that is driven from outside: the clock, the randomness and the link are this program's own, and
 * nothing else drives the stack. So minutes of protocol take milliseconds, and the same seed gives the same
 * packets, byte for byte. For tests of what you build on a stack, and for looking at TCP itself;
 * `docs/virtual-time.md` explains it.
 *
 *     npx tsx examples/virtual-time.ts [seed]
 *
 * Nothing here needs root, a TUN or the addon. The package has all three parts ready-made, too: `VirtualClock`,
 * `SeededRandom`, and links that emulate loss and delay; `Simulation` puts them together.
 */
import { createHash } from 'node:crypto';
import {
  type Alarm,
  type Clock,
  type LinkDevice,
  PacketBatch,
  type Random,
  Stack,
  stateName,
  type TcpEndpoint,
  type TcpEndpointHandler,
} from 'tunstack';

/** Time that stands still until it is told to go on. Alarms ring by deadline, ties in the order of setting. */
class ManualClock implements Clock {
  #nowUs = 0;
  #settings = 0;
  readonly #pending = new Set<{ deadlineUs: number; order: number; ring: () => void }>();

  nowUs(): number {
    return this.#nowUs;
  }

  createAlarm(ring: () => void): Alarm {
    const entry = { deadlineUs: 0, order: 0, ring };
    return {
      setAt: (deadlineUs) => {
        entry.deadlineUs = Math.max(deadlineUs, this.#nowUs);
        entry.order = this.#settings++;
        if (deadlineUs === Number.POSITIVE_INFINITY) this.#pending.delete(entry);
        else this.#pending.add(entry);
      },
      clear: () => void this.#pending.delete(entry),
    };
  }

  /** Moves to the next alarm and rings it; false when none is set. */
  step(): boolean {
    const [first] = [...this.#pending].sort((a, b) => a.deadlineUs - b.deadlineUs || a.order - b.order);
    if (first === undefined) return false;
    this.#pending.delete(first);
    this.#nowUs = first.deadlineUs;
    first.ring();
    return true;
  }

  /** Goes on until `done` says so, or nothing is left to happen. */
  runUntil(done: () => boolean): void {
    while (!done() && this.step());
  }
}

/** mulberry32. Secrets of the stack (sequence numbers, ports) follow from it too: never do this in service. */
class Dice implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}

/** One end of a cable: what is sent arrives at the other end 20 ms later, unless the dice say that it is lost. */
class CableEnd implements LinkDevice {
  readonly name = 'cable0';
  readonly mtu = 1500;
  readonly maxPacketBytes = 1500;
  readonly checksumOffload = false;
  onWritable = (): void => {};
  onDown = (): void => {};
  peer: CableEnd | undefined;
  /** Of everything sent here, with its time. */
  readonly hash = createHash('sha256');
  readonly #clock: Clock;
  readonly #dice: Random;
  readonly #loss: number;
  readonly #batch = new PacketBatch(64);
  #onBatch: ((batch: PacketBatch) => void) | undefined;

  constructor(clock: Clock, dice: Random, loss: number) {
    this.#clock = clock;
    this.#dice = dice;
    this.#loss = loss;
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
  }

  /** The stack writes its packets into this. */
  borrow(): PacketBatch {
    return this.#batch;
  }

  send(batch: PacketBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const packet = batch.bytes.slice(batch.offset(i), batch.offset(i) + batch.length(i));
      this.hash.update(`${this.#clock.nowUs()} `).update(packet);
      if (this.#dice.uint32() / 2 ** 32 < this.#loss) continue;
      // Never from within `send`: that would nest receiving in sending.
      const arrival = this.#clock.createAlarm(() => this.peer?.receive(packet));
      arrival.setAt(this.#clock.nowUs() + 20_000);
    }
    batch.clear();
  }

  receive(packet: Uint8Array): void {
    const batch = new PacketBatch(1, packet.length + 8);
    batch.appendPacket(packet);
    this.#onBatch?.(batch);
  }

  close(): void {
    this.#onBatch = undefined;
  }
}

interface World {
  readonly clock: ManualClock;
  readonly client: Stack;
  readonly server: Stack;
  /** Of everything both have sent. */
  readonly digest: () => string;
}

function makeWorld(seed: number, loss: number): World {
  const clock = new ManualClock();
  const dice = new Dice(seed);
  const near = new CableEnd(clock, dice, loss);
  const far = new CableEnd(clock, dice, loss);
  near.peer = far;
  far.peer = near;
  const client = new Stack({ clock, random: dice });
  const server = new Stack({ clock, random: dice });
  client.addLink(near, { addresses: ['10.0.0.1/24'] });
  server.addLink(far, { addresses: ['10.0.0.2/24'] });
  const digest = (): string => near.hash.copy().update(far.hash.copy().digest()).digest('hex');
  return { clock, client, server, digest };
}

/** What an endpoint tells, where most of it does not matter. */
const quiet: TcpEndpointHandler = {
  onConnect: () => {},
  onReadable: () => {},
  onWritable: () => {},
  onEnd: () => {},
  onClose: () => {},
};

/** Every call of a raw endpoint, one after the other, and time in between. */
function session(seed: number): string[] {
  const { clock, client, server } = makeWorld(seed, 0);
  const lines: string[] = [];
  const say = (text: string): void =>
    void lines.push(`${(clock.nowUs() / 1000).toFixed(0).padStart(6)} ms  ${text}`);

  const listener = server.bindTcp({ address: '10.0.0.2', port: 7 }).listen({ backlog: 5 });
  const place = client.bindTcp({ address: '10.0.0.1', port: 0 });
  const caller = place.connect({ address: '10.0.0.2', port: 7, options: { noDelay: true, keepAlive: true } });
  say(
    `bound and listening at ${listener.localAddress}:${listener.localPort}; caller ${stateName(caller.state)}`,
  );
  clock.runUntil(() => listener.ready > 0);
  const called = listener.accept() as TcpEndpoint;
  say(`accepted; caller ${stateName(caller.state)}, round trip ${caller.info.rttUs / 1000} ms`);

  caller.write(new TextEncoder().encode('hello'));
  clock.runUntil(() => called.readableBytes > 0);
  const room = new Uint8Array(100);
  say(`read "${new TextDecoder().decode(room.subarray(0, called.read(room)))}"`);

  caller.setOption('userTimeoutMs', 30_000);
  say(`options: noDelay ${caller.getOption('noDelay')}, userTimeoutMs ${caller.getOption('userTimeoutMs')}`);
  caller.shutdown();
  clock.runUntil(() => called.isPeerClosed);
  say(`half-closed; caller ${stateName(caller.state)}, called ${stateName(called.state)}`);
  called.close();
  clock.runUntil(() => stateName(caller.state) === 'TIME-WAIT' || stateName(caller.state) === 'CLOSED');
  caller.close();
  say(`closed; ${client.stats.tcp.twCount} in TIME-WAIT`);
  listener.close();
  clock.runUntil(() => false);
  say(`at rest; ${client.stats.tcp.twCount} in TIME-WAIT`);
  return lines;
}

const BYTES = 500_000;

/** Sends bytes over a lossy cable, and tells how that went. */
function transfer(seed: number): string {
  const { clock, client, server, digest } = makeWorld(seed, 0.02);
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
  clock.runUntil(() => isOver);
  const seconds = (clock.nowUs() / 1e6).toFixed(3);
  const { retransSegs } = client.stats.tcp;
  return `${received} bytes in ${seconds} s, ${retransSegs} retransmitted, packets ${digest().slice(0, 16)}`;
}

/** How long a connection attempt takes to give up when every packet is lost. */
function giveUp(seed: number): string {
  const { clock, client } = makeWorld(seed, 1);
  const endpoint = client.connectTcp({ address: '10.0.0.2', port: 80 });
  let code = '';
  endpoint.handler = { ...quiet, onClose: (errorCode) => (code = errorCode) };
  clock.runUntil(() => code !== '');
  return `${code} after ${(clock.nowUs() / 1e6).toFixed(1)} s and ${client.stats.tcp.synRetrans} SYNs more`;
}

const seed = Number(process.argv[2] ?? 1);
const startedMs = performance.now();
console.log(`seed ${seed}:       ${transfer(seed)}`);
console.log(`the same:     ${transfer(seed)}`);
console.log(`seed ${seed + 1}:       ${transfer(seed + 1)}`);
console.log(`nobody there: ${giveUp(seed)}`);
for (const line of session(seed)) console.log(line);
console.log(`all of it took ${(performance.now() - startedMs).toFixed(0)} ms`);
