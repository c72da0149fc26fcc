/** The system calls a script may make, over `Sockets`; what they write to their arguments is compared. */
import { StackError } from '../../base/errors.js';
import {
  type Attempt,
  compareNumber,
  descriptorOf,
  type Machine,
  need,
  placeOf,
  type Syscall,
  socketOf,
  Unsupported,
  untilDone,
} from './attempt.js';
import { numberOf } from './expressions.js';
import { getOption, setOption } from './option-calls.js';
import { POLLING_CALLS } from './polling.js';
import type { Expression } from './script.js';
import { SYMBOLS } from './symbols.js';
import { TRANSFER_CALLS } from './transfer-calls.js';

const { AF_INET, AF_INET6, SOCK_STREAM, SOCK_NONBLOCK, O_NONBLOCK, O_RDWR, F_GETFL, F_SETFL } = SYMBOLS;
const { SIOCINQ, SIOCOUTQ, SIOCOUTQNSD, FIONBIO } = SYMBOLS;

/** Low bits of a socket's type. */
const TYPE_MASK = 0xf;
/** For `listen(3, ...)`. */
const DEFAULT_BACKLOG = 511;

const socket: Syscall = (args, machine) => () => {
  const domain = numberOf(args[0]);
  const type = need(args, 1);
  if ((type & TYPE_MASK) !== SOCK_STREAM) throw new Unsupported('only SOCK_STREAM sockets are supported');
  if (domain !== undefined && domain !== AF_INET && domain !== AF_INET6) {
    throw new Unsupported(`sockets of address family ${domain} are not supported`);
  }
  const standard = machine.family;
  const family = domain === undefined ? standard : domain === AF_INET ? 4 : 6;
  const fd = machine.sockets.socket(family, type);
  Object.assign(machine.sockets.at(fd).settings, machine.settings());
  return fd;
};

const bind: Syscall = (args, machine) => () => {
  const { address, port } = placeOf(args[1], machine.local);
  machine.sockets.bind(descriptorOf(args, 0, machine), address, port);
  return 0;
};

const listen: Syscall = (args, machine) => () => {
  machine.sockets.listen(descriptorOf(args, 0, machine), numberOf(args[1]) ?? DEFAULT_BACKLOG);
  return 0;
};

const acceptWith = (args: readonly Expression[], machine: Machine, type: number): Attempt => {
  const listener = socketOf(args, machine);
  return untilDone(
    () => !listener.isNonBlocking,
    () => machine.sockets.accept(listener.fd, type),
  );
};

/** Begins, and where it may block, ends when the handshake does. */
const connect: Syscall = (args, machine) => {
  const place = placeOf(args[1], machine.remote);
  const target = socketOf(args, machine);
  let isBegun = false;
  return () => {
    if (isBegun && target.connecting === 'pending') return undefined;
    try {
      machine.sockets.connect(target.fd, place.address, place.port);
    } catch (error) {
      const isUnderWay = error instanceof StackError && error.code === 'EINPROGRESS';
      if (!isUnderWay || target.isNonBlocking) throw error;
      isBegun = true;
      return undefined;
    }
    return 0;
  };
};

const shutdown: Syscall = (args, machine) => () => {
  machine.sockets.shutdown(descriptorOf(args, 0, machine), need(args, 1));
  return 0;
};

const close: Syscall = (args, machine) => {
  const fd = descriptorOf(args, 0, machine);
  const closed = machine.sockets.find(fd);
  let isDone = false;
  return () => {
    if (!isDone) machine.sockets.close(fd);
    isDone = true;
    machine.descriptors.delete(need(args, 0));
    return closed !== undefined && !closed.isNonBlocking && machine.sockets.isLingering(closed)
      ? undefined
      : 0;
  };
};

const fcntl: Syscall = (args, machine) => () => {
  const target = socketOf(args, machine);
  const command = need(args, 1);
  if (command === F_GETFL) return O_RDWR | (target.isNonBlocking ? O_NONBLOCK : 0);
  if (command !== F_SETFL) throw new Unsupported(`fcntl command ${command} is not supported`);
  target.isNonBlocking = (need(args, 2) & O_NONBLOCK) !== 0;
  return 0;
};

const ioctl: Syscall = (args, machine) => () => {
  const target = socketOf(args, machine);
  const { endpoint } = target;
  const expected = args[2]?.kind === 'list' ? args[2].items[0] : args[2];
  const request = need(args, 1);
  if (request === FIONBIO) {
    target.isNonBlocking = numberOf(expected) !== 0;
    return 0;
  }
  if (endpoint === undefined) throw new StackError('EINVAL', 'ioctl');
  if (request === SIOCINQ) compareNumber('bytes to be read', expected, endpoint.readableBytes);
  else if (request === SIOCOUTQ) compareNumber('bytes not acknowledged', expected, endpoint.unackedBytes);
  else if (request === SIOCOUTQNSD) compareNumber('bytes not sent', expected, endpoint.unsentBytes);
  else throw new Unsupported(`ioctl request ${request} is not supported`);
  return 0;
};

const CALLS: Readonly<Record<string, Syscall>> = {
  socket,
  bind,
  listen,
  accept: (args, machine) => acceptWith(args, machine, 0),
  accept4: (args, machine) => acceptWith(args, machine, need(args, 3) & SOCK_NONBLOCK),
  connect,
  shutdown,
  close,
  fcntl,
  ioctl,
  getsockopt: getOption,
  setsockopt: setOption,
  ...TRANSFER_CALLS,
  ...POLLING_CALLS,
};

/** Calls whose answer is a new descriptor. */
const OPENERS: ReadonlySet<string> = new Set([
  'socket',
  'accept',
  'accept4',
  'epoll_create',
  'epoll_create1',
]);

export const opensDescriptor = (name: string): boolean => OPENERS.has(name);

/** @throws Unsupported for a call that is not known */
export function beginSyscall(name: string, args: readonly Expression[], machine: Machine): Attempt {
  if (!Object.hasOwn(CALLS, name)) throw new Unsupported(`the system call ${name} is not supported`);
  return CALLS[name](args, machine);
}
