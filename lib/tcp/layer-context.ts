/** What the parts of the TCP layer share. */
import type { Random } from '../base/random.js';
import type { StackStats } from '../base/stats.js';
import type { SegmentCarrier } from './carrier.js';
import type { CongestionMaker } from './congestion/congestion-control.js';
import type { MemoryAccount } from './memory.js';
import type { Observers } from './observer.js';
import type { TcpLayerOptions } from './options.js';

export interface TcpContext {
  readonly random: Random;
  readonly stats: StackStats;
  readonly carrier: SegmentCarrier;
  readonly options: TcpLayerOptions;
  readonly memory: MemoryAccount;
  /** Where somebody observes all connections of the stack. */
  readonly observers?: Observers | undefined;
  /** The congestion control of a name. @throws ArgumentValueError when there is none */
  readonly congestion: (name: string) => CongestionMaker;
}
