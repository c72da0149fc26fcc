/** `dns.Resolver` and `dns.promises.Resolver` over a private stack. */
import { AsyncResource } from 'node:async_hooks';
import dns from 'node:dns';
import { isIP } from 'node:net';
import { checkString } from '../net/arguments.js';
import { argumentTypeError, argumentValueError } from '../net/node-errors.js';
import { showAsNode } from '../net/show-as-node.js';
import { DNS_PORT } from '../stack/dns-options.js';
import { IpAddress } from '../wire/ip-address.js';
import { Channel } from './channel.js';
import { checkCallback, readLocalAddresses, readResolverOptions, readServers } from './checks.js';
import { busyError, dnsError } from './dns-error.js';
import type { DnsStack } from './dns-stack.js';
import type { RecordType } from './message.js';
import { askableName, reverseName } from './names.js';
import { MAX_TIMEOUT_MS } from './query.js';
import { codeOfAnswer, shapeOf } from './records.js';

export type Callback = (error: Error | null, ...results: unknown[]) => void;

interface Method {
  /** What Node calls it in errors. */
  readonly syscall: string;
  readonly type: RecordType;
  readonly isReverse?: boolean;
}

/** The methods that ask, by name. */
const METHODS: Readonly<Record<string, Method>> = {
  resolveAny: { syscall: 'queryAny', type: 'ANY' },
  resolve4: { syscall: 'queryA', type: 'A' },
  resolve6: { syscall: 'queryAaaa', type: 'AAAA' },
  resolveCaa: { syscall: 'queryCaa', type: 'CAA' },
  resolveCname: { syscall: 'queryCname', type: 'CNAME' },
  resolveMx: { syscall: 'queryMx', type: 'MX' },
  resolveNs: { syscall: 'queryNs', type: 'NS' },
  resolveTlsa: { syscall: 'queryTlsa', type: 'TLSA' },
  resolveTxt: { syscall: 'queryTxt', type: 'TXT' },
  resolveSrv: { syscall: 'querySrv', type: 'SRV' },
  resolvePtr: { syscall: 'queryPtr', type: 'PTR' },
  resolveNaptr: { syscall: 'queryNaptr', type: 'NAPTR' },
  resolveSoa: { syscall: 'querySoa', type: 'SOA' },
  reverse: { syscall: 'getHostByAddr', type: 'PTR', isReverse: true },
};

/** The methods that are functions of the module too, for its resolver. */
export const RESOLVER_KEYS: readonly string[] = ['getServers', 'resolve', ...Object.keys(METHODS)];

const METHOD_OF_TYPE: ReadonlyMap<string, Method> = new Map(
  Object.values(METHODS)
    .filter(({ isReverse }) => isReverse !== true)
    .map((method) => [method.type, method]),
);

/** What a shorter `timeout` of a resolver is taken for, as by c-ares, ms. */
const MIN_TIMEOUT_MS = 250;

/** What every resolver has, whether it calls back or promises. `createResolvers` makes a class of it per stack. */
export abstract class ResolverBase {
  /** Named as in Node, where it is the handle; for our own eyes. */
  readonly _channel: Channel;

  constructor(stack: DnsStack, options: unknown, channel?: Channel) {
    const { timeout, tries, maxTimeout } = readResolverOptions(options);
    const { dnsSettings } = stack;
    this._channel =
      channel ??
      new Channel(stack, dnsSettings.servers, {
        timeoutMs: timeout <= 0 ? dnsSettings.timeoutMs : Math.max(timeout, MIN_TIMEOUT_MS),
        tries: tries ?? dnsSettings.tries,
        maxTimeoutMs: maxTimeout === 0 ? MAX_TIMEOUT_MS : Math.min(maxTimeout, MAX_TIMEOUT_MS),
      });
  }

  /** Ends every question under way with `ECANCELLED`. */
  cancel(): void {
    this._channel.cancel();
  }

  getServers(): string[] {
    return this._channel.servers.map(({ address, port }) => {
      if (port === DNS_PORT) return String(address);
      return address.family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
    });
  }

  /**
   * Asks these from now on.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_IP_ADDRESS`; `ERR_DNS_SET_SERVERS_FAILED` while questions are under way
   */
  setServers(servers: readonly string[]): void {
    const read = readServers(servers);
    if (this._channel.isBusy) throw busyError(servers);
    this._channel.setServers(read);
  }

  /** Local addresses to ask from. @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` */
  setLocalAddress(ipv4: string, ipv6?: string): void {
    this._channel.local = readLocalAddresses(ipv4, ipv6);
  }
}

interface Asking {
  readonly stack: DnsStack;
  readonly channel: Channel;
  readonly method: Method;
  readonly name: string;
  readonly withTtl: boolean;
}

