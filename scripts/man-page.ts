/**
 * `npm run docs:man`: writes man/tunstack.1 from the descriptions of the commands; with `--check` it fails
 * where that would change it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { SUMMARY } from '../lib/cli/frame/program.js';
import {
  argumentText,
  COMMON_OPTIONS,
  type CommandSpec,
  exitsOf,
  jsonOption,
  type OptionSpec,
} from '../lib/cli/frame/spec.js';
import { loadCommands } from '../lib/cli/registry.js';

export const MAN_PAGE = 'man/tunstack.1';

/** Shown at the foot of the page: when its text last changed in earnest. */
const DATE = '2026-11-22';

/** Groups of options that many commands share: each is described once. */
const SHARED_GROUPS: Readonly<Record<string, string>> = {
  Network:
    'The stack of a command is on one of these networks. What is made or set for it is taken away when the command ' +
    'ends, also by a signal.',
  'A worse network':
    'Whatever the network is, it can be made worse, each way. The same seed does the same again.',
};

/** Text as roff: a dash is a dash that can be copied, and no line is a request. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('~', '\\(ti')
    .replaceAll(/(^|\n)([.'])/g, '$1\\&$2');
}

/** A paragraph: a line per sentence, none longer than a screen is wide. */
const prose = (text: string): string =>
  text
    .split(/(?<=[.:]) (?=[A-Z])/)
    .map((line) => roff(line).replaceAll(/(?=.{79})(.{1,78}) /g, '$1\n'))
    .map((lines) => lines.replaceAll(/\n([.'])/g, '\n\\&$1'))
    .join('\n');

const bold = (text: string): string => `\\fB${roff(text)}\\fR`;
const italic = (text: string): string => `\\fI${roff(text)}\\fR`;

/** `-c, --count <n>`, flags bold and the value slanted. */
const flagsText = (flags: string): string =>
  flags
    .split(/(<[^>]+>|\[[^\]]+\]|, )/)
    .filter((piece) => piece !== '')
    .map((piece) =>
      /^[<[]/.test(piece)
        ? italic(piece.slice(1, -1))
        : piece === ', '
          ? piece
          : bold(piece.trimEnd()) + (piece.endsWith(' ') ? ' ' : ''),
    )
    .join('');

function optionText({
  flags,
  description,
  default: value,
  defaultText,
  choices,
  env,
  repeatable,
}: OptionSpec): string {
  const told = defaultText ?? (value === undefined || value === false ? undefined : String(value));
  const remarks = [
    ...(choices === undefined ? [] : [`one of ${choices.join(', ')}`]),
    ...(repeatable === true ? ['may be given more than once'] : []),
    ...(told === undefined ? [] : [`default: ${told}`]),
    ...(env === undefined ? [] : [`environment: ${env}`]),
  ];
  const ending = remarks.length === 0 ? '' : ` (${remarks.join('; ')})`;
  return `.TP\n${flagsText(flags)}\n${prose(`${capital(description + ending)}.`)}`;
}

const capital = (text: string): string => text[0].toUpperCase() + text.slice(1);

function commandText(spec: CommandSpec): string {
  const places = (spec.arguments ?? []).map(argumentText).map(italic);
  const own = (spec.options ?? []).filter(({ group }) => group === undefined || !(group in SHARED_GROUPS));
  const options = [...own, ...(spec.json === undefined ? [] : [jsonOption(spec.json)])];
  const groups = new Set(
    (spec.options ?? []).flatMap(({ group = '' }) => (group in SHARED_GROUPS ? [group] : [])),
  );
  const shared = [...groups].map((group) => `.B ${roff(group.toUpperCase())}`);
  return [
    `.SS tunstack ${roff(spec.name)}`,
    `${bold(`tunstack ${spec.name}`)} [${italic('options')}] ${places.join(' ')}`.trimEnd(),
    ...spec.description.map((paragraph) => `.PP\n${prose(paragraph)}`),
    ...(shared.length === 0 ? [] : [`.PP\nIt also takes the options of\n${shared.join('\nand\n')}.`]),
    ...(spec.arguments ?? []).map(
      ({ name, description }) => `.TP\n${italic(name)}\n${roff(capital(description))}.`,
    ),
    ...options.map(optionText),
    ...(spec.exits === undefined ? [] : ['.PP\nExit status:', ...exitsOf(spec).map(exitText)]),
    '.PP\nExamples:',
    ...spec.examples.map(
      ({ command, description }) => `.PP\n${roff(description)}\n.PP\n.RS 4\n.EX\n${roff(command)}\n.EE\n.RE`,
    ),
  ].join('\n');
}

const exitText = ({ status, meaning }: { status: number; meaning: string }): string =>
  `.TP\n${bold(String(status))}\n${prose(`${capital(meaning)}.`)}`;

function sharedText(specs: readonly CommandSpec[], group: string): string {
  const seen = new Map<string, OptionSpec>();
  for (const option of specs.flatMap((spec) => spec.options ?? [])) {
    if (option.group === group && !seen.has(option.flags)) seen.set(option.flags, option);
  }
  return [
    `.SH ${roff(group.toUpperCase())}`,
    prose(SHARED_GROUPS[group]),
    ...[...seen.values()].map(optionText),
  ].join('\n');
}

/** The whole page. */
export async function manPage(): Promise<string> {
  const specs = await loadCommands();
  return `${[
    '.\\" Made by "npm run docs:man" from the descriptions in lib/cli/commands; not to be edited.',
    `.TH TUNSTACK 1 ${DATE} tunstack "User Commands"`,
    '.SH NAME',
    `tunstack \\- ${roff(SUMMARY)}`,
    '.SH SYNOPSIS',
    `${bold('tunstack')} ${italic('command')} [${italic('options')}] [${italic('arguments')}]`,
    '.SH DESCRIPTION',
    prose(
      'A TCP/IP stack of its own, in a process: with its own addresses, ports and TCP, beside the stack of the system. ' +
        'These commands put one on a network and do something with it.',
    ),
    ...specs.map(({ name, summary }) => `.TP\n${bold(name)}\n${prose(`${capital(summary)}.`)}`),
    '.PP\nAll commands take these options:',
    ...[...COMMON_OPTIONS, { flags: '-h, --help', description: 'print help, with examples' }].map(optionText),
    '.SH COMMANDS',
    ...specs.map(commandText),
    ...Object.keys(SHARED_GROUPS).map((group) => sharedText(specs, group)),
    '.SH EXIT STATUS',
    roff('Where a command says nothing else:'),
    ...exitsOf({ name: '', summary: '', description: [], examples: [], action: () => {} }).map(exitText),
    exitText({ status: 124, meaning: 'the time it was given is over' }),
    '.SH ENVIRONMENT',
    ...(
      [
        ['NO_COLOR', 'where it is set and not empty, nothing is printed in colours'],
        ['TUNSTACK_ADDON', 'the addon to load, and no other'],
        ['TUNSTACK_DEBUG', 'where it is set and not empty, errors are printed with where they came from'],
      ] as const
    ).map(([name, text]) => `.TP\n${bold(name)}\n${prose(`${capital(text)}.`)}`),
    '.SH SEE ALSO',
    '.BR ip (8),\n.BR nsenter (1),\n.BR unshare (1)',
  ].join('\n')}\n`;
}

async function main(): Promise<void> {
  const page = await manPage();
  if (!process.argv.includes('--check')) {
    writeFileSync(MAN_PAGE, page);
  } else if (readFileSync(MAN_PAGE, 'utf8') !== page) {
    process.stderr.write(`${MAN_PAGE} is out of date: npm run docs:man\n`);
    process.exitCode = 1;
  }
}

if (process.argv[1]?.endsWith('man-page.ts')) await main();
