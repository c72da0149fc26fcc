/** `stack.listenAny`: connections to any address as sockets, and how they begin and end. */
import { once } from 'node:events';
import http from 'node:http';
import { expect } from 'chai';
import '../../lib/net/stack-net.js';
import type { Socket } from 'node:net';
import type { NetTcpRequest } from '../../lib/net/listen-any-tcp.js';
import type { Stack } from '../../lib/stack/stack.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { run } from '../support/child.js';
import { joinedStacks } from './support/worlds.js';

const FOREIGN = '198.51.100.7';
const FOREIGN6 = '2001:db8:f::7';

interface Place {
  /** Has no address but its own, and sends everything to the other. */
  readonly client: Stack;
  readonly proxy: Stack;
}

let place: Place;

beforeEach(() => {
  const { near, far } = joinedStacks();
  near.routing.routes.add({ destination: '0.0.0.0/0', port: 1 });
  near.routing.routes.add({ destination: '::/0', port: 1 });
  far.routing.routes.add({ destination: '0.0.0.0/0', port: 1 });
  place = { client: near, proxy: far };
});

afterEach(() => {
  expect(place.proxy.stats.tcp.anyPending, 'requests left').to.equal(0);
  place.client.close();
  place.proxy.close();
});

const connect = (host: string, port = 80): Socket => place.client.net.connect({ host, port });

/** The next request. */
async function request(options: object = {}): Promise<NetTcpRequest> {
  return new Promise((resolve) => {
    const listener = place.proxy.listenAny({ protocol: 'tcp', ...options }, (found) => {
      listener.unref();
      resolve(found);
    });
  });
}

const textOf = async (socket: Socket): Promise<string> => {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
};

it('listenAny: resets what is accepted with a signal that was aborted before', async () => {
  const asked = request();
  const client = connect(FOREIGN);
  const socket = (await asked).accept({ signal: AbortSignal.abort() });
  const failed = once(client, 'error');
  const errors: string[] = [];
  socket.on('error', ({ name }) => errors.push(name));
  await new Promise((closed) => socket.once('close', closed));
  expect(errors).to.deep.equal(['AbortError']);
  expect(((await failed) as [NodeJS.ErrnoException])[0].code).to.equal('ECONNREFUSED');
  expect([...place.proxy.tcp.entries()]).to.be.empty;
});

