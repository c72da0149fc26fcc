/** Connections for undici, and so for `fetch`. */
import { isIP, type LookupFunction, type Socket } from 'node:net';
import tls from 'node:tls';
import { checkInteger } from './arguments.js';
import type { NetOfStack } from './net.js';
import { secureNewSocket, type TlsConnectOptions } from './tls.js';
import { lendToTls } from './wrapping.js';

/** What undici asks a connector for. */
export interface ConnectorWish {
  /** Name or address of the server, IPv6 in brackets. */
  readonly hostname: string;
  /** `http:` or `https:`. */
  readonly protocol: string;
  /** Its port; '' for that of the protocol. */
  readonly port: string;
  /** Name the server is to prove; by default that of `hostname`. */
  readonly servername?: string | null | undefined;
  /** Address to connect from. */
  readonly localAddress?: string | null | undefined;
  /** A connection made already, through a proxy for instance, on which TLS is to begin. */
  readonly httpSocket?: Socket | undefined;
  /** As in the options; undici passes it on. */
  readonly allowH2?: boolean | undefined;
}

/** How to connect for undici; what is not named here is for TLS, as for `tls.connect`. */
export interface ConnectorOptions extends tls.ConnectionOptions {
  /** ms until a connection must be made, TLS included; 10 s by default, 0 for no limit. */
  readonly timeout?: number;
  /** Offer HTTP/2 by ALPN; false by default. */
  readonly allowH2?: boolean;
  /** TLS sessions kept for resumption, one per server; 100 by default, 0 for none. */
  readonly maxCachedSessions?: number;
  /** Probe idle connections; true by default, first after 60 s. */
  readonly keepAlive?: boolean;
  /** Idle time before the first probe, ms; 60 s by default. */
  readonly keepAliveInitialDelay?: number;
  /** 4 or 6 for addresses of one family only; both by default. */
  readonly family?: number;
  /** Finds addresses of names; that of the stack by default. */
  readonly lookup?: LookupFunction;
  /**
   * Whether addresses of both families are tried in turn (RFC 8305); as the stack's `net` has it by default.
   */
  readonly autoSelectFamily?: boolean;
  /** How long one attempt may take then, ms. */
  readonly autoSelectFamilyAttemptTimeout?: number;
  /** Address to connect from; chosen by the routes by default. */
  readonly localAddress?: string;
}

type ConnectorCallback = (...args: [null, Socket] | [Error, null]) => void;
/** `connect` of an undici agent. */
export type Connector = (wish: ConnectorWish, callback: ConnectorCallback) => void;

const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_DELAY_MS = 60_000;
const MAX_CACHED_SESSIONS = 100;

/**
 * `connect` for undici: `new Agent({ connect: createConnector(…) })`. It does what undici's own does.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function createConnector(owner: NetOfStack, options: ConnectorOptions = {}): Connector {
  const { timeout = CONNECT_TIMEOUT_MS, allowH2 = false, maxCachedSessions, ...given } = options;
  const { keepAlive = true, keepAliveInitialDelay = KEEP_ALIVE_DELAY_MS, ...rest } = given;
  const sessions = new SessionCache(maxCachedSessions ?? MAX_CACHED_SESSIONS);
  const shared = { keepAlive, keepAliveInitialDelay, noDelay: true, ...rest };
  return (wish, callback) => {
    const isSecure = wish.protocol === 'https:';
    const place = {
      host: wish.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(wish.port || (isSecure ? 443 : 80)),
      ...(wish.localAddress ? { localAddress: wish.localAddress } : {}),
    };
    const socket = isSecure
      ? secure(owner, {
          wish: { ...wish, host: place.host },
          sessions,
          options: { allowH2, ...shared, ...place },
        })
      : owner.module.connect({ ...shared, ...place });
    tellOnce(socket, isSecure ? 'secureConnect' : 'connect', callback);
    if (timeout > 0) limit(socket, { ...place, timeout });
  };
}

function tellOnce(socket: Socket, event: string, callback: ConnectorCallback): void {
  const settle = (error: Error | null): void => {
    // Undici has listeners of its own from now on; what comes before they are there is not lost on anybody.
    socket.off('error', settle).off('close', closed).off(event, connected);
    if (error === null) callback(null, socket);
    else callback(error, null);
  };
  const connected = (): void => settle(null);
  const closed = (): void =>
    settle(Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' }));
  socket.once('error', settle).once('close', closed).once(event, connected);
}

interface Limit {
  readonly host: string;
  readonly port: number;
  readonly timeout: number;
}

/** Ends an attempt that takes too long, with undici's error. */
function limit(socket: Socket, { host, port, timeout }: Limit): void {
  const timer = setTimeout(() => {
    const { autoSelectFamilyAttemptedAddresses: several } = socket;
    const attempted = Array.isArray(several)
      ? `attempted addresses: ${several.join(', ')}`
      : `attempted address: ${host}:${port}`;
    const error = new Error(`Connect Timeout Error (${attempted}, timeout: ${timeout}ms)`);
    socket.destroy(Object.assign(error, { name: 'ConnectTimeoutError', code: 'UND_ERR_CONNECT_TIMEOUT' }));
  }, timeout);
  const clear = (): void => clearTimeout(timer);
  socket.once('secureConnect', clear).once('close', clear);
  if (!(socket instanceof tls.TLSSocket)) socket.once('connect', clear);
}

interface SecureWish {
  readonly wish: ConnectorWish & { readonly host: string };
  readonly sessions: SessionCache;
  readonly options: TlsConnectOptions & { readonly allowH2: boolean };
}

function secure(owner: NetOfStack, { wish, sessions, options }: SecureWish): Socket {
  const { allowH2, ...rest } = options;
  const { host, httpSocket } = wish;
  const servername = wish.servername || rest.servername || (isIP(host) === 0 ? host : undefined);
  const key = servername ?? host;
  const session = rest.session ?? sessions.get(key);
  const wanted: TlsConnectOptions = {
    // TLS in Node has no larger pieces.
    ...({ highWaterMark: 16_384 } as object),
    ALPNProtocols: (wish.allowH2 ?? allowH2) ? ['http/1.1', 'h2'] : ['http/1.1'],
    ...rest,
    ...(servername === undefined ? {} : { servername }),
    ...(session === undefined ? {} : { session }),
  };
  const connect = (tlsOptions: TlsConnectOptions): tls.TLSSocket => {
    const secured = tls.connect(tlsOptions);
    secured.on('session', (made: Buffer) => sessions.set(key, made));
    return secured;
  };
  if (!httpSocket) return secureNewSocket(owner, wanted, connect);
  const secured = connect({ ...wanted, socket: httpSocket });
  lendToTls(secured);
  return secured;
}

/** The last session with each server; of too many the oldest goes. */
class SessionCache {
  readonly #sessions = new Map<string, Buffer>();
  readonly #limit: number;

  constructor(limit: number) {
    checkInteger(limit, 'options.maxCachedSessions', 0);
    this.#limit = limit;
  }

  get(key: string): Buffer | undefined {
    return this.#sessions.get(key);
  }

  set(key: string, session: Buffer): void {
    if (this.#limit === 0) return;
    this.#sessions.delete(key);
    if (this.#sessions.size === this.#limit) {
      const [oldest] = this.#sessions.keys();
      this.#sessions.delete(oldest);
    }
    this.#sessions.set(key, session);
  }
}
