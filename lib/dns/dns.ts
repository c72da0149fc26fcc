/** `node:dns` for a private stack: the same calls, results and errors, asked over the stack's own UDP and TCP. */
import { AsyncResource } from 'node:async_hooks';
import nodeDns from 'node:dns';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import { checkHostname, checkPort, checkString } from '../net/arguments.js';
import { argumentValueError, typeError } from '../net/node-errors.js';
import { NODE_MAJOR } from '../net/node-version.js';
import { showAsNode } from '../net/show-as-node.js';
import { IpAddress } from '../wire/ip-address.js';
import { Channel } from './channel.js';
import { checkCallback, checkOneOf, type LookupSettings, readLookupOptions, readServers } from './checks.js';
import { lookupError } from './dns-error.js';
import type { DnsStack } from './dns-stack.js';
import { type FoundAddress, Hint, lookUp, RESULT_ORDERS, type ResultOrder } from './lookup.js';
import { isLocalhost, reverseName } from './names.js';
import './node-host.js';
import { MAX_TIMEOUT_MS } from './query.js';
import {
  type Callback,
  createPromisesResolver,
  createResolver,
  knownName,
  RESOLVER_KEYS,
  type ResolverBase,
} from './resolver.js';
import { serviceName } from './services.js';

/** What `node:dns` offers, in its own types, so that code written for one takes the other. */
export type DnsModule = typeof nodeDns;

/** A `dns`, and what the other doors of a stack ask of it. */
export interface DnsOfStack {
  readonly module: DnsModule;
  /** Whether this stack finds a name itself, because it has name servers, or the name in its hosts table. */
  knows(hostname: string): boolean;
}

/** Codes of errors, by the names under which the module exports them. */
const ERROR_CODES = {
  NODATA: 'ENODATA',
  FORMERR: 'EFORMERR',
  SERVFAIL: 'ESERVFAIL',
  NOTFOUND: 'ENOTFOUND',
  NOTIMP: 'ENOTIMP',
  REFUSED: 'EREFUSED',
  BADQUERY: 'EBADQUERY',
  BADNAME: 'EBADNAME',
  BADFAMILY: 'EBADFAMILY',
  BADRESP: 'EBADRESP',
  CONNREFUSED: 'ECONNREFUSED',
  TIMEOUT: 'ETIMEOUT',
  EOF: 'EOF',
  FILE: 'EFILE',
  NOMEM: 'ENOMEM',
  DESTRUCTION: 'EDESTRUCTION',
  BADSTR: 'EBADSTR',
  BADFLAGS: 'EBADFLAGS',
  NONAME: 'ENONAME',
  BADHINTS: 'EBADHINTS',
  NOTINITIALIZED: 'ENOTINITIALIZED',
  LOADIPHLPAPI: 'ELOADIPHLPAPI',
  ADDRGETNETWORKPARAMS: 'EADDRGETNETWORKPARAMS',
  CANCELLED: 'ECANCELLED',
} as const;

/** Makes the `dns` of a stack. Every call makes new classes and a new cache: keep what it returns. */
export const createDns = (stack: DnsStack): DnsModule => openDns(stack).module;

/** As `createDns`, with what the other doors need. */
export function openDns(stack: DnsStack): DnsOfStack {
  const { servers, timeoutMs, tries, hosts } = stack.dnsSettings;
  const channel = new Channel(stack, servers, { timeoutMs, tries, maxTimeoutMs: MAX_TIMEOUT_MS });
  const Resolver = createResolver(stack);
  const PromisesResolver = createPromisesResolver(stack);
  const names = new Names(stack, channel);
  const resolver = new Resolver(undefined, channel);
  const common = {
    getDefaultResultOrder: () => names.order,
    setDefaultResultOrder(order: unknown) {
      checkOneOf(order, 'dnsOrder', RESULT_ORDERS);
      names.order = order;
    },
    // Not a method of the resolver: questions under way may go on.
    setServers: (list: unknown) => channel.setServers(readServers(list)),
    ...ERROR_CODES,
  };
  const promises = {
    lookup: (hostname: unknown, options?: unknown) => names.lookupPromise(hostname, options),
    lookupService: (...args: unknown[]) => names.lookupServicePromise(args),
    Resolver: PromisesResolver,
    ...common,
    ...bound(new PromisesResolver(undefined, channel)),
  };
  const module = {
    lookup: withPromise(
      (...args: unknown[]) => names.lookup(args),
      (hostname, options) => names.lookupPromise(hostname, options),
    ),
    lookupService: withPromise(
      (...args: unknown[]) => names.lookupService(args),
      (...args) => names.lookupServicePromise(args),
    ),
    Resolver,
    ...common,
    ADDRCONFIG: Hint.ADDRCONFIG,
    ALL: Hint.ALL,
    V4MAPPED: Hint.V4MAPPED,
    ...bound(resolver),
    promises,
  };
  showAsNode(module, nodeDns);
  showAsNode(promises, nodeDns.promises);
  return {
    module: module as unknown as DnsModule,
    knows: (hostname) =>
      isLocalhost(hostname) || channel.servers.length > 0 || hosts.addressesOf(hostname) !== undefined,
  };
}

