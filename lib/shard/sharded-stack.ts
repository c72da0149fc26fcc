/**
 * A stack on several cores: one thread each, with a stack of its own and a queue of one TUN, all with the same
 * addresses. This is the side of the main thread.
 */
import { EventEmitter } from 'node:events';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MessageChannel, type Worker, type WorkerOptions } from 'node:worker_threads';
import { ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import type { LinkOptions } from '../stack/stack.js';
import { SystemRandom } from '../stack/system-random.js';
import { startWorker } from '../stack/system-worker.js';
import { Board, MAX_SHARDS, type PortRange } from './board.js';
import { addUp } from './sum.js';
import type {
  Counters,
  FromShard,
  OneShardStats,
  ShardBirth,
  ShardStackOptions,
  ShardTunOptions,
  ToShard,
} from './worker-messages.js';

/** As Linux and the stack have it by default. */
const EPHEMERAL_PORTS: PortRange = [32_768, 60_999];
/** How long a shard that died at birth waits to be born again, ms. */
const REBIRTH_MS = 1000;
const CLOSE_MS = 5000;
const OPTION_NAMES: ReadonlySet<string> = new Set(
  'module workerData shards tun stack onDeath flows ringBytes worker addresses defaultRoute ip'.split(' '),
);

/** What a stack on several cores is made with. */
export interface ShardedStackOptions extends LinkOptions {
  /** URL or path of the module that each thread loads; its function `serve`, or its default export, is called with a `ShardContext`. */
  readonly module: string | URL;
  /** Given to each thread, as `worker_threads` does. */
  readonly workerData?: unknown;
  /** How many threads, 1 .. 31; as many as there are processors by default. */
  readonly shards?: number;
  /** The interface they share. */
  readonly tun?: ShardTunOptions;
  /** Settings of each thread's stack. Ephemeral ports are those of all together. */
  readonly stack?: ShardStackOptions;
  /** What follows when a thread dies: another takes its place (the default), or everything ends. */
  readonly onDeath?: 'restart' | 'close';
  /** Connections that shards can know each other's of; a power of two, 524,288 by default. */
  readonly flows?: number;
  /** Bytes under way from one shard to one other; a power of two, 1 MiB by default. */
  readonly ringBytes?: number;
  /** `execArgv`, `env`, `resourceLimits` and the like of the threads. */
  readonly worker?: Pick<WorkerOptions, 'argv' | 'env' | 'execArgv' | 'resourceLimits' | 'stdout' | 'stderr'>;
}

/** What all shards have counted together, and each. */
export interface ShardedStats extends OneShardStats {
  /** Of each, in their order. */
  readonly shards: readonly OneShardStats[];
}

/** What a shard's death is reported as, by the event `death`. */
export interface ShardDeath {
  /** Its number. */
  readonly shard: number;
  /** What it threw; undefined where it ended by itself. */
  readonly error: Error | undefined;
}

interface Thread {
  readonly worker: Worker;
  readonly index: number;
  /** The first message of a type; fails when the thread ends before. */
  heard(type: FromShard['type']): Promise<FromShard>;
  readonly exited: Promise<void>;
  isReady: boolean;
}

/**
 * A stack on several cores: made by `createShardedStack`. It emits `death` with a `ShardDeath` when a thread has
 * ended that was not told to, `restart` with its number when another serves in its place, and `close` at the end.
 */
export class ShardedStack extends EventEmitter {
  /** How many threads it has. */
  readonly shards: number;
  readonly #options: ShardedStackOptions;
  readonly #board: Board;
  readonly #threads: (Thread | undefined)[];
  readonly #questions = new Map<number, (stats: OneShardStats) => void>();
  /** Threads that are to be born. */
  readonly #births = new Set<NodeJS.Timeout>();
  #nextQuestion = 1;
  #name = '';
  #closing: Promise<void> | undefined;
  #isRef = true;

  /** @internal Use `createShardedStack`. */
  constructor(options: ShardedStackOptions) {
    super();
    const { shards = Math.min(availableParallelism(), MAX_SHARDS), stack } = options;
    this.#options = options;
    this.shards = shards;
    this.#board = Board.create({
      shards,
      random: new SystemRandom(),
      tcpPorts: stack?.tcp?.ephemeralPorts ?? EPHEMERAL_PORTS,
      udpPorts: stack?.udp?.ephemeralPorts ?? EPHEMERAL_PORTS,
      ...(options.flows === undefined ? {} : { flows: options.flows }),
      ...(options.ringBytes === undefined ? {} : { ringBytes: options.ringBytes }),
    });
    this.#threads = Array<Thread | undefined>(shards).fill(undefined);
  }

  /** Name of the interface. */
  get name(): string {
    return this.#name;
  }

  /** Counters of all shards, added up, and of each. */
  async stats(): Promise<ShardedStats> {
    const all = await Promise.all(this.#serving.map((thread) => this.#ask(thread)));
    const known = all.filter((stats) => stats !== undefined);
    return { ...(addUp(known as unknown as Counters[]) as unknown as OneShardStats), shards: known };
  }

  /**
   * Ends it: each thread's own end is waited for, `timeoutMs` at most (5 s by default), then connections are reset
   * and threads end.
   */
  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#end(options.timeoutMs ?? CLOSE_MS);
    return this.#closing;
  }

  /** The threads keep the process alive, which is so at first. */
  ref(): this {
    return this.#setRef(true);
  }

  /** They do not. */
  unref(): this {
    return this.#setRef(false);
  }

  // ---- birth ------------------------------------------------------------------------------------

  /** @internal */
  async start(): Promise<this> {
    try {
      const threads = Array.from({ length: this.shards }, (_, index) => this.#spawn(index));
      // The first makes the interface, and learns its name.
      for (const thread of threads.slice(0, 1)) await this.#open(thread);
      await Promise.all(threads.slice(1).map((thread) => this.#open(thread)));
      for (const thread of threads) this.#introduce(thread, threads.slice(0, thread.index));
      await Promise.all(threads.map((thread) => this.#serve(thread)));
    } catch (error) {
      await this.close({ timeoutMs: 0 });
      throw error;
    }
    return this;
  }

  #spawn(index: number): Thread {
    const { module, addresses, defaultRoute, ip, stack = {} } = this.#options;
    const birth: ShardBirth = {
      board: this.#board.memory,
      index,
      module: urlOf(module),
      workerData: this.#options.workerData,
      stack,
      ...(addresses === undefined ? {} : { addresses }),
      ...(defaultRoute === undefined ? {} : { defaultRoute }),
      ...(ip === undefined ? {} : { ip }),
    };
    const worker = startWorker('./worker', import.meta.url, { ...this.#options.worker, workerData: birth });
    if (!this.#isRef) worker.unref();
    const thread = this.#watch(worker, index);
    this.#threads[index] = thread;
    return thread;
  }

  #watch(worker: Worker, index: number): Thread {
    let failure: Error | undefined;
    const emitter = new EventEmitter().setMaxListeners(0);
    const exited = new Promise<void>((settle) => worker.once('exit', () => settle()));
    const thread: Thread = {
      worker,
      index,
      exited,
      isReady: false,
      heard: (type) =>
        new Promise((settle, reject) => {
          emitter.once(type, settle);
          void exited.then(() => reject(failure ?? new Error(`shard ${index} has ended`)));
        }),
    };
    worker.on('message', (message: FromShard) => {
      if (message.type === 'stats') this.#questions.get(message.id)?.(message.stats);
      else emitter.emit(message.type, message);
    });
    worker.on('error', (error: Error) => {
      failure = error;
    });
    void exited.then(() => this.#exited(thread, failure));
    return thread;
  }

  async #open(thread: Thread): Promise<void> {
    const linked = thread.heard('linked');
    const name = this.#name === '' ? {} : { name: this.#name };
    post(thread, { type: 'open', tun: { ...this.#options.tun, ...name } });
    const answer = await linked;
    if (answer.type === 'linked') this.#name = answer.name;
  }

  /** Shards wake each other without the main thread. */
  #introduce(thread: Thread, others: readonly Thread[]): void {
    for (const other of others) {
      const { port1, port2 } = new MessageChannel();
      thread.worker.postMessage({ type: 'neighbour', shard: other.index, port: port1 }, [port1]);
      other.worker.postMessage({ type: 'neighbour', shard: thread.index, port: port2 }, [port2]);
    }
  }

  async #serve(thread: Thread): Promise<void> {
    const ready = thread.heard('ready');
    post(thread, { type: 'serve' });
    await ready;
    thread.isReady = true;
  }

  // ---- death ------------------------------------------------------------------------------------

  #exited(thread: Thread, error: Error | undefined): void {
    const { index, isReady } = thread;
    this.#threads[index] = undefined;
    this.#board.gone(index);
    if (this.#closing !== undefined) return;
    this.emit('death', { shard: index, error } satisfies ShardDeath);
    if (this.#options.onDeath === 'close') void this.close();
    else if (this.#name !== '') this.#restartIn(index, isReady ? 0 : REBIRTH_MS);
  }

  #restartIn(index: number, ms: number): void {
    const timer = setTimeout(() => {
      this.#births.delete(timer);
      void this.#restart(index);
    }, ms);
    this.#births.add(timer);
  }

  async #restart(index: number): Promise<void> {
    if (this.#closing !== undefined) return;
    const thread = this.#spawn(index);
    try {
      await this.#open(thread);
      this.#introduce(
        thread,
        this.#living.filter((other) => other !== thread),
      );
      await this.#serve(thread);
      this.emit('restart', index);
    } catch {
      // It is dead again, which was reported.
    }
  }

  async #end(timeoutMs: number): Promise<void> {
    for (const timer of this.#births) clearTimeout(timer);
    const threads = this.#living;
    const timers = new Set<NodeJS.Timeout>();
    await Promise.all(
      threads.map(async (thread) => {
        const late = new Promise<void>((settle) => timers.add(setTimeout(settle, timeoutMs)));
        const closed = thread.heard('closed').catch(() => {});
        post(thread, { type: 'close' });
        await Promise.race([closed, late]);
        await thread.worker.terminate();
        await thread.exited;
      }),
    );
    for (const timer of timers) clearTimeout(timer);
    this.emit('close');
  }

  // ---- the parts --------------------------------------------------------------------------------

  get #living(): Thread[] {
    return this.#threads.filter((thread) => thread !== undefined);
  }

  get #serving(): Thread[] {
    return this.#living.filter(({ isReady }) => isReady);
  }

  /** @returns undefined where it ended before it could answer */
  async #ask(thread: Thread): Promise<OneShardStats | undefined> {
    const id = this.#nextQuestion++;
    const answer = new Promise<OneShardStats>((settle) => this.#questions.set(id, settle));
    post(thread, { type: 'stats', id });
    const stats = await Promise.race([answer, thread.exited]);
    this.#questions.delete(id);
    return stats ?? undefined;
  }

  #setRef(isRef: boolean): this {
    this.#isRef = isRef;
    for (const { worker } of this.#living) {
      if (isRef) worker.ref();
      else worker.unref();
    }
    return this;
  }
}

/** A module by its URL, or by its path from the working directory. */
const urlOf = (module: string | URL): string =>
  typeof module === 'string' && !URL.canParse(module) ? pathToFileURL(resolve(module)).href : String(module);

const post = (thread: Thread, message: ToShard): void => thread.worker.postMessage(message);

/**
 * Makes a stack on several cores: starts the threads, gives each a queue of one TUN and a stack, and has the module's
 * function called in each. Resolves when it has returned everywhere.
 * @throws ArgumentTypeError, ArgumentRangeError, ArgumentValueError for the options; rejects with what a thread threw
 * before it served, such as `StackError` `open EACCES`
 */
export async function createShardedStack(options: ShardedStackOptions): Promise<ShardedStack> {
  if (options === null || typeof options !== 'object')
    throw new ArgumentTypeError('options must be an object');
  const unknown = Object.keys(options).find((name) => !OPTION_NAMES.has(name));
  if (unknown !== undefined) throw new ArgumentValueError(`unknown option "${unknown}" of a sharded stack`);
  const { module, onDeath } = options;
  if (typeof module !== 'string' && !(module instanceof URL)) {
    throw new ArgumentTypeError('module must be the URL of a module');
  }
  if (onDeath !== undefined && onDeath !== 'restart' && onDeath !== 'close') {
    throw new ArgumentValueError(`onDeath must be "restart" or "close", not ${String(onDeath)}`);
  }
  return new ShardedStack(options).start();
}
