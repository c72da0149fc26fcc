/** What a tunnel through a SOCKS proxy is opened with. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { HOST_TIMERS, type RelayTimers } from '../relay/relay-timers.js';
import { Stack } from '../stack/stack.js';
import { IpAddress } from '../wire/ip-address.js';
import { checkCredentials, type SocksCredentials, type SocksPlace } from './protocol.js';

/** A proxy that speaks SOCKS version 5. */
export interface SocksProxy {
  /** Address or name. */
  readonly host: string;
  /** 1080 by default. */
  readonly port?: number;
  /** Given where the proxy asks for it (RFC 1929); 1 to 255 bytes. */
  readonly username?: string;
  /** Given with it; at most 255 bytes, empty by default. */
  readonly password?: string;
}

/** What a tunnel is opened with. All but stack and proxy may be left out; an unknown option is refused. */
export interface SocksTunnelOptions {
  /** The stack whose links those inside are on. */
  readonly stack: Stack;
  /** Index of the link they are on; any by default. */
  readonly link?: number;
  /** The proxy, or its URL: `socks5://user:password@proxy.example:1080`. */
  readonly proxy: string | SocksProxy;
  /**
   * UDP, name service apart. `associate`, the default: an association of the proxy for each flow (RFC 1928 §7).
   * `reject`: those inside hear "port unreachable" at once, so that QUIC falls back to TCP. `drop`: they hear nothing.
   */
  readonly udp?: 'associate' | 'reject' | 'drop';
  /**
   * Questions to port 53 over UDP. `tcp`, the default: carried over TCP, which every proxy has. `udp`: as other UDP.
   */
  readonly dns?: 'tcp' | 'udp';
  /**
   * The name server that is asked in place of the one those inside ask, with a port where it is not 53: `192.0.2.1`,
   * `[2001:db8::1]:5353`. Only with `dns: 'tcp'`, and over TCP too. None by default: each question goes to whom it was
   * sent, and the stack's own addresses have no name service.
   */
  readonly nameServer?: string;
  /** Pings cannot pass a proxy: `answer` answers for everybody, `drop`, the default, for nobody. */
  readonly icmp?: 'answer' | 'drop';
  /** TCP connections at once; one more hears an RST. 8192 by default, 1,048,576 at most. */
  readonly maxTcp?: number;
  /** UDP flows at once, and as many for name service; datagrams beyond are dropped. 4096 by default, as at most. */
  readonly maxUdp?: number;
  /** How long the proxy may take to connect, ms; 20,000 by default, 3,590,000 at most. */
  readonly dialMs?: number;
  /** How long a name server may take, ms; 5,000 by default, 3,590,000 at most. */
  readonly dnsMs?: number;
  /** A connection without traffic is reset after this long, ms; 0 for never. 7,440,000 by default (RFC 5382 §5). */
  readonly tcpIdleMs?: number;
  /** The same once one side has finished; 240,000 by default. */
  readonly tcpHalfCloseIdleMs?: number;
  /** A flow ends when nothing was sent from inside for so long, ms; 120,000 by default (RFC 4787 §4.3). */
  readonly udpIdleMs?: number;
  /** Where time comes from; Node's by default. */
  readonly timers?: RelayTimers;
}

/** The options, resolved. */
export interface TunnelSettings {
  readonly stack: Stack;
  readonly link: number | undefined;
  readonly proxy: SocksPlace;
  readonly credentials: SocksCredentials | undefined;
  readonly udp: 'associate' | 'reject' | 'drop';
  readonly dns: 'tcp' | 'udp';
  readonly nameServer: SocksPlace | undefined;
  readonly icmp: 'answer' | 'drop';
  readonly maxTcp: number;
  readonly maxUdp: number;
  readonly dialMs: number;
  readonly dnsMs: number;
  readonly tcpIdleMs: number;
  readonly tcpHalfCloseIdleMs: number;
  readonly udpIdleMs: number;
  readonly timers: RelayTimers;
}

const DEFAULT_PORT = 1080;
const DNS_PORT = 53;
const NUMBERS = {
  maxTcp: 8192,
  maxUdp: 4096,
  dialMs: 20_000,
  dnsMs: 5_000,
  tcpIdleMs: 7_440_000,
  tcpHalfCloseIdleMs: 240_000,
  udpIdleMs: 120_000,
} as const;
type NumberName = keyof typeof NUMBERS;
const MOST: Readonly<Partial<Record<NumberName, number>>> = {
  maxTcp: 1 << 20,
  maxUdp: 1 << 20,
  dialMs: 3_590_000,
  dnsMs: 3_590_000,
};
/** What a timer of Node's takes. */
const MOST_MS = 2 ** 31 - 1;
/** What may be zero: never. */
const MAY_BE_ZERO: ReadonlySet<string> = new Set<NumberName>(['tcpIdleMs', 'tcpHalfCloseIdleMs']);
const CHOICES = {
  udp: ['associate', 'reject', 'drop'],
  dns: ['tcp', 'udp'],
  icmp: ['drop', 'answer'],
} as const;
const PROXY_KEYS: readonly string[] = ['host', 'port', 'username', 'password'];
const NO_USER = 'a password of a proxy is for a user';
const OTHERS: readonly string[] = ['stack', 'link', 'proxy', 'nameServer', 'timers'];

