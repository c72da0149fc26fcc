/** What happens to a socket or server, written down in a form that does not depend on where it happens. */
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import type { World } from './worlds.js';

/** An error without what differs from run to run. */
export function describeError(error: unknown, world: World): Record<string, unknown> {
  const { name, code, message, syscall, errno, address, port, localAddress, localPort } =
    error as NodeJS.ErrnoException & Record<string, unknown>;
  const hide = (value: unknown): unknown => (typeof value === 'string' ? anonymous(value, world) : value);
  return {
    name,
    code,
    message: hide(message),
    syscall,
    errno,
    address: hide(address),
    port: typeof port,
    localAddress: hide(localAddress),
    localPort: typeof localPort,
  };
}

/** `text` without addresses and ports: those of both ends are one on the host, and two between stacks. */
export const anonymous = (
  text: string,
  world: Pick<World, 'host' | 'host6' | 'clientHost' | 'clientHost6'>,
): string =>
  text
    .replaceAll(world.host6, '<address6>')
    .replaceAll(world.clientHost6, '<address6>')
    .replaceAll(world.host, '<address>')
    .replaceAll(world.clientHost, '<address>')
    .replaceAll(/:\d{4,5}\b/g, ':<port>');

export interface Recording {
  /** Events in order; text as its length, summed up. */
  readonly log: unknown[];
  /** Resolves to the log when the socket emits `close`. */
  readonly closed: Promise<unknown[]>;
}

/** Writes down the events of a socket but for its text. */
export function record(socket: Socket, world: World): Recording {
  const log: unknown[] = [];
  for (const event of ['connect', 'ready', 'end', 'finish', 'timeout', 'drain']) {
    socket.on(event, () => log.push(event));
  }
  socket.on('error', (error) => log.push(['error', describeError(error, world)]));
  const closed = new Promise<unknown[]>((resolve) => {
    socket.on('close', (hadError) => {
      log.push(['close', hadError]);
      resolve(log);
    });
  });
  return { log, closed };
}

/** As `record`, and the text is read. */
export function recordText(socket: Socket, world: World): Recording {
  const recording = record(socket, world);
  const { log } = recording;
  let last: { data: number } | undefined;
  socket.on('data', (chunk) => {
    if (last !== undefined && log.at(-1) === last) {
      last.data += chunk.length;
      return;
    }
    last = { data: chunk.length };
    log.push(last);
  });
  return recording;
}

/** Listens on a free port. */
export async function listen(server: Server, host?: string): Promise<number> {
  if (host === undefined) server.listen(0);
  else server.listen(0, host);
  await once(server, 'listening');
  return portOf(server);
}

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
}

/** The next connection of a server. */
export const accept = async (server: Server): Promise<Socket> => {
  const [socket] = (await once(server, 'connection')) as [Socket];
  return socket;
};

export interface Pair {
  readonly server: Server;
  readonly port: number;
  /** The connection as the server has it, and as the client has it; both are connected. */
  readonly accepted: Socket;
  readonly client: Socket;
}

export interface PairOptions {
  readonly server?: Parameters<World['server']['createServer']>[0];
  readonly client?: object;
  /** Called at once with each end, before anything else can happen to it. */
  readonly onAccepted?: (socket: Socket) => void;
  readonly onClient?: (socket: Socket) => void;
}

/** A connection, and the server it came from, which takes no other. */
export async function pair(world: World, options: PairOptions = {}): Promise<Pair> {
  const server = world.server.createServer((options.server ?? {}) as object, options.onAccepted);
  const port = await listen(server, world.host);
  const accepting = accept(server);
  const client = world.client.connect({ ...options.client, host: world.host, port });
  options.onClient?.(client);
  const [accepted] = await Promise.all([accepting, once(client, 'connect')]);
  server.close();
  return { server, port, accepted, client };
}

/** Everything a socket receives, as text. */
export async function textOf(socket: Socket): Promise<string> {
  let received = '';
  for await (const chunk of socket) received += String(chunk);
  return received;
}

/** Lets the event loop turn `count` times. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets the event loop turn until something is so. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turns(1);
}

/** What a call throws, or `undefined`. */
export function thrown(call: () => unknown): { name: string; code: unknown; message: string } | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    const { name, message, code } = error as NodeJS.ErrnoException;
    return { name, code, message };
  }
}
