/** Where results come from: the line at the head of every file of results. */
import { execFileSync } from 'node:child_process';
import { cpus, release } from 'node:os';

/** The commit, with a `+` where files differ from it. */
function commitName(): string {
  try {
    const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim();
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'lib', 'native') !== '';
    return git('rev-parse', '--short=10', 'HEAD') + (changed ? '+' : '');
  } catch {
    return 'unknown';
  }
}

/** Date, commit and machine in words. */
export const provenance = (): string =>
  `${new Date().toISOString().slice(0, 10)}, commit ${commitName()}, Node ${process.version}, ` +
  `Linux ${release().replace(/-.*/, '')}, ${cpus().length} processor cores`;

/** A duration for people. */
export function spell(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 100 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
