/** `tunstack build-addon`: compiles the addon where the package is installed. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The last of node-gyp that runs on every Node this package runs on. */
const NODE_GYP = 'node-gyp@^12';

/**
 * Builds with the sources in `packageRoot` and prints as it goes.
 * @returns the exit status: 0 when the addon is in place
 */
export function buildAddon(packageRoot: string, debug: boolean): number {
  if (process.platform !== 'linux') {
    console.error(`The addon opens a TUN device, which it can on Linux only; this is ${process.platform}.`);
    return 1;
  }
  if (!existsSync(join(packageRoot, 'binding.gyp'))) {
    console.error(`The sources of the addon are missing: there is no binding.gyp in ${packageRoot}.`);
    return 1;
  }
  const [command, ...args] = nodeGyp();
  const build = [...args, 'rebuild', debug ? '--debug' : '--release', ...headers()];
  const { status, error } = spawnSync(command, build, { cwd: packageRoot, stdio: 'inherit' });
  if (status === 0) {
    const path = join(packageRoot, 'build/Debug/tunstack.node');
    console.log(debug ? `The addon is built; TUNSTACK_ADDON=${path} has it loaded.` : 'The addon is built.');
    return 0;
  }
  if (error !== undefined) console.error(error.message);
  console.error(
    'The addon could not be built. It needs a C++ compiler, make and Python 3: on Debian or Ubuntu',
  );
  console.error('`apt-get install g++ make python3`.');
  return 1;
}

/** A command line that starts node-gyp: one installed beside us, npm's own, or one npm fetches. */
function nodeGyp(): string[] {
  try {
    const found = createRequire(import.meta.url).resolve('node-gyp/package.json');
    return [process.execPath, join(dirname(found), 'bin/node-gyp.js')];
  } catch {
    // Not installed here, as it should be for those who only use the package.
  }
  const npms = process.env.npm_config_node_gyp;
  if (npms !== undefined && existsSync(npms)) return [process.execPath, npms];
  return ['npm', 'exec', '--yes', `--package=${NODE_GYP}`, '--', 'node-gyp'];
}

/** Node's headers where this Node has them beside it, so that nothing needs to be downloaded. */
function headers(): string[] {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/uv.h')) ? [`--nodedir=${prefix}`] : [];
}
