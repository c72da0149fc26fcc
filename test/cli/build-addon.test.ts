/** `build-addon`: compiles the addon where the package is, and that addon is then loaded. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { Child, installed } from '../support/child.js';
import { skip } from '../support/skip.js';

const LIMIT_MS = 180_000;

describe('build-addon', function () {
  this.timeout(LIMIT_MS);
  this.slow(60_000);

  it('compiles the addon, which is loaded from then on', async function () {
    for (const program of ['g++', 'make', 'python3']) {
      if (!(await installed(program))) skip(this, `${program} is not installed`);
    }
    const folder = mkdtempSync(join(tmpdir(), 'tunstack-build-'));
    try {
      for (const part of ['lib', 'native', 'binding.gyp', 'package.json', 'tsconfig.json']) {
        cpSync(part, join(folder, part), { recursive: true });
      }
      symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
      const loader = pathToFileURL(resolve('node_modules/tsx/dist/loader.mjs')).href;
      const command = (...args: string[]): Child => {
        const line = ['--import', loader, join(folder, 'lib/cli/main.ts'), ...args];
        return new Child(process.execPath, line, { cwd: folder, limitMs: LIMIT_MS });
      };
      const before = JSON.parse((await command('info', '--json').succeeded()).stdout) as { addon: object };
      expect(before.addon).to.include({ loads: false });
      const built = await command('build-addon').succeeded();
      expect(built.stdout).to.match(/\nThe addon is built\.\n$/);
      const after = JSON.parse((await command('info', '--json').succeeded()).stdout) as typeof before;
      const path = join(folder, 'build/Release/tunstack.node');
      expect(after.addon).to.include({ loads: true, prebuilt: false, path });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
