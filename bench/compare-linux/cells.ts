/** What is compared: paths, and the runs of each. */
import { PACKET_BYTES } from '../goodput/theory.js';
import type { PathOptions } from './emulated-path.js';
import { type RunResult, runOnce, type Who } from './path.js';

export interface Cell {
  readonly control: string;
  readonly rateMbps: number;
  readonly rttMs: number;
  readonly lossPercent: number;
}

/** What the runs of a cell gave, in order; run `i` has seed `i + 1` for both. */
export interface CellRuns {
  readonly cell: Cell;
  readonly kernel: readonly Run[];
  readonly ours: readonly Run[];
}

export interface Run {
  readonly control: string;
  readonly goodputMbps: number;
  readonly p50RttMs: number;
  readonly p99RttMs: number;
  readonly wireP99Ms: number;
  readonly retransmissions: number;
  readonly lateP99Ms: number;
}

export interface CoexistenceRun {
  /** Share of the kernel's and our flow together that is ours. */
  readonly share: number;
  readonly oursMbps: number;
  readonly kernelMbps: number;
  readonly lateP99Ms: number;
}

/** Runs in which the relay was this late are run again, a few times at most, ms. */
const TOO_LATE_MS = 2;
const MAX_ATTEMPTS = 3;
const MIN_QUEUE_PACKETS = 100;
const COEXISTENCE = { rateMbps: 50, rttMs: 20 } as const;
const WARM_SECONDS = 5;
/** From this rate on the receiver's side joins packets, as network cards of such links do. */
const JOIN_FROM_MBPS = 500;

export const cellsWith = (control: string): Cell[] => [
  ...[10, 50].flatMap((rttMs) =>
    [0, 0.1, 1].map((lossPercent) => ({ control, rateMbps: 100, rttMs, lossPercent })),
  ),
  { control, rateMbps: 1000, rttMs: 20, lossPercent: 0 },
];

export const cellName = ({ control, rateMbps, rttMs, lossPercent }: Cell): string =>
  `${control} ${rateMbps} Mbit/s ${rttMs} ms ${lossPercent} %`;

function pathOf({ rateMbps, rttMs, lossPercent }: Omit<Cell, 'control'>, seed: number): PathOptions {
  const rateBps = rateMbps * 1e6;
  const product = Math.ceil((rateBps * rttMs) / 8000 / PACKET_BYTES);
  return {
    seed,
    forward: {
      rateBps,
      delayMs: rttMs / 2,
      loss: lossPercent / 100,
      queuePackets: Math.max(MIN_QUEUE_PACKETS, product),
    },
    back: { delayMs: rttMs / 2 },
    join: rateMbps >= JOIN_FROM_MBPS,
  };
}

/** Runs until the relay kept its times, or as often as may be. */
async function punctual(run: () => Promise<RunResult>): Promise<RunResult> {
  let best = await run();
  for (let attempt = 1; attempt < MAX_ATTEMPTS && best.relay.lateP99Us > TOO_LATE_MS * 1000; attempt++) {
    const next = await run();
    if (next.relay.lateP99Us < best.relay.lateP99Us) best = next;
  }
  return best;
}

/** Which end is looked at; the other is the kernel's. */
export type End = 'sender' | 'receiver';

/** Who is at either end. */
export type Ends = Readonly<Record<End, Who>>;

/** One sender alone on the path. */
export async function runCell(cell: Cell, ends: Ends, seed: number, seconds: number): Promise<Run> {
  const { control } = cell;
  const path = pathOf(cell, seed);
  const { senders, relay } = await punctual(() =>
    runOnce({ path, control, senders: [ends.sender], receiver: ends.receiver, warmSeconds: 0, seconds }),
  );
  const [sender] = senders;
  return {
    control: sender.control,
    goodputMbps: sender.goodputMbps,
    p50RttMs: sender.p50RttUs / 1000,
    p99RttMs: sender.p99RttUs / 1000,
    wireP99Ms: relay.wireP99Us / 1000,
    retransmissions: sender.retransmissions,
    lateP99Ms: relay.lateP99Us / 1000,
  };
}

/** Both senders on one path; who begins alternates. */
export async function runCoexistence(
  control: string,
  seed: number,
  seconds: number,
): Promise<CoexistenceRun> {
  const path = pathOf({ ...COEXISTENCE, lossPercent: 0 }, seed);
  const senders: Who[] = seed % 2 === 1 ? ['kernel', 'ours'] : ['ours', 'kernel'];
  const { senders: results, relay } = await punctual(() =>
    runOnce({ path, control, senders, receiver: 'kernel', warmSeconds: WARM_SECONDS, seconds }),
  );
  const goodput = (who: Who): number => results.find((result) => result.who === who)?.goodputMbps ?? 0;
  const oursMbps = goodput('ours');
  const kernelMbps = goodput('kernel');
  const share = oursMbps / Math.max(1e-9, oursMbps + kernelMbps);
  return { share, oursMbps, kernelMbps, lateP99Ms: relay.lateP99Us / 1000 };
}
