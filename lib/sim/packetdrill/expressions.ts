/** Arguments and results of system calls: numbers, symbols, strings, lists, structures. */
import type { Scanner } from './scanner.js';
import type { Expression, StructField } from './script.js';
import { SYMBOLS } from './symbols.js';

const STRING = /"((?:[^"\\]|\\.)*)"/y;
const OPERATOR = /\|(?!\|)|<<|>>|\+|-(?!\d)|\*|&/y;

/** Comma-separated expressions up to `end`, which is taken too. */
export function parseList(scanner: Scanner, end: string): Expression[] {
  const items: Expression[] = [];
  if (scanner.take(end)) return items;
  do items.push(parseExpression(scanner));
  while (scanner.take(','));
  scanner.expect(end);
  return items;
}

export function parseExpression(scanner: Scanner): Expression {
  let left = parsePrimary(scanner);
  for (let found = scanner.match(OPERATOR); found !== undefined; found = scanner.match(OPERATOR)) {
    left = { kind: 'operation', operator: found[0], operands: [left, parsePrimary(scanner)] };
  }
  return left;
}

/** What a call returns: no operators but `|`, as the next event may begin with `+` or `*`. */
export function parseResult(scanner: Scanner): Expression {
  let left = parsePrimary(scanner);
  while (scanner.take('|'))
    left = { kind: 'operation', operator: '|', operands: [left, parsePrimary(scanner)] };
  return left;
}

function parsePrimary(scanner: Scanner): Expression {
  if (scanner.take('...')) return { kind: 'any' };
  if (scanner.take('(')) {
    const inner = parseExpression(scanner);
    scanner.expect(')');
    return inner;
  }
  if (scanner.take('[')) return { kind: 'list', items: parseList(scanner, ']') };
  if (scanner.take('{')) return { kind: 'struct', fields: parseFields(scanner) };
  if (scanner.take('-') || scanner.take('~')) {
    const operator = scanner.text[scanner.at - 1] === '~' ? '~' : 'negate';
    return { kind: 'operation', operator, operands: [parsePrimary(scanner)] };
  }
  const text = scanner.match(STRING);
  if (text !== undefined) return { kind: 'string', value: unescape(text[1]) };
  const value = scanner.integer();
  if (value !== undefined) return { kind: 'number', value };
  const name = scanner.word();
  if (name === undefined) return scanner.fail('a value expected');
  if (scanner.take('(')) return { kind: 'call', name, args: parseList(scanner, ')') };
  return { kind: 'symbol', name };
}

const FIELD = /([A-Za-z_]\w*)\s*(\()?/y;

function parseFields(scanner: Scanner): StructField[] {
  const fields: StructField[] = [];
  if (scanner.take('}')) return fields;
  do fields.push(parseField(scanner));
  while (scanner.take(',') && !scanner.isNext('}'));
  scanner.expect('}');
  return fields;
}

/** `name=value`, `name(args)=value`, or a value alone. */
function parseField(scanner: Scanner): StructField {
  scanner.skip();
  const before = scanner.at;
  const found = scanner.match(FIELD);
  if (found !== undefined) {
    const args = found[2] === undefined ? [] : parseList(scanner, ')');
    if (scanner.isNext('=') && !scanner.isNext('==')) {
      scanner.expect('=');
      return { name: found[1], args, value: parseExpression(scanner) };
    }
  }
  scanner.at = before;
  return { name: '', args: [], value: parseExpression(scanner) };
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', 0: '\0' };

const unescape = (text: string): string =>
  text.replaceAll(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_, hex: string | undefined, letter: string) =>
    hex === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  );

/** A number, or undefined for `...` and for what is no number. */
export function numberOf(expression: Expression | undefined): number | undefined {
  switch (expression?.kind) {
    case 'number':
      return expression.value;
    case 'symbol':
      return SYMBOLS[expression.name];
    case 'operation':
      return operate(expression.operator, expression.operands.map(numberOf));
    case 'call':
      return callNumber(expression.name, expression.args);
    default:
      return undefined;
  }
}

function operate(operator: string, values: readonly (number | undefined)[]): number | undefined {
  const [a, b = 0] = values;
  if (a === undefined || values.includes(undefined)) return undefined;
  switch (operator) {
    case 'negate':
      return -a;
    case '~':
      return ~a;
    case '|':
      return a | b;
    case '&':
      return a & b;
    case '<<':
      return a << b;
    case '>>':
      return a >> b;
    case '+':
      return a + b;
    case '-':
      return a - b;
    default:
      return a * b;
  }
}

/** Byte order is of no concern here: ports are plain numbers. */
const callNumber = (name: string, args: readonly Expression[]): number | undefined =>
  ['htons', 'htonl', 'ntohs', 'ntohl'].includes(name) ? numberOf(args[0]) : undefined;

/** The value of a field of a structure. */
export const fieldOf = (expression: Expression, name: string): Expression | undefined =>
  expression.kind === 'struct' ? expression.fields.find((field) => field.name === name)?.value : undefined;

/** The expression as a script would have it, for messages. */
export function formatExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'any':
      return '...';
    case 'number':
      return String(expression.value);
    case 'string':
      return JSON.stringify(expression.value);
    case 'symbol':
      return expression.name;
    case 'operation':
      return formatOperation(expression.operator, expression.operands.map(formatExpression));
    case 'call':
      return `${expression.name}(${expression.args.map(formatExpression).join(', ')})`;
    case 'list':
      return `[${expression.items.map(formatExpression).join(', ')}]`;
    default:
      return `{${expression.fields.map(formatField).join(', ')}}`;
  }
}

function formatOperation(operator: string, operands: readonly string[]): string {
  if (operands.length === 2) return `${operands[0]}${operator}${operands[1]}`;
  return `${operator === 'negate' ? '-' : operator}${operands[0]}`;
}

function formatField({ name, args, value }: StructField): string {
  const shownArgs = args.length === 0 ? '' : `(${args.map(formatExpression).join(', ')})`;
  return name === '' ? formatExpression(value) : `${name}${shownArgs}=${formatExpression(value)}`;
}
