/**
 * Node's own tests: from a source tree somebody has, or fetched as Debian's source package into a temporary
 * directory. Nothing of them is kept in the project.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export interface TestSources {
  /** Directory that holds `parallel`, `sequential`, `common` and `fixtures`. */
  readonly directory: string;
  /** Removes what was fetched. */
  dispose(): void;
}

/** @throws Error when `path` is no source tree of Node, with what was looked for */
export function sourcesFrom(path: string): TestSources {
  const candidates = [join(resolve(path), 'test'), resolve(path)];
  const directory = candidates.find((candidate) => existsSync(join(candidate, 'parallel')));
  if (directory === undefined) throw new Error(`${path} holds no test/parallel`);
  return { directory, dispose: () => {} };
}

/**
 * Fetches the source package `nodejs` with the system's own apt and mirrors.
 * @param release another release of Debian than the system's own, such as one whose Node is the one under test
 * @throws Error with apt's words
 */
export function fetchSources(release?: string): TestSources {
  const directory = mkdtempSync(join(tmpdir(), 'node-suite-'));
  const dispose = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    const archive = download(directory, release);
    const tree = join(directory, 'tree');
    mkdirSync(tree);
    const wanted = ['parallel', 'sequential', 'common', 'fixtures'].map((name) => `*/test/${name}`);
    run('tar', ['-xf', archive, '-C', tree, '--strip-components=1', '--wildcards', ...wanted]);
    rmSync(archive);
    return { ...sourcesFrom(tree), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** @returns the archive of the original sources */
function download(directory: string, release?: string): string {
  const parts = join(directory, 'sources');
  const lists = join(directory, 'lists');
  for (const path of [parts, join(lists, 'partial')]) mkdirSync(path, { recursive: true });
  writeSourceLists(parts, release);
  const options = [
    ['Dir::Etc::SourceList', '/dev/null'],
    ['Dir::Etc::SourceParts', parts],
    ['Dir::State::Lists', lists],
    ['APT::Sandbox::User', ''],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  run('apt-get', [...options, '-qq', 'update']);
  // A mirror may lack the description of the newest revision and still have the archive, which is enough.
  const attempt = spawnSync('apt-get', [...options, '-qq', 'source', '--download-only', 'nodejs'], {
    cwd: directory,
    encoding: 'utf8',
  });
  const archive = readdirSync(directory).find((name) => /^nodejs_.*\.orig\.tar\.\w+$/.test(name));
  if (archive === undefined) throw new Error(`apt-get source nodejs brought no archive\n${attempt.stderr}`);
  return join(directory, archive);
}

/** Security updates have the same tests, and mirrors do not always keep their sources. */
const isMainArchive = (source: string): boolean => !source.includes('security');

/** The system's lists of packages, asked for sources instead. */
function writeSourceLists(parts: string, release?: string): void {
  const [, ours] = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? [];
  const write = (name: string, text: string): void => {
    const wanted = ours === undefined || release === undefined ? text : text.replaceAll(ours, release);
    writeFileSync(join(parts, name), wanted);
  };
  const deb822 = '/etc/apt/sources.list.d/debian.sources';
  if (existsSync(deb822)) {
    const stanzas = readFileSync(deb822, 'utf8')
      .split(/\n{2,}/)
      .filter(isMainArchive);
    write('source.sources', stanzas.join('\n\n').replaceAll(/^Types:.*$/gm, 'Types: deb-src'));
  }
  const list = '/etc/apt/sources.list';
  if (existsSync(list)) {
    const lines = readFileSync(list, 'utf8').split('\n');
    const packages = lines.filter((line) => /^deb\s/.test(line) && isMainArchive(line));
    write('source.list', `${packages.join('\n').replaceAll(/^deb/gm, 'deb-src')}\n`);
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr}`);
}
