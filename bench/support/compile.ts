/** The reference programs in `bench/reference`, compiled when they are first needed. */
import { mkdirSync, renameSync, statSync } from 'node:fs';
import { run } from '../../test/support/child.js';

const SOURCES = 'bench/reference';
const BUILT = 'build-bench';

export type ReferenceProgram = 'load' | 'server' | 'tun-relay' | 'udp-swap';

const changedAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Path of the program, built from its source if that is newer. @throws Error without a C compiler. */
export async function compiled(program: ReferenceProgram): Promise<string> {
  const path = `${BUILT}/${program}`;
  const sources = [`${program}.c`, 'common.h', 'tun.h'].map((file) => changedAt(`${SOURCES}/${file}`));
  if (changedAt(path) < Math.max(...sources)) {
    mkdirSync(BUILT, { recursive: true });
    const part = `${path}.${process.pid}`;
    await run('cc', ['-std=c11', '-O2', '-Wall', '-Wextra', '-o', part, `${SOURCES}/${program}.c`]);
    renameSync(part, path);
  }
  return path;
}
