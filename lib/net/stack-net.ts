/** Gives every stack its `net`, made when it is first asked for, and what helps Node's HTTP to use it. */
import type http from 'node:http';
import type https from 'node:https';
import { Stack } from '../stack/stack.js';
import {
  type Connector,
  type ConnectorOptions,
  createAgent,
  createConnector,
  createHttpsAgent,
} from './agents.js';
import { type NetModule, type NetOfStack, openNet } from './net.js';
import { type Serve, serve } from './serve.js';

declare module '../stack/stack.js' {
  interface Stack {
    /** `node:net` over this stack. */
    readonly net: NetModule;
    /**
     * Makes a server of Node's, http, https, http2, tls or net, listen on this stack: called with the
     * server and what its `listen` would take.
     */
    readonly serve: Serve;
    /** An agent for `http.request` and everything that takes one; options as for `http.Agent`. */
    agent(options?: http.AgentOptions): http.Agent;
    /** As `agent`, for `https.request`. */
    httpsAgent(options?: https.AgentOptions): https.Agent;
    /** `connect` for an agent of undici, and so for its `fetch`. */
    connector(options?: ConnectorOptions): Connector;
  }
}

const nets = new WeakMap<Stack, NetOfStack>();

function netOf(stack: Stack): NetOfStack {
  const known = nets.get(stack);
  if (known !== undefined) return known;
  const made = openNet(stack);
  nets.set(stack, made);
  return made;
}

/** What importing this file adds to all stacks. */
const ADDITIONS = {
  get net(): NetModule {
    return netOf(this as unknown as Stack).module;
  },
  serve(this: Stack, server: Parameters<Serve>[0], ...args: unknown[]): unknown {
    serve(netOf(this).context, server, args);
    return server;
  },
  agent(this: Stack, options?: http.AgentOptions): http.Agent {
    return createAgent(this.net, options);
  },
  httpsAgent(this: Stack, options?: https.AgentOptions): https.Agent {
    return createHttpsAgent(this.net, options);
  },
  connector(this: Stack, options?: ConnectorOptions): Connector {
    return createConnector(this.net, options);
  },
};

Object.defineProperties(Stack.prototype, Object.getOwnPropertyDescriptors(ADDITIONS));

export { createNet } from './net.js';
