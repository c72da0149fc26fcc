/** What becomes of sockets and servers when the stack is closed under them. */
import { type EventEmitter, once } from 'node:events';
import http from 'node:http';
import type { Socket } from 'node:net';
import { finished } from 'node:stream';
import { expect } from 'chai';
import '../../lib/dgram/stack-dgram.js';
import '../../lib/streams/stack-streams.js';
import { pair, turns } from './support/recording.js';
import { newStack, pipeWorld } from './support/worlds.js';

/** What a socket or server tells from now on. */
function heardOf(socket: EventEmitter): string[] {
  const heard: string[] = [];
  for (const event of ['end', 'finish', 'error', 'close']) socket.on(event, () => heard.push(event));
  return heard;
}

describe('net: a stack that is closed', () => {
  it('destroys its connected sockets, without an end that was none and without an error', async () => {
    const world = pipeWorld();
    const { accepted, client } = await pair(world);
    const heard = heardOf(client.resume());
    world.clientStack.close();
    await once(client, 'close');
    expect(heard).to.deep.equal(['close']);
    expect([client.destroyed, client.readable, client.writable]).to.deep.equal([true, false, false]);
    accepted.destroy();
    world.close();
  });

  it('destroys those whose peer has finished, and those that have finished themselves', async () => {
    for (const first of ['accepted', 'client'] as const) {
      const world = pipeWorld();
      const both = await pair(world, {
        client: { allowHalfOpen: true },
        server: { allowHalfOpen: true },
      });
      const other = first === 'client' ? both.accepted : both.client;
      both[first].end();
      other.resume();
      await once(other, 'end');
      const heard = heardOf(both.client.resume());
      world.clientStack.close();
      await once(both.client, 'close');
      expect(heard.filter((event) => event !== 'finish')).to.deep.equal(['close']);
      both.accepted.destroy();
      world.close();
    }
  });

  it('fails what is being written, and those who wait for the end', async () => {
    const world = pipeWorld();
    const { accepted, client } = await pair(world);
    accepted.pause();
    const told: (string | undefined)[] = [];
    const note = (error?: NodeJS.ErrnoException | null): number => told.push(error?.code);
    client.on('error', () => {});
    client.write(Buffer.alloc(64 << 20), note);
    finished(client, note);
    await turns(20);
    expect(told).to.deep.equal([]);
    world.clientStack.close();
    await new Promise((settle) => client.once('close', settle));
    await turns(2);
    expect(told).to.have.length(2);
    expect(told).not.to.include(undefined);
    accepted.destroy();
    world.close();
  });

  it('leaves those alone that are over', async () => {
    const world = pipeWorld();
    const { accepted, client } = await pair(world);
    accepted.resume().end();
    client.resume().end();
    await Promise.all([once(client, 'close'), once(accepted, 'close')]);
    const heard = heardOf(client);
    world.close();
    await turns(3);
    expect(heard).to.deep.equal([]);
  });

  it('closes its servers when their connections are, those of Node too', async () => {
    const stack = newStack();
    const own = stack.net.createServer((socket) => socket.resume());
    own.listen(0);
    const page = stack.serve((_request, response) => response.end('here'), 80);
    await Promise.all([once(own, 'listening'), once(page, 'listening')]);
    const client = stack.net.connect((own.address() as { port: number }).port, '127.0.0.1');
    const [accepted] = (await once(own, 'connection')) as [Socket];
    const heard = [heardOf(accepted), heardOf(own), heardOf(page)];
    stack.close();
    expect([own.listening, page.listening], 'not yet: their owner may close them').to.deep.equal([
      true,
      true,
    ]);
    await Promise.all([once(own, 'close'), once(page, 'close'), once(accepted, 'close')]);
    client.destroy();
    expect([own.listening, page.listening]).to.deep.equal([false, false]);
    expect(heard).to.deep.equal([['close'], ['close'], ['close']]);
  });

  it('closes a server once, whoever closes it', async () => {
    const before = newStack();
    const server = http.createServer();
    before.serve(server, 80);
    const told = new Promise((resolve) => server.close(resolve));
    const heard = heardOf(server);
    before.close();
    expect(await told).to.equal(undefined);
    const stack = newStack();
    const after = stack.net.createServer().listen(0);
    stack.close();
    expect(await new Promise((resolve) => after.close(resolve))).to.equal(undefined);
    await turns(3);
    expect(heard).to.deep.equal(['close']);
    // It may listen again, on another.
    const next = newStack();
    next.serve(server, 80);
    await once(server, 'listening');
    next.close();
    await once(server, 'close');
  });

  it('leaves the process alive when a server throws in close, and closes the others', async () => {
    const stack = newStack();
    const [bad, good] = [stack.net.createServer().listen(0), stack.net.createServer().listen(0)];
    await Promise.all([once(bad, 'listening'), once(good, 'listening')]);
    bad.close = () => {
      throw new Error('mine');
    };
    const thrown = new Promise<Error>((resolve) => {
      const others = process.rawListeners('uncaughtException') as ((error: Error) => void)[];
      process.removeAllListeners('uncaughtException').once('uncaughtException', (error) => {
        for (const other of others) process.on('uncaughtException', other);
        resolve(error);
      });
    });
    stack.close();
    await once(good, 'close');
    expect((await thrown).message).to.equal('mine');
  });

  it('closes its datagram sockets, also those that are being bound and have something to send', async () => {
    const stack = newStack();
    const bound = stack.dgram.createSocket('udp4').bind(53);
    await once(bound, 'listening');
    const binding = stack.dgram.createSocket('udp6').bind(54);
    const sending = stack.dgram.createSocket('udp4');
    sending.send('unsent', 53, '127.0.0.1');
    const sockets = [bound, binding, sending];
    const heard = sockets.map(heardOf);
    const closed = sockets.map((socket) => once(socket, 'close'));
    stack.close();
    await Promise.all(closed);
    await turns(3);
    expect(heard).to.deep.equal([['close'], ['close'], ['close']]);
    expect(() => bound.address())
      .to.throw()
      .that.includes({ code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
  });

  it('leaves a datagram socket closed that its owner closes in the same tick', async () => {
    const stack = newStack();
    const socket = stack.dgram.createSocket('udp4').bind(53);
    await once(socket, 'listening');
    const heard = heardOf(socket);
    stack.close();
    socket.close();
    await turns(3);
    expect(heard).to.deep.equal(['close']);
  });

  it('tells who has a port without Node’s servers, when nothing can be opened any more', () => {
    const stack = newStack();
    const told: string[] = [];
    const tell = (what: string) => (): void => {
      expect(() => stack.openUdp(4))
        .to.throw()
        .that.includes({ code: 'ENETDOWN' });
      stack.close();
      told.push(what);
    };
    const listener = stack.listenTcp({ port: 7 });
    listener.onClosed = tell('listener');
    const given = stack.listenTcp({ port: 8 });
    given.onClosed = tell('one that was closed before');
    given.close();
    const endpoint = stack.openUdp(4);
    endpoint.onClosed = tell('endpoint');
    endpoint.onEvents = () => expect.fail('nothing happened to it');
    stack.openUdp(6);
    stack.close();
    listener.close();
    expect(told).to.deep.equal(['listener', 'endpoint']);
  });
});
