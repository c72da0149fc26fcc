/**
 * Compiles `lib/` to `dist/`. The new tree takes the place of the old one whole, so that no file of an
 * earlier build stays behind and a failed build leaves what was there.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');

const fresh = mkdtempSync(join(root, 'build-dist-'));
chmodSync(fresh, 0o755);
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh], {
  cwd: root,
  // Standard output belongs to the command this build is a part of, for instance `npm start -- --json`.
  stdio: ['ignore', 2, 2],
});
if (status === 0) {
  const command = join(fresh, 'cli/main.js');
  if (existsSync(command)) chmodSync(command, 0o755);
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  renameSync(fresh, join(root, 'dist'));
} else {
  rmSync(fresh, { recursive: true, force: true });
}
process.exitCode = status ?? 1;
