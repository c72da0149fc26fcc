/** Connections and listeners as WHATWG streams, for code that does not want Node's. */
import { ArgumentRangeError, ArgumentValueError, StackError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';
import { StreamConnection } from './stream-connection.js';
import { StreamListener } from './stream-listener.js';
import type { Resolve, StreamsStack, TcpOptions, TcpRequest } from './streams-stack.js';

// Here, and not where it is made so: whoever imports `createStreams` is told.
declare module '../stack/stack.js' {
  interface Stack {
    /** Connections and listeners as WHATWG streams. */
    readonly streams: Streams;
  }
}

/** Where and how to connect. */
export interface StreamConnectOptions {
  /** The port of the peer. */
  readonly port: number;
  /** An address, or a name, whose addresses are tried in turn; `localhost`, this stack itself, by default. */
  readonly host?: string;
  /** Chosen by the routes by default. */
  readonly localAddress?: string;
  /** An ephemeral one by default. */
  readonly localPort?: number;
  /** Index of the link to leave by, which a link-local address needs; the routes choose by default. */
  readonly link?: number;
  /** Settings of the connection, in place of the stack's. */
  readonly options?: Partial<TcpOptions>;
  /** Breaks the connection with its reason, as `abort` does, at any time. */
  readonly signal?: AbortSignal;
}

/** Where and how to listen. */
export interface StreamListenOptions {
  /** 0, any free one, by default. */
  readonly port?: number;
  /** `::` by default, which takes IPv4 too. */
  readonly address?: string;
  /** Most connections waiting to be taken; 511 by default. */
  readonly backlog?: number;
  /** With `::`, do not take IPv4; false by default. */
  readonly ipv6Only?: boolean;
  /** Share the port with other listeners that ask for it too; false by default. */
  readonly reusePort?: boolean;
  /** Index of the link to accept from; all by default. */
  readonly link?: number;
  /** Settings of the connections, in place of the stack's. */
  readonly options?: Partial<TcpOptions>;
  /** Closes the listener. */
  readonly signal?: AbortSignal;
}

/** How a request is accepted. */
export interface StreamAcceptOptions {
  /** Settings of the connection, in place of those of the listener. */
  readonly options?: Partial<TcpOptions>;
  /** Breaks the connection with its reason, as `abort` does, at any time. */
  readonly signal?: AbortSignal;
}

/** What `stack.streams` is. */
export interface Streams {
  /**
   * Begins to connect. What the network does to it arrives by `opened`, `closed` and the streams.
   * @throws ArgumentRangeError for a port that is none, ArgumentValueError for an option nobody knows
   */
  connect(options: StreamConnectOptions): StreamConnection;
  /**
   * Listens.
   * @throws StackError EADDRINUSE, EADDRNOTAVAIL; ArgumentRangeError for a port that is none, ArgumentValueError for
   *   an option nobody knows
   */
  listen(options?: StreamListenOptions): StreamListener;
  /**
   * Accepts a request for a connection to any address: one that `stack.listenAnyTcp` has put before its handler. The
   * SYN-ACK leaves at once; `opened` tells when the handshake is complete.
   * @throws StackError ECONNABORTED where it is over, ENETUNREACH and the like where the way back has gone, after which
   *   it still waits; ArgumentValueError for an option nobody knows, and argument errors for settings
   */
  accept(request: TcpRequest, options?: StreamAcceptOptions): StreamConnection;
}

/** Makes the `streams` of a stack. @param resolve finds the addresses of a name */
export function createStreams(stack: StreamsStack, resolve: Resolve): Streams {
  return {
    connect: (options) => connect(stack, resolve, options),
    listen(options = {}) {
      checkNames(options, LISTEN_OPTIONS);
      const { signal, port = 0, ...place } = options;
      return new StreamListener(stack, stack.listenTcp({ ...place, port }), signal);
    },
    accept(request, given = {}) {
      checkNames(given, ACCEPT_OPTIONS);
      const endpoint = request.accept(given.options);
      return new StreamConnection(stack, { endpoint, isConnecting: true, signal: given.signal });
    },
  };
}

const ACCEPT_OPTIONS = ['options', 'signal'];
const COMMON_OPTIONS = [...ACCEPT_OPTIONS, 'port', 'link'];
const LISTEN_OPTIONS = [...COMMON_OPTIONS, 'address', 'backlog', 'ipv6Only', 'reusePort'];
const CONNECT_OPTIONS = [...COMMON_OPTIONS, 'host', 'localAddress', 'localPort'];

/** A `host` to listen on that nobody reads would mean every address. */
function checkNames(options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new ArgumentValueError(`unknown option "${unknown}"`);
}

function connect(stack: StreamsStack, resolve: Resolve, given: StreamConnectOptions): StreamConnection {
  checkNames(given, CONNECT_OPTIONS);
  const { host = 'localhost', signal, ...rest } = given;
  const { port } = rest;
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new ArgumentRangeError(`port should be >= 0 and < 65536, not ${String(port)}`);
  }
  let addresses: readonly string[] = [];
  let next = 0;
  const attempt = () =>
    next === addresses.length ? undefined : stack.connectTcp({ ...rest, address: addresses[next++] });
  const connection = new StreamConnection(stack, { attempt, signal });
  const begin = (found: readonly string[]): void => {
    addresses = found;
    connection.begin(new StackError('ENOTFOUND', 'getaddrinfo', host));
  };
  if (isAddress(host)) begin([host]);
  else resolve(host).then(begin, (error: unknown) => connection.abort(error));
  return connection;
}

function isAddress(host: string): boolean {
  try {
    IpAddress.parse(host);
    return true;
  } catch {
    return false;
  }
}
