/**
 * Maintainers' builds of the addon through cmake-js; needs cmake, and no network.
 *
 *     node scripts/prebuild.mjs              prebuilds/linux-x64 and prebuilds/linux-arm64
 *     node scripts/prebuild.mjs --debug      build/debug/Debug/tunstack.node
 *     node scripts/prebuild.mjs --asan       build/asan/Debug/tunstack.node, with sanitizers
 *
 * Prebuilt binaries are for x64 and arm64 whatever this machine is: Debian's cross compiler makes the
 * other one.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const cmakeJs = join(
  dirname(createRequire(import.meta.url).resolve('cmake-js/package.json')),
  'bin/cmake-js',
);
const headers = join(dirname(dirname(process.execPath)), 'include/node');

/** Targets by Node's name for the processor: the prefix of the compiler and tools. */
const TOOLS = { x64: 'x86_64-linux-gnu-', arm64: 'aarch64-linux-gnu-' };

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ended with status ${status}`);
}

/** Builds in `build/<out>` and names the binary. */
function build(out, config, settings) {
  const definitions = Object.entries({ TUNSTACK_UV_INCLUDE: headers, ...settings });
  const args = ['compile', '--config', config, '--out', `build/${out}`, '--log-level', 'error'];
  for (const [key, value] of definitions) args.push(`--CD${key}=${value}`);
  run(process.execPath, [cmakeJs, ...args]);
  return join(root, 'build', out, config, 'tunstack.node');
}

function prebuild(arch) {
  const toolchain = arch === process.arch ? {} : { CMAKE_TOOLCHAIN_FILE: `native/cmake/linux-${arch}.cmake` };
  const binary = build(`prebuild-${arch}`, 'Release', toolchain);
  const folder = join(root, 'prebuilds', `linux-${arch}`);
  const fresh = join(folder, 'tunstack.node.new');
  mkdirSync(folder, { recursive: true });
  copyFileSync(binary, fresh);
  run(arch === process.arch ? 'strip' : `${TOOLS[arch]}strip`, ['--strip-unneeded', fresh]);
  chmodSync(fresh, 0o755);
  // A process that has the old one loaded keeps it whole.
  renameSync(fresh, join(folder, 'tunstack.node'));
  process.stderr.write(`prebuilds/linux-${arch}/tunstack.node\n`);
}

if (!existsSync(join(headers, 'uv.h'))) throw new Error(`uv.h of this Node is missing: ${headers}`);
if (process.argv.includes('--debug')) build('debug', 'Debug', {});
else if (process.argv.includes('--asan')) build('asan', 'Debug', { TUNSTACK_SANITIZE: 'ON' });
else for (const arch of Object.keys(TOOLS)) prebuild(arch);
