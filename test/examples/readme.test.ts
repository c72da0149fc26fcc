/** What the first screen of the README promises is true: its server and its client run as they stand there. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { installed } from '../support/child.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';
import { skip } from '../support/skip.js';

/** The pieces of TypeScript in a text, in their order. */
const snippets = (text: string): string[] =>
  [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, snippet]) => snippet);

const KERNEL_SERVER = `
  require('node:http').createServer((request, response) => response.end('Hello from the host'))
    .listen(8080, '10.7.0.1', () => console.log('serving'));
`;

const ECHO_CLIENT = `
  require('node:net').connect(7, '10.7.0.2').end('echo\\n').pipe(process.stdout);
`;

const ANYBODY = `
  require('node:http').createServer((request, response) => response.end('Hello from anybody'))
    .listen(80, '198.51.100.7', () => console.log('serving'));
`;

/** What the snippet about any address finds there. */
const PRELUDE = `
  import net from 'node:net';
  import { Stack, SystemClock, SystemRandom } from 'tunstack';
  const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
`;

describe('README', function () {
  this.timeout(60_000);
  this.slow(5000);

  before(needsTun);

  it('shows servers that the host reaches, and clients that reach the host', async function () {
    if (!(await installed('curl'))) skip(this, 'curl is not installed');
    const [server, client] = snippets(readFileSync('README.md', 'utf8'));
    const folder = mkdtempSync(join(tmpdir(), 'tunstack-readme-'));
    const namespace = await TestNamespace.createOrSkip(this);
    try {
      const file = join(folder, 'snippet.mts');
      // The client waits for a word: the host's server needs the address that the TUN brings.
      const wait = "console.log('ready'); await new Promise((go) => process.stdin.once('data', go));";
      writeFileSync(file, `${server}\n${wait}\n${client}`);
      const node = ['--import', 'tsx', file];
      const child = namespace.spawn(process.execPath, node, { openStdin: true, limitMs: 50_000 });
      await child.output(/ready/);
      const page = await namespace.exec('curl', ['--silent', '--noproxy', '*', 'http://10.7.0.2/']);
      expect(page.stdout).to.equal('Hello from 10.7.0.2\n');
      const echo = await namespace.exec(process.execPath, ['--eval', ECHO_CLIENT]);
      expect(echo.stdout).to.equal('echo\n');
      const host = namespace.spawn(process.execPath, ['--eval', KERNEL_SERVER], { limitMs: 50_000 });
      await host.output(/serving/);
      child.stdin.write('go\n');
      // Once with its head, by the plain socket, and once without.
      await child.output(/Hello from the host[^]*Hello from the host/);
      expect(child.stdout).to.match(/HTTP\/1\.1 200 OK/);
      expect(child.stderr).to.equal('');
    } finally {
      await namespace.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('shows a namespace whose connections to anywhere the stack takes', async function () {
    if (!(await installed('curl'))) skip(this, 'curl is not installed');
    const snippet = snippets(readFileSync('README.md', 'utf8')).find((text) => text.includes('listenAny'));
    const folder = mkdtempSync(join(tmpdir(), 'tunstack-readme-'));
    const namespace = await TestNamespace.createOrSkip(this);
    try {
      await namespace.shell('ip link set lo up && ip address add 198.51.100.7/32 dev lo');
      const server = namespace.spawn(process.execPath, ['--eval', ANYBODY], { limitMs: 50_000 });
      await server.output(/serving/);
      const file = join(folder, 'snippet.mts');
      writeFileSync(file, `${PRELUDE}\n${snippet}\n`);
      const node = ['--import', 'tsx', file];
      const child = namespace.spawn(process.execPath, node, { openStdin: true, limitMs: 50_000 });
      await child.output(/Hello from anybody/);
      expect(child.stderr).to.not.match(/Error/);
    } finally {
      await namespace.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('names only files that exist', () => {
    const docs = readdirSync('docs').filter((name) => name.endsWith('.md'));
    const pages = [
      'README.md',
      'CONTRIBUTING.md',
      'examples/README.md',
      ...docs.map((name) => `docs/${name}`),
    ];
    for (const file of pages) {
      const base = new URL(`../../${file}`, import.meta.url);
      for (const [, target] of readFileSync(base, 'utf8').matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
        expect(() => readFileSync(new URL(target, base)), `${target} in ${file}`).to.not.throw(/ENOENT/);
      }
    }
  });
});
