/**
 * Name service through the proxy: questions that those inside ask over UDP are carried over TCP, which every proxy has,
 * to the server they were sent to, or to one that was named.
 */
import { Roster, type Rostered } from '../base/roster.js';
import { isAnswer, questionEnd, serverFailure } from '../gateway/dns-question.js';
import type { UdpFlow, UdpFlowRequest } from '../udp/flow.js';
import type { SocksTunnelStats } from './counters.js';
import { DnsChannel, type DnsChannelHost } from './dns-channel.js';
import { truncated, udpPayloadBytes } from './dns-size.js';
import type { SocksPlace } from './protocol.js';
import type { Proxy } from './proxy.js';

/** Connections to name servers at once: those inside choose whom they ask. */
const MAX_CHANNELS = 64;
/** Questions of one flow under way; clients ask one or two at a time. */
const MAX_ASKED = 64;
/** Bytes of all questions under way: one may be as long as a datagram. */
const MAX_WAITING_BYTES = 8 << 20;
/** What a question costs besides its bytes. */
const ASKED_BYTES = 512;

export interface DnsFlowsOptions {
  /** Who is asked; whom the question was sent to, where it is undefined. */
  readonly server: SocksPlace | undefined;
  /** How long an answer may take, ms. */
  readonly dnsMs: number;
}

export class DnsFlows implements DnsChannelHost {
  readonly proxy: Proxy;
  readonly dnsMs: number;
  readonly #options: DnsFlowsOptions;
  readonly #stats: SocksTunnelStats;
  readonly #flows = new Roster<DnsFlow>();
  readonly #channels = new Map<string, DnsChannel>();
  #waitingBytes = 0;

  constructor(options: DnsFlowsOptions, proxy: Proxy, stats: SocksTunnelStats) {
    this.#options = options;
    this.dnsMs = options.dnsMs;
    this.proxy = proxy;
    this.#stats = stats;
  }

  /** Flows with questions under way. */
  get count(): number {
    return this.#flows.size;
  }

  /** Connections to name servers. */
  get channels(): number {
    return this.#channels.size;
  }

  request(request: UdpFlowRequest): void {
    const flow = new DnsFlow(this, request.accept());
    this.#flows.add(flow);
  }

  /** Carries a question, to the server that was named or to where it was sent. */
  ask(data: Uint8Array, to: SocksPlace, flow: DnsFlow): void {
    const stats = this.#stats;
    const question = data.slice();
    const cost = question.length + ASKED_BYTES;
    stats.dnsQueries++;
    const failed = (): void => {
      stats.dnsFailed++;
      flow.answer(serverFailure(question), to);
    };
    const hasRoom = this.#waitingBytes + cost <= MAX_WAITING_BYTES;
    const channel = hasRoom ? this.#channelTo(this.#options.server ?? to) : undefined;
    if (channel === undefined) {
      failed();
      return;
    }
    this.#waitingBytes += cost;
    channel.ask(question, {
      failed: () => {
        this.#waitingBytes -= cost;
        failed();
      },
      answered: (answer) => {
        this.#waitingBytes -= cost;
        stats.dnsAnswers++;
        flow.answer(this.#fitting(answer, udpPayloadBytes(question)), to);
      },
    });
  }

  /** As much of an answer as who asked takes. */
  #fitting(answer: Uint8Array, limit: number): Uint8Array {
    if (answer.length <= limit) return answer;
    this.#stats.dnsTruncated++;
    return truncated(answer, limit);
  }

  /** A message was dropped. */
  dropped(): void {
    this.#stats.dnsDropped++;
  }

  /** A flow is over. */
  ended(flow: DnsFlow): void {
    this.#flows.delete(flow);
  }

  over(channel: DnsChannel): void {
    this.#channels.delete(keyOf(channel.server));
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
    for (const flow of this.#flows) flow.close();
  }

  #channelTo(server: SocksPlace): DnsChannel | undefined {
    const key = keyOf(server);
    const known = this.#channels.get(key);
    if (known !== undefined) return known;
    if (this.#channels.size >= MAX_CHANNELS && !this.#endIdle()) return undefined;
    const channel = new DnsChannel(server, this);
    this.#channels.set(key, channel);
    return channel;
  }

  /** Makes room by ending the oldest connection that nobody waits for. @returns false where all are in use */
  #endIdle(): boolean {
    for (const channel of this.#channels.values()) {
      if (channel.asked > 0) continue;
      channel.close();
      this.over(channel);
      return true;
    }
    return false;
  }
}

const keyOf = ({ host, port }: SocksPlace): string => `${host} ${port}`;

/** An address and port inside that asks. It ends with its last answer: most ask each question from another port. */
class DnsFlow implements Rostered {
  rosterPlace = -1;
  readonly #flows: DnsFlows;
  readonly #flow: UdpFlow;
  #asked = 0;
  #isAsking = false;

  constructor(flows: DnsFlows, flow: UdpFlow) {
    this.#flows = flows;
    this.#flow = flow;
    flow.onDatagram = (data, host, port) => this.#ask(data, { host, port });
    flow.onClose = () => this.#flows.ended(this);
  }

  #ask(data: Uint8Array, to: SocksPlace): void {
    if (questionEnd(data) === 0 || isAnswer(data) || this.#asked >= MAX_ASKED) {
      this.#flows.dropped();
      return;
    }
    this.#asked++;
    this.#isAsking = true;
    this.#flows.ask(data, to, this);
    this.#isAsking = false;
  }

  /** An answer, or that there is none. */
  answer(message: Uint8Array, { host, port }: SocksPlace): void {
    this.#asked--;
    if (this.#flow.isClosed) return;
    if (!this.#flow.send(message, host, port)) this.#flows.dropped();
    // Where that is known at once, another question may have come with this one: a flow that has ended is not read.
    if (this.#asked === 0 && !this.#isAsking) this.close();
  }

  close(): void {
    this.#flow.close();
  }
}
