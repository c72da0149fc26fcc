/** The native code under AddressSanitizer, UndefinedBehaviorSanitizer and valgrind. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { installed, run } from '../support/child.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';
import { skip } from '../support/skip.js';

const ADDON = resolve('build/asan/Debug/tunstack.node');
const FUZZ = resolve('build/asan/fuzz_gso');
const TEARDOWN = new URL('support/teardown.ts', import.meta.url).pathname;
const EXERCISE = new URL('support/exercise.cjs', import.meta.url).pathname;

describe('native code under sanitizers', function () {
  before(needsTun);

  this.timeout(120_000);
  let netns: TestNamespace;
  let env: Record<string, string>;

  before(async function () {
    for (const program of ['cmake', 'g++']) {
      if (!(await installed(program))) skip(this, `${program} is not installed`);
    }
    await run(process.execPath, ['scripts/prebuild.mjs', '--asan'], { limitMs: 100_000 });
    const { stdout } = await run('g++', ['-print-file-name=libasan.so']);
    netns = await TestNamespace.createOrSkip(this);
    env = {
      TUNSTACK_ADDON: ADDON,
      LD_PRELOAD: stdout.trim(),
      // Node itself does not free everything at exit.
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:exitcode=99',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    };
  });
  after(async () => {
    await netns?.close();
  });

  it('judges broken packets and metadata without a byte too many [E32]', async () => {
    const { stdout } = await run(FUZZ, ['300000'], { env: { ASAN_OPTIONS: 'detect_leaks=1' } });
    expect(stdout).to.equal('sound\n');
  });

  it('really is watched: a byte too many is seen', async () => {
    const code = `
      const { nativeAddon } = await import('./lib/link/tun-addon.ts');
      const { checksum } = nativeAddon();
      process.stdout.write(String(checksum(new Uint8Array(64), 0, 64)));
      process.stdout.write(nativeAddon().path);`;
    const args = ['--import=tsx', '--input-type=module', '--eval', code];
    const { stdout } = await run(process.execPath, args, { env });
    expect(stdout).to.equal(`0${ADDON}`);
  });

  for (const file of ['tun-device', 'tun-faults', 'host-network', 'checksum']) {
    it(`passes the tests of ${file}`, async () => {
      const args = ['node_modules/mocha/bin/mocha.js', '--import=tsx', `test/native/${file}.test.ts`];
      const { stderr } = await run(process.execPath, args, { env, limitMs: 100_000 });
      expect(stderr).not.to.match(/AddressSanitizer|runtime error/);
    });
  }

  it('survives the end of its environment in every way [G10]', async () => {
    const args = ['--import=tsx', TEARDOWN, netns.path, '1'];
    const { stdout, stderr } = await run(process.execPath, args, { env, limitMs: 100_000 });
    expect(stderr).not.to.match(/AddressSanitizer|runtime error/);
    expect(stdout).to.equal('whole\n');
  });
});

describe('native code under valgrind', function () {
  before(needsTun);

  this.timeout(120_000);

  it('reads nothing uninitialised or freed, and leaks nothing', async function () {
    if (!(await installed('valgrind'))) skip(this, 'valgrind is not installed');
    const directory = mkdtempSync(join(tmpdir(), 'tunstack-valgrind-'));
    const report = join(directory, 'report.xml');
    const valgrind = [
      '--smc-check=all-non-file',
      '--leak-check=full',
      '--show-leak-kinds=definite',
      '--xml=yes',
      `--xml-file=${report}`,
      '--num-callers=30',
    ];
    const addon = resolve('build/Release/tunstack.node');
    try {
      const args = [...valgrind, process.execPath, '--jitless', '--no-warnings', EXERCISE, addon];
      const { stdout } = await run('valgrind', args, { limitMs: 110_000 });
      expect(stdout).to.equal('exercised\n');
      expect(existsSync(report)).to.equal(true);
      // Node and V8 have their own; ours are those that pass through our file.
      const errors = readFileSync(report, 'utf8').match(/<error>[\s\S]*?<\/error>/g) ?? [];
      expect(errors.filter((error) => error.includes('tunstack.node'))).to.deep.equal([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
