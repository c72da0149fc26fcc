/** A question, put to one server after the other until one answers. */
import type { DnsServer, DnsStack, LocalAddresses } from './dns-stack.js';
import { Exchange, type Outcome } from './exchange.js';
import { type DnsMessage, type Question, Rcode } from './message.js';

export interface QueryRequest {
  readonly stack: DnsStack;
  readonly servers: readonly DnsServer[];
  /** Place in `servers` of the one to begin with. */
  readonly first: number;
  readonly local: LocalAddresses;
  readonly question: Question;
  /** Of the first round; it doubles with each. */
  readonly timeoutMs: number;
  /** The longest that a server is waited for in any round. */
  readonly maxTimeoutMs: number;
  /** Rounds over all servers. */
  readonly tries: number;
  /** Called once, later: with an answer, or with a code as `node:dns` has them. */
  readonly done: (outcome: DnsMessage | string) => void;
}

/** The longest that one server is waited for, however often it has been asked, ms. */
export const MAX_TIMEOUT_MS = 300_000;

/** Codes of answers that say nothing about the question. */
const CODES: Readonly<Record<number, string>> = {
  [Rcode.FORMERR]: 'EFORMERR',
  [Rcode.SERVFAIL]: 'ESERVFAIL',
  [Rcode.NOTIMP]: 'ENOTIMP',
  [Rcode.REFUSED]: 'EREFUSED',
};

export class Query {
  readonly #request: QueryRequest;
  /** Servers that answered, and could not help: they are not asked again. */
  readonly #helpless = new Set<number>();
  #exchange: Exchange | undefined;
  #attempt = 0;
  #code = 'ECONNREFUSED';

  /** Begins at once. */
  constructor(request: QueryRequest) {
    this.#request = request;
    this.#next();
  }

  /** Ends it; `done` is not called any more. */
  cancel(): void {
    this.#exchange?.cancel();
    this.#exchange = undefined;
  }

  /** Asks the next server. @returns false when none is left */
  #next(): boolean {
    const { stack, servers, first, local, question, timeoutMs, maxTimeoutMs, tries } = this.#request;
    while (this.#attempt < servers.length * tries) {
      const round = Math.floor(this.#attempt / servers.length);
      const index = (first + this.#attempt++) % servers.length;
      if (this.#helpless.has(index)) continue;
      this.#exchange = new Exchange({
        stack,
        server: servers[index],
        local,
        question,
        udpPayloadBytes: stack.dnsSettings.udpPayloadBytes,
        timeoutMs: Math.min(timeoutMs * 2 ** round, maxTimeoutMs),
        done: (outcome) => this.#ended(index, outcome),
      });
      return true;
    }
    return false;
  }

  #ended(index: number, outcome: Outcome): void {
    this.#exchange = undefined;
    if (typeof outcome === 'string') {
      this.#code = outcome;
    } else if (outcome.rcode === Rcode.NOERROR || outcome.rcode === Rcode.NXDOMAIN) {
      this.#request.done(outcome);
      return;
    } else {
      this.#request.stack.stats.dns.serverFailures++;
      this.#helpless.add(index);
      this.#code = CODES[outcome.rcode] ?? 'ENODATA';
    }
    if (!this.#next()) this.#request.done(this.#code);
  }
}
