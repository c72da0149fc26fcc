/** Node's `tls`, `https` and `http2` over a stack, as servers and as clients, unmodified. */
import { once } from 'node:events';
import type http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { expect } from 'chai';
import { certificate } from './support/certificate.js';
import { digestOf, pattern, sha1 } from './support/content.js';
import { inStacks } from './support/worlds.js';

const listening = async (server: Server): Promise<number> => {
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

const close = async (server: Server): Promise<void> => {
  server.close();
  await once(server, 'close');
};

/** Events of a socket that must or must not come. */
function watch(socket: Socket): string[] {
  const log: string[] = [];
  for (const event of ['secureConnect', 'end', 'error', 'close']) {
    socket.on(event, (argument: unknown) =>
      log.push(event === 'error' ? `error ${String(argument)}` : event),
    );
  }
  return log;
}

describe('net: tls', () => {
  inStacks((world) => {
    async function serve(options: tls.TlsOptions = {}): Promise<{ server: tls.Server; port: number }> {
      const server = tls.createServer({ ...certificate(), ...options });
      world().serverStack.serve(server, 0, world().host);
      return { server, port: await listening(server) };
    }

    function connect(port: number, options: tls.ConnectionOptions = {}): tls.TLSSocket {
      const { client, host } = world();
      const { cert, servername } = certificate();
      return tls.connect({ ca: cert, servername, ...options, socket: client.connect(port, host) });
    }

    it('moves megabytes both ways over a socket that is not yet connected', async () => {
      const { server, port } = await serve();
      const [up, down] = [pattern(3_000_000), pattern(2_000_000).reverse()];
      const accepting = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
      const socket = connect(port);
      socket.write(up.subarray(0, 1000));
      const [accepted] = await accepting;
      socket.end(up.subarray(1000));
      accepted.end(down);
      const digests = await Promise.all([digestOf(accepted), digestOf(socket)]);
      expect(digests).to.deep.equal([sha1(up), sha1(down)]);
      await close(server);
    });

    it('knows the addresses of the server’s side', async () => {
      const { server, port } = await serve();
      const accepting = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
      const socket = connect(port);
      const [accepted] = await accepting;
      const { clientHost, host } = world();
      expect(accepted.remoteAddress).to.equal(clientHost);
      expect([accepted.localAddress, accepted.localPort]).to.deep.equal([host, port]);
      socket.end();
      accepted.resume().end();
      await close(server);
    });

    for (const [what, end] of [
      ['the client ends', (socket: tls.TLSSocket) => socket.end()],
      ['the client vanishes without an alert', (socket: tls.TLSSocket) => socket.destroy()],
    ] as const) {
      it(`answers the end without an error when ${what}`, async () => {
        const { server, port } = await serve();
        const accepting = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
        const socket = connect(port);
        const client = watch(socket);
        const [accepted] = await accepting;
        const seen = watch(accepted);
        accepted.resume();
        accepted.write('hello');
        await once(socket, 'data');
        end(socket);
        await Promise.all([once(accepted, 'close'), once(socket, 'close')]);
        expect(seen).to.deep.equal(['end', 'close']);
        expect(client.filter((event) => event.startsWith('error'))).to.deep.equal([]);
        await close(server);
      });
    }

    it('answers the end without an error when the server ends first', async () => {
      const { server, port } = await serve();
      server.on('secureConnection', (accepted: tls.TLSSocket) => accepted.resume().end('bye'));
      const socket = connect(port);
      const seen = watch(socket);
      expect(await text(socket)).to.equal('bye');
      if (!seen.includes('close')) await once(socket, 'close');
      expect(seen).to.deep.equal(['secureConnect', 'end', 'close']);
      await close(server);
    });

    it('wraps a socket that has spoken before, and talks ALPN', async () => {
      const { server: serverNet, client, host } = world();
      const { cert, key, servername } = certificate();
      const listener = serverNet.createServer((socket) => {
        socket.once('data', () => {
          socket.write('go ahead');
          const secured = new tls.TLSSocket(socket, { isServer: true, cert, key, ALPNProtocols: ['b', 'a'] });
          secured.on('data', (data) => secured.end(`secret ${String(data)}`));
        });
      });
      listener.listen(0, host);
      const socket = client.connect(await listening(listener), host);
      socket.write('STARTTLS');
      await once(socket, 'data');
      const secured = tls.connect({ socket, ca: cert, servername, ALPNProtocols: ['a'] }, () =>
        secured.write('word'),
      );
      expect(await text(secured)).to.equal('secret word');
      expect(secured.alpnProtocol).to.equal('a');
      await close(listener);
    });

    it('says what went wrong', async () => {
      const { server, port } = await serve();
      const failing = once(server, 'tlsClientError');
      const strange = connect(port, { servername: 'other.example' });
      const [mismatch] = await once(strange, 'error');
      expect(mismatch).to.include({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
      const plain = world().client.connect(port, world().host);
      plain.on('error', () => {}).write('GET / HTTP/1.0\r\n\r\n');
      await failing;
      await close(server);
      const [refused] = await once(connect(port), 'error');
      expect(refused).to.include({ code: 'ECONNREFUSED', syscall: 'connect' });
    });
  });
});

describe('net: https', () => {
  inStacks((world) => {
    async function serve(handler: http.RequestListener): Promise<{ server: https.Server; port: number }> {
      const server = https.createServer({ ...certificate() }, handler);
      world().serverStack.serve(server, 0, world().host);
      return { server, port: await listening(server) };
    }

    async function get(
      options: https.RequestOptions,
      body?: Buffer,
    ): Promise<[http.IncomingMessage, string]> {
      const { cert, servername } = certificate();
      const outgoing = https.request({ host: world().host, servername, ca: cert, ...options });
      outgoing.end(body);
      const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
      return [response, await text(response)];
    }

    it('serves requests, keeps connections, and knows who calls', async () => {
      const seen = new Set<string>();
      const { server, port } = await serve((incoming, response) => {
        seen.add(`${incoming.socket.remoteAddress} ${incoming.socket.remotePort}`);
        incoming.pipe(response);
      });
      const agent = world().clientStack.httpsAgent({ keepAlive: true, maxSockets: 1 });
      for (let i = 0; i < 5; i++) {
        const [, body] = await get({ port, agent, method: 'POST' }, Buffer.from(`round ${i}`));
        expect(body).to.equal(`round ${i}`);
      }
      expect([...seen]).to.have.length(1);
      expect([...seen][0]).to.match(new RegExp(`^${world().clientHost} \\d+$`));
      agent.destroy();
      await close(server);
    });

    it('resumes sessions', async () => {
      const { server, port } = await serve((incoming, response) => {
        response.end(String((incoming.socket as tls.TLSSocket).isSessionReused()));
      });
      const agent = world().clientStack.httpsAgent({ maxVersion: 'TLSv1.2', keepAlive: false });
      expect((await get({ port, agent }))[1]).to.equal('false');
      expect((await get({ port, agent }))[1]).to.equal('true');
      await close(server);
    });

    it('asks for the certificate of the client', async () => {
      const { cert } = certificate();
      const server = https.createServer(
        { ...certificate(), requestCert: true, ca: cert },
        (incoming, response) => {
          const { subject } = (incoming.socket as tls.TLSSocket).getPeerCertificate();
          response.end(subject?.CN ?? 'nobody');
        },
      );
      world().serverStack.serve(server, { port: 0, host: world().host });
      const port = await listening(server);
      const agent = world().clientStack.httpsAgent();
      expect((await get({ port, agent, ...certificate() }))[1]).to.equal('server.example');
      await close(server);
    });

    it('reports a refusal and a timeout', async () => {
      const { server, port } = await serve(() => {});
      const agent = world().clientStack.httpsAgent({ timeout: 30 });
      const { cert, servername } = certificate();
      const options = { host: world().host, port, servername, ca: cert, agent };
      const outgoing = https.get(options);
      await once(outgoing, 'timeout');
      outgoing.destroy();
      await once(outgoing, 'error');
      await close(server);
      const [refused] = await once(https.get(options), 'error');
      expect(refused).to.include({ code: 'ECONNREFUSED', port });
    });
  });
});

describe('net: http2', () => {
  inStacks((world) => {
    const body = pattern(300_000);

    /** Answers with what was sent, and with who sent it. */
    function answer(stream: http2.ServerHttp2Stream): void {
      const { remoteAddress } = stream.session?.socket ?? {};
      stream.respond({ ':status': 200, 'x-remote': String(remoteAddress) });
      stream.pipe(stream);
    }

    async function exchange(session: http2.ClientHttp2Session, count: number): Promise<void> {
      const results = await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const stream = session.request({ ':method': 'POST', ':path': `/${i}` });
          stream.end(body);
          const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
          return [headers['x-remote'], await digestOf(stream)];
        }),
      );
      for (const result of results) expect(result).to.deep.equal([world().clientHost, sha1(body)]);
    }

    it('carries many streams over TLS', async () => {
      const server = http2.createSecureServer({ ...certificate() });
      server.on('stream', answer);
      world().serverStack.serve(server, 0, world().host);
      const port = await listening(server);
      const { cert, servername } = certificate();
      const session = http2.connect(`https://${servername}`, {
        createConnection: () =>
          tls.connect({
            socket: world().client.connect(port, world().host),
            ca: cert,
            servername,
            ALPNProtocols: ['h2'],
          }),
      });
      await once(session, 'connect');
      await exchange(session, 20);
      session.close();
      await close(server);
    });

    it('carries many streams in the clear', async () => {
      const server = http2.createServer();
      server.on('stream', answer);
      world().serverStack.serve(server, 0, world().host);
      const port = await listening(server);
      const session = http2.connect('http://server.example', {
        createConnection: () => world().client.connect(port, world().host),
      });
      await exchange(session, 20);
      session.close();
      await close(server);
    });

    it('serves http/1 clients on the same port', async () => {
      const server = http2.createSecureServer(
        { ...certificate(), allowHTTP1: true },
        (incoming, response) => {
          response.end(`version ${incoming.httpVersion}`);
        },
      );
      world().serverStack.serve(server, 0, world().host);
      const port = await listening(server);
      const { cert, servername } = certificate();
      const agent = world().clientStack.httpsAgent();
      const outgoing = https.get({ host: world().host, port, ca: cert, servername, agent });
      const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
      expect(await text(response)).to.equal('version 1.1');
      await close(server);
    });

    it('ends the session of a client that is refused', async () => {
      const session = http2.connect('http://server.example', {
        createConnection: () => world().client.connect(9, world().host),
      });
      const [error] = await once(session, 'error');
      expect(error).to.include({ code: 'ECONNREFUSED' });
    });
  });
});
