/** What a DHCP server lends, as a client reads it from an answer. */
import { type IpAddress, IpPrefix } from '../wire/ip-address.js';
import { type DhcpMessage, DhcpOption as O } from './message.js';
import {
  addressesIn,
  addressIn,
  type DhcpRoute,
  domainsIn,
  prefixLengthIn,
  routesIn,
  textIn,
  uint16In,
  uint32In,
} from './option-values.js';

/** An address and what belongs to it, for a time. */
export interface DhcpLease {
  /** The address with its prefix length: `10.0.0.15/24`. */
  readonly address: string;
  /** The server that lent it. */
  readonly server: string;
  /** How long it is lent, s; 4,294,967,295 for ever. */
  readonly leaseSeconds: number;
  /** When it is renewed with its server, s after it was lent (T1). */
  readonly renewSeconds: number;
  /** When any server is asked, s after it was lent (T2). */
  readonly rebindSeconds: number;
  /** Default routers, the preferred one first. */
  readonly routers: readonly string[];
  /** Routes to networks (RFC 3442); where there are any they stand in for `routers`. */
  readonly routes: readonly { readonly destination: string; readonly gateway: string }[];
  /** Name servers. */
  readonly dnsServers: readonly string[];
  /** The domain of this network. */
  readonly domain?: string;
  /** Domains to look for short names in (RFC 3397). */
  readonly searchDomains: readonly string[];
  /** Largest packet on this network, bytes. */
  readonly mtu?: number;
}

/** A lease with everything read. */
export interface ReadLease {
  readonly prefix: IpPrefix;
  readonly server: IpAddress;
  readonly routes: readonly DhcpRoute[];
  readonly routers: readonly IpAddress[];
  readonly description: DhcpLease;
}

/** Least that a network may say of its MTU (RFC 2132 §5.1). */
const MIN_MTU = 68;
/** Shorter leases are not worth having: they would do nothing but renew. */
const MIN_LEASE_SECONDS = 10;

/** Whether an address may be that of a host of IPv4. */
export const isHostAddress = (address: IpAddress): boolean =>
  address.family === 4 &&
  !address.isUnspecified &&
  !address.isLoopback &&
  !address.isMulticast &&
  address.w3 >>> 28 !== 15;

/** Reads an offer or acknowledgement; undefined when something without which it is no lease is missing or wrong. */
export function readLease(message: DhcpMessage): ReadLease | undefined {
  const address = message.yourAddress;
  const server = addressIn(message, O.ServerId);
  const leaseSeconds = uint32In(message, O.LeaseTime);
  if (server === undefined || leaseSeconds === undefined || leaseSeconds < MIN_LEASE_SECONDS)
    return undefined;
  if (!isHostAddress(address) || !isHostAddress(server)) return undefined;
  const length = message.options.has(O.SubnetMask)
    ? prefixLengthIn(message, O.SubnetMask)
    : naturalLength(address);
  if (length === undefined || length < 1) return undefined;
  const times = renewal(message, leaseSeconds);
  const routes = routesIn(message, O.ClasslessRoutes).filter(
    ({ destination, gateway }) =>
      (gateway.isUnspecified || isHostAddress(gateway)) && !destination.address.isMulticast,
  );
  const routers = addressesIn(message, O.Router).filter(isHostAddress);
  const domain = textIn(message, O.Domain);
  const mtu = uint16In(message, O.Mtu);
  const prefix = new IpPrefix(address, length);
  return {
    prefix,
    server,
    routes,
    routers,
    description: {
      address: prefix.toString(),
      server: server.toString(),
      leaseSeconds,
      ...times,
      routers: routers.map(String),
      routes: routes.map(({ destination, gateway }) => ({
        destination: destination.toString(),
        gateway: gateway.toString(),
      })),
      dnsServers: addressesIn(message, O.DnsServers).filter(isHostAddress).map(String),
      ...(domain === undefined ? {} : { domain }),
      searchDomains: domainsIn(message, O.SearchDomains),
      ...(mtu === undefined || mtu < MIN_MTU ? {} : { mtu }),
    },
  };
}

/** T1 and T2 as the server says, where they make sense; else half and seven eighths (RFC 2131 §4.4.5). */
function renewal(
  message: DhcpMessage,
  leaseSeconds: number,
): { renewSeconds: number; rebindSeconds: number } {
  const t1 = uint32In(message, O.RenewalTime) ?? leaseSeconds * 0.5;
  const t2 = uint32In(message, O.RebindingTime) ?? leaseSeconds * 0.875;
  const isSound = t1 > 0 && t1 < t2 && t2 < leaseSeconds;
  return isSound
    ? { renewSeconds: t1, rebindSeconds: t2 }
    : { renewSeconds: leaseSeconds * 0.5, rebindSeconds: leaseSeconds * 0.875 };
}

/** The classes of before 1993, for servers that name no mask. */
const naturalLength = ({ w3 }: IpAddress): number => (w3 >>> 31 === 0 ? 8 : w3 >>> 30 === 2 ? 16 : 24);
