/** What is measured, and how a figure is got from what the load generator prints. */
import { run } from '../../test/support/child.js';
import { compiled } from './compile.js';
import type { MemoryReport, RunningTarget } from './target.js';

/** What `bench/reference/load.c` prints. */
interface LoadReport {
  readonly seconds: number;
  readonly count?: number;
  readonly bytes?: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
  readonly lost?: number;
}

export interface Measure {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
  /** Whether a smaller figure is the better one. */
  readonly smallerIsBetter?: boolean;
  measure(target: RunningTarget, seconds: number): Promise<number>;
}

interface LoadJob {
  readonly mode: string;
  readonly count: number;
  readonly sizeBytes?: number;
}

async function load(target: RunningTarget, seconds: number, job: LoadJob): Promise<LoadReport> {
  const program = await compiled('load');
  const args = [job.mode, target.address, String(seconds), String(job.count), String(job.sizeBytes ?? 1)];
  const limitMs = seconds * 1000 + 20_000;
  const { stdout } = await run(...target.clientCommand(program, args), { limitMs });
  return JSON.parse(stdout) as LoadReport;
}

const perSecond = (report: LoadReport): number => (report.count ?? 0) / report.seconds / 1e3;
const gigabits = (report: LoadReport): number => ((report.bytes ?? 0) * 8) / report.seconds / 1e9;

/** Asks until the server counts as many connections as wanted. @throws Error when it never does */
async function memoryWith(
  memory: () => Promise<MemoryReport>,
  isWanted: (connections: number) => boolean,
): Promise<MemoryReport> {
  for (let tries = 0; ; tries++) {
    const report = await memory();
    if (isWanted(report.connections)) return report;
    if (tries === 100) throw new Error(`the server is left with ${report.connections} connections`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Opens many connections and looks at the memory of the server before and after. */
async function memoryPerConnection(target: RunningTarget): Promise<number> {
  const { memory } = target;
  if (memory === undefined) return Number.NaN;
  // Connections of the measurement before may still be closing.
  const before = await memoryWith(memory, (connections) => connections === 0);
  const args = ['idle', target.address, '0', String(IDLE_CONNECTIONS)];
  const client = target.startClient(await compiled('load'), args);
  try {
    await client.output(/count/);
    const after = await memoryWith(memory, (connections) => connections >= IDLE_CONNECTIONS);
    return (after.bytes - before.bytes) / IDLE_CONNECTIONS / 1024;
  } finally {
    client.stdin.end();
    await client.ended;
  }
}

const IDLE_CONNECTIONS = 3000;

const bulk = (mode: 'in' | 'out', count: number): Measure => ({
  name: `${mode}${count}`,
  title: `bulk ${mode}, ${count} connection${count === 1 ? '' : 's'}`,
  unit: 'Gbit/s',
  digits: 2,
  measure: async (target, seconds) => gigabits(await load(target, seconds, { mode, count })),
});

const rate = (name: string, title: string, job: LoadJob): Measure => ({
  name,
  title,
  unit: 'k/s',
  digits: 1,
  measure: async (target, seconds) => perSecond(await load(target, seconds, job)),
});

const roundTrip = (name: 'p50Us' | 'p99Us', percentile: string): Measure => ({
  name: `rtt-${percentile}`,
  title: `1 B round trip, ${percentile}`,
  unit: 'µs',
  digits: 1,
  smallerIsBetter: true,
  measure: async (target, seconds) =>
    (await load(target, seconds, { mode: 'rtt', count: 1 }))[name] ?? Number.NaN,
});

/** Packets first. */
export const MEASURES: readonly Measure[] = [
  rate('udp', 'UDP 64 B echo, 64 in flight', { mode: 'udp', count: 64, sizeBytes: 64 }),
  rate('msg', 'TCP 64 B echo, 64 connections', { mode: 'msg', count: 64, sizeBytes: 64 }),
  bulk('in', 1),
  bulk('in', 8),
  bulk('out', 1),
  bulk('out', 8),
  roundTrip('p50Us', 'p50'),
  roundTrip('p99Us', 'p99'),
  rate('conn', 'connect, echo 1 B, close; 32 at once', { mode: 'conn', count: 32 }),
  {
    name: 'memory',
    title: 'memory per idle connection',
    unit: 'KiB',
    digits: 1,
    smallerIsBetter: true,
    measure: memoryPerConnection,
  },
];
