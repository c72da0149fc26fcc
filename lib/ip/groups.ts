/**
 * Multicast groups that ports have joined, counted: a group is left when everybody who joined it has
 * left. Membership is local; no IGMP or MLD message is sent.
 */
import { ArgumentValueError, StackError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { AddressSet } from './address-set.js';

/** Groups every host is in, and cannot leave: 224.0.0.1 (RFC 1112 §4) and ff02::1 (RFC 4291 §2.8). */
const ALL_HOSTS_V4 = 0xe000_0001 | 0;
const ALL_NODES_V6 = 0xff02_0000 | 0;

interface Membership {
  readonly group: IpAddress;
  readonly port: number;
  users: number;
}

export class GroupTable {
  readonly #limit: number;
  #members: Membership[] = [];
  /** For each port its groups, to be asked for every multicast packet. */
  #quick: AddressSet[] = [];

  /** @param limit most memberships */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @throws ArgumentValueError for no group, StackError ENOBUFS for one too many */
  join(port: number, group: IpAddress): void {
    if (!group.isMulticast) throw new ArgumentValueError(`not a multicast group: ${group}`);
    const member = this.#find(port, group);
    if (member !== undefined) {
      member.users++;
      return;
    }
    if (this.#members.length >= this.#limit)
      throw new StackError('ENOBUFS', 'addMembership', group.toString());
    this.#members.push({ group, port, users: 1 });
    this.#fill(port);
  }

  /** @throws StackError EADDRNOTAVAIL when the port is not in the group */
  leave(port: number, group: IpAddress): void {
    const member = this.#find(port, group);
    if (member === undefined) throw new StackError('EADDRNOTAVAIL', 'dropMembership', group.toString());
    if (--member.users > 0) return;
    this.#members = this.#members.filter((other) => other !== member);
    this.#fill(port);
  }

  portRemoved(port: number): void {
    this.#members = this.#members.filter((member) => member.port !== port);
    this.#fill(port);
  }

  /** Whether the port a packet came in through listens to the group it goes to. */
  hears(packet: IpPacket): boolean {
    const { link, d0, d1, d2, d3 } = packet;
    if (packet.version === 4 ? d3 === ALL_HOSTS_V4 : d0 === ALL_NODES_V6 && (d1 | d2) === 0 && d3 === 1)
      return true;
    return link < this.#quick.length && this.#quick[link].get(d0, d1, d2, d3) >= 0;
  }

  /** Whether a port is in a group: one that somebody joined, or one that every host is in. */
  has(port: number, group: IpAddress): boolean {
    if (group.family === 4 && group.w3 === ALL_HOSTS_V4) return true;
    if (group.w0 === ALL_NODES_V6 && (group.w1 | group.w2) === 0 && group.w3 === 1) return true;
    return this.#find(port, group) !== undefined;
  }

  list(): readonly { readonly group: IpAddress; readonly port: number; readonly users: number }[] {
    return this.#members;
  }

  #find(port: number, group: IpAddress): Membership | undefined {
    return this.#members.find((member) => member.port === port && member.group.equals(group));
  }

  #fill(port: number): void {
    while (this.#quick.length <= port) this.#quick.push(new AddressSet());
    const quick = this.#quick[port];
    quick.clear();
    for (const member of this.#members) if (member.port === port) quick.set(member.group, member.users);
  }
}

/** The solicited-node group of an address (RFC 4291 §2.7.1). */
export const solicitedNode = (address: IpAddress): IpAddress =>
  IpAddress.v6(ALL_NODES_V6, 0, 1, 0xff00_0000 | (address.w3 & 0x00ff_ffff));
