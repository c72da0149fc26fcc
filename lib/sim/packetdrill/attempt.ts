/** What a system call of a script is made of: attempts, repeated until they no longer would block. */
import { StackError } from '../../base/errors.js';
import { IpAddress, type IpFamily } from '../../wire/ip-address.js';
import { fieldOf, formatExpression, numberOf } from './expressions.js';
import type { Expression } from './script.js';
import type { Socket } from './socket.js';
import type { SocketPlace, Sockets } from './sockets.js';

/** Makes the call. @returns what it answers; undefined while it blocks @throws StackError, Mismatch, Unsupported */
export type Attempt = () => number | undefined;

/** What a call does with its arguments, once. */
export type Syscall = (args: readonly Expression[], machine: Machine) => Attempt;

/** What a script says was not what happened. */
export class Mismatch extends Error {
  readonly expected: string;
  readonly actual: string;

  constructor(what: string, expected: string, actual: string) {
    super(what);
    this.expected = expected;
    this.actual = actual;
  }
}

/** A call, an option or a command that the runner does not know. */
export class Unsupported extends Error {}

/** What calls are made on. */
export interface Machine {
  readonly sockets: Sockets;
  /** Of sockets whose domain a script leaves open. */
  readonly family: IpFamily;
  /** Addresses and ports for `...`: of the stack, and of the other side. */
  readonly local: SocketPlace;
  readonly remote: SocketPlace;
  /** Descriptors of the script, and what they are here. */
  readonly descriptors: Map<number, number>;
  /** Settings of new sockets, which commands may change. */
  settings(): Socket['settings'];
  /** `onChange` of the sockets is called at that time, and what blocks is tried again. */
  wakeAt(timeUs: number): void;
  nowUs(): number;
}

/** The number an argument stands for. @throws Unsupported */
export function need(args: readonly Expression[], at: number): number {
  const value = numberOf(args[at]);
  if (value !== undefined) return value;
  const shown = args[at] === undefined ? 'nothing' : formatExpression(args[at]);
  throw new Unsupported(`argument ${at + 1} is "${shown}", and not a number that is known`);
}

/** The descriptor an argument stands for. */
export function descriptorOf(args: readonly Expression[], at: number, machine: Machine): number {
  const written = need(args, at);
  return machine.descriptors.get(written) ?? written;
}

export const socketOf = (args: readonly Expression[], machine: Machine): Socket =>
  machine.sockets.at(descriptorOf(args, 0, machine));

/** An attempt at something that fails with EAGAIN where it would block. */
export function untilDone(mayBlock: () => boolean, call: () => number): Attempt {
  return () => {
    try {
      return call();
    } catch (error) {
      if (error instanceof StackError && error.code === 'EAGAIN' && mayBlock()) return undefined;
      throw error;
    }
  };
}

/** What one of the bits of flags are called, for messages. @throws Mismatch when an expected number is not the actual one */
export function compareNumber(what: string, expected: Expression | undefined, actual: number): void {
  if (expected === undefined || expected.kind === 'any') return;
  const wanted = numberOf(expected) ?? errnoOf(expected);
  if (wanted === undefined) throw new Unsupported(`"${formatExpression(expected)}" is not known`);
  // Bits may be written as an unsigned number.
  if ((wanted | 0) !== (actual | 0)) throw new Mismatch(what, formatExpression(expected), String(actual));
}

/** `ECONNREFUSED` as a number. */
export const errnoOf = (expression: Expression): number | undefined =>
  expression.kind === 'symbol' && /^E[A-Z0-9]+$/.test(expression.name)
    ? errnoNumber(expression.name)
    : undefined;

/** An errno as Linux numbers it; 0 for none. */
export const errnoNumber = (code: string): number => (code === '' ? 0 : -new StackError(code, '').errno);

/** The place a `sockaddr` means; `standard` for `...`. @throws Unsupported */
export function placeOf(expression: Expression | undefined, standard: SocketPlace): SocketPlace {
  if (expression === undefined || expression.kind === 'any') return standard;
  const port = fieldOf(expression, 'sin_port') ?? fieldOf(expression, 'sin6_port');
  const address = fieldOf(expression, 'sin_addr') ?? fieldOf(expression, 'sin6_addr');
  const family = fieldOf(expression, 'sa_family');
  if (family === undefined && port === undefined) {
    throw new Unsupported(`"${formatExpression(expression)}" is not an address`);
  }
  const text = address?.kind === 'call' ? address.args.find((arg) => arg.kind === 'string') : undefined;
  return {
    address: text?.kind === 'string' ? IpAddress.parse(text.value) : standard.address,
    port: numberOf(port) ?? standard.port,
  };
}
