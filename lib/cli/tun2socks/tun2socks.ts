/** `tunstack tun2socks`: a program in a namespace whose way out is a SOCKS proxy. */
import v8 from 'node:v8';
import {
  HostNetwork,
  type NamespaceTunnel,
  openNamespaceTunnel,
  openSocksTunnel,
  type SocksTunnel,
  Stack,
  SystemClock,
  SystemRandom,
  TunDevice,
} from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { CliError, UsageError } from '../frame/errors.js';
import { runProgram } from '../run/program.js';

/** The options of `tun2socks`, parsed. */
export interface TunnelCommandOptions {
  readonly proxy?: string;
  /** False with `--no-dns`. */
  readonly dns: string | false;
  readonly udp: 'associate' | 'reject' | 'drop';
  readonly icmp: 'answer' | 'drop';
  readonly ipv6: boolean;
  /** A process id, or a file. */
  readonly netns?: string;
  readonly tun?: string;
  readonly fd?: number;
  /** Bytes. */
  readonly mtu: number;
  readonly stats: boolean;
  readonly maxTcp: number;
  readonly maxUdp: number;
  /** ms. */
  readonly dialTimeout: number;
  /** ms. */
  readonly tcpIdle: number;
  /** ms. */
  readonly udpIdle: number;
}

type Context = CommandContext<TunnelCommandOptions>;

export async function tunnelCommand(context: Context): Promise<number> {
  const { args, output, options } = context;
  const { netns, tun, fd } = options;
  // It may hold a password, which is not the program's business.
  delete process.env.TUNSTACK_PROXY;
  const isElsewhere = netns !== undefined || tun !== undefined || fd !== undefined;
  if (isElsewhere && args.length > 0) {
    throw new UsageError('a program runs in a namespace of its own; there is none to start elsewhere');
  }
  if (output.isJson && args.length > 0) {
    throw new UsageError("standard output is the program's; --stats prints JSON on standard error");
  }
  // Bulk needs it: a dropped buffer is freed where the collector finds it, not by a thread that comes too late.
  v8.setFlagsFromString('--no-concurrent-array-buffer-sweeping');
  try {
    if (tun !== undefined || fd !== undefined) return await serveTun(context);
    return await serveNamespace(context);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // What was typed can be wrong in ways only the tunnel knows.
    if (code.startsWith('ERR_INVALID_ARG') || code === 'ERR_OUT_OF_RANGE') {
      throw new UsageError((error as Error).message);
    }
    throw error;
  }
}

function tunnelOptions({ options }: Context) {
  const { proxy, dns, udp, icmp, maxTcp, maxUdp, dialTimeout, tcpIdle, udpIdle } = options;
  if (proxy === undefined) throw new UsageError('a proxy is needed: --proxy socks5://host:port');
  return {
    proxy,
    udp,
    icmp,
    maxTcp,
    maxUdp,
    dialMs: Math.max(1, dialTimeout),
    tcpIdleMs: tcpIdle,
    udpIdleMs: Math.max(1, udpIdle),
    ...(dns === false ? {} : { nameServer: dns }),
  };
}

async function serveNamespace(context: Context): Promise<number> {
  const { args, options } = context;
  const { ipv6, mtu, netns } = options;
  const space = await openNamespaceTunnel({
    ...tunnelOptions(context),
    ipv6,
    mtu,
    ...(netns === undefined ? {} : { within: /^\d+$/.test(netns) ? Number(netns) : netns }),
  });
  context.defer(() => space.close());
  if (args.length === 0) {
    describe(context, space);
    await context.interrupted();
    tellStats(context, space.tunnel);
    return 0;
  }
  const status = await runProgram(context, { tun: space, line: args, env: {} });
  tellStats(context, space.tunnel);
  return status;
}

/** A TUN of somebody's: what its addresses and routes are is his affair. */
async function serveTun(context: Context): Promise<number> {
  const { tun: name, fd } = context.options;
  const wishes = tunnelOptions(context);
  const device = fd === undefined ? openTun(name ?? '') : TunDevice.create({ fd });
  const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
  context.defer(() => stack.close());
  const link = stack.addLink(device);
  for (const destination of ['0.0.0.0/0', '::/0']) stack.routing.routes.add({ destination, port: link });
  stack.hold();
  context.defer(() => stack.release());
  const tunnel = openSocksTunnel({ ...wishes, stack, link });
  context.defer(() => tunnel.close());
  context.output.json({ tun: device.name });
  context.output.line(`serving ${device.name}; it stays until it is interrupted`);
  await context.interrupted();
  tellStats(context, tunnel);
  return 0;
}

/** @throws CliError where there is none: one made here would have neither addresses nor routes */
function openTun(name: string): TunDevice {
  const host = HostNetwork.open();
  try {
    if (host.link(name) === undefined) throw new CliError(`there is no TUN called ${name}`);
  } finally {
    host.close();
  }
  return TunDevice.create({ name });
}

function tellStats({ options, output }: Context, tunnel: SocksTunnel): void {
  if (options.stats) output.complain(JSON.stringify(tunnel.stats));
}

/** Tells how to get in. */
function describe({ output }: Context, space: NamespaceTunnel): void {
  const [command, line] = space.commandLine('sh');
  const enter = [command, ...line].map(quoted).join(' ');
  const { inside, resolvers } = space;
  output.json({ pid: space.tun.pid, inside, dns: resolvers, enter });
  output.line(`inside:   ${inside.join(' and ')}`);
  if (resolvers.length > 0) output.line(`names:    ${resolvers.join(' and ')}`);
  output.line(`process:  ${space.tun.pid}`);
  output.line(`enter:    ${enter}`);
  output.line('It stays until it is interrupted.');
}

/** As a shell reads it back. */
const quoted = (word: string): string =>
  /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
