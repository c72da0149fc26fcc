/**
 * A network namespace whose whole network is a stack, and what serves those inside, a gateway or a tunnel: nothing of
 * it has to exist before, and nothing stays.
 */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArgumentTypeError } from '../base/errors.js';
import { openPrivateTun, type PrivateTun, withResolver } from '../link/tun-private.js';
import { Stack } from '../stack/stack.js';
import { SystemClock } from '../stack/system-clock.js';
import { SystemRandom } from '../stack/system-random.js';

/** How a namespace is made whose network is a stack. */
export interface StackNamespaceOptions {
  /** Whether there is IPv6 inside; true by default. Whether it leads anywhere is up to what serves it. */
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

type Family = 4 | 6;

/** Addresses as slirp4netns has them, which programs and people know. */
export const INSIDE = { 4: '10.0.2.100', 6: 'fd00::100' } as const;
export const GATEWAY = { 4: '10.0.2.2', 6: 'fd00::2' } as const;
export const DNS = { 4: '10.0.2.3', 6: 'fd00::3' } as const;
const LENGTH = { 4: 24, 6: 64 } as const;
const DEFAULT_MTU = 65_520;

/** Versions of IP inside. */
export const familiesOf = ({ ipv6 = true }: StackNamespaceOptions): Family[] => (ipv6 ? [4, 6] : [4]);

/** What serves those inside. */
export interface Serving<Service> {
  /** Names it, in the paths of what it needs for a while. */
  readonly kind: 'gateway' | 'tunnel';
  /** Whether it has a name service, at the addresses of `DNS`. */
  readonly hasNames: boolean;
  /** Finds wrong options before there is anything to undo. @throws argument errors */
  check(stack: Stack): void;
  /** @param link the one those inside are on */
  open(stack: Stack, link: number): Service | Promise<Service>;
}

/** What is closed again with the namespace. */
interface Opened {
  readonly service?: { close(): void };
  readonly stack: Stack;
  readonly tun: PrivateTun;
  /** Where the `resolv.conf` lies that names the name service; absent where there is none. */
  readonly directory: string | undefined;
}

/** What a namespace consists of. */
export interface NamespaceParts<Service extends { close(): void }> extends Opened {
  readonly service: Service;
  readonly families: readonly Family[];
}

/**
 * A network namespace whose whole network is a stack.
 * @hideconstructor
 */
export abstract class StackNamespace {
  /** The stack between those inside and what serves them. */
  readonly stack: Stack;
  /** The namespace and the TUN in it. */
  readonly tun: PrivateTun;
  /** Addresses inside; the one of IPv6 is absent without it. */
  readonly inside: readonly string[];
  /** Where names are asked for; none without name service. */
  readonly resolvers: readonly string[];
  readonly #opened: Opened;

  /** @hidden */
  constructor(parts: NamespaceParts<{ close(): void }>) {
    const { stack, tun, families, directory } = parts;
    this.stack = stack;
    this.tun = tun;
    this.inside = families.map((family) => INSIDE[family]);
    this.resolvers = directory === undefined ? [] : families.map((family) => DNS[family]);
    this.#opened = parts;
  }

  /** The command line that runs a program inside, with the name service there is. */
  commandLine(command: string, args: readonly string[] = []): [command: string, args: string[]] {
    return this.tun.commandLine(...this.#withNames(command, args));
  }

  /** Starts a program inside, with the name service there is. What still runs at `close` is ended then. */
  run(command: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    return this.tun.run(...this.#withNames(command, args), options);
  }

  /** Ends what runs inside, what serves it, the stack and the namespace. May be called twice. */
  close(): Promise<void> {
    return close(this.#opened);
  }

  #withNames(command: string, args: readonly string[]): [command: string, args: readonly string[]] {
    const { directory } = this.#opened;
    if (directory === undefined) return [command, args];
    return ['unshare', withResolver(resolverIn(directory), command, args)];
  }
}

const OWN: ReadonlySet<string> = new Set<keyof StackNamespaceOptions>([
  'ipv6',
  'mtu',
  'within',
  'name',
  'busyPollUs',
]);

/** The options for what serves those inside, without those of the namespace. @throws ArgumentTypeError */
export function servingOptions<Options extends StackNamespaceOptions>(
  options: Options,
): Omit<Options, keyof StackNamespaceOptions> {
  if (options === null || typeof options !== 'object') {
    throw new ArgumentTypeError('the options of a namespace are an object');
  }
  const others = Object.entries(options).filter(([name]) => !OWN.has(name));
  return Object.fromEntries(others) as Omit<Options, keyof StackNamespaceOptions>;
}

/** Makes a namespace, with everything between it and what serves it. @throws as `openPrivateTun`, and what `serving` throws */
export async function openStackNamespace<Service extends { close(): void }>(
  options: StackNamespaceOptions,
  serving: Serving<Service>,
): Promise<NamespaceParts<Service>> {
  const { mtu = DEFAULT_MTU, name = 'tun0', within, busyPollUs } = options;
  const families = familiesOf(options);
  const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
  serving.check(stack);
  const tun = await openPrivateTun({
    name,
    mtu,
    address: families.map((family) => `${INSIDE[family]}/${LENGTH[family]}`),
    ...(busyPollUs === undefined ? {} : { busyPollUs }),
    ...(within === undefined ? {} : { within }),
  });
  let directory: string | undefined;
  try {
    for (const family of families) {
      tun.host.addRoute({ destination: 'default', gateway: GATEWAY[family], link: tun.device.name });
    }
    const own = families.flatMap((f) => [`${GATEWAY[f]}/${LENGTH[f]}`, `${DNS[f]}/${LENGTH[f]}`]);
    const link = stack.addLink(tun.device, { addresses: own, defaultRoute: true });
    stack.hold();
    if (serving.hasNames) {
      directory = mkdtempSync(join(tmpdir(), `tunstack-${serving.kind}-`));
      const lines = families.map((family) => `nameserver ${DNS[family]}\n`);
      writeFileSync(resolverIn(directory), lines.join(''), { mode: 0o644 });
    }
    const service = await serving.open(stack, link);
    return { service, stack, tun, families, directory };
  } catch (error) {
    await close({ stack, tun, directory });
    throw error;
  }
}

async function close({ service, stack, tun, directory }: Opened): Promise<void> {
  service?.close();
  stack.close();
  await tun.close();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
}

const resolverIn = (directory: string): string => join(directory, 'resolv.conf');
