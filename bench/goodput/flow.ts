/** A connection that sends for ever, and how much of it has arrived. */
import type { Stack } from '../../lib/stack/stack.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';

const CHUNK = new Uint8Array(256 * 1024);

class Source implements TcpEndpointHandler {
  readonly endpoint: TcpEndpoint;

  constructor(endpoint: TcpEndpoint) {
    this.endpoint = endpoint;
    endpoint.handler = this;
  }

  onConnect(): void {
    this.onWritable();
  }

  onWritable(): void {
    while (this.endpoint.write(CHUNK) === CHUNK.length);
  }

  onReadable(): void {}

  onEnd(): void {}

  onClose(): void {}
}

class Sink implements TcpEndpointHandler {
  readonly endpoint: TcpEndpoint;
  receivedBytes = 0;
  readonly #rest = new Uint8Array(65_536);

  constructor(endpoint: TcpEndpoint) {
    this.endpoint = endpoint;
    endpoint.handler = this;
    endpoint.setSink(this);
    this.onReadable();
  }

  take(_bytes: Uint8Array, _at: number, length: number): boolean {
    this.receivedBytes += length;
    return true;
  }

  onReadable(): void {
    for (let bytes = this.endpoint.read(this.#rest); bytes > 0; bytes = this.endpoint.read(this.#rest)) {
      this.receivedBytes += bytes;
    }
  }

  onConnect(): void {}

  onWritable(): void {}

  onEnd(): void {}

  onClose(): void {}
}

export interface FlowEnds {
  readonly from: Stack;
  readonly to: Stack;
  readonly address: string;
  readonly port: number;
}

export class Flow {
  readonly #source: Source;
  #sink: Sink | undefined;

  constructor({ from, to, address, port }: FlowEnds) {
    const listener = to.listenTcp({ port });
    listener.onConnection = () => {
      const accepted = listener.accept();
      if (accepted === undefined) return;
      this.#sink = new Sink(accepted);
      listener.close();
    };
    this.#source = new Source(from.connectTcp({ address, port }));
  }

  get receivedBytes(): number {
    return this.#sink?.receivedBytes ?? 0;
  }

  /** Smoothed round-trip time now, µs. */
  get rttUs(): number {
    return this.#source.endpoint.info.rttUs;
  }
}
