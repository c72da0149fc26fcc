/**
 * A world drawn by chance in which two stacks send to each other: a bad path, odd options, odd applications.
 * The same seed makes the same world.
 */
import { NEVER } from '../../lib/base/clock.js';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import type { SeededRandom } from '../../lib/sim/seeded-random.js';
import { SeededRandom as Seeded } from '../../lib/sim/seeded-random.js';
import { Simulation } from '../../lib/sim/simulation.js';
import { streamByte } from '../../lib/sim/transfer.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';
import type { TcpOptions } from '../../lib/tcp/options.js';
import { checkSender, watchSender } from './sender-invariants.js';

const PERIOD_BYTES = 251 * 256;
const CHUNK_BYTES = 16_384;
const STREAM = Uint8Array.from({ length: PERIOD_BYTES + CHUNK_BYTES }, (_, position) => streamByte(position));
/** Virtual time a world may take, µs: a path that loses every second packet needs some. */
const LIMIT_US = 3_600e6;

/** Draws with a few words. */
class Dice {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  chance(probability: number): boolean {
    return this.#random.uint32() < probability * 2 ** 32;
  }

  within(least: number, most: number): number {
    return least + Math.floor((this.#random.uint32() / 2 ** 32) * (most - least + 1));
  }

  of<T>(...choices: readonly T[]): T {
    return choices[this.within(0, choices.length - 1)];
  }

  fork(): Dice {
    return new Dice(this.#random.fork());
  }
}

/** What an application does. */
interface Habits {
  readonly bytes: number;
  readonly writeBytes: number;
  /** Pause after each write, ms; 0 for none. */
  readonly pauseMs: number;
  /** Reads so much at a time, and pauses; 0 ms: all, at once. */
  readonly readBytes: number;
  readonly readPauseMs: number;
  /** Gives its endpoint up once everything is written and read to the end, or waits for the end. */
  readonly goesEarly: boolean;
}

export interface StressWorld {
  readonly seed: number;
  readonly family: 4 | 6;
  readonly superPackets: boolean;
  readonly upstream: DirectionOptions;
  readonly downstream: DirectionOptions;
  readonly client: Partial<TcpOptions>;
  readonly server: Partial<TcpOptions>;
  readonly near: Habits;
  readonly far: Habits;
  /** When the path's MTU changes, ms, and to what. */
  readonly mtuChanges: readonly (readonly [atMs: number, mtu: number])[];
  /** What applications change on the way: when, ms, at which end, and what. */
  readonly whims: readonly (readonly [atMs: number, end: number, whim: Whim])[];
}

/** Settings that change under way, each to something at random. */
const WHIMS = {
  cubic: (endpoint) => endpoint.setCongestionControl('cubic'),
  bbr: (endpoint) => endpoint.setCongestionControl('bbr'),
  slow: (endpoint) => endpoint.setMaxPacingRate(30_000),
  fast: (endpoint) => endpoint.setMaxPacingRate(Number.POSITIVE_INFINITY),
  cork: (endpoint) => endpoint.setCork(true),
  uncork: (endpoint) => endpoint.setCork(false),
  noDelay: (endpoint) => endpoint.setNoDelay(true),
  clamp: (endpoint) => endpoint.setWindowClamp(2000),
  wide: (endpoint) => endpoint.setReceiveBuffer(500_000),
  narrow: (endpoint) => endpoint.setReceiveBuffer(5000),
  small: (endpoint) => endpoint.setMaxSegment(300),
  short: (endpoint) => endpoint.setSendBuffer(3000),
} satisfies Record<string, (endpoint: TcpEndpoint) => void>;
type Whim = keyof typeof WHIMS;

export function drawWorld(seed: number): StressWorld {
  const dice = new Dice(new Seeded(seed));
  const family = dice.of<4 | 6>(4, 6);
  const rateBps = dice.of(0, 0.5e6, 5e6, 50e6);
  const delayMs = dice.of(0.05, 1, 10, 40, 150);
  const upstream = drawDirection(dice, rateBps, delayMs);
  const downstream = drawDirection(dice, rateBps, delayMs);
  const both = dice.chance(0.4);
  return {
    seed,
    family,
    superPackets: dice.chance(0.5),
    upstream,
    downstream,
    client: drawOptions(dice),
    server: drawOptions(dice),
    near: drawHabits(dice, true),
    far: drawHabits(dice, both),
    mtuChanges: dice.chance(0.3)
      ? Array.from({ length: dice.within(1, 3) }, () => [
          dice.within(10, 2000),
          family === 4 ? dice.of(300, 576, 1000, 1400, 1500) : dice.of(1280, 1400, 1500),
        ])
      : [],
    whims: dice.chance(0.4)
      ? Array.from({ length: dice.within(1, 5) }, () => [
          dice.within(1, dice.of(100, 3000)),
          dice.within(0, 1),
          dice.of(...(Object.keys(WHIMS) as Whim[])),
        ])
      : [],
  };
}

function drawDirection(dice: Dice, rateBps: number, delayMs: number): DirectionOptions {
  const some = (most: number): number => dice.of(0.2, 0.5, 1) * most;
  return {
    delayMs,
    ...(rateBps > 0 ? { rateBps, queuePackets: dice.of(2, 5, 20, 100) } : {}),
    ...(dice.chance(0.4) ? { loss: some(0.1) } : {}),
    ...(dice.chance(0.2) ? { burstLoss: { enterBad: some(0.02), leaveBad: dice.of(0.3, 0.7) } } : {}),
    ...(dice.chance(0.4)
      ? { reorder: { probability: some(0.2), delayMs: delayMs * dice.of(0.1, 0.5, 2) } }
      : {}),
    ...(dice.chance(0.3) ? { duplicate: some(0.1) } : {}),
    ...(dice.chance(0.3) ? { corrupt: some(0.05) } : {}),
    ...(dice.chance(0.3) ? { jitterMs: delayMs * some(0.5) } : {}),
    ...(rateBps > 0 && dice.chance(0.3) ? { ecnThresholdPackets: dice.within(1, 10) } : {}),
  };
}

function drawOptions(dice: Dice): Partial<TcpOptions> {
  const odd = <T>(probability: number, name: keyof TcpOptions, draw: () => T): Partial<TcpOptions> =>
    dice.chance(probability) ? { [name]: draw() } : {};
  return {
    congestionControl: dice.of('reno', 'cubic', 'bbr'),
    retries2: 100,
    synRetries: 60,
    rtoMaxMs: 5000,
    ...odd(0.3, 'sack', () => false),
    ...odd(0.3, 'timestamps', () => false),
    ...odd(0.25, 'rack', () => false),
    ...odd(0.25, 'tailLossProbe', () => false),
    ...odd(0.25, 'forwardRto', () => false),
    ...odd(0.3, 'pacing', () => true),
    ...odd(0.15, 'maxPacingRateBps', () => dice.of(20_000, 200_000, 5e6)),
    ...odd(0.2, 'maxSentRecords', () => dice.of(1, 2, 3, 5, 20)),
    ...odd(0.3, 'ecn', () => dice.of('off', 'request', 'request-accurate', 'accept-accurate')),
    ...odd(0.2, 'noDelay', () => true),
    ...odd(0.1, 'quickAck', () => true),
    ...odd(0.2, 'receiveBufferBytes', () => dice.of(700, 3000, 20_000)),
    ...odd(0.2, 'receiveBufferMaxBytes', () => dice.of(3000, 20_000)),
    ...odd(0.2, 'windowScaling', () => false),
    ...odd(0.2, 'maxGaps', () => dice.of(1, 3)),
    ...odd(0.2, 'maxSegmentBytes', () => dice.of(100, 536, 1000)),
    ...odd(0.2, 'sendBufferBytes', () => dice.of(1000, 10_000, 100_000)),
    ...odd(0.2, 'mtuProbing', () => dice.of('off', 'always')),
    ...odd(0.1, 'initialWindow', () => dice.of(1, 3, 40)),
    ...odd(0.1, 'maxCongestionWindowBytes', () => dice.of(1500, 10_000)),
    ...odd(0.1, 'rtoMinMs', () => dice.of(1, 10)),
    ...odd(0.1, 'abe', () => true),
  };
}

function drawHabits(dice: Dice, sends: boolean): Habits {
  const slow = dice.chance(0.3);
  return {
    bytes: sends ? dice.of(1, 1000, 20_000, 60_000, 150_000) + dice.within(0, 999) : 0,
    writeBytes: dice.of(1000, 3000, CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES),
    pauseMs: dice.chance(0.2) ? dice.of(1, 20, 300) : 0,
    readBytes: slow ? dice.of(1000, 10_000) : CHUNK_BYTES,
    readPauseMs: slow ? dice.of(1, 20, 200) : 0,
    goesEarly: dice.chance(0.3),
  };
}

/** One application and its end of the connection. */
class End implements TcpEndpointHandler {
  readonly endpoint: TcpEndpoint;
  readonly #habits: Habits;
  readonly #later: (ms: number, call: () => void) => void;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  sentBytes = 0;
  receivedBytes = 0;
  isIntact = true;
  peerClosed = false;
  isReleased = false;
  closeCode: string | undefined;
  #writes = false;
  #reads = false;

  constructor(endpoint: TcpEndpoint, habits: Habits, later: (ms: number, call: () => void) => void) {
    this.endpoint = endpoint;
    this.#habits = habits;
    this.#later = later;
    endpoint.handler = this;
    watchSender(endpoint.connection);
  }

  get isAlive(): boolean {
    return !this.isReleased && this.closeCode === undefined;
  }

  onConnect(): void {
    this.#write();
  }

  onWritable(): void {
    this.#write();
  }

  onReadable(): void {
    this.#read();
  }

  onEnd(): void {
    this.peerClosed = true;
    this.#read();
  }

  onClose(errorCode: string): void {
    this.closeCode = errorCode;
    this.#drain();
  }

  #write(): void {
    const { bytes, writeBytes, pauseMs } = this.#habits;
    if (this.#writes || this.isReleased) return;
    while (this.sentBytes < bytes) {
      const wanted = Math.min(writeBytes, bytes - this.sentBytes);
      const written = this.endpoint.write(STREAM, this.sentBytes % PERIOD_BYTES, wanted);
      this.sentBytes += written;
      if (written < wanted) return;
      if (pauseMs > 0) {
        this.#writes = true;
        this.#later(pauseMs, () => {
          this.#writes = false;
          this.#write();
        });
        return;
      }
    }
    this.endpoint.shutdown();
    this.#mayLeave();
  }

  #read(): void {
    const { readPauseMs, readBytes } = this.#habits;
    if (this.#reads || this.isReleased) return;
    if (readPauseMs === 0) {
      this.#drain();
      this.#mayLeave();
      return;
    }
    this.#reads = true;
    this.#later(readPauseMs, () => {
      this.#reads = false;
      if (this.#take(readBytes) > 0 && this.endpoint.readableBytes > 0) this.#read();
      this.#mayLeave();
    });
  }

