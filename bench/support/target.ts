/**
 * What the benchmark measures: something that offers the services of `bench/reference/common.h` at an
 * address, and a namespace to reach it from.
 */
import type { Child } from '../../test/support/child.js';
import { TestNamespace } from '../../test/support/netns.js';
import { type Counters, cpuSecondsOf, deviceCounters, residentBytesOf } from './process-cost.js';

/** What a server of `bench/targets` answers. */
interface MemoryReport {
  readonly connections: number;
  readonly bytes: number;
}

export interface RunningTarget {
  readonly address: string;
  /** The server's processes. */
  readonly pids: readonly number[];
  /** A command line that runs a client of it. */
  clientCommand(command: string, args: readonly string[]): [command: string, args: string[]];
  /** Starts a client with its standard input open. */
  startClient(command: string, args: readonly string[]): Child;
  /** Gives the client's side further addresses, and answers them. */
  addClientAddresses(count: number): Promise<string[]>;
  /** What the server's processes have spent and the client's device has carried until now. */
  counters(): Counters;
  /** Resident memory of the server's processes, bytes. */
  residentBytes(): number;
  /** Heap and what hangs from it, after a collection, bytes. Absent where the server cannot tell. */
  memory?(): Promise<number>;
  /** Connections open now; costs the server little. Absent with `memory`. */
  connections?(): Promise<number>;
  close(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** Head of its row. */
  readonly title: string;
  /** Names of the measures that make sense here; all without it. */
  readonly measures?: readonly string[];
  /** Why it cannot be measured on this machine, with what to do about it. */
  obstacle?(): Promise<string | undefined>;
  start(): Promise<RunningTarget>;
}

export const CLIENT_ADDRESS = '10.83.0.1';
export const SERVER_ADDRESS = '10.83.0.2';
/** Transmit queue of a TUN: its default of 500 packets drops under bulk load. */
const TUN_QUEUE_PACKETS = 10_000;
/** Longer than any row is measured in one round. */
export const SERVER_LIMIT_MS = 10 * 60_000;

/**
 * Sockets of the kernel use CUBIC on this route whatever this machine's default is, and a client may
 * use any port again soon: connections come and go by the ten thousand. All this holds in the namespace alone.
 */
export const settings = (device: string, peer: string): string => `
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
export async function vethPair(client: TestNamespace, server: TestNamespace): Promise<void> {
  await client.shell(`
    ip link add veth0 type veth peer name veth0 netns ${server.pid}
    ip addr add ${CLIENT_ADDRESS} peer ${SERVER_ADDRESS} dev veth0
    ip link set veth0 up mtu 1500
    ${settings('veth0', SERVER_ADDRESS)}`);
  await server.shell(`
    ip addr add ${SERVER_ADDRESS} peer ${CLIENT_ADDRESS} dev veth0
    ip link set veth0 up mtu 1500
    ip route replace 10.83.0.0/24 dev veth0
    ${settings('veth0', CLIENT_ADDRESS)}`);
}

/** Ends namespaces that a target which did not start would leave behind. */
export async function withNamespaces<T>(
  count: number,
  build: (...namespaces: TestNamespace[]) => Promise<T>,
): Promise<T> {
  const namespaces = await Promise.all(Array.from({ length: count }, () => TestNamespace.create()));
  try {
    return await build(...namespaces);
  } catch (error) {
    await Promise.all(namespaces.map((namespace) => namespace.close()));
    throw error;
  }
}

export interface Reached {
  readonly client: TestNamespace;
  /** The client's device. */
  readonly device: string;
  /** Namespaces that end with the target. */
  readonly others?: readonly TestNamespace[];
  /** Processes whose cost is the server's. */
  readonly servers: readonly Child[];
}

/** The client's half of a running target, and the end of all its namespaces. */
export function reachedFrom({ client, device, others = [], servers }: Reached): RunningTarget {
  const sum = (of: (pid: number) => number): number =>
    servers.reduce((total, server) => total + of(server.pid), 0);
  return {
    address: SERVER_ADDRESS,
    pids: servers.map((server) => server.pid),
    clientCommand: (command, args) => client.commandLine(command, args),
    startClient: (command, args) =>
      client.spawn(command, args, { openStdin: true, limitMs: SERVER_LIMIT_MS }),
    addClientAddresses: async (count) => {
      const addresses = Array.from({ length: count }, (_, i) => `10.83.0.${100 + i}`);
      await client.shell(
        addresses.map((address) => `ip addr replace ${address}/32 dev ${device}`).join('\n'),
      );
      return addresses;
    },
    counters: () => ({ cpuSeconds: sum(cpuSecondsOf), ...deviceCounters(client.pid, device) }),
    residentBytes: () => sum(residentBytesOf),
    close: async () => {
      await Promise.all([client, ...others].map((namespace) => namespace.close()));
    },
  };
}

/** Asks a server of `bench/targets`, over its standard input and output. */
export function questionsOf(server: Child): Required<Pick<RunningTarget, 'memory' | 'connections'>> {
  let asked = 0;
  const ask = async (what: string): Promise<MemoryReport> => {
    const question = `${what} ${asked++}`;
    server.stdin.write(`${question}\n`);
    const [, report] = await server.output(new RegExp(`^${question} (.*)$`, 'm'));
    return JSON.parse(report) as MemoryReport;
  };
  return {
    memory: async () => (await ask('memory')).bytes,
    connections: async () => (await ask('connections')).connections,
  };
}

/** Arguments that run one of `bench/targets` in this Node. */
export const nodeTarget = (file: string, ...args: string[]): string[] => [
  '--expose-gc',
  '--import=tsx',
  `bench/targets/${file}`,
  ...args,
];
