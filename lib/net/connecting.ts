/**
 * From `connect(options)` to a connection: the name is looked up, then its addresses are tried, one or, of
 * both families in turn, several (RFC 8305, as Node does it).
 */
import { ADDRCONFIG, type LookupOptions } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import {
  checkBoolean,
  checkFunction,
  checkHostname,
  checkInteger,
  checkNumber,
  checkPort,
} from './arguments.js';
import { begin, connectError, refusalOf, type Target } from './attempt.js';
import { kContext } from './context.js';
import { alternate, type Found, invalidIpAddress, isUsable, problemOf } from './found-addresses.js';
import {
  aggregateError,
  argumentTypeError,
  argumentValueError,
  hostPortError,
  plainError,
} from './node-errors.js';
import { NODE_MAJOR } from './node-version.js';
import { lookupOf } from './resolve.js';
import type { StackSocket } from './socket.js';
import { attachPath } from './socket-owner.js';
import { kState, type SocketState } from './socket-state.js';

export interface ConnectOptions {
  port?: number | string | undefined;
  /** `localhost`, this stack itself, by default. */
  host?: string | undefined;
  /** No stack has these: the socket then stands on one of the host. */
  path?: string | undefined;
  localAddress?: string | undefined;
  localPort?: number | undefined;
  /** 4, 6, or 0 for either. */
  family?: number | string | undefined;
  hints?: number | undefined;
  /** In place of `dns.lookup`. Not asked for addresses. */
  lookup?: LookupFunction | undefined;
  autoSelectFamily?: boolean | undefined;
  /** ms; at least 10. */
  autoSelectFamilyAttemptTimeout?: number | undefined;
  /**
   * TCP Fast Open (RFC 7413), which Node has not: the first `write`, before the attempt begins, goes with the SYN
   * where the server is known, unless several addresses are tried. The server may get it twice. False by default.
   */
  fastOpen?: boolean | undefined;
}

/** Looks up and connects, in a later tick. @throws argument errors */
export function connectSocket(socket: StackSocket, options: ConnectOptions): void {
  const { path } = options;
  if (path) {
    if (typeof path !== 'string') throw argumentTypeError('options.path', 'string', path);
    const { handle } = socket[kState];
    if (handle === undefined) attachPath(socket, path);
    else {
      const code = handle.isConnecting ? 'EALREADY' : 'EISCONN';
      process.nextTick(() => fail(socket, hostPortError(code, 'connect', { address: path })));
    }
    return;
  }
  const plan = checkOptions(socket, options);
  const target = { address: plan.host, family: isIP(plan.host) };
  if (target.family !== 0 && socket[kState].bound !== undefined) {
    // As in Node, at once: whoever looks sees the address that was chosen.
    tryOne(socket, plan, target);
    return;
  }
  if (target.family !== 0) {
    process.nextTick(() => {
      if (socket.connecting) tryOne(socket, plan, target);
    });
    return;
  }
  if (options.lookup !== undefined && options.lookup !== null)
    checkFunction(options.lookup, 'options.lookup');
  lookUp(socket, plan, options);
}

interface Plan {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly autoSelectFamily: boolean;
  readonly attemptTimeoutMs: number;
  readonly fastOpen: boolean;
}

function checkOptions(socket: StackSocket, options: ConnectOptions): Plan {
  const context = socket[kContext];
  const { localAddress, localPort, port, host } = options;
  const { bound } = socket[kState];
  if (bound !== undefined && (localAddress !== undefined || localPort !== undefined)) {
    const reason = 'localAddress and localPort cannot be used with an adopted bound socket';
    throw argumentValueError('options', options, reason);
  }
  if (localAddress && isIP(localAddress) === 0) throw invalidIpAddress(localAddress);
  if (localPort) checkNumber(localPort, 'options.localPort');
  if (port !== undefined && typeof port !== 'number' && typeof port !== 'string') {
    throw argumentTypeError('options.port', ['number', 'string'], port);
  }
  let autoSelectFamily = context.autoSelectFamily;
  if (options.autoSelectFamily !== undefined && options.autoSelectFamily !== null) {
    checkBoolean(options.autoSelectFamily, 'options.autoSelectFamily');
    autoSelectFamily = options.autoSelectFamily;
  }
  let attemptTimeoutMs = context.autoSelectFamilyAttemptTimeoutMs;
  const given = options.autoSelectFamilyAttemptTimeout;
  if (given !== undefined && given !== null) {
    checkInteger(given, 'options.autoSelectFamilyAttemptTimeout', 1);
    attemptTimeoutMs = Math.max(10, given);
  }
  // Before Node 22 a name that is no text is refused when it is looked up.
  if (host && NODE_MAJOR >= 22) checkHostname(host, 'options.host');
  const { fastOpen = false } = options;
  checkBoolean(fastOpen, 'options.fastOpen');
  return {
    host: host || 'localhost',
    port: port === undefined ? 0 : checkPort(port),
    localAddress,
    localPort,
    autoSelectFamily: autoSelectFamily && bound === undefined,
    attemptTimeoutMs,
    fastOpen,
  };
}

const FAMILIES: Readonly<Record<string, number>> = { IPv4: 4, IPv6: 6 };

