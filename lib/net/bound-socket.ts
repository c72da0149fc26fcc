/**
 * `net.BoundSocket`, which Node has since version 24: a local address and port, taken at once, for a server or a
 * socket to come.
 */
import { type AddressInfo, isIP } from 'node:net';
import { checkBoolean, checkObject, checkPort, checkString } from './arguments.js';
import type { BoundPort, NetContext } from './context.js';
import { argumentValueError, codeOf, errnoError, hostPortError, plainError } from './node-errors.js';
import type { Address } from './tcp-handle.js';
import { lacksLink, readTcpPlace } from './zones.js';

/** Where `new BoundSocket` binds. */
export interface BoundSocketOptions {
  /** An address and no name; 0.0.0.0 by default, `::` with `ipv6Only`. */
  host?: string | null | undefined;
  /** 0, any free one, by default. */
  port?: number | undefined;
  /** With `::`, not also IPv4; false by default. */
  ipv6Only?: boolean | undefined;
  /** Share the port with others that ask for it too; false by default. */
  reusePort?: boolean | undefined;
  /** No stack but the host's has these: `EAFNOSUPPORT`. */
  path?: string | undefined;
}

/** A port that is taken, and that a server or a socket may adopt. */
export interface BoundSocket extends Disposable {
  /** Paths, of which this is false, are the host's. */
  readonly isPipe: boolean;
  /** Where it is. @throws `ERR_SOCKET_HANDLE_ADOPTED` */
  address(): AddressInfo;
  /** -1: there is no descriptor of the host's. @throws `ERR_SOCKET_HANDLE_ADOPTED` */
  fd(): number;
  /** Gives the port back, which nobody has adopted. @throws `ERR_SOCKET_HANDLE_ADOPTED` */
  close(): void;
}

let take: (from: StackBoundSocket, stack: NetContext['stack'], name: string) => BoundPort;

/** A port that is taken. `openNet` makes a class of it per stack. */
export class StackBoundSocket implements BoundSocket {
  readonly #stack: NetContext['stack'];
  /** undefined once it was adopted, or closed. */
  #bound: BoundPort | undefined;

  /**
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_SOCKET_BAD_PORT`; `EADDRINUSE`, `EADDRNOTAVAIL`
   */
  constructor(stack: NetContext['stack'], options: BoundSocketOptions) {
    this.#stack = stack;
    this.#bound = bind(stack, options);
  }

  address(): Address {
    return addressOf(this.#whole());
  }

  fd(): number {
    this.#whole();
    return -1;
  }

  close(): void {
    this.#whole().close();
    this.#bound = undefined;
  }

  [Symbol.dispose](): void {
    this.#bound?.close();
    this.#bound = undefined;
  }

  get isPipe(): boolean {
    return false;
  }

  #whole(): BoundPort {
    if (this.#bound === undefined) throw plainError('ERR_SOCKET_HANDLE_ADOPTED');
    return this.#bound;
  }

  static {
    take = (from, stack, name) => {
      const bound = from.#whole();
      if (from.#stack !== stack) throw argumentValueError(name, from, 'belongs to another stack');
      from.#bound = undefined;
      return bound;
    };
  }
}

/**
 * The port that `value`, a bound socket or something else, has taken; from now on it is the caller's.
 * @throws `ERR_SOCKET_HANDLE_ADOPTED`; `ERR_INVALID_ARG_VALUE` where it is of another stack
 */
export const adoptPort = (value: unknown, stack: NetContext['stack'], name: string): BoundPort | undefined =>
  value instanceof StackBoundSocket ? take(value, stack, name) : undefined;

function bind(stack: NetContext['stack'], options: BoundSocketOptions): BoundPort {
  checkObject(options, 'options');
  const { path, port: givenPort, ipv6Only: givenOnly, reusePort: givenReuse, host: givenHost } = options;
  if (path !== undefined) throw pathError(options);
  const port = checkPort(givenPort ?? 0, 'options.port');
  const ipv6Only = givenOnly ?? false;
  checkBoolean(ipv6Only, 'options.ipv6Only');
  const reusePort = givenReuse ?? false;
  checkBoolean(reusePort, 'options.reusePort');
  const host = givenHost ?? (ipv6Only ? '::' : '0.0.0.0');
  checkString(host, 'options.host');
  if (isIP(host) === 0) {
    const reason = 'must be a numeric IP address; net.BoundSocket does not perform DNS resolution';
    throw argumentValueError('options.host', host, reason);
  }
  try {
    const { address, link } = readTcpPlace(host, stack.ip);
    if (lacksLink({ address, link })) throw errnoError('EINVAL', 'bind');
    return stack.bindTcp({ address, port, ipv6Only, reusePort, ...(link > 0 ? { link } : {}) });
  } catch (error) {
    throw hostPortError(codeOf(error), 'bind', { address: host, port });
  }
}

function pathError(options: BoundSocketOptions): Error {
  const { path, host, port, ipv6Only, reusePort } = options;
  if ([host, port, ipv6Only, reusePort].some((value) => value !== undefined)) {
    const reason = 'path is mutually exclusive with host, port, ipv6Only, and reusePort';
    return argumentValueError('options', options, reason);
  }
  checkString(path, 'options.path');
  return errnoError('EAFNOSUPPORT', 'bind');
}

/** Where a port was taken, as Node shows it. */
export function addressOf({ localAddress, localPort }: BoundPort): Address {
  const family = localAddress.family === 6 ? 'IPv6' : 'IPv4';
  return { address: localAddress.toString(), family, port: localPort };
}

/**
 * Connects from a port that is taken already.
 * @throws as `Stack.connectTcp`; `EAFNOSUPPORT` and `EINVAL`, as on Linux, where the families differ
 */
export function connectFrom(
  bound: BoundPort,
  wish: Parameters<BoundPort['connect']>[0],
  family: number,
): ReturnType<BoundPort['connect']> {
  const own = bound.localAddress.family;
  if (family !== own) throw errnoError(own === 4 ? 'EAFNOSUPPORT' : 'EINVAL', 'connect');
  return bound.connect(wish);
}
