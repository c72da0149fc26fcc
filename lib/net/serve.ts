/** Node's own servers, http, https, http2, tls or net, and what is built on them, on a port of a stack. */
import http from 'node:http';
import type { Server } from 'node:net';
import type { NetContext } from './context.js';
import { type ListeningServer, type ListenOptions, listenOn } from './listening.js';
import { lendToSession, lendToTls } from './wrapping.js';

/** What answers requests: an application of Express, Connect, Koa's `callback()`, or any listener. */
export type RequestHandler = (request: http.IncomingMessage, response: http.ServerResponse) => unknown;

/** An application that has a server of its own and is to be made ready first: Fastify. */
export interface ServerApplication<S extends Server = Server> {
  /** Its server. */
  readonly server: S;
  /** Makes it ready. */
  ready(): PromiseLike<unknown>;
}

/** What a call of `serve` with a target gives. */
export type Served<T> = T extends Server
  ? T
  : T extends ServerApplication<infer S>
    ? S
    : T extends RequestHandler
      ? http.Server
      : never;

type Servable = Server | ServerApplication | RequestHandler;

/** `serve`, as `server.listen` may be called. */
export interface Serve {
  <T extends Servable>(target: T, options: ListenOptions, listening?: () => void): Served<T>;
  <T extends Servable>(target: T, port?: number, listening?: () => void): Served<T>;
  <T extends Servable>(target: T, port: number, host: string, listening?: () => void): Served<T>;
  <T extends Servable>(
    target: T,
    port: number,
    host: string,
    backlog: number,
    listening?: () => void,
  ): Served<T>;
}

const prepared = new WeakSet<Server>();

/**
 * Makes a server of Node's listen here instead of on the host: what `server.listen(…args)` would do, with
 * the same events and errors. `address`, `close`, `getConnections`, `listening`, `maxConnections`, `ref`
 * and `unref` then speak of this port.
 * @throws as `listenOn`
 */
export function serve(context: NetContext, server: Server, args: readonly unknown[]): void {
  if (!prepared.has(server)) {
    prepared.add(server);
    // Before the listeners of https and http2, which may want to know who calls.
    server.prependListener('secureConnection', lendToTls);
    server.prependListener('session', lendToSession);
  }
  // Node's servers have the fields of ours: ours were made after them.
  listenOn(context, server as unknown as ListeningServer, args);
}

/**
 * As `serve`, for what has or is to have a server: that of a handler is made, that of an application listens
 * when the application is ready. @returns the server
 */
export function serveAny(
  context: NetContext,
  target: Server | ServerApplication<Server> | RequestHandler,
  args: readonly unknown[],
): Server {
  if (typeof target === 'function') {
    const server = http.createServer(target);
    serve(context, server, args);
    return server;
  }
  if (!isApplication(target)) {
    serve(context, target, args);
    return target;
  }
  const { server } = target;
  target.ready().then(
    () => serveLate(context, server, args),
    (error: unknown) => void server.emit('error', error),
  );
  return server;
}

/** What would have been thrown comes as `error`. */
function serveLate(context: NetContext, server: Server, args: readonly unknown[]): void {
  try {
    serve(context, server, args);
  } catch (error) {
    server.emit('error', error);
  }
}

const isApplication = (target: Server | ServerApplication<Server>): target is ServerApplication<Server> =>
  'server' in target && 'ready' in target && typeof target.ready === 'function';
