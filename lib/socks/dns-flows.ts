/**
 * Name service through the proxy: questions that those inside ask over UDP are carried over TCP, which every proxy has,
 * to the server they were sent to, or to one that was named.
 */
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

export interface DnsFlowsOptions {
  /** Who is asked; whom the question was sent to, where it is undefined. */
  readonly server: SocksPlace | undefined;
  /** How long an answer may take, ms. */
  readonly dnsMs: number;
  /** Whether nobody outside has an address: it is the stack's own. */
  isOwn(address: string): boolean;
}

export class DnsFlows implements DnsChannelHost {
  readonly proxy: Proxy;
  readonly dnsMs: number;
  readonly #options: DnsFlowsOptions;
  readonly #stats: SocksTunnelStats;
  readonly #flows = new Set<DnsFlow>();
  readonly #channels = new Map<string, DnsChannel>();

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

  /** Carries a question. @returns false where there is nobody to carry it to */
  ask(message: Uint8Array, address: string, flow: DnsFlow, port: number): void {
    const { server } = this.#options;
    const question = message.slice();
    const limit = udpPayloadBytes(question);
    this.#stats.dnsQueries++;
    const channel = this.#channelTo(server ?? { host: address, port });
    const isNobody = server === undefined && this.#options.isOwn(address);
    const failed = (): void => {
      this.#stats.dnsFailed++;
      flow.answer(serverFailure(question), address, port);
    };
    if (channel === undefined || isNobody) {
      failed();
      return;
    }
    channel.ask(question, {
      failed,
      answered: (answer) => {
        const isLong = answer.length > limit;
        if (isLong) this.#stats.dnsTruncated++;
        this.#stats.dnsAnswers++;
        flow.answer(isLong ? truncated(answer) : answer, address, port);
      },
    });
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
    if (this.#channels.size >= MAX_CHANNELS) return undefined;
    const channel = new DnsChannel(server, this);
    this.#channels.set(key, channel);
    return channel;
  }
}

const keyOf = ({ host, port }: SocksPlace): string => `${host} ${port}`;

/** An address and port inside that asks. It ends with its last answer: most ask each question from another port. */
class DnsFlow {
  readonly #flows: DnsFlows;
  readonly #flow: UdpFlow;
  #asked = 0;

  constructor(flows: DnsFlows, flow: UdpFlow) {
    this.#flows = flows;
    this.#flow = flow;
    flow.onDatagram = (data, address, port) => this.#ask(data, address, port);
    flow.onClose = () => this.#flows.ended(this);
  }

  #ask(data: Uint8Array, address: string, port: number): void {
    if (questionEnd(data) === 0 || isAnswer(data) || this.#asked >= MAX_ASKED) {
      this.#flows.dropped();
      return;
    }
    this.#asked++;
    this.#flows.ask(data, address, this, port);
  }

  /** An answer, or that there is none. */
  answer(message: Uint8Array, address: string, port: number): void {
    this.#asked--;
    if (this.#flow.isClosed) return;
    if (!this.#flow.send(message, address, port)) this.#flows.dropped();
    if (this.#asked === 0) this.close();
  }

  close(): void {
    this.#flow.close();
  }
}
