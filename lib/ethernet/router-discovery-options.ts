/** What is done with the advertisements of routers. */
import { ArgumentTypeError } from '../base/errors.js';

/** What routers said of names. */
export interface AdvertisedDns {
  /** Name servers, as text; without link-local ones, of which no text says on which link they are. */
  readonly servers: readonly string[];
  /** Domains to look for short names in. */
  readonly domains: readonly string[];
}

/** What is done with the advertisements of routers. An unknown option is refused. */
export interface RouterDiscoveryOptions {
  /** Whether to make addresses in autonomous prefixes; true by default. */
  readonly addresses?: boolean;
  /** Whether to route through default routers; true by default. */
  readonly defaultRoute?: boolean;
  /** Whether to take routes to more specific networks (RFC 4191 type C host); true by default. */
  readonly routes?: boolean;
  /** Hears of name servers and domains whenever they change: `({ servers }) => stack.dns.setServers(servers)`. */
  readonly onDns?: (dns: AdvertisedDns) => void;
}

const KEYS: ReadonlySet<string> = new Set(['addresses', 'defaultRoute', 'routes', 'onDns']);

/** @throws TypeError for an unknown option, ArgumentTypeError */
export function checkDiscoveryOptions(given: unknown): void {
  if (given === undefined || typeof given === 'boolean') return;
  if (given === null || typeof given !== 'object')
    throw new ArgumentTypeError('routerDiscovery must be a boolean or an object');
  for (const key of Object.keys(given)) {
    if (!KEYS.has(key)) throw new TypeError(`unknown router discovery option "${key}"`);
  }
}
