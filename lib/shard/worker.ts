/** The thread of one shard: its stack, its queue of the common interface, and the user's module. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../base/errors.js';
import { TunDevice } from '../link/tun-device.js';
import { Stack } from '../stack/stack.js';
import { SystemClock } from '../stack/system-clock.js';
import { SystemRandom } from '../stack/system-random.js';
// Gives the stack `net`, `dgram`, `dns`, `streams` and the like.
import '../index.js';
import { Board, portsOf } from './board.js';
import { Shard } from './shard.js';
import type { Counters, FromShard, ShardBirth, ShardTunOptions, ToShard } from './worker-messages.js';

/** What the function of the user's module is called with, once in each thread. */
export interface ShardContext {
  /** The stack of this shard, with the addresses of all. */
  readonly stack: Stack;
  /** Number of this shard, from 0. */
  readonly index: number;
  /** How many there are. */
  readonly shards: number;
  /** As it was given to `createShardedStack`. */
  readonly workerData: unknown;
}

/** The function of the user's module. What it returns, if it is a function, is called, and waited for, at the end. */
export type ServeShard = (context: ShardContext) => unknown;

class ShardThread {
  readonly #birth: ShardBirth;
  readonly #main: MessagePort;
  readonly #board: Board;
  readonly #stack: Stack;
  readonly #neighbours: (MessagePort | undefined)[] = [];
  #shard: Shard | undefined;
  #device: TunDevice | undefined;
  #end: (() => unknown) | undefined;

  constructor(birth: ShardBirth, main: MessagePort) {
    const { index } = birth;
    const board = new Board(birth.board);
    const { tcp, udp, ...rest } = birth.stack;
    this.#birth = birth;
    this.#main = main;
    this.#board = board;
    this.#stack = new Stack({
      ...rest,
      tcp: { ...tcp, ephemeralPorts: portsOf(board.tcpPorts, index, board.shards) },
      udp: { ...udp, ephemeralPorts: portsOf(board.udpPorts, index, board.shards) },
      clock: new SystemClock(),
      random: new SystemRandom(),
    });
    main.on('message', (message: ToShard) => void this.#hear(message));
  }

  async #hear(message: ToShard): Promise<void> {
    switch (message.type) {
      case 'open':
        this.#open(message.tun);
        break;
      case 'neighbour':
        this.#meet(message.shard, message.port);
        break;
      case 'serve':
        await this.#serve();
        break;
      case 'stats':
        this.#tellStats(message.id);
        break;
      default:
        await this.#close();
    }
  }

  #tell(message: FromShard): void {
    this.#main.postMessage(message);
  }

  #open(tun: ShardTunOptions): void {
    const { index, addresses, defaultRoute, ip } = this.#birth;
    const device = TunDevice.create({ ...tun, multiQueue: true });
    this.#device = device;
    const wake = (shard: number): void => this.#wake(shard);
    this.#shard = new Shard({ stack: this.#stack, device, board: this.#board, index, wake });
    this.#stack.addLink(this.#shard.link, {
      ...(addresses === undefined ? {} : { addresses }),
      ...(defaultRoute === undefined ? {} : { defaultRoute }),
      ...(ip === undefined ? {} : { ip }),
    });
    // The thread lives until the main thread ends it, and its alarm must not wait for other work.
    this.#stack.hold();
    this.#stack.onLinkDown = (_, error) => {
      throw error;
    };
    this.#tell({ type: 'linked', name: device.name });
  }

  #wake(shard: number): void {
    if (shard === this.#birth.index) setImmediate(() => this.#shard?.arrived());
    else this.#neighbours[shard]?.postMessage(0);
  }

  /** A neighbour was born, perhaps in place of another: each looks at once for what it was not woken for. */
  #meet(shard: number, port: MessagePort): void {
    this.#neighbours[shard]?.close();
    this.#neighbours[shard] = port;
    port.on('message', () => this.#shard?.arrived());
    port.postMessage(0);
  }

  async #serve(): Promise<void> {
    const { module, index, workerData: data } = this.#birth;
    const loaded = (await import(module)) as { default?: unknown; serve?: unknown };
    const serve = [loaded.serve, loaded.default].find((value) => typeof value === 'function');
    if (serve === undefined)
      throw new TypeError(`${module} exports no function "serve", and none by default`);
    const context: ShardContext = {
      stack: this.#stack,
      index,
      shards: this.#board.shards,
      workerData: data,
    };
    const end = await (serve as ServeShard)(context);
    if (typeof end === 'function') this.#end = end as () => unknown;
    this.#tell({ type: 'ready' });
  }

  #tellStats(id: number): void {
    const shard = this.#shard;
    const device = this.#device;
    invariant(shard !== undefined && device !== undefined, 'a shard that is asked has a link');
    const stack = JSON.parse(JSON.stringify(this.#stack.stats)) as Counters;
    this.#tell({ type: 'stats', id, stats: { stack, shard: shard.stats, tun: device.stats } });
  }

  async #close(): Promise<void> {
    try {
      await this.#end?.();
    } finally {
      this.#stack.close();
      this.#shard?.close();
      this.#tell({ type: 'closed' });
    }
  }
}

if (parentPort !== null) new ShardThread(workerData as ShardBirth, parentPort);
