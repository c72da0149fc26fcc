/** The programs benchmarks use, compiled when they are first needed. */
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { installed, run } from '../../test/support/child.js';

const SOURCES = 'bench/reference';
const BUILT = 'build-bench';
/** Where Debian puts Go's libraries. */
const GO_LIBRARIES = '/usr/share/gocode';
/** A first build compiles all of a stack. */
const GO_LIMIT_MS = 10 * 60_000;

export type ReferenceProgram = 'load' | 'server' | 'dns' | 'tun-relay' | 'udp-swap' | 'lwip-server';

/** What some need besides the C library. */
const LIBRARIES: Partial<Record<string, readonly string[]>> = {
  'lwip-server': ['-I/usr/include/lwip', '-llwip', '-lpthread'],
};

const changedAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Whether what is built is older than one of its sources. */
const isStale = (path: string, sources: readonly string[]): boolean =>
  changedAt(path) < Math.max(...sources.map(changedAt));

/** Builds into a file of its own and puts it in place at once: another process may be doing the same. */
async function built(path: string, build: (part: string) => Promise<unknown>): Promise<void> {
  mkdirSync(BUILT, { recursive: true });
  const part = `${path}.${process.pid}`;
  await build(part);
  renameSync(part, path);
}

/** Path of the program, built from its source if that is newer. @throws Error without a C compiler. */
export const compiled = (program: ReferenceProgram): Promise<string> =>
  compiledFrom(`${SOURCES}/${program}.c`);

/** The same for any source that includes no more than the headers of `bench/reference`. */
export async function compiledFrom(source: string): Promise<string> {
  const name = basename(source, '.c');
  const path = `${BUILT}/${name}`;
  if (isStale(path, [source, `${SOURCES}/common.h`, `${SOURCES}/tun.h`])) {
    const flags = ['-std=c11', '-O2', '-Wall', '-Wextra'];
    const libraries = LIBRARIES[name] ?? [];
    await built(path, (part) => run('cc', [...flags, '-o', part, source, ...libraries]));
  }
  return path;
}

/** Why the server on lwIP cannot be built, if it cannot. */
export async function lwipObstacle(): Promise<string | undefined> {
  return existsSync('/usr/include/lwip/lwip/init.h') && (await installed('cc'))
    ? undefined
    : 'needs lwIP: apt-get install liblwip-dev gcc';
}

/** Why the server on gVisor's netstack cannot be built, if it cannot. */
export async function gvisorObstacle(): Promise<string | undefined> {
  return existsSync(`${GO_LIBRARIES}/src/gvisor.dev/gvisor/pkg/tcpip`) && (await installed('go'))
    ? undefined
    : 'needs Go and gVisor: apt-get install golang-go golang-gvisor-gvisor-dev';
}

/** Path of the server on gVisor's netstack, built offline from Debian's Go libraries. */
export async function gvisorServer(): Promise<string> {
  const path = `${BUILT}/gvisor-server`;
  const source = `${SOURCES}/gvisor-server`;
  const sources = ['main.go', 'services.go', 'tun.go'].map((file) => `${source}/${file}`);
  if (isStale(path, sources)) {
    const env = {
      GO111MODULE: 'off',
      GOPATH: GO_LIBRARIES,
      GOFLAGS: '',
      GOCACHE: resolve(BUILT, 'go-cache'),
    };
    await built(path, (part) => run('go', ['build', '-o', part, ...sources], { env, limitMs: GO_LIMIT_MS }));
  }
  return path;
}
