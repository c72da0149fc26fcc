/** A network namespace whose whole network is a gateway: nothing of it has to exist before, and nothing stays. */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArgumentTypeError } from '../base/errors.js';
import { openPrivateTun, type PrivateTun, withResolver } from '../link/tun-private.js';
import { Stack } from '../stack/stack.js';
import { SystemClock } from '../stack/system-clock.js';
import { SystemRandom } from '../stack/system-random.js';
import { type Gateway, openGateway } from './gateway.js';
import type { GatewayOptions } from './options.js';
import { parseForward } from './places.js';

/** What a namespace with a gateway is made with. */
export interface NamespaceGatewayOptions
  extends Omit<GatewayOptions, 'stack' | 'link' | 'hostLoopback' | 'dns' | 'inside'> {
  /** Whether the gateway's own addresses lead to the host's loopback, 127.0.0.1 and ::1; false by default. */
  readonly hostLoopback?: boolean;
  /** Name servers to ask, the host's own by default; false for no name service. */
  readonly dns?: readonly string[] | false;
  /** Whether there is IPv6 inside; true by default. Whether it leads anywhere is up to the host. */
  readonly ipv6?: boolean;
  /** Largest packet inside, bytes; 65,520 by default, as nothing on the way is smaller than a socket's buffer. */
  readonly mtu?: number;
  /** Joins a namespace instead of making one, as `openPrivateTun` has it; what its `resolv.conf` says is its own affair. */
  readonly within?: number | string;
  /** Name of the interface inside; `tun0` by default. */
  readonly name?: string;
  /** As for a TUN (`TunOptions`), where the host's sockets are looked at too; 200 µs by default, 0 on one processor. */
  readonly busyPollUs?: number;
}

/** Addresses as slirp4netns has them, which programs and people know. */
const INSIDE = { 4: '10.0.2.100', 6: 'fd00::100' } as const;
const GATEWAY = { 4: '10.0.2.2', 6: 'fd00::2' } as const;
const DNS = { 4: '10.0.2.3', 6: 'fd00::3' } as const;
const LENGTH = { 4: 24, 6: 64 } as const;
const DEFAULT_MTU = 65_520;

/**
 * A network namespace with a gateway: made by `openNamespaceGateway`.
 * @hideconstructor
 */
export class NamespaceGateway {
  /** The gateway, with its counters. */
  readonly gateway: Gateway;
  /** The stack between. */
  readonly stack: Stack;
  /** The namespace and the TUN in it. */
  readonly tun: PrivateTun;
  /** Addresses inside; the one of IPv6 is absent without it. */
  readonly inside: readonly string[];
  /** The gateway's own addresses. */
  readonly addresses: readonly string[];
  /** Where names are asked for; none without name service. */
  readonly resolvers: readonly string[];
  readonly #directory: string;
  readonly #resolver: string | undefined;

  /** @hidden */
  constructor(parts: Parts) {
    this.gateway = parts.gateway;
    this.stack = parts.stack;
    this.tun = parts.tun;
    this.inside = parts.families.map((family) => INSIDE[family]);
    this.addresses = parts.families.map((family) => GATEWAY[family]);
    this.resolvers = parts.resolver === undefined ? [] : parts.families.map((family) => DNS[family]);
    this.#directory = parts.directory;
    this.#resolver = parts.resolver;
  }

  /** The command line that runs a program inside, with the name service of the gateway. */
  commandLine(command: string, args: readonly string[] = []): [command: string, args: string[]] {
    if (this.#resolver === undefined) return this.tun.commandLine(command, args);
    return this.tun.commandLine('unshare', withResolver(this.#resolver, command, args));
  }

  /** Starts a program inside, with the name service of the gateway. What still runs at `close` is ended then. */
  run(command: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    if (this.#resolver === undefined) return this.tun.run(command, args, options);
    return this.tun.run('unshare', withResolver(this.#resolver, command, args), options);
  }

  /** Ends what runs inside, the gateway, the stack and the namespace. May be called twice. */
  async close(): Promise<void> {
    this.gateway.close();
    if (!this.stack.isClosed) {
      this.stack.release();
      this.stack.close();
    }
    await this.tun.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

interface Parts {
  readonly gateway: Gateway;
  readonly stack: Stack;
  readonly tun: PrivateTun;
  readonly families: readonly (4 | 6)[];
  readonly directory: string;
  readonly resolver: string | undefined;
}

/** A round trip goes through the host and back before the next packet comes: longer than one to the stack itself. */
const BUSY_POLL_US = availableParallelism() > 1 ? 200 : 0;

/**
 * Makes a network namespace, as root or as an ordinary user, and a gateway for it. Inside, the interface has
 * 10.0.2.100 and fd00::100; the gateway is 10.0.2.2 and fd00::2, and the name service 10.0.2.3 and fd00::3. The
 * process lives until `close`.
 * @throws as `openPrivateTun` and `openGateway`
 */
export async function openNamespaceGateway(options: NamespaceGatewayOptions = {}): Promise<NamespaceGateway> {
  if (options === null || typeof options !== 'object') {
    throw new ArgumentTypeError('the options of a gateway are an object');
  }
  const { hostLoopback = false, dns, ipv6 = true, mtu, name, busyPollUs, within, ...rest } = options;
  const families: (4 | 6)[] = ipv6 ? [4, 6] : [4];
  const address = families.map((family) => `${INSIDE[family]}/${LENGTH[family]}`);
  const tun = await openPrivateTun({
    name: name ?? 'tun0',
    mtu: mtu ?? DEFAULT_MTU,
    busyPollUs: busyPollUs ?? BUSY_POLL_US,
    address,
    ...(within === undefined ? {} : { within }),
  });
  const directory = mkdtempSync(join(tmpdir(), 'tunstack-gateway-'));
  let stack: Stack | undefined;
  try {
    for (const family of families) {
      tun.host.addRoute({ destination: 'default', gateway: GATEWAY[family], link: tun.device.name });
    }
    stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
    const own = families.flatMap((f) => [`${GATEWAY[f]}/${LENGTH[f]}`, `${DNS[f]}/${LENGTH[f]}`]);
    const link = stack.addLink(tun.device, { addresses: own, defaultRoute: true });
    stack.hold();
    const gateway = await openGateway({
      ...rest,
      reach: (rest.reach ?? []).flatMap((text) => atGateway(text, families)),
      stack,
      link,
      inside: families.map((f) => INSIDE[f]),
      hostLoopback: hostLoopback ? families.map((f) => GATEWAY[f]) : [],
      ...(dns === false
        ? {}
        : { dns: { addresses: families.map((f) => DNS[f]), ...(dns && { servers: dns }) } }),
    });
    const resolver = dns === false ? undefined : writeResolver(directory, families);
    return new NamespaceGateway({ gateway, stack, tun, families, directory, resolver });
  } catch (error) {
    stack?.release();
    stack?.close();
    await tun.close();
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** A port to reach the host by, at each of the gateway's addresses unless one is named. */
function atGateway(text: string, families: readonly (4 | 6)[]): string[] {
  if (parseForward(text).from.address !== '') return [text];
  return families.map((family) => (family === 4 ? `${GATEWAY[4]}:${text}` : `[${GATEWAY[6]}]:${text}`));
}

function writeResolver(directory: string, families: readonly (4 | 6)[]): string {
  const file = join(directory, 'resolv.conf');
  writeFileSync(file, families.map((family) => `nameserver ${DNS[family]}\n`).join(''), { mode: 0o644 });
  return file;
}
