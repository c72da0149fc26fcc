/** What there is to complete, read from the descriptions of the commands. */
import { optionOf } from '../frame/program.js';
import type { CommandSpec, Completion } from '../frame/spec.js';
import { optionsOf } from '../frame/spec.js';

/** What may stand where a value is typed. */
export interface ValueWords {
  /** `n`, `file` … */
  readonly name: string;
  readonly choices: readonly string[];
  readonly completes: Completion | undefined;
}

export interface OptionWords {
  /** `-c`, where it has one. */
  readonly short: string | undefined;
  /** `--count`. */
  readonly long: string;
  readonly description: string;
  /** Absent where it takes none. */
  readonly value: ValueWords | undefined;
  readonly repeatable: boolean;
}

export interface CommandWords {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionWords[];
  readonly arguments: readonly ValueWords[];
  /** The last argument is a program and what it is given. */
  readonly takesProgram: boolean;
}

const HELP: OptionWords = {
  short: '-h',
  long: '--help',
  description: 'print the help of the command',
  value: undefined,
  repeatable: false,
};

/** Flags of the program itself. */
export const GLOBAL_FLAGS = ['-h', '--help', '-V', '--version'] as const;

export function wordsOf(spec: CommandSpec): CommandWords {
  const options = optionsOf(spec).map((given): OptionWords => {
    const option = optionOf(given);
    const [, name = ''] = /[<[]([^>\]]+)[>\]]/.exec(given.flags) ?? [];
    const takesValue = option.required || option.optional;
    return {
      short: option.short,
      long: option.long ?? '',
      description: given.description,
      value: takesValue ? { name, choices: given.choices ?? [], completes: given.completes } : undefined,
      repeatable: given.repeatable === true,
    };
  });
  const given = spec.arguments ?? [];
  return {
    name: spec.name,
    summary: spec.summary,
    options: [...options, HELP],
    arguments: given.map(({ name, choices = [], completes }) => ({ name, choices, completes })),
    takesProgram: given.at(-1)?.completes === 'command',
  };
}
