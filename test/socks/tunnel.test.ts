/** A tunnel through a SOCKS proxy: what those inside get, whatever the proxy does. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { TcpState } from '../../lib/index.js';
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

  it('passes urgent bytes on in line, and loses none', async () => {
    world = await SocksWorld.open();
    const endpoint = world.inside.connectTcp({ address: ELSEWHERE[4], port: 80 });
    const [peer] = await peersOf(world, 1);
    await eventually(
      'the connection is made',
      () => endpoint.state,
      (state) => state === TcpState.ESTABLISHED,
    );
    endpoint.write(Buffer.from('one '));
    endpoint.writeUrgent(Buffer.from('!'));
    endpoint.write(Buffer.from(' two'));
    endpoint.shutdown();
    expect(await textOf(peer)).to.equal('one ! two');
    endpoint.close();
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

/** The ends of connections at the server, once there are so many. */
async function peersOf(world: SocksWorld, count: number): Promise<Socket[]> {
  await eventually(
    'connections',
    () => world.echo.sockets.size,
    (size) => size >= count,
  );
  return [...world.echo.sockets];
}
