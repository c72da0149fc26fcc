/** One socket behind a file descriptor: what Berkeley's calls know of it, over the stack's endpoints. */
import type { ConnectOptions } from '../../stack/stack.js';
import type { TcpBinding } from '../../stack/tcp-binding.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../stack/tcp-endpoint.js';
import type { TcpListenerEndpoint } from '../../stack/tcp-listener-endpoint.js';
import type { IpFamily } from '../../wire/ip-address.js';

import { SYMBOLS } from './symbols.js';

/** Settings of a connection, to be changed until it begins. */
export type Settings = { -readonly [K in keyof ConnectionSettings]: ConnectionSettings[K] };
type ConnectionSettings = NonNullable<ConnectOptions['options']>;

const { POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLRDNORM, POLLWRNORM, POLLRDHUP } = SYMBOLS;
/** Linux calls a socket writable from a third of its buffer on; so does the stack's `onWritable`. */
const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM;

export class Socket implements TcpEndpointHandler {
  readonly fd: number;
  readonly family: IpFamily;
  isNonBlocking = false;
  /** Options by `level:name`, as they were set, to be read back. */
  readonly asked = new Map<string, number>();
  settings: Settings;
  reusePort = false;
  ipv6Only = false;
  binding: TcpBinding | undefined;
  listener: TcpListenerEndpoint | undefined;
  endpoint: TcpEndpoint | undefined;
  /** Whether `connect` is under way, or has ended and not been told. */
  connecting: 'no' | 'pending' | 'untold' = 'no';
  isConnected = false;
  /** `SO_ERROR`. */
  error = '';
  isPeerClosed = false;
  /** The connection is over. */
  isOver = false;
  isReadShut = false;
  isWriteShut = false;
  /** A write was refused room, and none has been offered since. */
  isFull = false;
  /** Counts what happened, so that an edge shows. */
  changes = 0;
  readonly #onChange: () => void;

  constructor(fd: number, family: IpFamily, settings: Settings, onChange: () => void) {
    this.fd = fd;
    this.family = family;
    this.settings = settings;
    this.#onChange = onChange;
  }

  /** Becomes the owner of a connection. */
  adopt(endpoint: TcpEndpoint): void {
    this.endpoint = endpoint;
    endpoint.handler = this;
  }

  /** The pending error, which is told once. */
  takeError(): string {
    const { error } = this;
    this.error = '';
    return error;
  }

  /** `POLL*` bits that hold now, as Linux's `tcp_poll` computes them. */
  get readiness(): number {
    const { endpoint, listener } = this;
    if (listener !== undefined) return listener.ready > 0 ? READABLE : 0;
    let bits = this.error === '' ? 0 : POLLERR;
    if (endpoint === undefined) return bits | WRITABLE | POLLHUP;
    if (this.connecting === 'pending') return bits;
    const hasEnded = this.isPeerClosed || this.isReadShut || this.isOver;
    if (this.isOver || (this.isWriteShut && hasEnded)) bits |= POLLHUP;
    if (hasEnded) bits |= READABLE | POLLRDHUP;
    if (endpoint.readableBytes > 0) bits |= READABLE;
    if (endpoint.urgentBytes > 0) bits |= POLLPRI;
    const hasRoom = !this.isFull && endpoint.writableBytes > 0;
    if (hasRoom || this.isWriteShut || this.isOver) bits |= WRITABLE;
    return bits;
  }

  // ---- what the endpoint tells ----------------------------------------------------------------

  onConnect(): void {
    this.isConnected = true;
    if (this.connecting === 'pending') this.connecting = 'untold';
    this.changed();
  }

  onReadable(): void {
    this.changed();
  }

  onWritable(): void {
    this.isFull = false;
    this.changed();
  }

  onEnd(): void {
    this.isPeerClosed = true;
    this.changed();
  }

  onUrgent(): void {
    this.changed();
  }

  onClose(errorCode: string): void {
    this.isOver = true;
    this.error = errorCode;
    if (this.connecting === 'pending') this.connecting = 'untold';
    this.changed();
  }

  changed(): void {
    this.changes++;
    this.#onChange();
  }
}
