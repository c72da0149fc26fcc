/** Several shards in one process and in virtual time, behind an interface that steers as the kernel's TUN does. */

import { EmulatedLink } from '../../lib/link/emulated-link.js';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import { Board, portsOf } from '../../lib/shard/board.js';
import type { ShardStats } from '../../lib/shard/hand-over.js';
import { Shard } from '../../lib/shard/shard.js';
import { createMultiQueue, type MultiQueue } from '../../lib/sim/multi-queue.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack, type StackOptions } from '../../lib/stack/stack.js';

export const OUTSIDE = { 4: '10.0.0.1', 6: 'fd00::1' } as const;
export const INSIDE = { 4: '10.0.0.2', 6: 'fd00::2' } as const;
const TCP_PORTS = [32_768, 60_999] as const;
/** How long a neighbour takes to wake, µs. */
const WAKE_US = 20;

export interface WorldOptions {
  readonly shards: number;
  readonly seed?: number;
  /** What happens on the way from outside, and back. */
  readonly direction?: DirectionOptions;
  /** The queue in place of the one the rule names. */
  readonly misdirect?: (queue: number) => number;
  readonly stack?: Pick<StackOptions, 'tcp' | 'ip' | 'udp'>;
  readonly flows?: number;
}

export class ShardWorld {
  readonly clock = new VirtualClock(1e9);
  readonly random: SeededRandom;
  readonly outside: Stack;
  readonly stacks: Stack[] = [];
  readonly shards: Shard[] = [];
  readonly board: Board;
  readonly queue: MultiQueue;

  constructor({ shards, seed = 1, direction, misdirect, stack = {}, flows = 4096 }: WorldOptions) {
    const { clock } = this;
    this.random = new SeededRandom(seed);
    const random = this.random.fork();
    this.queue = createMultiQueue({
      clock,
      random,
      queues: shards,
      queuePackets: 100_000,
      queueBytes: 1 << 28,
      ...(misdirect === undefined ? {} : { misdirect }),
    });
    this.board = Board.create({ shards, random, flows, tcpPorts: TCP_PORTS, udpPorts: TCP_PORTS });
    const link: LinkDevice =
      direction === undefined
        ? this.queue.outside
        : new EmulatedLink(this.queue.outside, {
            clock,
            random: this.random.fork(),
            outgoing: direction,
            incoming: direction,
          });
    this.outside = new Stack({ clock, random: this.random.fork() });
    this.outside.addLink(link, { addresses: ['10.0.0.1/24', 'fd00::1/64'], defaultRoute: true });
    const alarms = Array.from({ length: shards }, (_, i) =>
      clock.createAlarm(() => this.shards[i].arrived()),
    );
    for (let index = 0; index < shards; index++) {
      const ephemeralPorts = portsOf(TCP_PORTS, index, shards);
      const own = new Stack({
        clock,
        random: this.random.fork(),
        ...stack,
        tcp: { ...stack.tcp, ephemeralPorts },
        udp: { ...stack.udp, ephemeralPorts },
      });
      const shard = new Shard({
        stack: own,
        device: this.queue.queues[index],
        board: this.board,
        index,
        wake: (of) => alarms[of].setAt(clock.nowUs() + WAKE_US),
      });
      own.addLink(shard.link, { addresses: ['10.0.0.2/24', 'fd00::2/64'], defaultRoute: true });
      this.stacks.push(own);
      this.shards.push(shard);
    }
  }

  /** A counter of all shards together. */
  sum(of: (stats: ShardStats) => number): number {
    return this.shards.reduce((sum, shard) => sum + of(shard.stats), 0);
  }

  /** RSTs sent by anybody. */
  get resets(): number {
    return [this.outside, ...this.stacks].reduce((sum, { stats }) => sum + stats.tcp.outRsts, 0);
  }

  close(): void {
    for (const stack of this.stacks) stack.close();
    for (const shard of this.shards) shard.close();
    this.outside.close();
  }
}
