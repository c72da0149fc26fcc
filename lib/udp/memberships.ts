/**
 * The multicast groups of one socket, with the sources each may or may not come from (RFC 3376 §2).
 * Where no link is named, routes choose one.
 */
import { ArgumentValueError, StackError } from '../base/errors.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { DatagramCarrier, GroupFilter } from './carrier.js';

interface Membership extends GroupFilter {
  readonly group: IpAddress;
  readonly link: number;
  /** Whether `sources` are the only ones taken (INCLUDE), or those not taken (EXCLUDE). */
  includes: boolean;
  sources: IpAddress[];
}

export type GroupHost = Pick<DatagramCarrier, 'groupFilterChanged' | 'joinGroup' | 'leaveGroup' | 'linkTo'>;

/** The multicast groups of one socket. Links are named by index; where none is, the routes choose. */
export class Memberships {
  readonly #host: GroupHost;
  readonly #limits: { readonly maxMemberships: number; readonly maxSources: number };
  #members: Membership[] = [];

  constructor(host: GroupHost, limits: { readonly maxMemberships: number; readonly maxSources: number }) {
    this.#host = host;
    this.#limits = limits;
  }

  /** How many groups, each link counted by itself. */
  get count(): number {
    return this.#members.length;
  }

  /** Joins a group, any source. @throws EADDRINUSE when it is joined already, ENOBUFS at the limit */
  join(group: IpAddress, link = this.#host.linkTo(group)): void {
    checkGroup(group);
    if (this.#find(group, link) !== undefined) throw trouble('EADDRINUSE', 'addMembership', group);
    this.#add({ group, link, includes: false, sources: [] });
  }

  /** Leaves a group. @throws EADDRNOTAVAIL when it is not joined */
  leave(group: IpAddress, link = this.#host.linkTo(group)): void {
    checkGroup(group);
    const member = this.#find(group, link);
    if (member === undefined) throw trouble('EADDRNOTAVAIL', 'dropMembership', group);
    this.#remove(member);
  }

  /**
   * Joins a group for one source more. A membership for any source, none of them blocked, becomes one for
   * this source, as on Linux.
   * @throws EINVAL when sources of it are blocked, EADDRNOTAVAIL for a source it has, else as `join`
   */
  joinSource(group: IpAddress, source: IpAddress, link = this.#host.linkTo(group)): void {
    checkGroup(group);
    const member = this.#find(group, link);
    if (member === undefined) {
      this.#add({ group, link, includes: true, sources: [source] });
      return;
    }
    if (!member.includes && member.sources.length > 0) {
      throw trouble('EINVAL', 'addSourceSpecificMembership', group);
    }
    this.#addSource(member, source, 'addSourceSpecificMembership', true);
  }

  /**
   * Takes no more from one source; with the last, the membership ends.
   * @throws EINVAL when the group is not joined by source, EADDRNOTAVAIL when not for this one
   */
  leaveSource(group: IpAddress, source: IpAddress, link = this.#host.linkTo(group)): void {
    checkGroup(group);
    const member = this.#find(group, link);
    if (member?.includes !== true) throw trouble('EINVAL', 'dropSourceSpecificMembership', group);
    this.#removeSource(member, source, 'dropSourceSpecificMembership');
  }

  /** Takes no more from one source of a group joined for any. @throws EINVAL when it is not */
  block(group: IpAddress, source: IpAddress, link = this.#host.linkTo(group)): void {
    const member = this.#find(group, link);
    if (member === undefined || member.includes) throw trouble('EINVAL', 'blockSource', group);
    this.#addSource(member, source, 'blockSource', false);
  }

  /**
   * Takes from a source again that was blocked.
   * @throws EINVAL when the group is not joined for any source, EADDRNOTAVAIL for a source not blocked
   */
  unblock(group: IpAddress, source: IpAddress, link = this.#host.linkTo(group)): void {
    const member = this.#find(group, link);
    if (member === undefined || member.includes) throw trouble('EINVAL', 'unblockSource', group);
    this.#removeSource(member, source, 'unblockSource');
  }

  /**
   * @hidden
   * Whether a multicast packet is for this socket. A socket in no such group takes it when `all` says so
   * (Linux IP_MULTICAST_ALL).
   */
  accepts(packet: IpPacket, all: boolean): boolean {
    for (const { group, link, includes, sources } of this.#members) {
      if (link !== packet.link || group.w3 !== packet.d3 || group.w2 !== packet.d2) continue;
      if (group.w1 !== packet.d1 || group.w0 !== packet.d0) continue;
      return sources.some((source) => isSourceOf(packet, source)) === includes;
    }
    return all;
  }

  /** Leaves every group. */
  leaveAll(): void {
    for (const member of this.#members) this.#leave(member);
    this.#members = [];
  }

  #find(group: IpAddress, link: number): Membership | undefined {
    return this.#members.find((member) => member.link === link && member.group.equals(group));
  }

  #add(member: Membership): void {
    if (this.#members.length >= this.#limits.maxMemberships) {
      throw trouble('ENOBUFS', 'addMembership', member.group);
    }
    if (member.link < 0) throw trouble('ENODEV', 'addMembership', member.group);
    this.#host.joinGroup(member.link, member.group, member);
    this.#members.push(member);
  }

  #remove(member: Membership): void {
    this.#members = this.#members.filter((other) => other !== member);
    this.#leave(member);
  }

  /** The link may be gone, and its groups with it. */
  #leave(member: Membership): void {
    try {
      this.#host.leaveGroup(member.link, member.group, member);
    } catch (error) {
      if (!(error instanceof StackError) || error.code !== 'EADDRNOTAVAIL') throw error;
    }
  }

  #addSource(member: Membership, source: IpAddress, syscall: string, includes: boolean): void {
    if (member.sources.some((other) => other.equals(source))) {
      throw trouble('EADDRNOTAVAIL', syscall, member.group);
    }
    if (member.sources.length >= this.#limits.maxSources) throw trouble('ENOBUFS', syscall, member.group);
    member.includes = includes;
    member.sources = [...member.sources, source];
    this.#host.groupFilterChanged(member.link, member.group);
  }

  /** A membership by source ends with its last source. */
  #removeSource(member: Membership, source: IpAddress, syscall: string): void {
    const left = member.sources.filter((other) => !other.equals(source));
    if (left.length === member.sources.length) throw trouble('EADDRNOTAVAIL', syscall, member.group);
    if (member.includes && left.length === 0) {
      this.#remove(member);
      return;
    }
    member.sources = left;
    this.#host.groupFilterChanged(member.link, member.group);
  }
}

const isSourceOf = (packet: IpPacket, source: IpAddress): boolean =>
  source.w3 === packet.s3 && source.w2 === packet.s2 && source.w1 === packet.s1 && source.w0 === packet.s0;

function checkGroup(group: IpAddress): void {
  if (!group.isMulticast) throw new ArgumentValueError(`not a multicast group: ${group}`);
}

const trouble = (code: string, syscall: string, group: IpAddress): StackError =>
  new StackError(code, syscall, group.toString());