/** The methods of the module's own resolver, as functions. */
function bound(resolver: ResolverBase): object {
  const methods = resolver as unknown as Record<string, (...args: unknown[]) => unknown>;
  return Object.fromEntries(RESOLVER_KEYS.map((key) => [key, methods[key].bind(resolver)]));
}

type AnyFunction = (...args: unknown[]) => unknown;

/** What `util.promisify` makes of a function whose callback has two results. */
const withPromise = (callback: AnyFunction, promise: AnyFunction): AnyFunction =>
  Object.defineProperty(callback, promisify.custom, { value: promise });

let hasWarned = false;

/** As Node does, once per process (DEP0118). */
function warnOfHostname(hostname: unknown): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(
    `The provided hostname "${String(hostname)}" is not a valid hostname, and is supported in the dns module solely for ` +
      'compatibility.',
    'DeprecationWarning',
    'DEP0118',
  );
}

/** `lookup` and `lookupService`. */
class Names {
  order: ResultOrder = nodeDns.getDefaultResultOrder();
  readonly #stack: DnsStack;
  readonly #channel: Channel;

  constructor(stack: DnsStack, channel: Channel) {
    this.#stack = stack;
    this.#channel = channel;
  }

  /** `(hostname[, options], callback)`. @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` */
  lookup(args: unknown[]): object {
    const [hostname, second, third] = args;
    if (hostname) checkHostname(hostname, 'hostname');
    const callback = typeof second === 'function' ? second : third;
    const given = typeof second === 'function' ? undefined : second;
    checkCallback(given !== undefined && typeof given !== 'object' && args.length === 2 ? given : callback);
    const settings = readLookupOptions(given, this.order, true);
    const found = AsyncResource.bind(callback as Callback);
    this.#find(hostname, settings, found, (addresses) => {
      const [first] = addresses;
      if (settings.all) found(null, addresses);
      else found(null, first.address, first.family);
    });
    return {};
  }

  lookupPromise(hostname: unknown, options: unknown): Promise<unknown> {
    if (hostname) checkHostname(hostname, 'hostname');
    const settings = readLookupOptions(options, this.order, false);
    return new Promise((resolve, reject) => {
      this.#find(hostname, settings, reject, (addresses) => resolve(settings.all ? addresses : addresses[0]));
    });
  }

  #find(
    hostname: unknown,
    settings: LookupSettings,
    failed: (error: Error) => void,
    found: (addresses: FoundAddress[]) => void,
  ): void {
    const { family, all } = settings;
    if (!hostname) {
      warnOfHostname(hostname);
      const nothing = { address: null as unknown as string, family: family === 6 ? 6 : 4 };
      process.nextTick(found, all ? [] : [nothing]);
      return;
    }
    const name = hostname as string;
    const literal = isIP(name);
    if (literal !== 0) {
      process.nextTick(found, [{ address: name, family: literal }]);
      return;
    }
    lookUp(this.#stack, this.#channel, { ...settings, hostname: name }, (result) => {
      if (typeof result === 'string') failed(lookupError(result, 'getaddrinfo', name));
      else found(result);
    });
  }

  /** `(address, port, callback)`. @throws `ERR_MISSING_ARGS`, `ERR_INVALID_ARG_VALUE`, `ERR_SOCKET_BAD_PORT` */
  lookupService(args: unknown[]): object {
    if (args.length !== 3) {
      throw typeError(
        'ERR_MISSING_ARGS',
        'The "address", "port", and "callback" arguments must be specified',
      );
    }
    const [address, port, callback] = args;
    const place = readService(address, port);
    checkCallback(callback);
    this.#name(place, AsyncResource.bind(callback as Callback));
    return {};
  }

  lookupServicePromise(args: unknown[]): Promise<{ hostname: string; service: string }> {
    if (args.length !== 2) {
      throw typeError('ERR_MISSING_ARGS', 'The "address" and "port" arguments must be specified');
    }
    const place = readService(args[0], args[1]);
    return new Promise((resolve, reject) => {
      this.#name(place, (error, hostname, service) => {
        if (error === null) resolve({ hostname: hostname as string, service: service as string });
        else reject(error);
      });
    });
  }

  #name({ text, address, port }: Service, callback: Callback): void {
    const service = serviceName(port);
    const known = knownName(this.#stack, address);
    if (known !== undefined) {
      process.nextTick(callback, null, known, service);
      return;
    }
    this.#channel.ask({ name: reverseName(address), type: 'PTR' }, ({ code, records }) => {
      if (records.length > 0) callback(null, String(records[0].data), service);
      // As for Node, an address without a name is one that is not found, whatever the reason is.
      else callback(lookupError(code === 'ETIMEOUT' ? code : 'ENOTFOUND', 'getnameinfo', text));
    });
  }
}

interface Service {
  readonly text: string;
  readonly address: IpAddress;
  readonly port: number;
}

function readService(address: unknown, port: unknown): Service {
  // Before Node 24 what is no text is but a wrong address.
  if (NODE_MAJOR >= 24) checkString(address, 'address');
  const parsed = typeof address === 'string' && isIP(address) !== 0 ? IpAddress.tryParse(address) : undefined;
  if (parsed === undefined) throw argumentValueError('address', address);
  return { text: address as string, address: parsed, port: checkPort(port) + 0 };
}
