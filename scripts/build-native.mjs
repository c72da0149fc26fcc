/**
 * Builds the addon from its sources with node-gyp, into `build/Release`. Needs a C++17 compiler, make and
 * Python 3. With `--if-stale` it does nothing when the addon is newer than its sources.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'build/Release/tunstack.node');

const changed = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Time of the latest change of a source, ms. */
function latestSource() {
  const sources = readdirSync(join(root, 'native')).map((name) => join(root, 'native', name));
  return Math.max(...[join(root, 'binding.gyp'), ...sources].map(changed));
}

/** Where Node's headers are, when they came with it; else node-gyp fetches them. */
function headerArguments() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/uv.h')) ? [`--nodedir=${prefix}`] : [];
}

function build() {
  if (process.platform !== 'linux') {
    process.stderr.write('The addon exists for Linux only; everything but the TUN works without it.\n');
    return 1;
  }
  const script = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  const args = [script, 'configure', 'build', '--release', '--loglevel=warn', ...headerArguments()];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
  return status ?? 1;
}

/** A prebuilt addon is loaded first: one that is older than the sources would hide what was built here. */
function removeStalePrebuilt() {
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  const prebuilt = changed(join(folder, 'tunstack.node'));
  if (prebuilt === 0 || prebuilt >= latestSource()) return;
  rmSync(folder, { recursive: true });
  process.stderr.write(`Removed ${folder}: it was older than the sources.\n`);
}

if (process.argv.includes('--if-stale') && changed(built) > latestSource()) {
  removeStalePrebuilt();
} else {
  process.exitCode = build();
  if (process.exitCode === 0) removeStalePrebuilt();
}