/** Asks; `callback` is called later. @throws `EINVAL` for the reverse of what is no address */
function ask({ stack, channel, method, name, withTtl }: Asking, callback: Callback): void {
  const { syscall, type, isReverse } = method;
  const fail = (code: string): void => callback(dnsError(code, syscall, name));
  let asked = askableName(name);
  if (isReverse === true) {
    const address = isIP(name) === 0 ? undefined : IpAddress.tryParse(name);
    if (address === undefined) throw dnsError('EINVAL', syscall, name, -22);
    const known = knownName(stack, address);
    if (known !== undefined) {
      process.nextTick(callback, null, [known]);
      return;
    }
    asked = reverseName(address);
  }
  if (asked === undefined) {
    process.nextTick(fail, 'EBADNAME');
    return;
  }
  channel.ask({ name: asked, type }, (answer) => {
    const code = codeOfAnswer(type, answer);
    if (code !== '') fail(code);
    else callback(null, shapeOf(type, answer, withTtl));
  });
}

/** The name of an address that nobody needs to be asked for. */
export function knownName(stack: DnsStack, address: IpAddress): string | undefined {
  return stack.dnsSettings.hosts.nameOf(address) ?? (address.isLoopback ? 'localhost' : undefined);
}

const wantsTtl = (options: unknown): boolean =>
  Boolean((options as { ttl?: unknown } | null | undefined)?.ttl);

/** Adds the methods that ask to a class. */
function addMethods(prototype: object, make: (method: Method) => (...args: never[]) => unknown): void {
  const named = (syscall: string, query: (...args: never[]) => unknown): object =>
    Object.defineProperty(query, 'name', { value: syscall });
  for (const [key, method] of Object.entries(METHODS)) {
    const value = named(method.syscall, make(method));
    Object.defineProperty(prototype, key, { value, writable: true, configurable: true, enumerable: true });
  }
}

type ResolverClass = new (options?: unknown, channel?: Channel) => ResolverBase;

/** The class that calls back. */
export function createResolver(stack: DnsStack): ResolverClass {
  class Resolver extends ResolverBase {
    constructor(options?: unknown, channel?: Channel) {
      super(stack, options, channel);
    }

    resolve(hostname: string, rrtype: unknown, callback?: unknown): object {
      if (typeof rrtype === 'function') return this.#ask(METHODS.resolve4, hostname, rrtype);
      if (typeof rrtype !== 'string') throw argumentTypeError('rrtype', 'string', rrtype);
      const method = METHOD_OF_TYPE.get(rrtype);
      if (method === undefined) throw argumentValueError('rrtype', rrtype);
      return this.#ask(method, hostname, callback);
    }

    #ask(method: Method, name: unknown, callback: unknown, options?: unknown): object {
      checkString(name, 'name');
      checkCallback(callback);
      const bound = AsyncResource.bind(callback as Callback);
      ask({ stack, channel: this._channel, method, name, withTtl: wantsTtl(options) }, bound);
      return { hostname: name };
    }

    static {
      addMethods(
        Resolver.prototype,
        (method) =>
          function query(this: Resolver, name: unknown, ...rest: unknown[]): object {
            const [options, callback] = rest.length > 1 ? rest : [undefined, rest[0]];
            return this.#ask(method, name, callback, options);
          },
      );
    }
  }
  showAsNode(Resolver.prototype, dns.Resolver.prototype);
  return Resolver;
}

/** The class that promises. */
export function createPromisesResolver(stack: DnsStack): ResolverClass {
  class Resolver extends ResolverBase {
    constructor(options?: unknown, channel?: Channel) {
      super(stack, options, channel);
    }

    resolve(hostname: string, rrtype?: unknown): Promise<unknown> {
      if (rrtype === undefined) return this.#ask(METHODS.resolve4, hostname);
      checkString(rrtype, 'rrtype');
      const method = METHOD_OF_TYPE.get(rrtype);
      if (method === undefined) throw argumentValueError('rrtype', rrtype);
      return this.#ask(method, hostname);
    }

    #ask(method: Method, name: unknown, options?: unknown): Promise<unknown> {
      checkString(name, 'name');
      return new Promise((resolve, reject) => {
        const asking = { stack, channel: this._channel, method, name, withTtl: wantsTtl(options) };
        ask(asking, (error, result) => (error === null ? resolve(result) : reject(error)));
      });
    }

    static {
      addMethods(
        Resolver.prototype,
        (method) =>
          function query(this: Resolver, name: unknown, options?: unknown): Promise<unknown> {
            return this.#ask(method, name, options);
          },
      );
    }
  }
  showAsNode(Resolver.prototype, dns.promises.Resolver.prototype);
  return Resolver;
}
