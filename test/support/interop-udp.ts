/** The raw UDP endpoints of a stack as promises. */
import type { Stack } from '../../lib/stack/stack.js';
import { UdpEvent } from '../../lib/udp/datagram.js';
import type { UdpEndpoint } from '../../lib/udp/udp-endpoint.js';
import { IpAddress, type IpFamily } from '../../lib/wire/ip-address.js';
import type { Endpoint } from './interop-kernel.js';
import { within } from './interop-wait.js';

export interface Received {
  readonly data: Buffer;
  readonly from: Endpoint;
}

export class AwaitedUdp {
  readonly endpoint: UdpEndpoint;
  #waker: (events: number) => void = () => {};

  constructor(stack: Stack, family: IpFamily) {
    this.endpoint = stack.openUdp(family);
    this.endpoint.onEvents = (events) => this.#waker(events);
  }

  bind(port = 0): this {
    this.endpoint.bind(undefined, port);
    return this;
  }

  connect({ address, port }: Endpoint): this {
    this.endpoint.connect(IpAddress.parse(address), port);
    return this;
  }

  /** Sends, when the link is full as soon as it is not. */
  async send(data: Uint8Array, to?: Endpoint, segmentSize = 0): Promise<void> {
    const options = {
      ...(to === undefined ? {} : { destination: IpAddress.parse(to.address), port: to.port }),
      ...(segmentSize === 0 ? {} : { segmentSize }),
    };
    while (!this.endpoint.send(data, options)) await this.#happens(UdpEvent.WRITABLE, 'room on the link');
  }

  /** The next datagram. @throws StackError the error that waits */
  async receive(): Promise<Received> {
    for (;;) {
      const datagram = this.endpoint.receive();
      if (datagram !== undefined) {
        const { payload, source, sourcePort } = datagram;
        return { data: Buffer.from(payload), from: { address: source.toString(), port: sourcePort } };
      }
      await this.#happens(UdpEvent.READABLE | UdpEvent.ERROR, 'a datagram');
    }
  }

  async #happens(events: number, what: string): Promise<void> {
    const happened = new Promise<void>((resolve) => {
      this.#waker = (bits) => {
        if ((bits & events) !== 0) resolve();
      };
    });
    await within(happened, () => what);
  }

  close(): void {
    this.endpoint.close();
  }
}
