/**
 * What `tunstack bench` measures, written for sockets of Node's kind: those of a stack, and on the other side
 * those of the kernel or of a second stack.
 */
import type { Server, Socket } from 'node:net';
import type { TcpSocket } from '../../index.js';
import type { NetModule } from '../../net/net.js';

type Sockets = Pick<NetModule, 'createServer'>;

/** What the server does with a connection: the first byte it is sent. */
export const Task = {
  /** Reads and throws away. */
  Take: 'T'.charCodeAt(0),
  /** Writes without end. */
  Give: 'G'.charCodeAt(0),
  /** Sends back what it gets. */
  Echo: 'E'.charCodeAt(0),
} as const;
export type Task = (typeof Task)[keyof typeof Task];

export const BENCH_PORT = 9000;

const PIECE_BYTES = 1 << 17;
const piece = Buffer.alloc(PIECE_BYTES, 'tunstack');

/** A server for all of it. */
export function serveBench(net: Sockets): Promise<Server> {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (first: Buffer) => perform(socket, first));
  });
  server.listen(BENCH_PORT);
  return new Promise((resolve, reject) => {
    server.once('listening', () => resolve(server)).once('error', reject);
  });
}

function perform(socket: Socket, first: Buffer): void {
  const task = first[0];
  if (task === Task.Give) {
    pour(socket, () => {});
    socket.on('end', () => socket.destroy()).resume();
    return;
  }
  socket.on('end', () => socket.end());
  if (task === Task.Echo) {
    if (first.length > 1) socket.write(first.subarray(1));
    socket.on('data', (data: Buffer) => socket.write(data));
  } else {
    socket.on('data', () => {});
  }
}

/** Writes as fast as the socket takes, until it is destroyed. */
function pour(socket: Socket, count: (bytes: number) => void): void {
  const more = (): void => {
    while (!socket.destroyed) {
      const hasRoom = socket.write(piece);
      count(PIECE_BYTES);
      if (!hasRoom) return;
    }
  };
  socket.on('drain', more);
  more();
}

export interface Load {
  /** Of a stack: its sockets tell what was acknowledged. */
  readonly net: Pick<NetModule, 'connect'>;
  readonly host: string;
  /** Connections at the same time. */
  readonly connections: number;
  /** How long it is measured, ms. */
  readonly durationMs: number;
  readonly signal: AbortSignal;
  /** Hears of what is done so far. */
  readonly onProgress: (done: number) => void;
}

/** What was done, and how long it took. */
export interface Measured {
  /** Bytes, round trips or connections. */
  readonly count: number;
  readonly seconds: number;
}

/** Bytes one way: those that arrived, or that the other side has acknowledged. */
export async function bulk(load: Load, direction: 'in' | 'out'): Promise<Measured> {
  const task = direction === 'in' ? Task.Give : Task.Take;
  const sockets = await openAll(load, task);
  let bytes = 0;
  const add = (more: number): void => {
    bytes += more;
    load.onProgress(bytes);
  };
  return duringLoad(load, sockets, {
    start: (socket) => {
      if (direction === 'in') socket.on('data', (data: Buffer) => add(data.length));
      else pour(socket, () => {});
    },
    count: () => {
      if (direction === 'out') {
        bytes = sockets.reduce((sum, socket) => sum + ackedBytes(socket), 0);
        load.onProgress(bytes);
      }
      return bytes;
    },
  });
}

const ackedBytes = (socket: Socket): number => (socket as unknown as TcpSocket).tcpInfo()?.ackedBytes ?? 0;

/** Single bytes there and back, one after the other on each connection. */
export async function roundTrips(load: Load): Promise<Measured> {
  const sockets = await openAll(load, Task.Echo);
  const byte = Buffer.from('x');
  let trips = 0;
  return duringLoad(load, sockets, {
    start: (socket) => {
      socket.on('data', () => {
        trips++;
        load.onProgress(trips);
        if (!socket.destroyed) socket.write(byte);
      });
      socket.write(byte);
    },
    count: () => trips,
  });
}

/** Connections, each opened, used for one byte there and back, and closed. */
export async function connections(load: Load): Promise<Measured> {
  const ask = Buffer.from([Task.Echo, 'x'.charCodeAt(0)]);
  const startMs = performance.now();
  const endMs = startMs + load.durationMs;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < endMs && !load.signal.aborted) {
      await oneConnection(load, ask);
      done++;
      load.onProgress(done);
    }
  };
  await Promise.all(Array.from({ length: load.connections }, worker));
  return { count: done, seconds: (performance.now() - startMs) / 1000 };
}

function oneConnection({ net, host }: Load, ask: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port: BENCH_PORT, noDelay: true }, () => socket.write(ask));
    socket.once('data', () => socket.end());
    socket.once('error', reject).once('close', () => resolve());
  });
}

async function openAll({ net, host, connections: count }: Load, task: Task): Promise<Socket[]> {
  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ host, port: BENCH_PORT, noDelay: true }, () => {
        socket.write(Buffer.from([task]));
        resolve(socket);
      });
      socket.once('error', reject);
    });
  return Promise.all(Array.from({ length: count }, open));
}

interface Work {
  start(this: void, socket: Socket): void;
  /** What is done by now. */
  count(this: void): number;
}

/** How often progress is looked at, ms. */
const LOOK_MS = 100;

/** Lets all of them work for the time of the load, then ends them. */
async function duringLoad(load: Load, sockets: readonly Socket[], work: Work): Promise<Measured> {
  const startMs = performance.now();
  let failure: Error | undefined;
  for (const socket of sockets) {
    socket.on('error', (error) => {
      failure ??= error;
    });
    work.start(socket);
  }
  await new Promise<void>((resolve) => {
    const look = setInterval(() => work.count(), LOOK_MS);
    const end = (): void => {
      clearInterval(look);
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(end, load.durationMs);
    load.signal.addEventListener('abort', end, { once: true });
  });
  const count = work.count();
  const seconds = (performance.now() - startMs) / 1000;
  await Promise.all(sockets.map(endSocket));
  if (failure !== undefined) throw failure;
  return { count, seconds };
}

function endSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.resetAndDestroy();
    if (socket.closed) resolve();
  });
}