  #drain(): void {
    while (!this.isReleased && this.#take(CHUNK_BYTES) > 0);
  }

  #take(most: number): number {
    const bytes = this.endpoint.read(this.#chunk, 0, most);
    const start = this.receivedBytes % PERIOD_BYTES;
    for (let i = 0; i < bytes; i++) if (this.#chunk[i] !== STREAM[start + i]) this.isIntact = false;
    this.receivedBytes += bytes;
    return bytes;
  }

  /** Who has sent all and heard all may go: what it sent is finished without it. */
  #mayLeave(): void {
    const { bytes, goesEarly } = this.#habits;
    if (!goesEarly || this.isReleased || this.sentBytes < bytes) return;
    if (!this.peerClosed || this.endpoint.readableBytes > 0) return;
    this.isReleased = true;
    this.endpoint.close();
  }
}

/** Runs a world to its end. @returns what went wrong */
export function runWorld(world: StressWorld): string[] {
  const net = new Simulation({
    seed: world.seed,
    family: world.family,
    superPackets: world.superPackets,
    upstream: world.upstream,
    downstream: world.downstream,
    client: { tcp: { connection: world.client, orphanRetries: 100, synAckRetries: 60 } },
    server: { tcp: { connection: world.server, orphanRetries: 100, synAckRetries: 60 } },
  });
  const { clock } = net;
  const later = (ms: number, call: () => void): void =>
    clock.createAlarm(call).setAt(clock.nowUs() + ms * 1000);
  const ends: End[] = [];
  const listener = net.server.listenTcp({ port: 80 });
  listener.onConnection = () => {
    for (let endpoint = listener.accept(); endpoint !== undefined; endpoint = listener.accept()) {
      ends.push(new End(endpoint, world.far, later));
      ends[ends.length - 1].onConnect();
    }
  };
  ends.push(new End(net.client.connectTcp({ address: net.serverAddress, port: 80 }), world.near, later));
  for (const [atMs, mtu] of world.mtuChanges) {
    later(atMs, () => {
      for (const { endpoint } of ends) narrow(endpoint, mtu - (world.family === 4 ? 20 : 40));
    });
  }
  for (const [atMs, end, whim] of world.whims) {
    later(atMs, () => {
      if (ends[end] !== undefined && ends[end].isAlive) WHIMS[whim](ends[end].endpoint);
    });
  }
  const isOver = (): boolean =>
    ends.length === 2 && ends.every((end) => end.isReleased || end.closeCode !== undefined);
  const troubles: string[] = [];
  try {
    clock.runUntil(isOver, LIMIT_US);
    troubles.push(...troublesOf(world, ends));
    listener.close();
    if (!clock.runUntilIdle(LIMIT_US)) troubles.push('no rest');
    if (net.client.tcp.connections + net.server.tcp.connections > 0) troubles.push('connections left');
  } catch (error) {
    troubles.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  net.close();
  return troubles;
}

function narrow({ connection }: TcpEndpoint, transportBytes: number): void {
  if (connection.nextDeadlineUs === NEVER && connection.memoryBytes === 0) return;
  connection.pathChanged(transportBytes);
  checkSender(connection);
}

function* troublesOf({ near, far }: StressWorld, ends: readonly End[]): Generator<string> {
  if (ends.length !== 2) {
    yield `${ends.length} ends`;
    return;
  }
  const sent = [far.bytes, near.bytes];
  for (const [i, end] of ends.entries()) {
    const name = i === 0 ? 'client' : 'server';
    if (!end.isIntact) yield `the ${name} received wrong bytes`;
    if (end.receivedBytes !== sent[i]) yield `the ${name} received ${end.receivedBytes} of ${sent[i]} bytes`;
    if (!end.isReleased && end.closeCode !== '') yield `the ${name} ended with ${String(end.closeCode)}`;
  }
}
