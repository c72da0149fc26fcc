/**
 * Where gateways are measured: a namespace that plays the host, a server across a veth pair from it, and a client
 * in a namespace that has nothing but the gateway.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Child, installed } from '../../test/support/child.js';
import { TestNamespace } from '../../test/support/netns.js';
import { compiled } from '../support/compile.js';
import { cpuSecondsOf } from '../support/process-cost.js';

/** Not the gateway of the host's link, which some gateways take for the host itself. */
export const SERVER = '198.51.100.1';
/** Longer than anything is measured. */
const LIMIT_MS = 60 * 60_000;
const START_MS = 60_000;

/** The host and the server, for all rows. */
export interface World {
  readonly host: TestNamespace;
  readonly server: TestNamespace;
  /** A `resolv.conf` that names the server. */
  readonly resolver: string;
  close(): Promise<void>;
}

/** A client's place, and what its way out has cost so far. */
export interface Way {
  readonly client: TestNamespace;
  /** Who answers questions for names. */
  readonly dns: string;
  cpuSeconds(): number;
  close(): Promise<void>;
}

export interface Row {
  readonly name: string;
  readonly title: string;
  /** The program it needs, and the package that has it. */
  readonly needs?: readonly [program: string, install: string];
  open(world: World): Promise<Way>;
}

/** Ports for all connections of a run: those of the run before would otherwise make each search for one longer. */
const PORTS =
  "sysctl -qw net.ipv4.ip_local_port_range='1024 65000' net.ipv4.tcp_tw_reuse=1 net.ipv4.tcp_max_tw_buckets=1000";

export async function openWorld(directory: string): Promise<World> {
  const host = await TestNamespace.create();
  const server = await host.neighbour();
  await host.shell(`
    ip link add eth0 type veth peer name eth0 netns ${server.pid}
    ip addr add 192.0.2.1/24 dev eth0; ip link set eth0 up; ip route add default via 192.0.2.2; ${PORTS}`);
  await server.shell(`
    ip addr add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip addr add ${SERVER}/32 dev lo
    ip route add default via 192.0.2.1; ${PORTS}`);
  server.spawn(await compiled('server'), [SERVER], { limitMs: LIMIT_MS });
  const dns = server.spawn(await compiled('dns'), ['serve', SERVER], { limitMs: LIMIT_MS });
  await dns.output(/ready/);
  mkdirSync(directory, { recursive: true });
  const resolver = resolve(directory, 'resolv.conf');
  writeFileSync(resolver, `nameserver ${SERVER}\n`);
  const close = async (): Promise<void> => {
    await server.close();
    await host.close();
  };
  return { host, server, resolver, close };
}

/** Runs a gateway on the host, with names asked for at the server, and waits until a client reaches the server. */
async function attached(world: World, dns: string, line: (pid: number) => string[]): Promise<Way> {
  const client = await world.host.neighbour();
  try {
    const script = `mount --bind '${world.resolver}' /etc/resolv.conf; exec "$@"`;
    const args = ['--mount', '--', 'sh', '-ec', script, 'sh', ...line(client.pid)];
    const gateway = world.host.spawn('unshare', args, { limitMs: LIMIT_MS });
    await reaches(client, gateway);
    await client.shell(PORTS);
    return {
      client,
      dns,
      cpuSeconds: () => cpuSecondsOf(gateway.pid),
      close: async () => {
        await gateway.kill('SIGTERM');
        await client.close();
      },
    };
  } catch (error) {
    await client.close();
    throw error;
  }
}

async function reaches(client: TestNamespace, gateway: Child): Promise<void> {
  const end = performance.now() + START_MS;
  const load = await compiled('load');
  for (;;) {
    const outcome = await client.spawn(load, ['rtt', SERVER, '0.05', '1'], { limitMs: 5000 }).ended;
    if (outcome.status === 0) return;
    if (performance.now() > end) {
      throw new Error(`nobody is reached: ${outcome.stderr.trim()} ${gateway.stderr.trim().slice(-500)}`);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

const pastaLine = (pid: number): string[] => {
  // It gives up its rights before it opens the namespace, which then has to be a file.
  const script =
    `f=$(mktemp); mount --bind /proc/${pid}/ns/net "$f"; ` +
    'exec pasta --config-net --runas 0:0 --netns-only -q -f --no-map-gw --dns-forward 192.0.2.53 --netns "$f"';
  return ['sh', '-ec', script];
};

export const ROWS: readonly Row[] = [
  {
    name: 'direct',
    title: 'no gateway: the host itself, over the veth pair',
    open: (world) =>
      Promise.resolve({
        client: world.host,
        dns: SERVER,
        cpuSeconds: () => 0,
        close: () => Promise.resolve(),
      }),
  },
  {
    name: 'tunstack',
    title: '`tunstack gateway`',
    open: (world) =>
      attached(world, '10.0.2.3', (pid) => [
        process.execPath,
        resolve('dist/cli/main.js'),
        'gateway',
        '--netns',
        String(pid),
      ]),
  },
  {
    name: 'slirp4netns',
    title: 'slirp4netns, MTU 65520',
    needs: ['slirp4netns', 'apt-get install slirp4netns'],
    open: (world) =>
      attached(world, '10.0.2.3', (pid) => [
        'slirp4netns',
        '--configure',
        '--mtu=65520',
        String(pid),
        'tap0',
      ]),
  },
  {
    name: 'pasta',
    title: 'pasta (passt), MTU 65520',
    needs: ['pasta', 'apt-get install passt'],
    open: (world) => attached(world, '192.0.2.53', pastaLine),
  },
];

/** Why a row cannot be measured here, if it cannot. */
export async function obstacleOf({ needs, name }: Row): Promise<string | undefined> {
  if (name === 'tunstack' && !existsSync('dist/cli/main.js')) return 'needs what npm run build:js makes';
  if (needs === undefined || (await installed(needs[0]))) return undefined;
  return `needs ${needs[1]}`;
}

/** Removes what a run wrote. */
export const forget = (directory: string): void => rmSync(directory, { recursive: true, force: true });
