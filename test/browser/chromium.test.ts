/** `tunstack/browser` where it is for: two stacks in two workers of a page, joined by a MessageChannel. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { WebSocketServer } from 'ws';
import { Stack, SystemClock, SystemRandom, webSocketLink } from '../../lib/index.js';
import { skipOn } from '../support/skip.js';
import { bundle, ENTRY } from './bundle.js';
import { Chromium } from './chromium.js';
import type { TalkReport } from './page/protocol.js';

const HTML = '<!doctype html><title>tunstack</title><script src="/page.js"></script>';

/** Bytes that a page sends to Node. */
const POSTED = 3_000_000;

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

  it('reaches a stack in Node over a WebSocket', async () => {
    const sockets = new WebSocketServer({ server, path: '/ip' });
    const clock = new SystemClock();
    const stack = new Stack({ clock, random: new SystemRandom() });
    const http = createServer((request, response) => {
      const hash = createHash('sha256');
      request.on('data', (piece: Buffer) => hash.update(piece));
      request.on('end', () => response.end(`${request.socket.remoteAddress} sent ${hash.digest('hex')}`));
    });
    stack.serve(http, 80);
    const down = new Promise<Error>((heard) => {
      stack.onLinkDown = (_device, error) => heard(error);
    });
    sockets.on('connection', (socket) => {
      stack.addLink(webSocketLink(socket, { clock, mtu: 1400 }), { addresses: ['10.0.0.1/24'] });
    });
    const { port } = server.address() as AddressInfo;
    const program = `import('/dist/browser.js').then(async (tunstack) => {
      const clock = new tunstack.BrowserClock();
      const stack = new tunstack.Stack({ clock, random: new tunstack.BrowserRandom() });
      const link = tunstack.webSocketLink(new WebSocket('ws://127.0.0.1:${port}/ip'), { clock, mtu: 1400 });
      stack.addLink(link, { addresses: ['10.0.0.2/24'] });
      const { readable, writable } = stack.streams.connect({ host: '10.0.0.1', port: 80 });
      const writer = writable.getWriter();
      const head = 'POST / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: ${POSTED}\\r\\n\\r\\n';
      await writer.write(new TextEncoder().encode(head));
      await writer.write(new Uint8Array(${POSTED}).fill(7));
      const answer = await new Response(readable).text();
      stack.close();
      return { answer, counters: link.counters.toJSON() };
    })`;
    const page = (await browser.evaluate(`http://127.0.0.1:${port}/blank`, program)) as {
      answer: string;
      counters: Record<string, number>;
    };
    const expected = createHash('sha256').update(new Uint8Array(POSTED).fill(7)).digest('hex');
    expect(page.answer).to.match(/^HTTP\/1\.1 200 OK/);
    expect(page.answer).to.contain(`10.0.0.2 sent ${expected}`);
    expect(page.counters.outBytes).to.be.above(POSTED);
    expect((await down).message).to.match(/the WebSocket was closed with code 1000/);
    stack.close();
    sockets.close();
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
