/** Datagrams on their way to an endpoint, and those that wait while the link is full. */
import { codeOf, hostPortError } from '../net/node-errors.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { DgramStack, UdpEndpoint } from './dgram-stack.js';
import type { Message } from './send-arguments.js';

/** A message with the place it goes to; without one it goes to the peer the socket is connected to. */
export interface Outgoing extends Message {
  readonly destination: IpAddress | undefined;
  /** Index of the link it must leave by; 0 for any. */
  readonly link: number;
}

/** Send buffer of a new socket, bytes (Linux wmem_default). */
export const DEFAULT_SEND_BUFFER_BYTES = 212_992;

export class Outbox {
  /** Most bytes that may wait. A datagram that finds no room is refused with `ENOBUFS`. */
  limitBytes = DEFAULT_SEND_BUFFER_BYTES;
  readonly #endpoint: UdpEndpoint;
  readonly #stats: DgramStack['stats'];
  #waiting: { datagram: Outgoing; bytes: number }[] = [];
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

  /** Sends, or keeps until the link takes packets again. What is kept belongs to the caller until told. */
  send(datagram: Outgoing): void {
    let bytes = 0;
    for (const { length } of datagram.data) bytes += length;
    if (this.#waiting.length === 0 && this.#trySend(datagram, bytes)) return;
    if (this.#waitingBytes + bytes > this.limitBytes) {
      this.#stats.udp.sndbufErrors++;
      fail(datagram, 'ENOBUFS');
      return;
    }
    this.#waiting.push({ datagram, bytes });
    this.#waitingBytes += bytes;
  }

  /** The link takes packets again. */
  flush(): void {
    let sent = 0;
    for (const { datagram, bytes } of this.#waiting) {
      if (!this.#trySend(datagram, bytes)) break;
      this.#waitingBytes -= bytes;
      sent++;
    }
    this.#waiting.splice(0, sent);
  }

  /** The socket is closed: what waits is not sent. */
  clear(): void {
    for (const { datagram } of this.#waiting) fail(datagram, 'ECANCELED');
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** @returns false when the link is full; everything else is told */
  #trySend(datagram: Outgoing, bytes: number): boolean {
    const { data, destination, port, link } = datagram;
    try {
      const content = data.length === 1 ? data[0] : data;
      const isSent =
        destination === undefined || port === undefined
          ? this.#endpoint.send(content)
          : this.#endpoint.send(content, link === 0 ? { destination, port } : { destination, port, link });
      if (!isSent) return false;
      if (datagram.callback !== undefined) process.nextTick(datagram.callback, null, bytes);
    } catch (error) {
      fail(datagram, codeOf(error));
    }
    return true;
  }
}

/** Without a callback nobody hears of it, as in Node. */
function fail({ callback, address, port }: Outgoing, code: string): void {
  if (callback !== undefined) process.nextTick(callback, hostPortError(code, 'send', { address, port }));
}
