/** A port that listens, for those who do not want Node's servers. */
import type { TcpListener } from '../tcp/listener.js';
import type { ListenRequest } from '../tcp/listeners.js';
import { resolveTcpOptions, type TcpOptions } from '../tcp/options.js';
import type { IpAddress } from '../wire/ip-address.js';
import { type EndpointHost, TcpEndpoint } from './tcp-endpoint.js';

type ListenerOwner = Required<Pick<ListenRequest, 'onConnection' | 'onClosed'>>;

/**
 * A port that accepts connections: made by `Stack.listenTcp`.
 * @hideconstructor
 */
export class TcpListenerEndpoint {
  /** Called when a connection can be accepted; call `accept` until it gives none. */
  onConnection: () => void = () => {};
  /** Called when the stack has been closed, and this listener with it. */
  onClosed: () => void = () => {};
  readonly #host: EndpointHost;
  readonly #listener: TcpListener;

  constructor(host: EndpointHost, listen: (told: ListenerOwner) => TcpListener) {
    this.#host = host;
    this.#listener = listen({ onConnection: () => this.onConnection(), onClosed: () => this.onClosed() });
  }

  /** The address it listens on; unspecified for all. */
  get localAddress(): IpAddress {
    return this.#listener.address;
  }

  /** The port. */
  get localPort(): number {
    return this.#listener.port;
  }

  /**
   * Changes a setting of the connections accepted from now on; those there are keep theirs.
   * @throws ArgumentTypeError, ArgumentRangeError, ArgumentValueError
   */
  setOption<K extends keyof TcpOptions>(name: K, value: TcpOptions[K]): void {
    this.#listener.options = resolveTcpOptions({ [name]: value }, this.#listener.options);
  }

  /** A setting of the connections accepted from now on. */
  getOption<K extends keyof TcpOptions>(name: K): TcpOptions[K] {
    return this.#listener.options[name];
  }

  /** Connections waiting to be accepted. */
  get ready(): number {
    return this.#listener.ready;
  }

  /** The connection that has waited longest; undefined when none waits. */
  accept(): TcpEndpoint | undefined {
    const entry = this.#host.tcp.accept(this.#listener);
    if (entry === undefined) return undefined;
    this.#host.schedule();
    return new TcpEndpoint(this.#host, entry);
  }

  /** Stops listening; connections nobody accepted are reset. */
  close(): void {
    this.#host.tcp.closeListener(this.#listener);
    this.#host.schedule();
  }
}
