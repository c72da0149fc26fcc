/** `tunstack/browser` where it is for: two stacks in two workers of a page, joined by a MessageChannel. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { skipOn } from '../support/skip.js';
import { bundle, ENTRY } from './bundle.js';
import { Chromium } from './chromium.js';
import type { TalkReport } from './page/protocol.js';

const HTML = '<!doctype html><title>tunstack</title><script src="/page.js"></script>';

/** Pages with these headers have shared memory. */
const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** A file below the folder of the built entry; undefined for what is none. */
function builtFile(url: string): string | undefined {
  const path = /^\/dist(\/[\w/-]+\.js)$/.exec(url)?.[1];
  return path === undefined ? undefined : readFileSync(join(dirname(ENTRY), path), 'utf8');
}

describe('tunstack/browser in Chromium', function () {
  this.timeout(120_000);
  this.slow(10_000);
  let browser: Chromium;
  let server: Server;
  let isIsolated = false;

  before(async function () {
    browser = await skipOn(this, () => Chromium.start());
    const scripts = new Map<string, string>();
    for (const name of ['page', 'stack-worker']) {
      const { outputFiles } = await bundle(`test/browser/page/${name}.ts`);
      scripts.set(`/${name}.js`, outputFiles[0].text);
    }
    server = createServer((request, response) => {
      const headers = isIsolated ? ISOLATED : {};
      const url = request.url ?? '';
      const script = scripts.get(url) ?? builtFile(url);
      if (script !== undefined) {
        response.writeHead(200, { ...headers, 'Content-Type': 'text/javascript' }).end(script);
      } else if (url === '/' || url === '/blank') {
        response.writeHead(200, { ...headers, 'Content-Type': 'text/html' }).end(url === '/' ? HTML : '');
      } else {
        response.writeHead(404).end();
      }
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  after(async () => {
    server?.close();
    server?.closeAllConnections();
    await browser?.close();
  });

  it('is loaded as it was built, without a bundler', async () => {
    const program = `import('/dist/browser.js').then(({ Simulation }) => {
      const simulation = new Simulation({ seed: 5, upstream: { loss: 0.01 } });
      return simulation.transfer({ bytes: 300_000 });
    })`;
    const { port } = server.address() as AddressInfo;
    expect(await browser.evaluate(`http://127.0.0.1:${port}/blank`, program)).to.equal(300_000);
  });

  for (const isolated of [false, true]) {
    const memory = isolated ? 'isolated, with shared memory' : 'without shared memory';
    it(`carries TCP and UDP between two workers of a page, ${memory}`, async () => {
      isIsolated = isolated;
      const { port } = server.address() as AddressInfo;
      const report = (await browser.evaluate(`http://127.0.0.1:${port}/`, 'outcome')) as TalkReport;
      expect(report.sent).to.match(/^[\da-f]{64}$/);
      expect(report.heard).to.equal(report.sent);
      expect(report.byName).to.equal(true);
      expect(report.byDns).to.equal(true);
      // Both families, of a name that is known and of one that is not.
      expect(report.dnsQueries).to.equal(4);
      expect(report.udp).to.equal('by datagram');
      expect(report.refused).to.equal('connect ECONNREFUSED 10.0.0.2:8');
      expect(report.unknown).to.equal('getaddrinfo ENOTFOUND nobody.example');
      expect(report.counters.outBytes).to.be.above(8 << 20);
      expect(report.counters).to.include({ inDrops: 0, outDrops: 0 });
      expect(report.isIsolated).to.equal(isolated);
      expect(report.down).to.match(/the other side closed the port/);
      if (process.env.SHOW !== undefined) console.log(report);
    });
  }
});
