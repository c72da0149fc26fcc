/** Datagram sockets of the host, ready when they are made. */
import { createSocket, type Socket } from 'node:dgram';

/** Addresses are no names: nothing has to be looked up, and so nothing has to wait. */
function noLookup(
  address: string,
  _options: unknown,
  done: (error: Error | null, address: string, family: number) => void,
): void {
  done(null, address, address.includes(':') ? 6 : 4);
}

export interface HostSocketOptions {
  readonly family: 4 | 6;
  /** Where it is bound: any address and a free port by default. */
  readonly address?: string;
  readonly port?: number;
}

/** Most bytes that may wait in a socket; what comes then is dropped, as a router would. */
const MAX_QUEUED_BYTES = 1 << 20;

/** Whether a socket takes one more datagram. */
export const hasRoom = (socket: Socket): boolean => socket.getSendQueueSize() <= MAX_QUEUED_BYTES;

/** A socket that is bound. @throws the host's error: no more descriptors, a port that is taken */
export function openHostSocket({ family, address, port = 0 }: HostSocketOptions): Socket {
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    lookup: noLookup,
    ...(family === 6 ? { ipv6Only: true } : {}),
  });
  let failure: Error | undefined;
  const note = (error: Error): void => {
    failure = error;
  };
  socket.once('error', note);
  socket.bind({ port, exclusive: true, ...(address === undefined ? {} : { address }) });
  socket.off('error', note);
  if (failure === undefined) return socket;
  socket.close();
  throw failure;
}
