/** Completions for fish. */
import type { CommandWords, OptionWords, ValueWords } from './words.js';

const quoted = (text: string): string => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;

/** `-x -a ...` of a value. */
function valueText({ choices, completes }: ValueWords): string {
  if (choices.length > 0) return ` -x -a ${quoted(choices.join(' '))}`;
  switch (completes) {
    case 'file':
      return ' -r -F';
    case 'directory':
      return " -x -a '(__fish_complete_directories)'";
    case 'command':
      return " -x -a '(__fish_complete_command)'";
    case 'host':
      return " -x -a '(__fish_print_hostnames)'";
    case 'interface':
      return " -x -a '(command ls /sys/class/net 2>/dev/null)'";
    case undefined:
      return ' -x';
  }
}

function optionLine(command: string, { short, long, description, value }: OptionWords): string {
  const names = `${short === undefined ? '' : ` -s ${short.slice(1)}`} -l ${long.slice(2)}`;
  const rest = value === undefined ? '' : valueText(value);
  return `complete -c tunstack -n '__fish_seen_subcommand_from ${command}'${names}${rest} -d ${quoted(description)}`;
}

function commandLines({ name, summary, options, arguments: places, takesProgram }: CommandWords): string[] {
  const seen = `complete -c tunstack -n '__fish_seen_subcommand_from ${name}'`;
  const first = places[0];
  const argument = takesProgram
    ? [`${seen} -x -a '(__fish_complete_subcommand --fcs-skip=2)'`]
    : first === undefined
      ? []
      : [`${seen}${valueText(first)}`];
  return [
    `complete -c tunstack -n __fish_use_subcommand -x -a ${name} -d ${quoted(summary)}`,
    ...options.map((option) => optionLine(name, option)),
    ...argument,
  ];
}

export function fishCompletions(commands: readonly CommandWords[]): string {
  const names = commands.map(({ name }) => name).join(' ');
  return `${[
    '# fish completions of tunstack: tunstack completions fish | source',
    'complete -c tunstack -f',
    "complete -c tunstack -n __fish_use_subcommand -s h -l help -d 'print the help'",
    "complete -c tunstack -n __fish_use_subcommand -s V -l version -d 'print the version'",
    "complete -c tunstack -n __fish_use_subcommand -x -a help -d 'print the help of a command'",
    `complete -c tunstack -n '__fish_seen_subcommand_from help' -x -a ${quoted(names)}`,
    ...commands.flatMap(commandLines),
  ].join('\n')}\n`;
}
