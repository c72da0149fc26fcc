/** `tunstack gateway`: a program in a namespace whose way out is this process. */
import { closeSync, writeSync } from 'node:fs';
import v8 from 'node:v8';
import { type NamespaceGateway, openNamespaceGateway } from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { CliError, UsageError } from '../frame/errors.js';
import { runProgram } from '../run/program.js';

/** The options of `gateway`, parsed. */
export interface GatewayCommandOptions {
  readonly publish: readonly string[];
  readonly reach: readonly string[];
  readonly hostLoopback: boolean;
  readonly deny: readonly string[];
  /** False with `--no-dns`; true or an empty list for the host's own. */
  readonly dns?: readonly string[] | boolean;
  readonly ipv6: boolean;
  readonly icmp: 'answer' | 'drop';
  /** A process id, or a file. */
  readonly netns?: string;
  /** Bytes. */
  readonly mtu: number;
  readonly readyFd?: number;
  readonly stats: boolean;
  readonly maxTcp: number;
  readonly maxUdp: number;
  /** ms. */
  readonly tcpIdle: number;
  /** ms. */
  readonly udpIdle: number;
}

type Context = CommandContext<GatewayCommandOptions>;

export async function gatewayCommand(context: Context): Promise<number> {
  const { args, output, options } = context;
  if (options.netns !== undefined && args.length > 0) {
    throw new UsageError('a program runs in a namespace of its own; with --netns there is none to start');
  }
  if (output.isJson && args.length > 0) {
    throw new UsageError("standard output is the program's; --stats prints JSON on standard error");
  }
  // Bulk needs it: a dropped buffer is freed where the collector finds it, not by a thread that comes too late.
  v8.setFlagsFromString('--no-concurrent-array-buffer-sweeping');
  const space = await context.acquire(open(options), (opened) => opened.close());
  tellReady(options.readyFd);
  let status = 0;
  if (args.length > 0) status = await runProgram(context, { tun: space, line: args, env: {} });
  else {
    describe(context, space);
    await context.interrupted();
  }
  if (options.stats) output.complain(JSON.stringify(space.gateway.stats));
  return status;
}

async function open(options: GatewayCommandOptions): Promise<NamespaceGateway> {
  const { publish, hostLoopback, deny, dns, ipv6, icmp, netns, mtu, maxTcp, maxUdp } = options;
  try {
    return await openNamespaceGateway({
      publish,
      reach: options.reach,
      hostLoopback,
      deny,
      ipv6,
      icmp,
      mtu,
      maxTcp,
      maxUdp,
      tcpIdleMs: options.tcpIdle,
      udpIdleMs: Math.max(1, options.udpIdle),
      ...(netns === undefined ? {} : { within: /^\d+$/.test(netns) ? Number(netns) : netns }),
      ...(dns === false ? { dns: false } : {}),
      ...(Array.isArray(dns) && dns.length > 0 ? { dns: dns as string[] } : {}),
    });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // What was typed can be wrong in ways only the gateway knows.
    if (code.startsWith('ERR_INVALID_ARG') || code === 'ERR_OUT_OF_RANGE') {
      throw new UsageError((error as Error).message);
    }
    throw error;
  }
}

/** Others wait for this line before they begin. */
function tellReady(fd: number | undefined): void {
  if (fd === undefined) return;
  try {
    writeSync(fd, '1\n');
    if (fd > 2) closeSync(fd);
  } catch (error) {
    throw new CliError(`--ready-fd ${fd}: ${(error as Error).message}`);
  }
}

/** Tells how to get in. */
function describe({ output }: Context, space: NamespaceGateway): void {
  const [command, line] = space.commandLine('sh');
  const enter = [command, ...line].map(quoted).join(' ');
  const { inside, addresses, resolvers } = space;
  output.json({ pid: space.tun.pid, inside, gateway: addresses, dns: resolvers, enter });
  output.line(`inside:   ${inside.join(' and ')}`);
  output.line(`gateway:  ${addresses.join(' and ')}`);
  if (resolvers.length > 0) output.line(`names:    ${resolvers.join(' and ')}`);
  output.line(`process:  ${space.tun.pid}`);
  output.line(`enter:    ${enter}`);
  output.line('It stays until it is interrupted.');
}

/** As a shell reads it back. */
const quoted = (word: string): string =>
  /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
