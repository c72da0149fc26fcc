/** What `stack.dns` works by. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';
import { type HostsOption, HostsTable } from './hosts-table.js';

/** What `stack.dns` works by. */
export interface DnsOptions {
  /** Name servers: `10.0.0.53`, `10.0.0.53:5353`, `[fd00::53]:5353`. None by default: names are asked of the host. */
  readonly servers?: readonly string[];
  /** Domains `lookup` tries a short name in; none by default. At most 32. */
  readonly search?: readonly string[];
  /** A name with at least this many dots is tried as it is first, then in `search`; 1 by default, at most 15. */
  readonly ndots?: number;
  /** Names that need not be asked for: a map, or the text of a hosts file. */
  readonly hosts?: HostsOption;
  /** How long the first attempt waits for an answer, ms; it doubles with each round of the servers. 2000 by default. */
  readonly timeoutMs?: number;
  /** How often each server is asked; 4 by default. */
  readonly tries?: number;
  /** Begin each query at the next server, instead of at the first; false by default. */
  readonly rotate?: boolean;
  /** Answers kept, the oldest making room; 0 for none. 1000 by default. */
  readonly cacheEntries?: number;
  /** The longest an answer is kept, s; 86,400 by default (RFC 8767 §4 allows a week). */
  readonly cacheMaxTtlSeconds?: number;
  /** As `cacheMaxTtlSeconds`, for the answer that there is nothing (RFC 2308 §5); 900 by default. */
  readonly cacheMaxNegativeTtlSeconds?: number;
  /**
   * Largest answer over UDP that is asked for, bytes (RFC 6891 §6.2.5); 1232 by default, so that none is fragmented.
   * 0 for queries without EDNS, whose answers have 512 bytes at most.
   */
  readonly udpPayloadBytes?: number;
}

/** A name server. */
export interface DnsServer {
  /** Its address. */
  readonly address: IpAddress;
  /** Its port; 53 unless said otherwise. */
  readonly port: number;
}

/** `DnsOptions` with their defaults, read. */
export interface DnsSettings extends Required<Omit<DnsOptions, 'servers' | 'hosts'>> {
  /** Name servers, in the order in which they are asked. */
  readonly servers: readonly DnsServer[];
  /** Names that need not be asked for. */
  readonly hosts: HostsTable;
}

export const DNS_PORT = 53;

const DEFAULTS = {
  search: [] as readonly string[],
  ndots: 1,
  timeoutMs: 2000,
  tries: 4,
  rotate: false,
  cacheEntries: 1000,
  cacheMaxTtlSeconds: 86_400,
  cacheMaxNegativeTtlSeconds: 900,
  udpPayloadBytes: 1232,
};

const KEYS = new Set(['servers', 'hosts', ...Object.keys(DEFAULTS)]);

const MAX_SERVERS = 100;
const MAX_SEARCH = 32;

/** Lower and upper bound of each number. */
const BOUNDS: Readonly<Record<string, readonly [number, number]>> = {
  ndots: [0, 15],
  timeoutMs: [1, 300_000],
  tries: [1, 100],
  cacheEntries: [0, 1_000_000],
  cacheMaxTtlSeconds: [0, 604_800],
  cacheMaxNegativeTtlSeconds: [0, 86_400],
  udpPayloadBytes: [0, 65_507],
};

/** @throws TypeError for an unknown key; ArgumentTypeError, ArgumentRangeError, ArgumentValueError */
export function resolveDnsOptions(given: DnsOptions = {}): DnsSettings {
  if (given === null || typeof given !== 'object') throw new ArgumentTypeError('dns must be an object');
  for (const key of Object.keys(given)) {
    if (!KEYS.has(key)) throw new TypeError(`unknown DNS option "${key}"`);
  }
  const { servers = [], hosts, ...rest } = given;
  const settings = { ...DEFAULTS, ...rest };
  for (const [name, [least, most]] of Object.entries(BOUNDS)) {
    const value = settings[name as keyof typeof settings];
    if (typeof value !== 'number') throw new ArgumentTypeError(`${name} must be a number`);
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new ArgumentRangeError(`${name} must be an integer within ${least} .. ${most}, not ${value}`);
    }
  }
  if (typeof settings.rotate !== 'boolean') throw new ArgumentTypeError('rotate must be a boolean');
  return Object.freeze({
    ...settings,
    search: Object.freeze(checkList(settings.search, 'search', MAX_SEARCH).map(searchDomain)),
    servers: Object.freeze(checkList(servers, 'servers', MAX_SERVERS).map(parseServer)),
    hosts: new HostsTable(hosts),
  });
}

function checkList(value: readonly string[], name: string, most: number): readonly string[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) {
    throw new ArgumentTypeError(`${name} must be a list of strings`);
  }
  if (value.length > most) throw new ArgumentRangeError(`${name} must have at most ${most} entries`);
  return value;
}

const searchDomain = (domain: string): string => domain.replace(/^\.+|\.+$/g, '');

function parseServer(text: string): DnsServer {
  const server = readServer(text);
  if (server === undefined) throw new ArgumentValueError(`not the address of a name server: "${text}"`);
  return server;
}

/** Reads `10.0.0.53`, `10.0.0.53:5353`, `fd00::53` or `[fd00::53]:5353`; undefined for what is none of these. */
export function readServer(text: string): DnsServer | undefined {
  const whole = IpAddress.tryParse(text);
  if (whole !== undefined) return { address: whole, port: DNS_PORT };
  const [, bracketed, plain, digits] = /^(?:\[([^[\]]*)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = IpAddress.tryParse(bracketed ?? plain ?? '');
  const port = digits === undefined ? DNS_PORT : Number(digits);
  if (address === undefined || port > 65_535) return undefined;
  return { address, port: port === 0 ? DNS_PORT : port };
}
