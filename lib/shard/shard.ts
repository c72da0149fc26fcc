/**
 * One of several stacks that share addresses and an interface, each in a thread of its own. The kernel brings the
 * packets of a flow to the shard that sent for it last, and those of new flows to any. What comes to the wrong one
 * all the same is handed to the right one, through a ring in shared memory, and never answered as a stranger's.
 */
import type { LinkDevice } from '../link/link-device.js';
import { PacketBatch } from '../link/packet-batch.js';
import type { Stack } from '../stack/stack.js';
import type { Board } from './board.js';
import { HandOver, type ShardStats } from './hand-over.js';
import type { PacketRing } from './packet-ring.js';
import { GroupSharing, ShardIcmp } from './shard-icmp.js';
import { ShardLink } from './shard-link.js';
import { ShardTcp, ShardUdp } from './shard-transports.js';

/** Batches taken from neighbours before others have their turn. */
const MAX_BATCHES = 4;

/** What a shard is made of. */
export interface ShardParts {
  /** Without listener, socket or connection yet. */
  readonly stack: Stack;
  /** The queue of the common interface that is this shard's. */
  readonly device: LinkDevice;
  readonly board: Board;
  /** Its number, from 0. */
  readonly index: number;
  /** Has `arrived` called in the thread of a shard, soon. */
  readonly wake: (shard: number) => void;
}

export class Shard {
  readonly index: number;
  /** To be added to the stack. */
  readonly link: ShardLink;
  readonly #stack: Stack;
  readonly #board: Board;
  readonly #wake: (shard: number) => void;
  readonly #handOver: HandOver;
  readonly #from: PacketRing[] = [];
  readonly #incoming = new PacketBatch();
  #isClosed = false;

  constructor({ stack, device, board, index, wake }: ShardParts) {
    this.index = index;
    this.#stack = stack;
    this.#board = board;
    this.#wake = wake;
    for (let other = 0; other < board.shards; other++) this.#from.push(board.ring(other, index));
    const isFresh = (): boolean => this.link.isFromOutside && !this.#isClosed;
    this.#handOver = new HandOver({ board, index, wake, isFresh });
    const groups = new GroupSharing(this.#handOver);
    this.link = new ShardLink(device, (batch) => groups.share(batch));
    stack.tcp.setNeighbours(new ShardTcp(this.#handOver));
    stack.udp.setNeighbours(new ShardUdp(this.#handOver));
    new ShardIcmp(stack.ip, this.#handOver);
    board.arrived(index);
    board.sleeps(index);
  }

  /** What passed between it and its neighbours. */
  get stats(): ShardStats {
    return this.#handOver.stats;
  }

  /** It takes nothing over any more, and has nothing that others would have to know of. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#board.gone(this.index);
  }

  /** Gives the stack what neighbours have handed over. */
  arrived(): void {
    if (this.#isClosed || this.#stack.isClosed) return;
    for (let batches = 0; batches < MAX_BATCHES; batches++) {
      if (this.#takeBatch()) continue;
      this.#board.sleeps(this.index);
      // What came just before nobody was told of: it must not wait.
      if (this.#from.every((ring) => ring.isEmpty) || !this.#board.rouse(this.index)) return;
    }
    this.#wake(this.index);
  }

  /** @returns whether there was something */
  #takeBatch(): boolean {
    const batch = this.#incoming;
    batch.clear();
    for (const ring of this.#from) this.stats.takenOver += ring.moveTo(batch);
    if (batch.count === 0) return false;
    this.link.handOver(batch);
    return true;
  }
}
