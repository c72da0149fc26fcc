/**
 * A stack in a thread of its own whose sockets are here: what the application does, however long it takes, delays no
 * acknowledgment and no retransmission.
 */
import { EventEmitter, once } from 'node:events';
import type http from 'node:http';
import type https from 'node:https';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { ArgumentRangeError, StackError } from '../base/errors.js';
import type { TunOptions } from '../link/tun-device.js';
import { createAgent, createHttpsAgent } from '../net/agents.js';
import { type NetModule, type NetOfStack, openNet } from '../net/net.js';
import { type Serve, serveAny } from '../net/serve.js';
import { createTls, type TlsModule } from '../net/tls.js';
import type { LinkOptions, StackOptions } from '../stack/stack.js';
import { startWorker } from '../stack/system-worker.js';
import { ApplicationSide } from './application-side.js';
import {
  type Answer,
  DEFAULT_RING_BYTES,
  DEFAULT_WINDOW_BYTES,
  NO_ANSWERS,
  newRings,
  type Question,
} from './protocol.js';
import type { BridgeStats } from './stack-side.js';
import type { WorkerBirth } from './worker.js';

/** An answer that takes longer does not come, ms. */
const ANSWER_MS = 10_000;
const MIN_WINDOW_BYTES = 65_536;
const MAX_RING_BYTES = 1 << 28;

/** Settings of the stack: those that can be sent to a thread. */
export type WorkerStackSettings = Pick<StackOptions, 'ip' | 'tcp' | 'udp'>;
/** What its TUN is made with; see `TunOptions`. */
export type WorkerTunOptions = Omit<TunOptions, 'host'>;

/** What a stack in a thread is made with. */
export interface WorkerStackOptions extends LinkOptions {
  /** Its TUN; none by default. The addresses and default route of the stack are those on it. */
  readonly tun?: WorkerTunOptions;
  /** Settings of the stack. */
  readonly stack?: WorkerStackSettings;
  /**
   * URL or path of a module that the thread loads; its function `setup`, or its default export, is called with a
   * `WorkerStackContext` and waited for. It may add links, routes and rules.
   */
  readonly module?: string | URL;
  /** Given to that function. */
  readonly workerData?: unknown;
  /** What a connection may have under way to the other thread and not consumed there, bytes, each way; 1 MiB by default. */
  readonly windowBytes?: number;
  /** Room for what is under way to the other thread, of all connections, bytes, each way; a power of two, 8 MiB by default. */
  readonly ringBytes?: number;
}

/** What a stack in a thread has counted. */
export interface WorkerStackStats {
  /** `StackStats`, as JSON has it. */
  readonly stack: Record<string, unknown>;
  /** Of what passed between the threads. */
  readonly bridge: BridgeStats;
}

interface Parts {
  readonly worker: Worker;
  readonly questions: MessagePort;
  readonly bell: MessagePort;
  readonly answered: Int32Array;
  readonly rings: SharedArrayBuffer;
  readonly windowBytes: number;
  readonly name: string;
}

/**
 * A stack in a thread of its own: made by `createWorkerStack`. It emits `down` with an error, if there is one, when the
 * thread has ended without being told to: then every connection has failed with `ENETDOWN`.
 */
export class WorkerStack extends EventEmitter {
  /** Name of its TUN; '' without one. */
  readonly name: string;
  readonly #parts: Parts;
  readonly #side: ApplicationSide;
  readonly #net: NetOfStack;
  #tls: TlsModule | undefined;
  #number = 0;
  #isHeld = false;
  #isEnding = false;

