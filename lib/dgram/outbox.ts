/** Datagrams on their way to an endpoint, and those that wait while the link is full. */
import type { IpAddress } from '../wire/ip-address.js';
import type { DgramStack, UdpEndpoint } from './dgram-stack.js';
import { errnoOf, errnoOfError } from './errno.js';

/** One call of `send`, told later how it went if it could not be told at once. */
export interface SendRequest {
  oncomplete?: ((errno: number, bytes: number) => void) | undefined;
}

/** A datagram with the place it goes to; without one it goes to the peer the socket is connected to. */
export interface Outgoing {
  readonly data: readonly Uint8Array[];
  readonly destination: IpAddress | undefined;
  readonly port: number;
  /** Index of the link it must leave by; 0 for any. */
  readonly link: number;
}

interface Waiting {
  readonly request: SendRequest;
  readonly datagram: Outgoing;
  readonly bytes: number;
}

/** Send buffer of a new socket, bytes (Linux wmem_default). */
export const DEFAULT_SEND_BUFFER_BYTES = 212_992;

/** The link is full. */
const FULL = 0;

export class Outbox {
  /** Most bytes that may wait. A datagram that finds no room is refused with `ENOBUFS`. */
  limitBytes = DEFAULT_SEND_BUFFER_BYTES;
  readonly #endpoint: UdpEndpoint;
  readonly #stats: DgramStack['stats'];
  #waiting: Waiting[] = [];
  #waitingBytes = 0;

  constructor(endpoint: UdpEndpoint, stats: DgramStack['stats']) {
    this.#endpoint = endpoint;
    this.#stats = stats;
  }

  get count(): number {
    return this.#waiting.length;
  }

  get bytes(): number {
    return this.#waitingBytes;
  }

  /**
   * Sends, or keeps until the link takes packets again; what is kept belongs to the caller until told.
   * @returns bytes sent plus 1; 0 when it is kept, and `request` will be told; or an error's number
   */
  send(request: SendRequest, datagram: Outgoing): number {
    let bytes = 0;
    for (const { byteLength } of datagram.data) bytes += byteLength;
    if (this.#waiting.length === 0) {
      const outcome = this.#trySend(datagram, bytes);
      if (outcome !== FULL) return outcome;
    }
    if (this.#waitingBytes + bytes > this.limitBytes) {
      this.#stats.udp.sndbufErrors++;
      return errnoOf('ENOBUFS');
    }
    this.#waiting.push({ request, datagram, bytes });
    this.#waitingBytes += bytes;
    return FULL;
  }

  /** The link takes packets again. */
  flush(): void {
    const done: { request: SendRequest; outcome: number }[] = [];
    for (const { request, datagram, bytes } of this.#waiting) {
      const outcome = this.#trySend(datagram, bytes);
      if (outcome === FULL) break;
      this.#waitingBytes -= bytes;
      done.push({ request, outcome });
    }
    this.#waiting.splice(0, done.length);
    for (const { request, outcome } of done) tell(request, Math.min(outcome, 0), Math.max(outcome - 1, 0));
  }

  /** The socket is closed: what waits is not sent. */
  clear(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const { request } of waiting) tell(request, errnoOf('ECANCELED'), 0);
  }

  #trySend({ data, destination, port, link }: Outgoing, bytes: number): number {
    const content = data.length === 1 ? data[0] : data;
    try {
      const isSent =
        destination === undefined
          ? this.#endpoint.send(content)
          : this.#endpoint.send(content, link === 0 ? { destination, port } : { destination, port, link });
      return isSent ? bytes + 1 : FULL;
    } catch (error) {
      return errnoOfError(error);
    }
  }
}

/** Without a callback nobody hears of it, as in Node. */
function tell(request: SendRequest, errno: number, bytes: number): void {
  if (request.oncomplete !== undefined) process.nextTick(() => request.oncomplete?.(errno, bytes));
}
