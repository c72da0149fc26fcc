/**
 * The host's part of IGMPv3 (RFC 3376 §5, §7) and MLDv2 (RFC 3810 §6, §8) on one link, for one family, with
 * what older queriers need (RFC 2236, RFC 1112; RFC 2710). Told of filters that change, of queries and of
 * other hosts' reports; says what is to be said through a `GroupVoice`. Holds no clock.
 */
import { NEVER } from '../../base/clock.js';
import { type Random, randomFraction } from '../../base/random.js';
import type { IpAddress } from '../../wire/ip-address.js';
import { GroupState } from './group-state.js';
import { Generation, type GroupQuery, type GroupRecord, type GroupVoice } from './messages.js';
import { isNobody, type SourceFilter, sameFilter } from './source-filter.js';

/** Until a querier says otherwise (RFC 3376 §8, RFC 3810 §9). */
const ROBUSTNESS = 2;
const QUERY_INTERVAL_US = 125_000_000;
const QUERY_RESPONSE_US = 10_000_000;
/** Unsolicited Report Interval: of state changes, and of reports to older queriers. */
const CHANGE_INTERVAL_US = 1_000_000;
const OLDER_INTERVAL_US = 10_000_000;

export class ListenerHost {
  readonly #random: Random;
  readonly #voice: GroupVoice;
  #groups: GroupState[] = [];
  /** Of the querier heard last. */
  #robustness = ROBUSTNESS;
  #queryIntervalUs = QUERY_INTERVAL_US;
  /** Until when an older querier counts as present, µs: by generation. */
  readonly #presentUntilUs = [0, 0];
  #generation: Generation = Generation.Current;
  /** When a general query is to be answered, and when state changes are to be reported again, µs. */
  #generalUs = NEVER;
  #changesUs = NEVER;

  constructor(random: Random, voice: GroupVoice) {
    this.#random = random;
    this.#voice = voice;
  }

  /** What queriers of this link understand. */
  get generation(): Generation {
    return this.#generation;
  }

  /** Whether there is nothing to remember. */
  get isIdle(): boolean {
    return this.#groups.length === 0;
  }

