/** A worker of `npm run goodput`. */
import { serveJobs } from '../support/parallel.js';
import { type Cell, type CellResult, runCell } from './cell.js';
import { type FairnessCase, type FairnessResult, runFairness } from './fairness.js';

export type GoodputJob = { readonly cell: Cell } | { readonly fairness: FairnessCase };
export type GoodputResult = CellResult | FairnessResult;

serveJobs<GoodputJob, GoodputResult>((job) =>
  'cell' in job ? runCell(job.cell) : runFairness(job.fairness),
);
