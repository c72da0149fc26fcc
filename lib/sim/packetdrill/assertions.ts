/**
 * The part of Python that scripts assert with: `assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd`, `print(...)`,
 * assignments, arithmetic, comparisons, `and`, `or`, `not`, a few functions. Anything else is an error that
 * says so, never silence.
 */
import { Unsupported } from './attempt.js';
import { PythonReader, truth, type Value } from './python-reader.js';

/** An assertion did not hold. */
export class AssertionFailure extends Error {}

export interface AssertionContext {
  /** The value of a name; undefined where there is none. */
  lookUp(name: string): Value | undefined;
  print(text: string): void;
}

const ASSIGNMENT = /^([A-Za-z_]\w*)\s*=(?!=)\s*([\s\S]+)$/;
const PRINT = /^print\b\s*([\s\S]*)$/;

/**
 * Runs a block. Names assigned in it are known in it.
 * @throws AssertionFailure; Unsupported for anything that is not understood
 */
export function runAssertions(code: string, context: AssertionContext): void {
  const variables = new Map<string, Value>();
  const lookUp = (name: string): Value | undefined => variables.get(name) ?? context.lookUp(name);
  const evaluate = (text: string): Value[] => new PythonReader(text, lookUp).readAll();
  for (const statement of statementsOf(code)) {
    const [, tested] = /^assert\b\s*([\s\S]+)$/.exec(statement) ?? [];
    const [, name, value] = ASSIGNMENT.exec(statement) ?? [];
    const [, printed] = PRINT.exec(statement) ?? [];
    if (tested !== undefined) check(tested, evaluate(tested), lookUp);
    else if (printed !== undefined) context.print(evaluate(unwrap(printed)).map(show).join(' '));
    else if (name !== undefined) variables.set(name, evaluate(value)[0]);
    else if (!/^(pass|import\s.*|from\s.*)$/.test(statement)) {
      throw new Unsupported(`"${statement}" is not supported in %{ }%`);
    }
  }
}

/** One line each, or several with `;`; lines within brackets belong together, comments to none. */
function statementsOf(code: string): string[] {
  const statements: string[] = [];
  let current = '';
  let depth = 0;
  let quote = '';
  const end = (): void => {
    if (current.trim() !== '') statements.push(current.trim());
    current = '';
  };
  for (let i = 0; i < code.length; i++) {
    const letter = code[i];
    if (quote !== '') {
      if (letter === quote) quote = '';
    } else if (letter === '"' || letter === "'") quote = letter;
    else if (letter === '#') {
      while (i + 1 < code.length && code[i + 1] !== '\n') i++;
      continue;
    } else if ('([{'.includes(letter)) depth++;
    else if (')]}'.includes(letter)) depth--;
    else if (letter === '\\' && code[i + 1] === '\n') {
      i++;
      continue;
    } else if (letter === ';' || (letter === '\n' && depth === 0)) {
      end();
      continue;
    }
    current += letter;
  }
  end();
  return statements;
}

function check(text: string, [holds, message]: Value[], lookUp: (name: string) => Value | undefined): void {
  if (truth(holds)) return;
  const names = [...new Set(text.match(/tcpi_\w+/g) ?? [])];
  const known = names.map((name) => `${name} = ${show(lookUp(name) ?? 0)}`).join(', ');
  const said = message === undefined ? '' : `: ${show(message)}`;
  throw new AssertionFailure(`assert ${text}${said}${known === '' ? '' : `\n(${known})`}`);
}

/** `print(x)` and the old `print x` alike. */
const unwrap = (text: string): string => /^\(([\s\S]*)\)$/.exec(text.trim())?.[1] ?? text;

const show = (value: Value): string => {
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return String(value);
};
