/** What the main thread and the threads of shards tell each other. */
import type { MessagePort } from 'node:worker_threads';
import type { TunOptions, TunStats } from '../link/tun-device.js';
import type { LinkOptions, StackOptions } from '../stack/stack.js';
import type { ShardStats } from './hand-over.js';

/** What the interface that all shards share is made with; see `TunOptions`. */
export type ShardTunOptions = Omit<TunOptions, 'multiQueue' | 'persist' | 'fd' | 'virtioHeader' | 'host'>;

/** Settings of every shard's stack: those that can be sent to a thread. */
export type ShardStackOptions = Pick<StackOptions, 'ip' | 'tcp' | 'udp' | 'dns'>;

/** What a thread is born with. */
export interface ShardBirth extends LinkOptions {
  readonly board: SharedArrayBuffer;
  readonly index: number;
  readonly module: string;
  readonly workerData: unknown;
  readonly stack: ShardStackOptions;
}

export type ToShard =
  | { readonly type: 'open'; readonly tun: ShardTunOptions }
  | { readonly type: 'neighbour'; readonly shard: number; readonly port: MessagePort }
  | { readonly type: 'serve' }
  | { readonly type: 'stats'; readonly id: number }
  | { readonly type: 'close' };

export type FromShard =
  | { readonly type: 'linked'; readonly name: string }
  | { readonly type: 'ready' }
  | { readonly type: 'stats'; readonly id: number; readonly stats: OneShardStats }
  | { readonly type: 'closed' };

/** Numbers by name, and such objects. */
export interface Counters {
  [name: string]: number | Counters;
}

/** What one shard has counted. */
export interface OneShardStats {
  /** Of its stack: `StackStats`, as JSON has it. */
  readonly stack: Counters;
  /** Of what passed between it and its neighbours. */
  readonly shard: ShardStats;
  /** Of its queue of the interface. */
  readonly tun: TunStats;
}
