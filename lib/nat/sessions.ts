/**
 * Who speaks to whom through which mapping, and for how long yet. Only what leaves makes a session that stays: the
 * outside can fill no table.
 */
import { DeadlineHeap } from '../base/deadline-heap.js';
import { EndpointIndex, KeyWord, putAddress } from '../base/endpoint-index.js';
import { RowNumbers } from '../base/hash-slots.js';
import type { Random } from '../base/random.js';
import { Protocol } from '../wire/ipv6.js';
import { type Contacts } from './contacts.js';
import type { Mapping, MappingTable, Source } from './mappings.js';
import type { NatStats } from './nat-stats.js';
import type { ResolvedNatOptions } from './options.js';
import { Endpoint } from './rewrite.js';
import { SessionList } from './session-list.js';
import { isEstablished, isOver, isUninvited, Seen } from './tcp-track.js';

export class Session {
  readonly row: number;
  readonly mapping: Mapping;
  readonly remote = new Endpoint();
  /** Bits of `Seen`. */
  seen: number;
  /** The list it is in, and its neighbours there. */
  list: SessionList | undefined = undefined;
  before: Session | undefined = undefined;
  after: Session | undefined = undefined;
  /** Its neighbours in the chain of its mapping. */
  chainBefore: Session | undefined = undefined;
  chainAfter: Session | undefined = undefined;

  constructor(row: number, mapping: Mapping, seen: number) {
    this.row = row;
    this.mapping = mapping;
    this.seen = seen;
  }
}

interface SessionParts {
  readonly random: Random;
  readonly options: ResolvedNatOptions;
  readonly stats: NatStats;
  readonly mappings: MappingTable;
  /** Whom each mapping has sent to; undefined where nobody asks. */
  readonly contacts: Contacts | undefined;
  /** `nextDeadlineUs` may have become earlier. */
  deadlineChanged(): void;
}

/** A session that was never answered may make room when nothing was sent for so long, µs. */
const UNANSWERED_US = 6_000_000;
/** Sessions looked at to find one that may go. */
const MAX_LOOKS = 16;
/** Sessions ended at once; the others follow in the next turn. */
const MAX_EXPIRED = 4096;

