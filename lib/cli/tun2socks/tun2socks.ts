/** `tunstack tun2socks`: a program in a namespace whose way out is a SOCKS proxy. */
import {
  HostNetwork,
  openNamespaceTunnel,
  openSocksTunnel,
  type SocksTunnel,
  type SocksTunnelOptions,
  Stack,
  SystemClock,
  SystemRandom,
  TunDevice,
} from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { CliError, UsageError } from '../frame/errors.js';
import { takeTun } from '../network/network.js';
import { openedNetwork } from '../network/obstacle.js';
import {
  checkProgram,
  limitsOf,
  placeOf,
  type SpaceOptions,
  serveInside,
  sweepHere,
  tellReady,
} from '../run/inside.js';

/** The options of `tun2socks`, parsed. */
export interface TunnelCommandOptions extends SpaceOptions {
  readonly proxy?: string;
  /** False with `--no-dns`. */
  readonly dns: string | false;
  readonly udp: 'associate' | 'reject' | 'drop';
  readonly tun?: string;
  readonly fd?: number;
}

type Context = CommandContext<TunnelCommandOptions>;
type Wishes = Omit<SocksTunnelOptions, 'stack' | 'link'>;

export function tunnelCommand(context: Context): Promise<number> {
  const { netns, tun, fd } = context.options;
  // It may hold a password, which is not the program's business.
  delete process.env.TUNSTACK_PROXY;
  const isTun = tun !== undefined || fd !== undefined;
  checkProgram(context, isTun || netns !== undefined);
  const wishes = wishesOf(context.options);
  sweepHere();
  return isTun ? serveTun(context, wishes) : serveNamespace(context, wishes);
}

function wishesOf(options: TunnelCommandOptions): Wishes {
  const { proxy, dns, udp } = options;
  if (proxy === undefined) throw new UsageError('a proxy is needed: --proxy socks5://host:port');
  return { proxy, udp, ...limitsOf(options), ...(dns === false ? {} : { nameServer: dns }) };
}

async function serveNamespace(context: Context, wishes: Wishes): Promise<number> {
  const { options } = context;
  const opening = openNamespaceTunnel({ ...wishes, ...placeOf(options) });
  const space = await openedNetwork(context.acquire(opening, (opened) => opened.close()));
  tellReady(options.readyFd);
  const { inside, resolvers, tun } = space;
  const status = await serveInside(context, {
    space,
    pid: tun.pid,
    facts: { inside, dns: resolvers },
    rows: [
      ['inside', inside],
      ['names', resolvers],
    ],
  });
  tellStats(context, space.tunnel);
  return status;
}

/** A TUN of somebody's: what its addresses and routes are is his affair. */
async function serveTun(context: Context, wishes: Wishes): Promise<number> {
  const { options, output } = context;
  const { device, tunnel } = await openedNetwork(openOnTun(context, wishes));
  tellReady(options.readyFd);
  output.json({ tun: device.name });
  output.line(`serving ${device.name}; it stays until it is interrupted`);
  await context.interrupted();
  tellStats(context, tunnel);
  return 0;
}

async function openOnTun(
  context: Context,
  wishes: Wishes,
): Promise<{ device: TunDevice; tunnel: SocksTunnel }> {
  const { tun: name = '', fd } = context.options;
  const device = fd === undefined ? openTun(name) : TunDevice.create({ fd });
  context.defer(() => device.close());
  const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
  context.defer(() => stack.close());
  const link = stack.addLink(device);
  for (const destination of ['0.0.0.0/0', '::/0']) stack.routing.routes.add({ destination, port: link });
  stack.hold();
  const tunnel = openSocksTunnel({ ...wishes, stack, link });
  context.defer(() => tunnel.close());
  return { device, tunnel };
}

/** @throws CliError where there is none: one made here would have neither addresses nor routes */
function openTun(name: string): TunDevice {
  const host = HostNetwork.open();
  try {
    if (host.link(name) === undefined) throw new CliError(`there is no TUN called ${name}`);
  } finally {
    host.close();
  }
  return takeTun(name);
}

function tellStats({ options, output }: Context, tunnel: SocksTunnel): void {
  if (options.stats) output.complain(JSON.stringify(tunnel.stats));
}
