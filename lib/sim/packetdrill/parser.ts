/**
 * The parser of packetdrill's language: options at the head, then events, each a time and a packet, a
 * system call, a block of assertions or a shell command. `docs/packetdrill.md` is the reference.
 */
import { parseList, parseResult } from './expressions.js';
import { parsePacket } from './packet-parser.js';
import { Scanner } from './scanner.js';
import {
  type Action,
  type CommandAction,
  type EventTime,
  type Expression,
  PacketdrillSyntaxError,
  type Script,
  type ScriptEvent,
  type ScriptOption,
  type SyscallAction,
} from './script.js';

const OPTION = /--([A-Za-z_]\w*)(?:=("[^"]*"|[^\s`]*))?/y;
const ERRNO = /E[A-Z0-9]+(?=\s|$)/y;
const NOTE = /\(([^)]*)\)/y;

/**
 * Reads a script.
 * @param defines names to be replaced by values, as `-D` of packetdrill; `--define` lines add to them
 * @throws PacketdrillSyntaxError saying where and what
 */
export function parseScript(text: string, defines: Readonly<Record<string, string>> = {}): Script {
  const head = new Scanner(text);
  const options = parseOptions(head);
  const scanner = new Scanner(replaceNames(text, { ...defines, ...definesOf(options) }));
  parseOptions(scanner);
  const commands: CommandAction[] = [];
  while (!scanner.isAtEnd && scanner.isNext('`')) commands.push(parseCommand(scanner));
  const events: ScriptEvent[] = [];
  while (!scanner.isAtEnd) events.push(parseEvent(scanner));
  return { options, commands, events };
}

function parseOptions(scanner: Scanner): ScriptOption[] {
  const options: ScriptOption[] = [];
  while (scanner.isNext('--')) {
    const { line } = scanner;
    const found = scanner.match(OPTION) ?? scanner.fail('an option expected');
    options.push({ name: found[1], value: (found[2] ?? '').replaceAll('"', ''), line });
  }
  return options;
}

/** `--define=NAME=value`. */
function definesOf(options: readonly ScriptOption[]): Record<string, string> {
  const defines: Record<string, string> = {};
  for (const { name, value, line } of options) {
    if (name !== 'define') continue;
    const [, symbol, replacement] = /^([A-Za-z_]\w*)=(.*)$/.exec(value) ?? [];
    if (symbol === undefined) throw new PacketdrillSyntaxError(line, `"${value}" is not NAME=value`);
    defines[symbol] = replacement;
  }
  return defines;
}

function replaceNames(text: string, defines: Readonly<Record<string, string>>): string {
  const names = Object.keys(defines);
  if (names.length === 0) return text;
  return text.replaceAll(new RegExp(`\\b(?:${names.join('|')})\\b(?!=)`, 'g'), (name) => defines[name]);
}

function parseEvent(scanner: Scanner): ScriptEvent {
  scanner.skip();
  const start = scanner.at;
  const { line } = scanner;
  const time = parseTime(scanner);
  const action = parseAction(scanner);
  const text = scanner.text.slice(start, scanner.at).replaceAll(/\s+/g, ' ').trim();
  return { line, text, time, action };
}

function parseTime(scanner: Scanner): EventTime {
  if (scanner.take('*')) return { kind: 'any', fromUs: 0, toUs: 0 };
  const isRelative = scanner.take('+');
  const fromUs = scanner.seconds() ?? scanner.fail('a time expected');
  let toUs = fromUs;
  if (scanner.take('~')) {
    if (scanner.take('+') !== isRelative) scanner.fail('a range is relative at both ends or at neither');
    toUs = scanner.seconds() ?? scanner.fail('the end of a range expected');
    if (toUs < fromUs) scanner.fail('a range ends before it begins');
  }
  return { kind: isRelative ? 'relative' : 'absolute', fromUs, toUs };
}

function parseAction(scanner: Scanner): Action {
  if (scanner.isNext('<') || scanner.isNext('>')) return parsePacket(scanner);
  if (scanner.isNext('`')) return parseCommand(scanner);
  if (scanner.take('%{')) return { kind: 'code', code: scanner.until('}%') };
  return parseSyscall(scanner);
}

function parseCommand(scanner: Scanner): CommandAction {
  const { line } = scanner;
  scanner.expect('`');
  return { kind: 'command', command: scanner.until('`').trim(), line };
}

function parseSyscall(scanner: Scanner): SyscallAction {
  let endUs: number | undefined;
  if (scanner.take('...')) {
    scanner.take('+');
    endUs = scanner.seconds() ?? scanner.fail('the time of return expected');
  }
  const name = scanner.word() ?? scanner.fail('a packet, a system call, "`" or "%{" expected');
  scanner.expect('(');
  const args = parseList(scanner, ')');
  let result: Expression | undefined;
  if (scanner.take('=') && !scanner.take('?')) result = parseResult(scanner);
  const errno = scanner.match(ERRNO)?.[0] ?? '';
  if (errno !== '') scanner.match(NOTE);
  else if (result !== undefined && scanner.isNext('(')) scanner.match(NOTE);
  return { kind: 'syscall', name, args, endUs, result, errno };
}
