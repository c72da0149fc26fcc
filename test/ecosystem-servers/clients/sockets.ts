/** Servers and clients of `ws` and socket.io that know nothing of any stack. */
import http, { type Agent, type Server } from 'node:http';
import { Server as IoServer } from 'socket.io';
import { io } from 'socket.io-client';
import { WebSocket, WebSocketServer } from 'ws';
import { content, sha256 } from '../support/content.js';

const SIZES = [0, 1, 125, 126, 65_535, 65_536, 3_000_000];

/** Shorter than the 30 s that `ws` waits for the end of a connection that was closed. */
const WS_PATIENCE_MS = 25_000;

/** Echoes what it is sent by either protocol; the text `reset` resets the connection in an answer. */
export function socketServer(): Server {
  const server = http.createServer();
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    if (request.url !== '/ws') return;
    sockets.handleUpgrade(request, socket, head, (web) => {
      web.on('error', () => {});
      web.on('message', (data: Buffer, isBinary) => {
        if (data.toString() === 'reset') request.socket.resetAndDestroy();
        else web.send(data, { binary: isBinary });
      });
    });
  });
  const events = new IoServer(server, { maxHttpBufferSize: 1e8, destroyUpgrade: false });
  events.on('connection', (socket) => {
    socket.on('echo', (data: Buffer, answer: (data: Buffer) => void) => answer(data));
    socket.on('leave', () => socket.disconnect(true));
  });
  return server;
}

export interface SocketsOutcome {
  readonly echoed: boolean;
  readonly closed: readonly [code: number, reason: string];
  /** Whether the close was over when the server's end came, not when `ws` gave up waiting for it. */
  readonly prompt: boolean;
  readonly reset: readonly unknown[];
  readonly polled: boolean;
  readonly upgraded: boolean;
  readonly left: string;
}

/** What it must come to. */
export const EXPECTED: SocketsOutcome = {
  echoed: true,
  closed: [4000, 'enough'],
  prompt: true,
  reset: ['read ECONNRESET', 1006],
  polled: true,
  upgraded: true,
  left: 'io server disconnect',
};

/** Echoes by WebSocket, a close of each kind, and events by both transports of socket.io. */
export async function trySockets(target: string, agent?: Agent): Promise<SocketsOutcome> {
  const dial = (): WebSocket => new WebSocket(`ws://${target}/ws`, agent === undefined ? {} : { agent });
  const first = dial();
  const heard: string[] = [];
  const complete = new Promise<void>((resolve) => {
    first.on('message', (data: Buffer) => {
      if (heard.push(sha256(data)) === SIZES.length) resolve();
    });
  });
  first.on('open', () => {
    for (const bytes of SIZES) first.send(content(bytes));
  });
  await complete;
  const closed = new Promise<[number, string]>((resolve) => {
    first.on('close', (code, reason) => resolve([code, reason.toString()]));
  });
  const closedAt = Date.now();
  first.close(4000, 'enough');
  const prompt = closed.then(() => Date.now() - closedAt < WS_PATIENCE_MS);
  const second = dial();
  const reset: unknown[] = [];
  second.on('open', () => second.send('reset'));
  // `ws` itself says no more than that it was closed.
  second.on('upgrade', ({ socket }) => socket.on('error', ({ message }) => reset.push(message)));
  await new Promise<void>((resolve) => {
    second.on('close', (code) => {
      reset.push(code);
      resolve();
    });
  });
  return {
    echoed: heard.join() === SIZES.map((bytes) => sha256(content(bytes))).join(),
    closed: await closed,
    prompt: await prompt,
    reset,
    ...(await tryEvents(target, agent)),
  };
}

async function tryEvents(
  target: string,
  agent?: Agent,
): Promise<Pick<SocketsOutcome, 'polled' | 'upgraded' | 'left'>> {
  const results: boolean[] = [];
  let left = '';
  for (const transports of [['polling'], ['polling', 'websocket']]) {
    // The types know of agents for browsers only.
    const client = io(`http://${target}`, { forceNew: true, transports, agent: agent as never });
    const data = content(2_000_000);
    const back = (await client.emitWithAck('echo', data)) as Buffer;
    results.push(sha256(back) === sha256(data));
    const disconnected = new Promise<string>((resolve) => client.once('disconnect', resolve));
    client.emit('leave');
    left = await disconnected;
  }
  return { polled: results[0], upgraded: results[1], left };
}
