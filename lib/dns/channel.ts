/**
 * What the questions of one resolver share: servers, local addresses, a cache. Questions that are the same are
 * asked once (RFC 5452 §5), and only so many at a time.
 */
import { type Answer, boundedBy, failure, MAX_ALIASES, readAnswer } from './answer.js';
import { Cache } from './cache.js';
import type { DnsServer, DnsStack, LocalAddresses } from './dns-stack.js';
import { dnsHost } from './host.js';
import type { DnsMessage, Question } from './message.js';
import { askableName, isLocalhost, isNowhere, LOOPBACK, nameKey } from './names.js';
import { Query } from './query.js';

/** Called once, later than it was asked for. */
export type Answered = (answer: Answer) => void;

export interface ChannelOptions {
  /** Of the first round, ms. */
  readonly timeoutMs: number;
  readonly tries: number;
  /** Of any round, ms. */
  readonly maxTimeoutMs: number;
}

/** Questions under way at once, each with a socket of its own; and such that wait for others to end. */
const MAX_ACTIVE = 256;
const MAX_WAITING = 10_000;

interface Pending {
  readonly key: string;
  /** As it was asked, and where its aliases have led to. */
  readonly question: Question;
  current: Question;
  /** Names asked for on the way. */
  readonly visited: Set<string>;
  aliasTtl: number;
  readonly waiters: Answered[];
  query: Query | undefined;
}

export class Channel {
  local: LocalAddresses = {};
  readonly #stack: DnsStack;
  readonly #options: ChannelOptions;
  readonly #cache: Cache;
  #servers: readonly DnsServer[];
  #nextServer = 0;
  /** Under way, and waiting to be. */
  readonly #pending = new Map<string, Pending>();
  readonly #waiting: Pending[] = [];
  #active = 0;
  /** Questions whose answers are known, and about to be told. */
  #answering = 0;

  constructor(stack: DnsStack, servers: readonly DnsServer[], options: ChannelOptions) {
    this.#stack = stack;
    this.#servers = servers;
    this.#options = options;
    this.#cache = new Cache(stack.dnsSettings, stack.stats.dns);
  }

  get servers(): readonly DnsServer[] {
    return this.#servers;
  }

  /** Whether questions are under way. */
  get isBusy(): boolean {
    return this.#pending.size + this.#answering > 0;
  }

  /** Asks these from now on; what is under way goes on with those it had. */
  setServers(servers: readonly DnsServer[]): void {
    this.#servers = servers;
    this.#nextServer = 0;
    this.#cache.clear();
  }

  /** @param question its name as `askableName` gives it */
  ask(question: Question, answered: Answered): void {
    const special = specialAnswer(question);
    const key = `${question.type} ${nameKey(question.name)}`;
    const known = special ?? this.#cache.get(key, this.#stack.clock.nowUs());
    if (known !== undefined) {
      this.#tellSoon(answered, known);
      return;
    }
    const same = this.#pending.get(key);
    if (same !== undefined) {
      this.#stack.stats.dns.joined++;
      same.waiters.push(answered);
      return;
    }
    if (this.#servers.length === 0) {
      this.#tellSoon(answered, failure('ECONNREFUSED'));
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) {
      this.#stack.stats.dns.overflows++;
      this.#tellSoon(answered, failure('ENOMEM'));
      return;
    }
    this.#stack.hold();
    const pending: Pending = {
      key,
      question,
      current: question,
      visited: new Set([nameKey(question.name)]),
      aliasTtl: Number.POSITIVE_INFINITY,
      waiters: [answered],
      query: undefined,
    };
    this.#pending.set(key, pending);
    if (this.#active < MAX_ACTIVE) this.#start(pending);
    else this.#waiting.push(pending);
  }

  #tellSoon(answered: Answered, answer: Answer): void {
    this.#answering++;
    dnsHost().soon(() => {
      this.#answering--;
      answered(answer);
    });
  }

  /** Ends every question under way with `ECANCELLED`. */
  cancel(): void {
    this.#waiting.length = 0;
    this.#active = 0;
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { query, waiters } of all) {
      query?.cancel();
      this.#stack.release();
      for (const answered of waiters) dnsHost().soon(() => answered(failure('ECANCELLED')));
    }
  }

  #start(pending: Pending): void {
    this.#active++;
    this.#query(pending);
  }

  #query(pending: Pending): void {
    const { rotate } = this.#stack.dnsSettings;
    const servers = this.#servers;
    const first = rotate ? this.#nextServer++ % servers.length : 0;
    pending.query = new Query({
      stack: this.#stack,
      servers,
      first,
      local: this.local,
      question: pending.current,
      ...this.#options,
      done: (outcome) => this.#ended(pending, outcome),
    });
  }

  #ended(pending: Pending, outcome: DnsMessage | string): void {
    if (typeof outcome === 'string') {
      this.#finish(pending, failure(outcome));
      return;
    }
    const answer = readAnswer(pending.current, outcome);
    if (answer === 'loop') {
      this.#looped(pending);
    } else if ('target' in answer) {
      pending.aliasTtl = Math.min(pending.aliasTtl, answer.ttlSeconds);
      const name = askableName(answer.target);
      const { visited } = pending;
      const isEnd = visited.size > MAX_ALIASES || this.#servers.length === 0;
      if (name === undefined || isEnd || visited.has(nameKey(name))) {
        this.#looped(pending);
        return;
      }
      visited.add(nameKey(name));
      pending.current = { name, type: pending.question.type };
      this.#query(pending);
    } else {
      this.#finish(pending, pending.visited.size === 1 ? answer : boundedBy(answer, pending.aliasTtl));
    }
  }

  /** Nobody's fault but the zone's: the name has an answer, and it is none. */
  #looped(pending: Pending): void {
    this.#stack.stats.dns.aliasLoops++;
    this.#finish(pending, failure('EBADRESP'));
  }

  #finish(pending: Pending, answer: Answer): void {
    this.#pending.delete(pending.key);
    this.#active--;
    this.#cache.set(pending.key, answer, this.#stack.clock.nowUs());
    const next = this.#waiting.shift();
    if (next !== undefined) this.#start(next);
    this.#stack.release();
    for (const answered of pending.waiters) tell(answered, answer);
  }
}

/** Within the stack's turn: what a callback throws must not end it. */
function tell(answered: Answered, answer: Answer): void {
  try {
    answered(answer);
  } catch (error) {
    dnsHost().soon(() => {
      throw error;
    });
  }
}

/** Names that are not for name servers (RFC 6761 §6). */
function specialAnswer({ name, type }: Question): Answer | undefined {
  if (isNowhere(name)) return failure('ENOTFOUND');
  if (!isLocalhost(name)) return undefined;
  if (type !== 'A' && type !== 'AAAA') return failure('ENODATA');
  const record = { owner: nameKey(name), type, ttlSeconds: 0, data: LOOPBACK[type] };
  return { ...failure(''), records: [record], hasOthers: true };
}
