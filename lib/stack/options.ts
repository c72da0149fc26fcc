/** What stacks, links, listeners and connections are made with. */
import type { Clock } from '../base/clock.js';
import type { Probe } from '../base/probe.js';
import type { Random } from '../base/random.js';
import type { IpOptions } from '../ip/options.js';
import type { TcpLayerOptions, TcpOptions } from '../tcp/options.js';
import type { UdpOptions } from '../udp/options.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { DnsOptions } from './dns-options.js';

export interface StackOptions {
  readonly clock: Clock;
  /** A CSPRNG in service: keys and sequence numbers come from it. */
  readonly random: Random;
  readonly ip?: Partial<IpOptions>;
  readonly udp?: Partial<UdpOptions>;
  /** Name servers, search domains and hosts of `stack.dns`. */
  readonly dns?: DnsOptions;
  /** Hears of every connection of the stack (`lib/base/probe.ts`). */
  readonly probe?: Probe;
  readonly tcp?: Partial<Omit<TcpLayerOptions, 'connection'>> & { connection?: Partial<TcpOptions> };
}

export interface LinkOptions {
  /** Addresses of the stack on this link, with prefix lengths: `10.0.0.2/24`, `fd00::2/64`. */
  readonly addresses?: readonly string[];
  /** Whether default routes for the families of those addresses lead here; false by default. */
  readonly defaultRoute?: boolean;
}

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
  readonly options?: Partial<TcpOptions>;
}

export interface ConnectOptions {
  readonly address: string | IpAddress;
  readonly port: number;
  /** Chosen by the routes by default. */
  readonly localAddress?: string | IpAddress;
  /** An ephemeral one by default. */
  readonly localPort?: number;
  /**
   * Written at once. With the option `fastOpen` it goes with the SYN, as far as a segment takes it and the server
   * is known; what is written before the present turn ends does so too.
   */
  readonly data?: Uint8Array;
  readonly options?: Partial<TcpOptions>;
}
