/** Runs of the load generator, and what it prints. */
import { run } from '../../test/support/child.js';
import { compiled } from './compile.js';
import type { Latency } from './results.js';
import type { RunningTarget } from './target.js';

/** What `bench/reference/load.c` prints. */
export interface LoadReport extends Partial<Latency> {
  readonly seconds: number;
  readonly count?: number;
  readonly bytes?: number;
  readonly lost?: number;
}

export interface LoadJob {
  readonly mode: string;
  readonly count: number;
  readonly sizeBytes?: number;
}

/** How long a run may take beyond its measurement. */
const GRACE_MS = 20_000;

/** Runs it in the client's namespace. @throws Error when it fails or takes too long */
export async function load(target: RunningTarget, seconds: number, job: LoadJob): Promise<LoadReport> {
  const program = await compiled('load');
  const args = [job.mode, target.address, String(seconds), String(job.count), String(job.sizeBytes ?? 1)];
  const limitMs = seconds * 1000 + GRACE_MS;
  const { stdout } = await run(...target.clientCommand(program, args), { limitMs });
  return JSON.parse(stdout) as LoadReport;
}

export const perSecond = (report: LoadReport): number => (report.count ?? 0) / report.seconds;
export const gigabits = (report: LoadReport): number => ((report.bytes ?? 0) * 8) / report.seconds / 1e9;
