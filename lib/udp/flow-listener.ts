/** Who takes UDP flows to any address: what it wants, its flows, and what became of them. */
import type { Random } from '../base/random.js';
import { PacketMatcher } from '../wire/any-filter.js';
import type { UdpFlowRequest } from './flow.js';
import type { FlowEnd, FlowEntry } from './flow-entry.js';
import { type AnyUdpOptions, type FlowOptions, resolveFlowOptions } from './flow-options.js';
import { FlowTable } from './flow-table.js';

/** What became of the flows of a listener. */
export interface AnyUdpCounts {
  /** Flows asked about, decided on or not. */
  requested: number;
  /** Flows that were accepted. */
  accepted: number;
  /** Flows answered by an ICMP error. */
  rejected: number;
  /** Flows that were ignored. */
  ignored: number;
  /** Flows nobody decided on within `pendingMs`. */
  expired: number;
  /** Flows that ended because nothing was sent from inside for `idleMs`. */
  idle: number;
  /** Datagrams that would have begun a flow beyond `maxFlows` or `maxPending`. */
  overflows: number;
  /** Datagrams dropped: of refused flows, and those nobody read in time. */
  dropped: number;
  /** Answers not sent: no route, a full link, more than UDP carries, or an address that can be nobody's. */
  unsent: number;
  /** Answers not sent, to a symmetric flow that did not ask for them. */
  unsolicited: number;
  /** Gauge: flows asked about and not decided on. */
  pending: number;
  /** Gauge: flows that are open. */
  flows: number;
}

/**
 * A listener for UDP flows to any address: made by `Stack.listenAnyUdp`.
 * @hideconstructor
 */
export class AnyUdpListener {
  /** What it counts, for who counts. @hidden */
  readonly books: AnyUdpCounts = {
    requested: 0,
    accepted: 0,
    rejected: 0,
    ignored: 0,
    expired: 0,
    idle: 0,
    overflows: 0,
    dropped: 0,
    unsent: 0,
    unsolicited: 0,
    pending: 0,
    flows: 0,
  };
  /** Flows that were refused and are remembered, the oldest first. @hidden */
  readonly refused = new Set<FlowEntry>();
  /** Index of the only link it takes flows of; -1 for any. @hidden */
  readonly link: number;
  readonly #options: FlowOptions;
  readonly #matcher: PacketMatcher;
  readonly #table: FlowTable<FlowEntry>;
  readonly #onFlow: (request: UdpFlowRequest) => void;
  readonly #onEnd: (listener: AnyUdpListener, reason: FlowEnd) => void;
  #isClosed = false;

  constructor(
    options: AnyUdpOptions,
    onFlow: (request: UdpFlowRequest) => void,
    host: { readonly random: Random; end(listener: AnyUdpListener, reason: FlowEnd): void },
  ) {
    this.#options = resolveFlowOptions(options);
    this.#matcher = new PacketMatcher(options);
    this.link = options.link ?? -1;
    this.#table = new FlowTable(host.random, this.#options.cone === 'symmetric');
    this.#onFlow = onFlow;
    this.#onEnd = (ended, reason) => host.end(ended, reason);
  }

  /** The options in force, those of the filter apart. @hidden */
  get options(): FlowOptions {
    return this.#options;
  }

  /** Flows that wait to be decided. */
  get pending(): number {
    return this.books.pending;
  }

  /** Flows that are open. */
  get flows(): number {
    return this.books.flows;
  }

  /** What came of the flows so far; a copy. */
  get counts(): Readonly<AnyUdpCounts> {
    return { ...this.books };
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @hidden */
  get matcher(): PacketMatcher {
    return this.#matcher;
  }

  /** @hidden */
  get table(): FlowTable<FlowEntry> {
    return this.#table;
  }

  /** @hidden */
  ask(request: UdpFlowRequest): void {
    this.books.requested++;
    this.#onFlow(request);
  }

  /** Takes no more flows, and ends those there are. May be called twice. */
  close(): void {
    this.end('listener');
  }

  /** @hidden */
  end(reason: FlowEnd): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onEnd(this, reason);
  }
}
