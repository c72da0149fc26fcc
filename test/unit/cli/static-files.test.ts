import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { serveFiles } from '../../../lib/cli/run/static-files.js';

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

describe('files over HTTP', () => {
  let folder: string;
  let server: Server;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tunstack-files-'));
    const root = join(folder, 'root');
    mkdirSync(join(root, 'site', 'sub'), { recursive: true });
    writeFileSync(join(folder, 'secret.txt'), 'secret');
    writeFileSync(join(root, 'a <b>.txt'), 'odd');
    writeFileSync(join(root, 'digits.txt'), '0123456789');
    mkdirSync(join(root, 'why? #1'));
    writeFileSync(join(root, 'why? #1', 'c#?.txt'), 'sharp');
    writeFileSync(join(root, 'empty.bin'), '');
    writeFileSync(join(root, 'site', 'index.html'), 'the index');
    symlinkSync(join(folder, 'secret.txt'), join(root, 'out.txt'));
    symlinkSync(join(root, 'digits.txt'), join(root, 'in.txt'));
    server = createServer(serveFiles(root)).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  /** The path as it stands: nothing makes it shorter on its way. */
  const ask = (path: string, options: { method?: string; range?: string } = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { port } = server.address() as AddressInfo;
      const headers = options.range === undefined ? {} : { range: options.range };
      const asked = request(
        { port, host: '127.0.0.1', path, method: options.method ?? 'GET', headers },
        (answer) => {
          let body = '';
          answer.on('data', (piece: Buffer) => {
            body += String(piece);
          });
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }));
        },
      );
      asked.on('error', reject);
      asked.end();
    });

  it('come whole, with type, length and time', async () => {
    const { status, headers, body } = await ask('/digits.txt');
    expect([status, body]).to.deep.equal([200, '0123456789']);
    expect(headers).to.include({ 'content-length': '10', 'content-type': 'text/plain; charset=utf-8' });
    expect((await ask('/in.txt')).body).to.equal('0123456789');
    expect((await ask('/empty.bin')).status).to.equal(200);
    expect(await ask('/digits.txt', { method: 'HEAD' })).to.include({ status: 200, body: '' });
  });

  it('come in parts', async () => {
    const parts = { 'bytes=2-4': '234', 'bytes=8-': '89', 'bytes=-3': '789', 'bytes=5-99': '56789' };
    for (const [range, body] of Object.entries(parts)) {
      expect(await ask('/digits.txt', { range }), range).to.include({ status: 206, body });
    }
    expect((await ask('/digits.txt', { range: 'bytes=10-' })).status).to.equal(416);
    expect((await ask('/digits.txt', { range: 'bytes=1-2,4-5' })).status).to.equal(200);
  });

  it('are listed by directory, unless there is an index', async () => {
    const list = await ask('/');
    expect(list.body).to.include('<a href="./a%20%3Cb%3E.txt">a &lt;b&gt;.txt</a>').and.include('site/');
    expect((await ask('/site/')).body).to.equal('the index');
    expect((await ask('/site')).headers.location).to.equal('/site/');
  });

  it('have links that lead to them, whatever they are called', async () => {
    const top = await ask('/');
    const [, link = ''] = /<a href="\.(\/why[^"]*)"/.exec(top.body) ?? [];
    const list = await ask(link);
    const [, file = ''] = /<a href="\.(\/c[^"]*)"/.exec(list.body) ?? [];
    expect((await ask(link.slice(0, -1) + file)).body).to.equal('sharp');
    expect((await ask(link.slice(0, -1))).headers.location).to.equal(link);
  });

  it('are none that lie elsewhere', async () => {
    for (const path of [
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/site/..%2f..%2f..%2fsecret.txt',
      '/out.txt',
    ]) {
      const { status, body } = await ask(path);
      expect(status, path).to.be.oneOf([403, 404]);
      expect(body, path).to.not.include('secret');
    }
    expect((await ask('/no%00name')).status).to.equal(400);
    expect((await ask('/%zz')).status).to.equal(400);
    expect((await ask('/none')).status).to.equal(404);
    expect((await ask('/digits.txt', { method: 'DELETE' })).status).to.equal(405);
  });
});
