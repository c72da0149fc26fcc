/** `stack.tls` has the signatures, events and errors of `node:tls`. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import nodeTls, { type ConnectionOptions, type TLSSocket, type TlsOptions } from 'node:tls';
import { expect } from 'chai';
import { digestOf, pattern, sha1 } from '../net/support/content.js';
import { until } from '../net/support/recording.js';
import { NOBODYS_PORT } from '../net/support/worlds.js';
import { certificates } from './support/certificates.js';
import { later } from './support/later.js';
import { everywhere, outcomeOf, type Place, sameAsOnHost } from './support/places.js';

const EVENTS = [
  'lookup',
  'connectionAttempt',
  'connectionAttemptFailed',
  'connect',
  'ready',
  'secureConnect',
];

/** Writes down what a socket tells. */
function record(socket: TLSSocket, place: Place): unknown[] {
  const log: unknown[] = [];
  for (const event of [...EVENTS, 'end', 'finish', 'timeout']) socket.on(event, () => log.push(event));
  socket.on('error', (error) => log.push(['error', outcomeOf(error, place)]));
  socket.on('close', (hadError) => log.push(['close', hadError]));
  return log;
}

async function serve(
  place: Place,
  listener?: (socket: TLSSocket) => void,
  options: TlsOptions = {},
): Promise<number> {
  const server = place.serverTls.createServer({ ...certificates().server, ...options }, listener);
  place.later(() => server.close());
  server.listen(0, place.host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const optionsTo = (place: Place, port: number): ConnectionOptions => {
  const { ca, servername } = certificates();
  return { host: place.host, port, ca, servername };
};

const echo = (socket: TLSSocket): void => void socket.pipe(socket);

describe('ecosystem: tls', () => {
  sameAsOnHost('connects in every way tls.connect may be called', async (place) => {
    const port = await serve(place, (socket) => socket.end('hello'));
    const { ca, servername } = optionsTo(place, port);
    const options = { ca, servername };
    const results: unknown[] = [];
    const calls: ((done: () => void) => TLSSocket)[] = [
      (done) => place.tls.connect({ ...options, host: place.host, port }, done),
      (done) => place.tls.connect(port, place.host, options, done),
      (done) => place.tls.connect(port, { ...options, host: place.host }, done),
    ];
    for (const call of calls) {
      let called = 0;
      const socket = call(() => called++);
      const flags = [socket.connecting, socket.encrypted, socket.pending, socket.readyState];
      const log = record(socket, place);
      socket.resume();
      await once(socket, 'close');
      results.push(flags, log, called);
    }
    return results;
  });

  sameAsOnHost('throws what tls.connect throws', async (place) => {
    const results: unknown[] = [];
    for (const options of [
      { port: -1 },
      { port: 'x' },
      { port: 1, ca: 5 },
      { port: 1, localAddress: 'no' },
      {},
    ]) {
      try {
        place.tls.connect(options as ConnectionOptions).on('error', () => {});
        results.push('nothing');
      } catch (error) {
        results.push(outcomeOf(error, place));
      }
    }
    return results;
  });

  sameAsOnHost('moves megabytes both ways', async (place) => {
    const [up, down] = [pattern(4_000_000), pattern(3_000_000).reverse()];
    const digests: string[] = [];
    const port = await serve(place, (socket) => {
      void digestOf(socket).then((digest) => digests.push(digest));
      socket.end(down);
    });
    const socket = place.tls.connect(optionsTo(place, port));
    socket.end(up);
    digests.push(await digestOf(socket));
    await until(() => digests.length === 2);
    expect(digests.sort()).to.deep.equal([sha1(up), sha1(down)].sort());
    return [socket.bytesRead > down.length, socket.authorized];
  });

  everywhere('knows the addresses of both ends, on both sides', async (place) => {
    const seen: unknown[] = [];
    const port = await serve(place, (socket) => {
      seen.push(socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.localPort);
      socket.end();
    });
    const socket = place.tls.connect(optionsTo(place, port));
    await once(socket, 'secureConnect');
    const { remoteAddress, remotePort, remoteFamily, localAddress } = socket;
    expect([remoteAddress, remotePort, remoteFamily]).to.deep.equal([place.host, port, 'IPv4']);
    expect(localAddress).to.equal(place.clientHost);
    expect(socket.address()).to.deep.include({ address: place.clientHost, family: 'IPv4' });
    await until(() => seen.length > 0);
    expect(seen).to.deep.equal([place.clientHost, 'IPv4', place.host, port]);
    socket.resume().end();
    await once(socket, 'close');
  });

  sameAsOnHost('tells a refusal', async (place) => {
    const socket = place.tls.connect(optionsTo(place, NOBODYS_PORT));
    const log = record(socket, place);
    await new Promise((resolve) => socket.on('close', resolve));
    return [log, socket.destroyed, socket.authorized];
  });

  sameAsOnHost('tells a name that does not exist', async (place) => {
    const lookup = (_: string, __: unknown, found: (error: Error) => void): void =>
      found(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }));
    const socket = place.tls.connect({ host: 'none.example', port: 1, lookup } as ConnectionOptions);
    const log = record(socket, place);
    await new Promise((resolve) => socket.on('close', resolve));
    return log;
  });

  sameAsOnHost('tells a certificate that is wrong', async (place) => {
    const port = await serve(place, (socket) => socket.on('error', () => {}));
    const results: unknown[] = [];
    for (const wrong of [
      { servername: 'strange.example' },
      { ca: [] },
      { checkServerIdentity: () => new Error('no') },
    ]) {
      const socket = place.tls.connect({ ...optionsTo(place, port), ...wrong });
      const log = record(socket, place);
      await new Promise((resolve) => socket.on('close', resolve));
      results.push(log, socket.authorizationError && String(socket.authorizationError).length > 0);
    }
    const careless = place.tls.connect({ ...optionsTo(place, port), ca: [], rejectUnauthorized: false });
    await once(careless, 'secureConnect');
    results.push(careless.authorized, careless.authorizationError);
    careless.destroy();
    return results;
  });

  for (const [what, act] of [
    ['ends', (socket: TLSSocket) => socket.end('bye')],
    ['is destroyed', (socket: TLSSocket) => socket.destroy()],
  ] as const) {
    for (const side of ['client', 'server'] as const) {
      sameAsOnHost(`goes through the same events when the ${side} ${what}`, async (place) => {
        let accepted: TLSSocket | undefined;
        const port = await serve(place, (socket) => {
          accepted = socket;
          socket.write('welcome');
        });
        const socket = place.tls.connect(optionsTo(place, port));
        const logs = [record(socket, place)];
        await once(socket, 'data');
        await until(() => accepted !== undefined);
        const peer = accepted as TLSSocket;
        logs.push(record(peer, place));
        const closed = [socket, peer].map((one) => new Promise((resolve) => one.on('close', resolve)));
        socket.resume();
        peer.resume();
        act(side === 'client' ? socket : peer);
        await Promise.all(closed);
        return logs;
      });
    }
  }

  sameAsOnHost('tells a reset in the middle', async (place) => {
    const server = place.serverNet.createServer();
    server.on('connection', (raw) => {
      const inner = nodeTls.createServer(certificates().server, (socket) => {
        socket.on('error', () => {}).write(pattern(100_000), () => later(() => raw.resetAndDestroy()));
      });
      inner.emit('connection', raw);
    });
    const port = await place.serve(server);
    const socket = place.tls.connect(optionsTo(place, port));
    const log = record(socket, place);
    socket.resume();
    await new Promise((resolve) => socket.on('close', resolve));
    return log;
  });

  sameAsOnHost('tells an end before the handshake is over', async (place) => {
    const server = place.serverNet.createServer((socket) => socket.on('error', () => {}).end());
    const port = await place.serve(server);
    const socket = place.tls.connect(optionsTo(place, port));
    const log = record(socket, place);
    await new Promise((resolve) => socket.on('close', resolve));
    return log.filter((entry) => entry !== 'finish' && entry !== 'end');
  });

  sameAsOnHost('half-closes, both ways, where it is allowed to', async (place) => {
    const port = await serve(
      place,
      (socket) => {
        let received = 0;
        socket.on('data', (chunk: Buffer) => {
          received += chunk.length;
        });
        socket.on('end', () => socket.end(`${received} bytes were sent`));
      },
      { allowHalfOpen: true },
    );
    const wish = { ...optionsTo(place, port), allowHalfOpen: true };
    const socket = place.tls.connect(wish);
    socket.end(pattern(1_000_000));
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    return [answer, socket.allowHalfOpen];
  });

  sameAsOnHost('speaks ALPN and SNI', async (place) => {
    const asked: unknown[] = [];
    const port = await serve(place, (socket) => socket.end(String(socket.alpnProtocol)), {
      ALPNProtocols: ['one', 'two'],
      SNICallback(name, done) {
        asked.push(name);
        done(null, nodeTls.createSecureContext(certificates().server));
      },
    });
    const results: unknown[] = [];
    for (const ALPNProtocols of [['two'], ['three', 'one'], ['three']]) {
      const servername = 'other.example';
      const socket = place.tls.connect({ ...optionsTo(place, port), servername, ALPNProtocols });
      let text = '';
      socket.on('data', (data) => {
        text += String(data);
      });
      const log = record(socket, place);
      await new Promise((resolve) => socket.on('close', resolve));
      results.push(text, socket.alpnProtocol, socket.servername, log.flat().includes('error'));
    }
    return [results, asked];
  });

  sameAsOnHost('asks for certificates of clients', async (place) => {
    const { ca, client } = certificates();
    const port = await serve(
      place,
      (socket) => {
        socket.on('error', () => {});
        const { subject } = socket.getPeerCertificate();
        socket.end(`${String(subject?.CN)} ${socket.authorized}`);
      },
      { requestCert: true, ca },
    );
    const results: unknown[] = [];
    for (const own of [client, {}]) {
      const socket = place.tls.connect({ ...optionsTo(place, port), ...own });
      let text = '';
      let failed = false;
      socket.on('data', (data) => {
        text += String(data);
      });
      socket.on('error', () => {
        failed = true;
      });
      await new Promise((resolve) => socket.on('close', resolve));
      results.push(text, text === '' && (failed || true));
    }
    return results;
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    sameAsOnHost(`resumes sessions of ${version}`, async (place) => {
      const port = await serve(place, (socket) => socket.end(String(socket.isSessionReused())));
      const results: unknown[] = [];
      let session: Buffer | undefined;
      for (let round = 0; round < 3; round++) {
        const wish = { ...optionsTo(place, port), maxVersion: version };
        const socket = place.tls.connect(session === undefined ? wish : { ...wish, session });
        socket.on('session', (made) => {
          session = made;
        });
        let text = '';
        for await (const chunk of socket) text += String(chunk);
        results.push(text, socket.isSessionReused());
      }
      return results;
    });
  }

  sameAsOnHost('obeys a signal and a timeout', async (place) => {
    const port = await serve(place, echo);
    const results: unknown[] = [];
    const controller = new AbortController();
    const aborted = place.tls.connect({
      ...optionsTo(place, port),
      signal: controller.signal,
    } as ConnectionOptions);
    const log = record(aborted, place);
    await once(aborted, 'secureConnect');
    controller.abort();
    await new Promise((resolve) => aborted.on('close', resolve));
    results.push(log);
    const idle = place.tls.connect({ ...optionsTo(place, port), timeout: 60 } as ConnectionOptions);
    await once(idle, 'timeout');
    results.push(idle.timeout);
    idle.destroy();
    return results;
  });

  sameAsOnHost('serves through every way to make a server', async (place) => {
    const { Server, createServer } = place.serverTls;
    const greet = (socket: TLSSocket): void => void socket.end('hi');
    const servers = [
      createServer(certificates().server, greet),
      new Server(certificates().server, greet),
      (Server as unknown as (options: object, listener: unknown) => nodeTls.Server)(
        certificates().server,
        greet,
      ),
    ];
    const results: unknown[] = [];
    for (const server of servers) {
      let listened = 0;
      server.listen({ port: 0, host: place.host }, () => listened++);
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const socket = place.tls.connect(optionsTo(place, port));
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      server.close();
      await once(server, 'close');
      results.push(
        listened,
        text,
        server instanceof nodeTls.Server,
        server instanceof Server,
        server.listening,
      );
    }
    return results;
  });

  everywhere('is Node’s for the rest', async (place) => {
    expect(place.tls.TLSSocket).to.equal(nodeTls.TLSSocket);
    expect(place.tls.rootCertificates).to.equal(nodeTls.rootCertificates);
    expect(Object.keys(place.tls).sort()).to.deep.equal(Object.keys(nodeTls).sort());
  });

  sameAsOnHost(
    'has finished, where it ends first, before it hears of the end of the other',
    async (place) => {
      let told: (log: string[]) => void = () => {};
      const closed = new Promise<string[]>((resolve) => {
        told = resolve;
      });
      const port = await serve(place, (socket) => {
        const log: string[] = [];
        for (const event of ['prefinish', 'finish', 'end', 'close']) socket.on(event, () => log.push(event));
        socket.once('close', () => told(log));
        socket.resume().end();
      });
      const socket = place.tls.connect(optionsTo(place, port)).resume();
      await once(socket, 'close');
      return closed;
    },
  );
});
