/**
 * The kernel's own network: its links, addresses, routes and rules, set and read back through netlink,
 * in this network namespace or another. Needs CAP_NET_ADMIN there to change anything.
 */
import { ArgumentValueError, StackError } from '../base/errors.js';
import { type IpFamily, IpPrefix } from '../wire/ip-address.js';
import { type HostRoute, parseRoute, routeRequest } from './host-route.js';
import { type HostRule, parseRule, ruleRequest } from './host-rule.js';
import {
  addressBytes,
  familyNumber,
  familyOf,
  messagesOf,
  type NetlinkBytes,
  NetlinkFlag,
  NetlinkRequest,
  RouteMessage,
  readAddress,
} from './netlink.js';
import { callAddon, type NativeNetlink, nativeAddon } from './tun-addon.js';

/** A link of the host. */
export interface HostLink {
  /** `eth0`. */
  readonly name: string;
  /** By which the kernel numbers it. */
  readonly index: number;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** Packets the kernel keeps waiting. */
  readonly txQueueLength: number;
  /** Whether it was brought up. */
  readonly up: boolean;
  /** Whether it also carries packets: for a TUN, whether a process holds it. */
  readonly running: boolean;
  /** `tun`, `veth` …; absent for the loopback and cards. */
  readonly kind?: string;
}

/** What is to change; what is not named stays. */
export interface LinkChanges {
  /** Whether it is to be up. */
  up?: boolean;
  /** Largest IP packet, bytes. */
  mtu?: number;
  /** Packets the kernel keeps waiting. */
  txQueueLength?: number;
  /** A new name; the link must be down. */
  name?: string;
}

/** An address of the host. */
export interface HostAddress {
  /** Name of the link that has it. */
  readonly link: string;
  /** Version of IP. */
  readonly family: IpFamily;
  /** With its prefix length: `10.0.0.1/24`. */
  readonly address: string;
  /** The other end of a point-to-point address. */
  readonly peer?: string;
  /** How far it is valid. */
  readonly scope: 'global' | 'site' | 'link' | 'host' | 'nowhere';
}

const IFF_UP = 1;
const IFF_LOWER_UP = 0x1_0000;
const IFLA = { IFNAME: 3, MTU: 4, TXQLEN: 13, LINKINFO: 18 } as const;
const IFLA_INFO_KIND = 1;
const IFINFO_BYTES = 16;

const IFA = { ADDRESS: 1, LOCAL: 2, BROADCAST: 4 } as const;
const IFADDR_BYTES = 8;
/** No duplicate address detection: nobody else is on the link (RFC 4862 §5.4). */
const IFA_F_NODAD = 2;
const SCOPES: Readonly<Record<number, HostAddress['scope']>> = {
  0: 'global',
  200: 'site',
  253: 'link',
  254: 'host',
};

/** How often a list is asked for again when it changed while the kernel wrote it. */
const LIST_ATTEMPTS = 10;

/**
 * The kernel's own links, addresses, routes and rules, set and read back through netlink. Changing anything
 * needs CAP_NET_ADMIN. Each call may throw a `StackError` with the kernel's code and syscall `netlink`. Linux
 * only.
 */
export class HostNetwork {
  readonly #netlink: NativeNetlink;

  private constructor(netlink: NativeNetlink) {
    this.#netlink = netlink;
  }

  /**
   * Opens the network of a namespace.
   * @param where `netns`: a file such as `/var/run/netns/blue`, this process's own namespace by default; or
   * `fd`: an open NETLINK_ROUTE socket of another namespace, which is closed with this object
   * @throws AddonError, StackError
   */
  static open(where: { netns?: string; fd?: number } = {}): HostNetwork {
    const addon = nativeAddon();
    return new HostNetwork(callAddon(() => new addon.NativeNetlink(where), where.netns));
  }

  /** Closes the socket it works through. What was set stays. */
  close(): void {
    this.#netlink.close();
  }

  /** All links. */
  listLinks(): HostLink[] {
    return this.#list(RouteMessage.GET_LINK, RouteMessage.NEW_LINK, IFINFO_BYTES).map(parseLink);
  }

