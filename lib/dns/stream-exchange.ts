/** A query and its answer over a connection of their own (RFC 7766). */
import type { DnsServer, DnsStack, LocalAddresses, TcpEndpoint } from './dns-stack.js';
import { type DnsMessage, readReply } from './message.js';

export interface StreamRequest {
  readonly stack: DnsStack;
  readonly server: DnsServer;
  readonly local: LocalAddresses;
  readonly query: Uint8Array;
  readonly done: (reply: DnsMessage | 'EBADRESP' | 'ECONNREFUSED') => void;
}

/** Bytes before a message, which say how long it is (RFC 1035 §4.2.2). */
const LENGTH_BYTES = 2;

export class StreamExchange {
  readonly #request: StreamRequest;
  #endpoint: TcpEndpoint | undefined;
  #bytes = new Uint8Array(512);
  #length = 0;

  /** Begins at once; `done` is called later, and not at all when `isRefused`. Who waits keeps the time. */
  constructor(request: StreamRequest) {
    this.#request = request;
    const { stack, server, local, query } = request;
    const data = new Uint8Array(LENGTH_BYTES + query.length);
    new DataView(data.buffer).setUint16(0, query.length);
    data.set(query, LENGTH_BYTES);
    const localAddress = local[server.address.family];
    try {
      const endpoint = stack.connectTcp({
        address: server.address,
        port: server.port,
        data,
        ...(localAddress === undefined ? {} : { localAddress }),
      });
      this.#endpoint = endpoint;
      endpoint.handler = {
        onConnect: () => {},
        onWritable: () => {},
        onReadable: () => this.#read(),
        onEnd: () => this.#read(true),
        onClose: (code) => this.#finish(code === '' ? 'EBADRESP' : 'ECONNREFUSED'),
      };
    } catch {
      this.#endpoint = undefined;
    }
  }

  /** Whether no connection could be begun. */
  get isRefused(): boolean {
    return this.#endpoint === undefined;
  }

  /** Ends it; `done` is not called any more. */
  cancel(): void {
    const endpoint = this.#endpoint;
    this.#endpoint = undefined;
    if (endpoint === undefined) return;
    endpoint.handler = undefined;
    endpoint.abort();
    endpoint.close();
  }

  #read(isEnd = false): void {
    while (this.#endpoint !== undefined) {
      if (this.#length === this.#bytes.length && !this.#grow()) break;
      const bytes = this.#endpoint.read(this.#bytes, this.#length);
      if (bytes === 0) break;
      this.#length += bytes;
    }
    const whole = this.#wholeBytes;
    if (this.#length >= whole) this.#arrived(this.#bytes.subarray(LENGTH_BYTES, whole));
    else if (isEnd) this.#finish('EBADRESP');
  }

  /** Bytes of length and message; as long as the length is not there, that of the length. */
  get #wholeBytes(): number {
    if (this.#length < LENGTH_BYTES) return LENGTH_BYTES + 1;
    return LENGTH_BYTES + ((this.#bytes[0] << 8) | this.#bytes[1]);
  }

  /** Makes room for the whole message. @returns false when it is there */
  #grow(): boolean {
    const whole = this.#wholeBytes;
    if (whole <= this.#length) return false;
    const grown = new Uint8Array(whole);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    return true;
  }

  #arrived(message: Uint8Array): void {
    const { dns } = this.#request.stack.stats;
    const reply = readReply(this.#request.query, message);
    if (typeof reply !== 'string') {
      this.#finish(reply);
      return;
    }
    dns[reply]++;
    this.#finish('EBADRESP');
  }

  #finish(reply: DnsMessage | 'EBADRESP' | 'ECONNREFUSED'): void {
    if (this.#endpoint === undefined) return;
    this.cancel();
    this.#request.done(reply);
  }
}
