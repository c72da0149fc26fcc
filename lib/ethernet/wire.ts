/** What the protocols of an Ethernet link share: who they are, and how they speak. The link provides it. */
import type { Clock } from '../base/clock.js';
import type { Random } from '../base/random.js';
import type { LinkHost } from '../link/link-host.js';
import type { IpAddress, IpPrefix } from '../wire/ip-address.js';
import type { EthernetCounters } from './counters.js';
import type { MacAddress } from './mac-address.js';

export interface EthernetWire {
  readonly clock: Clock;
  readonly random: Random;
  readonly mac: MacAddress;
  readonly counters: EthernetCounters;
  /** The stack; undefined until the link was added to one. */
  host: LinkHost | undefined;
  /** Networks of others that the link answers for. */
  readonly proxied: readonly IpPrefix[];
  /** Sends one frame; what finds no room is counted and lost. */
  sendFrame(destination: MacAddress, etherType: number, payload: Uint8Array): void;
  /** Sends an IPv6 packet of neighbour discovery: to the Ethernet address of its group, or to a neighbour's. */
  sendNd(packet: Uint8Array, destination: IpAddress, mac?: MacAddress): void;
}

/** Whether the link answers for an address of somebody else's; never for one that asks or is asked for itself. */
export const isProxied = ({ proxied }: EthernetWire, target: IpAddress, asker: IpAddress): boolean =>
  !target.equals(asker) && proxied.some((network) => network.contains(target)) && !asker.isUnspecified;
