/** The programs in C that benchmarks use, compiled when they are first needed. */
import { mkdirSync, renameSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { run } from '../../test/support/child.js';

const SOURCES = 'bench/reference';
const BUILT = 'build-bench';

export type ReferenceProgram = 'load' | 'server' | 'tun-relay' | 'udp-swap';

const changedAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Path of the program, built from its source if that is newer. @throws Error without a C compiler. */
export const compiled = (program: ReferenceProgram): Promise<string> =>
  compiledFrom(`${SOURCES}/${program}.c`);

/** The same for any source that includes no more than the headers of `bench/reference`. */
export async function compiledFrom(source: string): Promise<string> {
  const path = `${BUILT}/${basename(source, '.c')}`;
  const sources = [source, `${SOURCES}/common.h`, `${SOURCES}/tun.h`].map(changedAt);
  if (changedAt(path) < Math.max(...sources)) {
    mkdirSync(BUILT, { recursive: true });
    const part = `${path}.${process.pid}`;
    await run('cc', ['-std=c11', '-O2', '-Wall', '-Wextra', '-o', part, source]);
    renameSync(part, path);
  }
  return path;
}
