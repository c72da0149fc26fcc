/** One cell of the goodput tables: one flow over one path, in virtual time. */
import { Simulation } from '../../lib/sim/simulation.js';
import { restOptions } from '../support/rest-after.js';
import { Flow } from './flow.js';
import { PACKET_BYTES, theoryMbps } from './theory.js';

export interface Cell {
  readonly control: string;
  readonly rateMbps: number;
  readonly rttMs: number;
  readonly lossPercent: number;
  /** One packet in 100 is late by an eighth of the round trip. */
  readonly reorder: boolean;
  /** Besides, bursts of 5 packets on average are lost, one packet in 5000 being the first of one. */
  readonly burst: boolean;
  /** Both ends use ECN, and the queue marks from half its length on. */
  readonly ecn: boolean;
}

export interface CellResult {
  /** Text received in the second and later quarters of the run, Mbit/s. */
  readonly goodputMbps: number;
  readonly theoryMbps: number;
  /** Segments sent again, of all sent. */
  readonly repeatedPercent: number;
  /** Smoothed round-trip time at the end, ms. */
  readonly srttMs: number;
  readonly timeouts: number;
}

export const CONDITIONS = {
  lossPercent: [0, 0.01, 0.1, 1, 5],
  rttMs: [1, 20, 100],
  rateMbps: [10, 1000],
} as const;

const BURST = { enterBad: 0.0002, leaveBad: 0.2 } as const;
const REORDER_PROBABILITY = 0.01;
/** A queue holds a bandwidth-delay product, and not less than this. */
const MIN_QUEUE_PACKETS = 64;

/** Virtual time of a run, s: enough round trips to settle, and few enough bytes to be done in seconds. */
function durationSeconds({ control, rateMbps, rttMs, lossPercent }: Cell): number {
  if (rateMbps <= 100) return 10 + 0.5 * rttMs;
  const seconds = 1 + 0.1 * rttMs;
  // What slow start has won is lost again only slowly where losses are rare.
  const isSlowToSettle = control !== 'bbr' && lossPercent > 0 && lossPercent <= 0.1;
  return isSlowToSettle ? 4 * seconds : seconds;
}

export const queuePackets = (rateBps: number, rttMs: number): number =>
  Math.max(MIN_QUEUE_PACKETS, Math.ceil((rateBps * rttMs) / 8000 / PACKET_BYTES));

/** Options of a stack that uses this congestion control, with ECN or without. */
export const stackOptions = (control: string, ecn: boolean) =>
  ({
    tcp: { ...restOptions(), connection: { congestionControl: control, ecn: ecn ? 'request' : 'off' } },
  }) as const;

export function runCell(cell: Cell, seed = 1): CellResult {
  const rateBps = cell.rateMbps * 1e6;
  const delayMs = cell.rttMs / 2;
  const queue = queuePackets(rateBps, cell.rttMs);
  const stack = stackOptions(cell.control, cell.ecn);
  const net = new Simulation({
    seed,
    superPackets: cell.rateMbps > 100,
    upstream: {
      rateBps,
      delayMs,
      queuePackets: queue,
      loss: cell.lossPercent / 100,
      ...(cell.burst ? { burstLoss: BURST } : {}),
      ...(cell.reorder ? { reorder: { probability: REORDER_PROBABILITY, delayMs: cell.rttMs / 8 } } : {}),
      ...(cell.ecn ? { ecnThresholdPackets: queue >> 1 } : {}),
    },
    downstream: { delayMs },
    client: stack,
    server: stack,
  });
  const flow = new Flow({ from: net.client, to: net.server, address: net.serverAddress, port: 5000 });
  const durationUs = durationSeconds(cell) * 1e6;
  const startedUs = net.clock.nowUs();
  net.clock.advanceTo(startedUs + durationUs / 4);
  const before = flow.receivedBytes;
  net.clock.advanceTo(startedUs + durationUs);
  const { tcp } = net.client.stats;
  const result = {
    goodputMbps: ((flow.receivedBytes - before) * 8) / (durationUs * 0.75),
    theoryMbps: theoryMbps(cell.control, pathFacts(cell)),
    repeatedPercent: (100 * tcp.retransSegs) / Math.max(1, tcp.outSegs),
    srttMs: flow.rttUs / 1000,
    timeouts: tcp.timeouts,
  };
  net.close();
  return result;
}

function pathFacts({ rateMbps, rttMs, lossPercent, burst }: Cell) {
  const loss = lossPercent / 100;
  return {
    rateBps: rateMbps * 1e6,
    rttMs,
    lossRate: loss + (burst ? BURST.enterBad / BURST.leaveBad : 0),
    lossEventRate: loss + (burst ? BURST.enterBad : 0),
  };
}

/** Every cell with one congestion control. */
export function* cellsOf(control: string): Generator<Cell> {
  for (const rateMbps of CONDITIONS.rateMbps) {
    for (const rttMs of CONDITIONS.rttMs) {
      for (const lossPercent of CONDITIONS.lossPercent) {
        for (const variant of VARIANTS) yield { control, rateMbps, rttMs, lossPercent, ...variant };
      }
    }
  }
}

/** What may come on top of rate, delay and loss, in the order of the columns. */
export const VARIANTS: readonly Pick<Cell, 'reorder' | 'burst' | 'ecn'>[] = [false, true].flatMap((ecn) =>
  [false, true].flatMap((burst) => [false, true].map((reorder) => ({ reorder, burst, ecn }))),
);

/** `cubic 10 Mbit/s 20 ms 0.1 % reorder burst ecn` and the like. */
export const cellName = ({ control, rateMbps, rttMs, lossPercent, ...variant }: Cell): string =>
  [`${control} ${rateMbps} Mbit/s ${rttMs} ms ${lossPercent} %`, ...variantNames(variant)].join(' ');

export const variantNames = ({ reorder, burst, ecn }: Pick<Cell, 'reorder' | 'burst' | 'ecn'>): string[] => [
  ...(reorder ? ['reorder'] : []),
  ...(burst ? ['burst'] : []),
  ...(ecn ? ['ecn'] : []),
];
