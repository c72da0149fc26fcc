/**
 * Joins two byte streams, whichever stack each belongs to: programs that only know the kernel's sockets
 * (iperf3, nginx, OpenSSL) stand behind a relay, and every byte under test crosses our TCP.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** What `node:net` and `stack.net` sockets both are, as far as a relay cares. */
export interface RelaySocket extends Duplex {
  resetAndDestroy?(): unknown;
}

/** What `node:net` and `stack.net` servers both are. Their sockets must allow half-open connections. */
export interface RelayServer {
  on(event: 'connection', listener: (socket: RelaySocket) => void): unknown;
}

export interface RelayCounts {
  /** Connections joined so far. */
  connections: number;
  /** Bytes from the accepted to the dialled side, and back. */
  forwardBytes: number;
  backwardBytes: number;
  /** Errors seen, newest last, at most a hundred. */
  readonly errors: Error[];
}

/**
 * Joins every connection that `server` accepts to one that `dial` opens. An end on one side becomes an
 * end on the other, and an error on one side a reset on the other.
 */
export function relay(server: RelayServer, dial: () => RelaySocket): RelayCounts {
  const counts: RelayCounts = { connections: 0, forwardBytes: 0, backwardBytes: 0, errors: [] };
  server.on('connection', (accepted) => {
    const dialled = dial();
    counts.connections++;
    accepted.on('data', (piece: Uint8Array) => {
      counts.forwardBytes += piece.length;
    });
    dialled.on('data', (piece: Uint8Array) => {
      counts.backwardBytes += piece.length;
    });
    join(accepted, dialled, (error) => {
      if (counts.errors.length < 100) counts.errors.push(error);
    });
  });
  return counts;
}

/**
 * Whether it is a kernel's socket that waits for its FIN to be sent. Node 20 forgets such a one when it is
 * reset, without closing it, and the process then never ends.
 */
const isShuttingDown = (socket: RelaySocket): boolean =>
  socket instanceof Socket && socket.writableEnded && !socket.writableFinished;

/** Pipes each stream into the other until both have ended. */
export function join(a: RelaySocket, b: RelaySocket, onError: (error: Error) => void): void {
  const drop = (socket: RelaySocket): void => {
    if (socket.destroyed) return;
    if (socket.resetAndDestroy === undefined || isShuttingDown(socket)) socket.destroy();
    else socket.resetAndDestroy();
  };
  for (const [from, to] of [
    [a, b],
    [b, a],
  ]) {
    from.once('error', (error: Error) => {
      onError(error);
      drop(to);
    });
    // Destroyed without an error before its end: the other side must not wait for the rest.
    from.once('close', () => {
      if (!from.readableEnded || !from.writableFinished) drop(to);
    });
    from.pipe(to);
  }
}