/** Asks for one address, or for all where several may be tried. */
function lookUp(socket: StackSocket, plan: Plan, options: ConnectOptions): void {
  const { host } = plan;
  const family = FAMILIES[String(options.family)] ?? options.family;
  const isEither = family !== 4 && family !== 6;
  const hints = options.hints || (isEither ? ADDRCONFIG : 0);
  const find = options.lookup ?? lookupOf(socket[kContext].stack);
  socket._host = host;
  const query = { family, hints } as LookupOptions;
  if (isEither && !plan.localAddress && plan.autoSelectFamily) {
    find(host, { ...query, all: true }, (error, addresses) => {
      foundSeveral(socket, plan, options, error ?? (addresses as unknown as Found[]));
    });
    return;
  }
  find(host, query, (error, address, foundFamily) => {
    socket.emit('lookup', error, address, foundFamily, host);
    if (!socket.connecting) return;
    const problem = error ?? problemOf({ address: address as string, family: foundFamily ?? 0 }, options);
    if (problem) process.nextTick(fail, socket, problem);
    else {
      socket._unrefTimer();
      tryOne(socket, plan, { address: address as string, family: foundFamily ?? 0 });
    }
  });
}

function foundSeveral(
  socket: StackSocket,
  plan: Plan,
  options: ConnectOptions,
  outcome: NodeJS.ErrnoException | readonly Found[],
): void {
  if (!socket.connecting) return;
  if (outcome instanceof Error) {
    socket.emit('lookup', outcome, undefined, undefined, plan.host);
    process.nextTick(fail, socket, outcome);
    return;
  }
  for (const { address, family } of outcome) {
    socket.emit('lookup', null, address, family, plan.host);
    if (!socket.connecting) return;
  }
  const order = alternate(outcome.filter(isUsable));
  if (order.length === 0) {
    process.nextTick(fail, socket, problemOf(outcome[0] ?? { address: '', family: 0 }, options));
    return;
  }
  socket._unrefTimer();
  if (order.length === 1) {
    tryOne(socket, plan, order[0]);
    return;
  }
  socket.autoSelectFamilyAttemptedAddresses = [];
  new Race(socket, plan, order).next();
}

function fail(socket: StackSocket, error: Error): void {
  socket.destroy(error);
}

/** `found`, and the local end to try it from: any address where only a port was asked for. */
function targetOf(plan: Plan, { address, family }: Found): Target {
  const { port, localPort, fastOpen } = plan;
  const any = family === 4 ? '0.0.0.0' : '::';
  return {
    address,
    family,
    port,
    localAddress: plan.localAddress || (localPort ? any : undefined),
    localPort,
    fastOpen,
  };
}

/** Tries one address. Its failure is the socket's. */
function tryOne(socket: StackSocket, plan: Plan, found: Found): void {
  const target = targetOf(plan, found);
  const refusal = refusalOf(socket, target);
  if (refusal !== undefined) {
    socket.emit('connectionAttempt', target.address, target.port, target.family);
    socket.destroy(refusal);
    return;
  }
  const error = begin(socket, target, (code) => {
    const failure = connectError(code, target);
    socket.connecting = false;
    socket.emit('connectionAttemptFailed', target.address, target.port, target.family, failure);
    socket.destroy(failure);
  });
  if (error !== undefined) socket.destroy(error);
  else if (target.fastOpen) writeEarly(socket[kState]);
}

/** What was written so far may go with the SYN, which leaves at the end of this turn. */
function writeEarly(state: SocketState): void {
  state.handle?.put(state.pending);
  state.pending = [];
}

/** Tries several addresses in turn, each for a while; the first that answers wins. */
class Race {
  readonly #socket: StackSocket;
  readonly #plan: Plan;
  readonly #order: readonly Found[];
  readonly #errors: Error[] = [];
  #current = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: StackSocket, plan: Plan, order: readonly Found[]) {
    this.#socket = socket;
    this.#plan = plan;
    this.#order = order;
  }

  next(): void {
    const socket = this.#socket;
    clearTimeout(this.#timer);
    if (!socket.connecting) return;
    if (this.#current === this.#order.length) {
      const { length } = this.#errors;
      socket.destroy(
        length === 0 ? plainError('ERR_SOCKET_CONNECTION_TIMEOUT') : aggregateError(this.#errors),
      );
      return;
    }
    const index = this.#current++;
    // A local address of one family cannot serve both: such a connect does not come here.
    const target = { ...targetOf(this.#plan, this.#order[index]), fastOpen: false };
    const { address, port, family } = target;
    const refusal = refusalOf(socket, target);
    if (refusal !== undefined) {
      this.#errors.push(refusal);
      socket.emit('connectionAttemptFailed', address, port, family, refusal);
      this.next();
      return;
    }
    const error = begin(socket, target, (code) => this.#failed(target, connectError(code, target)));
    if (error?.syscall !== 'bind') socket.autoSelectFamilyAttemptedAddresses.push(`${address}:${port}`);
    if (error !== undefined) {
      this.#errors.push(error);
      if (error.syscall !== 'bind') socket.emit('connectionAttemptFailed', address, port, family, error);
      this.next();
      return;
    }
    if (index < this.#order.length - 1) {
      const { handle } = socket[kState];
      const overdue = (): void => {
        if (socket.connecting && socket[kState].handle === handle) this.#overdue(target);
      };
      // The attempt itself keeps the process alive.
      this.#timer = setTimeout(overdue, this.#plan.attemptTimeoutMs).unref();
    }
  }

  #failed(target: Target, error: Error): void {
    clearTimeout(this.#timer);
    this.#errors.push(error);
    const { address, port, family } = target;
    this.#socket.emit('connectionAttemptFailed', address, port, family, error);
    this.#giveUp();
    this.next();
  }

  #overdue(target: Target): void {
    const { address, port, family } = target;
    this.#socket.emit('connectionAttemptTimeout', address, port, family);
    this.#errors.push(connectError('ETIMEDOUT', target));
    this.#giveUp();
    this.next();
  }

  /** Lets the connection of the last attempt go. */
  #giveUp(): void {
    const state = this.#socket[kState];
    state.handle?.close(() => {});
    state.handle = undefined;
  }
}
