/** What stacks, links, listeners and connections are made with. */
import type { Clock } from '../base/clock.js';
import type { Probe } from '../base/probe.js';
import type { Random } from '../base/random.js';
import type { LinkIpOptions } from '../ip/link-options.js';
import type { IpOptions } from '../ip/options.js';
import type { TcpLayerOptions, TcpOptions } from '../tcp/options.js';
import type { UdpOptions } from '../udp/options.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { DnsOptions } from './dns-options.js';

/**
 * What a stack is made with: a clock and randomness, and what is to differ from the defaults. An unknown
 * option is an error.
 */
export interface StackOptions {
  /** `SystemClock` in service, `VirtualClock` in simulations. */
  readonly clock: Clock;
  /** `SystemRandom` in service, as keys and sequence numbers come from it; `SeededRandom` in simulations. */
  readonly random: Random;
  /** Settings of IP. */
  readonly ip?: Partial<IpOptions>;
  /** Settings of UDP. */
  readonly udp?: Partial<UdpOptions>;
  /** Name servers, search domains and hosts of `stack.dns`. */
  readonly dns?: DnsOptions;
  /** Hears of every connection of the stack. */
  readonly probe?: Probe;
  /** Settings of TCP; `connection` has the defaults of every connection. */
  readonly tcp?: Partial<Omit<TcpLayerOptions, 'connection'>> & { connection?: Partial<TcpOptions> };
}

/** What a link is added with. */
export interface LinkOptions {
  /** Addresses of the stack on this link, with prefix lengths: `10.0.0.2/24`, `fd00::2/64`. */
  readonly addresses?: readonly string[];
  /** Whether default routes for the families of those addresses lead here; false by default. */
  readonly defaultRoute?: boolean;
  /** Settings of IP for this link, in place of the stack's. */
  readonly ip?: Partial<LinkIpOptions>;
}

/** Where and how to listen. */
export interface ListenOptions {
  /** `::` by default, which takes IPv4 too. */
  readonly address?: string | IpAddress;
  /** 0 for any free one. */
  readonly port: number;
  /** Most connections waiting to be accepted; 511 by default. */
  readonly backlog?: number;
  /** With `::`, do not take IPv4; false by default. */
  readonly ipv6Only?: boolean;
  /** Share the port with other listeners that ask for it too; false by default. */
  readonly reusePort?: boolean;
  /** Index of the link (`addLink`) to accept from, and where its connections then live alone; all by default. */
  readonly link?: number;
  /** Settings of the connections accepted, in place of the stack's. */
  readonly options?: Partial<TcpOptions>;
}

/** Where and how to connect. */
export interface ConnectOptions {
  /** The address of the peer; the unspecified one means this stack. */
  readonly address: string | IpAddress;
  /** The port of the peer. */
  readonly port: number;
  /** Chosen by the routes by default. */
  readonly localAddress?: string | IpAddress;
  /** An ephemeral one by default. */
  readonly localPort?: number;
  /** Index of the link (`addLink`) to leave by, which a link-local address needs; the routes choose by default. */
  readonly link?: number;
  /**
   * Written at once. With the option `fastOpen` it goes with the SYN, as far as a segment takes it and the server
   * is known; what is written before the present turn ends does so too.
   */
  readonly data?: Uint8Array;
  /** Settings of the connection, in place of the stack's. */
  readonly options?: Partial<TcpOptions>;
}
