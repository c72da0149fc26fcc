/**
 * The system calls of TCP sockets over a stack's raw endpoints: file descriptors, errno, and nothing else than
 * `Stack.bindTcp`, `Stack.connectTcp` and what an endpoint offers. No call ever blocks: where a kernel's
 * would, it fails with `EAGAIN` or `EINPROGRESS`, and `onChange` tells when to try again.
 */
import { StackError } from '../../base/errors.js';
import type { Stack } from '../../stack/stack.js';
import type { TcpEndpoint } from '../../stack/tcp-endpoint.js';
import { ANY_V4, ANY_V6, type IpAddress, type IpFamily } from '../../wire/ip-address.js';
import { Epoll } from './epoll.js';
import { Socket } from './socket.js';
import { SYMBOLS } from './symbols.js';

const { SOCK_NONBLOCK, SHUT_RD, SHUT_WR, SHUT_RDWR, MSG_OOB, MSG_MORE, MSG_PEEK, MSG_ERRQUEUE } = SYMBOLS;

/** An address and a port. */
export interface SocketPlace {
  /** The address. */
  readonly address: IpAddress;
  /** The port. */
  readonly port: number;
}

/** The first descriptor a program gets that has its standard ones. */
const FIRST_FD = 3;

/**
 * The system calls of TCP sockets over a stack: file descriptors and errno. No call ever blocks: where a
 * kernel's would, it fails with `EAGAIN` or `EINPROGRESS`, and `onChange` tells when to try again. Constants
 * are Linux's.
 */
export class Sockets {
  /** Something happened to a socket: what would have blocked may not block any more. */
  onChange: () => void = () => {};
  readonly #stack: Stack;
  readonly #files = new Map<number, Socket | Epoll>();
  /** Sockets that were closed and linger. */
  readonly #lingering = new Set<Socket>();

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /**
   * Makes a socket. @returns its descriptor
   * @param type may hold `SOCK_NONBLOCK`
   */
  socket(family: IpFamily, type: number): number {
    const socket = this.#open(family);
    socket.isNonBlocking = (type & SOCK_NONBLOCK) !== 0;
    return socket.fd;
  }

  /** Gives a socket its address. @throws StackError EINVAL when it has one, EADDRINUSE, EADDRNOTAVAIL */
  bind(fd: number, address: IpAddress, port: number): void {
    const socket = this.at(fd);
    const { ipv6Only, reusePort } = socket;
    if (socket.binding !== undefined || socket.endpoint !== undefined) fail('EINVAL', 'bind');
    socket.binding = this.#stack.bindTcp({ address, port, ipv6Only, reusePort });
  }

  /**
   * Lets a socket listen, on a free port where it is not bound. @throws StackError EINVAL when it is
   * connected
   */
  listen(fd: number, backlog: number): void {
    const socket = this.at(fd);
    if (socket.endpoint !== undefined) fail('EINVAL', 'listen');
    if (socket.listener !== undefined) return;
    if (socket.binding === undefined) this.bind(fd, anyOf(socket.family), 0);
    socket.listener = socket.binding?.listen({ backlog, options: socket.settings });
    if (socket.listener !== undefined) socket.listener.onConnection = () => socket.changed();
  }

  /**
   * Takes the connection that has waited longest. @returns its descriptor
   * @throws StackError EAGAIN when none waits, EINVAL for a socket that does not listen
   */
  accept(fd: number, type = 0): number {
    const { listener, family, settings, asked } = this.at(fd);
    if (listener === undefined) return fail('EINVAL', 'accept');
    const endpoint = listener.accept();
    if (endpoint === undefined) return fail('EAGAIN', 'accept');
    const socket = this.#open(family, { ...settings });
    for (const [name, value] of asked) socket.asked.set(name, value);
    socket.isNonBlocking = (type & SOCK_NONBLOCK) !== 0;
    socket.isConnected = true;
    socket.adopt(endpoint);
    // What happened before it was accepted is told in the next flush; what is known of it is known now.
    socket.isPeerClosed = endpoint.isPeerClosed;
    return socket.fd;
  }

