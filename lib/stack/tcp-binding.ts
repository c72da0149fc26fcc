/** A local address and port that is taken and not yet used: what `bind` gives before `listen` or `connect`. */
import { StackError } from '../base/errors.js';
import type { PortClaim } from '../tcp/ports.js';
import type { TcpLayer } from '../tcp/tcp-layer.js';
import { ANY_V6, type IpAddress } from '../wire/ip-address.js';
import { checkPort, toAddress } from './arguments.js';
import type { ConnectOptions, ListenOptions } from './stack.js';
import type { TcpEndpoint } from './tcp-endpoint.js';
import type { TcpListenerEndpoint } from './tcp-listener-endpoint.js';

/** Where to bind, as for `listenTcp`. */
export type BindOptions = Pick<ListenOptions, 'address' | 'port' | 'ipv6Only' | 'reusePort' | 'link'>;

/** What a binding needs of its stack. */
export interface BindingHost {
  readonly tcp: TcpLayer;
  listenTcp(options: ListenOptions): TcpListenerEndpoint;
  connectTcp(options: ConnectOptions): TcpEndpoint;
}

/** A local address and port that is taken and not yet used: made by `Stack.bindTcp`. */
export class TcpBinding {
  readonly #host: BindingHost;
  readonly #options: BindOptions;
  /** undefined once it is used, or given back. */
  #claim: PortClaim | undefined;
  /** The address that was taken. */
  readonly localAddress: IpAddress;
  /** The one that was chosen, where any was asked for. */
  readonly localPort: number;

  /** @internal Use `Stack.bindTcp`. */
  constructor(host: BindingHost, options: BindOptions) {
    const address = toAddress(options.address ?? ANY_V6, 'address');
    this.#host = host;
    this.#options = options;
    this.#claim = host.tcp.bind({
      address,
      port: checkPort(options.port, 'port'),
      dualStack: address.equals(ANY_V6) && options.ipv6Only !== true,
      reusePort: options.reusePort === true,
      link: options.link ?? -1,
    });
    this.localAddress = this.#claim.address;
    this.localPort = this.#claim.port;
  }

  /** Listens here; the port is the listener's from now on. @throws StackError EINVAL when it was used */
  listen(options: Omit<ListenOptions, keyof BindOptions> = {}): TcpListenerEndpoint {
    const { localAddress: address, localPort: port } = this;
    return this.#use('listen', () => this.#host.listenTcp({ ...this.#options, ...options, address, port }));
  }

  /**
   * Connects from here. The port is taken again by whoever wants it, but for the connection's own four-tuple.
   * @throws StackError EINVAL when it was used, and as `Stack.connectTcp`, after which it may be tried again
   */
  connect(options: Omit<ConnectOptions, 'localAddress' | 'localPort'>): TcpEndpoint {
    const { localAddress, localPort } = this;
    return this.#use('connect', () => this.#host.connectTcp({ ...options, localAddress, localPort }));
  }

  /** Gives the port back unless it was used. May be called twice. */
  close(): void {
    if (this.#claim !== undefined) this.#host.tcp.unbind(this.#claim);
    this.#claim = undefined;
  }

  /** The port changes hands; it stays here where that fails. */
  #use<T>(syscall: string, begin: () => T): T {
    const claim = this.#claim;
    if (claim === undefined) throw new StackError('EINVAL', syscall);
    this.close();
    try {
      return begin();
    } catch (error) {
      this.#claim = this.#host.tcp.bind(claim);
      throw error;
    }
  }
}
