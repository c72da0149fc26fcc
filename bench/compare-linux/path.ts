/** One run: the namespaces, the path between them, its receiver and its senders, all made anew. */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { DEFAULT_TCP_OPTIONS } from '../../lib/tcp/options.js';
import { Child } from '../../test/support/child.js';
import { TestNamespace } from '../../test/support/netns.js';
import { compiledFrom } from '../support/compile.js';
import type { PathOptions, PathReport } from './emulated-path.js';
import type { SenderReport } from './our-sender.js';

export type Who = 'kernel' | 'ours';

export interface RunOptions {
  readonly path: PathOptions;
  /** Congestion control of all senders. */
  readonly control: string;
  /** In the order in which they start. */
  readonly senders: readonly Who[];
  /** Who receives; ours counts from the first connection on. */
  readonly receiver: Who;
  /** From the last connection to the beginning of the measurement, and how long it lasts, s. */
  readonly warmSeconds: number;
  readonly seconds: number;
}

export interface SenderResult extends SenderReport {
  readonly who: Who;
  readonly goodputMbps: number;
}

export interface RunResult {
  readonly senders: readonly SenderResult[];
  readonly relay: PathReport;
}

export interface SinkReport {
  readonly seconds: number;
  readonly flows: readonly { readonly peer: string; readonly bytes: number }[];
}

const PORT = 7009;
const KERNEL_RECEIVER = '10.98.0.2';
const OUR_RECEIVER = '10.97.0.2';
const OUR_ADDRESS = '10.99.0.2';
/** Time between the starts of two senders. */
const STAGGER_MS = 500;

type CommandLine = [command: string, args: string[]];

const node = (file: string, ...args: string[]): CommandLine => [
  process.execPath,
  ['--import=tsx', `bench/compare-linux/${file}`, ...args],
];

/**
 * The path's main thread has a processor to itself, and V8's threads beside it any other; both ends have the rest.
 * Left to itself Linux may keep our sender waiting on the processor that the path never leaves.
 */
const PATH_PROCESSOR = availableParallelism() - 1;
const ENDS_PROCESSORS = `0-${PATH_PROCESSOR - 1}`;

const besidePath = (...command: string[]): CommandLine => [
  'taskset',
  ['--cpu-list', ENDS_PROCESSORS, ...command],
];

/**
 * Ahead of what else the machine does: the path first, then the kernel's ends, which never spin. Our sender waits
 * by spinning, so it comes before others but not in real time: with all processors taken for ever Linux would
 * stop the path for 50 ms of each second to let the others live.
 */
const ahead = {
  path: ([command, args]: CommandLine): CommandLine => ['chrt', ['--rr', '2', command, ...args]],
  kernel: ([command, args]: CommandLine) => besidePath('chrt', '--rr', '1', command, ...args),
  ours: ([command, args]: CommandLine) => besidePath('nice', '-n', '-20', command, ...args),
} as const;

export async function runOnce(options: RunOptions): Promise<RunResult> {
  const limitMs = (options.warmSeconds + options.seconds + 40) * 1000;
  const program = await compiledFrom('bench/compare-linux/kernel-ends.c');
  const [senders, receiver] = await Promise.all([TestNamespace.create(), TestNamespace.create()]);
  const children: Child[] = [];
  const start = (part: keyof typeof ahead, command: CommandLine, openStdin = false): Child => {
    const child = new Child(...ahead[part](command), { limitMs, openStdin });
    children.push(child);
    return child;
  };
  try {
    const relayCommand = node('relay.ts', senders.path, receiver.path, JSON.stringify(options.path));
    const relay = start('path', relayCommand, true);
    await relay.output(/ready/);
    execFileSync('taskset', ['--cpu-list', '--pid', String(PATH_PROCESSOR), String(relay.pid)], {
      stdio: 'ignore',
    });
    // What our stack sends is forwarded by the kernel beside its own.
    await senders.shell('sysctl -qw net.ipv4.ip_forward=1');
    // Neither sender is to be held by its buffer: the kernel's may grow as far as ours does, and as its receiver's.
    await senders.shell(`sysctl -qw net.ipv4.tcp_wmem='4096 16384 ${DEFAULT_TCP_OPTIONS.sendBufferBytes}'`);
    await receiver.shell('sysctl -qw net.ipv4.ip_forward=1; ip route add 10.99.0.0/24 dev wire0');
    await senders.shell('ip route add 10.97.0.0/24 dev wire0');
    const times = [options.warmSeconds, options.seconds].map(String);
    const sinkArgs = ['sink', KERNEL_RECEIVER, String(PORT), String(options.senders.length), ...times];
    const isKernel = options.receiver === 'kernel';
    const sink = isKernel
      ? start('kernel', receiver.commandLine(program, sinkArgs))
      : start('ours', node('our-receiver.ts', receiver.path, OUR_RECEIVER, String(PORT), times[1]));
    const destination = isKernel ? KERNEL_RECEIVER : OUR_RECEIVER;
    await sink.output(/listening/);
    const running: { who: Who; child: Child }[] = [];
    for (const who of options.senders) {
      if (running.length > 0) await new Promise((resolve) => setTimeout(resolve, STAGGER_MS));
      const command =
        who === 'kernel'
          ? senders.commandLine(program, ['send', destination, String(PORT), options.control])
          : node('our-sender.ts', senders.path, destination, String(PORT), options.control);
      running.push({ who, child: start(who, command) });
    }
    const { stdout } = await sink.succeeded();
    const report = JSON.parse(stdout.replace(/^listening/, '')) as SinkReport;
    const results: SenderResult[] = [];
    for (const { who, child } of running) {
      const own = JSON.parse((await child.succeeded()).stdout) as SenderReport;
      const flow = report.flows.find(({ peer }) => (peer === OUR_ADDRESS) === (who === 'ours'));
      results.push({ ...own, who, goodputMbps: ((flow?.bytes ?? 0) * 8) / report.seconds / 1e6 });
    }
    relay.stdin.end();
    const seen = (await relay.succeeded()).stdout.replace(/^ready/, '');
    return { senders: results, relay: JSON.parse(seen) as PathReport };
  } finally {
    await Promise.all(children.map((child) => child.kill()));
    await Promise.all([senders.close(), receiver.close()]);
  }
}
