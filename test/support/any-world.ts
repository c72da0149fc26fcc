/**
 * A world drawn by chance in which clients connect to addresses that nobody has, and a proxy decides about each
 * request in one of all the ways there are, at once, later or never. The same seed makes the same world.
 */
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { Simulation } from '../../lib/sim/simulation.js';
import type { AnyTcpListener, TcpRequest } from '../../lib/stack/any-tcp.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';
import { TcpState } from '../../lib/tcp/state.js';
import { gaugesOf } from './scenario-host.js';

/** Many that say much, on a bad path; or very many that say little. */
export interface AnyWorldSize {
  readonly clients: number;
  /** Within which time they begin, ms. */
  readonly spreadMs: number;
  /** Bytes that each end may send. */
  readonly sizes: readonly number[];
  /** Most requests that wait, at least and at most. */
  readonly maxPending: readonly [number, number];
  /** How often the listener is closed while they begin. */
  readonly closes: number;
}

const SMALL: AnyWorldSize = {
  clients: 60,
  spreadMs: 5000,
  sizes: [0, 100, 5000, 60_000],
  maxPending: [5, 80],
  closes: 0.3,
};
/** Longer than a handshake is repeated, TIME-WAIT lasts and a FIN is waited for. */
const REST_MS = 1_000_000;
const PIECE = new Uint8Array(4096);

/** What is at a place of every stream, both ways. */
const byteAt = (position: number): number => (position * 31 + (position >> 8)) & 0xff;

type Decision = 'accept' | 'reset' | 'port-unreachable' | 'prohibited' | 'ignore' | 'never';

class Dice {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  within(least: number, most: number): number {
    return least + (this.#random.uint32() % (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.#random.uint32() < probability * 2 ** 32;
  }

  of<T>(...choices: readonly T[]): T {
    return choices[this.within(0, choices.length - 1)];
  }
}

/** One end of a connection: writes so much, reads and checks everything, and ends in one way or another. */
class Talker implements TcpEndpointHandler {
  readonly #endpoint: TcpEndpoint;
  readonly #bytes: number;
  #written = 0;
  #read = 0;
  #isClosed = false;
  /** Whether what arrived was what was sent. */
  isIntact = true;

  constructor(endpoint: TcpEndpoint, bytes: number) {
    this.#endpoint = endpoint;
    this.#bytes = bytes;
    endpoint.handler = this;
    // Who connects waits for the answer: a FIN before it would forget everything.
    if (endpoint.state !== TcpState.SYN_SENT) this.#write();
  }

  onConnect(): void {
    this.#write();
  }

  onWritable(): void {
    this.#write();
  }

