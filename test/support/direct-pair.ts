/** Two stacks with one connection between them, on a wire into which somebody else can put packets. */
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack, type StackOptions } from '../../lib/stack/stack.js';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';
import { ABSOLUTE } from '../../lib/wire/segment-origin.js';
import { parseSegmentLine } from '../../lib/wire/segment-text.js';
import { PEER_V4, STACK_V4 } from './scenario-host.js';
import { segmentPacket } from './segment-bytes.js';
import { WireLink } from './wire-link.js';

/** The near stack is the client. The wire delivers after 1 ms. */
export class DirectPair {
  readonly clock = new VirtualClock(1e9);
  readonly nearWire = new WireLink();
  readonly farWire = new WireLink();
  packets = 0;
  readonly #stacks: Stack[];
  readonly #client: TcpEndpoint;
  #server: TcpEndpoint | undefined;
  #flying: [WireLink, Uint8Array][] = [];

  constructor(tcp: NonNullable<StackOptions['tcp']> = {}) {
    this.nearWire.onSent = ({ bytes }) => this.#flies(this.farWire, bytes);
    this.farWire.onSent = ({ bytes }) => this.#flies(this.nearWire, bytes);
    const ends = [
      [this.nearWire, STACK_V4],
      [this.farWire, PEER_V4],
    ] as const;
    this.#stacks = ends.map(([wire, address], i) => {
      const stack = new Stack({
        clock: this.clock,
        random: new SeededRandom(5 + i),
        tcp,
      });
      stack.addLink(wire, { addresses: [`${address}/24`] });
      return stack;
    });
    const listener = this.#stacks[1].listenTcp({ port: 80 });
    listener.onConnection = () => {
      this.#server = listener.accept();
    };
    this.#client = this.#stacks[0].connectTcp({ address: PEER_V4, port: 80 });
  }

  #flies(to: WireLink, bytes: Uint8Array): void {
    this.packets++;
    this.#flying.push([to, bytes]);
  }

  run(ms: number): void {
    for (let i = 0; i < ms; i++) {
      const flying = this.#flying;
      this.#flying = [];
      for (const [to, bytes] of flying) to.inject([bytes]);
      this.clock.advanceBy(1000);
    }
  }

  near(): TcpEndpoint {
    return this.#client;
  }

  far(): TcpEndpoint {
    return this.#server as TcpEndpoint;
  }

  close(): void {
    for (const stack of this.#stacks) stack.close();
  }
}

/** A hundred bytes for `own`, as its peer `other` would send them. */
export function spoofedText(from: string, to: string, own: TcpEndpoint, other: TcpEndpoint): Uint8Array {
  const { sndNxt } = other.connection.sender;
  const sequence = sndNxt >>> 0;
  const line = parseSegmentLine(
    `P. ${sequence}:${sequence + 100}(100) ack ${own.connection.sender.sndNxt >>> 0} win 500 <nop,nop,TS val ${
      (own.connection.receiver?.tsRecent ?? 0) >>> 0
    } ecr 0>`,
  );
  const direction = {
    source: from,
    destination: to,
    sourcePort: other.localPort,
    destinationPort: own.localPort,
  };
  return segmentPacket(line, new Uint8Array(100), { direction, origin: ABSOLUTE }, {});
}