  /**
   * Begins to connect; asked again, tells how it went.
   * @throws StackError EINPROGRESS once it is under way, EALREADY, EISCONN, or why it failed
   */
  connect(fd: number, address: IpAddress, port: number): void {
    const socket = this.at(fd);
    if (socket.listener !== undefined) fail('EISCONN', 'connect');
    if (socket.connecting === 'pending') fail('EALREADY', 'connect');
    if (socket.connecting === 'untold') {
      socket.connecting = 'no';
      const error = socket.takeError();
      if (error === '') return;
      socket.endpoint = undefined;
      socket.isOver = false;
      fail(error, 'connect');
    }
    if (socket.isConnected) fail('EISCONN', 'connect');
    this.#begin(socket, { address, port }, false);
    fail('EINPROGRESS', 'connect');
  }

  /**
   * Connects with text on the SYN (Linux `MSG_FASTOPEN`).
   * @returns bytes admitted; @throws StackError EINPROGRESS, and nothing is admitted, where the server's cookie is
   *   not known yet; EISCONN, EALREADY
   */
  connectSending(fd: number, place: SocketPlace, source: Uint8Array): number {
    const socket = this.at(fd);
    if (socket.isConnected || socket.listener !== undefined) fail('EISCONN', 'sendto');
    if (socket.connecting !== 'no') fail('EALREADY', 'sendto');
    const endpoint = this.#begin(socket, place, true);
    // The SYN leaves with the end of the turn, and what is written until then with it.
    const { fastOpenCookie } = endpoint.connection.synOptions;
    if (fastOpenCookie === undefined || fastOpenCookie.length === 0) fail('EINPROGRESS', 'sendto');
    return endpoint.write(source);
  }

