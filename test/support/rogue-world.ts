/**
 * Applications of two stacks that call what chance says, whenever they are called and now and then when they
 * are not: the worlds of misuse.test.ts.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { Simulation } from '../../lib/sim/simulation.js';
import { streamByte } from '../../lib/sim/transfer.js';
import type { Stack } from '../../lib/stack/stack.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';
import type { TcpListenerEndpoint } from '../../lib/stack/tcp-listener-endpoint.js';
import { stateName } from '../../lib/tcp/state.js';
import { gaugesOf } from './scenario-host.js';
import { watchSender } from './sender-invariants.js';

const STREAM = Uint8Array.from({ length: 300_000 }, (_, position) => streamByte(position));
const CHUNK = new Uint8Array(70_000);
/** What a bad call may be told: the address is taken, this stack is closed, the link fell as the other closed. */
const REFUSALS = ['EADDRINUSE', 'ENETDOWN', 'ENETUNREACH'];

/** @returns the code of what a call throws, '' for nothing */
export const codeOf = (call: () => unknown): string => {
  try {
    call();
    return '';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

/** One application: what it does each time it is called stands in its plan; afterwards it behaves. */
class Rogue implements TcpEndpointHandler {
  readonly endpoint: TcpEndpoint;
  readonly #world: RogueWorld;
  readonly #plan: Action[];
  readonly #side: 0 | 1;
  /** The application at the other end, whose bytes this one reads. */
  other: Rogue | undefined;
  written = 0;
  received = 0;
  closes = 0;
  #readsOn = true;
  #hasClosed = false;

  constructor(world: RogueWorld, side: 0 | 1, endpoint: TcpEndpoint, plan: readonly Action[]) {
    this.#world = world;
    this.#side = side;
    this.endpoint = endpoint;
    this.#plan = [...plan];
    endpoint.handler = this;
    watchSender(endpoint.connection);
  }

  onConnect(): void {
    this.act();
  }

  onReadable(): void {
    this.act();
  }

  onWritable(): void {
    this.act();
  }

  onEnd(): void {
    this.act();
    if (this.#plan.length === 0) this.endpoint.shutdown();
  }

  onUrgent(): void {
    this.act();
  }

  onDrain(): void {
    this.act();
  }

  onSoftError(): void {
    this.act();
  }

  onClose(): void {
    this.closes++;
    expect(this.#hasClosed && this.closes > 1, 'a second end').to.equal(false);
    this.act();
  }

  /** Does the next few things of the plan, and reads when there are none left. */
  act(): void {
    const calls = 1 + (this.#plan.length % 3);
    for (let i = 0; i < calls; i++) {
      const action = this.#plan.shift();
      if (action === undefined) this.#read(CHUNK.length);
      else this.#do(action);
    }
  }

  #do({ kind, amount }: Action): void {
    const { endpoint } = this;
    const world = this.#world;
    if (kind === 'write') this.written += endpoint.write(STREAM, this.written, amount);
    else if (kind === 'writeMore') this.written += endpoint.writeMore(STREAM, this.written, amount);
    else if (kind === 'writeUrgent') this.written += endpoint.writeUrgent(STREAM, this.written, amount);
    else if (kind === 'read') this.#read(amount);
    else if (kind === 'close') {
      this.#hasClosed = true;
      endpoint.close();
    } else if (kind === 'shutdownRead') {
      this.#readsOn = false;
      endpoint.shutdownRead();
    } else if (kind === 'option') OPTIONS[amount % OPTIONS.length](endpoint);
    else if (kind === 'connect') world.connect();
    else if (kind === 'listen') expect(world.listen()).to.be.oneOf(['', ...REFUSALS]);
    else if (kind === 'unlisten') world.listener?.close();
    else if (kind === 'closeStack') world.stacks[this.#side].close();
    else if (kind === 'info') expect(endpoint.info.state).to.equal(stateName(endpoint.state));
    else endpoint[kind]();
  }

  #read(length: number): void {
    const bytes = this.endpoint.read(CHUNK, 0, length);
    if (this.#readsOn && this.other !== undefined) {
      for (let i = 0; i < bytes; i++) {
        if (CHUNK[i] !== STREAM[this.received + i]) expect.fail(`byte ${this.received + i} is wrong`);
      }
    }
    this.received += bytes;
    if (this.#readsOn && this.other !== undefined) expect(this.received).to.be.at.most(this.other.written);
  }
}

const OPTIONS: readonly ((endpoint: TcpEndpoint) => void)[] = [
  (endpoint) => endpoint.setNoDelay(true),
  (endpoint) => endpoint.setCork(true),
  (endpoint) => endpoint.setCork(false),
  (endpoint) => endpoint.setSendBuffer(1),
  (endpoint) => endpoint.setSendBuffer(100_000),
  (endpoint) => endpoint.setReceiveBuffer(1000),
  (endpoint) => endpoint.setReceiveBuffer(100_000),
  (endpoint) => endpoint.setLinger(0),
  (endpoint) => endpoint.setLinger(500),
  (endpoint) => endpoint.setUserTimeout(50),
  (endpoint) => endpoint.setKeepAlive(true, 1000),
  (endpoint) => endpoint.setKeepAlive(false),
  (endpoint) => endpoint.setCongestionControl('reno'),
  (endpoint) => endpoint.setCongestionControl('bbr'),
  (endpoint) => endpoint.setMaxSegment(300),
  (endpoint) => endpoint.setWindowClamp(2000),
  (endpoint) => endpoint.setNotSentLowWater(0),
  (endpoint) => endpoint.setMaxPacingRate(50_000),
  (endpoint) => endpoint.setQuickAck(true),
];

const action: fc.Arbitrary<Action> = fc.record({
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom('write', 'read', 'option') },
    { weight: 4, arbitrary: fc.constantFrom('writeMore', 'writeUrgent', 'readUrgent', 'info') },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        'shutdown',
        'shutdownRead',
        'close',
        'abort',
        'connect',
        'listen',
        'unlisten',
      ),
    },
  ),
  amount: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 6000 })),
});
const plan = fc.array(action, { maxLength: 25 });

