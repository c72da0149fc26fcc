/** Completions for zsh, by its `_arguments`. */
import type { CommandWords, OptionWords, ValueWords } from './words.js';

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
/** Within `[...]` and between colons. */
const escaped = (text: string): string => text.replaceAll(/[[\]:\\]/g, '\\$&');

/** `:name:action`. */
function valueText({ name, choices, completes }: ValueWords): string {
  const action =
    choices.length > 0
      ? `(${choices.join(' ')})`
      : {
          file: '_files',
          directory: '_files -/',
          command: '_command_names -e',
          host: '_hosts',
          interface: '_net_interfaces',
          none: ' ',
        }[completes ?? 'none'];
  return `:${escaped(name)}:${action}`;
}

function optionLine({ short, long, description, value, repeatable }: OptionWords): string {
  const names = short === undefined ? [long] : [short, long];
  const rest = `[${escaped(description)}]${value === undefined ? '' : valueText(value)}`;
  const exclusive = repeatable ? '*' : names.length > 1 ? `(${names.join(' ')})` : '';
  if (names.length === 1) return quoted(`${exclusive}${long}${rest}`);
  return `${quoted(exclusive)}{${names.join(',')}}${quoted(rest)}`;
}

function commandFunction(command: CommandWords): string[] {
  const { name, options, takesProgram } = command;
  const places = command.arguments.map((value, i) => quoted(`${i + 1}${valueText(value)}`));
  const program = [quoted('(-)1:command:_command_names -e'), quoted('*::arguments:_normal')];
  const lines = [...options.map(optionLine), ...(takesProgram ? program : places)];
  return [
    `_tunstack_${name.replaceAll('-', '_')}() {`,
    '  _arguments -s -S \\',
    ...lines.map((line, i) => `    ${line}${i === lines.length - 1 ? '' : ' \\'}`),
    '}',
  ];
}

export function zshCompletions(commands: readonly CommandWords[]): string {
  const described = commands.map(({ name, summary }) => `    ${quoted(`${name}:${escaped(summary)}`)}`);
  const cases = commands.map(({ name }) => `        ${name}) _tunstack_${name.replaceAll('-', '_')} ;;`);
  return `${[
    '#compdef tunstack',
    '# zsh completions of tunstack: put this into a file _tunstack of $fpath',
    ...commands.flatMap(commandFunction),
    '_tunstack() {',
    '  local context state state_descr line',
    '  typeset -A opt_args',
    '  local -a commands',
    '  commands=(',
    ...described,
    "    'help:print the help of a command'",
    '  )',
    '  _arguments -C \\',
    "    '(- *)'{-h,--help}'[print the help]' \\",
    "    '(- *)'{-V,--version}'[print the version]' \\",
    "    '1:command:->command' \\",
    "    '*::argument:->argument'",
    '  case $state in',
    "    command) _describe -t commands 'command' commands ;;",
    '    argument)',
    '      case $words[1] in',
    ...cases,
    "        help) _describe -t commands 'command' commands ;;",
    '      esac',
    '      ;;',
    '  esac',
    '}',
    'if [[ $funcstack[1] == _tunstack ]]; then _tunstack "$@"; else compdef _tunstack tunstack; fi',
  ].join('\n')}\n`;
}
