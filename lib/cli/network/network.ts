/** Opens the network a command asks for, and has it put back when the command ends. */
import {
  type DirectionOptions,
  EmulatedLink,
  HostNetwork,
  type LinkDevice,
  openPrivateTun,
  PcapDevice,
  PcapngWriter,
  type PrivateTun,
  SeededRandom,
  Stack,
  SystemClock,
  SystemRandom,
  type TcpOptions,
  TunDevice,
  type TunOptions,
} from '../../index.js';
import { CaptureFile } from '../capture/file.js';
import type { CommandContext } from '../frame/context.js';
import { CliError, UsageError } from '../frame/errors.js';
import { openedNetwork } from './obstacle.js';
import type { NetworkOptions } from './options.js';

/** The stack's addresses in a private namespace, and the kernel's. */
export const PRIVATE_ADDRESSES = ['10.0.0.1/24', 'fd00::1/64'] as const;
export const PRIVATE_HOST_ADDRESSES = ['10.0.0.2/24', 'fd00::2/64'] as const;

/** What overtakes a packet overtakes it by so much, ms. */
const REORDER_DELAY_MS = 10;

/** A stack on a link. */
export interface Network {
  readonly clock: SystemClock;
  readonly stack: Stack;
  /** Index of the link. */
  readonly link: number;
  readonly kind: 'private' | 'tun' | 'descriptor' | 'host';
  /** Name of the interface. */
  readonly name: string;
  /** The namespace, where it is a private one. */
  readonly tun?: PrivateTun;
  /** The stack's addresses, without lengths. */
  readonly addresses: readonly string[];
  /** The kernel's as far as they were set here, without lengths. */
  readonly hostAddresses: readonly string[];
}

/** What a link is made of. */
export interface Opened {
  readonly device: LinkDevice;
  readonly kind: Network['kind'];
  readonly tun?: PrivateTun;
  readonly addresses: readonly string[];
  readonly hostAddresses: readonly string[];
}

/** What a command adds to what is on its command line. */
export interface NetworkExtras {
  /** Puts something around the device before the stack has it, beside emulation and capture. */
  wrap?(this: void, device: LinkDevice, clock: SystemClock): LinkDevice;
  /** Settings of TCP connections. */
  readonly tcp?: Partial<TcpOptions>;
  /** The network where none is asked for; `private` by default. */
  readonly fallback?: 'private' | 'host';
  /** With `host`: ports of the host's loopback that lead to the stack, such as `7000:7000/udp`. */
  readonly publish?: readonly string[];
}

/**
 * Opens it; the clean-ups of `context` put everything back.
 * @throws CliError in a sentence, UsageError for options that do not go together, Interrupted
 */
export async function openNetwork(
  context: CommandContext,
  options: NetworkOptions,
  extras: NetworkExtras = {},
): Promise<Network> {
  const { wrap = (device) => device, tcp = {} } = extras;
  checkOptions(options);
  const emulation = directionOf(options);
  const { dns = [] } = options;
  const clock = new SystemClock();
  const record = options.capture === undefined ? undefined : openRecorder(context, options.capture, clock);
  const opened = await openedNetwork(openLink(context, options, { ...extras, clock }));
  const stack = new Stack({
    clock,
    random: new SystemRandom(),
    tcp: { connection: tcp },
    ...(dns.length > 0 ? { dns: { servers: dns } } : {}),
  });
  context.defer(() => stack.close());
  const emulated = emulate(opened.device, emulation, { clock, seed: options.seed });
  const wrapped = wrap(emulated, clock);
  const device = record === undefined ? wrapped : record(wrapped);
  // What is raw waits for packets only if somebody says so.
  stack.hold();
  const link = stack.addLink(device, { addresses: opened.addresses, defaultRoute: true });
  context.signal.throwIfAborted();
  const { kind, tun } = opened;
  return {
    clock,
    stack,
    link,
    kind,
    name: opened.device.name,
    ...(tun === undefined ? {} : { tun }),
    addresses: opened.addresses.map(withoutLength),
    hostAddresses: opened.hostAddresses.map(withoutLength),
  };
}

/** The address of the stack of a family, if it has one. */
export const addressOf = (addresses: readonly string[], family: 4 | 6): string | undefined =>
  addresses.find((address) => address.includes(':') === (family === 6));

const withoutLength = (address: string): string => address.slice(0, address.indexOf('/'));

function checkOptions({ tun, fd, netns, address, hostAddress }: NetworkOptions): void {
  const isOwn = tun === undefined && fd === undefined;
  if (netns !== undefined && tun === undefined)
    throw new UsageError('--netns says where the TUN of --tun is');
  if (!isOwn && address.length === 0) {
    throw new UsageError(
      `the stack needs an --address of its own on ${tun === undefined ? 'that descriptor' : tun}`,
    );
  }
  if (fd !== undefined && hostAddress.length > 0) {
    throw new UsageError('--host-address is for a TUN that is made here, not for --fd');
  }
}

/** Opens the file of `--capture`. @returns what puts a recorder around a link */
function openRecorder(
  context: CommandContext,
  path: string,
  clock: SystemClock,
): (device: LinkDevice) => LinkDevice {
  if (path === '-') throw new UsageError('a capture on standard output is made by tunstack capture -w -');
  const file = new CaptureFile(path);
  // Its last words are the statistics of a link that is closed.
  context.defer(() => file.close());
  const writer = new PcapngWriter((chunk) => file.write(chunk));
  const epochUs = Date.now() * 1000 - clock.nowUs();
  return (device) => new PcapDevice(device, { clock, epochUs, writer });
}