type Kind =
  | 'write'
  | 'writeMore'
  | 'writeUrgent'
  | 'read'
  | 'readUrgent'
  | 'shutdown'
  | 'shutdownRead'
  | 'close'
  | 'abort'
  | 'option'
  | 'info'
  | 'connect'
  | 'listen'
  | 'unlisten'
  | 'closeStack';
interface Action {
  readonly kind: Kind;
  readonly amount: number;
}

interface Choice {
  readonly seed: number;
  readonly family: 4 | 6;
  readonly isBad: boolean;
  readonly plans: readonly (readonly Action[])[];
  /** When, in µs, an application acts without being called. */
  readonly calls: readonly number[];
}
/** All that chance decides. */
export const rogueChoices = fc.record({
  seed: fc.nat(1e6),
  family: fc.constantFrom<4 | 6>(4, 6),
  isBad: fc.boolean(),
  plans: fc.array(plan, { minLength: 2, maxLength: 6 }),
  calls: fc.array(fc.integer({ min: 0, max: 2_000_000 }), { maxLength: 8 }),
});

/** Two stacks and the applications on them. */
export class RogueWorld {
  readonly net: Simulation;
  readonly stacks: readonly [Stack, Stack];
  readonly listeners: TcpListenerEndpoint[] = [];
  readonly rogues: Rogue[] = [];
  readonly #plans: (readonly Action[])[];

  constructor({ seed, family, isBad, plans, calls }: Choice) {
    const path = { delayMs: 5, ...(isBad ? { loss: 0.1, duplicate: 0.1, jitterMs: 4 } : {}) };
    const stack = { tcp: { connection: { urgentInline: true, retries2: 8 }, timeWaitMs: 1000 } };
    const options = { seed, family, upstream: path, downstream: path, client: stack, server: stack };
    this.net = new Simulation(options);
    this.stacks = [this.net.client, this.net.server];
    this.#plans = [...plans];
    expect(this.listen()).to.equal('');
    this.connect();
    const { clock } = this.net;
    for (const [i, atUs] of calls.entries()) {
      clock.createAlarm(() => this.rogues[i % this.rogues.length]?.act()).setAt(clock.nowUs() + atUs);
    }
  }

  get listener(): TcpListenerEndpoint | undefined {
    return this.listeners.at(-1);
  }

  /** @returns the code of what was thrown, '' for nothing */
  listen(): string {
    return codeOf(() => {
      const listener = this.stacks[1].listenTcp({ port: 80 });
      this.listeners.push(listener);
      listener.onConnection = () => {
        for (let next = listener.accept(); next !== undefined; next = listener.accept()) this.#add(1, next);
      };
    });
  }

  connect(): void {
    if (this.#plans.length === 0) return;
    const request = { address: this.net.serverAddress, port: 80 };
    const code = codeOf(() => this.#add(0, this.stacks[0].connectTcp(request)));
    expect(code).to.be.oneOf(['', ...REFUSALS]);
  }

  #add(side: 0 | 1, endpoint: TcpEndpoint): void {
    const rogue = new Rogue(this, side, endpoint, this.#plans.shift() ?? []);
    const isOther = ({ endpoint: { localPort, remotePort } }: Rogue): boolean =>
      localPort === endpoint.remotePort && remotePort === endpoint.localPort;
    rogue.other = this.rogues.findLast(isOther);
    if (rogue.other !== undefined) rogue.other.other = rogue;
    this.rogues.push(rogue);
    if (side === 1) rogue.act();
  }

  /** Lets all go on for a while, then ends everything, twice; nothing may be left. */
  finish(): void {
    const { clock } = this.net;
    clock.runUntil(() => false, 20e6);
    for (let round = 0; round < 2; round++) {
      for (const { endpoint } of this.rogues) {
        endpoint.abort();
        endpoint.close();
        expect(endpoint.write(CHUNK, 0, 10), 'written to what has ended').to.equal(0);
      }
      for (const listener of this.listeners) listener.close();
    }
    expect(clock.runUntilIdle(300e6), 'rest').to.equal(true);
    for (const stack of this.stacks) {
      if (stack.isClosed) continue;
      for (const [name, value] of Object.entries(gaugesOf(stack))) expect(value, name).to.equal(0);
    }
    this.net.close();
    this.net.close();
    // The links learn that the other end is gone.
    clock.advanceBy(0);
    expect(clock.pending, 'alarms').to.equal(0);
    for (const { closes } of this.rogues) expect(closes).to.be.at.most(1);
  }
}
