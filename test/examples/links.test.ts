/** The examples of links made from what applications have: each runs, says what it promises, and ends by itself. */
import { expect } from 'chai';
import { openPrivateTun } from '../../lib/link/tun-private.js';
import { Chromium } from '../browser/chromium.js';
import { Child, installed, run } from '../support/child.js';
import { skip, skipOn } from '../support/skip.js';

const LIMIT_MS = 30_000;

const node = (example: string, ...args: readonly string[]): string[] => [
  '--import',
  'tsx',
  `examples/${example}`,
  ...args,
];

/** What an example prints, line by line. */
async function linesOf(example: string, ...args: readonly string[]): Promise<string[]> {
  const { stdout, stderr } = await run(process.execPath, node(example, ...args), { limitMs: LIMIT_MS });
  expect(stderr).to.equal('');
  return stdout.trimEnd().split('\n');
}

describe('examples of links', function () {
  this.timeout(2 * LIMIT_MS);
  this.slow(5000);

  it('stack-in-worker-port: two threads talk through a port', async () => {
    const [first, second, end] = await linesOf('stack-in-worker-port.ts');
    expect(first).to.match(/^thread \d+ answers ::ffff:10\.0\.0\.1 for \/first$/);
    expect(second).to.equal(first.replace('first', 'second'));
    expect(end).to.equal('the thread has ended with 0');
  });

  it('encrypted-link: carries a page past somebody who reads, repeats and forges', async () => {
    const lines = await linesOf('encrypted-link/main.ts');
    expect(lines.slice(0, 3)).to.deep.equal([
      'page:      185000 letters, all of them right',
      'overheard: nothing of it',
      'keys:      replaced on the way',
    ]);
    expect(Number(/^replayed: +(\d+) datagrams, none taken$/.exec(lines[3])?.[1])).to.be.above(5);
    expect(Number(/^forged: +(\d+) datagrams, none taken$/.exec(lines[4])?.[1])).to.be.above(5);
  });

  describe('ip-over-websocket', () => {
    let server: Child;
    let url = '';

    before(async () => {
      server = new Child(process.execPath, node('ip-over-websocket/server.ts'), { limitMs: 2 * LIMIT_MS });
      [, url] = await server.output(/listening on (\S+)/);
    });
    after(() => server?.kill());

    it('fetches a page from one process to the other, each with a stack', async () => {
      const lines = await linesOf('ip-over-websocket/client.ts', url);
      expect(lines).to.deep.equal(['/by-a-stack for ::ffff:10.8.0.2, over a WebSocket']);
      await server.output(/ws0: the WebSocket was closed with code 1000; \d+ packets came, \d+ went/);
    });

    it('fetches it from a page of a browser, which has a stack of its own', async function () {
      const browser = await skipOn(this, () => Chromium.start());
      try {
        const fetched = `new Promise((done) => {
          const look = () => document.title === 'fetched' && done(document.querySelector('#fetched').textContent);
          new MutationObserver(look).observe(document.head, { subtree: true, childList: true });
          look();
        })`;
        const text = await browser.evaluate(url.replace('ws:', 'http:'), fetched);
        expect(text).to.equal('/by-a-page for ::ffff:10.8.0.2, over a WebSocket\n');
      } finally {
        await browser.close();
      }
    });

    it('fetches it with the kernel, by a TUN and no stack', async function () {
      if (!(await installed('curl'))) skip(this, 'curl is not installed');
      try {
        await (await openPrivateTun()).close();
      } catch (error) {
        skip(this, `no TUN: ${(error as Error).message}`);
      }
      const lines = await linesOf('ip-over-websocket/client.ts', url, '--tun');
      expect(lines).to.deep.equal(['/by-the-kernel for ::ffff:10.8.0.2, over a WebSocket']);
    });
  });
});
