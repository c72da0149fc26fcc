/** A listening port as servers use one, and what becomes of the connections it accepts. */
import { AsyncResource } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import { type BlockList, isIP } from 'node:net';
import { isBlocked } from './arguments.js';
import type { BoundPort, Endpoint, ListenerEndpoint, NetContext } from './context.js';
import { errnoError } from './node-errors.js';
import { NODE_MAJOR } from './node-version.js';
import { attach } from './socket-owner.js';
import { AcceptedOptions, kState } from './socket-state.js';
import type { Address } from './tcp-handle.js';
import { type Links, lacksLink, readTcpPlace, showTcpAddress } from './zones.js';

/**
 * A server that connections are given to: `StackServer`, or one of Node's own (http, https, http2, tls),
 * which all have these.
 */
export interface ConnectionServer {
  allowHalfOpen: boolean;
  pauseOnConnect: boolean;
  noDelay: boolean;
  keepAlive: boolean;
  /** Seconds. */
  keepAliveInitialDelay: number;
  highWaterMark: number;
  maxConnections?: number | null | undefined;
  /** Whose connections are closed at once. */
  blockList?: BlockList | undefined;
  _connections: number;
  _emitCloseIfDrained(): void;
  close(): void;
  emit(event: string, ...args: unknown[]): boolean;
}

/** A port that is taken already, and is to accept. */
export interface BoundOptions {
  readonly bound: BoundPort;
  readonly backlog: number;
}

export interface PortOptions {
  readonly address: string;
  readonly port: number;
  readonly backlog: number;
  readonly ipv6Only: boolean;
  readonly fastOpen: boolean;
  readonly reusePort: boolean;
}

/** Whether `maxConnections` 0 lets nobody in; before Node 21 it meant no limit. */
const ZERO_IS_A_LIMIT = NODE_MAJOR >= 21;

const serverSockets = channel('net.server.socket');

export class ListenerHandle {
  readonly #context: NetContext;
  readonly #server: ConnectionServer;
  readonly #listener: ListenerEndpoint;
  /** Whether it is a socket of IPv6, to which IPv4 has mapped addresses, its own included. */
  readonly #isIpv6: boolean;
  /** Index of the link it listens on alone; 0 for all. */
  readonly #link: number;
  readonly #scope = new AsyncResource('TUNSTACK_TCPSERVER');
  #isRef = true;
  #holds = false;
  #isClosed = false;

  /** @throws StackError EADDRINUSE, EADDRNOTAVAIL … */
  constructor(context: NetContext, server: ConnectionServer, options: PortOptions | BoundOptions) {
    this.#context = context;
    this.#server = server;
    const { listener, link, isIpv6 } = listen(context, options);
    this.#listener = listener;
    this.#link = link;
    this.#isIpv6 = isIpv6;
    this.#listener.onConnection = () => this.#accept();
    this.#listener.onClosed = () => this.#cut();
    this.#updateHold();
  }

  address(): Address {
    const { localAddress, localPort: port } = this.#listener;
    const family = this.#isIpv6 ? 'IPv6' : 'IPv4';
    const zone = { link: this.#link, links: this.#context.stack.ip };
    return { address: showTcpAddress(localAddress, this.#isIpv6, zone), family, port };
  }

  /** For servers of Node's, which ask their handle in this way. */
  getsockname(out: object): number {
    Object.assign(out, this.address());
    return 0;
  }

  ref(): void {
    this.#isRef = true;
    this.#updateHold();
  }

  unref(): void {
    this.#isRef = false;
    this.#updateHold();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.onConnection = () => {};
    this.#listener.close();
    this.#updateHold();
  }

  /** The stack was closed: so is the server, unless its owner does that in the same tick. */
  #cut(): void {
    process.nextTick(() => {
      if (!this.#isClosed) this.#scope.runInAsyncScope(() => this.#server.close());
    });
  }

  #updateHold(): void {
    const holds = this.#isRef && !this.#isClosed;
    if (holds === this.#holds) return;
    this.#holds = holds;
    if (holds) this.#context.stack.hold();
    else this.#context.stack.release();
  }

  #accept(): void {
    while (!this.#isClosed) {
      const endpoint = this.#listener.accept();
      if (endpoint === undefined) return;
      try {
        this.#scope.runInAsyncScope(() => this.#accepted(endpoint));
      } catch (error) {
        // A listener's mistake is the process's affair, not that of the stack whose turn this is.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  #accepted(endpoint: Endpoint): void {
    const server = this.#server;
    const isMapped = this.#isIpv6;
    const links = this.#context.stack.ip;
    const { maxConnections, blockList } = server;
    const isLimited = typeof maxConnections === 'number' && (maxConnections > 0 || ZERO_IS_A_LIMIT);
    if (isLimited && server._connections >= maxConnections) {
      drop(server, endpoint, { isMapped, links });
      return;
    }
    // Lists know no zones.
    const peer = blockList && showTcpAddress(endpoint.remoteAddress, isMapped, { link: 0, links });
    if (peer && isBlocked(blockList, peer)) {
      endpoint.close();
      return;
    }
    const socket = new this.#context.Socket(new AcceptedOptions(server));
    const state = socket[kState];
    state.noDelay = server.noDelay;
    state.keepAlive = server.keepAlive;
    state.keepAliveDelayMs = server.keepAliveInitialDelay * 1000;
    attach(socket, { endpoint, isMapped });
    // As in Node: begin to read before anybody listens, unless the socket is to begin paused.
    if (server.pauseOnConnect) (socket as { readableFlowing: boolean | null }).readableFlowing = false;
    else socket.read(0);
    server._connections++;
    socket.server = server;
    socket._server = server;
    server.emit('connection', socket);
    if (serverSockets.hasSubscribers) serverSockets.publish({ socket });
  }
}

/** @throws StackError EINVAL for what only one link has, or where no link can say whose it is */
function listen({ stack }: NetContext, options: PortOptions | BoundOptions) {
  if ('bound' in options) {
    const listener = options.bound.listen({ backlog: options.backlog });
    return { listener, link: 0, isIpv6: listener.localAddress.family === 6 };
  }
  const { fastOpen, address: text, ...rest } = options;
  const { address, link } = readTcpPlace(text, stack.ip);
  const isGroup = address.family === 6 && address.isMulticast;
  if (isGroup || lacksLink({ address, link })) throw errnoError('EINVAL', 'listen');
  const place = link > 0 ? { address, link } : { address };
  const listener = stack.listenTcp({ ...rest, ...place, ...(fastOpen ? { options: { fastOpen } } : {}) });
  return { listener, link, isIpv6: isIP(text) === 6 };
}

/** How addresses are shown. */
interface Shown {
  readonly isMapped: boolean;
  readonly links: Links;
}

/** Turns a connection away, and says whose it was. */
function drop(server: ConnectionServer, endpoint: Endpoint, { isMapped, links }: Shown): void {
  const shown = (address: Endpoint['localAddress']): string =>
    showTcpAddress(address, isMapped, { link: endpoint.link, links });
  const family = isMapped ? 'IPv6' : `IPv${endpoint.family}`;
  server.emit('drop', {
    __proto__: null,
    localAddress: shown(endpoint.localAddress),
    localPort: endpoint.localPort,
    localFamily: family,
    remoteAddress: shown(endpoint.remoteAddress),
    remotePort: endpoint.remotePort,
    remoteFamily: family,
  });
  endpoint.close();
}