  #begin(socket: Socket, { address, port }: SocketPlace, fastOpen: boolean): TcpEndpoint {
    const wish = { address, port, options: { ...socket.settings, fastOpen } };
    const endpoint = socket.binding?.connect(wish) ?? this.#stack.connectTcp(wish);
    socket.adopt(endpoint);
    socket.connecting = 'pending';
    return endpoint;
  }

  /**
   * Reads into `target`. @returns bytes moved, 0 at the end of the stream
   * @throws StackError EAGAIN …
   */
  read(fd: number, target: Uint8Array, flags = 0): number {
    const socket = this.at(fd);
    const { endpoint } = socket;
    if (flags & (MSG_PEEK | MSG_ERRQUEUE)) fail('EOPNOTSUPP', 'read');
    if (endpoint === undefined) return fail('ENOTCONN', 'read');
    if (flags & MSG_OOB) return readUrgent(socket, target);
    if (target.length === 0) return 0;
    const bytes = endpoint.read(target);
    if (bytes > 0) return bytes;
    if (socket.isPeerClosed) return 0;
    const error = socket.takeError();
    if (error !== '') fail(error, 'read');
    if (socket.isReadShut || socket.isOver) return 0;
    return fail('EAGAIN', 'read');
  }

  /**
   * Writes. @returns bytes admitted
   * @throws StackError EAGAIN …
   */
  write(fd: number, source: Uint8Array, flags = 0): number {
    const socket = this.at(fd);
    const { endpoint } = socket;
    const error = socket.takeError();
    if (error !== '') fail(error, 'write');
    if (socket.isWriteShut || socket.isOver) fail('EPIPE', 'write');
    if (endpoint === undefined) return fail('EPIPE', 'write');
    if (socket.connecting === 'pending') fail('EAGAIN', 'write');
    if (source.length === 0) return 0;
    const bytes = writeAs(endpoint, source, flags);
    if (bytes < source.length) socket.isFull = true;
    return bytes > 0 ? bytes : fail('EAGAIN', 'write');
  }

  /** Ends one direction or both: `SHUT_RD`, `SHUT_WR`, `SHUT_RDWR`. @throws StackError EINVAL, ENOTCONN */
  shutdown(fd: number, how: number): void {
    const socket = this.at(fd);
    if (![SHUT_RD, SHUT_WR, SHUT_RDWR].includes(how)) fail('EINVAL', 'shutdown');
    if (socket.listener !== undefined && how !== SHUT_WR) {
      socket.listener.close();
      socket.listener = undefined;
      return;
    }
    const { endpoint } = socket;
    if (endpoint === undefined || socket.isOver) return fail('ENOTCONN', 'shutdown');
    if (how !== SHUT_WR && !socket.isReadShut) {
      socket.isReadShut = true;
      endpoint.shutdownRead();
    }
    if (how !== SHUT_RD && !socket.isWriteShut) {
      socket.isWriteShut = true;
      endpoint.shutdown();
    }
    socket.changed();
  }

  /** Gives the descriptor up. @throws StackError EBADF */
  close(fd: number): void {
    const file = this.#files.get(fd) ?? fail('EBADF', 'close');
    this.#files.delete(fd);
    for (const other of this.#files.values()) if (other instanceof Epoll) other.forget(fd);
    if (file instanceof Epoll) return;
    file.binding?.close();
    file.listener?.close();
    if (file.endpoint !== undefined && !file.isOver && (file.settings.lingerMs ?? -1) > 0) {
      this.#lingering.add(file);
    }
    file.endpoint?.close();
  }

  /** Whether a socket that was closed still waits for its peer, as `SO_LINGER` says. */
  isLingering(socket: Socket): boolean {
    if (this.#lingering.has(socket) && socket.isOver) this.#lingering.delete(socket);
    return this.#lingering.has(socket);
  }

  /** The socket of a descriptor. @throws StackError EBADF, ENOTSOCK */
  at(fd: number): Socket {
    const file = this.#files.get(fd);
    if (file instanceof Epoll) return fail('ENOTSOCK', 'socket');
    return file ?? fail('EBADF', 'socket');
  }

  /** As `at`; undefined where there is none. */
  find(fd: number): Socket | undefined {
    const file = this.#files.get(fd);
    return file instanceof Socket ? file : undefined;
  }

  /** All sockets that are open. */
  *all(): Iterable<Socket> {
    for (const file of this.#files.values()) if (file instanceof Socket) yield file;
  }

  /** Makes an epoll. @returns its descriptor */
  createEpoll(): number {
    const fd = this.#freeFd();
    this.#files.set(fd, new Epoll((other) => this.find(other)));
    return fd;
  }

  /** The epoll of a descriptor. @throws StackError EBADF, EINVAL */
  epollAt(fd: number): Epoll {
    const file = this.#files.get(fd) ?? fail('EBADF', 'epoll');
    return file instanceof Epoll ? file : fail('EINVAL', 'epoll');
  }

  #open(family: IpFamily, settings: Socket['settings'] = {}): Socket {
    const fd = this.#freeFd();
    const socket = new Socket(fd, family, settings, () => this.onChange());
    this.#files.set(fd, socket);
    return socket;
  }

  /** The lowest that is free, as POSIX demands. */
  #freeFd(): number {
    let fd = FIRST_FD;
    while (this.#files.has(fd)) fd++;
    return fd;
  }
}

function writeAs(endpoint: TcpEndpoint, source: Uint8Array, flags: number): number {
  if (flags & MSG_OOB) return endpoint.writeUrgent(source);
  return flags & MSG_MORE ? endpoint.writeMore(source) : endpoint.write(source);
}

function readUrgent(socket: Socket, target: Uint8Array): number {
  const byte = socket.endpoint?.readUrgent() ?? -1;
  if (byte < 0 || target.length === 0) return fail('EINVAL', 'read');
  target[0] = byte;
  return 1;
}

const anyOf = (family: IpFamily): IpAddress => (family === 4 ? ANY_V4 : ANY_V6);

function fail(code: string, syscall: string): never {
  throw new StackError(code, syscall);
}
