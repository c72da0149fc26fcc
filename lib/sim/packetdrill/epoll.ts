/** `epoll` over the sockets of `Sockets`: level-triggered, edge-triggered, once. */
import { StackError } from '../../base/errors.js';
import type { Socket } from './socket.js';
import { SYMBOLS } from './symbols.js';

const { EPOLLERR, EPOLLHUP, EPOLLET, EPOLLONESHOT, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL } = SYMBOLS;

interface Interest {
  readonly fd: number;
  events: number;
  /** `epoll_data`. */
  data: number;
  /** `changes` of the socket when it was last reported. */
  reported: number;
}

export interface EpollEvent {
  readonly events: number;
  readonly data: number;
}

export class Epoll {
  readonly #interests = new Map<number, Interest>();
  readonly #find: (fd: number) => Socket | undefined;

  constructor(find: (fd: number) => Socket | undefined) {
    this.#find = find;
  }

  /** @throws StackError EEXIST, ENOENT, EBADF, EINVAL */
  control(operation: number, fd: number, events: number, data: number): void {
    if (this.#find(fd) === undefined) throw new StackError('EBADF', 'epoll_ctl');
    const known = this.#interests.get(fd);
    if (operation === EPOLL_CTL_ADD) {
      if (known !== undefined) throw new StackError('EEXIST', 'epoll_ctl');
    } else if (known === undefined) {
      throw new StackError('ENOENT', 'epoll_ctl');
    }
    if (operation === EPOLL_CTL_DEL) this.#interests.delete(fd);
    else if (operation === EPOLL_CTL_ADD || operation === EPOLL_CTL_MOD) {
      this.#interests.set(fd, { fd, events, data, reported: -1 });
    } else throw new StackError('EINVAL', 'epoll_ctl');
  }

  /** What is ready, `limit` events at most; what is reported edge-triggered is not reported again until something happens. */
  collect(limit: number): EpollEvent[] {
    const ready: EpollEvent[] = [];
    for (const interest of this.#interests.values()) {
      if (ready.length >= limit) break;
      const socket = this.#find(interest.fd);
      if (socket === undefined) continue;
      const events = socket.readiness & (interest.events | EPOLLERR | EPOLLHUP);
      if (events === 0 || interest.events === 0) continue;
      if (interest.events & EPOLLET && interest.reported === socket.changes) continue;
      interest.reported = socket.changes;
      if (interest.events & EPOLLONESHOT) interest.events = 0;
      ready.push({ events, data: interest.data });
    }
    return ready;
  }

  forget(fd: number): void {
    this.#interests.delete(fd);
  }
}