async function openLink(
  context: CommandContext,
  options: NetworkOptions,
  { fallback = 'private', publish = [], clock }: NetworkExtras & { readonly clock: SystemClock },
): Promise<Opened> {
  if (isHostAsked(options, fallback)) {
    if (options.address.length + options.hostAddress.length > 0) {
      throw new UsageError('--address and --host-address are for --private and --tun');
    }
    // The gateway is loaded where it is used.
    const { openHostDoor } = await import('./host-door.js');
    return openHostDoor(context, { clock, publish, ...mtuOf(options) });
  }
  if (options.tun !== undefined) return openNamedTun(context, options.tun, options);
  if (options.fd !== undefined) return adopt(context, options.fd, options);
  return openPrivate(context, options);
}

const isHostAsked = (
  { viaHost = false, private: isPrivate = false, tun, fd }: NetworkOptions,
  fallback: 'private' | 'host',
): boolean => viaHost || (fallback === 'host' && !isPrivate && (tun ?? fd) === undefined);

const mtuOf = ({ mtu }: NetworkOptions): { mtu?: number } => (mtu === undefined ? {} : { mtu });

async function openPrivate(context: CommandContext, options: NetworkOptions): Promise<Opened> {
  const given = options.address.length > 0 || options.hostAddress.length > 0;
  // What is smaller has no IPv6 (RFC 8200 §5).
  const families = (options.mtu ?? 1500) < 1280 ? 1 : 2;
  const addresses = given ? options.address : PRIVATE_ADDRESSES.slice(0, families);
  const hostAddresses = given ? options.hostAddress : PRIVATE_HOST_ADDRESSES.slice(0, families);
  if (addresses.length === 0 || hostAddresses.length === 0) {
    throw new UsageError('--address and --host-address go together: both sides need one');
  }
  const opening = openPrivateTun({ name: 'tun0', address: hostAddresses, ...mtuOf(options) });
  const tun = await context.acquire(opening, (opened) => opened.close());
  // What runs inside finds everything behind the stack.
  for (const family of [4, 6] as const) {
    if (addressOf(hostAddresses, family) === undefined) continue;
    tun.host.addRoute({ destination: 'default', family, link: tun.device.name });
  }
  return { device: tun.device, kind: 'private', tun, addresses, hostAddresses };
}

/** Makes a TUN that ends with us, or takes the one that is there and leaves it as it was. */
function openNamedTun(context: CommandContext, name: string, options: NetworkOptions): Opened {
  const { address: addresses, hostAddress: hostAddresses, netns } = options;
  const host = HostNetwork.open(netns === undefined ? {} : { netns });
  context.defer(() => host.close());
  const before = host.link(name);
  const place = netns === undefined ? {} : { netns };
  if (before === undefined) {
    const device = TunDevice.create({ name, host, address: hostAddresses, ...place, ...mtuOf(options) });
    context.defer(() => device.close());
    return { device, kind: 'tun', addresses, hostAddresses };
  }
  const device = takeTun(name, { ...place, ...mtuOf(options) });
  context.defer(() => device.close());
  if (options.mtu !== undefined) context.defer(() => host.setLink(name, { mtu: before.mtu }));
  const had = new Set(host.listAddresses(name).map((known) => known.address));
  for (const address of hostAddresses) {
    if (had.has(address)) continue;
    host.addAddress(name, address);
    context.defer(() => host.removeAddress(name, address));
  }
  if (!before.up) throw new CliError(`${name} is down: ip link set ${name} up`);
  return { device, kind: 'tun', addresses, hostAddresses };
}

/** Opens an interface that is there. An ordinary user may do so where it was made for him, and change nothing about it. */
export function takeTun(name: string, wishes: Pick<TunOptions, 'netns' | 'mtu'> = {}): TunDevice {
  const untouched = { mtu: undefined, ...wishes, name, up: undefined, txQueueLength: undefined };
  return TunDevice.create(untouched as unknown as TunOptions);
}

function adopt(context: CommandContext, fd: number, options: NetworkOptions): Opened {
  const device = TunDevice.create({ fd, ...mtuOf(options) });
  context.defer(() => device.close());
  return { device, kind: 'descriptor', addresses: options.address, hostAddresses: [] };
}

/** The link, made worse where that was asked for. */
function emulate(
  device: LinkDevice,
  direction: DirectionOptions,
  { clock, seed }: { readonly clock: SystemClock; readonly seed: number },
): LinkDevice {
  if (Object.keys(direction).length === 0) return device;
  const random = new SeededRandom(seed);
  return new EmulatedLink(device, { clock, random, outgoing: direction, incoming: direction });
}

/** @throws UsageError */
function directionOf(options: NetworkOptions): DirectionOptions {
  const { delay, jitter, loss, duplicate, corrupt, reorder, rate, queue } = options;
  if (queue !== undefined && rate === undefined) {
    throw new UsageError('--queue needs a --rate: only a limited speed makes a queue');
  }
  const given = {
    delayMs: delay,
    jitterMs: jitter,
    loss,
    duplicate,
    corrupt,
    reorder: reorder === undefined ? undefined : { probability: reorder, delayMs: REORDER_DELAY_MS },
    rateBps: rate,
    queuePackets: queue,
  };
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries);
}
