/** The calls of a handle that concern multicast, with what libuv and Linux make of their arguments. */
import { isIPv4 } from 'node:net';
import type { IpAddress } from '../wire/ip-address.js';
import type { UdpEndpoint } from './dgram-stack.js';
import { errnoOf } from './errno.js';
import { type Links, readFamily } from './places.js';

/** Each answers with 0 or the number of an error, or throws what the endpoint threw. */
export interface GroupCalls {
  setInterface(text: string): number;
  join(group: string, link: string | null | undefined): number;
  leave(group: string, link: string | null | undefined): number;
  joinSource(source: string, group: string, link: string | null | undefined): number;
  leaveSource(source: string, group: string, link: string | null | undefined): number;
}

/** A group, and the link named with it. Undefined where routes are to choose. */
interface Target {
  readonly group: IpAddress;
  readonly link: number | undefined;
}

/** By route: see `multicastLink` of a UDP socket. */
const BY_ROUTE = -1;

export function groupCalls(endpoint: UdpEndpoint, links: Links, bind: () => void): GroupCalls {
  const { memberships } = endpoint;
  /** @returns the number of an error, or what is meant */
  const aim = (group: string, link: string | null | undefined): number | Target => {
    const family = isIPv4(group) ? 4 : 6;
    const place = readFamily(group, family, links);
    if (place === undefined) return errnoOf('EINVAL');
    bind();
    // Linux sets options of IPv4 on sockets of IPv6 too, not the other way round.
    if (family === 6 && endpoint.family === 4) return errnoOf('ENOPROTOOPT');
    const chosen = link === undefined || link === null ? BY_ROUTE : linkNamed(link, family, links);
    if (typeof chosen === 'string') return errnoOf(chosen === 'EADDRNOTAVAIL' ? 'ENODEV' : chosen);
    return { group: place.address, link: chosen === BY_ROUTE ? undefined : chosen };
  };
  const act = (target: number | Target, call: (target: Target) => void): number => {
    if (typeof target === 'number') return target;
    call(target);
    return 0;
  };
  const withSource = (
    texts: readonly [string, string],
    link: string | null | undefined,
    call: SourceCall,
  ): number => {
    const [source, group] = texts;
    const from = readFamily(source, isIPv4(group) ? 4 : 6, links);
    const target = aim(group, link);
    if (from === undefined) return errnoOf('EINVAL');
    return act(target, ({ group, link }) => call(group, from.address, link));
  };
  return {
    setInterface: (text) => {
      const family = isIPv4(text) ? 4 : 6;
      const chosen = linkNamed(text, family, links);
      if (chosen === 'EINVAL') return errnoOf(chosen);
      if (endpoint.localPort === 0) return errnoOf('EBADF');
      if (family === 6 && endpoint.family === 4) return errnoOf('ENOPROTOOPT');
      if (typeof chosen === 'string') return errnoOf(chosen);
      endpoint.setOptions({ multicastLink: chosen });
      return 0;
    },
    join: (group, link) => act(aim(group, link), (to) => memberships.join(to.group, to.link)),
    leave: (group, link) => {
      const target = aim(group, link);
      // Linux looks for the membership before it looks at what was asked for.
      const isLost = typeof target === 'number' ? target === errnoOf('ENODEV') : !target.group.isMulticast;
      if (isLost && isIPv4(group)) return errnoOf('EADDRNOTAVAIL');
      return act(target, (to) => memberships.leave(to.group, to.link));
    },
    joinSource: (source, group, link) =>
      withSource([source, group], link, (to, from, on) => memberships.joinSource(to, from, on)),
    leaveSource: (source, group, link) =>
      withSource([source, group], link, (to, from, on) => memberships.leaveSource(to, from, on)),
  };
}

type SourceCall = (group: IpAddress, source: IpAddress, link: number | undefined) => void;

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
