/** The thread of a stack whose sockets are in the thread that started it. */
import process from 'node:process';
import { type MessagePort, workerData } from 'node:worker_threads';
import { TunDevice } from '../link/tun-device.js';
import { type LinkOptions, Stack } from '../stack/stack.js';
import { SystemClock } from '../stack/system-clock.js';
import { SystemRandom } from '../stack/system-random.js';
// Gives the stack `net`, `dgram` and the like, for the module of the user.
import '../index.js';
import { NO_ANSWERS, type Question } from './protocol.js';
import { StackSide } from './stack-side.js';
import type { WorkerStackSettings, WorkerTunOptions } from './worker-stack.js';

/** What the thread is born with. */
export interface WorkerBirth extends LinkOptions {
  readonly rings: SharedArrayBuffer;
  readonly windowBytes: number;
  /** Set to 1, and told of, when a question has been answered. */
  readonly answered: Int32Array;
  /** For questions and answers. */
  readonly questions: MessagePort;
  /** Each message, either way, means: look into your ring. */
  readonly bell: MessagePort;
  readonly stack: WorkerStackSettings;
  readonly tun: WorkerTunOptions | undefined;
  readonly module: string | undefined;
  readonly workerData: unknown;
}

/** What the function `setup` of the user's module is called with. */
export interface WorkerStackContext {
  /** The stack of this thread, to which the module may give links, routes and rules. */
  readonly stack: Stack;
  /** As it was given to `createWorkerStack`. */
  readonly workerData: unknown;
}

async function begin(birth: WorkerBirth): Promise<void> {
  const { bell, questions, answered, windowBytes, rings, tun, module } = birth;
  const stack = new Stack({ ...birth.stack, clock: new SystemClock(), random: new SystemRandom() });
  let isDue = false;
  // A message costs as much as several packets: one for all that a batch has brought.
  const ring = (): void => {
    if (isDue) return;
    isDue = true;
    queueMicrotask(() => {
      isDue = false;
      bell.postMessage(0);
    });
  };
  const side = new StackSide({
    stack,
    rings,
    windowBytes,
    wake: () => ring(),
    again: () => void setImmediate(() => side.hear()),
  });
  let name = '';
  if (tun !== undefined) {
    const device = TunDevice.create(tun);
    const { addresses = [], defaultRoute = false, ip = {} } = birth;
    name = device.name;
    stack.addLink(device, { addresses, defaultRoute, ip });
    stack.onLinkDown = (_, error) => {
      throw error;
    };
  }
  if (module !== undefined) await setUp(module, { stack, workerData: birth.workerData });
  bell.on('message', () => side.hear());
  questions.on('message', ({ number, question }: { number: number; question: Question | 'close' }) => {
    if (question === 'close') stack.close();
    questions.postMessage({ number, answer: question === 'close' ? { value: null } : side.answer(question) });
    Atomics.store(answered, 0, number);
    Atomics.notify(answered, 0);
  });
  // Whoever waits for an answer must not do so for ever.
  process.once('exit', () => {
    Atomics.store(answered, 0, NO_ANSWERS);
    Atomics.notify(answered, 0);
  });
  bell.postMessage(name);
}

async function setUp(module: string, context: WorkerStackContext): Promise<void> {
  const loaded = (await import(module)) as { default?: unknown; setup?: unknown };
  const setup = [loaded.setup, loaded.default].find((value) => typeof value === 'function');
  if (setup === undefined) throw new TypeError(`${module} exports no function "setup", and none by default`);
  await (setup as (context: WorkerStackContext) => unknown)(context);
}

void begin(workerData as WorkerBirth);
