/** What Node's C++ does with a socket below TLS and HTTP/2: it writes, also where that comes too late, and ends. */
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { certificate } from './support/certificate.js';
import { inStacks } from './support/worlds.js';

describe('net: below TLS and HTTP/2', () => {
  inStacks((world) => {
    it('ends TLS before its handshake without an error, as soon as there is a connection', async () => {
      const { serverStack, clientStack, host } = world();
      const server = https.createServer(certificate());
      serverStack.serve(server, 0, host);
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const { cert, servername } = certificate();
      const socket = clientStack.tls.connect({ port, host, ca: cert, servername });
      const errors: string[] = [];
      socket.on('error', ({ message }) => errors.push(message));
      socket.on('connect', () => socket.end());
      await once(socket.resume(), 'close');
      expect(errors).to.deep.equal([]);
      server.close();
      await once(server, 'close');
    });

    it('sends what was written to a stream of HTTP/2 before its reset', async () => {
      const { serverStack, clientStack, host } = world();
      const server = http2.createServer();
      const failures: string[] = [];
      server.on('stream', (stream) => {
        stream.on('error', (error) => failures.push(error.message));
        stream.respond();
        stream.write('hello');
        stream.destroy(new Error('had enough'));
      });
      serverStack.serve(server, 0, host);
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const session = clientStack.http2.connect(`http://${host}:${port}`);
      const request = session.request();
      const got: string[] = [];
      request.setEncoding('utf8').on('data', (chunk: string) => got.push(chunk));
      const [error] = (await once(request, 'error')) as [Error];
      expect(got).to.deep.equal(['hello']);
      expect(error.message).to.equal('Stream closed with error code NGHTTP2_INTERNAL_ERROR');
      expect(failures).to.deep.equal(['had enough']);
      session.close();
      server.close();
      await once(server, 'close');
    });

    it('refuses protocols that are neither http nor https, as http2.connect does', () => {
      const connect = (): unknown => world().clientStack.http2.connect('ssh://localhost:1');
      expect(connect).to.throw('protocol "ssh:" is unsupported.').with.property('code');
    });
  });
});
