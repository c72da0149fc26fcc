/** Routers for tests of what hosts hear from them. */
import type { RouterAdvertisement } from '../../lib/ethernet/router-advertisement.js';
import { IpPrefix } from '../../lib/wire/ip-address.js';

export const IPV6 = 0x86dd;
export const ROUTER = { ip: 'fe80::99', mac: '52:54:00:00:00:99' };
export const OTHER = { ip: 'fe80::77', mac: '52:54:00:00:00:77' };

/** An advertisement that says nothing. */
export const SILENT: RouterAdvertisement = {
  hopLimit: 0,
  managed: false,
  other: false,
  preference: 'medium',
  lifetimeSeconds: 0,
  reachableMs: 0,
  retransMs: 0,
  mtu: undefined,
  prefixes: [],
  routes: [],
  dnsServers: [],
  searchDomains: [],
};

/** A prefix that hosts make addresses of. */
export const prefixOf = (
  prefix: string,
  validSeconds: number,
  preferredSeconds = validSeconds,
): RouterAdvertisement['prefixes'][number] => ({
  prefix: IpPrefix.parse(prefix),
  onLink: true,
  autonomous: true,
  validSeconds,
  preferredSeconds,
});