  get nextDeadlineUs(): number {
    let next = Math.min(this.#generalUs, this.#changesUs);
    for (const { responseUs } of this.#groups) if (responseUs < next) next = responseUs;
    return next;
  }

  /** All listeners together want this of a group, from now on. */
  filterChanged(group: IpAddress, filter: SourceFilter, nowUs: number): void {
    let state = this.#find(group);
    if (state === undefined && isNobody(filter)) return;
    if (state === undefined) {
      state = new GroupState(group);
      this.#groups.push(state);
    } else if (sameFilter(state.filter, filter)) return;
    this.#updateGeneration(nowUs);
    const wasJoined = state.isJoined;
    state.change(filter, this.#robustness);
    if (this.#generation === Generation.Current) {
      this.#voice.report(state.takeChanges());
      if (state.isPending && this.#changesUs === NEVER) {
        this.#changesUs = nowUs + this.#within(CHANGE_INTERVAL_US);
      }
    } else {
      state.dropChanges();
      if (state.isJoined !== wasJoined) this.#tellOlder(state, nowUs);
    }
    this.#forgetDone();
  }

  /** A query was heard. */
  queried(query: GroupQuery, nowUs: number): void {
    const { generation, group, sources, robustness, queryIntervalUs, maxResponseUs } = query;
    if (generation === Generation.Current) {
      this.#robustness = robustness > 0 ? robustness : ROBUSTNESS;
      this.#queryIntervalUs = queryIntervalUs > 0 ? queryIntervalUs : QUERY_INTERVAL_US;
    } else {
      // RFC 3376 §8.12: Older Version Querier Present Timeout.
      const presentUs = this.#robustness * this.#queryIntervalUs + QUERY_RESPONSE_US;
      this.#presentUntilUs[generation] = nowUs + presentUs;
    }
    this.#updateGeneration(nowUs);
    if (this.#generation !== Generation.Current) {
      for (const state of this.#groups) {
        if (group !== undefined && !state.group.equals(group)) continue;
        if (!state.isJoined || state.responseUs <= nowUs + maxResponseUs) continue;
        state.responseUs = nowUs + this.#within(maxResponseUs);
      }
      return;
    }
    const dueUs = nowUs + this.#within(maxResponseUs);
    // RFC 3376 §5.2 rule 1: the answer to all that is under way comes soon enough.
    if (this.#generalUs <= dueUs) return;
    if (group === undefined) {
      this.#generalUs = dueUs;
      return;
    }
    const state = this.#find(group);
    if (state?.isJoined === true) state.asked(sources, dueUs);
  }

  /** Another host has reported a group to an older querier: one report is enough. */
  heardReport(group: IpAddress, nowUs: number): void {
    this.#updateGeneration(nowUs);
    const state = this.#find(group);
    if (this.#generation === Generation.Current || state === undefined || state.responseUs === NEVER) return;
    state.forgetQuery();
    state.isLastReporter = false;
  }

  deadlineReached(nowUs: number): void {
    this.#updateGeneration(nowUs);
    if (this.#generalUs <= nowUs) {
      this.#generalUs = NEVER;
      const joined = this.#groups.filter((state) => state.isJoined);
      if (joined.length > 0) this.#voice.report(joined.map((state) => state.current()));
    }
    for (const state of this.#groups) if (state.responseUs <= nowUs) this.#answer(state, nowUs);
    if (this.#changesUs > nowUs) return;
    const records: GroupRecord[] = [];
    for (const state of this.#groups) if (state.isPending) records.push(...state.takeChanges());
    if (records.length > 0) this.#voice.report(records);
    this.#forgetDone();
    const isMore = this.#groups.some((state) => state.isPending);
    this.#changesUs = isMore ? nowUs + this.#within(CHANGE_INTERVAL_US) : NEVER;
  }

  #answer(state: GroupState, nowUs: number): void {
    if (this.#generation === Generation.Current) {
      const record = state.takeAnswer();
      if (record !== undefined) this.#voice.report([record]);
      return;
    }
    const { repetitions } = state;
    state.forgetQuery();
    this.#reportOlder(state);
    if (repetitions <= 1) return;
    state.repetitions = repetitions - 1;
    state.responseUs = nowUs + this.#within(OLDER_INTERVAL_US);
  }

  /** A group was joined or left while the querier is an older one. */
  #tellOlder(state: GroupState, nowUs: number): void {
    if (state.isJoined) {
      this.#reportOlder(state);
      state.repetitions = this.#robustness - 1;
      if (state.repetitions > 0) state.responseUs = nowUs + this.#within(OLDER_INTERVAL_US);
      return;
    }
    state.forgetQuery();
    // RFC 2236 §3: the last to have reported says when it leaves; IGMPv1 has no word for it.
    if (this.#generation === Generation.Older && state.isLastReporter) this.#voice.olderLeave(state.group);
  }

  #reportOlder(state: GroupState): void {
    this.#voice.olderReport(state.group, this.#generation);
    state.isLastReporter = true;
  }

  /** Speaks as the oldest querier that is present. A change ends all that was under way (RFC 3376 §7.2.1). */
  #updateGeneration(nowUs: number): void {
    const [oldestUntilUs, olderUntilUs] = this.#presentUntilUs;
    let generation: Generation = Generation.Current;
    if (nowUs < oldestUntilUs) generation = Generation.Oldest;
    else if (nowUs < olderUntilUs) generation = Generation.Older;
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#generalUs = NEVER;
    this.#changesUs = NEVER;
    for (const state of this.#groups) {
      state.dropChanges();
      state.forgetQuery();
    }
    this.#forgetDone();
  }

  #find(group: IpAddress): GroupState | undefined {
    return this.#groups.find((state) => state.group.equals(group));
  }

  #forgetDone(): void {
    if (this.#groups.some((state) => state.isDone)) {
      this.#groups = this.#groups.filter((state) => !state.isDone);
    }
  }

  /** A random time up to `longestUs`, never 0. */
  #within(longestUs: number): number {
    return (1 - randomFraction(this.#random)) * longestUs;
  }
}
