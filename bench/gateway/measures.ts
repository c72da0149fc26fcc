/** What is measured of a gateway, and in which unit. */
import { run } from '../../test/support/child.js';
import { compiled } from '../support/compile.js';
import type { LoadReport } from '../support/load.js';
import { SERVER, type Way } from './places.js';

export interface GatewayMeasure {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
  readonly smallerIsBetter: boolean;
  /** How long the same load runs before it is measured. */
  readonly warmUpSeconds: number;
  measure(way: Way, seconds: number): Promise<number>;
}

const WARM_UP_SECONDS = 1;
/** A connection from its first packet to its last is much code, of which ours is compiled as it is used. */
const CONNECTIONS_WARM_UP_SECONDS = 8;

/** How long a run may take beyond its measurement. */
const GRACE_MS = 30_000;

async function report(way: Way, seconds: number, line: readonly [string, ...string[]]): Promise<LoadReport> {
  const [program, ...args] = line;
  const limitMs = seconds * 1000 + GRACE_MS;
  const { stdout } = await run(...way.client.commandLine(program, args), { limitMs });
  return JSON.parse(stdout) as LoadReport;
}

interface Job {
  readonly mode: string;
  readonly count: number;
  readonly sizeBytes?: number;
}

const load = async (way: Way, seconds: number, { mode, count, sizeBytes = 1 }: Job): Promise<LoadReport> =>
  report(way, seconds, [
    await compiled('load'),
    mode,
    SERVER,
    String(seconds),
    String(count),
    String(sizeBytes),
  ]);

const bulk = (mode: 'in' | 'out', count: number): GatewayMeasure => ({
  // `in` of the load generator is towards the server.
  name: `${mode === 'in' ? 'up' : 'down'}${count}`,
  title: `bulk ${mode === 'in' ? 'up' : 'down'}, ${count} connection${count === 1 ? '' : 's'}`,
  unit: 'Gbit/s',
  digits: 2,
  smallerIsBetter: false,
  warmUpSeconds: WARM_UP_SECONDS,
  measure: async (way, seconds) => {
    const { bytes = 0, seconds: took } = await load(way, seconds, { mode, count });
    return (bytes * 8) / took / 1e9;
  },
});

const rate = (name: string, title: string, job: Job, warmUpSeconds = WARM_UP_SECONDS): GatewayMeasure => ({
  name,
  title,
  unit: 'k/s',
  digits: 1,
  smallerIsBetter: false,
  warmUpSeconds,
  measure: async (way, seconds) => {
    const { count = 0, seconds: took } = await load(way, seconds, job);
    return count / took / 1e3;
  },
});

export const MEASURES: readonly GatewayMeasure[] = [
  bulk('in', 1),
  bulk('in', 8),
  bulk('out', 1),
  bulk('out', 8),
  rate(
    'conn',
    'connect, echo 1 B, close; 32 at once',
    { mode: 'conn', count: 32 },
    CONNECTIONS_WARM_UP_SECONDS,
  ),
  rate('msg', 'TCP 1 B round trips, 64 connections', { mode: 'msg', count: 64 }),
  {
    name: 'rtt',
    title: 'one TCP round trip at a time, median',
    unit: 'µs',
    digits: 1,
    smallerIsBetter: true,
    warmUpSeconds: WARM_UP_SECONDS,
    measure: async (way, seconds) =>
      (await load(way, seconds, { mode: 'rtt', count: 1 })).p50Us ?? Number.NaN,
  },
  rate('udp', 'UDP 64 B round trips, 64 in flight', { mode: 'udp', count: 64, sizeBytes: 64 }),
  rate('udp1', 'UDP 64 B round trips, one at a time', { mode: 'udp', count: 1, sizeBytes: 64 }),
  {
    name: 'dns',
    title: 'DNS questions, 32 at once, each from a socket of its own',
    unit: 'k/s',
    digits: 1,
    smallerIsBetter: false,
    warmUpSeconds: WARM_UP_SECONDS,
    measure: async (way, seconds) => {
      const line = [await compiled('dns'), 'ask', way.dns, String(seconds), '32'] as const;
      const { count = 0, seconds: took } = await report(way, seconds, [...line]);
      return count / took / 1e3;
    },
  },
];
