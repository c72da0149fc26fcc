/**
 * The services of the benchmark on any `net` and `dgram`: echo over TCP and UDP; discard, which answers
 * the end of its input with the number of bytes it got; and source, which sends until its client ends.
 */
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';

export const PORT_ECHO = 7007;
export const PORT_DISCARD = 7009;
export const PORT_SOURCE = 7019;
const SOURCE_CHUNK_BYTES = 256 * 1024;

/** What `node:net` and a stack's `net` both are, as far as these services care. */
export interface NetLike {
  createServer(
    options: { allowHalfOpen: boolean; noDelay: boolean },
    onConnection: (socket: Duplex) => void,
  ): { listen(options: { port: number; host: string; backlog: number }, listening: () => void): unknown };
}

export interface DgramLike {
  createSocket(type: 'udp4' | 'udp6'): {
    on(
      event: 'message',
      heard: (message: Uint8Array, from: { port: number; address: string }) => void,
    ): unknown;
    bind(port: number, address: string, bound: () => void): unknown;
    send(message: Uint8Array, port: number, address: string): unknown;
  };
}

let connections = 0;

function echo(socket: Duplex): void {
  socket.on('data', (piece: Uint8Array) => socket.write(piece));
  socket.on('end', () => socket.end());
}

function discard(socket: Duplex): void {
  let bytes = 0;
  socket.on('data', (piece: Uint8Array) => {
    bytes += piece.length;
  });
  socket.on('end', () => {
    const count = Buffer.alloc(8);
    count.writeBigUInt64BE(BigInt(bytes));
    socket.end(count);
  });
}

const chunk = Buffer.alloc(SOURCE_CHUNK_BYTES);

function source(socket: Duplex): void {
  const fill = (): void => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on('drain', fill);
  socket.on('end', () => socket.destroy());
  socket.resume();
  fill();
}

/** Starts all of them at one address, and resolves when they listen. */
export async function serve(net: NetLike, dgram: DgramLike, address: string): Promise<void> {
  const services: [port: number, service: (socket: Duplex) => void][] = [
    [PORT_ECHO, echo],
    [PORT_DISCARD, discard],
    [PORT_SOURCE, source],
  ];
  for (const [port, service] of services) {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      connections++;
      socket.on('close', () => connections--);
      // A client that has what it wanted may reset the rest.
      socket.on('error', () => {});
      service(socket);
    });
    await new Promise<void>((listening) => {
      server.listen({ port, host: address, backlog: 4096 }, listening);
    });
  }
  const datagrams = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
  datagrams.on('message', (message, from) => datagrams.send(message, from.port, from.address));
  await new Promise<void>((bound) => {
    datagrams.bind(PORT_ECHO, address, bound);
  });
}

/** Says that we are ready, then answers questions on standard input until it ends. */
export const answerQuestions = (): void => answerQuestionsAbout(() => connections);

/**
 * As `answerQuestions`, for services that count their connections themselves. Each line asks for the number
 * of connections, or, when it begins with `memory`, for that and the heap after a collection.
 */
export function answerQuestionsAbout(connectionsNow: () => number): void {
  console.log('ready');
  createInterface({ input: process.stdin })
    .on('line', async (line) => {
      const bytes = line.startsWith('memory') ? await usedBytes() : 0;
      console.log(`${line} ${JSON.stringify({ connections: connectionsNow(), bytes })}`);
    })
    .on('close', () => process.exit(0));
}

/** Heap and what hangs from it. What the first collection finalises, the second frees. */
async function usedBytes(): Promise<number> {
  globalThis.gc?.();
  await new Promise((resolve) => setImmediate(resolve));
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