  onReadable(): void {
    for (let count = this.#endpoint.read(PIECE); count > 0; count = this.#endpoint.read(PIECE)) {
      for (let i = 0; i < count; i++) if (PIECE[i] !== byteAt(this.#read + i)) this.isIntact = false;
      this.#read += count;
    }
  }

  onEnd(): void {
    this.onReadable();
    this.close();
  }

  onClose(): void {
    this.onReadable();
    this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endpoint.close();
  }

  abort(): void {
    if (this.#isClosed) return;
    this.#endpoint.abort();
    this.close();
  }

  #write(): void {
    while (this.#written < this.#bytes) {
      const count = Math.min(1000, this.#bytes - this.#written);
      const piece = Uint8Array.from({ length: count }, (_, i) => byteAt(this.#written + i));
      const admitted = this.#endpoint.write(piece);
      this.#written += admitted;
      if (admitted < count) return;
    }
    this.#endpoint.shutdown();
  }
}

export class AnyWorld {
  readonly #dice: Dice;
  readonly #size: AnyWorldSize;
  readonly #simulation: Simulation;
  readonly #listener: AnyTcpListener;
  readonly #talkers: Talker[] = [];
  readonly #problems: string[] = [];
  #asks = 0;
  #cancels = 0;
  #closings = 0;

  constructor(seed: number, size = SMALL) {
    const dice = new Dice(seed);
    this.#size = size;
    const wire = (): DirectionOptions => ({
      delayMs: dice.within(1, 80),
      jitterMs: dice.of(0, 0, 5),
      loss: dice.of(0, 0.01, 0.1),
      duplicate: dice.of(0, 0.02),
      reorder: { probability: dice.of(0, 0.05), delayMs: 30 },
    });
    this.#dice = dice;
    const synAckRetries = dice.of(1, 5);
    this.#simulation = new Simulation({
      seed,
      upstream: wire(),
      downstream: wire(),
      server: {
        tcp: {
          synAckRetries,
          maxConnections: dice.of(size.maxPending[0] * 8, 100_000),
          restAfterMs: dice.of(0, 1000),
        },
      },
    });
    const { client, server } = this.#simulation;
    client.routing.routes.add({ destination: '0.0.0.0/0', port: 1 });
    client.routing.routes.add({ destination: '::/0', port: 1 });
    this.#listener = server.listenAnyTcp(
      { maxPending: dice.within(...size.maxPending), pendingMs: dice.within(2000, 30_000) },
      (request) => this.#asked(request),
    );
    for (let i = 0; i < size.clients; i++) this.#at(dice.within(0, size.spreadMs), () => this.#connect());
    if (dice.chance(size.closes)) this.#at(dice.within(0, 2 * size.spreadMs), () => this.#listener.close());
  }

  /** What came of the requests. */
  get counts(): AnyTcpListener['counts'] {
    return this.#listener.counts;
  }

  /** Plays it to its end. @returns what is wrong */
  run(): readonly string[] {
    const { clock, client, server } = this.#simulation;
    if (!this.#simulation.rest(REST_MS)) this.#problems.push('it does not come to rest');
    this.#listener.close();
    this.#simulation.rest(REST_MS);
    this.#checkCounts();
    for (const [name, stack] of Object.entries({ client, server })) {
      for (const [gauge, value] of Object.entries({
        ...gaugesOf(stack),
        anyPending: stack.stats.tcp.anyPending,
      })) {
        if (value !== 0) this.#problems.push(`${value} left of ${gauge} of the ${name}`);
      }
    }
    if (this.#talkers.some(({ isIntact }) => !isIntact)) this.#problems.push('a byte was wrong');
    this.#checkClosed();
    if (clock.pending !== 0) this.#problems.push(`${clock.pending} alarms are left`);
    this.#simulation.close();
    return this.#problems;
  }

  #at(ms: number, what: () => void): void {
    const { clock } = this.#simulation;
    clock.createAlarm(what).setAt(clock.nowUs() + ms * 1000);
  }

  #connect(): void {
    const dice = this.#dice;
    const last = dice.within(1, 200);
    const address = dice.chance(0.5) ? `198.51.100.${last}` : `2001:db8:f::${last}`;
    const endpoint = this.#simulation.client.connectTcp({ address, port: dice.of(80, 443, 8080) });
    this.#talk(endpoint);
  }

  #talk(endpoint: TcpEndpoint): void {
    const dice = this.#dice;
    const talker = new Talker(endpoint, dice.of(...this.#size.sizes));
    this.#talkers.push(talker);
    const fate = dice.within(1, 10);
    if (fate <= 2) this.#at(dice.within(0, 3000), () => talker.abort());
    else if (fate <= 4) this.#at(dice.within(0, 3000), () => talker.close());
    // Nobody waits for ever for one that never ends.
    this.#at(300_000, () => talker.abort());
  }

  #asked(request: TcpRequest): void {
    const dice = this.#dice;
    const decision: Decision = dice.of(
      'accept',
      'accept',
      'accept',
      'reset',
      'port-unreachable',
      'prohibited',
      'ignore',
      'never',
    );
    this.#asks++;
    request.onCancel = (reason) => {
      if (request.isPending) this.#problems.push('a request that was cancelled is pending');
      if (reason === 'closed') this.#closings++;
      else this.#cancels++;
    };
    if (dice.chance(0.5)) this.#decide(request, decision);
    else this.#at(dice.within(0, 10_000), () => this.#decide(request, decision));
  }

  #decide(request: TcpRequest, decision: Decision): void {
    if (decision === 'accept') this.#accept(request);
    else if (decision === 'ignore') request.ignore();
    else if (decision !== 'never') request.reject(decision);
  }

  #accept(request: TcpRequest): void {
    const wasPending = request.isPending;
    try {
      this.#talk(request.accept());
      if (!wasPending) this.#problems.push('a request was accepted that was over');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ECONNABORTED' || wasPending) this.#problems.push(String(error));
    }
  }

  /** Every request has had one end. */
  #checkCounts(): void {
    const { counts } = this.#listener;
    const { requests, accepted, rejected, ignored, cancelled, expired, pending } = counts;
    const ends = accepted + rejected + ignored + cancelled + expired + this.#closings;
    // One that was cancelled before it was told was no request, and has an end all the same.
    const untold = cancelled + expired - this.#cancels;
    if (ends - untold !== requests || requests !== this.#asks || pending !== 0) {
      this.#problems.push(
        `the counts are wrong: ${JSON.stringify(counts)}, ${this.#closings} closed, ${untold} untold`,
      );
    }
  }

  /** Nothing is taken any more for addresses of others: the count of whom it is taken for is back at none. */
  #checkClosed(): void {
    const { client, server, clock } = this.#simulation;
    const before = server.stats.ip.inForeign;
    const late = client.connectTcp({ address: '198.51.100.7', port: 80 });
    clock.advanceBy(500_000);
    late.abort();
    late.close();
    this.#simulation.rest(REST_MS);
    if (server.stats.ip.inForeign !== before) this.#problems.push('a SYN was taken after the end');
    if (server.stats.ip.reasmReqds !== 0) this.#problems.push('fragments came');
  }
}
