/** A bulk transfer over one simulated connection, every byte of which is checked. */
import { NEVER } from '../base/clock.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../stack/tcp-endpoint.js';
import type { Simulation } from './simulation.js';

/** What is to be transferred. */
export interface TransferOptions {
  /** How much each that sends is to send. */
  readonly bytes: number;
  /** Who sends: the client by default, the server with `down`, each `bytes` with `both`. */
  readonly direction?: 'up' | 'down' | 'both';
  /** Bytes per write; as many as fit by default. */
  readonly writeBytes?: number;
}

/** The byte at a position of every stream: a period that is no power of two, so that shifts show. */
export const streamByte = (position: number): number => (position * 31 + (position >> 8)) % 251;

/** After so many bytes the stream repeats. */
const PERIOD_BYTES = 251 * 256;
const CHUNK_BYTES = 16_384;
/** The stream, far enough that any chunk is a piece of it. */
const STREAM = Uint8Array.from({ length: PERIOD_BYTES + CHUNK_BYTES }, (_, position) => streamByte(position));

/** One end: sends its part and checks what it receives. It closes behind what it sent, or when the other has. */
class End implements TcpEndpointHandler {
  readonly endpoint: TcpEndpoint;
  readonly #sends: number;
  readonly #writeBytes: number;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  readonly #now: () => number;
  sentBytes = 0;
  receivedBytes = 0;
  isIntact = true;
  peerClosed = false;
  /** undefined while it lives. */
  closeCode: string | undefined;
  finishedAtUs = NEVER;

  constructor(endpoint: TcpEndpoint, sends: number, writeBytes: number, now: () => number) {
    this.endpoint = endpoint;
    this.#sends = sends;
    this.#writeBytes = Math.min(writeBytes, CHUNK_BYTES);
    this.#now = now;
    endpoint.handler = this;
  }

  onConnect(): void {
    this.#send();
  }

  onWritable(): void {
    this.#send();
  }

  onReadable(): void {
    for (;;) {
      const bytes = this.endpoint.read(this.#chunk);
      if (bytes === 0) return;
      const start = this.receivedBytes % PERIOD_BYTES;
      for (let i = 0; i < bytes; i++) {
        if (this.#chunk[i] !== STREAM[start + i]) this.isIntact = false;
      }
      this.receivedBytes += bytes;
      this.finishedAtUs = this.#now();
    }
  }

  onEnd(): void {
    this.peerClosed = true;
    if (this.#sends === 0) this.endpoint.shutdown();
  }

  onClose(errorCode: string): void {
    this.closeCode = errorCode;
  }

  #send(): void {
    if (this.#sends === 0) return;
    while (this.sentBytes < this.#sends) {
      const wanted = Math.min(this.#writeBytes, this.#sends - this.sentBytes);
      const written = this.endpoint.write(STREAM, this.sentBytes % PERIOD_BYTES, wanted);
      this.sentBytes += written;
      if (written < wanted) return;
    }
    this.endpoint.shutdown();
  }
}

/** A bulk transfer over one simulated connection, every byte of which is checked. */
export class Transfer {
  readonly #simulation: Simulation;
  readonly #options: TransferOptions;
  readonly #client: End;
  #server: End | undefined;
  /** When it began, µs. */
  readonly startedAtUs: number;

  constructor(simulation: Simulation, port: number, options: TransferOptions) {
    const { client, server, clock, serverAddress } = simulation;
    this.#simulation = simulation;
    this.#options = options;
    this.startedAtUs = clock.nowUs();
    const listener = server.listenTcp({ port });
    listener.onConnection = () => {
      const accepted = listener.accept();
      if (accepted === undefined) return;
      this.#server = this.#end(accepted, options.direction === 'up' || options.direction === undefined);
      listener.close();
    };
    const endpoint = client.connectTcp({ address: serverAddress, port });
    this.#client = this.#end(endpoint, options.direction === 'down');
  }

  #end(endpoint: TcpEndpoint, onlyReceives: boolean): End {
    const sends = onlyReceives ? 0 : this.#options.bytes;
    const { clock } = this.#simulation;
    return new End(endpoint, sends, this.#options.writeBytes ?? CHUNK_BYTES, () => clock.nowUs());
  }

  /** Bytes that arrived, at both ends together. */
  get receivedBytes(): number {
    return this.#client.receivedBytes + (this.#server?.receivedBytes ?? 0);
  }

  /** Every byte that arrived was the right one. */
  get isIntact(): boolean {
    return this.#client.isIntact && this.#server?.isIntact !== false;
  }

  /** Both ends have heard how the connection ended. */
  get isOver(): boolean {
    if (this.#client.closeCode === undefined) return false;
    return this.#server === undefined || this.#server.closeCode !== undefined;
  }

  /** How the connection ended at each end: '' for well, undefined for not yet. */
  get closeCodes(): readonly [client: string | undefined, server: string | undefined] {
    return [this.#client.closeCode, this.#server?.closeCode];
  }

  /** From the start to the last byte, µs. */
  get durationUs(): number {
    const ends = [this.#client.finishedAtUs, this.#server?.finishedAtUs ?? NEVER];
    return Math.max(...ends.filter((us) => us !== NEVER)) - this.startedAtUs;
  }

  /** The client's endpoint. */
  get clientEndpoint(): TcpEndpoint {
    return this.#client.endpoint;
  }

  /** The server's endpoint, once there is one. */
  get serverEndpoint(): TcpEndpoint | undefined {
    return this.#server?.endpoint;
  }
}
