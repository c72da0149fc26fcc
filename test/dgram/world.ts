/** Where scenarios of dgram are played: on the host, in one stack, between two; and how they are compared. */
import type { Socket } from 'node:dgram';
import nodeDgram from 'node:dgram';
import { once } from 'node:events';
import { expect } from 'chai';
import type { DgramModule } from '../../lib/dgram/dgram.js';
import '../../lib/dgram/stack-dgram.js';
import { NODE_MAJOR } from '../../lib/net/node-version.js';
import type { Stack } from '../../lib/stack/stack.js';
import { thrown as thrownBy } from '../net/support/recording.js';
import { joinedStacks, newStack } from '../net/support/worlds.js';

export interface World {
  readonly name: string;
  readonly server: DgramModule;
  readonly client: DgramModule;
  readonly host: string;
  readonly host6: string;
  readonly clientHost: string;
  readonly clientHost6: string;
  close(): void;
}

export const hostWorld = (): World => ({
  name: 'node:dgram',
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
  return { ...hostWorld(), name: 'one stack', server: dgram, client: dgram, close: () => stack.close() };
}

export interface PipeWorld extends World {
  readonly clientStack: Stack;
  /** Name of the link, the same on both ends. */
  readonly linkName: string;
}

export function pipeWorld(): PipeWorld {
  const { near, far, linkName } = joinedStacks();
  return {
    name: 'two stacks',
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

async function play(scenario: (world: World) => Promise<unknown>, world: World): Promise<unknown> {
  try {
    return await scenario(world);
  } finally {
    world.close();
  }
}

/**
 * What a later version of Node does, `expected`, done by stacks whatever Node runs them; and by the host where it is
 * new enough.
 */
export function asLaterNode(
  title: string,
  { since, expected }: { since: number; expected: unknown },
  scenario: (world: World) => Promise<unknown>,
): void {
  const hosts = NODE_MAJOR >= since ? [hostWorld] : [];
  for (const makeWorld of [...hosts, loopbackWorld, pipeWorld]) {
    const world = makeWorld();
    it(`${title}, ${world.name}`, async () => {
      expect(await play(scenario, world)).to.deep.equal(expected);
    });
  }
}

/** Plays a scenario on the host and in stacks, and compares. */
export function sameAsNode(title: string, scenario: (world: World) => Promise<unknown>): void {
  describe(title, () => {
    let expected: Promise<unknown> | undefined;
    for (const makeWorld of [loopbackWorld, pipeWorld]) {
      const world = makeWorld();
      it(`as node:dgram, ${world.name}`, async () => {
        expected ??= play(scenario, hostWorld());
        const wanted = await expected;
        expect(await play(scenario, world)).to.deep.equal(wanted);
      });
    }
  });
}

/** Text without addresses and ports. */
export function anonymous(text: string, world: World): string {
  const { host, host6, clientHost, clientHost6 } = world;
  let plain = text;
  for (const address of [host6, clientHost6]) plain = plain.replaceAll(address, '<address6>');
  for (const address of [host, clientHost]) plain = plain.replaceAll(address, '<address>');
  return plain.replaceAll(/:\d{4,5}\b/g, ':<port>');
}

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
