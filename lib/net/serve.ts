/** Node's own servers, http, https, http2, tls or net, on a port of a stack. */
import type { Server } from 'node:net';
import type { NetContext } from './context.js';
import { type ListeningServer, type ListenOptions, listenOn } from './listening.js';
import { lendToSession, lendToTls } from './wrapping.js';

/** `serve`, as `server.listen` may be called. */
export interface Serve {
  <S extends Server>(server: S, options: ListenOptions, listening?: () => void): S;
  <S extends Server>(server: S, port?: number, listening?: () => void): S;
  <S extends Server>(server: S, port: number, host: string, listening?: () => void): S;
  <S extends Server>(server: S, port: number, host: string, backlog: number, listening?: () => void): S;
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
