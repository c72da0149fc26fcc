/** Gives every stack its `net`, made when it is first asked for, and what helps the rest of Node to use it. */
import type http from 'node:http';
import type https from 'node:https';
import { Stack } from '../stack/stack.js';
import { createAgent, createHttpsAgent } from './agents.js';
import { type Connector, type ConnectorOptions, createConnector } from './connector.js';
import { createDispatcher, type MakeDispatcher } from './dispatcher.js';
import { createHttp2, type Http2Module } from './http2.js';
import { type ListenAny, listenAny } from './listen-any.js';
import { type NetModule, type NetOfStack, openNet } from './net.js';
import { type Serve, serveAny } from './serve.js';
import { createTls, type TlsModule } from './tls.js';

declare module '../stack/stack.js' {
  interface Stack {
    /** `node:net` over this stack. */
    readonly net: NetModule;
    /** `node:tls` over this stack: `connect`, `createServer` and `Server` are its own, the rest is Node's. */
    readonly tls: TlsModule;
    /** `connect` of `node:http2` over this stack. Servers of HTTP/2 are for `serve`. */
    readonly http2: Http2Module;
    /**
     * Makes a server of Node's, http, https, http2, tls or net, listen on this stack: called with the
     * server and what its `listen` would take. Applications of Express and the like are given a server of
     * http, those of Fastify listen when they are ready. Returns the server.
     */
    readonly serve: Serve;
    /**
     * Puts what is begun to any address and port, as far as the filter in the options goes, before a handler, which
     * accepts, rejects or ignores it, at once or later: connections (`protocol: 'tcp'`), whose SYN waits for its
     * answer meanwhile, flows of datagrams (`'udp'`), and pings (`'icmp'`; without a handler they are answered). Who
     * listens on an address of the stack goes first.
     */
    readonly listenAny: ListenAny;
    /**
     * A dispatcher for the `fetch` of Node, with options of undici's `Agent`; or, given undici and
     * options, an `Agent` of it.
     */
    readonly dispatcher: MakeDispatcher;
    /** An agent for `http.request` and everything that takes one; options as for `http.Agent`. */
    agent(options?: http.AgentOptions): http.Agent;
    /** As `agent`, for `https.request`. */
    httpsAgent(options?: https.AgentOptions): https.Agent;
    /** `connect` for an agent of undici; `dispatcher` makes such an agent. */
    connector(options?: ConnectorOptions): Connector;
  }
}

interface Modules {
  readonly net: NetOfStack;
  readonly tls: TlsModule;
  readonly http2: Http2Module;
}

const modules = new WeakMap<Stack, Modules>();

function modulesOf(stack: Stack): Modules {
  let known = modules.get(stack);
  if (known === undefined) {
    const net = openNet(stack);
    known = { net, tls: createTls(net), http2: createHttp2(net) };
    modules.set(stack, known);
  }
  return known;
}

/** The `http2` of a stack whose connections without TLS are made by `connect`. */
export const http2Of = (stack: Stack, connect: Parameters<typeof createHttp2>[1]): Http2Module =>
  createHttp2(modulesOf(stack).net, connect);

/** What importing this file adds to all stacks. */
const ADDITIONS = {
  get net(): NetModule {
    return modulesOf(this as unknown as Stack).net.module;
  },
  get tls(): TlsModule {
    return modulesOf(this as unknown as Stack).tls;
  },
  get http2(): Http2Module {
    return modulesOf(this as unknown as Stack).http2;
  },
  serve(this: Stack, target: Parameters<Serve>[0], ...args: unknown[]): unknown {
    return serveAny(modulesOf(this).net.context, target, args);
  },
  listenAny(this: Stack, options: Parameters<typeof listenAny>[2], handler: unknown): object {
    return listenAny(modulesOf(this).net.context, this, options, handler);
  },
  dispatcher(this: Stack, ...args: unknown[]): object {
    return createDispatcher(modulesOf(this).net, args);
  },
  agent(this: Stack, options?: http.AgentOptions): http.Agent {
    return createAgent(modulesOf(this).net, options);
  },
  httpsAgent(this: Stack, options?: https.AgentOptions): https.Agent {
    return createHttpsAgent(modulesOf(this).net, options);
  },
  connector(this: Stack, options?: ConnectorOptions): Connector {
    return createConnector(modulesOf(this).net, options);
  },
};

Object.defineProperties(Stack.prototype, Object.getOwnPropertyDescriptors(ADDITIONS));

export { createNet } from './net.js';
