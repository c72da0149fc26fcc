/**
 * Servers as the distribution has them, in the namespace on the far side of a stack's TUN. Each runs in a
 * process namespace of its own, so that everything it started is gone when it is killed.
 */
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from 'mocha';
import type { Child } from '../../support/child.js';
import { installed } from '../../support/child.js';
import { InteropBed } from '../../support/interop.js';
import { skip } from '../../support/skip.js';

/** Longer than any file of these tests may take. */
const SERVER_LIMIT_MS = 5 * 60_000;

const isRoot = (): boolean => process.getuid?.() === 0;

/** `nobody`, on every Debian: PostgreSQL wants a user that has an account. */
const NOBODY = 65_534;

/** The server is not the first process of its namespace, since that one has no default for any signal. */
const KEEPER = '"$@" & wait $!';

/** What makes a command run without rights: as `nobody`, or under another name of ours. */
const asOrdinaryUser = (): string[] =>
  isRoot()
    ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--']
    : ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, '--'];

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** What it prints once it accepts connections. */
  readonly ready: RegExp;
  /** Keeps the rights of root, which it would otherwise not start with. */
  readonly asRoot?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a server and waits until it is ready. @throws Error with its output when it ends instead */
export async function launch(bed: InteropBed, what: Launch): Promise<Child> {
  const user = what.asRoot ? [] : asOrdinaryUser();
  const inside = ['sh', '-c', KEEPER, 'sh', ...user, what.command, ...what.args];
  const apart = ['--mount', '--ipc', '--pid', '--fork', '--kill-child', '--', ...inside];
  const options = { limitMs: SERVER_LIMIT_MS, ...(what.env === undefined ? {} : { env: what.env }) };
  const child = bed.namespace.spawn('unshare', apart, options);
  try {
    await child.output(what.ready);
  } catch (error) {
    await child.kill();
    throw error;
  }
  return child;
}

/** Runs a command as the user that servers run as. @throws Error when it fails */
export async function prepare(
  bed: InteropBed,
  command: string,
  args: readonly string[],
  limitMs = 60_000,
): Promise<void> {
  const [first, ...rest] = [...asOrdinaryUser(), command, ...args];
  await bed.namespace.exec(first, rest, { limitMs });
}

/** A directory that belongs to the user servers run as, and goes away with the bed. */
export function dataDirectory(bed: InteropBed): string {
  const path = mkdtempSync(join(tmpdir(), 'tunstack-server-'));
  if (isRoot()) chownSync(path, NOBODY, NOBODY);
  bed.onClose(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Gives a file to the user servers run as. */
export function giveAway(path: string): void {
  if (isRoot()) chownSync(path, NOBODY, NOBODY);
}

/** Skips the test or suite, and says which package is missing, where a program is. */
export async function needs(context: Context, programs: Readonly<Record<string, string>>): Promise<void> {
  for (const [program, debianPackage] of Object.entries(programs)) {
    if (!(await installed(program))) skip(context, `${program} (Debian: ${debianPackage}) is not installed`);
  }
}

/** For a `before` hook: a bed, where there are the programs that the suite needs. */
export async function bedWith(
  context: Context,
  programs: Readonly<Record<string, string>>,
): Promise<InteropBed> {
  await needs(context, programs);
  return InteropBed.createOrSkip(context);
}

/** The directory of PostgreSQL's programs, which is not on the path; the newest of several. */
export function postgresPrograms(context: Context): string {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root) : [];
  const usable = versions.filter((version) => existsSync(join(root, version, 'bin/initdb')));
  usable.sort((a, b) => Number(b) - Number(a));
  if (usable.length === 0) skip(context, 'initdb (Debian: postgresql) is not installed');
  return join(root, usable[0], 'bin');
}
