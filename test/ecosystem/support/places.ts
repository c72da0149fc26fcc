/**
 * Where a program of the ecosystem is tried: on the host's sockets, which say what must happen, in one stack,
 * and between two. Each place offers the hooks that the stack offers; on the host they are Node's own.
 */
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo, type Server } from 'node:net';
import tls from 'node:tls';
import { expect } from 'chai';
import * as undici from 'undici';
import type { ConnectorOptions } from '../../../lib/net/connector.js';
import type { NetModule } from '../../../lib/net/net.js';
import { loopbackWorld, pipeWorld, type StackWorld } from '../../net/support/worlds.js';

export interface DispatcherWish {
  readonly connect?: ConnectorOptions;
  readonly allowH2?: boolean;
  readonly pipelining?: number;
  readonly connections?: number;
}

export interface Place {
  readonly name: string;
  readonly host: string;
  readonly clientHost: string;
  /** For clients, and for servers. */
  readonly net: NetModule;
  readonly tls: typeof tls;
  readonly serverTls: typeof tls;
  readonly serverNet: NetModule;
  readonly connectHttp2: typeof http2.connect;
  /** Makes a server listen on a free port. */
  serve(server: Server): Promise<number>;
  agent(options?: http.AgentOptions): http.Agent;
  httpsAgent(options?: https.AgentOptions): https.Agent;
  dispatcher(options?: DispatcherWish): undici.Dispatcher;
  /** For the `fetch` of Node. */
  fetchDispatcher(options?: DispatcherWish): NonNullable<RequestInit['dispatcher']>;
  /** Called when the place is closed. */
  later(clean: () => unknown): void;
  close(): Promise<void>;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

function listening(server: Server, listen: () => void): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).once('listening', () => resolve(portOf(server)));
    listen();
  });
}

class Cleaners {
  readonly #cleaners: (() => unknown)[] = [];

  readonly later = (clean: () => unknown): void => void this.#cleaners.push(clean);

  async run(): Promise<void> {
    for (const clean of this.#cleaners.reverse()) await clean();
  }
}

/** The `Agent` of the undici within Node, for the host. */
function agentWithinNode(): new (options: object) => NonNullable<RequestInit['dispatcher']> {
  void globalThis.Response;
  const holder = globalThis as unknown as Record<symbol, { constructor: never }>;
  return holder[Symbol.for('undici.globalDispatcher.1')].constructor;
}

function closingServer(later: Cleaners['later'], server: Server): void {
  later(() => {
    server.close();
    (server as Partial<http.Server>).closeAllConnections?.();
  });
}

export function hostPlace(): Place {
  const cleaners = new Cleaners();
  return {
    name: 'on the host',
    host: '127.0.0.1',
    clientHost: '127.0.0.1',
    net: net as unknown as NetModule,
    serverNet: net as unknown as NetModule,
    tls,
    serverTls: tls,
    connectHttp2: http2.connect,
    serve(server) {
      closingServer(cleaners.later, server);
      return listening(server, () => server.listen(0, '127.0.0.1'));
    },
    agent: (options) => new http.Agent({ keepAlive: true, ...options }),
    httpsAgent: (options) => new https.Agent({ keepAlive: true, ...options }),
    dispatcher: (options) => new undici.Agent(options as undici.Agent.Options),
    fetchDispatcher: (options = {}) => new (agentWithinNode())(options),
    later: cleaners.later,
    close: () => cleaners.run(),
  };
}

const stackPlace = (name: string, world: StackWorld): Place => {
  const { serverStack, clientStack, host, clientHost } = world;
  const cleaners = new Cleaners();
  return {
    name,
    host,
    clientHost,
    net: clientStack.net,
    serverNet: serverStack.net,
    tls: clientStack.tls,
    serverTls: serverStack.tls,
    connectHttp2: clientStack.http2.connect,
    serve(server) {
      closingServer(cleaners.later, server);
      return listening(server, () => void serverStack.serve(server, 0, host));
    },
    agent: (options) => clientStack.agent(options),
    httpsAgent: (options) => clientStack.httpsAgent(options),
    dispatcher: (options = {}) => clientStack.dispatcher(undici, { ...options }),
    fetchDispatcher: (options = {}) => clientStack.dispatcher({ ...options }),
    later: cleaners.later,
    async close() {
      await cleaners.run();
      world.close();
    },
  };
};

/** The places that are tried, besides the host. */
const STACK_PLACES = [
  () => stackPlace('one stack', loopbackWorld()),
  () => stackPlace('two stacks', pipeWorld()),
];

/** Plain data: what happened. */
export type Scenario = (place: Place) => Promise<unknown>;

async function play(scenario: Scenario, place: Place): Promise<unknown> {
  try {
    return await scenario(place);
  } finally {
    await place.close();
  }
}

/** One test per place: the outcome is that on the host. */
export function sameAsOnHost(title: string, scenario: Scenario): void {
  let expected: Promise<unknown> | undefined;
  for (const make of STACK_PLACES) {
    const place = make();
    it(`${title}, ${place.name}`, async () => {
      expected ??= play(scenario, hostPlace());
      const wanted = await expected;
      expect(await play(scenario, place)).to.deep.equal(wanted);
    });
  }
}

/** One test per place, which says itself what must happen; on the host too, so that it is true. */
export function everywhere(title: string, scenario: Scenario): void {
  for (const make of [hostPlace, ...STACK_PLACES]) {
    const place = make();
    it(`${title}, ${place.name}`, async () => {
      await play(scenario, place);
    });
  }
}

/** An error as plain data, without what differs from run to run; with its cause, one level deep. */
export function outcomeOf(error: unknown, place: Place, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const { name, code, message, cause } = error as NodeJS.ErrnoException & { cause?: unknown };
  const hidden = message.replaceAll(place.host, '<host>').replaceAll(/:\d{4,5}\b/g, ':<port>');
  const rest = cause === undefined || depth > 0 ? {} : { cause: outcomeOf(cause, place, depth + 1) };
  return { name, code, message: hidden, ...rest };
}
