/** The package as Node loads it: by `import`, by `require()`, in workers, twice, and without its addon. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { run } from '../support/child.js';

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;

/** Runs a program, given as text, in a Node of its own; returns what it prints, as JSON. */
async function evaluate(program: string, kind: 'module' | 'commonjs', cwd = '.'): Promise<unknown> {
  const { stdout } = await run(process.execPath, [`--input-type=${kind}`, '-e', program], { cwd });
  return JSON.parse(stdout);
}

const IMPORTED = `import * as all from 'tunstack'; console.log(JSON.stringify(Object.keys(all).sort()))`;
const REQUIRED = `console.log(JSON.stringify(Object.keys(require('tunstack')).sort()))`;
/** What `require()` of an ES module may add. */
const ADDED = ['__esModule', 'module.exports'];

describe('the package', () => {
  before(function () {
    this.timeout(60_000);
    expect(existsSync('dist/index.js'), 'dist/index.js, which npm test builds').to.equal(true);
  });

  it('is loaded by import and by require() alike', async () => {
    const imported = (await evaluate(IMPORTED, 'module')) as string[];
    const required = (await evaluate(REQUIRED, 'commonjs')) as string[];
    expect(imported).to.include('Stack');
    expect(required.filter((name) => !ADDED.includes(name))).to.deep.equal(imported);
  });

  it('is loaded by several workers at once, each for itself', async () => {
    const program = `
      import { Worker } from 'node:worker_threads';
      const work = \`
        import { parentPort } from 'node:worker_threads';
        import { Stack } from 'tunstack';
        parentPort.postMessage(typeof Stack);\`;
      const loaded = Array.from({ length: 4 }, () => new Promise((resolve, reject) => {
        const worker = new Worker(work, { eval: true });
        worker.once('message', resolve);
        worker.once('error', reject);
      }));
      console.log(JSON.stringify(await Promise.all(loaded)));`;
    expect(await evaluate(program, 'module')).to.deep.equal(Array(4).fill('function'));
  });

  it('starts threads of its own from what was built', async () => {
    const program = `
      import { once } from 'node:events';
      import { createWorkerStack } from 'tunstack';
      const stack = await createWorkerStack();
      const server = stack.net.createServer((socket) => socket.end('hello')).listen(7);
      await once(server, 'listening');
      const [text] = await once(stack.net.connect(7).setEncoding('utf8'), 'data');
      await stack.close();
      console.log(JSON.stringify(text));`;
    expect(await evaluate(program, 'module')).to.equal('hello');
  });

  it('declares its types, and what every path it exports leads to exists', () => {
    const paths: string[] = [];
    const collect = (value: unknown): void => {
      if (typeof value === 'string') paths.push(value);
      else for (const inner of Object.values(value as object)) collect(inner);
    };
    collect(manifest.exports);
    collect(manifest.bin);
    expect(paths).to.include('./dist/index.d.ts');
    expect(paths.filter((path) => !existsSync(path))).to.deep.equal([]);
  });

  it('runs nothing when it is installed', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];
    expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).to.deep.equal([]);
  });

  it('locks its dependencies without naming a registry', () => {
    expect(readFileSync('package-lock.json', 'utf8')).to.not.match(/"resolved"|https?:\/\/[^"]*registry/);
  });
});

describe('copies of the package', function () {
  // Thousands of files are written and removed, for which a busy disk may need long.
  this.timeout(60_000);
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'tunstack-copies-'));
    for (const copy of ['a', 'b']) {
      const modules = join(directory, copy, 'node_modules');
      mkdirSync(join(modules, 'tunstack'), { recursive: true });
      for (const item of ['package.json', 'dist', 'native', 'binding.gyp']) {
        cpSync(item, join(modules, 'tunstack', item), { recursive: true });
      }
      for (const name of readdirSync('node_modules')) {
        if (name in manifest.dependencies || name === 'file-uri-to-path') {
          symlinkSync(resolve('node_modules', name), join(modules, name));
        }
      }
    }
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('live side by side in one process, each with its own classes', async () => {
    const program = `
      import { createRequire } from 'node:module';
      const [a, b] = ['a', 'b'].map((copy) => createRequire(process.cwd() + '/' + copy + '/x.js')('tunstack'));
      const stacks = [a.Stack === b.Stack, typeof a.Stack, typeof b.Stack];
      console.log(JSON.stringify(stacks));`;
    expect(await evaluate(program, 'module', directory)).to.deep.equal([false, 'function', 'function']);
  });

  it('load without the addon, and say what is missing when a TUN is opened', async () => {
    const program = `
      import { TunDevice } from 'tunstack';
      const attempt = async () => TunDevice.create({});
      const error = await attempt().catch((reason) => reason);
      console.log(JSON.stringify({ code: error.code, message: error.message }));`;
    const { message } = (await evaluate(program, 'module', join(directory, 'a'))) as { message: string };
    expect(message).to.match(/npx tunstack build-addon/);
  });
});
