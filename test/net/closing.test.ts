/** How connections end: who says so first, and what the other side sees, compared with `node:net`. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { listen, pair, record, recordText, turns, until } from './support/recording.js';
import { sameAsNode } from './support/scenario.js';
import type { World } from './support/worlds.js';

interface Play {
  readonly world: World;
  readonly allowHalfOpen?: boolean;
}

/** Both ends read everything; `act` says what they do. */
async function ends(
  { world, allowHalfOpen = false }: Play,
  act: (accepted: Socket, client: Socket) => void,
): Promise<unknown> {
  const { accepted, client } = await pair(world, { server: { allowHalfOpen }, client: { allowHalfOpen } });
  const logs = [recordText(accepted, world), recordText(client, world)];
  act(accepted, client);
  const [server, other] = await Promise.all(logs.map(({ closed }) => closed));
  return {
    server,
    client: other,
    counts: [accepted.bytesRead, accepted.bytesWritten, client.bytesRead, client.bytesWritten],
  };
}

describe('net: the end of a connection', () => {
  sameAsNode('the client ends', (world) =>
    ends({ world }, (_, client) => {
      client.end('goodbye');
    }),
  );

  sameAsNode('the server ends', (world) =>
    ends({ world }, (accepted) => {
      accepted.end('goodbye');
    }),
  );

  sameAsNode('both end at once', (world) =>
    ends({ world }, (accepted, client) => {
      accepted.end('from the server');
      client.end('from the client, longer');
    }),
  );

  sameAsNode('the client is destroyed', (world) =>
    ends({ world }, (_, client) => {
      client.destroy();
    }),
  );

  sameAsNode('the server side is destroyed with an error', (world) =>
    ends({ world }, (accepted) => {
      accepted.destroy(new Error('enough'));
    }),
  );

  sameAsNode('the client writes and is destroyed in one tick', (world) =>
    ends({ world }, (_, client) => {
      client.write('last words');
      client.destroy();
    }),
  );

  sameAsNode('the client writes and is destroyed soon', (world) =>
    ends({ world }, (_, client) => {
      client.write('last words');
      client.destroySoon();
    }),
  );

  sameAsNode('the client resets', (world) =>
    ends({ world }, (_, client) => {
      client.resetAndDestroy();
    }),
  );

  sameAsNode('the server side resets', (world) =>
    ends({ world }, (accepted) => {
      accepted.resetAndDestroy();
    }),
  );

  sameAsNode('half-open, the client ends and the server answers later', (world) =>
    ends({ world, allowHalfOpen: true }, (accepted, client) => {
      accepted.on('end', () => {
        setImmediate(() => accepted.end('an answer after the question'));
      });
      client.end('question');
    }),
  );

  sameAsNode('half-open, the server ends and the client goes on', (world) =>
    ends({ world, allowHalfOpen: true }, (accepted, client) => {
      client.on('end', () => {
        client.write('more');
        setImmediate(() => client.end('and more'));
      });
      accepted.end('that was all from here');
    }),
  );

  sameAsNode('a server that ends in its listener', async (world) => {
    const server = world.server.createServer((socket) => socket.end('busy'));
    const port = await listen(server, world.host);
    const client = world.client.connect(port, world.host);
    const { closed } = recordText(client, world);
    const log = await closed;
    server.close();
    await once(server, 'close');
    return log;
  });

  sameAsNode('an end without a reader is told, one behind text is not', async (world) => {
    const { accepted, client } = await pair(world);
    const silent = record(client, world);
    accepted.end();
    const first = await silent.closed;
    const second = await pair(world);
    const late = record(second.client, world);
    second.accepted.end('text');
    await once(second.client, 'readable');
    const before = [...late.log, second.client.readableLength];
    second.client.resume();
    return [first, before, await late.closed];
  });

  sameAsNode('received text that nobody read makes the end a reset', async (world) => {
    const { accepted, client } = await pair(world);
    const seen = recordText(accepted, world);
    client.pause();
    const big = Buffer.alloc(400_000, 1);
    accepted.write(big);
    await until(() => client.readableLength >= client.readableHighWaterMark);
    // More comes in below than the stream takes.
    await turns(50);
    client.destroy();
    return (await seen.closed).filter((entry) => entry !== 'drain' && entry !== 'finish');
  });

  sameAsNode('writing to a peer that has reset', async (world) => {
    const { accepted, client } = await pair(world);
    const seen = record(accepted, world);
    client.resetAndDestroy();
    const log = await seen.closed;
    const outcome = await new Promise((resolve) => {
      accepted.write('x', (error) => resolve((error as NodeJS.ErrnoException).code));
    });
    return [log, outcome];
  });

  sameAsNode('writing after the peer has finished', async (world) => {
    const { accepted, client } = await pair(world);
    const seen = recordText(client, world);
    accepted.end();
    await once(client, 'end');
    await new Promise((resolve) => setImmediate(resolve));
    const outcome = await new Promise((resolve) => {
      const written = client.write('x', (error) => resolve([written, String(error)]));
    });
    return [outcome, await seen.closed];
  });

  sameAsNode('writing after an end of one’s own', async (world) => {
    const { client } = await pair(world);
    const seen = record(client, world);
    client.end();
    const outcome = await new Promise((resolve) => {
      client.write('x', (error) => resolve((error as NodeJS.ErrnoException).code));
    });
    client.destroy();
    return [outcome, await seen.closed];
  });

  sameAsNode('writing to a destroyed socket', async (world) => {
    const { client } = await pair(world);
    const seen = record(client, world);
    client.destroy();
    const outcome = await new Promise((resolve) => {
      client.write('x', (error) => resolve((error as NodeJS.ErrnoException).code));
    });
    return [outcome, await seen.closed, client.destroyed, client.readyState, client.pending];
  });
});
