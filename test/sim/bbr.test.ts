import { expect } from 'chai';
import { jainIndex } from '../../bench/goodput/fairness.js';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import { Simulation } from '../../lib/sim/simulation.js';
import type { Transfer } from '../../lib/sim/transfer.js';
import type { TcpOptions } from '../../lib/tcp/options.js';

/** Largest share of a link's rate that text of full segments can have: 1448 of 1500 bytes. */
const PAYLOAD_SHARE = 1448 / 1500;
const ENDLESS_BYTES = 1e12;

interface PathGiven {
  readonly rateMbps: number;
  readonly rttMs: number;
  /** What happens besides, on the way of the data. */
  readonly upstream?: DirectionOptions;
  readonly options?: Partial<TcpOptions>;
  readonly seed?: number;
}

/** Flows that never end over one path; how much each got, and how long packets waited. */
class Path {
  readonly net: Simulation;
  readonly flows: Transfer[] = [];
  readonly #rateBps: number;
  readonly #delayUs: number;
  #waitedUs = 0;
  #packets = 0;

  constructor({ rateMbps, rttMs, upstream, options, seed }: PathGiven) {
    const delayMs = rttMs / 2;
    this.#rateBps = rateMbps * 1e6;
    this.#delayUs = delayMs * 1000;
    this.net = new Simulation({
      seed: seed ?? 1,
      upstream: {
        rateBps: this.#rateBps,
        delayMs,
        observe: (packet, _number, arrivalUs) => this.#entered(packet.length, arrivalUs),
        ...upstream,
      },
      downstream: { delayMs },
      client: { tcp: { connection: { congestionControl: 'bbr', ...options } } },
    });
  }

  #entered(bytes: number, arrivalUs: number): void {
    if (!Number.isFinite(arrivalUs)) return;
    const unqueuedUs = this.net.clock.nowUs() + this.#delayUs + (8e6 * bytes) / this.#rateBps;
    this.#waitedUs += arrivalUs - unqueuedUs;
    this.#packets++;
  }

  add(): this {
    this.flows.push(this.net.start({ bytes: ENDLESS_BYTES }));
    return this;
  }

  /** Lets time pass. @returns which share of the rate each flow got in it */
  shares(seconds: number): number[] {
    const before = this.flows.map((flow) => flow.receivedBytes);
    this.#waitedUs = 0;
    this.#packets = 0;
    this.net.clock.runUntil(() => false, seconds * 1e6);
    return this.flows.map((flow, i) => (8 * (flow.receivedBytes - before[i])) / seconds / this.#rateBps);
  }

  /** How long packets waited in the queue on average since `shares` began, ms. */
  get meanWaitMs(): number {
    return this.#waitedUs / this.#packets / 1000;
  }

  get counters() {
    return this.net.client.stats.tcp;
  }

  close(): void {
    expect(this.flows.every((flow) => flow.isIntact)).to.equal(true);
    this.net.close();
  }
}

describe('BBR between two stacks', () => {
  it('fills 10 Mbit/s of 40 ms, with little in the queue and nothing lost', () => {
    const path = new Path({ rateMbps: 10, rttMs: 40 }).add();
    path.shares(1);
    const [share] = path.shares(4);
    expect(share).to.be.greaterThan(0.95 * PAYLOAD_SHARE);
    expect(path.meanWaitMs).to.be.lessThan(10);
    expect(path.counters.retransSegs).to.equal(0);
    path.close();
  });

  it('starts up within a few round trips', () => {
    const path = new Path({ rateMbps: 100, rttMs: 20 }).add();
    path.shares(0.3);
    const [share] = path.shares(0.2);
    expect(share).to.be.greaterThan(0.9 * PAYLOAD_SHARE);
    path.close();
  });

  it('keeps four fifths of 100 Mbit/s of 20 ms where 1 % is lost at random', function () {
    this.timeout(30_000);
    for (const seed of [1, 2]) {
      const path = new Path({ rateMbps: 100, rttMs: 20, upstream: { loss: 0.01 }, seed }).add();
      path.shares(0.7);
      const [share] = path.shares(2);
      expect(share, `seed ${seed}`).to.be.greaterThan(0.8);
      expect(path.counters.slowStartRetrans, 'sent again after time-outs').to.equal(0);
      path.close();
    }
  });

  it('is not held back by reordering', () => {
    const upstream = { reorder: { probability: 0.01, delayMs: 5 } };
    const path = new Path({ rateMbps: 10, rttMs: 40, upstream }).add();
    path.shares(1);
    const [share] = path.shares(3);
    expect(share).to.be.greaterThan(0.93 * PAYLOAD_SHARE);
    path.close();
  });

  it('loses little in a queue of a fifth of the product, and keeps the rate', () => {
    const path = new Path({ rateMbps: 10, rttMs: 40, upstream: { queueBytes: 10_000 } }).add();
    path.shares(1);
    const before = path.counters.retransSegs;
    const [share] = path.shares(4);
    expect(share).to.be.greaterThan(0.88 * PAYLOAD_SHARE);
    expect((path.counters.retransSegs - before) / (4 * 833), 'of all').to.be.lessThan(0.02);
    path.close();
  });

  it('keeps the queue where marks say, and loses nothing', () => {
    const upstream = { ecnThresholdBytes: 20_000, queueBytes: 60_000 };
    const path = new Path({ rateMbps: 10, rttMs: 40, upstream, options: { ecn: 'request' } }).add();
    path.shares(2);
    const before = path.counters.retransSegs;
    const [share] = path.shares(3);
    expect(share).to.be.greaterThan(0.85 * PAYLOAD_SHARE);
    expect(path.meanWaitMs).to.be.lessThan(10);
    expect(path.counters.retransSegs).to.equal(before);
    path.close();
  });

  it('has its rate again soon after the path was gone for a second', () => {
    let isGone = false;
    const path = new Path({ rateMbps: 10, rttMs: 40, upstream: { dropIf: () => isGone } }).add();
    path.shares(1.5);
    isGone = true;
    path.shares(1);
    isGone = false;
    path.shares(1.5);
    expect(path.counters.slowStartRetrans).to.be.greaterThan(0);
    const [share] = path.shares(2);
    expect(share).to.be.greaterThan(0.85 * PAYLOAD_SHARE);
    path.close();
  });

  it('shares a path with another BBR that came later', function () {
    this.timeout(30_000);
    const path = new Path({ rateMbps: 10, rttMs: 40, upstream: { queueBytes: 100_000 } }).add();
    path.shares(1);
    path.add();
    path.shares(6);
    const shares = path.shares(5);
    expect(jainIndex(shares), shares.join(' ')).to.be.greaterThan(0.9);
    expect(shares[0] + shares[1]).to.be.greaterThan(0.93 * PAYLOAD_SHARE);
    // The aim is one and a half products in the queue at most (draft-ietf-ccwg-bbr-06 §3.2).
    expect(path.meanWaitMs).to.be.lessThan(60);
    path.close();
  });
});
