/**
 * Makes a clone ready to run: dependencies, addon, `dist/`. Runs before `npm start`, `npm test` and
 * `npm run bench`, so it uses nothing but Node itself, and does only what is missing or out of date.
 * All output goes to standard error: standard output belongs to the command that follows. Commands that are started
 * side by side prepare one after another, and the later ones find everything done.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

function run(command, args) {
  process.stderr.write(`> ${[command, ...args].join(' ')}\n`);
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2] });
  if (error) process.stderr.write(`${command}: ${error.message}\n`);
  return status === 0;
}

/** The npm that runs us, or the one on the path. */
function npm(...args) {
  const self = process.env.npm_execpath;
  return self?.endsWith('.js') ? run(process.execPath, [self, ...args]) : run('npm', args);
}

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** What is wrong with `node_modules`: nothing, some versions, or everything. */
function installState() {
  const installedPath = 'node_modules/.package-lock.json';
  if (!existsSync(installedPath)) return 'missing';
  const wanted = readJson('package-lock.json').packages;
  const installed = readJson(installedPath).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || entry.optional || entry.devOptional || entry.peer) continue;
    if (installed[path]?.version !== entry.version) return 'stale';
  }
  return 'fresh';
}

/** Time of the latest change below `path`, ms. */
function latestChange(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 0;
  if (!stats.isDirectory()) return stats.mtimeMs;
  // A directory's own time changes when a file in it is added or removed.
  let latest = stats.mtimeMs;
  for (const name of readdirSync(path)) latest = Math.max(latest, latestChange(`${path}/${name}`));
  return latest;
}

function install() {
  const state = installState();
  if (state === 'fresh') return true;
  // No dependency needs its install script: esbuild's only checks a binary that came as a package.
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund'];
  return state === 'missing' ? npm('ci', ...quiet) : npm('install', '--no-save', ...quiet);
}

function buildAddon() {
  if (process.platform !== 'linux' || !existsSync('scripts/build-native.mjs')) return;
  if (run(process.execPath, ['scripts/build-native.mjs', '--if-stale'])) return;
  process.stderr.write('The addon could not be built. Everything but opening a TUN works without it.\n');
}

function buildDist() {
  const sources = Math.max(...['lib', 'tsconfig.json', 'tsconfig.build.json'].map(latestChange));
  if (latestChange('dist/index.js') > sources) return true;
  return run(process.execPath, ['scripts/build.mjs']);
}

const LOCK = '.preparing';

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Waits until nobody else prepares this clone. */
function lock() {
  for (;;) {
    try {
      writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
      process.on('exit', () => rmSync(LOCK, { force: true }));
      return;
    } catch (error) {
      // A tree that cannot be written to is not built in either.
      if (error.code !== 'EEXIST') return;
    }
    const pid = Number(existsSync(LOCK) ? readFileSync(LOCK, 'utf8') : 0);
    if (pid > 0 && !isAlive(pid)) rmSync(LOCK, { force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
}

lock();
if (!install()) {
  process.stderr.write('Dependencies could not be installed; see the messages of npm above.\n');
  process.exit(1);
}
buildAddon();
if (!buildDist()) {
  process.stderr.write('lib/ does not compile.\n');
  process.exit(1);
}
