/** The command line itself: help, mistakes, and what every command owes whoever calls it. */
import { expect } from 'chai';
import type { Given } from '../../lib/cli/frame/perform.js';
import { buildProgram } from '../../lib/cli/frame/program.js';
import { COMMAND_NAMES, loadCommands } from '../../lib/cli/registry.js';
import { Child } from '../support/child.js';
import { cli, LIMIT_MS, NODE } from './support/cli.js';

/** The words of a command line behind `tunstack`, up to what the shell makes of it. */
function wordsOf(line: string): string[] {
  const [, rest = ''] = /\btunstack (.*)$/.exec(line) ?? [];
  const words = rest.match(/"(?:\\.|[^"])*"|'[^']*'|\S+/g) ?? [];
  const end = words.findIndex((word) => /^([|<>)&;]|\d>)/.test(word));
  return (end < 0 ? words : words.slice(0, end)).map((word) => word.replace(/^(["'])(.*)\1$/, '$2'));
}

describe('command line', function () {
  this.timeout(LIMIT_MS + 5000);
  this.slow(10_000);

  it('lists its commands in --help', async () => {
    const { stdout, stderr, status } = await cli(['--help']);
    expect([stderr, status]).to.deep.equal(['', 0]);
    for (const name of COMMAND_NAMES) expect(stdout).to.match(new RegExp(`^ {2}${name} `, 'm'));
  });

  it('shows examples and exit statuses in the help of a command, either way it is asked', async () => {
    const [long, short] = await Promise.all([cli(['ping', '--help']), cli(['help', 'ping'])]);
    expect(long.stdout).to.equal(short.stdout);
    expect(long.stdout).to.match(/^Examples:\n.*\n {4}\$ tunstack ping -c 3/m);
    expect(long.stdout).to.match(/^Exit status:\n {2}0 /m);
    expect([long.status, short.status, long.stderr]).to.deep.equal([0, 0, '']);
  });

  const MISTAKES: ReadonlyArray<readonly [title: string, args: readonly string[], words: RegExp]> = [
    ['no command', [], /Usage: tunstack/],
    ['help for an unknown command', ['help', 'pin'], /unknown command 'pin'\n\(Did you mean ping\?\)/],
    ['a name server that is none', ['ping', '--dns', 'x', 'h'], /Expected the address of a name server/],
    ['a method that is none', ['http', '-X', 'A B', 'http://localhost/'], /must be a valid HTTP token/],
    ['options of a link in memory', ['bench', '--memory', '--mtu', '900'], /cannot be used with option/],
    ['JSON beside a program', ['run', '--json', 'true'], /standard output is the program's/],
    ['an unknown command', ['pin'], /unknown command 'pin'\n\(Did you mean ping\?\)/],
    [
      'an unknown option',
      ['ping', '--conut', '2', 'h'],
      /unknown option '--conut'\n\(Did you mean --count\?\)/,
    ],
    ['a missing argument', ['ping'], /missing required argument 'host'/],
    ['one argument too many', ['ping', 'a', 'b'], /too many arguments/],
    ['a value that is none', ['ping', '-c', 'x', 'h'], /'-c, --count <n>'.* Expected a whole number from 1/],
    ['a value out of range', ['ping', '-t', '256', 'h'], /Expected a whole number within 1 \.\. 255/],
    ['a choice that is none', ['capture', '-p', 'ipx'], /Allowed choices are tcp, udp, icmp, other/],
    ['options against each other', ['ping', '--private', '--tun', 't', 'h'], /cannot be used with option/],
    ['a TUN without an address', ['ping', '--tun', 'tun9', 'h'], /needs an --address of its own/],
    ['ports for a connection', ['nc', '--private', 'h', '1-9'], /several ports are for -z/],
    ['a queue without a rate', ['ping', '--queue', '9', '10.0.0.2'], /--queue needs a --rate/],
  ];
  for (const [title, args, words] of MISTAKES) {
    it(`ends with status 2 at ${title}`, async () => {
      const { stdout, stderr, status } = await cli(args);
      expect([stdout, status]).to.deep.equal(['', 2]);
      expect(stderr).to.match(words);
    });
  }

  it('says so where its words find no room', async () => {
    for (const args of [['--help'], ['completions', 'bash']]) {
      const line = [process.execPath, ...NODE, ...args].map((word) => `'${word}'`).join(' ');
      const { stderr, status } = await new Child('sh', ['-c', `${line} > /dev/full`]).ended;
      expect(stderr).to.match(/^tunstack.*: ENOSPC: no space left on device, write\.\n$/);
      expect(status).to.equal(1);
    }
  });

  it('takes an option again after --no- of the same name', async () => {
    const specs = await loadCommands(['gateway']);
    let options: Readonly<Record<string, unknown>> = {};
    const perform = async (_spec: unknown, given: Given): Promise<void> => {
      ({ options } = given);
    };
    const line = ['gateway', '--no-dns', '--dns', '192.0.2.1', '--dns', '192.0.2.2'];
    await buildProgram({ version: '0', specs, perform }).parseAsync(line, { from: 'user' });
    expect(options.dns).to.deep.equal(['192.0.2.1', '192.0.2.2']);
  });

  it('takes every example as it stands', async () => {
    const specs = await loadCommands();
    for (const { examples } of specs) {
      for (const { command } of examples) {
        const taken: string[] = [];
        const perform = async (spec: { name: string }): Promise<void> => {
          taken.push(spec.name);
        };
        const program = buildProgram({ version: '0', specs, perform });
        const words = wordsOf(command);
        await program.parseAsync(words, { from: 'user' });
        expect(taken, command).to.deep.equal([words[0]]);
      }
    }
  });

  it('describes each command whole', async () => {
    for (const spec of await loadCommands()) {
      expect(COMMAND_NAMES).to.include(spec.name);
      expect(spec.summary, spec.name).to.match(/^[a-z][^\n]*[^.]$/);
      expect(spec.examples, spec.name).to.not.be.empty;
      for (const { command, description } of spec.examples) {
        expect(command, spec.name).to.include(`tunstack ${spec.name}`);
        expect(description, spec.name).to.match(/^[A-Z].*:$/);
      }
      for (const paragraph of spec.description) expect(paragraph, spec.name).to.match(/^[A-Z].*\.$/);
      for (const { flags, description } of spec.options ?? []) {
        expect(description, `${spec.name} ${flags}`).to.match(/[^.]$/);
      }
    }
  });
});
