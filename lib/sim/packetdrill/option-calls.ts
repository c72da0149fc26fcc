/** `setsockopt` and `getsockopt` of a script. */
import { StackError } from '../../base/errors.js';
import { compareNumber, errnoNumber, Mismatch, type Syscall, socketOf, Unsupported } from './attempt.js';
import { fieldOf, formatExpression, numberOf } from './expressions.js';
import type { Expression } from './script.js';
import type { Socket } from './socket.js';
import { getSocketOption, type OptionValue, optionKey, setSocketOption } from './socket-options.js';
import { tcpInfoValue } from './tcp-info.js';

export const setOption: Syscall = (args, machine) => () => {
  const socket = socketOf(args, machine);
  setSocketOption(socket, keyOf(args), valueOf(args[3]));
  return 0;
};

export const getOption: Syscall = (args, machine) => () => {
  const socket = socketOf(args, machine);
  if (args[2]?.kind === 'symbol' && args[2].name === 'TCP_INFO') return compareInfo(socket, args[3]);
  const expected = only(args[3]);
  const actual = getSocketOption(socket, keyOf(args));
  if (expected === undefined || expected.kind === 'any') return 0;
  if (expected.kind === 'struct') compareLinger(expected, Number(actual));
  else if (expected.kind === 'string') compareText(expected.value, String(actual));
  else compareNumber(formatExpression(args[2]), expected, numberFrom(actual));
  return 0;
};

/** The fields of `tcp_info` that are named. */
function compareInfo({ endpoint }: Socket, expected: Expression | undefined): number {
  if (endpoint === undefined) throw new StackError('ENOTCONN', 'getsockopt');
  for (const { name, value } of expected?.kind === 'struct' ? expected.fields : []) {
    const actual = tcpInfoValue(endpoint, name);
    if (actual === undefined) throw new Unsupported(`"${name}" of tcp_info is not known`);
    compareNumber(name, value, actual);
  }
  return 0;
}

const keyOf = (args: readonly Expression[]): string => optionKey(nameOf(args[1]), nameOf(args[2]));

function nameOf(expression: Expression | undefined): string {
  if (expression?.kind === 'symbol') return expression.name;
  const value = numberOf(expression);
  if (value === undefined) throw new Unsupported('the name of an option is missing');
  return String(value);
}

/** What stands in `[1]`, or alone. */
const only = (expression: Expression | undefined): Expression | undefined =>
  expression?.kind === 'list' ? expression.items[0] : expression;

function valueOf(expression: Expression | undefined): OptionValue {
  const value = only(expression);
  if (value?.kind === 'string') return value.value;
  if (value?.kind === 'struct') return lingerOf(value);
  const number = numberOf(value);
  if (number === undefined)
    throw new Unsupported('the value of the option is not a number, a text or a linger');
  return number;
}

/** `{onoff=1, linger=5}` in seconds; -1 for off. */
function lingerOf(expression: Expression): number {
  const isOn = numberOf(fieldOf(expression, 'onoff') ?? fieldOf(expression, 'l_onoff'));
  const seconds = numberOf(fieldOf(expression, 'linger') ?? fieldOf(expression, 'l_linger'));
  if (isOn === undefined || seconds === undefined) {
    throw new Unsupported(`"${formatExpression(expression)}" is not a linger`);
  }
  return isOn === 0 ? -1 : seconds;
}

function compareLinger(expected: Expression, actual: number): void {
  const wanted = lingerOf(expected);
  if (wanted === actual) return;
  const shown = actual < 0 ? '{onoff=0, linger=0}' : `{onoff=1, linger=${actual}}`;
  throw new Mismatch('SO_LINGER', formatExpression(expected), shown);
}

function compareText(expected: string, actual: string): void {
  if (expected !== actual) throw new Mismatch('the option', JSON.stringify(expected), JSON.stringify(actual));
}

/** Of an errno, which options have by name. */
const numberFrom = (value: OptionValue): number =>
  typeof value === 'string' && !/^\d+$/.test(value) ? errnoNumber(value) : Number(value);
