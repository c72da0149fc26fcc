/** From `listen(…)` to a port that accepts, for servers of a stack and for Node's own alike. */
import { tracingChannel } from 'node:diagnostics_channel';
import { addAbortListener } from 'node:events';
import { isIP } from 'node:net';
import { checkAbortSignal, checkPort, normalizeArguments, toNumber } from './arguments.js';
import { adoptPort } from './bound-socket.js';
import type { BoundPort, NetContext } from './context.js';
import {
  type BoundOptions,
  type ConnectionServer,
  ListenerHandle,
  type PortOptions,
} from './listener-handle.js';
import { argumentValueError, codeOf, describedError, plainError } from './node-errors.js';
import { NODE_MAJOR } from './node-version.js';
import { lookupOf, lookupOneOf } from './resolve.js';
import { type Links, readZoned } from './zones.js';

export interface ListenOptions {
  /** 0, any free one, by default. */
  port?: number | string | null | undefined;
  /** `::` by default, which takes IPv4 too. */
  host?: string | undefined;
  /** Most connections waiting to be accepted; 511 by default. */
  backlog?: number | undefined;
  /** With `::`, do not take IPv4; false by default. */
  ipv6Only?: boolean | undefined;
  /**
   * TCP Fast Open (RFC 7413), which Node has not: clients that were here before may send with their SYN, and are
   * answered at once. The same request may come twice, on two connections. False by default.
   */
  fastOpen?: boolean | undefined;
  /** Share the port with other servers that ask for it too; connections are spread over them. False by default. */
  reusePort?: boolean | undefined;
  /** As for `path`, with `EINVAL`. */
  fd?: number | undefined;
  /** No stack but the host's has these: listening fails with `EAFNOSUPPORT`. */
  path?: string | undefined;
  signal?: AbortSignal | undefined;
  /** A `BoundSocket`, whose port is listened on. */
  handle?: unknown;
}

/** A server that can be made to listen; the fields are those of Node's. */
export interface ListeningServer extends ConnectionServer {
  _handle: ListenerHandle | null;
  /** Whether `unref` was called before there was a port. */
  _unref: boolean;
  /** Counts calls of `listen` and `close`, so that a name found late is not listened on. */
  _listeningId: number;
  /** What is listened on, in Node's words: `6::::80`. */
  _connectionKey?: string;
  once(event: string, listener: (...args: unknown[]) => void): unknown;
  close(): unknown;
}

/** Says when servers begin to listen, and how that ended. */
const listens = tracingChannel('net.server.listen');

/** Whether `ipv6Only` counts where no host is given; before Node 22 it did not. */
const IPV6_ONLY_BY_DEFAULT = NODE_MAJOR >= 22;

/** What Node asks the kernel for when nobody says. */
const DEFAULT_BACKLOG = 511;

/**
 * Listens: `([port[, host[, backlog]]][, callback])` or `(options[, callback])`. Without a host the port
 * is bound at once; `listening` or `error` come in a later tick.
 * @throws `ERR_SERVER_ALREADY_LISTEN`, `ERR_SOCKET_BAD_PORT`, `ERR_INVALID_ARG_VALUE`, `ERR_INVALID_ARG_TYPE`
 */
