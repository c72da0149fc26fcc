/** Where scenarios of dgram are played: on the host, in one stack, between two; and how they are compared. */
import type { Socket } from 'node:dgram';
import nodeDgram from 'node:dgram';
import { once } from 'node:events';
import type { DgramModule } from '../../lib/dgram/dgram.js';
import '../../lib/dgram/stack-dgram.js';
import type { Stack } from '../../lib/stack/stack.js';
import { anonymous, thrown as thrownBy } from '../net/support/recording.js';
import { scenariosIn } from '../net/support/scenario.js';
import { joinedStacks, newStack } from '../net/support/worlds.js';

export { anonymous };

export interface World {
  readonly server: DgramModule;
  readonly client: DgramModule;
  readonly host: string;
  readonly host6: string;
  readonly clientHost: string;
  readonly clientHost6: string;
  close(): void;
}

export const hostWorld = (): World => ({
  server: nodeDgram,
  client: nodeDgram,
  host: '127.0.0.1',
  host6: '::1',
  clientHost: '127.0.0.1',
  clientHost6: '::1',
  close: () => {},
});

export function loopbackWorld(): World {
  const stack = newStack();
  const { dgram } = stack;
  return { ...hostWorld(), server: dgram, client: dgram, close: () => stack.close() };
}

export interface PipeWorld extends World {
  readonly clientStack: Stack;
  /** Name of the link, the same on both ends. */
  readonly linkName: string;
}

export function pipeWorld(): PipeWorld {
  const { near, far, linkName } = joinedStacks();
  return {
    clientStack: near,
    linkName,
    server: far.dgram,
    client: near.dgram,
    host: '10.9.0.2',
    host6: 'fd09::2',
    clientHost: '10.9.0.1',
    clientHost6: 'fd09::1',
    close: () => {
      near.close();
      far.close();
    },
  };
}

/** Plays scenarios on the host and in stacks, and compares. */
export const { asLaterNode, sameAsNode } = scenariosIn<World>({ name: 'node:dgram', make: hostWorld }, [
  { name: 'one stack', make: loopbackWorld },
  { name: 'two stacks', make: pipeWorld },
]);

export function describeError(error: unknown, world: World): unknown {
  if (!(error instanceof Error)) return error;
  const { name, code, message, syscall, errno, port } = error as NodeJS.ErrnoException & { port?: number };
  return { name, code, message: anonymous(message, world), syscall, errno, port: typeof port };
}

/** What a call throws, for any to be compared with. */
export const thrown = (call: () => unknown): unknown => thrownBy(call);

export async function bound(socket: Socket, address?: string): Promise<number> {
  if (address === undefined) socket.bind();
  else socket.bind(0, address);
  await once(socket, 'listening');
  return socket.address().port;
}

/** The next datagram, and who sent it. */
export async function next(
  socket: Socket,
): Promise<[string, { address: string; family: string; port: number; size: number }]> {
  const [message, info] = (await once(socket, 'message')) as [Buffer, never];
  return [String(message), info];
}