/** @throws ArgumentTypeError, ArgumentValueError, ArgumentRangeError */
export function resolveTunnelOptions(options: SocksTunnelOptions): TunnelSettings {
  if (options === null || typeof options !== 'object') {
    throw new ArgumentTypeError('the options of a tunnel are an object');
  }
  for (const key of Object.keys(options)) {
    const isKnown = OTHERS.includes(key) || Object.hasOwn(NUMBERS, key) || Object.hasOwn(CHOICES, key);
    if (!isKnown) throw new ArgumentValueError(`unknown option "${key}" of a tunnel`);
  }
  const { stack, link, nameServer, timers = HOST_TIMERS } = options;
  if (!(stack instanceof Stack)) throw new ArgumentTypeError('a tunnel needs a stack');
  checkTimers(timers);
  const { host, port = DEFAULT_PORT, username, password } = proxyOf(options.proxy);
  const credentials = username === undefined ? undefined : { username, password: password ?? '' };
  if (credentials !== undefined) checkCredentials(credentials);
  const dns = choice(options, 'dns');
  if (nameServer !== undefined && dns !== 'tcp') {
    throw new ArgumentValueError("nameServer is for dns: 'tcp'");
  }
  return {
    stack,
    link,
    timers,
    dns,
    credentials,
    proxy: { host, port: checkPort(port) },
    nameServer: nameServer === undefined ? undefined : parseServer(nameServer),
    udp: choice(options, 'udp'),
    icmp: choice(options, 'icmp'),
    ...numbers(options),
  };
}

/**
 * Reads `socks5://user:password@host:port`; the port is 1080 where there is none. User and password may be
 * percent-encoded. `socks5h` and `socks` are taken as the same: addresses are all that is sent.
 * @throws ArgumentTypeError, ArgumentValueError for what is none; the text is not repeated, since it may hold a password
 */
export function parseSocksProxy(text: string): SocksProxy {
  if (typeof text !== 'string') throw new ArgumentTypeError('a proxy is a URL or an object');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new ArgumentValueError(
      'a proxy is given as socks5://host:port or socks5://user:password@host:port',
    );
  }
  const { protocol, username, password, port, pathname, search, hash } = url;
  // A URL keeps the brackets of an IPv6 address.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (!['socks5:', 'socks5h:', 'socks:'].includes(protocol)) {
    throw new ArgumentValueError(`a proxy of version 5 begins with socks5://, not ${protocol}//`);
  }
  const isBare = (pathname === '' || pathname === '/') && search === '' && hash === '';
  if (host === '' || !isBare) throw new ArgumentValueError('a proxy has a host, and nothing behind the port');
  if (username === '' && password !== '') throw new ArgumentValueError(NO_USER);
  return {
    host: decoded(host),
    port: port === '' ? DEFAULT_PORT : Number(port),
    ...(username === '' ? {} : { username: decoded(username), password: decoded(password) }),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ArgumentValueError('host, user and password of a proxy are percent-encoded UTF-8');
  }
}

function proxyOf(given: string | SocksProxy): SocksProxy {
  if (typeof given === 'string') return parseSocksProxy(given);
  if (given === null || typeof given !== 'object') {
    throw new ArgumentTypeError('a proxy is a URL or an object');
  }
  const unknown = Object.keys(given).find((key) => !PROXY_KEYS.includes(key));
  if (unknown !== undefined) throw new ArgumentValueError(`unknown option "${unknown}" of a proxy`);
  const { host, username, password } = given;
  if (typeof host !== 'string') throw new ArgumentTypeError('the host of a proxy is a string');
  if (host === '') throw new ArgumentValueError('a proxy has a host');
  if (username === undefined && password !== undefined) {
    throw new ArgumentValueError(NO_USER);
  }
  return given;
}

function checkTimers(timers: RelayTimers): void {
  for (const name of ['now', 'setTimeout', 'clearTimeout'] as const) {
    if (typeof timers?.[name] !== 'function') throw new ArgumentTypeError(`timers have a function ${name}`);
  }
}

/** `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]:5353`, `2001:db8::1`. */
function parseServer(text: string): SocksPlace {
  if (typeof text !== 'string') throw new ArgumentTypeError('nameServer is a string');
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = IpAddress.parse(bracketed ?? plain ?? text).toString();
  return { host, port: digits === undefined ? DNS_PORT : checkPort(Number(digits)) };
}

function checkPort(port: number): number {
  if (typeof port !== 'number') throw new ArgumentTypeError('a port is a number');
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new ArgumentRangeError(`a port is 1 to 65535, not ${port}`);
}

function choice<Name extends keyof typeof CHOICES>(
  options: SocksTunnelOptions,
  name: Name,
): (typeof CHOICES)[Name][number] {
  const choices: readonly string[] = CHOICES[name];
  const given = options[name] ?? choices[0];
  if (choices.includes(given)) return given as (typeof CHOICES)[Name][number];
  throw new ArgumentValueError(`${name} is one of ${choices.join(', ')}, not ${String(given)}`);
}

function numbers(options: SocksTunnelOptions): Record<NumberName, number> {
  const result: Record<NumberName, number> = { ...NUMBERS };
  for (const name of Object.keys(NUMBERS) as NumberName[]) {
    const value = options[name] ?? NUMBERS[name];
    if (typeof value !== 'number') throw new ArgumentTypeError(`${name} is a number`);
    const least = MAY_BE_ZERO.has(name) ? 0 : 1;
    const most = MOST[name] ?? MOST_MS;
    if (!(Number.isInteger(value) && value >= least && value <= most)) {
      throw new ArgumentRangeError(`${name} is ${least} to ${most}, not ${value}`);
    }
    result[name] = value;
  }
  return result;
}
