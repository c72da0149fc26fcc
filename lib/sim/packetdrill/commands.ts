/** Shell commands of a script: sysctls become settings of the stack, what no stack has is ignored. */
import { Unsupported } from './attempt.js';
import { applySysctl, type Environment, resetToDefaults } from './sysctls.js';

/** What changes queues, offloads and caches of a kernel, none of which is here. */
const IGNORED: readonly RegExp[] = [
  /^(tc|ethtool|nstat|true|:)\b/,
  /^ip (-\S+ )*tcp_metrics flush/,
  /^ip (-\S+ )*route flush cache/,
  /^ip (-\S+ )*link set/,
];

/**
 * Does what one or several commands say.
 * @throws Unsupported for any that is not known, and for one that comes too late
 */
export function runCommands(text: string, environment: Environment): void {
  for (const command of text.replaceAll(/\\\n/g, ' ').split(/\n|;|&&/)) {
    const words = wordsOf(command);
    if (words.length > 0 && !words[0].startsWith('#')) runCommand(words, environment);
  }
}

/** Words without quotes and without what redirects output. */
function wordsOf(command: string): string[] {
  const plain = command.replaceAll(/\s+\d?>+\s*(&\d|\/dev\/null)/g, '');
  const words = plain.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replaceAll(/["']/g, ''));
}

function runCommand(words: readonly string[], environment: Environment): void {
  const [name, ...rest] = words;
  const program = name.slice(name.lastIndexOf('/') + 1);
  if (program === 'defaults.sh') {
    resetToDefaults(environment);
  } else if (program === 'sysctl' || program === 'set_sysctls.py') {
    for (const setting of settingsOf(rest)) applySysctl(setting.name, setting.value, environment);
  } else if (program === 'echo' && rest.includes('>')) {
    const place = rest.indexOf('>');
    applySysctl(rest[place + 1] ?? '', rest.slice(0, place).join(' '), environment);
  } else if (!IGNORED.some((pattern) => pattern.test(words.join(' ')))) {
    throw new Unsupported(`the command "${words.join(' ')}" is not supported`);
  }
}

/** `a=1 b=2`, `a="1 2"`, and `a = 1`. */
function settingsOf(words: readonly string[]): { name: string; value: string }[] {
  const settings: { name: string; value: string }[] = [];
  const given = words.filter((word) => !/^-[a-zA-Z]+$/.test(word));
  for (let i = 0; i < given.length; i++) {
    const isApart = given[i + 1] === '=';
    const [name, ...value] = isApart ? [given[i], given[i + 2] ?? ''] : given[i].split('=');
    if (value.length === 0) throw new Unsupported(`"${given[i]}" sets nothing`);
    settings.push({ name, value: value.join('=') });
    if (isApart) i += 2;
  }
  return settings;
}