for (const host of [FOREIGN, FOREIGN6]) {
  describe(`listenAny: a connection to ${host}`, () => {
    it('becomes a socket with the address that was asked for', async () => {
      const asked = request();
      const client = connect(host, 4711);
      const found = await asked;
      expect(client.connecting).to.equal(true);
      const socket = found.accept();
      expect(socket.connecting).to.equal(true);
      expect([socket.localAddress, socket.localPort]).to.deep.equal([host, 4711]);
      expect([socket.remoteAddress, socket.remotePort]).to.deep.equal([
        found.sourceAddress,
        found.sourcePort,
      ]);
      await Promise.all([once(socket, 'connect'), once(client, 'connect')]);
      expect([client.remoteAddress, client.remotePort]).to.deep.equal([host, 4711]);
      expect(socket.readyState).to.equal('open');
      client.end('hello');
      expect(await textOf(socket)).to.equal('hello');
      client.destroy();
    });

    it('takes what is written before it is connected', async () => {
      const asked = request();
      const client = connect(host);
      const socket = (await asked).accept();
      socket.end('early');
      expect(await textOf(client)).to.equal('early');
    });

    it('stays half open where that was asked for', async () => {
      const asked = request();
      const client = connect(host);
      const socket = (await asked).accept({ allowHalfOpen: true });
      client.on('connect', () => client.end('question'));
      const closed = once(socket, 'close');
      let question = '';
      socket.on('data', (chunk: Buffer) => {
        question += String(chunk);
      });
      await once(socket, 'end');
      expect(question).to.equal('question');
      expect(socket.writable).to.equal(true);
      socket.end('answer');
      expect(await textOf(client)).to.equal('answer');
      await closed;
    });

    it('is refused, as by a host where nobody listens', async () => {
      const asked = request();
      const client = connect(host);
      const failure = once(client, 'error');
      (await asked).reject();
      expect(((await failure) as NodeJS.ErrnoException[])[0].code).to.equal('ECONNREFUSED');
    });

    it('is refused by ICMP', async () => {
      const asked = request();
      const client = connect(host);
      const failure = once(client, 'error');
      (await asked).reject('port-unreachable');
      expect(((await failure) as NodeJS.ErrnoException[])[0].code).to.equal('ECONNREFUSED');
    });

    it('is reset by the proxy, also before it is connected', async () => {
      const asked = request();
      const client = connect(host);
      client.on('data', () => {});
      const failure = once(client, 'error');
      (await asked).accept().resetAndDestroy();
      expect(((await failure) as NodeJS.ErrnoException[])[0].code).to.equal('ECONNRESET');
    });

    it('tells of a handshake that failed', async () => {
      const asked = request();
      const client = connect(host);
      const found = await asked;
      // It goes away without a word, and its stack answers the SYN-ACK with an RST.
      client.destroy();
      const socket = found.accept();
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
      expect(error).to.include({ code: 'ECONNRESET', syscall: 'accept', port: found.sourcePort });
      expect(socket.connecting).to.equal(false);
      expect(socket.destroyed).to.equal(true);
    });

    it('carries HTTP to a server that is given the socket', async () => {
      const server = http.createServer((query, response) => {
        response.end(`${query.headers.host} ${query.socket.localAddress}`);
      });
      const listener = place.proxy.listenAny({ protocol: 'tcp', ports: [80] }, (found) => {
        server.emit('connection', found.accept({ allowHalfOpen: true }));
      });
      const agent = place.client.agent();
      const query = http.get({ host, port: 80, agent, headers: { host: 'anything.example' } });
      const [response] = (await once(query, 'response')) as [http.IncomingMessage];
      let body = '';
      for await (const chunk of response) body += String(chunk);
      expect(body).to.equal(`anything.example ${host}`);
      agent.destroy();
      server.closeAllConnections();
      listener.close();
    });
  });
}

