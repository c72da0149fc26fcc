/** Reads and computes expressions of Python, as far as `assertions.ts` says. */
import { Unsupported } from './attempt.js';

export type Value = number | string | boolean;

const TOKEN =
  /\s*(?:(\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+|0[xX][\da-fA-F]+|\d+(?:[eE][-+]?\d+)?)|([A-Za-z_]\w*)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(\*\*|\/\/|<<|>>|<=|>=|==|!=|[-+*/%<>()&|^~,]))/y;

/** Binary operators by how closely they bind; comparisons, `and`, `or` and `not` stand apart. */
const BINDING: readonly (readonly string[])[] = [
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '//', '%'],
];
const COMPARISONS: ReadonlySet<string> = new Set(['<', '<=', '>', '>=', '==', '!=']);

const CONSTANTS: Readonly<Record<string, Value>> = { True: true, False: false };

const FUNCTIONS: Readonly<Record<string, (...values: number[]) => number>> = {
  abs: Math.abs,
  min: Math.min,
  max: Math.max,
  int: Math.trunc,
  float: (value) => value,
  round: (value) => Math.round(value),
};

interface Token {
  readonly kind: 'number' | 'name' | 'string' | 'operator' | 'end';
  readonly text: string;
}

export class PythonReader {
  readonly #text: string;
  readonly #lookUp: (name: string) => Value | undefined;
  readonly #tokens: Token[];
  #next = 0;

  /** @throws Unsupported */
  constructor(text: string, lookUp: (name: string) => Value | undefined) {
    this.#text = text;
    this.#lookUp = lookUp;
    this.#tokens = this.#split();
  }

  /** The values of expressions separated by commas. @throws Unsupported */
  readAll(): Value[] {
    if (this.#isAtEnd) return [];
    const values = [this.#choice()];
    while (this.#take(',')) values.push(this.#choice());
    if (!this.#isAtEnd) this.#fail();
    return values;
  }

  #split(): Token[] {
    const tokens: Token[] = [];
    TOKEN.lastIndex = 0;
    const text = this.#text.trimEnd();
    while (TOKEN.lastIndex < text.length) {
      const at = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      if (found === null) throw new Unsupported(`"${text.slice(at).trim()}" is not supported in %{ }%`);
      const [, number, name, quoted, operator] = found;
      if (number !== undefined) tokens.push({ kind: 'number', text: number });
      else if (name !== undefined) tokens.push({ kind: 'name', text: name });
      else if (quoted !== undefined) tokens.push({ kind: 'string', text: quoted.slice(1, -1) });
      else tokens.push({ kind: 'operator', text: operator });
    }
    return [...tokens, { kind: 'end', text: '' }];
  }

  get #peek(): Token {
    return this.#tokens[this.#next];
  }

  get #isAtEnd(): boolean {
    return this.#peek.kind === 'end';
  }

  #take(text: string): boolean {
    if (this.#peek.text !== text || this.#peek.kind === 'string') return false;
    this.#next++;
    return true;
  }

  #fail(): never {
    throw new Unsupported(`"${this.#text.trim()}" is not supported in %{ }%, at "${this.#peek.text}"`);
  }

  /** `a if condition else b`. */
  #choice(): Value {
    const value = this.#or();
    if (!this.#take('if')) return value;
    const condition = this.#or();
    if (!this.#take('else')) this.#fail();
    const other = this.#choice();
    return truth(condition) ? value : other;
  }

  #or(): Value {
    let value = this.#and();
    while (this.#take('or')) {
      const other = this.#and();
      value = truth(value) ? value : other;
    }
    return value;
  }

  #and(): Value {
    let value = this.#not();
    while (this.#take('and')) {
      const other = this.#not();
      value = truth(value) ? other : value;
    }
    return value;
  }

  #not(): Value {
    return this.#take('not') ? !truth(this.#not()) : this.#comparison();
  }

  /** `a < b <= c` holds when both do. */
  #comparison(): Value {
    let left = this.#binary(0);
    let holds: boolean | undefined;
    while (COMPARISONS.has(this.#peek.text) && this.#peek.kind === 'operator') {
      const operator = this.#peek.text;
      this.#next++;
      const right = this.#binary(0);
      holds = (holds ?? true) && compare(operator, left, right);
      left = right;
    }
    return holds ?? left;
  }

  #binary(level: number): Value {
    if (level === BINDING.length) return this.#unary();
    let left = this.#binary(level + 1);
    while (BINDING[level].includes(this.#peek.text) && this.#peek.kind === 'operator') {
      const operator = this.#peek.text;
      this.#next++;
      left = compute(operator, left, this.#binary(level + 1));
    }
    return left;
  }

  #unary(): Value {
    if (this.#take('-')) return -Number(this.#unary());
    if (this.#take('+')) return Number(this.#unary());
    if (this.#take('~')) return ~Number(this.#unary());
    const base = this.#primary();
    return this.#take('**') ? Number(base) ** Number(this.#unary()) : base;
  }

  #primary(): Value {
    const token = this.#peek;
    this.#next++;
    if (token.kind === 'number') return Number(token.text);
    if (token.kind === 'string') return token.text;
    if (token.text === '(') {
      const values = [this.#choice()];
      while (this.#take(',')) if (this.#peek.text !== ')') values.push(this.#choice());
      if (!this.#take(')')) this.#fail();
      // A tuple is only ever printed, or put into a text.
      return values.length === 1 ? values[0] : values.join(', ');
    }
    if (token.kind !== 'name') {
      this.#next--;
      return this.#fail();
    }
    return this.#take('(') ? this.#call(token.text) : this.#name(token.text);
  }

  #call(name: string): Value {
    const values: Value[] = [];
    while (!this.#take(')')) {
      values.push(this.#choice());
      if (!this.#take(',') && this.#peek.text !== ')') this.#fail();
    }
    if (name === 'str') return String(values[0]);
    if (!Object.hasOwn(FUNCTIONS, name))
      throw new Unsupported(`the function ${name} is not supported in %{ }%`);
    return FUNCTIONS[name](...values.map(Number));
  }

  #name(name: string): Value {
    const value = CONSTANTS[name] ?? this.#lookUp(name);
    if (value === undefined) throw new Unsupported(`"${name}" is not known in %{ }%`);
    return value;
  }
}

export const truth = (value: Value): boolean => value !== 0 && value !== false && value !== '';

function compare(operator: string, a: Value, b: Value): boolean {
  const [left, right] = typeof a === 'string' || typeof b === 'string' ? [a, b] : [Number(a), Number(b)];
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    case '==':
      return left === right;
    default:
      return left !== right;
  }
}

function compute(operator: string, a: Value, b: Value): Value {
  if (typeof a === 'string') {
    if (operator === '+') return `${a}${b}`;
    if (operator === '%') return a.replace(/%\.?\d*[a-z]/g, () => String(b));
    throw new Unsupported(`"${operator}" behind a text is not supported in %{ }%`);
  }
  const left = Number(a);
  const right = Number(b);
  switch (operator) {
    case '|':
      return left | right;
    case '^':
      return left ^ right;
    case '&':
      return left & right;
    case '<<':
      return left * 2 ** right;
    case '>>':
      return Math.floor(left / 2 ** right);
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '//':
      return Math.floor(left / right);
    default:
      return left - right * Math.floor(left / right);
  }
}
