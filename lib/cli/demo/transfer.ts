/** Bulk data through the stack, one connection, either way, with what can be told about it. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { TcpConnection } from '../../tcp/connection.js';
import { absorb, pour } from './bulk.js';
import type { PeerCounts } from './kernel-peer.js';
import { countsOf } from './peers.js';
import type { DemoLink, Place } from './place.js';
import { BULK_PORT, readLine } from './services.js';

export interface TransferFigures {
  readonly bytes: number;
  readonly seconds: number;
  readonly bitsPerSecond: number;
  /** Whether every byte was the right one. */
  readonly intact: boolean;
  /** Segments the sender of the data sent again. */
  readonly retransmissions: number;
  /** The sender's. */
  readonly congestionControl: string;
  /** Round-trip time as our side measured it, smoothed and least, µs. */
  readonly rttUs: number;
  readonly minRttUs: number;
}

export interface TransferOptions {
  readonly link: DemoLink;
  /** `out`: from the stack. */
  readonly direction: 'out' | 'in';
  /** It ends when either is reached. */
  readonly bytes: number;
  readonly limitMs: number;
  readonly onProgress: (bytes: number) => void;
}

export async function transfer(place: Place, options: TransferOptions): Promise<TransferFigures> {
  const { link, direction } = options;
  const senderCounts = async (): Promise<PeerCounts> =>
    direction === 'out' ? countsOf(place.stack) : link.peer.counts();
  const before = await senderCounts();
  const socket = place.net.connect({ port: BULK_PORT, host: link.theirs[0], allowHalfOpen: true });
  await once(socket, 'connect');
  const connection = connectionOf(place, socket);
  const startedMs = performance.now();
  const { bytes, intact } = await (direction === 'out' ? send : receive)(socket, options);
  const seconds = (performance.now() - startedMs) / 1000;
  const closed = once(socket, 'close');
  socket.end();
  await closed;
  const after = await senderCounts();
  return {
    bytes,
    seconds,
    bitsPerSecond: (bytes * 8) / seconds,
    intact,
    retransmissions: after.retransmissions - before.retransmissions,
    congestionControl: after.congestionControl,
    rttUs: connection?.sender.recovery.rtt.srttUs ?? 0,
    minRttUs: connection?.sender.recovery.rtt.minRttUs ?? 0,
  };
}

interface Moved {
  readonly bytes: number;
  readonly intact: boolean;
}

async function send(socket: Socket, { bytes, limitMs, onProgress }: TransferOptions): Promise<Moved> {
  socket.write('take\n');
  const [poured, answer] = await Promise.all([
    pour(socket, { bytes, limitMs, onProgress }),
    readLine(socket),
  ]);
  const [received, verdict] = answer.split(' ');
  return { bytes: Number(received), intact: poured === Number(received) && verdict === 'intact' };
}

async function receive(socket: Socket, { bytes, limitMs, onProgress }: TransferOptions): Promise<Moved> {
  socket.write(`give ${bytes} ${limitMs}\n`);
  return absorb(socket, onProgress);
}

/** The connection under a socket. */
function connectionOf(place: Place, socket: Socket): TcpConnection | undefined {
  for (const { tuple, connection } of place.stack.tcp.entries()) {
    if (tuple.localPort === socket.localPort && tuple.remotePort === BULK_PORT) return connection;
  }
  return undefined;
}
