/** A gateway that takes flows to any address, and a client that sends everything there; virtual time. */
import type { IpOptions } from '../../../lib/ip/options.js';
import { createPipe, type PipeOptions } from '../../../lib/link/pipe-device.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { Stack } from '../../../lib/stack/stack.js';
import type { UdpFlow, UdpFlowRequest } from '../../../lib/udp/flow.js';
import type { AnyUdpListener } from '../../../lib/udp/flow-listener.js';
import type { AnyUdpOptions } from '../../../lib/udp/flow-options.js';
import type { UdpSocketOptions } from '../../../lib/udp/options.js';
import type { UdpEndpoint } from '../../../lib/udp/udp-endpoint.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';

/** Addresses that nobody has, of documentation (RFC 5737, RFC 3849). */
export const ELSEWHERE = { 4: '192.0.2.7', 6: '2001:db8:7::7' } as const;
export const FARTHER = { 4: '198.51.100.9', 6: '2001:db8:9::9' } as const;
export const GATEWAY = { 4: '10.0.0.1', 6: 'fd00::1' } as const;
export const CLIENT = { 4: '10.0.0.2', 6: 'fd00::2' } as const;

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);

/** What a reader of a flow was given. */
export interface Heard {
  readonly data: string;
  readonly to: string;
}

export class FlowWorld {
  readonly clock = new VirtualClock(1e9);
  readonly gateway: Stack;
  readonly client: Stack;
  readonly requests: UdpFlowRequest[] = [];
  /** What is done with a request; nothing unless a test says so. */
  decide: (request: UdpFlowRequest) => void = () => {};

  /** @param ip settings of the gateway's IP, besides those all worlds have */
  constructor(pipe: Omit<PipeOptions, 'clock'> = {}, ip: Partial<IpOptions> = {}) {
    const { clock } = this;
    const ends = createPipe({ clock, ...pipe });
    const [gateway, client] = [1, 2].map((seed) => {
      const options = { icmpDestinationMs: 0, ...(seed === 1 ? ip : {}) };
      const stack = new Stack({ clock, random: new SeededRandom(seed), ip: options });
      const addresses = [`10.0.0.${seed}/24`, `fd00::${seed}/64`];
      stack.addLink(ends[seed - 1], { addresses, defaultRoute: true });
      return stack;
    });
    this.gateway = gateway;
    this.client = client;
  }

  listen(options: AnyUdpOptions = {}): AnyUdpListener {
    return this.gateway.listenAnyUdp(options, (request) => {
      this.requests.push(request);
      this.decide(request);
    });
  }

  /** Accepts everything, and keeps what is heard of each flow. */
  acceptAll(): { flows: UdpFlow[]; heard: Heard[] } {
    const flows: UdpFlow[] = [];
    const heard: Heard[] = [];
    this.decide = (request) => {
      const flow = request.accept();
      flows.push(flow);
      flow.onDatagram = (data, address, port) => heard.push({ data: text(data), to: `${address}:${port}` });
    };
    return { flows, heard };
  }

  /** A socket of the client. */
  socket(family: 4 | 6 = 4, options: UdpSocketOptions = {}): ClientSocket {
    return new ClientSocket(this, this.client.openUdp(family, options));
  }

  /** Lets what is under way arrive. */
  settle(ms = 1): void {
    this.clock.advanceBy(ms * 1000);
  }

  close(): void {
    this.gateway.close();
    this.client.close();
  }
}

export class ClientSocket {
  readonly endpoint: UdpEndpoint;
  readonly #world: FlowWorld;

  constructor(world: FlowWorld, endpoint: UdpEndpoint) {
    this.#world = world;
    this.endpoint = endpoint;
  }

  send(words: string | Uint8Array, address: string, port: number): void {
    const data = typeof words === 'string' ? bytes(words) : words;
    this.endpoint.send(data, { destination: IpAddress.parse(address), port });
    this.#world.settle();
  }

  /** What has come: `text@address:port`. */
  received(): string[] {
    const all: string[] = [];
    for (let got = this.endpoint.receive(); got !== undefined; got = this.endpoint.receive()) {
      all.push(`${text(got.payload)}@${got.source}:${got.sourcePort}`);
    }
    return all;
  }
}
