/** The parser, made from the descriptions of the commands. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from './errors.js';
import type { Given } from './perform.js';
import {
  type ArgumentSpec,
  argumentText,
  type CommandSpec,
  exitsOf,
  type OptionSpec,
  optionsOf,
} from './spec.js';

export interface ProgramParts {
  readonly version: string;
  readonly specs: readonly CommandSpec[];
  /** Runs a command whose line was right. */
  readonly perform: (spec: CommandSpec, given: Given) => Promise<void>;
}

export const SUMMARY = 'A private TCP/IP stack for Node.js';

/** `parseAsync` of the result throws commander's errors, whose `exitCode` is 0 only for help and version. */
export function buildProgram({ version, specs, perform }: ProgramParts): Command {
  const program = new Command('tunstack')
    .description(`${SUMMARY}.`)
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showHelpAfterError('(tunstack --help tells more)')
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText('after', "\n'tunstack help <command>' shows what a command takes, with examples.");
  for (const spec of specs) addCommand(program, spec, perform);
  return program;
}

function addCommand(program: Command, spec: CommandSpec, perform: ProgramParts['perform']): void {
  const command = program
    .command(spec.name)
    .summary(spec.summary)
    .description(spec.description.join('\n\n'))
    .helpOption('-h, --help', 'print this help')
    .showHelpAfterError(`(tunstack ${spec.name} --help tells more)`)
    .passThroughOptions(spec.passThrough === true);
  for (const argument of spec.arguments ?? []) command.addArgument(argumentOf(argument));
  for (const option of optionsOf(spec)) command.addOption(optionOf(option));
  command.addHelpText('after', () => `\n${closingText(spec)}`);
  command.action(async () => {
    await perform(spec, { args: command.args, options: { ...unset(spec), ...command.opts() } });
  });
}

/** The value of what is not given, where it has one that help does not tell: false, or an empty list. */
function unset(spec: CommandSpec): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const given of optionsOf(spec)) {
    const option = optionOf(given);
    if (given.repeatable === true) values[option.attributeName()] = [];
    else if (option.isBoolean()) values[option.attributeName()] = false;
  }
  return values;
}

function argumentOf(spec: ArgumentSpec): Argument {
  const argument = new Argument(argumentText(spec), spec.description);
  return spec.choices === undefined ? argument : argument.choices(spec.choices);
}

/** Also asked for what it makes of `flags` by the man page and the completions. */
export function optionOf(spec: OptionSpec): Option {
  const untold = spec.default === undefined ? spec.defaultText : undefined;
  const ending = untold === undefined ? '' : ` (default: ${untold})`;
  const option = new Option(spec.flags, spec.description + ending);
  if (spec.choices !== undefined) option.choices(spec.choices);
  if (spec.repeatable === true) {
    // No reader of `choices` is lost: commander checks them in a reader of its own.
    const read = spec.choices === undefined ? reader(spec) : option.parseArg;
    option.argParser((text: string, before: unknown) => [
      // False where `--no-…` of the same name stood before.
      ...(Array.isArray(before) ? before : []),
      read?.(text, undefined) ?? text,
    ]);
  } else {
    if (spec.parse !== undefined) option.argParser(reader(spec));
    if (spec.default !== undefined && spec.default !== false) option.default(spec.default, spec.defaultText);
  }
  if (spec.env !== undefined) option.env(spec.env);
  if (spec.conflicts !== undefined) option.conflicts([...spec.conflicts]);
  if (spec.group !== undefined) option.helpGroup(`${spec.group}:`);
  return option;
}

/** `parse`, its complaint in commander's hands. */
function reader({ parse }: OptionSpec): (text: string) => unknown {
  return (text) => {
    try {
      return parse === undefined ? text : parse(text);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const { message } = error;
      throw new InvalidArgumentError(`${message[0].toUpperCase()}${message.slice(1)}.`);
    }
  };
}

function closingText(spec: CommandSpec): string {
  const examples = spec.examples.flatMap(({ command, description }) => [
    `  ${description}`,
    `    $ ${command}`,
    '',
  ]);
  const exits = exitsOf(spec).map(({ status, meaning }) => `  ${String(status).padEnd(4)} ${meaning}`);
  return ['Examples:', ...examples, 'Exit status:', ...exits].join('\n');
}
