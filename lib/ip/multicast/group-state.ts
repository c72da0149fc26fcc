/** One group on one link, as a host of its listeners sees it: what it still has to say, and to answer. */
import { NEVER } from '../../base/clock.js';
import type { IpAddress } from '../../wire/ip-address.js';
import { type GroupRecord, MAX_QUERIED_SOURCES, RecordType } from './messages.js';
import {
  common,
  hasAddress,
  isNobody,
  NO_SOURCE,
  passes,
  type SourceFilter,
  without,
} from './source-filter.js';

interface PendingSource {
  readonly address: IpAddress;
  /** Reports that are still to name it. */
  left: number;
}

export class GroupState {
  readonly group: IpAddress;
  filter: SourceFilter = NO_SOURCE;
  /** When to answer a query about this group, or to repeat a report to an older querier, µs. */
  responseUs = NEVER;
  /** Whether that answer is one of the repetitions, and how many are left. */
  repetitions = 0;
  /** Whether this host was the last to report it to an older querier (RFC 2236 §3). */
  isLastReporter = false;
  /** Reports that are still to say INCLUDE or EXCLUDE. */
  #modeLeft = 0;
  #pending: PendingSource[] = [];
  /** Sources a querier asked for; empty for all of them. */
  #queried: IpAddress[] = [];

  constructor(group: IpAddress) {
    this.group = group;
  }

  get isJoined(): boolean {
    return !isNobody(this.filter);
  }

  /** Whether state changes are still to be reported. */
  get isPending(): boolean {
    return this.#modeLeft > 0 || this.#pending.length > 0;
  }

  /** Whether nothing is left of it. */
  get isDone(): boolean {
    return !this.isJoined && !this.isPending;
  }

  /** What is wanted is another thing now: it is to be reported `robustness` times (RFC 3376 §5.1). */
  change(filter: SourceFilter, robustness: number): void {
    const before = this.filter;
    this.filter = filter;
    if (filter.includes !== before.includes) {
      // The whole list goes with the mode: no source needs to be named by itself.
      this.#modeLeft = robustness;
      this.#pending = [];
      return;
    }
    for (const address of [
      ...without(filter.sources, before.sources),
      ...without(before.sources, filter.sources),
    ]) {
      const known = this.#pending.find((pending) => pending.address.equals(address));
      if (known === undefined) this.#pending.push({ address, left: robustness });
      else known.left = robustness;
    }
  }

  /** What the next report of state changes says of this group, which counts as said. */
  takeChanges(): GroupRecord[] {
    const { group, filter } = this;
    const named = this.#pending.map(({ address }) => address);
    for (const pending of this.#pending) pending.left--;
    this.#pending = this.#pending.filter(({ left }) => left > 0);
    if (this.#modeLeft > 0) {
      this.#modeLeft--;
      const type = filter.includes ? RecordType.ToInclude : RecordType.ToExclude;
      return [{ type, group, sources: filter.sources }];
    }
    const allowed = named.filter((address) => passes(filter, address));
    const blocked = without(named, allowed);
    const records: GroupRecord[] = [];
    if (allowed.length > 0) records.push({ type: RecordType.AllowNew, group, sources: allowed });
    if (blocked.length > 0) records.push({ type: RecordType.BlockOld, group, sources: blocked });
    return records;
  }

  dropChanges(): void {
    this.#modeLeft = 0;
    this.#pending = [];
  }

  /** What is received now (RFC 3376 §5.2). */
  current(): GroupRecord {
    const { includes, sources } = this.filter;
    return { type: includes ? RecordType.IsInclude : RecordType.IsExclude, group: this.group, sources };
  }

  /** A querier asks for this group, or for some sources of it; the answer is due then. */
  asked(sources: readonly IpAddress[], dueUs: number): void {
    const isPending = this.responseUs !== NEVER;
    if (sources.length === 0 || (isPending && this.#queried.length === 0)) this.#queried = [];
    else {
      const all = isPending ? this.#queried : [];
      this.#queried = [...all, ...sources.filter((source) => !hasAddress(all, source))];
      if (this.#queried.length > MAX_QUERIED_SOURCES) this.#queried = [];
    }
    this.responseUs = Math.min(this.responseUs, dueUs);
  }

  /** The answer to what was asked; undefined where there is nothing to say. */
  takeAnswer(): GroupRecord | undefined {
    const queried = this.#queried;
    this.#queried = [];
    this.responseUs = NEVER;
    if (queried.length === 0) return this.current();
    const { includes, sources } = this.filter;
    const received = includes ? common(queried, sources) : without(queried, sources);
    if (received.length === 0) return undefined;
    return { type: RecordType.IsInclude, group: this.group, sources: received };
  }

  forgetQuery(): void {
    this.#queried = [];
    this.responseUs = NEVER;
    this.repetitions = 0;
  }
}
