/** Completions for bash; nothing but bash itself is needed. */
import { type CommandWords, GLOBAL_FLAGS, type ValueWords } from './words.js';

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** What fills COMPREPLY for a value. */
function reply(value: ValueWords): string {
  if (value.choices.length > 0)
    return `COMPREPLY=($(compgen -W ${quoted(value.choices.join(' '))} -- "$cur"))`;
  switch (value.completes) {
    case 'file':
      return 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))';
    case 'directory':
      return 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur"))';
    case 'command':
      return 'COMPREPLY=($(compgen -c -- "$cur"))';
    case 'host':
      return 'COMPREPLY=($(compgen -A hostname -- "$cur"))';
    case 'interface':
      return 'COMPREPLY=($(compgen -W "$(command ls /sys/class/net 2>/dev/null)" -- "$cur"))';
    case undefined:
      return 'COMPREPLY=()';
  }
}

function commandCase(command: CommandWords): string[] {
  const flags = command.options.flatMap(({ short, long }) => (short === undefined ? [long] : [short, long]));
  const values = command.options.flatMap(({ short, long, value }) =>
    value === undefined
      ? []
      : [`        ${[short, long].filter(Boolean).join('|')}) ${reply(value)}; return ;;`],
  );
  const first = command.arguments[0];
  return [
    `    ${command.name})`,
    ...(values.length > 0 ? ['      case "$prev" in', ...values, '      esac'] : []),
    '      if [[ $cur == -* ]]; then',
    `        COMPREPLY=($(compgen -W ${quoted(flags.join(' '))} -- "$cur"))`,
    ...(first === undefined ? [] : ['      else', `        ${reply(first)}`]),
    '      fi',
    '      ;;',
  ];
}

/** After the program's own name, whatever that program takes is its own business: files are offered. */
function programCase(commands: readonly CommandWords[]): string[] {
  const names = commands.filter(({ takesProgram }) => takesProgram).map(({ name }) => name);
  if (names.length === 0) return [];
  return [
    `  if [[ " ${names.join(' ')} " == *" $command "* ]]; then`,
    '    local i',
    '    for ((i = 2; i < COMP_CWORD; i++)); do',
    '      [[ ${COMP_WORDS[i]} == -- ]] || continue',
    '      if ((i == COMP_CWORD - 1)); then COMPREPLY=($(compgen -c -- "$cur"))',
    '      else compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); fi',
    '      return',
    '    done',
    '  fi',
  ];
}

export function bashCompletions(commands: readonly CommandWords[]): string {
  const names = [...commands.map(({ name }) => name), 'help'];
  return `${[
    '# bash completions of tunstack: source <(tunstack completions bash)',
    '_tunstack() {',
    '  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}',
    '  COMPREPLY=()',
    '  if ((COMP_CWORD == 1)); then',
    `    COMPREPLY=($(compgen -W ${quoted([...names, ...GLOBAL_FLAGS].join(' '))} -- "$cur"))`,
    '    return',
    '  fi',
    ...programCase(commands),
    '  case $command in',
    ...commands.flatMap(commandCase),
    '    help)',
    `      COMPREPLY=($(compgen -W ${quoted(commands.map(({ name }) => name).join(' '))} -- "$cur"))`,
    '      ;;',
    '  esac',
    '}',
    'complete -F _tunstack tunstack',
  ].join('\n')}\n`;
}
