/** The calls of a handle that concern multicast, with what libuv and Linux make of their arguments. */
import { isIPv4 } from 'node:net';
import type { IpAddress } from '../wire/ip-address.js';
import type { UdpEndpoint } from './dgram-stack.js';
import { errnoOf } from './errno.js';
import { type Links, readFamily } from './places.js';

/** A group, and the link named with it. Undefined where routes are to choose. */
interface Target {
  readonly group: IpAddress;
  readonly link: number | undefined;
}

/** Binds the endpoint, which who joins a group first may leave to others. */
export interface GroupsHost {
  bindForGroups(): void;
}

/** By route: see `multicastLink` of a UDP socket. */
const BY_ROUTE = -1;

/** Each call answers with 0 or the number of an error, or throws what the endpoint threw. */
export class HandleGroups {
  readonly #endpoint: UdpEndpoint;
  readonly #links: Links;
  readonly #host: GroupsHost;

  constructor(endpoint: UdpEndpoint, links: Links, host: GroupsHost) {
    this.#endpoint = endpoint;
    this.#links = links;
    this.#host = host;
  }

  setInterface(text: string): number {
    const endpoint = this.#endpoint;
    const family = isIPv4(text) ? 4 : 6;
    const chosen = linkNamed(text, family, this.#links);
    if (chosen === 'EINVAL') return errnoOf(chosen);
    if (endpoint.localPort === 0) return errnoOf('EBADF');
    if (family === 6 && endpoint.family === 4) return errnoOf('ENOPROTOOPT');
    if (typeof chosen === 'string') return errnoOf(chosen);
    endpoint.setOptions({ multicastLink: chosen });
    return 0;
  }

  join(group: string, link: string | null | undefined): number {
    const target = this.#aim(group, link);
    if (typeof target === 'number') return target;
    this.#endpoint.memberships.join(target.group, target.link);
    return 0;
  }

  leave(group: string, link: string | null | undefined): number {
    const target = this.#aim(group, link);
    // Linux looks for the membership before it looks at what was asked for.
    const isLost = typeof target === 'number' ? target === errnoOf('ENODEV') : !target.group.isMulticast;
    if (isLost && isIPv4(group)) return errnoOf('EADDRNOTAVAIL');
    if (typeof target === 'number') return target;
    this.#endpoint.memberships.leave(target.group, target.link);
    return 0;
  }

  joinSource(source: string, group: string, link: string | null | undefined): number {
    const target = this.#aimSource(source, group, link);
    if (typeof target === 'number') return target;
    this.#endpoint.memberships.joinSource(target.group, target.from, target.link);
    return 0;
  }

  leaveSource(source: string, group: string, link: string | null | undefined): number {
    const target = this.#aimSource(source, group, link);
    if (typeof target === 'number') return target;
    this.#endpoint.memberships.leaveSource(target.group, target.from, target.link);
    return 0;
  }

  /** @returns the number of an error, or what is meant */
  #aim(group: string, link: string | null | undefined): number | Target {
    const family = isIPv4(group) ? 4 : 6;
    const place = readFamily(group, family, this.#links);
    if (place === undefined) return errnoOf('EINVAL');
    this.#host.bindForGroups();
    // Linux sets options of IPv4 on sockets of IPv6 too, not the other way round.
    if (family === 6 && this.#endpoint.family === 4) return errnoOf('ENOPROTOOPT');
    const chosen = link === undefined || link === null ? BY_ROUTE : linkNamed(link, family, this.#links);
    if (typeof chosen === 'string') return errnoOf(chosen === 'EADDRNOTAVAIL' ? 'ENODEV' : chosen);
    return { group: place.address, link: chosen === BY_ROUTE ? undefined : chosen };
  }

  #aimSource(
    source: string,
    group: string,
    link: string | null | undefined,
  ): number | (Target & { from: IpAddress }) {
    const from = readFamily(source, isIPv4(group) ? 4 : 6, this.#links);
    const target = this.#aim(group, link);
    if (from === undefined) return errnoOf('EINVAL');
    return typeof target === 'number' ? target : { ...target, from: from.address };
  }
}

/**
 * The link a caller names: for IPv4 by one of its addresses, for IPv6 as a zone of any address
 * (`::%tun0`). @returns its index, `BY_ROUTE` where none is named, or the code of an error
 */
function linkNamed(text: string, family: 4 | 6, links: Links): number | 'EINVAL' | 'EADDRNOTAVAIL' {
  const place = readFamily(text, family, links);
  if (place === undefined) return 'EINVAL';
  if (family === 6)
    return place.link > 0 ? place.link : text.endsWith(`%${links.portName(0)}`) ? 0 : BY_ROUTE;
  if (place.address.isUnspecified) return BY_ROUTE;
  const wanted = place.address.toString();
  const owner = links.addresses().find(({ address }) => address.split('/')[0] === wanted);
  return owner === undefined ? 'EADDRNOTAVAIL' : owner.port;
}
