/** The completions, asked of the shells they are for. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { COMMAND_NAMES } from '../../lib/cli/registry.js';
import { installed, run } from '../support/child.js';
import { skip } from '../support/skip.js';
import { cli, LIMIT_MS } from './support/cli.js';

/** Completes the last of these words with what `_tunstack` says, in bash. */
const BASH = `
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_tunstack
printf '%s\\n' "\${COMPREPLY[@]}"
`;
/** Types a line at the prompt of an interactive zsh, asks for completions, and prints what is shown. */
const ZSH = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "autoload -Uz compinit; compinit -D -u; source $1; LISTMAX=10000; PROMPT='rea''dy> '"
zpty -r -m shell output '*ready> *'
zpty -w -n shell "$2"$'\\C-d'
zpty -r -m shell shown "*$3*"
print -r -- "$shown"
zpty -d shell
`;

describe('completions', function () {
  this.timeout(LIMIT_MS);
  this.slow(10_000);
  let folder: string;
  const files: Record<string, string> = {};

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tunstack-completions-'));
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { stdout, stderr, status } = await cli(['completions', shell]);
      expect([stderr, status]).to.deep.equal(['', 0]);
      files[shell] = join(folder, shell);
      writeFileSync(files[shell], stdout);
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  it('are for bash, zsh and fish only', async () => {
    expect((await cli(['completions', 'tcsh'])).status).to.equal(2);
  });

  describe('of bash', () => {
    before(async function () {
      if (!(await installed('bash'))) skip(this, 'bash is not installed');
    });
    const complete = async (...words: string[]): Promise<string[]> => {
      const { stdout } = await run('bash', ['--norc', '-c', BASH, 'bash', files.bash, 'tunstack', ...words]);
      return stdout.trim().split(/\s+/);
    };

    it('know the commands', async () => {
      expect(await complete('')).to.include.members([...COMMAND_NAMES, 'help', '--version']);
      expect(await complete('pi')).to.deep.equal(['ping']);
      expect(await complete('help', 'inf')).to.deep.equal(['info']);
    });

    it('know the options of a command and what follows them', async () => {
      expect(await complete('ping', '--cou')).to.deep.equal(['--count']);
      expect(await complete('ping', '-')).to.include.members(['-c', '--loss', '--json', '--help']);
      expect(await complete('capture', '-p', 't')).to.deep.equal(['tcp']);
      expect(await complete('completions', 'z')).to.deep.equal(['zsh']);
    });

    it('know programs behind --', async () => {
      expect(await complete('run', '--', 'uns')).to.include('unshare');
    });
  });

  describe('of fish', () => {
    before(async function () {
      if (!(await installed('fish'))) skip(this, 'fish is not installed');
    });
    const complete = async (line: string): Promise<string[]> => {
      const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
      const script = `source ${files.fish}; complete -C '${line}'`;
      const { stdout } = await run('fish', ['--no-config', '-c', script], { env });
      return stdout
        .trim()
        .split('\n')
        .map((found) => found.split('\t')[0]);
    };

    it('know commands, options and choices', async () => {
      expect(await complete('tunstack pi')).to.deep.equal(['ping']);
      expect(await complete('tunstack ping --coun')).to.deep.equal(['--count']);
      expect(await complete('tunstack capture -p t')).to.deep.equal(['tcp']);
      expect(await complete('tunstack completions ')).to.deep.equal(['bash', 'fish', 'zsh']);
    });
  });

  describe('of zsh', () => {
    before(async function () {
      if (!(await installed('zsh'))) skip(this, 'zsh is not installed');
    });

    it('can be read by it', async () => {
      await run('zsh', ['-f', '-n', files.zsh]);
    });

    it('know commands and options', async () => {
      const ask = async (line: string, last: string): Promise<string> =>
        (await run('zsh', ['-f', '-c', ZSH, 'zsh', files.zsh, line, last], { env: { TERM: 'dumb' } })).stdout;
      expect(await ask('tunstack ', 'whose whole network')).to.match(/ping +-- send ICMP echo requests/);
      expect(await ask('tunstack ping --', 'a TUN of that')).to.match(
        /--count .*-- stop after so many requests/,
      );
    });
  });
});
