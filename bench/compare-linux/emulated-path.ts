/** The middle of the relay: two links joined by an emulated one, and what it did to the data. */
import { type Clock, NEVER } from '../../lib/base/clock.js';
import { Coalescer } from '../../lib/link/coalescer.js';
import { EmulatedLink } from '../../lib/link/emulated-link.js';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import { PacketBatch } from '../../lib/link/packet-batch.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { Percentiles } from './percentiles.js';

export interface PathOptions {
  readonly seed: number;
  /** What happens to data, and to acknowledgments. */
  readonly forward: DirectionOptions;
  readonly back: DirectionOptions;
  /** Whether the receiver's side joins packets that arrive together, as a network card does. */
  readonly join: boolean;
}

export interface PathReport {
  /** How much later than planned data left the path, µs: what the emulation adds by itself. */
  readonly lateP50Us: number;
  readonly lateP99Us: number;
  /** Round trip of the wire as data met it: its wait in the queue and the delay both ways, µs. */
  readonly wireP50Us: number;
  readonly wireP99Us: number;
  readonly packets: number;
  readonly lost: number;
  readonly queueDrops: number;
  /** Packets a link did not take. */
  readonly refused: number;
}

/** Arrivals that are remembered after they have passed. */
const MAX_PASSED = 10_000;

export class EmulatedPath {
  readonly #clock: Clock;
  readonly #options: PathOptions;
  /** The senders' link behind the emulation, and the receiver's. */
  readonly #link: EmulatedLink;
  readonly #far: LinkDevice;
  readonly #late = new Percentiles();
  readonly #wire = new Percentiles();
  readonly #coalescer = new Coalescer();
  readonly #joined = new PacketBatch();
  /** When data should arrive, µs, in order, and how many of these have. */
  #planned: number[] = [];
  #passed = 0;
  #refused = 0;

  /** @param near the link of the senders; data go from it to `far`. Both are opened at once */
  constructor(clock: Clock, near: LinkDevice, far: LinkDevice, options: PathOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#far = far;
    const backUs = (options.back.delayMs ?? 0) * 1000;
    this.#link = new EmulatedLink(near, {
      clock,
      random: new SeededRandom(options.seed),
      incoming: {
        ...options.forward,
        observe: (_packet, _number, arrivalUs) => {
          if (arrivalUs === NEVER) return;
          this.#planned.push(arrivalUs);
          this.#wire.add(arrivalUs - clock.nowUs() + backUs);
        },
      },
      outgoing: options.back,
    });
    this.#link.open((batch) => this.#arrive(batch));
    far.open((batch) => this.#pass(batch, this.#link));
  }

  get report(): PathReport {
    const { packets, lost, queueDrops } = this.#link.incoming.counters;
    return {
      lateP50Us: this.#late.at(0.5),
      lateP99Us: this.#late.at(0.99),
      wireP50Us: this.#wire.at(0.5),
      wireP99Us: this.#wire.at(0.99),
      packets,
      lost,
      queueDrops,
      refused: this.#refused,
    };
  }

  /** Data come out of the emulation. */
  #arrive(batch: PacketBatch): void {
    this.#noteLateness(batch.count);
    const joins = this.#options.join && this.#coalescer.coalesce(batch, this.#joined);
    this.#pass(joins ? this.#joined : batch, this.#far);
  }

  /** Copies what came from one side to the other. */
  #pass(batch: PacketBatch, to: LinkDevice): void {
    for (let i = 0; i < batch.count; i++) {
      let target = to.borrow();
      if (target !== undefined && target.room < batch.length(i)) {
        to.send(target);
        target = to.borrow();
      }
      if (target === undefined) this.#refused++;
      else target.appendCopy(batch, i);
    }
    const target = to.borrow();
    if (target !== undefined && target.count > 0) to.send(target);
  }

  #noteLateness(count: number): void {
    const nowUs = this.#clock.nowUs();
    for (let i = 0; i < count; i++) this.#late.add(nowUs - this.#planned[this.#passed++]);
    if (this.#passed < MAX_PASSED) return;
    this.#planned = this.#planned.slice(this.#passed);
    this.#passed = 0;
  }
}
