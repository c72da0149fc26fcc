/** Dispatchers over a stack: for the `fetch` of Node, and for undici as the application has it. */
import { type ConnectorOptions, createConnector } from './connector.js';
import type { NetOfStack } from './net.js';

/** An `Agent` of undici, whatever its version. */
type AgentClass = new (options: never) => object;

/** undici as the application has installed it: `import * as undici from 'undici'`. */
export interface UndiciModule<A extends AgentClass = AgentClass> {
  /** The class dispatchers are made of. */
  readonly Agent: A;
}

/** Options of undici's `Agent`; those named here concern connections. */
export interface DispatcherOptions {
  /** How to connect, TLS included. */
  readonly connect?: ConnectorOptions;
  /** ms; 10 s by default. */
  readonly connectTimeout?: number;
  /** Offer HTTP/2 by ALPN; false by default. */
  readonly allowH2?: boolean;
  /** As in `ConnectorOptions`. */
  readonly maxCachedSessions?: number;
  /** As in `ConnectorOptions`. */
  readonly autoSelectFamily?: boolean;
  /** As in `ConnectorOptions`. */
  readonly autoSelectFamilyAttemptTimeout?: number;
  readonly [other: string]: unknown;
}

/** What the `fetch` of Node takes as `dispatcher`, where its types say so. */
export type FetchDispatcher = RequestInit extends { dispatcher?: infer D } ? NonNullable<D> : object;

/** `stack.dispatcher`, in its two forms. */
export interface MakeDispatcher {
  /**
   * For the `fetch` and `WebSocket` of Node itself: `fetch(url, { dispatcher: stack.dispatcher() })`. It is an
   * `Agent` of the undici within Node, so nothing need be installed.
   * @throws `ERR_MODULE_NOT_FOUND` where Node's own cannot be found, as its global dispatcher was replaced
   */
  (options?: DispatcherOptions): FetchDispatcher;
  /** For everything of an installed undici: `stack.dispatcher(undici, options)` is an `Agent` of it. */
  <A extends AgentClass>(undici: UndiciModule<A>, options?: DispatcherOptions): InstanceType<A>;
}

export function createDispatcher(owner: NetOfStack, args: readonly unknown[]): object {
  const [first, second] = args as [UndiciModule | DispatcherOptions | undefined, DispatcherOptions?];
  const isModule = typeof (first as UndiciModule | undefined)?.Agent === 'function';
  const { Agent } = isModule ? (first as UndiciModule) : { Agent: agentWithinNode() };
  const options = (isModule ? second : (first as DispatcherOptions | undefined)) ?? {};
  const { connect, connectTimeout, allowH2, maxCachedSessions, ...others } = options;
  const { autoSelectFamily, autoSelectFamilyAttemptTimeout, ...rest } = others;
  const forConnector = Object.entries({
    timeout: connectTimeout,
    allowH2,
    maxCachedSessions,
    autoSelectFamily,
    autoSelectFamilyAttemptTimeout,
  }).filter(([, value]) => value !== undefined);
  const connector = createConnector(owner, { ...Object.fromEntries(forConnector), ...connect });
  const given = { ...rest, ...(allowH2 === undefined ? {} : { allowH2 }), connect: connector };
  return new Agent(given as never);
}

/** Where undici keeps the dispatcher of a process; Node's own puts an `Agent` there when it is first used. */
const GLOBAL_DISPATCHER = Symbol.for('undici.globalDispatcher.1');

function agentWithinNode(): AgentClass {
  // To look at it is to load it.
  void globalThis.Response;
  const { constructor: Agent } = (globalThis as Record<symbol, object | undefined>)[GLOBAL_DISPATCHER] ?? {};
  if (typeof Agent === 'function' && Agent.name === 'Agent') return Agent as unknown as AgentClass;
  const message =
    'no Agent to make a dispatcher of: the global dispatcher of this process was replaced. ' +
    "Pass undici itself: stack.dispatcher(await import('undici'))";
  throw Object.assign(new Error(message), { code: 'ERR_MODULE_NOT_FOUND' });
}
