/** What is measured, and in which unit. */
import { holdConnections } from './hold.js';
import { gigabits, type LoadJob, load, perSecond } from './load.js';
import type { Latency, MeasureInfo } from './results.js';
import type { RunningTarget } from './target.js';

/** What one measurement gives. */
export interface Reading {
  readonly value: number;
  readonly latency?: Latency;
}

export interface Measure extends MeasureInfo {
  /** Whether it is run once for a short time before it counts. */
  readonly warmsUp: boolean;
  measure(target: RunningTarget, seconds: number): Promise<Reading>;
}

/** Enough that what the server allocates anyway does not matter, and few enough for one client. */
const IDLE_CONNECTIONS = 3000;

/** Opened and closed first, so that code and tables of the server are there. */
const FIRST_CONNECTIONS = 100;

/** KiB of the heap each idle connection takes, or of the resident set where the server cannot tell. */
async function memoryPerConnection(target: RunningTarget): Promise<Reading> {
  await (await holdConnections(target, FIRST_CONNECTIONS)).close();
  const held = await holdConnections(target, IDLE_CONNECTIONS);
  await held.close();
  return { value: (held.heapBytesEach ?? held.residentBytesEach) / 1024 };
}

const bulk = (mode: 'in' | 'out', count: number): Measure => ({
  name: `${mode}${count}`,
  title: `bulk ${mode}, ${count} connection${count === 1 ? '' : 's'}`,
  short: `${mode} ${count}`,
  unit: 'Gbit/s',
  digits: 2,
  smallerIsBetter: false,
  warmsUp: true,
  measure: async (target, seconds) => ({ value: gigabits(await load(target, seconds, { mode, count })) }),
});

interface Rate {
  readonly name: string;
  readonly title: string;
  readonly short: string;
  readonly job: LoadJob;
}

const rate = ({ job, ...names }: Rate): Measure => ({
  ...names,
  unit: 'k/s',
  digits: 1,
  smallerIsBetter: false,
  warmsUp: true,
  measure: async (target, seconds) => ({ value: perSecond(await load(target, seconds, job)) / 1e3 }),
});

/** Packets first. */
export const MEASURES: readonly Measure[] = [
  rate({
    name: 'udp',
    title: 'UDP 64 B echo, 64 in flight',
    short: 'UDP echo',
    job: { mode: 'udp', count: 64, sizeBytes: 64 },
  }),
  rate({
    name: 'msg',
    title: '1 B round trips, 64 connections',
    short: 'round trips',
    job: { mode: 'msg', count: 64 },
  }),
  rate({
    name: 'conn',
    title: 'connect, echo 1 B, close; 32 at once',
    short: 'connections',
    job: { mode: 'conn', count: 32 },
  }),
  bulk('in', 1),
  bulk('in', 8),
  bulk('out', 1),
  bulk('out', 8),
  {
    name: 'rtt',
    title: 'one 1 B round trip at a time, median',
    short: 'one trip',
    unit: 'µs',
    digits: 1,
    smallerIsBetter: true,
    warmsUp: true,
    measure: async (target, seconds) => {
      const report = await load(target, seconds, { mode: 'rtt', count: 1 });
      const { p10Us = Number.NaN, p50Us = Number.NaN, p90Us = Number.NaN, p99Us = Number.NaN } = report;
      return { value: p50Us, latency: { p10Us, p50Us, p90Us, p99Us, histogram: report.histogram ?? [] } };
    },
  },
  {
    name: 'memory',
    title: 'memory per idle connection',
    short: 'idle conn.',
    unit: 'KiB',
    digits: 2,
    smallerIsBetter: true,
    warmsUp: false,
    measure: memoryPerConnection,
  },
];