export class SessionTable {
  readonly #parts: SessionParts;
  readonly #stats: NatStats;
  /** By the endpoint inside, and by that outside; each with the remote one. */
  readonly #inner: EndpointIndex;
  readonly #outer: EndpointIndex;
  readonly #numbers = new RowNumbers();
  readonly #sessions: (Session | undefined)[] = [];
  /** When something passed last, µs, by row. */
  #lastUs = new Float64Array(32);
  /** When to look at a session again: never later than its end, and moved only then. */
  readonly #deadlines = new DeadlineHeap();
  /** Those that may go at any time: what has ended, and what only the outside has spoken in. */
  readonly #over = new SessionList();
  readonly #unanswered = new SessionList();
  readonly #alive = new SessionList();
  readonly #transitoryUs: number;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#stats = parts.stats;
    this.#inner = new EndpointIndex(parts.random);
    this.#outer = new EndpointIndex(parts.random);
    this.#transitoryUs = parts.options.tcpTransitoryMs * 1000;
  }

  get size(): number {
    return this.#inner.size;
  }

  get nextDeadlineUs(): number {
    return this.#deadlines.earliestUs;
  }

  *[Symbol.iterator](): Iterator<Session> {
    for (const session of this.#sessions) if (session !== undefined) yield session;
  }

  /** The session of what goes from an endpoint inside to one outside. */
  findInner(protocol: number, inside: Endpoint, remote: Endpoint): Session | undefined {
    aim(this.#inner, protocol, inside, remote);
    const row = this.#inner.find();
    return row < 0 ? undefined : this.#sessions[row];
  }

  /** The session of what comes from an endpoint outside to one of ours. */
  findOuter(protocol: number, outside: Endpoint, remote: Endpoint): Session | undefined {
    aim(this.#outer, protocol, outside, remote);
    const row = this.#outer.find();
    return row < 0 ? undefined : this.#sessions[row];
  }

  /** When something passed last in a session, µs. */
  lastUs(session: Session): number {
    return this.#lastUs[session.row];
  }

  /** Something passed in a session: it lives on. @param seen what is known of it now */
  passed(session: Session, seen: number, nowUs: number): void {
    this.#lastUs[session.row] = nowUs;
    if (seen !== session.seen) this.#changed(session, seen, nowUs);
  }

  /** As `passed`, for what does not keep the session alive. */
  saw(session: Session, seen: number, nowUs: number): void {
    if (seen !== session.seen) this.#changed(session, seen, nowUs);
  }

  /**
   * Whether one more session of a host inside fits, if need be in place of one that has ended or was never answered.
   * Connections that live are never ended. No host has more than are left for all others.
   * @param source undefined for one that has none yet
   */
  makeRoom(source: Source | undefined, nowUs: number): boolean {
    const { maxSessions, maxSessionsPerSource } = this.#parts.options;
    const own = source?.sessions ?? 0;
    if (own >= maxSessionsPerSource) return this.#evict(({ mapping }) => mapping.source === source, nowUs);
    if (own < maxSessions - this.size) return true;
    return this.#evict(({ mapping }) => mapping.source.sessions >= own, nowUs);
  }

  /**
   * Ends a mapping for which `fits` holds, with the only session it has, which has ended or was never answered.
   * @returns whether there was one
   */
  makeMappingRoom(fits: (mapping: Mapping) => boolean, nowUs: number): boolean {
    return this.#evict(({ mapping }) => mapping.sessions === 1 && fits(mapping), nowUs);
  }

  /** Begins a session, for which there is room. @returns undefined when its ends are in use through another mapping */
  create(mapping: Mapping, remote: Endpoint, seen: number, nowUs: number): Session | undefined {
    const { protocol } = mapping;
    if (this.findOuter(protocol, mapping.outside, remote) !== undefined) return undefined;
    if (this.findInner(protocol, mapping.inside, remote) !== undefined) return undefined;
    const session = new Session(this.#numbers.take(), mapping, seen);
    const { row } = session;
    session.remote.set(remote.w0, remote.w1, remote.w2, remote.w3);
    session.remote.port = remote.port;
    this.#sessions[row] = session;
    // Both probes were aimed by the looks above.
    this.#inner.insert(row);
    this.#outer.insert(row);
    if (row >= this.#lastUs.length) this.#grow();
    this.#lastUs[row] = nowUs;
    this.#deadlines.set(row, nowUs + this.#lifeUs(session));
    this.#parts.deadlineChanged();
    this.#listOf(session).push(session);
    chain(mapping, session);
    this.#parts.contacts?.add(mapping, remote);
    mapping.source.sessions++;
    this.#stats.sessionsCreated++;
    this.#stats.sessions++;
    return session;
  }

  /** Ends a session, and its mapping with its last one. */
  remove(session: Session): void {
    const { mapping, row } = session;
    this.#inner.remove(row);
    this.#outer.remove(row);
    this.#deadlines.clear(row);
    session.list?.remove(session);
    this.#sessions[row] = undefined;
    this.#numbers.give(row);
    unchain(mapping, session);
    this.#parts.contacts?.remove(mapping, session.remote);
    mapping.source.sessions--;
    this.#stats.sessions--;
    if (mapping.sessions === 0) this.#parts.mappings.remove(mapping);
  }

  /** Ends all sessions of a mapping, and so the mapping. */
  removeAll(mapping: Mapping): void {
    for (let session = mapping.firstSession; session !== undefined; session = mapping.firstSession) {
      this.remove(session);
    }
  }

  /** Ends what nothing has passed through for long enough. */
  expire(nowUs: number): void {
    const deadlines = this.#deadlines;
    for (let count = 0; count < MAX_EXPIRED && deadlines.earliestUs <= nowUs; count++) {
      const session = this.#sessions[deadlines.earliestId] as Session;
      const endUs = this.#lastUs[session.row] + this.#lifeUs(session);
      if (endUs > nowUs) {
        deadlines.set(session.row, endUs);
        continue;
      }
      this.remove(session);
      this.#stats.sessionsExpired++;
    }
  }

  #changed(session: Session, seen: number, nowUs: number): void {
    const wasEstablished = isEstablished(session.seen);
    session.seen = seen;
    const list = this.#listOf(session);
    if (list !== session.list) {
      session.list?.remove(session);
      list.push(session);
    }
    const isTcp = session.mapping.protocol === Protocol.Tcp;
    if (isTcp && wasEstablished && !isEstablished(seen)) {
      this.#lastUs[session.row] = nowUs;
      this.#deadlines.set(session.row, nowUs + this.#transitoryUs);
      this.#parts.deadlineChanged();
    }
  }

  /** How long a session lives that nothing passes, µs. */
  #lifeUs(session: Session): number {
    const { options } = this.#parts;
    const { protocol } = session.mapping;
    if (protocol === Protocol.Udp) return options.udpMs * 1000;
    if (protocol !== Protocol.Tcp) return options.icmpMs * 1000;
    return isEstablished(session.seen) ? options.tcpEstablishedMs * 1000 : this.#transitoryUs;
  }

  #listOf(session: Session): SessionList {
    const { seen } = session;
    if (isUninvited(seen)) return this.#over;
    if (session.mapping.protocol === Protocol.Tcp) {
      if (isOver(seen)) return this.#over;
      return isEstablished(seen) ? this.#alive : this.#unanswered;
    }
    return (seen & Seen.ANSWERED) !== 0 ? this.#alive : this.#unanswered;
  }

  /** Ends one session that fits: one that has ended, or else was not answered for a while. */
  #evict(fits: (session: Session) => boolean, nowUs: number): boolean {
    const victim =
      this.#victim(this.#over, fits, nowUs) ?? this.#victim(this.#unanswered, fits, nowUs - UNANSWERED_US);
    if (victim === undefined) return false;
    this.remove(victim);
    this.#stats.sessionsEvicted++;
    return true;
  }

  /** Those that do not fit go to the end: whoever keeps some of them fresh hides the others for no longer than a look. */
  #victim(list: SessionList, fits: (session: Session) => boolean, beforeUs: number): Session | undefined {
    for (let looks = 0; list.first !== undefined && looks < MAX_LOOKS; looks++) {
      const session = list.first;
      if (this.#lastUs[session.row] <= beforeUs && fits(session)) return session;
      list.remove(session);
      list.push(session);
    }
    return undefined;
  }

  #grow(): void {
    const lastUs = new Float64Array(this.#lastUs.length * 2);
    lastUs.set(this.#lastUs);
    this.#lastUs = lastUs;
  }
}

function aim(index: EndpointIndex, protocol: number, near: Endpoint, far: Endpoint): void {
  const { probe } = index;
  probe[KeyWord.EXTRA] = protocol;
  putAddress(probe, KeyWord.NEAR, near);
  putAddress(probe, KeyWord.FAR, far);
  probe[KeyWord.PORTS] = (near.port << 16) | far.port;
}

function chain(mapping: Mapping, session: Session): void {
  const first = mapping.firstSession;
  session.chainAfter = first;
  if (first !== undefined) first.chainBefore = session;
  mapping.firstSession = session;
  mapping.sessions++;
}

function unchain(mapping: Mapping, session: Session): void {
  const { chainBefore, chainAfter } = session;
  if (chainBefore === undefined) mapping.firstSession = chainAfter;
  else chainBefore.chainAfter = chainAfter;
  if (chainAfter !== undefined) chainAfter.chainBefore = chainBefore;
  session.chainBefore = undefined;
  session.chainAfter = undefined;
  mapping.sessions--;
}