  /** The link of that name, or undefined. */
  link(name: string): HostLink | undefined {
    const request = new NetlinkRequest(RouteMessage.GET_LINK, NetlinkFlag.ACK).u8(...linkHeader(0));
    try {
      const answer = this.#exchange(request.text(IFLA.IFNAME, name), name);
      const found = messagesOf(answer, RouteMessage.NEW_LINK)[0];
      return found === undefined ? undefined : parseLink(found);
    } catch (error) {
      if (error instanceof StackError && error.code === 'ENODEV') return undefined;
      throw error;
    }
  }

  /** Changes a link; what is not named stays. */
  setLink(name: string, changes: LinkChanges): void {
    const index = this.#index(name);
    const request = new NetlinkRequest(RouteMessage.NEW_LINK, NetlinkFlag.ACK).u8(0, 0, 0, 0).u32(index);
    request.u32(changes.up === true ? IFF_UP : 0).u32(changes.up === undefined ? 0 : IFF_UP);
    if (changes.mtu !== undefined) request.number(IFLA.MTU, changes.mtu);
    if (changes.txQueueLength !== undefined) request.number(IFLA.TXQLEN, changes.txQueueLength);
    if (changes.name !== undefined) request.text(IFLA.IFNAME, changes.name);
    this.#exchange(request, name);
  }

  /** Deletes a link, for instance a TUN that was made to persist. */
  deleteLink(name: string): void {
    const request = new NetlinkRequest(RouteMessage.DELETE_LINK, NetlinkFlag.ACK);
    this.#exchange(request.u8(...linkHeader(0)).text(IFLA.IFNAME, name), name);
  }

  /**
   * Gives a link an address, such as `10.0.0.1/24`; without a length it is a host's (/32, /128).
   * @param options `peer`: the other end of a point-to-point link; `replace`: no error if it is there
   */
  addAddress(link: string, address: string, options: { peer?: string; replace?: boolean } = {}): void {
    const flags =
      NetlinkFlag.CREATE | (options.replace === true ? NetlinkFlag.REPLACE : NetlinkFlag.EXCLUSIVE);
    this.#exchange(
      this.#addressRequest(RouteMessage.NEW_ADDRESS, flags, link, [address, options.peer]),
      address,
    );
  }

  /** Takes an address away; `peer` as it was given with it. */
  removeAddress(link: string, address: string, options: { peer?: string } = {}): void {
    this.#exchange(
      this.#addressRequest(RouteMessage.DELETE_ADDRESS, 0, link, [address, options.peer]),
      address,
    );
  }

  /** All addresses of both families, or those of one link. */
  listAddresses(link?: string): HostAddress[] {
    const names = this.#names();
    return this.#list(RouteMessage.GET_ADDRESS, RouteMessage.NEW_ADDRESS, IFADDR_BYTES)
      .map((body) => parseAddress(body, names))
      .filter((address) => address !== undefined)
      .filter((address) => link === undefined || address.link === link);
  }

  /**
   * Adds a route. @throws StackError EEXIST for one to the same destination with the same table and metric
   */
  addRoute(route: HostRoute): void {
    const flags = NetlinkFlag.ACK | NetlinkFlag.CREATE | NetlinkFlag.EXCLUSIVE;
    this.#exchange(
      routeRequest(route, RouteMessage.NEW_ROUTE, flags, (name) => this.#index(name)),
      route.destination,
    );
  }

  /** Deletes the first route that is as described. */
  removeRoute(route: HostRoute): void {
    const ack = NetlinkFlag.ACK;
    this.#exchange(
      routeRequest(route, RouteMessage.DELETE_ROUTE, ack, (name) => this.#index(name)),
      route.destination,
    );
  }

  /** The routes of one table, 254 (`main`) by default; `all` for every one. Without cached ones. */
  listRoutes(of: { family?: IpFamily; table?: number | 'all' } = {}): HostRoute[] {
    const { family, table = 254 } = of;
    const names = this.#names();
    return this.#list(RouteMessage.GET_ROUTE, RouteMessage.NEW_ROUTE, 12, family)
      .map((body) => parseRoute(body, names))
      .filter((route) => route !== undefined)
      .filter((route) => table === 'all' || route.table === table);
  }

  /** Adds a rule. @throws StackError EEXIST for the same rule twice */
  addRule(rule: HostRule): void {
    const flags = NetlinkFlag.ACK | NetlinkFlag.CREATE | NetlinkFlag.EXCLUSIVE;
    this.#exchange(ruleRequest(rule, RouteMessage.NEW_RULE, flags), ruleSubject(rule));
  }

  /** Deletes the first rule that is as described. */
  removeRule(rule: HostRule): void {
    this.#exchange(ruleRequest(rule, RouteMessage.DELETE_RULE, NetlinkFlag.ACK), ruleSubject(rule));
  }

  /** The rules of both families, or of one, in the order they are asked. */
  listRules(of: { family?: IpFamily } = {}): HostRule[] {
    return this.#list(RouteMessage.GET_RULE, RouteMessage.NEW_RULE, 12, of.family)
      .map(parseRule)
      .filter((rule) => rule !== undefined);
  }

  #exchange(request: NetlinkRequest, subject?: string): Uint8Array {
    return callAddon(() => this.#netlink.exchange(request.finish()), subject);
  }

  /** The messages of a list. `bodyBytes` is the size of the structure that asks for it. */
  #list(ask: number, answered: number, bodyBytes: number, family?: IpFamily): NetlinkBytes[] {
    const body = new Array<number>(bodyBytes).fill(0);
    if (family !== undefined) body[0] = familyNumber(family);
    for (let attempt = 1; ; attempt++) {
      const request = new NetlinkRequest(ask, NetlinkFlag.DUMP).u8(...body);
      try {
        return messagesOf(this.#exchange(request), answered);
      } catch (error) {
        const changed = error instanceof StackError && error.code === 'EINTR';
        if (!changed || attempt === LIST_ATTEMPTS) throw error;
      }
    }
  }

  #index(name: string): number {
    const link = this.link(name);
    if (link === undefined) throw new StackError('ENODEV', 'netlink', name);
    return link.index;
  }

  #names(): Map<number, string> {
    return new Map(this.listLinks().map(({ index, name }) => [index, name]));
  }

  #addressRequest(
    type: number,
    flags: number,
    link: string,
    [text, peer]: readonly [address: string, peer?: string | undefined],
  ): NetlinkRequest {
    const prefix = IpPrefix.parse(text);
    const { address, length, family, broadcast } = prefix;
    const far = peer === undefined ? address : IpPrefix.parse(peer).address;
    if (far.family !== family) throw new ArgumentValueError(`${peer} and ${text} are of different families`);
    const request = new NetlinkRequest(type, NetlinkFlag.ACK | flags);
    request.u8(familyNumber(family), length, family === 6 ? IFA_F_NODAD : 0, 0).u32(this.#index(link));
    request.attribute(IFA.LOCAL, addressBytes(address)).attribute(IFA.ADDRESS, addressBytes(far));
    if (broadcast !== undefined && peer === undefined)
      request.attribute(IFA.BROADCAST, addressBytes(broadcast));
    return request;
  }
}

