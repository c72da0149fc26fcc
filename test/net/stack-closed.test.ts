/** What becomes of sockets when the stack is closed under them. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { finished } from 'node:stream';
import { expect } from 'chai';
import { pair, turns } from './support/recording.js';
import { pipeWorld } from './support/worlds.js';

/** What a socket tells from now on. */
function heardOf(socket: Socket): string[] {
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
});
