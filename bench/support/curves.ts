/**
 * Scaling: one quantity is turned, and everything else stays. Packet size and connections are measured as
 * the table is, in real packets; round-trip time and loss need a path, and have one in virtual time.
 */
import type { CellResult } from '../goodput/cell.js';
import type { GoodputJob, GoodputResult } from '../goodput/worker.js';
import { CONTROLS } from './controls.js';
import { measureIdle } from './hold.js';
import { type LoadJob, load, perSecond } from './load.js';
import { inProcesses } from './parallel.js';
import { cpuSecondsPerPacket } from './process-cost.js';
import type { Curve, IdleResult, Sample } from './results.js';
import { messageOf, type Progress } from './session.js';
import type { RunningTarget, Target } from './target.js';

/** What there is to measure. */
export interface CurveScope {
  /** Rows that can be measured here. */
  readonly targets: readonly Target[];
  /** Most idle connections. */
  readonly idleConnections: number;
}

export interface CurveContext extends CurveScope {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly progress: Progress;
}

export interface CurveResults {
  readonly curves: Curve[];
  readonly idle: IdleResult[];
  /** Points that could not be measured. */
  readonly failures: Sample[];
}

export interface CurvePlan {
  readonly name: string;
  steps(scope: CurveScope): number;
  run(context: CurveContext): Promise<CurveResults>;
}

/** What one point of a measured curve is. */
interface Point {
  readonly perSecond: number;
  readonly cpuUsPerPacket: number;
}

interface LoadCurve {
  readonly name: string;
  /** Rows it is measured for. */
  readonly rows: readonly string[];
  readonly x: readonly number[];
  readonly xTitle: string;
  readonly title: string;
  readonly yTitle: string;
  job(x: number): LoadJob;
}

const rowsOf = (scope: CurveScope, names: readonly string[]): Target[] =>
  scope.targets.filter(({ name }) => names.includes(name));

async function pointAt(running: RunningTarget, context: CurveContext, job: LoadJob): Promise<Point> {
  if (context.warmUpSeconds > 0) await load(running, context.warmUpSeconds, job);
  const before = running.counters();
  const report = await load(running, context.seconds, job);
  return {
    perSecond: perSecond(report),
    cpuUsPerPacket: cpuSecondsPerPacket(before, running.counters()) * 1e6,
  };
}

/** Starts a row once and takes each point of it; those after a failure are missing. */
async function takePoints<T>(
  target: Target,
  {
    name,
    x,
    progress,
  }: { readonly name: string; readonly x: readonly number[]; readonly progress: Progress },
  take: (running: RunningTarget, x: number) => Promise<T>,
): Promise<{ points: T[]; failures: Sample[] }> {
  const points: T[] = [];
  const failures: Sample[] = [];
  try {
    const running = await target.start();
    try {
      for (const one of x) {
        progress.begin(`${target.title}: ${name} ${one}`);
        points.push(await take(running, one));
        progress.done(1);
      }
    } finally {
      await running.close();
    }
  } catch (error) {
    failures.push({ target: target.name, measure: name, round: 0, error: messageOf(error) });
    progress.done(x.length - points.length);
  }
  return { points, failures };
}

const loadCurve = (curve: LoadCurve): CurvePlan => ({
  name: curve.name,
  steps: (scope) => rowsOf(scope, curve.rows).length * curve.x.length,
  run: async (context) => {
    const lines: { name: string; points: Point[] }[] = [];
    const failures: Sample[] = [];
    for (const target of rowsOf(context, curve.rows)) {
      const { progress } = context;
      const taken = await takePoints(target, { ...curve, progress }, (running, x) =>
        pointAt(running, context, curve.job(x)),
      );
      lines.push({ name: target.title, points: taken.points });
      failures.push(...taken.failures);
    }
    const { name, title, x, xTitle, yTitle } = curve;
    const frame = { source: 'across a TUN or veth', x, xTitle, logX: true };
    const lineOf = (value: (point: Point) => number) =>
      lines.map((line) => ({
        name: line.name,
        y: x.map((_, i) => (line.points[i] === undefined ? null : value(line.points[i]))),
      }));
    return {
      idle: [],
      failures,
      curves: [
        { ...frame, name, title, yTitle, lines: lineOf((point) => point.perSecond / 1e3) },
        {
          ...frame,
          name: `${name}-cost`,
          title: `${title}: processor time of the server`,
          yTitle: 'µs per packet',
          lines: lineOf((point) => point.cpuUsPerPacket),
        },
      ],
    };
  },
});

const IDLE_ROWS: readonly string[] = ['raw', 'net'];

/** 1, 1000, 10,000 and so on up to the most. */
export const idleCounts = (most: number): number[] => [
  ...[1, 1000, 10_000].filter((count) => count < most),
  most,
];

