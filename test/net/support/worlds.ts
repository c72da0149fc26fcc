/**
 * Where the same scenario is played: on the sockets of the host, inside one stack, and between two stacks
 * joined by a pipe. What happens must be the same everywhere.
 */
import nodeNet from 'node:net';
import { createPipe } from '../../../lib/link/pipe-device.js';
import { type NetModule } from '../../../lib/net/net.js';
import { Stack } from '../../../lib/stack/stack.js';
import '../../../lib/net/stack-net.js';
import { createWorkerStack, type WorkerStack } from '../../../lib/remote/worker-stack.js';
import { SystemClock } from '../../../lib/stack/system-clock.js';
import { SystemRandom } from '../../../lib/stack/system-random.js';

/** Where nobody listens, in any world: one that was free a moment ago may be somebody's now. */
export const NOBODYS_PORT = 4;

export interface World {
  /** What servers are made with. */
  readonly server: NetModule;
  /** What clients are made with. */
  readonly client: NetModule;
  /** Address of the server, as clients know it; and the addresses of the other family. */
  readonly host: string;
  readonly host6: string;
  /** Addresses of the client. */
  readonly clientHost: string;
  readonly clientHost6: string;
  close(): unknown;
}

export const newStack = (): Stack => new Stack({ clock: new SystemClock(), random: new SystemRandom() });

/** The host's own sockets, by which the others are measured. */
export const hostWorld = (): World => ({
  server: nodeNet as unknown as NetModule,
  client: nodeNet as unknown as NetModule,
  host: '127.0.0.1',
  host6: '::1',
  clientHost: '127.0.0.1',
  clientHost6: '::1',
  close: () => {},
});

/** A world of stacks, for what the host has no part in. */
export interface StackWorld extends World {
  readonly serverStack: Stack;
  readonly clientStack: Stack;
}

/** Both ends in one stack, over its loopback. */
export function loopbackWorld(): StackWorld {
  const stack = newStack();
  return {
    ...hostWorld(),
    serverStack: stack,
    clientStack: stack,
    server: stack.net,
    client: stack.net,
    close: () => stack.close(),
  };
}

/** Two stacks, joined by a pipe of plain packets, whose ends have one name. */
export function joinedStacks(): { near: Stack; far: Stack; linkName: string } {
  const near = newStack();
  const far = newStack();
  const [left, right] = createPipe({ clock: new SystemClock() });
  near.addLink(left, { addresses: ['10.9.0.1/24', 'fd09::1/64'] });
  far.addLink(right, { addresses: ['10.9.0.2/24', 'fd09::2/64'] });
  return { near, far, linkName: left.name };
}

export function pipeWorld(): StackWorld {
  const { near, far } = joinedStacks();
  return {
    serverStack: far,
    clientStack: near,
    server: far.net,
    client: near.net,
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

let thread: Promise<WorkerStack> | undefined;

/** Both ends in one stack that has a thread of its own, while its sockets are here. It does for all scenarios. */
async function threadWorld(): Promise<World> {
  thread ??= createWorkerStack();
  const stack = await thread;
  return { ...hostWorld(), server: stack.net, client: stack.net };
}

/** Where scenarios are played: in the process's own stacks, or, where the environment asks for it, in a thread. */
export const worldsOfStacks: readonly { name: string; make: () => World | Promise<World> }[] =
  process.env.TEST_STACKS_IN === 'thread'
    ? [{ name: 'a stack in a thread', make: threadWorld }]
    : [
        { name: 'one stack', make: loopbackWorld },
        { name: 'two stacks', make: pipeWorld },
      ];

/** Runs `tests` in both worlds of stacks. */
export function inStacks(tests: (world: () => StackWorld) => void): void {
  for (const make of [loopbackWorld, pipeWorld]) {
    let world: StackWorld | undefined;
    describe(make === loopbackWorld ? 'in one stack' : 'between two stacks', () => {
      beforeEach(() => {
        world = make();
      });
      afterEach(() => world?.close());
      tests(() => world as StackWorld);
    });
  }
}
