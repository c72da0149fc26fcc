/**
 * Multicast groups that ports have joined, and from which sources. Whoever joins is a listener with a
 * filter; a group is left when its last listener has left. What all listeners of a link want together is
 * told to whoever reports it there (RFC 3376 §3.2).
 */
import { ArgumentValueError, StackError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import { AddressSet } from './address-set.js';
import { IGMP_PROTOCOL } from './multicast/igmp.js';
import { ANY_SOURCE, mergeFilters, NO_SOURCE, type SourceFilter } from './multicast/source-filter.js';

/** Groups every host is in, and cannot leave: 224.0.0.1 (RFC 1112 §4) and ff02::1 (RFC 4291 §2.8). */
const ALL_HOSTS_V4 = 0xe000_0001 | 0;
const ALL_NODES_V6 = 0xff02_0000 | 0;

/**
 * A listener for the stack's own use, of which no report speaks: groups of own addresses matter to neighbour
 * discovery only, which links of plain IP packets do not have.
 */
export const SILENT: SourceFilter = Object.freeze({ ...ANY_SOURCE });
/** The same on links with neighbours, where switches learn from reports who wants a group. */
export const REPORTED: SourceFilter = Object.freeze({ ...ANY_SOURCE });

interface Member {
  readonly group: IpAddress;
  readonly port: number;
  readonly listeners: SourceFilter[];
  filter: SourceFilter;
}

/** Hears what the listeners of a group on a link, the silent ones apart, want together from now on. */
export type FilterListener = (port: number, group: IpAddress, filter: SourceFilter) => void;

export class GroupTable {
  onFilter: FilterListener = () => {};
  readonly #limit: number;
  #members: Member[] = [];
  /** For each port its groups, by place in `#members`, to be asked for every multicast packet. */
  #quick: AddressSet[] = [];

  /** @param limit most groups of all ports together */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Adds a listener. When it changes its mind, `filterChanged` must be called.
   * @throws ArgumentValueError for no group, StackError ENOBUFS for one too many
   */
  join(port: number, group: IpAddress, listener: SourceFilter = ANY_SOURCE): void {
    if (!group.isMulticast) throw new ArgumentValueError(`not a multicast group: ${group}`);
    let member = this.#find(port, group);
    if (member === undefined) {
      if (this.#members.length >= this.#limit) {
        throw new StackError('ENOBUFS', 'addMembership', group.toString());
      }
      member = { group, port, listeners: [], filter: NO_SOURCE };
      this.#members.push(member);
      this.#fill(port);
    }
    member.listeners.push(listener);
    this.#merge(member);
  }

  /** @throws StackError EADDRNOTAVAIL when the listener is not in the group on that port */
  leave(port: number, group: IpAddress, listener: SourceFilter = ANY_SOURCE): void {
    const member = this.#find(port, group);
    const at = member?.listeners.indexOf(listener) ?? -1;
    if (member === undefined || at < 0) {
      throw new StackError('EADDRNOTAVAIL', 'dropMembership', group.toString());
    }
    member.listeners.splice(at, 1);
    if (member.listeners.length === 0) {
      this.#members = this.#members.filter((other) => other !== member);
      for (let i = 0; i < this.#quick.length; i++) this.#fill(i);
    }
    this.#merge(member);
  }

  /** A listener of a group wants other sources than before. */
  filterChanged(port: number, group: IpAddress): void {
    const member = this.#find(port, group);
    if (member !== undefined) this.#merge(member);
  }

  portRemoved(port: number): void {
    this.#members = this.#members.filter((member) => member.port !== port);
    for (let i = 0; i < this.#quick.length; i++) this.#fill(i);
  }

  /** Whether the port a packet came in through listens to the group it goes to, and to its source. */
  hears(packet: IpPacket): boolean {
    const { link, d0, d1, d2, d3 } = packet;
    if (packet.version === 4 ? d3 === ALL_HOSTS_V4 : d0 === ALL_NODES_V6 && (d1 | d2) === 0 && d3 === 1)
      return true;
    const place = link < this.#quick.length ? this.#quick[link].get(d0, d1, d2, d3) : -1;
    return place >= 0 && passesPacket(this.#members[place].filter, packet);
  }

  /** Whether a port is in a group: one that somebody joined, or one that every host is in. */
  has(port: number, group: IpAddress): boolean {
    if (group.family === 4 && group.w3 === ALL_HOSTS_V4) return true;
    if (group.w0 === ALL_NODES_V6 && (group.w1 | group.w2) === 0 && group.w3 === 1) return true;
    return this.#find(port, group) !== undefined;
  }

  list(): readonly { readonly group: IpAddress; readonly port: number; readonly filter: SourceFilter }[] {
    return this.#members;
  }

  #find(port: number, group: IpAddress): Member | undefined {
    return this.#members.find((member) => member.port === port && member.group.equals(group));
  }

  #merge(member: Member): void {
    member.filter = mergeFilters(member.listeners);
    const heard = member.listeners.filter((listener) => listener !== SILENT);
    this.onFilter(member.port, member.group, mergeFilters(heard));
  }

  #fill(port: number): void {
    while (this.#quick.length <= port) this.#quick.push(new AddressSet());
    const quick = this.#quick[port];
    quick.clear();
    for (let i = 0; i < this.#members.length; i++) {
      if (this.#members[i].port === port) quick.set(this.#members[i].group, i);
    }
  }
}

/**
 * As `passes`, for the source of a packet. Queriers are heard whoever they are: IGMP, and what has options
 * before it as MLD has.
 */
function passesPacket({ includes, sources }: SourceFilter, packet: IpPacket): boolean {
  const { s0, s1, s2, s3 } = packet;
  if (packet.protocol === (packet.version === 4 ? IGMP_PROTOCOL : Protocol.HopByHop)) return true;
  for (let i = 0; i < sources.length; i++) {
    const source = sources[i];
    if (source.w3 === s3 && source.w2 === s2 && source.w1 === s1 && source.w0 === s0) return includes;
  }
  return !includes;
}

/** The solicited-node group of an address (RFC 4291 §2.7.1). */
export const solicitedNode = (address: IpAddress): IpAddress =>
  IpAddress.v6(ALL_NODES_V6, 0, 1, 0xff00_0000 | (address.w3 & 0x00ff_ffff));
