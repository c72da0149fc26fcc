/** A tunnel through a SOCKS proxy: what those inside get, whatever the proxy does. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { eventually } from '../support/interop-wait.js';
import { ELSEWHERE, SocksWorld, textOf } from './support/world.js';

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return '';
};

describe('a tunnel through a SOCKS proxy: TCP', function () {
  this.timeout(20_000);
  let world: SocksWorld;
  afterEach(async () => {
    world.tunnel.close();
    await eventually(
      'all that was opened is gone',
      () => world.proxy.open + world.proxy.relays + world.tunnel.tcpFlows + world.tunnel.udpFlows,
      (count) => count === 0,
    );
    await world.close();
  });

  for (const family of [4, 6] as const) {
    it(`carries a connection to where it was asked for, IPv${family}`, async () => {
      world = await SocksWorld.open();
      const socket = await world.connect(ELSEWHERE[family], 8080);
      socket.end('there and back');
      expect(await textOf(socket)).to.equal('there and back');
      expect(world.proxy.asked).to.deep.equal([{ command: 1, host: ELSEWHERE[family], port: 8080 }]);
      await eventually(
        'the relay ends',
        () => world.tunnel.tcpFlows,
        (count) => count === 0,
      );
      expect(world.tunnel.stats).to.include({
        tcpRequests: 1,
        tcpConnected: 1,
        tcpFinished: 1,
        bytesOut: 14,
        bytesIn: 14,
      });
    });
  }

  it('gives user and password where they are asked for', async () => {
    const user = { username: 'anna', password: 'p:ß' };
    world = await SocksWorld.open({ user: ['anna', 'p:ß'] }, {}, user);
    const socket = await world.connect();
    socket.end('x');
    expect(await textOf(socket)).to.equal('x');
    expect(world.proxy.offered).to.deep.equal(['anna:p:ß']);
  });

  it('hears an answer that comes byte by byte, and what follows it at once', async () => {
    world = await SocksWorld.open({ slowly: true, banner: '220 ready\r\n' });
    const socket = await world.connect();
    socket.end('QUIT');
    expect(await textOf(socket)).to.equal('220 ready\r\nQUIT');
  });

  it('closes one half while the other goes on, in both directions', async () => {
    world = await SocksWorld.open();
    const socket = await world.connect();
    const [peer] = await peersOf(world, 1);
    peer.unpipe(peer);
    socket.end('first');
    let heard = '';
    peer.on('data', (bytes) => {
      heard += String(bytes);
    });
    peer.resume();
    await once(peer, 'end');
    expect(heard).to.equal('first');
    peer.end('second');
    expect(await textOf(socket)).to.equal('second');
  });

  it('passes resets on, from both sides', async () => {
    world = await SocksWorld.open();
    const first = (await world.connect()).resume();
    const [peer] = await peersOf(world, 1);
    peer.resetAndDestroy();
    const [error] = (await once(first, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNRESET');
    const second = await world.connect();
    const [other] = await peersOf(world, 1);
    second.resetAndDestroy();
    await eventually('the server hears', () => other.destroyed, Boolean);
    await eventually(
      'both are counted',
      () => world.tunnel.stats.tcpReset,
      (count) => count === 2,
    );
  });

  for (const [reply, name] of [
    [1, 'general failure'],
    [5, 'connection refused'],
    [7, 'command not supported'],
    [9, 'no code at all'],
  ] as const) {
    it(`resets whoever asked where the proxy says ${reply}, ${name}`, async () => {
      world = await SocksWorld.open({ connect: () => ({ reply }) });
      expect(await codeOf(world.connect())).to.equal('ECONNREFUSED');
      expect(world.tunnel.stats).to.include({ tcpRefused: 1, tcpConnected: 0, proxyMalformed: 0 });
    });
  }

  for (const [reply, name, type4, type6] of [
    [2, 'not allowed', '3/13', '1/1'],
    [3, 'network unreachable', '3/0', '1/0'],
    [4, 'host unreachable', '3/1', '1/3'],
    [6, 'TTL expired', '3/1', '1/3'],
    [8, 'address type not supported', '3/0', '1/0'],
  ] as const) {
    for (const [family, type] of [
      [4, type4],
      [6, type6],
    ] as const) {
      it(`says so by ICMP where the proxy says ${reply}, ${name}, IPv${family}`, async () => {
        world = await SocksWorld.open({ connect: () => ({ reply }) });
        const heard: string[] = [];
        world.inside.ip.addRawListener(family === 4 ? 1 : 58, family, ({ view, payloadAt }) =>
          heard.push(`${view.getUint8(payloadAt)}/${view.getUint8(payloadAt + 1)}`),
        );
        const socket = world.inside.net.connect({ host: ELSEWHERE[family], port: 80 });
        await eventually(
          'an ICMP error',
          () => heard[0],
          (first) => first === type,
        );
        socket.destroy();
        expect(world.tunnel.stats).to.include({ tcpConnected: 0, tcpFailed: 0 });
      });
    }
  }

  const say =
    (...bytes: number[]) =>
    (socket: Socket): void =>
      void socket.write(Uint8Array.from(bytes));
  const hostile: [name: string, instead: (socket: Socket) => void, counter: string][] = [
    ['closes at once', (socket) => socket.destroy(), 'proxyUnreachable'],
    ['resets at once', (socket) => socket.resetAndDestroy(), 'proxyUnreachable'],
    ['ends without a word', (socket) => socket.end(), 'proxyUnreachable'],
    ['is of version 4', say(4, 0), 'proxyMalformed'],
    ['is a web server', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), 'proxyMalformed'],
    ['wants a way we have not offered', say(5, 2), 'proxyMalformed'],
    ['wants GSSAPI', say(5, 1), 'proxyMalformed'],
    ['takes none of our ways', say(5, 0xff), 'proxyUnauthorized'],
    ['replies with another version', say(5, 0, 4, 0, 0, 1, 0, 0, 0, 0, 0, 0), 'proxyMalformed'],
    ['replies with an address of no type', say(5, 0, 5, 0, 0, 9, 0, 0, 0, 0, 0, 0), 'proxyMalformed'],
    [
      'ends in the midst of its reply',
      (socket) => socket.end(Uint8Array.of(5, 0, 5, 0, 0, 1, 0)),
      'proxyUnreachable',
    ],
    ['resets in the midst of its reply', midway, 'proxyUnreachable'],
    ['says nothing', () => {}, 'proxyTimeouts'],
    ['says nothing more', say(5, 0), 'proxyTimeouts'],
    ['never ends its reply', say(5, 0, 5, 0, 0, 3, 255, 65), 'proxyTimeouts'],
  ];
  for (const [name, instead, counter] of hostile) {
    it(`resets whoever asked where the proxy ${name}`, async () => {
      world = await SocksWorld.open({ instead }, { dialMs: 300 });
      expect(await codeOf(world.connect())).to.equal('ECONNREFUSED');
      expect(world.tunnel.stats).to.include({ tcpFailed: 1, [counter]: 1, tcpConnected: 0 });
    });
  }

  it('resets whoever asked where there is no proxy', async () => {
    world = await SocksWorld.open();
    await world.proxy.close();
    expect(await codeOf(world.connect())).to.equal('ECONNREFUSED');
    expect(world.tunnel.stats).to.include({ tcpFailed: 1, proxyUnreachable: 1 });
  });

  it('says so where the proxy does not take the password', async () => {
    const user = { username: 'anna', password: 'wrong' };
    world = await SocksWorld.open({ user: ['anna', 'right'] }, {}, user);
    expect(await codeOf(world.connect())).to.equal('ECONNREFUSED');
    expect(world.tunnel.stats).to.include({ proxyUnauthorized: 1, tcpFailed: 1 });
  });

  it('gives up where whoever asked gives up', async () => {
    world = await SocksWorld.open({ instead: () => {} });
    const socket = world.inside.net.connect({ host: ELSEWHERE[4], port: 80 });
    await eventually(
      'the proxy is asked',
      () => world.tunnel.pending,
      (count) => count === 1,
    );
    socket.resetAndDestroy();
    socket.destroy();
    // A SYN that is given up says nothing on the wire: the tunnel's own end is what ends the request.
    world.tunnel.close();
    await eventually(
      'nothing is left',
      () => world.tunnel.tcpFlows,
      (count) => count === 0,
    );
    expect(world.tunnel.stats).to.include({ tcpCancelled: 1 });
    expect(world.tunnel.pending).to.equal(0);
  });

  it('takes no more than maxTcp', async () => {
    world = await SocksWorld.open({}, { maxTcp: 2 });
    const sockets = [await world.connect(), await world.connect()];
    expect(await codeOf(world.connect())).to.equal('ECONNREFUSED');
    expect(world.tunnel.stats.tcpFull).to.equal(1);
    for (const socket of sockets) socket.destroy();
  });

  it('resets both sides when it is closed', async () => {
    world = await SocksWorld.open();
    const socket = (await world.connect()).resume();
    const [peer] = await peersOf(world, 1);
    world.tunnel.close();
    world.tunnel.close();
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNRESET');
    await eventually('the server hears', () => peer.destroyed, Boolean);
  });

  it('leaves the addresses of the stack to the stack', async () => {
    world = await SocksWorld.open();
    expect(await codeOf(world.connect('10.0.0.1', 80))).to.equal('ECONNREFUSED');
    expect(world.proxy.asked).to.deep.equal([]);
  });
});

function midway(socket: Socket): void {
  socket.write(Uint8Array.of(5, 0));
  let heard = 0;
  socket.on('data', (bytes) => {
    heard += bytes.length;
    // A greeting and a request.
    if (heard === 3 + 10) socket.resetAndDestroy();
  });
}

/** The ends of connections at the server, once there are so many. */
async function peersOf(world: SocksWorld, count: number): Promise<Socket[]> {
  await eventually(
    'connections',
    () => world.echo.sockets.size,
    (size) => size >= count,
  );
  return [...world.echo.sockets];
}
