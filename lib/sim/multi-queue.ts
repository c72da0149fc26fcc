/**
 * An interface with several queues, in memory: what comes in goes to one of them by the rule of Linux's TUN
 * (`IFF_MULTI_QUEUE`). A flow's packets go to the queue that sent for it last; a flow without an entry, because
 * it is new, has been silent for three seconds or is one of too many, to the queue that its hash names.
 */
import type { Clock } from '../base/clock.js';
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import { DropReason } from '../base/stats.js';
import { LinkCounters } from '../link/link-counters.js';
import type { LinkDevice } from '../link/link-device.js';
import type { PacketBatch } from '../link/packet-batch.js';
import { PacketLayout, Protocol } from '../link/packet-layout.js';
import { createPipe, type PipeOptions } from '../link/pipe-device.js';

/** `TUN_FLOW_EXPIRATION` and `MAX_TAP_FLOWS` of drivers/net/tun.c. */
const FLOW_EXPIRES_US = 3e6;
const MAX_FLOWS = 4096;

interface Flow {
  queue: number;
  usedUs: number;
}

/** The rule, apart from packets. */
export class QueueSteering {
  readonly #clock: Clock;
  readonly #flows = new Map<number, Flow>();
  #queues: number;

  constructor(clock: Clock, queues: number) {
    this.#clock = clock;
    this.#queues = queues;
  }

  /** Queues in use; fewer or more move flows that have no entry. */
  get queues(): number {
    return this.#queues;
  }

  set queues(count: number) {
    this.#queues = count;
    for (const [hash, { queue }] of this.#flows) if (queue >= count) this.#flows.delete(hash);
  }

  /** The queue for a packet that comes in. */
  select(hash: number): number {
    const flow = this.#flows.get(hash);
    if (flow !== undefined && this.#clock.nowUs() - flow.usedUs < FLOW_EXPIRES_US) return flow.queue;
    return Math.floor(((hash >>> 0) * this.#queues) / 2 ** 32);
  }

  /** A packet was sent through a queue. */
  sent(hash: number, queue: number): void {
    const usedUs = this.#clock.nowUs();
    const flow = this.#flows.get(hash);
    if (flow !== undefined) {
      flow.queue = queue;
      flow.usedUs = usedUs;
      return;
    }
    if (this.#flows.size >= MAX_FLOWS) this.#expire(usedUs);
    if (this.#flows.size < MAX_FLOWS) this.#flows.set(hash, { queue, usedUs });
  }

  #expire(nowUs: number): void {
    for (const [hash, { usedUs }] of this.#flows) {
      if (nowUs - usedUs >= FLOW_EXPIRES_US) this.#flows.delete(hash);
    }
  }
}

/** What a multi-queue interface is made with. */
export interface MultiQueueOptions extends Omit<PipeOptions, 'names'> {
  readonly queues: number;
  /** Gives the key of the hash. */
  readonly random: Random;
  /** In place of the rule: the queue for a packet that comes in, of the one the rule names. */
  readonly misdirect?: (queue: number) => number;
}

export interface MultiQueue {
  /** For the stack outside. */
  readonly outside: LinkDevice;
  /** One for each stack inside. */
  readonly queues: readonly LinkDevice[];
  readonly steering: QueueSteering;
  /** What came in for the queues. */
  readonly counters: LinkCounters;
}

/** Makes one. @throws ArgumentRangeError as `createPipe` */
export function createMultiQueue(options: MultiQueueOptions): MultiQueue {
  const { clock, queues: count, random, misdirect = (queue: number) => queue } = options;
  const [outside, trunk] = createPipe(options);
  const steering = new QueueSteering(clock, count);
  const flowHash = new FlowHash(random);
  const counters = new LinkCounters();
  const inner: LinkDevice[] = [];
  const queues: LinkDevice[] = [];
  for (let queue = 0; queue < count; queue++) {
    const [near, far] = createPipe({ ...options, names: [`queue${queue}`, `far${queue}`] });
    queues.push(near);
    inner.push(far);
    far.open((batch) => {
      for (let i = 0; i < batch.count; i++) {
        steering.sent(flowHash.of(batch, i), queue);
        pass(batch, i, trunk, counters);
      }
    });
  }
  trunk.open((batch) => {
    for (let i = 0; i < batch.count; i++) {
      counters.countIn(batch.length(i));
      pass(batch, i, inner[misdirect(steering.select(flowHash.of(batch, i)))], counters);
    }
  });
  return { outside, queues, steering, counters };
}

function pass(batch: PacketBatch, i: number, to: LinkDevice, counters: LinkCounters): void {
  const target = to.borrow();
  if (target === undefined) {
    counters.dropOut(DropReason.LinkQueueFull);
    return;
  }
  target.appendCopy(batch, i);
  to.send(target);
}

/** As `__skb_get_hash_symmetric`: both directions of a flow have one hash, and fragments that of their addresses. */
class FlowHash {
  readonly #hash: TableHash;
  readonly #layout = new PacketLayout();

  constructor(random: Random) {
    this.#hash = new TableHash(random);
  }

  of(batch: PacketBatch, i: number): number {
    const { view } = batch;
    const at = batch.offset(i);
    const isIpv4 = view.getUint8(at) >> 4 === 4;
    const bytes = isIpv4 ? 4 : 16;
    const source = this.#address(view, at + (isIpv4 ? 12 : 8), bytes);
    const destination = this.#address(view, at + (isIpv4 ? 16 : 24), bytes);
    const layout = this.#layout;
    const hasPorts =
      layout.parse(view, at, batch.length(i)) &&
      (layout.protocol === Protocol.TCP || layout.protocol === Protocol.UDP);
    const one = hasPorts ? view.getUint16(layout.transportAt) : 0;
    const other = hasPorts ? view.getUint16(layout.transportAt + 2) : 0;
    const a = this.#hash.hash3(source, one, 0);
    const b = this.#hash.hash3(destination, other, 0);
    return this.#hash.hash3(Math.min(a, b), Math.max(a, b), view.getUint8(at + (isIpv4 ? 9 : 6)));
  }

  #address(view: DataView, at: number, bytes: number): number {
    let digest = 0;
    for (let i = 0; i < bytes; i += 4) digest = this.#hash.hash3(digest, view.getInt32(at + i), i);
    return digest;
  }
}
