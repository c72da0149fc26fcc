/**
 * From a destination to a path: routing, source address, MTU and attributes; and looking at a path again
 * when any of them may have changed.
 */
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import { ANY_V4, ANY_V6, type IpAddress, LOOPBACK_V4, LOOPBACK_V6 } from '../wire/ip-address.js';
import { Cast } from '../wire/ip-packet.js';
import { IPV6_MIN_MTU } from '../wire/ipv6.js';
import type { AddressBook } from './addresses.js';
import type { OutputPort } from './interfaces.js';
import type { IpOptions } from './options.js';
import { IpPath, NO_PORT, type PathRequest } from './path.js';
import type { PathMtuCache } from './path-mtu.js';
import type { PortTable } from './ports.js';
import { RouteScope } from './route.js';
import { ANY_PORT, LOOPBACK_PORT, RouteQuery, RouteResult } from './route-query.js';
import type { Routing } from './routing.js';
import { selectSource4, selectSource6 } from './source-address.js';

interface ResolverParts {
  readonly random: Random;
  readonly ports: PortTable;
  readonly routing: Routing;
  readonly addresses: AddressBook;
  readonly pathMtu: PathMtuCache;
  readonly options: IpOptions;
}

export class PathResolver {
  readonly #parts: ResolverParts;
  readonly #labels: TableHash;
  readonly #query = new RouteQuery();
  readonly #result = new RouteResult();
  readonly #words = new Int32Array(10);

  constructor(parts: ResolverParts) {
    this.#parts = parts;
    this.#labels = new TableHash(parts.random);
  }

  /** Never throws: a path that leads nowhere says why in `unusable`. */
  resolve(request: PathRequest): IpPath {
    const destination = this.#concrete(request);
    const given = request.source?.isUnspecified === true ? undefined : request.source;
    const error = this.#refusal(request, destination, given);
    if (error !== '') return this.nowhere({ ...request, destination }, error);
    const source = given ?? this.#chooseSource(request, destination);
    if (typeof source === 'string') return this.nowhere({ ...request, destination }, source);
    const path = new IpPath(source, destination, request);
    // What the owner may change later is set once; the rest at every look.
    path.hopLimit = destination.isMulticast
      ? this.#parts.options.multicastHopLimit
      : this.#parts.options.hopLimit;
    if (destination.family === 6 && this.#parts.options.flowLabels) path.flowLabel = this.#flowLabel(path);
    if (this.revalidate(path) && path.route !== undefined && path.route.hopLimit > 0) {
      path.hopLimit = path.route.hopLimit;
    }
    return path;
  }

  /**
   * Looks at a path again if anything has changed since the last time, its source kept.
   * @returns whether it can be used; if not, `path.unusable` says why
   */
  revalidate(path: IpPath): boolean {
    const { routing } = this.#parts;
    if (path.generation === routing.generation) return path.unusable === '';
    path.generation = routing.generation;
    path.port = NO_PORT;
    const { request, source, destination } = path;
    if (source.isUnspecified) return false;
    // A local route of another table makes its destination ours, but only for what goes there.
    const owned = request.transparent === true || routing.isLocal(source);
    path.unusable = owned || source.equals(destination) ? '' : 'EADDRNOTAVAIL';
    if (path.unusable !== '') return false;
    this.#ask(request, destination, source);
    this.#query.flowHash = path.flowHash;
    const found = this.#lookup(request, destination);
    path.flowHash = this.#query.flowHash;
    const port = found === '' ? this.#outPort() : undefined;
    path.cast = this.#castOf(destination);
    const ours = owned || this.#result.route?.type === 'local';
    path.unusable = found !== '' ? found : ours ? this.#obstacle(path, port) : 'EADDRNOTAVAIL';
    if (path.unusable !== '' || port === undefined) return false;
    path.port = port;
    path.route = this.#result.route;
    path.gateway = this.#result.nexthop?.gateway;
    this.#applyAttributes(path, port);
    return true;
  }

  /** 0.0.0.0 and :: mean this host (Linux: the bound source, or the loopback). */
  #concrete(request: PathRequest): IpAddress {
    const { destination, source } = request;
    if (!destination.isUnspecified) return destination;
    if (source !== undefined && !source.isUnspecified) return source;
    return destination.family === 4 ? LOOPBACK_V4 : LOOPBACK_V6;
  }

  /** Why a request can never be met, or ''. */
  #refusal(request: PathRequest, destination: IpAddress, source: IpAddress | undefined): string {
    if (source !== undefined) {
      if (source.family !== destination.family) return 'EINVAL';
      if (source.isMulticast || source.isLimitedBroadcast) return 'EINVAL';
      if (request.transparent !== true && !this.#parts.routing.isLocal(source)) return 'EADDRNOTAVAIL';
    }
    // RFC 4007 §11: fe80:: and ff02:: are addresses only together with their zone.
    const zoned = destination.family === 6 && (destination.isLinkLocal || isLinkLocalGroup(destination));
    const isZoneKnown = (request.oif ?? 0) > 0 || request.onLoopback === true;
    if (zoned && !isZoneKnown && !this.#parts.routing.isLocal(destination)) return 'EINVAL';
    return '';
  }

  /** A path that leads nowhere, and never will until it is resolved anew. */
  nowhere(request: PathRequest, error: string): IpPath {
    const { destination } = request;
    const path = new IpPath(destination.family === 4 ? ANY_V4 : ANY_V6, destination, request);
    path.unusable = error;
    path.generation = this.#parts.routing.generation;
    return path;
  }

  #ask(request: PathRequest, destination: IpAddress, source: IpAddress | undefined): void {
    const query = this.#query;
    query.setAddresses(destination, source);
    query.tos = (request.trafficClass ?? 0) & 0xfc;
    query.mark = request.mark ?? 0;
    query.oif = (request.oif ?? 0) > 0 ? (request.oif as number) : ANY_PORT;
    if (request.onLoopback === true && destination.isMulticast) query.oif = LOOPBACK_PORT;
    query.protocol = request.protocol;
    query.sourcePort = request.sourcePort ?? 0;
    query.destinationPort = request.destinationPort ?? 0;
    query.uid = request.uid ?? -1;
  }

