/** Clients of HTTP over a stack: agents for `http` and `https`, and a connector for undici. */
import http from 'node:http';
import https from 'node:https';
import { isIP, type Socket } from 'node:net';
import tls from 'node:tls';
import type { NetModule } from './net.js';
import { plainError } from './node-errors.js';
import { lendToTls } from './wrapping.js';

interface AgentConnectOptions extends tls.ConnectionOptions {
  timeout?: number;
}

type CreateConnection = (options: AgentConnectOptions, callback?: unknown) => Socket;

/** An agent for `http.request` and everything that takes one. Options are those of `http.Agent`. */
export function createAgent(net: NetModule, options?: http.AgentOptions): http.Agent {
  const agent = new http.Agent(options);
  const createConnection: CreateConnection = (wish) => net.connect(wish as { port: number });
  return Object.assign(agent, { createConnection });
}

/** As `createAgent`, for `https.request`; TLS sessions are resumed as by `https.Agent`. */
export function createHttpsAgent(net: NetModule, options?: https.AgentOptions): https.Agent {
  const agent = new https.Agent(options);
  const { createConnection: connectTls } = agent as unknown as { createConnection: CreateConnection };
  const createConnection: CreateConnection = (wish, callback) => {
    const socket = net.connect(wish as { port: number });
    const tlsSocket = connectTls.call(agent, { ...wish, socket }, callback);
    lendToTls(tlsSocket);
    // Node sets it only on sockets it connects itself.
    if (wish.timeout) tlsSocket.setTimeout(wish.timeout);
    return tlsSocket;
  };
  return Object.assign(agent, { createConnection });
}

/** What undici asks a connector for. */
export interface ConnectorWish {
  readonly hostname: string;
  readonly protocol: string;
  readonly port: string;
  readonly servername?: string | null | undefined;
  readonly localAddress?: string | null | undefined;
}

export interface ConnectorOptions extends tls.ConnectionOptions {
  /** ms until a connection must be made, TLS included; 10 s by default, 0 for no limit. */
  readonly timeout?: number;
  /** Offer HTTP/2 by ALPN; false by default. */
  readonly allowH2?: boolean;
}

type ConnectorCallback = (...args: [null, Socket] | [Error, null]) => void;
export type Connector = (wish: ConnectorWish, callback: ConnectorCallback) => void;

const CONNECT_TIMEOUT_MS = 10_000;

/** `connect` for undici: `new Agent({ connect: createConnector(stack.net) })`, for `fetch` too. */
export function createConnector(net: NetModule, options: ConnectorOptions = {}): Connector {
  const { timeout = CONNECT_TIMEOUT_MS, allowH2 = false, ...tlsOptions } = options;
  return (wish, callback) => {
    const { hostname, protocol, localAddress } = wish;
    const isSecure = protocol === 'https:';
    const port = Number(wish.port || (isSecure ? 443 : 80));
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const socket = net.connect({ host, port, ...(localAddress ? { localAddress } : {}) });
    socket.setNoDelay(true);
    const secured = isSecure
      ? secure(socket, { ...wish, hostname: host }, { ...tlsOptions, allowH2 })
      : socket;
    let timer: NodeJS.Timeout | undefined;
    const settle = (error: Error | null): void => {
      clearTimeout(timer);
      secured.off('error', settle).off(isSecure ? 'secureConnect' : 'connect', connected);
      if (error === null) callback(null, secured);
      else callback(error, null);
    };
    const connected = (): void => settle(null);
    secured.once('error', settle).once(isSecure ? 'secureConnect' : 'connect', connected);
    if (timeout > 0) {
      timer = setTimeout(() => secured.destroy(plainError('ERR_SOCKET_CONNECTION_TIMEOUT')), timeout);
    }
  };
}

function secure(
  socket: Socket,
  wish: ConnectorWish,
  options: tls.ConnectionOptions & { allowH2: boolean },
): tls.TLSSocket {
  const { hostname } = wish;
  const { allowH2, ...tlsOptions } = options;
  const servername = wish.servername ?? options.servername ?? (isIP(hostname) === 0 ? hostname : undefined);
  const secured = tls.connect({
    highWaterMark: 16_384,
    ALPNProtocols: allowH2 ? ['http/1.1', 'h2'] : ['http/1.1'],
    ...tlsOptions,
    servername,
    host: hostname,
    socket,
  } as tls.ConnectionOptions);
  lendToTls(secured);
  return secured;
}
