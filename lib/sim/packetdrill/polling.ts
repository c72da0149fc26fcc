/** `poll` and `epoll` of a script. */
import {
  type Attempt,
  compareNumber,
  descriptorOf,
  type Machine,
  need,
  type Syscall,
  Unsupported,
} from './attempt.js';
import type { EpollEvent } from './epoll.js';
import { fieldOf, formatExpression, numberOf } from './expressions.js';
import type { Expression } from './script.js';
import { SYMBOLS } from './symbols.js';

const { POLLERR, POLLHUP, POLLNVAL } = SYMBOLS;

/** Repeats `look` until it sees something or `timeoutMs` are over; -1 for ever. */
function untilReady(machine: Machine, timeoutMs: number, look: (isLast: boolean) => number): Attempt {
  const deadlineUs = timeoutMs < 0 ? Number.POSITIVE_INFINITY : machine.nowUs() + timeoutMs * 1000;
  if (timeoutMs > 0) machine.wakeAt(deadlineUs);
  return () => {
    const isLast = machine.nowUs() >= deadlineUs;
    const ready = look(isLast);
    return ready > 0 || isLast ? ready : undefined;
  };
}

const poll: Syscall = (args, machine) => {
  const entries = args[0]?.kind === 'list' ? args[0].items : [];
  return untilReady(machine, need(args, 2), (isLast) => {
    const answers = entries.map((entry) => readinessOf(entry, machine));
    const ready = answers.filter((bits) => bits !== 0).length;
    if (ready > 0 || isLast) {
      for (const [i, entry] of entries.entries()) {
        const expected = fieldOf(entry, 'revents');
        compareNumber(`revents of ${formatExpression(entry)}`, expected, answers[i]);
      }
    }
    return ready;
  });
};

function readinessOf(entry: Expression, machine: Machine): number {
  const written = numberOf(fieldOf(entry, 'fd')) ?? -1;
  if (written < 0) return 0;
  const socket = machine.sockets.find(machine.descriptors.get(written) ?? written);
  if (socket === undefined) return POLLNVAL;
  return socket.readiness & ((numberOf(fieldOf(entry, 'events')) ?? 0) | POLLERR | POLLHUP);
}

const createEpoll: Syscall = (_, machine) => () => machine.sockets.createEpoll();

const controlEpoll: Syscall = (args, machine) => () => {
  const [, , , event] = args;
  const events = event === undefined ? 0 : (numberOf(fieldOf(event, 'events')) ?? 0);
  const data = event === undefined ? 0 : (dataOf(event) ?? 0);
  const epoll = machine.sockets.epollAt(descriptorOf(args, 0, machine));
  epoll.control(need(args, 1), descriptorOf(args, 2, machine), events, data);
  return 0;
};

/** `epoll_data`, by whatever name. */
function dataOf(event: Expression): number | undefined {
  for (const name of ['fd', 'u32', 'u64', 'ptr']) {
    const value = numberOf(fieldOf(event, name));
    if (value !== undefined) return value;
  }
  return undefined;
}

const waitEpoll: Syscall = (args, machine) => {
  const epoll = machine.sockets.epollAt(descriptorOf(args, 0, machine));
  const expected = args[1]?.kind === 'list' ? args[1].items : args[1] === undefined ? [] : [args[1]];
  const limit = need(args, 2);
  if (limit < 1) throw new Unsupported('epoll_wait for no event');
  return untilReady(machine, need(args, 3), () => {
    const ready = epoll.collect(limit);
    for (const [i, event] of ready.entries()) compareEvent(expected[i], event);
    return ready.length;
  });
};

function compareEvent(expected: Expression | undefined, actual: EpollEvent): void {
  if (expected === undefined || expected.kind !== 'struct') return;
  compareNumber('events', fieldOf(expected, 'events'), actual.events);
  const data = dataOf(expected);
  if (data !== undefined) compareNumber('data', { kind: 'number', value: data }, actual.data);
}

export const POLLING_CALLS: Readonly<Record<string, Syscall>> = {
  poll,
  epoll_create: createEpoll,
  epoll_create1: createEpoll,
  epoll_ctl: controlEpoll,
  epoll_wait: waitEpoll,
};
