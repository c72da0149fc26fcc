/**
 * What the benchmark measures: something that offers the services of `bench/reference/common.h` at an
 * address, and a namespace to reach it from.
 */
import { Child } from '../../test/support/child.js';
import { TestNamespace } from '../../test/support/netns.js';
import { compiled } from './compile.js';

export interface MemoryReport {
  /** Connections open now. */
  readonly connections: number;
  /** Heap and what hangs from it, after a collection. */
  readonly bytes: number;
}

export interface RunningTarget {
  readonly address: string;
  /** A command line that runs a client of it. */
  clientCommand(command: string, args: readonly string[]): [command: string, args: string[]];
  /** Starts a client with its standard input open. */
  startClient(command: string, args: readonly string[]): Child;
  /** Absent where the connections are the kernel's and so is their memory. */
  memory?(): Promise<MemoryReport>;
  close(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** Head of its column. */
  readonly title: string;
  /** Names of the measures that make sense here; all without it. */
  readonly measures?: readonly string[];
  start(): Promise<RunningTarget>;
}

const CLIENT_ADDRESS = '10.83.0.1';
const SERVER_ADDRESS = '10.83.0.2';
/** Transmit queue of a TUN: its default of 500 packets drops under bulk load. */
const TUN_QUEUE_PACKETS = 10_000;
const SERVER_LIMIT_MS = 10 * 60_000;

/**
 * Sockets of the kernel use CUBIC on this route whatever this machine's default is, and a client may
 * use any port again soon: connections come and go by the ten thousand.
 */
const settings = (device: string, peer: string): string => `
  ip route replace ${peer}/32 dev ${device} congctl cubic
  sysctl -qw net.ipv4.ip_local_port_range='1024 65000' net.ipv4.tcp_tw_reuse=1
`;

/** Gives an existing TUN an address inside a namespace. */
export const configureTun = (namespace: TestNamespace, device: string, own: string, peer: string) =>
  namespace.shell(`
    ip addr add ${own} peer ${peer} dev ${device}
    ip link set ${device} up mtu 1500 txqueuelen ${TUN_QUEUE_PACKETS}
    ${settings(device, peer)}`);

/** Two namespaces and a veth pair between them. */
async function vethPair(client: TestNamespace, server: TestNamespace): Promise<void> {
  await client.shell(`
    ip link add veth0 type veth peer name veth0 netns ${server.pid}
    ip addr add ${CLIENT_ADDRESS} peer ${SERVER_ADDRESS} dev veth0
    ip link set veth0 up mtu 1500
    ${settings('veth0', SERVER_ADDRESS)}`);
  await server.shell(`
    ip addr add ${SERVER_ADDRESS} peer ${CLIENT_ADDRESS} dev veth0
    ip link set veth0 up mtu 1500
    ${settings('veth0', CLIENT_ADDRESS)}`);
}

/** The client's half of a running target, and the end of all its namespaces. */
export function reachedFrom(client: TestNamespace, others: readonly TestNamespace[]): RunningTarget {
  return {
    address: SERVER_ADDRESS,
    clientCommand: (command, args) => client.commandLine(command, args),
    startClient: (command, args) =>
      client.spawn(command, args, { openStdin: true, limitMs: SERVER_LIMIT_MS }),
    close: async () => {
      await Promise.all([client, ...others].map((namespace) => namespace.close()));
    },
  };
}

/** Asks a server of `bench/targets` for its memory, over its standard input and output. */
export function memoryOf(server: Child): () => Promise<MemoryReport> {
  let asked = 0;
  return async () => {
    const number = asked++;
    server.stdin.write(`memory ${number}\n`);
    const [, report] = await server.output(new RegExp(`^memory ${number} (.*)$`, 'm'));
    return JSON.parse(report) as MemoryReport;
  };
}

/** Arguments that run one of `bench/targets` in this Node. */
export const nodeTarget = (file: string, ...args: string[]): string[] => [
  '--expose-gc',
  '--import=tsx',
  `bench/targets/${file}`,
  ...args,
];

/** The stack in a process of its own, and the kernel as its client across a TUN. */
const stackTarget = (name: string, title: string, file: string, kind: string): Target => ({
  name,
  title,
  start: async () => {
    const client = await TestNamespace.create();
    const own = nodeTarget(file, client.path, CLIENT_ADDRESS, SERVER_ADDRESS, kind);
    const server = new Child(process.execPath, own, { openStdin: true, limitMs: SERVER_LIMIT_MS });
    await server.output(/ready/);
    await client.shell(settings('tun0', SERVER_ADDRESS));
    const running = reachedFrom(client, []);
    return {
      ...running,
      memory: memoryOf(server),
      close: async () => {
        server.stdin.end();
        await server.ended;
        await running.close();
      },
    };
  },
});

export const stackNet = stackTarget('net', 'stack.net', 'stack-net.ts', 'offload');
export const stackRaw = stackTarget('raw', 'raw endpoints', 'stack-raw.ts', 'offload');
export const stackPlain = stackTarget('plain', 'raw, plain TUN', 'stack-raw.ts', 'plain');

export const kernelNode: Target = {
  name: 'node',
  title: 'Node on kernel, veth',
  start: async () => {
    const [client, server] = await Promise.all([TestNamespace.create(), TestNamespace.create()]);
    await vethPair(client, server);
    const options = { openStdin: true, limitMs: SERVER_LIMIT_MS };
    const process_ = server.spawn(process.execPath, nodeTarget('kernel.ts', SERVER_ADDRESS), options);
    await process_.output(/ready/);
    return { ...reachedFrom(client, [server]), memory: memoryOf(process_) };
  },
};

export const kernelC: Target = {
  name: 'c',
  title: 'C on kernel, veth',
  start: async () => {
    const [client, server] = await Promise.all([TestNamespace.create(), TestNamespace.create()]);
    await vethPair(client, server);
    const process_ = server.spawn(await compiled('server'), [SERVER_ADDRESS], { limitMs: SERVER_LIMIT_MS });
    await process_.output(/ready/);
    return reachedFrom(client, [server]);
  },
};

export const joinedTuns: Target = {
  name: 'joined',
  title: 'C joining two TUNs',
  start: async () => {
    const [client, server] = await Promise.all([TestNamespace.create(), TestNamespace.create()]);
    // The relay opens its TUNs in one namespace after the other; it starts in neither.
    const relay = client.spawn(await compiled('tun-relay'), [client.path, 'tun0', server.path, 'tun0'], {
      limitMs: SERVER_LIMIT_MS,
    });
    await relay.output(/ready/);
    await configureTun(client, 'tun0', CLIENT_ADDRESS, SERVER_ADDRESS);
    await configureTun(server, 'tun0', SERVER_ADDRESS, CLIENT_ADDRESS);
    const process_ = server.spawn(await compiled('server'), [SERVER_ADDRESS], { limitMs: SERVER_LIMIT_MS });
    await process_.output(/ready/);
    return reachedFrom(client, [server]);
  },
};

export const udpSwap: Target = {
  name: 'swap',
  title: 'C loop on a TUN',
  measures: ['udp'],
  start: async () => {
    const client = await TestNamespace.create();
    const loop = client.spawn(await compiled('udp-swap'), [client.path, 'tun0'], {
      limitMs: SERVER_LIMIT_MS,
    });
    await loop.output(/ready/);
    await configureTun(client, 'tun0', CLIENT_ADDRESS, SERVER_ADDRESS);
    return reachedFrom(client, []);
  },
};