export function listenOn(context: NetContext, server: ListeningServer, args: readonly unknown[]): void {
  const [options, callback] = normalizeArguments<ListenOptions>(args);
  if (server._handle) throw plainError('ERR_SERVER_ALREADY_LISTEN');
  listens.asyncStart.publish({ server, options });
  if (callback !== null) server.once('listening', callback);
  const bound = adoptedBy(context, options);
  server._listeningId++;
  if (bound !== undefined) {
    const backlog = toNumber(args[1]) || toNumber(args[2]) || DEFAULT_BACKLOG;
    begin(context, server, { address: 'null', port: -1 }, { bound, backlog });
    return;
  }
  obeySignal(server, options.signal);
  const backlog = options.backlog || toNumber(args[1]) || toNumber(args[2]) || DEFAULT_BACKLOG;
  const { fd } = options;
  if (typeof fd === 'number' && fd >= 0) {
    // As for one that is nothing to listen on: descriptors are the host's.
    failLater(server, describedError('EINVAL', 'listen', { address: null }));
    return;
  }
  const port = portOf(args, options);
  if (port === undefined) {
    const { path } = options;
    if (typeof path !== 'string') throw badOptions(options);
    failLater(server, describedError('EAFNOSUPPORT', 'listen', { address: path }));
    return;
  }
  const bind = (address: string): void => {
    const { ipv6Only, fastOpen, reusePort } = options;
    const place: PortOptions = {
      address,
      port,
      backlog,
      ipv6Only: ipv6Only === true && (IPV6_ONLY_BY_DEFAULT || Boolean(options.host)),
      fastOpen: fastOpen === true,
      reusePort: reusePort === true,
    };
    begin(context, server, place, place);
  };
  const { host } = options;
  if (!host) {
    bind('::');
    return;
  }
  const id = server._listeningId;
  const found = (error: Error | null, address: string): void => {
    if (id !== server._listeningId) return;
    if (error) server.emit('error', error);
    else bind(address);
  };
  if (NODE_MAJOR < 22 || isIP(host) !== 0) lookupOneOf(context.stack)(host, 0, found);
  else
    lookupOf(context.stack)(host, { all: true }, (error, all) =>
      found(error, firstUsable(all, context.stack.ip)),
    );
}

/** The port asked for; 0 where none was named, undefined where something else was. */
function portOf(args: readonly unknown[], options: ListenOptions): number | undefined {
  const { port } = options;
  const isOmitted = args.length === 0 || typeof args[0] === 'function';
  if (isOmitted || port === null || (port === undefined && 'port' in options)) return 0;
  if (typeof port === 'number' || typeof port === 'string') return checkPort(port, 'options.port');
  return undefined;
}

function badOptions(options: object): Error {
  const isEmpty = !('port' in options || 'path' in options);
  const reason = isEmpty ? 'must have the property "port" or "path"' : undefined;
  return argumentValueError('options', options, reason);
}

function obeySignal(server: ListeningServer, signal: unknown): void {
  if (signal === undefined) return;
  checkAbortSignal(signal, 'options.signal');
  const close = (): void => void server.close();
  if (signal.aborted) {
    process.nextTick(close);
    return;
  }
  const listening = addAbortListener(signal, close);
  server.once('close', () => listening[Symbol.dispose]());
}

/** The first address of a name that needs no link, which nobody has named; else the first, as Node 22 has it. */
function firstUsable(addresses: unknown, links: Links): string {
  const all = addresses as readonly { address: string }[] | undefined;
  const isUsable = (address: string): boolean =>
    isIP(address) !== 6 || !readZoned(address, links).address.isLinkLocal;
  return (all?.find(({ address }) => isUsable(address)) ?? all?.[0])?.address ?? '';
}

/** The port of a `BoundSocket`, which is listened on from now on. */
function adoptedBy(context: NetContext, options: ListenOptions): BoundPort | undefined {
  const { stack } = context;
  return adoptPort(options, stack, 'options') ?? adoptPort(options.handle, stack, 'options.handle');
}

type Place = Pick<PortOptions, 'address' | 'port'>;

/** @param place as errors and Node's key of the server name it */
function begin(
  context: NetContext,
  server: ListeningServer,
  place: Place,
  options: PortOptions | BoundOptions,
): void {
  try {
    server._handle = new ListenerHandle(context, server, options);
  } catch (error) {
    const failure = describedError(codeOf(error), 'listen', place);
    listens.error.publish({ server, error: failure });
    failLater(server, failure);
    return;
  }
  listens.asyncEnd.publish({ server });
  const { address, port } = place;
  server._connectionKey = `${port < 0 ? -1 : isIP(address)}:${address}:${port}`;
  if (server._unref) server._handle.unref();
  process.nextTick(() => {
    if (server._handle) server.emit('listening');
  });
}

function failLater(server: ListeningServer, error: Error): void {
  process.nextTick(() => server.emit('error', error));
}
