/** What the sockets of one stack share. */
import type { StackStats } from '../base/stats.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { IpAddressCache } from './address-cache.js';
import type { DatagramCarrier } from './carrier.js';
import type { EndpointTable } from './endpoint-table.js';
import type { UdpOptions } from './options.js';
import type { UdpEndpoint } from './udp-endpoint.js';

export interface UdpContext {
  readonly ip: DatagramCarrier;
  readonly stats: StackStats;
  readonly options: UdpOptions;
  readonly reserved: ReadonlySet<number>;
  readonly table: EndpointTable<UdpEndpoint>;
  readonly addresses: IpAddressCache;
  /** Bytes in all receive queues. */
  memoryBytes: number;
  /** Puts a socket on the list of those whose owners have something to hear. */
  touch(endpoint: UdpEndpoint): void;
  /** Will be told when links take packets again. */
  awaitRoom(endpoint: UdpEndpoint): void;
  /** Gives what is being sent to the members of its group on this host. */
  loopBack(packet: IpPacket): void;
  /** Forgets a socket that was closed. */
  closed(endpoint: UdpEndpoint): void;
}
