/** What is written arrives, and waits where it must, compared with `node:net`. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { digestOf, inverted, pattern, sha1 } from './support/content.js';
import { pair, recordText, textOf, turns, until } from './support/recording.js';
import { sameAsNode } from './support/scenario.js';

/** Writes in pieces of many sizes, minding `drain`. */
async function writeAll(socket: Socket, content: Buffer): Promise<void> {
  let at = 0;
  for (let i = 1; at < content.length; i++) {
    const size = Math.min(content.length - at, 1 + ((i * 7919) % 50_000));
    if (!socket.write(content.subarray(at, at + size))) await once(socket, 'drain');
    at += size;
  }
  socket.end();
}

describe('net: data', () => {
  sameAsNode('megabytes both ways at once', async (world) => {
    const { accepted, client } = await pair(world, {
      server: { allowHalfOpen: true },
      client: { allowHalfOpen: true },
    });
    const up = pattern(5_000_000);
    const down = pattern(3_000_000).reverse();
    const [received, sent] = await Promise.all([
      digestOf(accepted),
      digestOf(client),
      writeAll(client, up),
      writeAll(accepted, down),
    ]);
    const counts = [accepted.bytesRead, accepted.bytesWritten, client.bytesRead, client.bytesWritten];
    return [received === sha1(up), sent === sha1(down), counts];
  });

  sameAsNode('one write larger than every buffer', async (world) => {
    const { accepted, client } = await pair(world);
    const content = pattern(20_000_000);
    const order: string[] = [];
    const writing = client.write(content, () => order.push('written'));
    client.end(() => order.push('finished'));
    const lengths = [writing, client.writableLength, client.bytesWritten];
    const received = await digestOf(accepted);
    return [received === sha1(content), lengths, order, client.bytesWritten];
  });

  sameAsNode('a memory that changes after it was written', async (world) => {
    const { accepted, client } = await pair(world);
    const memory = Buffer.from('as it was');
    client.write(memory, () => {
      memory.fill('!');
      client.end();
    });
    return textOf(accepted);
  });

  sameAsNode('strings in every encoding', async (world) => {
    const { accepted, client } = await pair(world);
    client.write('plain ');
    client.write('žluťoučký 😀 ', 'utf8');
    client.write('\u00e9\u00ff ', 'latin1');
    client.write('00ff7f', 'hex');
    client.write('aGVsbG8=', 'base64');
    client.write('wide', 'utf16le');
    client.write('ž'.repeat(40_000));
    client.write(new Uint8Array([1, 2, 3]));
    client.write('');
    client.end('end', 'ascii');
    const chunks: Buffer[] = [];
    for await (const chunk of accepted) chunks.push(chunk as Buffer);
    const received = Buffer.concat(chunks);
    return [received.length, sha1(received), client.bytesWritten];
  });

  sameAsNode('what is corked leaves together', async (world) => {
    const { accepted, client } = await pair(world);
    client.cork();
    const order: number[] = [];
    for (let i = 0; i < 100; i++)
      client.write(i % 2 === 0 ? `${i},` : Buffer.from(`${i},`), () => order.push(i));
    const before = [client.writableLength, client.bytesWritten];
    client.uncork();
    client.end();
    const received = await textOf(accepted);
    return [before, received, order];
  });

  sameAsNode('a reader that decodes', async (world) => {
    const { accepted, client } = await pair(world);
    accepted.setEncoding('utf8');
    const characters = 'ěščř'.repeat(20_000);
    client.end(characters);
    const chunks: string[] = [];
    for await (const chunk of accepted) chunks.push(chunk as string);
    return [chunks.every((chunk) => typeof chunk === 'string'), chunks.join('') === characters];
  });

  sameAsNode('a reader that stops and goes on', async (world) => {
    const { accepted, client } = await pair(world);
    const content = pattern(2_000_000);
    client.end(content);
    const hash = createHash('sha1');
    let pauses = 0;
    accepted.on('data', (chunk) => {
      hash.update(chunk);
      accepted.pause();
      pauses++;
      setImmediate(() => accepted.resume());
    });
    await once(accepted, 'end');
    return [hash.digest('hex') === sha1(content), pauses > 1];
  });

  sameAsNode('a reader that never reads holds up the writer', async (world) => {
    const { accepted, client } = await pair(world);
    accepted.pause();
    const chunk = pattern(65_536);
    let written = 0;
    const writeOn = (): void => {
      while (client.write(chunk)) written += chunk.length;
      written += chunk.length;
    };
    client.on('drain', writeOn);
    writeOn();
    let last = -1;
    // Until nothing moves any more.
    for (let still = 0; still < 50; still++) {
      if (written !== last) still = 0;
      last = written;
      await turns(2);
    }
    const isBounded = written < 64 << 20 && accepted.readableLength < 4 << 20;
    client.removeListener('drain', writeOn);
    client.end();
    let received = 0;
    for await (const part of accepted) received += (part as Buffer).length;
    return [isBounded, received === written];
  });

  sameAsNode('`read` in small portions', async (world) => {
    const { accepted, client } = await pair(world);
    const content = pattern(100_000);
    client.end(content);
    const parts: Buffer[] = [];
    accepted.on('readable', () => {
      for (;;) {
        const part = accepted.read(777) ?? accepted.read();
        if (part === null) return;
        parts.push(part as Buffer);
      }
    });
    await once(accepted, 'end');
    return sha1(Buffer.concat(parts)) === sha1(content);
  });

  sameAsNode('pipes and pipelines', async (world) => {
    const { accepted, client } = await pair(world, { server: { allowHalfOpen: true } });
    const echo = pipeline(
      accepted,
      new Transform({
        transform: (chunk: Buffer, _encoding, done) =>
          done(
            null,
            chunk.map((byte) => byte ^ 0xff),
          ),
      }),
      accepted,
    );
    const content = pattern(1_000_000);
    const [received] = await Promise.all([
      digestOf(client),
      pipeline(Readable.from([content]), client, { end: true }),
      echo,
    ]);
    return received === sha1(inverted(content));
  });

  sameAsNode('`drain` and what `write` returns', async (world) => {
    const { accepted, client } = await pair(world);
    const seen = recordText(client, world);
    accepted.resume();
    const returned = [client.write('small'), client.write(Buffer.alloc(30_000_000))];
    const lengths = [client.writableLength, client.writableNeedDrain];
    await once(client, 'drain');
    client.end();
    return [returned, lengths, await seen.closed];
  });

  sameAsNode('`onread` into one buffer', async (world) => {
    const content = pattern(300_000);
    const hash = createHash('sha1');
    const buffer = Buffer.alloc(10_000);
    const seen = { sameBuffer: true, tooLong: false, bytes: 0 };
    const { accepted, client } = await pair(world, {
      client: {
        onread: {
          buffer,
          callback(bytes: number, memory: Buffer): boolean {
            seen.sameBuffer &&= memory === buffer;
            seen.tooLong ||= bytes > buffer.length;
            seen.bytes += bytes;
            hash.update(memory.subarray(0, bytes));
            return true;
          },
        },
      },
    });
    let events = 0;
    client.on('data', () => events++);
    accepted.end(content);
    await once(client, 'end');
    return [seen, hash.digest('hex') === sha1(content), events, client.bytesRead];
  });

  sameAsNode('`onread` into new buffers, stopped by `false`', async (world) => {
    const content = pattern(100_000);
    const hash = createHash('sha1');
    let given = 0;
    let calls = 0;
    let stops = 0;
    const { accepted, client } = await pair(world, {
      client: {
        onread: {
          buffer: () => Buffer.alloc(1000 + (given++ % 2)),
          callback(bytes: number, memory: Buffer): boolean {
            hash.update(memory.subarray(0, bytes));
            if (++calls % 5 !== 0) return true;
            stops++;
            setImmediate(() => client.resume());
            return false;
          },
        },
      },
    });
    client.resume();
    accepted.end(content);
    await once(client, 'end');
    return [hash.digest('hex') === sha1(content), given >= calls, stops > 0];
  });

  sameAsNode('an idle timeout', async (world) => {
    const { accepted, client } = await pair(world);
    const seen = recordText(client, world);
    const states: unknown[] = [client.timeout];
    let calls = 0;
    accepted.write('x');
    // Before the limit is set: on a busy machine it takes longer than that.
    await once(client, 'data');
    client.setTimeout(30, () => calls++);
    states.push(client.timeout);
    await once(client, 'timeout');
    client.setTimeout(0);
    states.push(client.timeout, calls);
    client.end();
    accepted.resume();
    return [states, await seen.closed];
  });

  sameAsNode('a timeout given to `connect`', async (world) => {
    const server = world.server.createServer();
    server.listen(0, world.host);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const socket = world.client.connect({ port, host: world.host, timeout: 20 });
    const idle = once(socket, 'timeout');
    // On a busy machine opening takes longer than that.
    await once(socket, 'connect');
    await idle;
    const state = [socket.timeout, socket.readyState];
    socket.destroy();
    server.close();
    return state;
  });

  sameAsNode('text that comes with the first turn', async (world) => {
    const early: string[] = [];
    const { accepted, client } = await pair(world, {
      onAccepted: (socket) => {
        socket.on('data', (chunk) => early.push(String(chunk)));
        socket.on('end', () => early.push('end'));
      },
      onClient: (socket) => {
        socket.write('before it is connected');
        socket.end();
      },
    });
    client.resume();
    await until(() => early.includes('end'));
    return [early, accepted.bytesRead];
  });
});
