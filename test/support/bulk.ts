/** A connection that sends for ever over an emulated link in virtual time, and what became of its window. */
import { Flow } from '../../bench/goodput/flow.js';
import type { Probe, ProbedConnection } from '../../lib/base/probe.js';
import type { TcpStats } from '../../lib/base/stats.js';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import { Simulation } from '../../lib/sim/simulation.js';
import type { TcpOptions } from '../../lib/tcp/options.js';

export interface WindowSample {
  readonly atUs: number;
  readonly cwndBytes: number;
  readonly ssthreshBytes: number;
  readonly srttUs: number;
  readonly inFlightBytes: number;
  readonly phase: string;
}

/** The window after each ACK. */
export class Windows implements Probe {
  readonly samples: WindowSample[] = [];

  onAck(connection: ProbedConnection): void {
    const { nowUs: atUs, cwndBytes, ssthreshBytes, srttUs, inFlightBytes, phase } = connection;
    this.samples.push({ atUs, cwndBytes, ssthreshBytes, srttUs, inFlightBytes, phase });
  }

  get last(): WindowSample {
    return this.samples[this.samples.length - 1];
  }

  between(fromUs: number, toUs: number): WindowSample[] {
    return this.samples.filter(({ atUs }) => atUs >= fromUs && atUs < toUs);
  }

  /** When ssthresh was lowered, µs. */
  get reductions(): number[] {
    const at: number[] = [];
    for (let i = 1; i < this.samples.length; i++) {
      if (this.samples[i].ssthreshBytes < this.samples[i - 1].ssthreshBytes) at.push(this.samples[i].atUs);
    }
    return at;
  }
}

export interface BulkOptions {
  readonly control: string;
  readonly upstream: DirectionOptions;
  readonly downstream: DirectionOptions;
  readonly seed?: number;
  readonly client?: Partial<TcpOptions>;
  readonly server?: Partial<TcpOptions>;
}

/** Segment with timestamps at an MTU of 1500, bytes. */
export const SEGMENT = 1448;

export class Bulk {
  readonly net: Simulation;
  readonly windows = new Windows();
  readonly flow: Flow;
  readonly startUs: number;

  constructor(options: BulkOptions) {
    const { control, upstream, downstream, seed = 1 } = options;
    // The receiver's window is large from the start: what is looked at is the sender's.
    const server = { receiveBufferBytes: 4 << 20, ...options.server };
    this.net = new Simulation({
      seed,
      upstream,
      downstream,
      client: {
        tcp: { connection: { congestionControl: control, ...options.client } },
        probe: this.windows,
      },
      server: { tcp: { connection: server } },
    });
    const { client: from, server: to, serverAddress: address } = this.net;
    this.startUs = this.net.clock.nowUs();
    this.flow = new Flow({ from, to, address, port: 5000 });
  }

  get seconds(): number {
    return (this.net.clock.nowUs() - this.startUs) / 1e6;
  }

  advance(seconds: number): this {
    this.net.clock.advanceBy(seconds * 1e6);
    return this;
  }

  /** Lets it run until `condition` holds, `limitSeconds` more at most. */
  until(condition: () => boolean, limitSeconds: number): this {
    this.net.clock.runUntil(condition, limitSeconds * 1e6);
    return this;
  }

  /** By how many segments the window grew in each round trip, from one time to another, on average. */
  growth(fromUs: number, toUs: number): number {
    const samples = this.windows.between(fromUs, toUs);
    const [first, last] = [samples[0], samples[samples.length - 1]];
    const rounds = (last.atUs - first.atUs) / last.srttUs;
    return (last.cwndBytes - first.cwndBytes) / SEGMENT / rounds;
  }

  /** Counters of the sender. */
  get stats(): TcpStats {
    return this.net.client.stats.tcp;
  }

  close(): void {
    this.net.close();
  }
}
