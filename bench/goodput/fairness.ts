/** How flows share a bottleneck, in virtual time: Jain's index of their goodputs. */
import { SharedBottleneck } from '../../lib/sim/shared-bottleneck.js';
import { queuePackets, stackOptions } from './cell.js';
import { Flow } from './flow.js';

export interface FairnessCase {
  readonly name: string;
  /** Congestion control of each flow, and its round-trip time, ms. */
  readonly flows: readonly { readonly control: string; readonly rttMs: number }[];
}

export interface FairnessResult {
  /** Goodputs, Mbit/s, in the order of the flows. */
  readonly goodputsMbps: readonly number[];
  /** Jain's index: 1 when all get the same, 1/n when one gets all. */
  readonly jain: number;
}

const RATE_MBPS = 50;
/** A queue of one bandwidth-delay product of this, ms. */
const QUEUE_MS = 40;
const SECONDS = 60;
/** Flows start one after the other, s. */
const STAGGER_SECONDS = 0.5;

const same = (control: string, rttMs: number, count: number) =>
  Array.from({ length: count }, () => ({ control, rttMs }));

export const fairnessCases = (controls: readonly string[]): FairnessCase[] =>
  controls.flatMap((control) => [
    { name: `2 ${control} flows of 40 ms`, flows: same(control, 40, 2) },
    { name: `8 ${control} flows of 40 ms`, flows: same(control, 40, 8) },
    { name: `2 ${control} flows of 20 and 40 ms`, flows: [...same(control, 20, 1), ...same(control, 40, 1)] },
    {
      name: `2 ${control} flows of 20 and 100 ms`,
      flows: [...same(control, 20, 1), ...same(control, 100, 1)],
    },
    {
      name: `4 ${control} flows of 10, 20, 40 and 80 ms`,
      flows: [10, 20, 40, 80].map((rttMs) => ({ control, rttMs })),
    },
  ]);

export function jainIndex(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares === 0 ? 0 : (sum * sum) / (values.length * squares);
}

export function runFairness({ flows }: FairnessCase, seed = 1): FairnessResult {
  const rateBps = RATE_MBPS * 1e6;
  const net = new SharedBottleneck({
    seed,
    clients: flows.map(({ control, rttMs }) => ({ delayMs: rttMs / 2, ...stackOptions(control, false) })),
    upstream: { rateBps, queuePackets: queuePackets(rateBps, QUEUE_MS) },
  });
  const running: Flow[] = [];
  const startedUs = net.clock.nowUs();
  for (const [i, client] of net.clients.entries()) {
    net.clock.advanceTo(startedUs + i * STAGGER_SECONDS * 1e6);
    running.push(new Flow({ from: client, to: net.server, address: net.serverAddress, port: 5000 + i }));
  }
  net.clock.advanceTo(startedUs + (SECONDS / 3) * 1e6);
  const before = running.map((flow) => flow.receivedBytes);
  net.clock.advanceTo(startedUs + SECONDS * 1e6);
  const measuredUs = (SECONDS * 2e6) / 3;
  const goodputsMbps = running.map((flow, i) => ((flow.receivedBytes - before[i]) * 8) / measuredUs);
  net.close();
  return { goodputsMbps, jain: jainIndex(goodputsMbps) };
}