const idleCurve: CurvePlan = {
  name: 'idle',
  steps: (scope) => rowsOf(scope, IDLE_ROWS).length * idleCounts(scope.idleConnections).length,
  run: async (context) => {
    const x = idleCounts(context.idleConnections);
    const idle: IdleResult[] = [];
    const failures: Sample[] = [];
    const lines: { name: string; y: (number | null)[] }[] = [];
    for (const target of rowsOf(context, IDLE_ROWS)) {
      const { progress, seconds, warmUpSeconds } = context;
      const { name } = target;
      const taken = await takePoints(target, { name: 'idle', x, progress }, (running, count) =>
        measureIdle(running, name, { count, seconds, warmUpSeconds }),
      );
      idle.push(...taken.points);
      failures.push(...taken.failures, ...unanswered(taken.points));
      lines.push({ name: target.title, y: x.map((_, i) => taken.points[i]?.busyCpuNsPerPacket ?? null) });
    }
    return {
      idle,
      failures,
      curves: [
        {
          name: 'idle',
          title: 'One busy connection beside idle ones: processor time of the server',
          source: 'across a TUN',
          xTitle: 'idle connections',
          yTitle: 'ns per packet',
          logX: true,
          x,
          lines,
        },
      ],
    };
  },
};

/** Held connections that did not answer are a failure, whatever they cost. */
const unanswered = (points: readonly IdleResult[]): Sample[] =>
  points
    .filter(({ connections, answered }) => answered < connections)
    .map(({ target, connections, answered }) => ({
      target,
      measure: 'idle',
      round: 0,
      error: `${connections - answered} of ${connections} connections did not answer`,
    }));

/** A path in virtual time: 100 Mbit/s, a queue of one bandwidth-delay product, nothing else wrong. */
const PATH = { rateMbps: 100, rttMs: 20, lossPercent: 0, reorder: false, burst: false, ecn: false } as const;

interface PathCurve {
  readonly name: 'rtt' | 'loss';
  readonly key: 'rttMs' | 'lossPercent';
  readonly x: readonly number[];
  readonly title: string;
  readonly xTitle: string;
}

const pathCurve = (curve: PathCurve): CurvePlan => ({
  name: curve.name,
  steps: () => CONTROLS.length * curve.x.length,
  run: async ({ progress }) => {
    const lines = CONTROLS.map((name) => ({ name, y: curve.x.map((): number | null => null) }));
    const jobs = CONTROLS.flatMap((control) =>
      curve.x.map((x): GoodputJob => ({ cell: { ...PATH, control, [curve.key]: x } })),
    );
    progress.begin(`${curve.title} (virtual time)`);
    await inProcesses<GoodputJob, GoodputResult>({
      worker: 'bench/goodput/worker.ts',
      jobs,
      onResult: (result, job) => {
        progress.done(1);
        if (!('cell' in job)) return;
        const line = lines.find(({ name }) => name === job.cell.control);
        if (line !== undefined) {
          line.y[curve.x.indexOf(job.cell[curve.key])] = (result as CellResult).goodputMbps;
        }
      },
    });
    const { name, title, xTitle, x } = curve;
    const frame = { source: 'virtual time, emulated link', yTitle: 'Mbit/s', logX: true };
    return { idle: [], failures: [], curves: [{ ...frame, name, title, xTitle, x, lines }] };
  },
});

/** Packets first. */
export const CURVES: readonly CurvePlan[] = [
  loadCurve({
    name: 'packet-size',
    rows: ['raw', 'net', 'node', 'swap', 'lwip'],
    x: [16, 64, 256, 512, 1024, 1472],
    xTitle: 'bytes of each datagram',
    title: 'UDP echo, 64 in flight',
    yTitle: 'k/s',
    job: (sizeBytes) => ({ mode: 'udp', count: 64, sizeBytes }),
  }),
  loadCurve({
    name: 'busy',
    rows: ['raw', 'net', 'c', 'node', 'lwip'],
    x: [1, 4, 16, 64, 256, 1024, 4096],
    xTitle: 'connections, all busy',
    title: 'Round trips of 1 byte',
    yTitle: 'k/s',
    job: (count) => ({ mode: 'msg', count }),
  }),
  idleCurve,
  pathCurve({
    name: 'rtt',
    key: 'rttMs',
    x: [1, 3, 10, 30, 100, 200],
    xTitle: 'round-trip time, ms',
    title: 'Goodput of one flow at 100 Mbit/s, by round-trip time',
  }),
  pathCurve({
    name: 'loss',
    key: 'lossPercent',
    x: [0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 5],
    xTitle: 'packets lost, %',
    title: 'Goodput of one flow at 100 Mbit/s and 20 ms, by loss',
  }),
];
