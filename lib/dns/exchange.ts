/**
 * One question to one server: over UDP from a port and with an ID that nobody can foresee (RFC 5452 §9.2), again
 * over TCP when the answer is cut short (RFC 7766 §5), again without EDNS when the server does not know it.
 */
import type { DnsServer, DnsStack, LocalAddresses, UdpEndpoint } from './dns-stack.js';
import { type DnsMessage, encodeQuery, type Question, Rcode, readReply } from './message.js';
import { StreamExchange } from './stream-exchange.js';

/** An answer, or why there is none. */
export type Outcome = DnsMessage | 'EBADRESP' | 'ECONNREFUSED' | 'ETIMEOUT';

export interface ExchangeRequest {
  readonly stack: DnsStack;
  readonly server: DnsServer;
  readonly local: LocalAddresses;
  readonly question: Question;
  /** 0 for a query without EDNS. */
  readonly udpPayloadBytes: number;
  /** How long to wait, over UDP and once more over TCP, ms. */
  readonly timeoutMs: number;
  readonly done: (outcome: Outcome) => void;
}

/** Bits of what a UDP endpoint tells: as `UdpEvent` of the layer below. */
const Happened = { READABLE: 1, ERROR: 2, WRITABLE: 4 } as const;

/**
 * Datagrams from the server's address that do not match the query; who sends more is guessing, and is asked over
 * TCP, where guessing is harder (RFC 5452 §9.3).
 */
const MAX_MISMATCHES = 32;

export class Exchange {
  readonly #request: ExchangeRequest;
  readonly #alarm: ReturnType<DnsStack['clock']['createAlarm']>;
  #udpPayloadBytes: number;
  #query: Uint8Array = new Uint8Array(0);
  #endpoint: UdpEndpoint | undefined;
  #stream: StreamExchange | undefined;
  #isSent = false;
  #mismatches = 0;
  /** Whether something came that could not be read. */
  #wasBad = false;
  #isOver = false;

  /** Begins at once. `done` is never called before this returns. */
  constructor(request: ExchangeRequest) {
    this.#request = request;
    this.#udpPayloadBytes = request.udpPayloadBytes;
    this.#alarm = request.stack.clock.createAlarm(() => this.#timedOut());
    this.#open();
  }

  /** Ends it; `done` is not called any more. */
  cancel(): void {
    this.#isOver = true;
    this.#alarm.clear();
    this.#closeEndpoint();
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  #open(): void {
    const { stack, server, local, question, timeoutMs } = this.#request;
    this.#query = encodeQuery(question, stack.random.uint32() >>> 16, this.#udpPayloadBytes);
    this.#isSent = false;
    this.#alarm.setAt(stack.clock.nowUs() + timeoutMs * 1000);
    try {
      const endpoint = stack.openUdp(server.address.family);
      this.#endpoint = endpoint;
      endpoint.onEvents = (events) => this.#happened(events);
      endpoint.onClosed = () => this.#failSoon();
      const from = local[server.address.family];
      if (from !== undefined) endpoint.bind(from, 0);
      // Connected, it takes nothing but what the server sends from the port that was asked.
      endpoint.connect(server.address, server.port);
      this.#send(endpoint);
    } catch {
      this.#failSoon();
    }
  }

  #send(endpoint: UdpEndpoint): void {
    if (this.#isSent || !endpoint.send(this.#query)) return;
    this.#isSent = true;
    this.#request.stack.stats.dns.queries++;
  }

  /** No way leads there. Told by the alarm, as everything else is told later than it was asked for. */
  #failSoon(): void {
    this.#closeEndpoint();
    this.#request.stack.stats.dns.unreachable++;
    this.#alarm.setAt(this.#request.stack.clock.nowUs());
  }

  #closeEndpoint(): void {
    if (this.#endpoint === undefined) return;
    this.#endpoint.onEvents = undefined;
    this.#endpoint.onClosed = undefined;
    this.#endpoint.close();
    this.#endpoint = undefined;
  }

  #happened(events: number): void {
    const endpoint = this.#endpoint;
    if (endpoint === undefined) return;
    if (events & Happened.ERROR && endpoint.takeError() !== undefined) {
      this.#request.stack.stats.dns.unreachable++;
      this.#finish('ECONNREFUSED');
      return;
    }
    try {
      if (events & Happened.WRITABLE) this.#send(endpoint);
    } catch {
      this.#failSoon();
      return;
    }
    if (events & Happened.READABLE) this.#receive(endpoint);
  }

  #receive(endpoint: UdpEndpoint): void {
    while (this.#endpoint === endpoint && endpoint.takeError() === undefined) {
      const datagram = endpoint.receive();
      if (datagram === undefined) return;
      this.#arrived(datagram.payload);
    }
  }

  #arrived(bytes: Uint8Array): void {
    const { dns } = this.#request.stack.stats;
    const reply = readReply(this.#query, bytes);
    if (reply === 'mismatched') {
      dns.mismatched++;
      if (++this.#mismatches < MAX_MISMATCHES) return;
      dns.floods++;
      this.#overTcp();
    } else if (reply === 'malformed') {
      dns.malformed++;
      this.#wasBad = true;
    } else if (reply.isTruncated) {
      dns.truncated++;
      this.#overTcp();
    } else {
      this.#answered(reply);
    }
  }

  #overTcp(): void {
    this.#closeEndpoint();
    this.#alarm.setAt(this.#request.stack.clock.nowUs() + this.#request.timeoutMs * 1000);
    this.#request.stack.stats.dns.queriesTcp++;
    this.#stream = new StreamExchange({
      stack: this.#request.stack,
      server: this.#request.server,
      local: this.#request.local,
      query: this.#query,
      done: (reply) => {
        if (typeof reply !== 'string') this.#answered(reply);
        else this.#finish(reply);
      },
    });
    if (this.#stream.isRefused) this.#failSoon();
  }

  #answered(reply: DnsMessage): void {
    const { rcode, hasOpt } = reply;
    const { dns } = this.#request.stack.stats;
    const knowsNoEdns = rcode === Rcode.FORMERR || rcode === Rcode.NOTIMP || rcode === Rcode.BADVERS;
    if (this.#udpPayloadBytes > 0 && knowsNoEdns && (!hasOpt || rcode === Rcode.BADVERS)) {
      dns.ednsRefused++;
      this.#udpPayloadBytes = 0;
      this.#closeEndpoint();
      this.#stream?.cancel();
      this.#stream = undefined;
      this.#open();
      return;
    }
    dns.responses++;
    this.#finish(reply);
  }

  #timedOut(): void {
    if (this.#endpoint === undefined && (this.#stream === undefined || this.#stream.isRefused)) {
      this.#finish('ECONNREFUSED');
      return;
    }
    this.#request.stack.stats.dns.timeouts++;
    this.#finish(this.#wasBad ? 'EBADRESP' : 'ETIMEOUT');
  }

  #finish(outcome: Outcome): void {
    if (this.#isOver) return;
    this.cancel();
    this.#request.done(outcome);
  }
}
