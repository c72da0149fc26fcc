/** What `run`, `gateway` and `tun2socks` do with a namespace: run a program in it, or say how to enter it and stay. */
import { closeSync, writeSync } from 'node:fs';
import v8 from 'node:v8';
import type { PrivateTun } from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { CliError, UsageError } from '../frame/errors.js';
import { endLeftovers } from './leftovers.js';
import { runProgram } from './program.js';

/** A namespace that programs are started in: of a TUN, of a gateway or of a tunnel. */
export type Space = Pick<PrivateTun, 'run' | 'commandLine'>;

export interface Inside {
  readonly space: Space;
  /** Id of the process that holds the namespace. */
  readonly pid: number;
  /** Added to the environment of the program. */
  readonly env?: Readonly<Record<string, string>>;
  /** What there is, as `--json` tells it where there is no program. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** The same for people. */
  readonly rows: ReadonlyArray<readonly [name: string, texts: readonly string[]]>;
}

const NAME_COLUMN = 11;

/**
 * Checks a command line that may end with a program.
 * @param isElsewhere whether it is told to serve a namespace that is not made here
 */
export function checkProgram({ args, output }: CommandContext, isElsewhere = false): void {
  if (args.length === 0) return;
  if (isElsewhere) {
    throw new UsageError('a program runs in a namespace of its own; there is none to start elsewhere');
  }
  if (output.isJson) throw new UsageError("standard output is the program's; --json is for none");
}

/** What a gateway or a tunnel is told by its options, as both have them. */
export interface SpaceOptions {
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
  readonly dialTimeout: number;
  /** ms; 0 for never. */
  readonly tcpIdle: number;
  /** ms. */
  readonly udpIdle: number;
}

/** Those that say what may pass, by the names the library has for them. */
export const limitsOf = ({ icmp, maxTcp, maxUdp, dialTimeout, tcpIdle, udpIdle }: SpaceOptions) => ({
  icmp,
  maxTcp,
  maxUdp,
  dialMs: dialTimeout,
  tcpIdleMs: tcpIdle,
  udpIdleMs: udpIdle,
});

/** Those that say what the namespace is like, by the names the library has for them. */
export const placeOf = ({ ipv6, mtu, netns }: SpaceOptions) => ({
  ipv6,
  mtu,
  ...(netns === undefined ? {} : { within: /^\d+$/.test(netns) ? Number(netns) : netns }),
});

/** Bulk needs it: a dropped buffer is freed where the collector finds it, not by a thread that comes too late. */
export const sweepHere = (): void => v8.setFlagsFromString('--no-concurrent-array-buffer-sweeping');

/** Runs the program of the command line to its end, or stays until it is interrupted. @returns the exit status */
export async function serveInside(context: CommandContext, inside: Inside): Promise<number> {
  if (context.args.length > 0) {
    context.defer(() => endLeftovers(inside.pid));
    return runProgram(context, { space: inside.space, line: context.args, env: inside.env ?? {} });
  }
  describe(context, inside);
  await context.interrupted();
  return 0;
}

/** Tells how to get in. */
function describe({ output }: CommandContext, { space, pid, facts, rows }: Inside): void {
  const [command, line] = space.commandLine('sh');
  const enter = [command, ...line].map(quoted).join(' ');
  output.json({ pid, ...facts, enter });
  const all: Inside['rows'] = [...rows, ['process', [String(pid)]], ['enter', [enter]]];
  for (const [name, texts] of all) {
    if (texts.length > 0) output.line(`${`${name}:`.padEnd(NAME_COLUMN)}${texts.join(' and ')}`);
  }
  output.line('It stays until it is interrupted.');
}

/** As a shell reads it back. */
const quoted = (word: string): string =>
  /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** Others wait for this line before they begin. */
export function tellReady(fd: number | undefined): void {
  if (fd === undefined) return;
  try {
    writeSync(fd, '1\n');
    if (fd > 2) closeSync(fd);
  } catch (error) {
    throw new CliError(`--ready-fd ${fd}: ${(error as Error).message}`);
  }
}