  /** Asks the tables. @returns the error, or '' */
  #lookup(request: PathRequest, destination: IpAddress): string {
    const { routing, ports } = this.#parts;
    const result = this.#result;
    const isGiven = (request.oif ?? 0) > 0 || request.onLoopback === true;
    const oif = isGiven ? this.#query.oif : 0;
    // Broadcast to all and multicast need no route when the port is given.
    const anywhere = destination.isLimitedBroadcast || destination.isMulticast;
    if (isGiven && anywhere && ports.get(oif) !== undefined) {
      if (!ports.isUp(oif)) return 'ENETDOWN';
      result.clear();
      return '';
    }
    routing.lookup(this.#query, result);
    return result.error;
  }

  /** Where the answer of the last lookup leads; own addresses to the loopback. */
  #outPort(): OutputPort | undefined {
    const { ports } = this.#parts;
    const { route, nexthop } = this.#result;
    if (route === undefined) return ports.get(this.#query.oif);
    return ports.get(route.type === 'local' ? LOOPBACK_PORT : (nexthop?.portIndex ?? -1));
  }

  #castOf(destination: IpAddress): Cast {
    if (destination.isMulticast) return Cast.Multicast;
    const broadcast = destination.isLimitedBroadcast || this.#result.route?.type === 'broadcast';
    return broadcast ? Cast.Broadcast : Cast.Unicast;
  }

  /** What stands in the way of a path that has a route, or ''. */
  #obstacle(path: IpPath, port: OutputPort | undefined): string {
    if (port === undefined) return 'ENETUNREACH';
    const { source, destination } = path;
    // RFC 1122 §3.2.1.3 (g), RFC 4291 §2.5.3: loopback addresses stay inside.
    if (!port.isLoopback && (source.isLoopback || destination.isLoopback)) {
      if (destination.family === 6 || !this.#parts.options.routeLocalnet) return 'EINVAL';
    }
    if (destination.family === 6 && port.mtu < IPV6_MIN_MTU) return 'ENETUNREACH';
    return path.cast === Cast.Broadcast && path.request.allowBroadcast !== true ? 'EACCES' : '';
  }

  /** The source for a request that names none, or why there is none. */
  #chooseSource(request: PathRequest, destination: IpAddress): IpAddress | string {
    this.#ask(request, destination, undefined);
    const error = this.#lookup(request, destination);
    if (error !== '') return error;
    const { route, nexthop } = this.#result;
    if (route?.source !== undefined) return route.source;
    if (route?.type === 'local') return destination;
    const port = this.#outPort();
    if (port === undefined) return 'ENETUNREACH';
    const question = {
      destination,
      gateway: nexthop?.gateway,
      port,
      scope: route?.scope ?? (port.isLoopback ? RouteScope.host : RouteScope.link),
      preferTemporary: this.#parts.options.preferTemporary,
    };
    const select = destination.family === 4 ? selectSource4 : selectSource6;
    return select(this.#parts.addresses.usable(), question, this.#parts.ports) ?? 'EADDRNOTAVAIL';
  }

  #applyAttributes(path: IpPath, port: OutputPort): void {
    const { route, destination } = path;
    const learnt = this.#parts.pathMtu.find(destination, route);
    let mtu = port.mtu;
    if (route !== undefined && route.mtu > 0 && route.mtu < mtu) mtu = route.mtu;
    path.configuredMtu = mtu;
    path.mtuLocked = route?.mtuLock === true;
    if (!path.mtuLocked && learnt !== undefined && learnt.mtu > 0 && learnt.mtu < mtu) mtu = learnt.mtu;
    if (learnt?.locked === true) path.mtuLocked = true;
    if (learnt?.gateway !== undefined) path.gateway = learnt.gateway;
    path.mtu = destination.family === 6 ? Math.max(mtu, IPV6_MIN_MTU) : mtu;
  }

  /** 20 keyed bits, the same for every packet of a flow (RFC 6437 §3). */
  #flowLabel(path: IpPath): number {
    const { source, destination, request } = path;
    const words = this.#words;
    for (let i = 0; i < 4; i++) {
      words[i] = source.word(i);
      words[4 + i] = destination.word(i);
    }
    words[8] = request.protocol;
    words[9] = ((request.sourcePort ?? 0) << 16) | (request.destinationPort ?? 0);
    return this.#labels.hashWords(words, 10) & 0xf_ffff;
  }
}

/** ff01:: and ff02::, which mean a different group on every port. */
const isLinkLocalGroup = (address: IpAddress): boolean =>
  address.isMulticast && ((address.w0 >>> 16) & 15) <= 2;
