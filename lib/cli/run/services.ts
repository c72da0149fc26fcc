/** What the stack offers to programs of its namespace: echo, discard, character generator, files. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Stack } from '../../index.js';
import { serveFiles } from './static-files.js';

export interface ServiceOptions {
  readonly httpRoot?: string;
  readonly httpPort: number;
  readonly echo: boolean;
  readonly discard: boolean;
  readonly source: boolean;
}

/** A service and where it is. */
export interface Service {
  readonly name: string;
  readonly port: number;
}

/** RFC 862, RFC 863, RFC 864. */
const ECHO_PORT = 7;
const DISCARD_PORT = 9;
const SOURCE_PORT = 19;

/** Bytes written at once by the source. */
const SOURCE_PIECE_BYTES = 1 << 16;

/** Starts what was asked for, over TCP and where it makes sense UDP, on all addresses of the stack. */
export async function startServices(stack: Stack, options: ServiceOptions): Promise<Service[]> {
  const started: Service[] = [];
  if (options.httpRoot !== undefined) {
    const server = createServer(serveFiles(options.httpRoot));
    stack.serve(server, options.httpPort);
    await once(server, 'listening');
    started.push({ name: 'http', port: options.httpPort });
  }
  if (options.echo) {
    await Promise.all([echoTcp(stack), echoUdp(stack)]);
    started.push({ name: 'echo', port: ECHO_PORT });
  }
  if (options.discard) {
    await Promise.all([discardTcp(stack), bindUdp(stack, DISCARD_PORT)]);
    started.push({ name: 'discard', port: DISCARD_PORT });
  }
  if (options.source) {
    await sourceTcp(stack);
    started.push({ name: 'source', port: SOURCE_PORT });
  }
  return started;
}

async function echoTcp({ net }: Stack): Promise<void> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(ECHO_PORT);
  await once(server, 'listening');
}

async function echoUdp(stack: Stack): Promise<void> {
  const socket = await bindUdp(stack, ECHO_PORT);
  socket.on('message', (message, { address, port }) => {
    // Two echo services must not keep each other busy.
    if (port > ECHO_PORT) socket.send(message, port, address, () => {});
  });
}

async function discardTcp({ net }: Stack): Promise<void> {
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.resume();
  });
  server.listen(DISCARD_PORT);
  await once(server, 'listening');
}

/** Writes as fast as the other side reads. */
async function sourceTcp({ net }: Stack): Promise<void> {
  const piece = Buffer.alloc(SOURCE_PIECE_BYTES, 'tunstack\n');
  const server = net.createServer((socket) => {
    const pour = (): void => {
      while (socket.write(piece));
    };
    socket.on('error', () => socket.destroy());
    socket.on('drain', pour).resume();
    pour();
  });
  server.listen(SOURCE_PORT);
  await once(server, 'listening');
}

async function bindUdp({ dgram }: Stack, port: number): Promise<ReturnType<Stack['dgram']['createSocket']>> {
  const socket = dgram.createSocket('udp6');
  // Errors of sending are the peers' business.
  socket.on('error', () => {});
  socket.bind(port);
  await once(socket, 'listening');
  return socket;
}
