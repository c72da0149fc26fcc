/** The rows of the benchmark. */
import { Child } from '../../test/support/child.js';
import type { TestNamespace } from '../../test/support/netns.js';
import { compiled, gvisorObstacle, gvisorServer, lwipObstacle } from './compile.js';
import { MEASURES } from './measures.js';
import {
  CLIENT_ADDRESS,
  configureTun,
  nodeTarget,
  questionsOf,
  reachedFrom,
  SERVER_ADDRESS,
  SERVER_LIMIT_MS,
  settings,
  type Target,
  vethPair,
  withNamespaces,
} from './target.js';

/** The stack in a process of its own, and the kernel as its client across a TUN. */
const stackTarget = (name: string, title: string, file: string, kind: string): Target => ({
  name,
  title,
  start: () =>
    withNamespaces(1, async (client) => {
      const own = nodeTarget(file, client.path, CLIENT_ADDRESS, SERVER_ADDRESS, kind);
      const server = new Child(process.execPath, own, { openStdin: true, limitMs: SERVER_LIMIT_MS });
      try {
        await server.output(/ready/);
        await client.shell(settings('tun0', SERVER_ADDRESS));
      } catch (error) {
        await server.kill();
        throw error;
      }
      const running = reachedFrom({ client, device: 'tun0', servers: [server] });
      return {
        ...running,
        ...questionsOf(server),
        close: async () => {
          server.stdin.end();
          await server.ended;
          await running.close();
        },
      };
    }),
});

const kernelNode: Target = {
  name: 'node',
  title: 'Node net, veth',
  start: () =>
    withNamespaces(2, async (client, server) => {
      await vethPair(client, server);
      const options = { openStdin: true, limitMs: SERVER_LIMIT_MS };
      const program = server.spawn(process.execPath, nodeTarget('kernel.ts', SERVER_ADDRESS), options);
      await program.output(/ready/);
      const running = reachedFrom({ client, device: 'veth0', others: [server], servers: [program] });
      return { ...running, ...questionsOf(program) };
    }),
};

const serveInC = async (namespace: TestNamespace): Promise<Child> => {
  const program = namespace.spawn(await compiled('server'), [SERVER_ADDRESS], { limitMs: SERVER_LIMIT_MS });
  await program.output(/ready/);
  return program;
};

/** Where the connections are the kernel's, their memory is no process's. */
const IN_KERNEL = MEASURES.map(({ name }) => name).filter((name) => name !== 'memory');

const kernelC: Target = {
  name: 'c',
  title: 'kernel C, veth',
  measures: IN_KERNEL,
  start: () =>
    withNamespaces(2, async (client, server) => {
      await vethPair(client, server);
      const servers = [await serveInC(server)];
      return reachedFrom({ client, device: 'veth0', others: [server], servers });
    }),
};

const relay: Target = {
  name: 'relay',
  title: 'C relay of two TUNs',
  measures: IN_KERNEL,
  start: () =>
    withNamespaces(2, async (client, server) => {
      // The relay opens its TUNs in one namespace after the other; it starts in neither.
      const args = [client.path, 'tun0', server.path, 'tun0'];
      const program = client.spawn(await compiled('tun-relay'), args, { limitMs: SERVER_LIMIT_MS });
      await program.output(/ready/);
      await configureTun(client, 'tun0', CLIENT_ADDRESS, SERVER_ADDRESS);
      await configureTun(server, 'tun0', SERVER_ADDRESS, CLIENT_ADDRESS);
      await server.shell('ip route replace 10.83.0.0/24 dev tun0');
      const servers = [program, await serveInC(server)];
      return reachedFrom({ client, device: 'tun0', others: [server], servers });
    }),
};

/** A program that opens `tun0` in the namespace it is given, says that it is ready, and serves. */
interface TunProgram extends Omit<Target, 'start'> {
  program(): Promise<string>;
  readonly args?: readonly string[];
}

const tunTarget = ({ program, args = [], ...target }: TunProgram): Target => ({
  ...target,
  start: () =>
    withNamespaces(1, async (client) => {
      const own = [client.path, 'tun0', ...args];
      const server = client.spawn(await program(), own, { limitMs: SERVER_LIMIT_MS });
      await server.output(/ready/);
      await configureTun(client, 'tun0', CLIENT_ADDRESS, SERVER_ADDRESS);
      return reachedFrom({ client, device: 'tun0', servers: [server] });
    }),
});

const gvisor = { obstacle: gvisorObstacle, program: gvisorServer };

/** The subject first, then what its goals refer to, then other stacks. */
export const TARGETS: readonly Target[] = [
  stackTarget('raw', 'raw endpoints', 'stack-raw.ts', 'offload'),
  stackTarget('net', 'stack.net, .dgram', 'stack-net.ts', 'offload'),
  stackTarget('plain', 'raw, plain link', 'stack-raw.ts', 'plain'),
  stackTarget('net-plain', 'stack.net, plain link', 'stack-net.ts', 'plain'),
  kernelC,
  kernelNode,
  relay,
  tunTarget({
    name: 'swap',
    title: 'C swap on a TUN',
    measures: ['udp'],
    program: () => compiled('udp-swap'),
  }),
  tunTarget({
    name: 'lwip',
    title: 'lwIP',
    obstacle: lwipObstacle,
    program: () => compiled('lwip-server'),
    args: [SERVER_ADDRESS, CLIENT_ADDRESS],
  }),
  tunTarget({
    ...gvisor,
    name: 'gvisor',
    title: 'gVisor, offloads',
    args: [SERVER_ADDRESS, 'offload'],
  }),
  tunTarget({ ...gvisor, name: 'gvisor-plain', title: 'gVisor, plain', args: [SERVER_ADDRESS, 'plain'] }),
];