describe('listenAny', () => {
  it('cancels requests that were not decided when it is closed', async () => {
    const reasons: string[] = [];
    const listener = place.proxy.listenAny({ protocol: 'tcp' }, (found) => {
      found.onCancel = (reason) => reasons.push(reason);
      setImmediate(() => listener.close());
    });
    const client = connect(FOREIGN);
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNREFUSED');
    expect(reasons).to.deep.equal(['closed']);
    expect(listener.isClosed).to.equal(true);
    listener.close();
  });

  it('throws what is no protocol, no handler or no option', () => {
    const { proxy } = place;
    const loose = proxy.listenAny as unknown as (...args: unknown[]) => unknown;
    const call = (...args: unknown[]): unknown => loose.apply(proxy, args);
    const codeOf = (wrong: () => unknown): unknown => {
      try {
        wrong();
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
      return 'nothing';
    };
    const handler = (): void => {};
    expect(codeOf(() => call())).to.equal('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => call({ protocol: 'sctp' }, handler))).to.equal('ERR_INVALID_ARG_VALUE');
    expect(codeOf(() => call({ protocol: 'tcp' }))).to.equal('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => call({ protocol: 'tcp', port: 80 }, handler))).to.equal('ERR_INVALID_ARG_VALUE');
    expect(codeOf(() => call({ protocol: 'tcp', ports: [70_000] }, handler))).to.equal('ERR_OUT_OF_RANGE');
    expect(codeOf(() => call({ protocol: 'tcp', maxPending: 0 }, handler))).to.equal('ERR_OUT_OF_RANGE');
    expect(codeOf(() => call({ protocol: 'tcp', pendingMs: '1' }, handler))).to.equal('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => call({ protocol: 'tcp', link: 9 }, handler))).to.equal('ERR_OUT_OF_RANGE');
    expect(codeOf(() => call({ protocol: 'tcp', destinations: ['x'] }, handler))).to.equal(
      'ERR_INVALID_ARG_VALUE',
    );
    proxy.close();
    expect(codeOf(() => call({ protocol: 'tcp' }, handler))).to.equal('ENETDOWN');
  });

  it('gives a request back to who cannot accept it in that way', async () => {
    const asked = request();
    const client = connect(FOREIGN);
    const found = await asked;
    expect(() => found.accept({ options: { ecn: 'maybe' } as object })).to.throw(TypeError);
    expect(() => found.accept({ highWaterMark: -1 })).to.throw(TypeError);
    expect(() => found.reject('never' as 'reset')).to.throw(TypeError);
    expect(found.isPending).to.equal(true);
    found.accept().end('after all');
    expect(await textOf(client)).to.equal('after all');
    expect(() => found.accept())
      .to.throw()
      .with.property('code', 'ECONNABORTED');
  });

  it("gives a handler's mistake to the process, and goes on", async () => {
    const mistakes: unknown[] = [];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => mistakes.push(error));
    try {
      const listener = place.proxy.listenAny({ protocol: 'tcp' }, (found) => {
        found.accept().end('fine');
        throw new Error('a mistake');
      });
      expect(await textOf(connect(FOREIGN))).to.equal('fine');
      expect(mistakes.map(String)).to.deep.equal(['Error: a mistake']);
      listener.close();
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const other of others) process.on('uncaughtException', other);
    }
  });

  it('keeps the process alive while it listens, unless it is told not to', async () => {
    const program = (then: string): string => `
import { Stack, SystemClock, SystemRandom } from './lib/index.js';
const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
const listener = stack.listenAny({ protocol: 'tcp' }, () => {});
setTimeout(() => { console.log('alive'); process.exit(); }, 200).unref();
${then}`;
    for (const [then, expected] of [
      ['', 'alive\n'],
      ['listener.unref();', ''],
      ['listener.unref(); listener.ref();', 'alive\n'],
      ['listener.close();', ''],
      ['stack.close(); listener.close();', ''],
    ]) {
      const args = ['--import=tsx', '--input-type=module', '-e', program(then)];
      const { stdout } = await run(process.execPath, args);
      expect(stdout, then).to.equal(expected);
    }
  }).timeout(60_000);

  it('hears of the stack itself, over its loopback, where nobody listens', async () => {
    const { proxy } = place;
    const listener = proxy.listenAny({ protocol: 'tcp' }, (found) => {
      found.accept().end(`${found.destinationAddress} by link ${found.link}`);
    });
    for (const host of ['127.0.0.1', '::1', '10.9.0.2']) {
      expect(await textOf(proxy.net.connect({ host, port: 9 }))).to.equal(`${host} by link 0`);
    }
    listener.close();
    const others = proxy.listenAny({ protocol: 'tcp', ownAddresses: false }, (found) => found.accept());
    const refused = proxy.net.connect({ host: '127.0.0.1', port: 9 });
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNREFUSED');
    others.close();
  });

  it('has UDP flows, and pings, by the same name', async () => {
    const { client, proxy } = place;
    const flows = proxy.listenAny({ protocol: 'udp' }, (found) => {
      const flow = found.accept();
      flow.onDatagram = (data, address, port) => flow.send(data, address, port);
    });
    const pings = proxy.listenAny({ protocol: 'icmp' });
    const socket = client.openUdp(4);
    const heard = new Promise<void>((resolve) => {
      socket.onEvents = () => resolve();
    });
    socket.bind();
    socket.send(new Uint8Array([1, 2, 3]), { destination: IpAddress.parse(FOREIGN), port: 53 });
    await heard;
    expect(flows.counts).to.include({ accepted: 1 });
    expect(pings.pending).to.equal(0);
    flows.close();
    pings.close();
    socket.close();
  });
});
