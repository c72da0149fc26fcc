/** `tunstack bench`: how fast the stack is here, in some seconds. */
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { createPipe, type PrivateTun, Stack, SystemClock, SystemRandom } from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { CliError, UsageError } from '../frame/errors.js';
import { perSecondText, rateText } from '../frame/text.js';
import { addressOf, openNetwork } from '../network/network.js';
import type { NetworkOptions } from '../network/options.js';
import { bulk, connections, type Load, type Measured, roundTrips, serveBench } from './workloads.js';

export interface BenchOptions extends NetworkOptions {
  readonly memory: boolean;
  readonly test: readonly TestName[];
  /** Of each measurement, ms. */
  readonly time: number;
  readonly connections: number;
  readonly congestion?: string;
  readonly ipv6: boolean;
}

export type TestName = 'bulk-in' | 'bulk-out' | 'round-trips' | 'connections';

interface Test {
  readonly name: TestName;
  readonly title: string;
  readonly unit: 'bytes' | 'things';
  run(this: void, load: Load): Promise<Measured>;
}

const TESTS: readonly Test[] = [
  { name: 'bulk-in', title: 'bulk in', unit: 'bytes', run: (load) => bulk(load, 'in') },
  { name: 'bulk-out', title: 'bulk out', unit: 'bytes', run: (load) => bulk(load, 'out') },
  { name: 'round-trips', title: 'round trips', unit: 'things', run: roundTrips },
  { name: 'connections', title: 'connections', unit: 'things', run: connections },
];

/** A figure of one measurement. */
interface Row {
  readonly test: TestName;
  readonly connections: number;
  readonly count: number;
  readonly seconds: number;
  /** Absent but for bulk. */
  readonly bitsPerSecond?: number;
  readonly perSecond?: number;
  /** Processor time of this process, s. */
  readonly cpuSeconds: number;
}

/** Longer than a Node takes to start on a busy machine, ms. */
const START_LIMIT_MS = 15_000;
const LABEL_COLUMN = 32;

export async function bench(context: CommandContext<BenchOptions>): Promise<number> {
  const { options, output, signal, version } = context;
  // The process is ours alone: sweeping beside it holds up who allocates large pieces.
  setFlagsFromString('--no-concurrent-array-buffer-sweeping');
  const side = await (options.memory ? inMemory(context) : againstKernel(context));
  output.line(`${side.description}; ${options.time / 1000} s each`);
  const rows: Row[] = [];
  for (const test of TESTS) {
    if (options.test.length > 0 && !options.test.includes(test.name)) continue;
    for (const count of options.connections === 1 ? [1] : [1, options.connections]) {
      if (signal.aborted) throw signal.reason as Error;
      const row = await measure(context, side, { test, count });
      rows.push(row);
      output.line(`${labelOf(test, count)}${figureOf(row)}`);
    }
  }
  output.json({
    version,
    node: process.version,
    other: side.other,
    retransmitted: side.retransmitted(),
    rows,
  });
  return 0;
}

const labelOf = (test: Test, count: number): string =>
  `  ${test.title}, ${count} connection${count === 1 ? '' : 's'}`.padEnd(LABEL_COLUMN);

const figureOf = ({ bitsPerSecond, perSecond = 0 }: Row): string =>
  bitsPerSecond === undefined ? perSecondText(perSecond) : rateText(bitsPerSecond);

async function measure(
  { options, output, signal }: CommandContext<BenchOptions>,
  side: Side,
  { test, count }: { readonly test: Test; readonly count: number },
): Promise<Row> {
  const bar = output.progress(labelOf(test, count), 0, test.unit);
  const before = process.cpuUsage();
  try {
    const measured = await test.run({
      net: side.net,
      host: side.host,
      connections: count,
      durationMs: options.time,
      signal,
      onProgress: (done) => bar.update(done),
    });
    const { user, system } = process.cpuUsage(before);
    const perSecond = measured.count / measured.seconds;
    return {
      test: test.name,
      connections: count,
      ...measured,
      ...(test.unit === 'bytes' ? { bitsPerSecond: perSecond * 8 } : { perSecond }),
      cpuSeconds: (user + system) / 1e6,
    };
  } finally {
    bar.stop();
  }
}

/** Where the load is made, and who is on the other side. */
interface Side {
  readonly net: Load['net'];
  readonly host: string;
  readonly other: 'kernel' | 'stack';
  readonly description: string;
  /** Segments the stack sent again so far. */
  retransmitted(): number;
}

async function againstKernel(context: CommandContext<BenchOptions>): Promise<Side> {
  const { options } = context;
  const network = await openNetwork(context, options, { tcp: tcpOf(options) });
  const { stack, tun } = network;
  if (tun === undefined) throw new UsageError('bench is in a namespace of its own');
  await startKernelSide(context, tun);
  const host = addressOf(network.hostAddresses, options.ipv6 ? 6 : 4);
  if (host === undefined) throw new UsageError('the kernel has no address of that family');
  return {
    net: stack.net,
    host,
    other: 'kernel',
    description: "The stack and the kernel's sockets, across a TUN",
    retransmitted: () => stack.stats.tcp.retransSegs,
  };
}

const tcpOf = ({ congestion }: BenchOptions): { congestionControl?: string } =>
  congestion === undefined ? {} : { congestionControl: congestion };

function startKernelSide({ signal }: CommandContext, tun: PrivateTun): Promise<void> {
  // The same name from lib/ and dist/.
  const program = fileURLToPath(import.meta.url).replace(/bench(\.[jt]s)$/, 'kernel-side$1');
  const child = tun.run(process.execPath, [...process.execArgv, program], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // A signal from the terminal is for us, who end in order.
    detached: true,
  });
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new CliError(`the other side did not start: ${why}`));
    const timer = setTimeout(() => fail('it took too long'), START_LIMIT_MS);
    const settle = (end: () => void) => () => {
      clearTimeout(timer);
      end();
    };
    child.once('message', settle(resolve));
    child.once('error', (error) => settle(() => fail(error.message))());
    child.once(
      'exit',
      settle(() => fail('it ended')),
    );
    signal.addEventListener(
      'abort',
      settle(() => fail('interrupted')),
    );
  });
}

/** Two stacks of this process on a pipe. */
async function inMemory(context: CommandContext<BenchOptions>): Promise<Side> {
  const { options } = context;
  const clock = new SystemClock();
  const make = (): Stack =>
    new Stack({ clock, random: new SystemRandom(), tcp: { connection: tcpOf(options) } });
  const [ours, theirs] = [make(), make()];
  const [near, far] = createPipe({ clock, checksumOffload: true, segmentation: true });
  context.defer(() => ours.close());
  context.defer(() => theirs.close());
  ours.addLink(near, { addresses: ['10.0.0.1/24', 'fd00::1/64'] });
  theirs.addLink(far, { addresses: ['10.0.0.2/24', 'fd00::2/64'] });
  await serveBench(theirs.net);
  return {
    net: ours.net,
    host: options.ipv6 ? 'fd00::2' : '10.0.0.2',
    other: 'stack',
    description: 'Two stacks in this process, in memory',
    retransmitted: () => ours.stats.tcp.retransSegs + theirs.stats.tcp.retransSegs,
  };
}
