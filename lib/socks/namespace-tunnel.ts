/** A network namespace whose whole network is a tunnel: nothing of it has to exist before, and nothing stays. */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { openPrivateTun, type PrivateTun, withResolver } from '../link/tun-private.js';
import { Stack } from '../stack/stack.js';
import { SystemClock } from '../stack/system-clock.js';
import { SystemRandom } from '../stack/system-random.js';
import type { SocksTunnelOptions } from './options.js';
import { openSocksTunnel, type SocksTunnel } from './tunnel.js';

/** What a namespace with a tunnel is made with. */
export interface NamespaceTunnelOptions extends Omit<SocksTunnelOptions, 'stack' | 'link'> {
  /** Whether there is IPv6 inside; true by default. Whether it leads anywhere is up to the proxy. */
  readonly ipv6?: boolean;
  /** Largest packet inside, bytes; 65,520 by default, as nothing on the way is smaller than a socket's buffer. */
  readonly mtu?: number;
  /** Joins a namespace instead of making one, as `openPrivateTun` has it; what its `resolv.conf` says is its own affair. */
  readonly within?: number | string;
  /** Name of the interface inside; `tun0` by default. */
  readonly name?: string;
}

/** Addresses as slirp4netns has them, which programs and people know. */
const INSIDE = { 4: '10.0.2.100', 6: 'fd00::100' } as const;
const GATEWAY = { 4: '10.0.2.2', 6: 'fd00::2' } as const;
const DNS = { 4: '10.0.2.3', 6: 'fd00::3' } as const;
const LENGTH = { 4: 24, 6: 64 } as const;
const DEFAULT_MTU = 65_520;

interface Parts {
  readonly tunnel: SocksTunnel;
  readonly stack: Stack;
  readonly tun: PrivateTun;
  readonly families: readonly (4 | 6)[];
  readonly directory: string;
  readonly resolver: string | undefined;
}

/**
 * A network namespace with a tunnel: made by `openNamespaceTunnel`.
 * @hideconstructor
 */
export class NamespaceTunnel {
  /** The tunnel, with its counters. */
  readonly tunnel: SocksTunnel;
  /** The stack between. */
  readonly stack: Stack;
  /** The namespace and the TUN in it. */
  readonly tun: PrivateTun;
  /** Addresses inside; the one of IPv6 is absent without it. */
  readonly inside: readonly string[];
  /** Where names are asked for; none without `nameServer`. */
  readonly resolvers: readonly string[];
  readonly #directory: string;
  readonly #resolver: string | undefined;

  /** @hidden */
  constructor(parts: Parts) {
    this.tunnel = parts.tunnel;
    this.stack = parts.stack;
    this.tun = parts.tun;
    this.inside = parts.families.map((family) => INSIDE[family]);
    this.resolvers = parts.resolver === undefined ? [] : parts.families.map((family) => DNS[family]);
    this.#directory = parts.directory;
    this.#resolver = parts.resolver;
  }

  /** The command line that runs a program inside, with the name service of the tunnel. */
  commandLine(command: string, args: readonly string[] = []): [command: string, args: string[]] {
    if (this.#resolver === undefined) return this.tun.commandLine(command, args);
    return this.tun.commandLine('unshare', withResolver(this.#resolver, command, args));
  }

  /** Starts a program inside, with the name service of the tunnel. What still runs at `close` is ended then. */
  run(command: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    if (this.#resolver === undefined) return this.tun.run(command, args, options);
    return this.tun.run('unshare', withResolver(this.#resolver, command, args), options);
  }

  /** Ends what runs inside, the tunnel, the stack and the namespace. May be called twice. */
  async close(): Promise<void> {
    this.tunnel.close();
    if (!this.stack.isClosed) {
      this.stack.release();
      this.stack.close();
    }
    await this.tun.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/**
 * Makes a network namespace, as root or as an ordinary user, whose way out is a tunnel through a SOCKS proxy. Inside,
 * the interface has 10.0.2.100 and fd00::100; with `nameServer`, names are asked for at 10.0.2.3 and fd00::3. The
 * process lives until `close`.
 * @throws as `openPrivateTun` and `openSocksTunnel`
 */
export async function openNamespaceTunnel(options: NamespaceTunnelOptions): Promise<NamespaceTunnel> {
  if (options === null || typeof options !== 'object') {
    throw new ArgumentTypeError('the options of a tunnel are an object');
  }
  const { ipv6 = true, mtu = DEFAULT_MTU, name = 'tun0', within, ...rest } = options;
  if ('stack' in rest || 'link' in rest) throw new ArgumentValueError('a namespace has a stack of its own');
  const families: (4 | 6)[] = ipv6 ? [4, 6] : [4];
  const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
  let tun: PrivateTun | undefined;
  let directory: string | undefined;
  try {
    // Wrong options are found before there is anything to undo.
    openSocksTunnel({ ...rest, stack }).close();
    tun = await openPrivateTun({
      name,
      mtu,
      address: families.map((family) => `${INSIDE[family]}/${LENGTH[family]}`),
      ...(within === undefined ? {} : { within }),
    });
    for (const family of families) {
      tun.host.addRoute({ destination: 'default', gateway: GATEWAY[family], link: tun.device.name });
    }
    const own = families.flatMap((f) => [`${GATEWAY[f]}/${LENGTH[f]}`, `${DNS[f]}/${LENGTH[f]}`]);
    const link = stack.addLink(tun.device, { addresses: own, defaultRoute: true });
    stack.hold();
    const tunnel = openSocksTunnel({ ...rest, stack, link });
    directory = mkdtempSync(join(tmpdir(), 'tunstack-tunnel-'));
    const resolver = rest.nameServer === undefined ? undefined : writeResolver(directory, families);
    return new NamespaceTunnel({ tunnel, stack, tun, families, directory, resolver });
  } catch (error) {
    if (!stack.isClosed) stack.close();
    await tun?.close();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

function writeResolver(directory: string, families: readonly (4 | 6)[]): string {
  const file = join(directory, 'resolv.conf');
  writeFileSync(file, families.map((family) => `nameserver ${DNS[family]}\n`).join(''), { mode: 0o644 });
  return file;
}
