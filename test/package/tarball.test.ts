/** The package as a user gets it: packed, installed without scripts, without a compiler. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { installed, run } from '../support/child.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';
import { skip } from '../support/skip.js';
import { npm } from './npm.js';

interface Packed {
  readonly filename: string;
  readonly unpackedSize: number;
  readonly files: ReadonlyArray<{ readonly path: string }>;
}

/** What a user would write first: a TUN, a stack on it, and the kernel fetching a page from it. */
const PROGRAM = `
import { createServer } from 'node:http';
import { openPrivateTun, Stack, SystemClock, SystemRandom } from 'tunstack';
import { nativeAddon } from './node_modules/tunstack/dist/link/tun-addon.js';
import { createNet } from './node_modules/tunstack/dist/net/net.js';

const tun = await openPrivateTun({ address: '10.0.0.1/24' });
const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
stack.addLink(tun.device, { addresses: ['10.0.0.2/24'] });
const web = createServer((request, response) => response.end('served ' + request.url));
const server = createNet(stack).createServer((socket) => web.emit('connection', socket));
await new Promise((resolve) => server.listen(80, resolve));

const client = "fetch('http://10.0.0.2/page').then((answer) => answer.text()).then(console.log)";
const child = tun.run(process.execPath, ['-e', client], { stdio: ['ignore', 'pipe', 'inherit'] });
let answer = '';
child.stdout.on('data', (bytes) => { answer += bytes; });
await new Promise((resolve) => child.once('exit', resolve));
console.log(JSON.stringify({ answer: answer.trim(), addon: nativeAddon().path }));
process.exit();
`;

describe('the packed package', function () {
  before(needsTun);

  this.timeout(240_000);
  let directory: string;
  let packed: Packed;
  let project: string;

  before(async function () {
    for (const program of ['cmake', 'g++', 'aarch64-linux-gnu-g++']) {
      if (!(await installed(program))) skip(this, `${program} is not installed`);
    }
    await run(process.execPath, ['scripts/prebuild.mjs'], { limitMs: 150_000 });
    directory = mkdtempSync(join(tmpdir(), 'tunstack-tarball-'));
    const { stdout } = await npm(['pack', '--json', '--pack-destination', directory], { limitMs: 100_000 });
    packed = (JSON.parse(stdout.slice(stdout.indexOf('['))) as Packed[])[0];
    project = join(directory, 'project');
    mkdirSync(join(directory, 'bin'), { recursive: true });
    mkdirSync(project);
    symlinkSync(process.execPath, join(directory, 'bin/node'));
    writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
    writeFileSync(join(project, 'main.js'), PROGRAM);
    const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
    await npm([...install, join(directory, packed.filename)], { cwd: project, limitMs: 100_000 });
  });
  after(() => {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  it('holds what it needs and nothing that only we need', () => {
    const files = packed.files.map(({ path }) => path);
    for (const wanted of [
      'dist/index.js',
      'dist/index.d.ts',
      'prebuilds/linux-x64/tunstack.node',
      'prebuilds/linux-arm64/tunstack.node',
      'binding.gyp',
      'native/addon.cc',
      'native/gso.h',
      'man/tunstack.1',
      'examples/README.md',
      'examples/many-cores-shard.mjs',
      'LICENSE',
      'README.md',
    ]) {
      expect(files).to.include(wanted);
    }
    const ours =
      /^(test|bench|scripts|lib|build|shared|node_modules|native\/(fuzz|cmake)|docs\/performance)\//;
    expect(files.filter((path) => ours.test(path))).to.deep.equal([]);
    // Half of it are source maps, with the sources in them.
    expect(packed.unpackedSize).to.be.below(12_000_000);
  });

  it('installs without a script of its own', () => {
    const { scripts, gypfile } = JSON.parse(
      readFileSync(join(project, 'node_modules/tunstack/package.json'), 'utf8'),
    ) as { scripts: Record<string, string>; gypfile: boolean };
    expect(gypfile).to.equal(false);
    for (const name of ['preinstall', 'install', 'postinstall']) expect(scripts).not.to.have.property(name);
    expect(existsSync(join(project, 'node_modules/tunstack/build'))).to.equal(false);
  });

  it('brings the command, whole', async () => {
    const command = join(project, 'node_modules/.bin/tunstack');
    const env = { PATH: `${join(directory, 'bin')}:${process.env.PATH}` };
    const args = ['bench', '--memory', '--json', '-t', '0.1', '-P', '1'];
    const { stdout } = await run(command, args, { cwd: project, env, limitMs: 60_000 });
    expect((JSON.parse(stdout) as { rows: object[] }).rows).to.have.length(4);
    const help = await run(command, ['--help'], { cwd: project, env, limitMs: 60_000 });
    expect(help.stdout).to.match(/^ {2}gateway /m);
  });

  it('opens a TUN and serves the kernel a page, with no compiler in reach', async () => {
    const env = { PATH: join(directory, 'bin') };
    const { stdout } = await run(process.execPath, ['main.js'], { cwd: project, env, limitMs: 60_000 });
    const { answer, addon } = JSON.parse(stdout) as Record<string, string>;
    expect(answer).to.equal('served /page');
    expect(addon).to.match(/node_modules\/tunstack\/prebuilds\/linux-(x64|arm64)\/tunstack\.node$/);
  });

  it('runs the examples that come with it', async () => {
    const namespace = await TestNamespace.create();
    const loader = pathToFileURL(resolve('node_modules/tsx/dist/loader.mjs')).href;
    const example = async (name: string): Promise<string> => {
      const line = ['--import', loader, join('node_modules/tunstack/examples', name)];
      const { stdout } = await namespace.exec(process.execPath, line, { cwd: project, limitMs: 60_000 });
      return stdout;
    };
    try {
      // The threads of the last load a module of their own.
      const names = ['own-link.ts', 'gateway.ts', 'many-cores.ts'];
      const [link, gateway, cores] = await Promise.all(names.map(example));
      expect(link).to.match(/^You are 192\.168\.7\.1, /);
      expect(gateway).to.match(/^2 connections passed on, 1 denied$/m);
      expect(cores).to.match(/^hello from thread 1$/m);
    } finally {
      await namespace.close();
    }
  });
});
