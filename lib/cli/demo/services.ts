/**
 * What the other side of the demo serves: a page, bulk data and a polite hang-up. Written for
 * `node:net` and for a stack's `net` alike, since the other side is the kernel or a second stack.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { NetModule } from '../../net/net.js';
import { absorb, pour } from './bulk.js';

export type SocketsOf = Pick<NetModule, 'connect' | 'createServer'>;

export const HTTP_PORT = 80;
export const BULK_PORT = 9000;
export const GREETING_PORT = 7000;

/** Longer than the kernel holds back the ACK of a FIN, so that four segments close a connection. */
const HANG_UP_MS = 120;

/** Serves one page over HTTP. */
export async function servePage(net: SocketsOf, text: () => string): Promise<Server> {
  const http = createHttpServer((_request, response) => {
    response.setHeader('Content-Type', 'text/plain');
    response.setHeader('Connection', 'close');
    response.end(text());
  });
  const server = net.createServer((socket) => http.emit('connection', socket));
  return listening(server, HTTP_PORT);
}

/**
 * Bulk data. The first line of a connection says which way: `take` reads to the end and answers
 * `bytes intact|broken`, `give <bytes> <limitMs>` writes.
 */
export function serveBulk(net: SocketsOf): Promise<Server> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    serveTransfer(socket).catch(() => socket.destroy());
  });
  return listening(server, BULK_PORT);
}

async function serveTransfer(socket: Socket): Promise<void> {
  const [verb, bytes, limitMs] = (await readLine(socket)).split(' ');
  if (verb === 'give') {
    await pour(socket, { bytes: Number(bytes), limitMs: Number(limitMs) });
    socket.resume();
    return;
  }
  const absorbed = await absorb(socket);
  socket.end(`${absorbed.bytes} ${absorbed.intact ? 'intact' : 'broken'}\n`);
}

/** Answers each line in capitals, and hangs up a little after the caller has. */
export function serveGreeting(net: SocketsOf): Promise<Server> {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('data', (text: Buffer) => socket.write(text.toString().toUpperCase()));
    socket.on('end', () => setTimeout(() => socket.end(), HANG_UP_MS));
    socket.on('error', () => socket.destroy());
  });
  return listening(server, GREETING_PORT);
}

async function listening(server: Server, port: number): Promise<Server> {
  server.listen(port);
  await once(server, 'listening');
  return server;
}

/** The first line; what follows it stays to be read. */
export function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let read = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      socket.off('readable', take).off('end', ended).off('error', failed);
      settle();
    };
    const take = (): void => {
      for (let piece: unknown = socket.read(); piece !== null; piece = socket.read()) {
        read = Buffer.concat([read, piece as Buffer]);
        const end = read.indexOf('\n');
        if (end < 0) continue;
        finish(() => {
          if (end + 1 < read.length) socket.unshift(read.subarray(end + 1));
          resolve(read.toString('latin1', 0, end));
        });
        return;
      }
    };
    const ended = (): void => finish(() => reject(new Error('the other side closed without a word')));
    const failed = (error: Error): void => finish(() => reject(error));
    socket.on('readable', take).once('end', ended).once('error', failed);
  });
}