  /** @internal Use `createWorkerStack`. */
  constructor(parts: Parts) {
    super();
    const { bell, worker, rings, windowBytes } = parts;
    this.name = parts.name;
    this.#parts = parts;
    this.#side = new ApplicationSide({
      rings,
      windowBytes,
      wake: () => bell.postMessage(0),
      again: () => void setImmediate(() => this.#side.hear()),
      ask: (question) => this.#ask(question),
      held: (isHeld) => this.#hold(isHeld),
    });
    this.#net = openNet(this.#side);
    bell.on('message', () => this.#side.hear());
    bell.unref();
    let failure: Error | undefined;
    worker.on('error', (error: Error) => {
      failure = error;
    });
    worker.once('exit', () => this.#exited(failure));
    worker.unref();
  }

  /** `node:net` over this stack. Names are those of the host. */
  get net(): NetModule {
    return this.#net.module;
  }

  /** `node:tls` over this stack. */
  get tls(): TlsModule {
    this.#tls ??= createTls(this.#net);
    return this.#tls;
  }

  /** Makes a server of Node's listen on this stack; see `Stack.serve`. */
  get serve(): Serve {
    return (target: Parameters<Serve>[0], ...args: unknown[]) => serveAny(this.#net.context, target, args);
  }

  /** An agent for `http.request` and everything that takes one. */
  agent(options?: http.AgentOptions): http.Agent {
    return createAgent(this.#net, options);
  }

  /** As `agent`, for `https.request`. */
  httpsAgent(options?: https.AgentOptions): https.Agent {
    return createHttpsAgent(this.#net, options);
  }

  /** Its addresses: those of its loopback, and of each link. */
  address(): ReturnType<ApplicationSide['ip']['addresses']> {
    return this.#side.ip.addresses();
  }

  /** Its counters now. */
  stats(): WorkerStackStats {
    return this.#side.ask({ ask: 'stats' }) as WorkerStackStats;
  }

  /** Ends it: connections are reset, their sockets and the servers here closed, as by `Stack.close`. */
  async close(): Promise<void> {
    if (!this.#isEnding) {
      this.#isEnding = true;
      this.#side.down('');
      this.#exchange('close');
    }
    await this.#parts.worker.terminate();
  }

  // ---- the other thread --------------------------------------------------------------------------

  #ask(question: Question): Answer {
    return this.#exchange(question);
  }

  /** Asks, and waits, which takes as long as a turn of the other thread. */
  #exchange(question: Question | 'close'): Answer {
    const { questions, answered } = this.#parts;
    const number = ++this.#number;
    questions.postMessage({ number, question });
    const until = performance.now() + ANSWER_MS;
    for (let known = Atomics.load(answered, 0); known !== number; known = Atomics.load(answered, 0)) {
      if (known === NO_ANSWERS) return { failed: 'ENETDOWN' };
      const outcome = Atomics.wait(answered, 0, known, until - performance.now());
      if (outcome === 'timed-out') return { failed: 'ETIMEDOUT' };
    }
    for (;;) {
      const received = receiveMessageOnPort(questions);
      if (received === undefined) throw new StackError('EPIPE', 'ask');
      const message = received.message as { readonly number: number; readonly answer: Answer };
      if (message.number === number) return message.answer;
    }
  }

  #hold(isHeld: boolean): void {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) this.#parts.bell.ref();
    else this.#parts.bell.unref();
  }

  #exited(error: Error | undefined): void {
    this.#side.down();
    this.#parts.bell.close();
    this.#parts.questions.close();
    if (!this.#isEnding) this.emit('down', error);
  }
}

/**
 * Makes a stack in a thread of its own. Resolves when it can be used.
 * @throws ArgumentRangeError for the options; rejects with what the thread threw, such as `StackError` `open EACCES`
 */
export async function createWorkerStack(options: WorkerStackOptions = {}): Promise<WorkerStack> {
  const { windowBytes = DEFAULT_WINDOW_BYTES, ringBytes = DEFAULT_RING_BYTES, module, tun } = options;
  check(windowBytes, ringBytes);
  const rings = newRings(ringBytes);
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const asking = new MessageChannel();
  const ringing = new MessageChannel();
  const birth: WorkerBirth = {
    rings,
    windowBytes,
    answered,
    questions: asking.port2,
    bell: ringing.port2,
    stack: options.stack ?? {},
    tun,
    module: module === undefined ? undefined : urlOf(module),
    workerData: options.workerData,
    addresses: options.addresses ?? [],
    defaultRoute: options.defaultRoute === true,
    ip: options.ip ?? {},
  };
  const worker = startWorker('./worker', import.meta.url, {
    workerData: birth,
    transferList: [asking.port2, ringing.port2],
  });
  const name = await Promise.race([once(ringing.port1, 'message'), failed(worker)]);
  return new WorkerStack({
    worker,
    answered,
    rings,
    windowBytes,
    name: String(name[0]),
    questions: asking.port1,
    bell: ringing.port1,
  });
}

/** Rejects when the thread ends before it could be used. */
async function failed(worker: Worker): Promise<never> {
  const [code] = (await once(worker, 'exit')) as [number];
  throw new Error(`the thread of the stack has ended with ${code}`);
}

function check(windowBytes: number, ringBytes: number): void {
  if (!Number.isInteger(windowBytes) || windowBytes < MIN_WINDOW_BYTES || windowBytes > ringBytes / 2) {
    throw new ArgumentRangeError(
      `windowBytes must be ${MIN_WINDOW_BYTES} .. half of ringBytes, not ${windowBytes}`,
    );
  }
  if ((ringBytes & (ringBytes - 1)) !== 0 || ringBytes > MAX_RING_BYTES) {
    throw new ArgumentRangeError(
      `ringBytes must be a power of two up to ${MAX_RING_BYTES}, not ${ringBytes}`,
    );
  }
}

/** A module by its URL, or by its path from the working directory. */
const urlOf = (module: string | URL): string =>
  typeof module === 'string' && !URL.canParse(module) ? pathToFileURL(resolve(module)).href : String(module);
