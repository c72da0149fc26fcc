/**
 * What a command of the command line is. From this one description come the parser, `--help`, the man page
 * and the shell completions.
 *
 * A file in `commands/` holds one, exported as `command`. It is loaded to show help, so it imports what does
 * the work inside `action`, where it is needed: `const { ping } = await import('../ping/ping.js')`.
 */
import type { CommandContext } from './context.js';

/** What a shell offers where a value is typed. */
export type Completion = 'file' | 'directory' | 'command' | 'host' | 'interface';

export interface ArgumentSpec {
  /** Shown as `<name>`, or `[name]` where it is optional. */
  readonly name: string;
  readonly description: string;
  readonly optional?: boolean;
  /** Takes all that follow; the last argument only. */
  readonly variadic?: boolean;
  readonly choices?: readonly string[];
  readonly completes?: Completion;
}

export interface OptionSpec {
  /** As commander has them: `-c, --count <n>`, `--json`, `--no-color`. */
  readonly flags: string;
  /** Begins small and has no full stop at its end. */
  readonly description: string;
  /** As `parse` would give it. */
  readonly default?: string | number | boolean;
  /** How the default is told, where its value does not tell it. */
  readonly defaultText?: string;
  readonly choices?: readonly string[];
  /** Environment variable that stands in for the option. */
  readonly env?: string;
  /** Turns what was typed into the value. @throws UsageError in a sentence; see `values.ts` */
  readonly parse?: (text: string) => unknown;
  /** May be given more than once; the value is then a list, by default an empty one. */
  readonly repeatable?: boolean;
  /** Attribute names of options it cannot stand beside. */
  readonly conflicts?: readonly string[];
  /** Heading it stands under; `Options` by default. */
  readonly group?: string;
  readonly completes?: Completion;
}

export interface ExampleSpec {
  /** A whole command line, without prompt. */
  readonly command: string;
  /** What it does. */
  readonly description: string;
}

/** An exit status the command has beside 0, 1, 2, 124 and 128 + n. */
export interface ExitSpec {
  readonly status: number;
  readonly meaning: string;
}

/** @typeParam Options what the options are once parsed, by their attribute names */
export interface CommandSpec<Options = unknown> {
  readonly name: string;
  /** One line for the list of commands, beginning small, without full stop. */
  readonly summary: string;
  /** Paragraphs of whole sentences. */
  readonly description: readonly string[];
  readonly arguments?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  /** At least one. */
  readonly examples: readonly ExampleSpec[];
  /** What it adds to the statuses all have, or says of them. */
  readonly exits?: readonly ExitSpec[];
  /** Status of an error that says none; 1 by default. */
  readonly failureStatus?: number;
  /** Gives it `--json`: one document, or one document per line as things happen. */
  readonly json?: 'document' | 'lines';
  /** What follows the first argument belongs to another program, options and all. */
  readonly passThrough?: boolean;
  /**
   * The action ends by itself soon after `context.signal` is aborted, and its status counts. Otherwise it is
   * left where it stands, the clean-ups run, and the status is that of the signal.
   */
  readonly endsItself?: boolean;
  /** Does it. @returns the exit status, 0 by default */
  action(context: CommandContext<Options>): Promise<number | void> | number | void;
}

/** The options every command has, beside `--help`. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  { flags: '--no-color', description: 'no colours, as with NO_COLOR in the environment' },
];

/** `--json`, as its kind tells. */
export const jsonOption = (kind: 'document' | 'lines'): OptionSpec => ({
  flags: '--json',
  description:
    kind === 'document'
      ? 'print one JSON document, and nothing else, on standard output'
      : 'print a line of JSON for each thing that happens',
});

/** All options of a command, the common ones last. */
export function optionsOf(spec: CommandSpec): readonly OptionSpec[] {
  const json = spec.json === undefined ? [] : [jsonOption(spec.json)];
  return [...(spec.options ?? []), ...json, ...COMMON_OPTIONS];
}

/** `<host>`, `[port]`, `[command...]`. */
export function argumentText({ name, optional = false, variadic = false }: ArgumentSpec): string {
  const inner = variadic ? `${name}...` : name;
  return optional ? `[${inner}]` : `<${inner}>`;
}

/** The exit statuses of a command, in order. */
export function exitsOf(spec: CommandSpec): readonly ExitSpec[] {
  const own = spec.exits ?? [];
  const common: ExitSpec[] = [
    { status: 0, meaning: 'it did what it was asked to' },
    { status: 1, meaning: 'it failed; standard error says why' },
    { status: 2, meaning: 'the command line was wrong' },
    { status: 130, meaning: 'it was interrupted (SIGINT); 143 by SIGTERM, 129 by SIGHUP' },
  ];
  const missing = common.filter(({ status }) => own.every((exit) => exit.status !== status));
  return [...own, ...missing].sort((a, b) => a.status - b.status);
}