const ruleSubject = ({ priority }: HostRule): string | undefined =>
  priority === undefined ? undefined : `rule ${priority}`;

const linkHeader = (family: number): number[] => [family, ...new Array<number>(IFINFO_BYTES - 1).fill(0)];

function parseLink(body: NetlinkBytes): HostLink {
  const attributes = body.attributes(IFINFO_BYTES);
  const flags = body.u32(8);
  const kind = attributes.get(IFLA.LINKINFO)?.attributes(0).get(IFLA_INFO_KIND)?.text;
  return {
    name: attributes.get(IFLA.IFNAME)?.text ?? '',
    index: body.u32(4),
    mtu: attributes.get(IFLA.MTU)?.u32(0) ?? 0,
    txQueueLength: attributes.get(IFLA.TXQLEN)?.u32(0) ?? 0,
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_LOWER_UP) !== 0,
    ...(kind === undefined ? {} : { kind }),
  };
}

function parseAddress(body: NetlinkBytes, names: ReadonlyMap<number, string>): HostAddress | undefined {
  const family = familyOf(body.u8(0));
  const attributes = body.attributes(IFADDR_BYTES);
  const far = readAddress(attributes.get(IFA.ADDRESS));
  const own = readAddress(attributes.get(IFA.LOCAL)) ?? far;
  if (family === undefined || own === undefined) return undefined;
  return {
    link: names.get(body.u32(4)) ?? String(body.u32(4)),
    family,
    address: `${own}/${body.u8(1)}`,
    ...(far === undefined || far.equals(own) ? {} : { peer: String(far) }),
    scope: SCOPES[body.u8(3)] ?? 'nowhere',
  };
}
