/** Work spread over processes: each job goes to the first worker that is free. */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';

export interface ParallelOptions<Job, Result> {
  /** Path of the worker, which calls `serveJobs`. */
  readonly worker: string;
  readonly jobs: Iterable<Job>;
  /** As many as there are processors by default. */
  readonly processes?: number;
  /** Told of each result as it comes, in no particular order. */
  onResult(result: Result, job: Job): void;
}

/** Resolves when all jobs are done. @throws Error when a worker fails, which ends the others */
export async function inProcesses<Job, Result>(options: ParallelOptions<Job, Result>): Promise<void> {
  const jobs = options.jobs[Symbol.iterator]();
  const children: ChildProcess[] = [];
  const count = options.processes ?? availableParallelism();
  try {
    await Promise.all(Array.from({ length: count }, () => workThrough(jobs, options, children)));
  } finally {
    for (const child of children) child.kill();
  }
}

function workThrough<Job, Result>(
  jobs: Iterator<Job>,
  { worker, onResult }: ParallelOptions<Job, Result>,
  children: ChildProcess[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    let job = jobs.next();
    if (job.done === true) {
      resolve();
      return;
    }
    const child = fork(worker, { execArgv: ['--import=tsx'] });
    children.push(child);
    child.on('error', reject);
    child.on('exit', (status) => reject(new Error(`a worker ended with status ${status}`)));
    child.on('message', (result) => {
      onResult(result as Result, job.value);
      job = jobs.next();
      if (job.done === true) {
        child.removeAllListeners('exit');
        child.disconnect();
        resolve();
      } else {
        child.send(job.value as object);
      }
    });
    child.send(job.value as object);
  });
}

/** The other half, for the worker's process. */
export function serveJobs<Job, Result>(work: (job: Job) => Result): void {
  process.on('message', (job) => {
    process.send?.(work(job as Job));
  });
}
