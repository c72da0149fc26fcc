/** `tunstack/register` below Node's own TLS and HTTP/2, in programs that know nothing of it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { certificate } from '../net/support/certificate.js';
import { Child } from '../support/child.js';

describe('tunstack/register: tls and http2', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'tunstack-register-tls-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  /** What a program prints, as JSON. */
  async function play(text: string): Promise<unknown> {
    const path = join(directory, 'program.cjs');
    const { key, cert } = certificate();
    const keys = `{ key: ${JSON.stringify(String(key))}, cert: ${JSON.stringify(String(cert))} }`;
    writeFileSync(
      path,
      `const net = require('net'), tls = require('tls'), http2 = require('http2');
       const keys = ${keys}, log = [];
       const done = () => console.log(JSON.stringify(log));
       ${text}`,
    );
    const program = new Child(process.execPath, ['--import', 'tunstack/register', path], {
      env: { TUNSTACK_LOOPBACK: '1' },
    });
    return JSON.parse((await program.succeeded()).stdout);
  }

  it('ends TLS with the connection it was handed over on, and knows its addresses', async () => {
    const outcome = await play(`
      const secure = tls.createServer(keys, (socket) => {
        log.push(socket.remoteAddress === socket.address().address);
        over = socket;
      });
      let over;
      const server = net.createServer((socket) => {
        secure.emit('connection', socket);
        secure.once('secureConnection', () => setImmediate(() => socket.destroy()));
        socket.on('close', () => { log.push(over.destroyed); server.close(done); });
      }).listen(0, '127.0.0.1', () => {
        tls.connect({ port: server.address().port, host: '127.0.0.1', rejectUnauthorized: false })
          .on('error', () => {});
      });`);
    expect(outcome).to.deep.equal([true, true]);
  });

  it('says nothing more to a client once TLS has given up', async () => {
    const outcome = await play(`
      const server = tls.createServer({ ciphers: 'PSK+HIGH', pskCallback() {}, pskIdentityHint: 'a'.repeat(512) });
      server.on('tlsClientError', (error) => { log.push(error.code); server.close(); });
      server.listen(0, '127.0.0.1', () => {
        const { port } = server.address();
        tls.connect({ port, host: '127.0.0.1', ciphers: 'PSK+HIGH', checkServerIdentity() {}, pskCallback() {} })
          .on('error', (error) => { log.push(error.code); done(); });
      });`);
    expect(outcome).to.deep.equal(['ERR_TLS_PSK_SET_IDENTIY_HINT_FAILED', 'ECONNRESET']);
  });

  it('ends the connection of a peer that renegotiates where it must not, and not the process', async () => {
    const outcome = await play(`
      const limits = { maxVersion: 'TLSv1.2' };
      const server = tls.createServer({ ...keys, ...limits }, (socket) => {
        socket.on('error', (error) => { log.push(error.code); socket.destroy(); server.close(done); });
        socket.on('data', (chunk) => { socket.write(chunk); socket.disableRenegotiation(); });
      });
      server.listen(0, '127.0.0.1', () => {
        const place = { port: server.address().port, host: '127.0.0.1', rejectUnauthorized: false };
        const client = tls.connect({ ...place, ...limits }, () => {
          client.write('data', () => client.renegotiate({ rejectUnauthorized: false }, () => {}));
        });
      });`);
    expect(outcome).to.deep.equal(['ERR_TLS_RENEGOTIATION_DISABLED']);
  });

  it('connects HTTP/2 by the net.connect somebody has put in place', async () => {
    const outcome = await play(`
      const { connect } = net;
      net.connect = (...args) => { log.push(typeof args[0].port); return connect(...args); };
      const server = http2.createServer((request, response) => response.end('hello'));
      server.listen(0, '127.0.0.1', () => {
        const session = http2.connect('http://127.0.0.1:' + server.address().port);
        session.request().setEncoding('utf8').on('data', (text) => log.push(text)).on('end', () => {
          session.close(); server.close(done);
        });
      });`);
    expect(outcome).to.deep.equal(['string', 'hello']);
  });
});
