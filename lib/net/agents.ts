/** Clients of HTTP over a stack: agents for `http` and `https`. */
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { NetOfStack } from './net.js';
import { secureNewSocket, type TlsConnectOptions } from './tls.js';
import { lendToTls } from './wrapping.js';

type AgentConnectOptions = TlsConnectOptions & { timeout?: number };
/** `(options[, callback])`, or with port and host before them. */
type CreateConnection = (...args: unknown[]) => Socket;

/** As Node's global agents have it: connections are kept, for 5 s where the server says nothing. */
const DEFAULTS = { keepAlive: true, scheduling: 'lifo', timeout: 5000 } as const;

/**
 * An agent for `http.request` and everything that takes one. Options are those of `http.Agent`, and by
 * default those of Node's global agent: connections are kept for the next request.
 */
export function createAgent({ module: net }: NetOfStack, options?: http.AgentOptions): http.Agent {
  const agent = new http.Agent({ ...DEFAULTS, ...options });
  const createConnection: CreateConnection = (...args) => net.connect(optionsOf(args) as { port: number });
  return Object.assign(agent, { createConnection });
}

/** As `createAgent`, for `https.request`; TLS sessions are resumed as by `https.Agent`. */
export function createHttpsAgent(owner: NetOfStack, options?: https.AgentOptions): https.Agent {
  const agent = new https.Agent({ ...DEFAULTS, ...options });
  const { createConnection: connectTls } = agent as unknown as { createConnection: CreateConnection };
  // Node's looks for a session of this server, and keeps the one it will get.
  const secure = (wish: TlsConnectOptions): TLSSocket => connectTls.call(agent, wish) as TLSSocket;
  const createConnection: CreateConnection = (...args) => {
    const wish = optionsOf(args);
    // A proxy's agent may have made the connection already.
    if (wish.socket === undefined) return secureNewSocket(owner, wish, secure);
    const secured = secure(wish);
    lendToTls(secured);
    return secured;
  };
  return Object.assign(agent, { createConnection });
}

function optionsOf(args: readonly unknown[]): AgentConnectOptions {
  const options = args.find((value) => value !== null && typeof value === 'object');
  const [port, host] = args;
  return {
    ...options,
    ...(typeof port === 'number' ? { port } : {}),
    ...(typeof host === 'string' ? { host } : {}),
  };
}
