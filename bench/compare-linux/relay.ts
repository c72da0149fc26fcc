/**
 * The path: two TUNs, in the senders' namespace and in the receiver's, joined by an emulated link in real
 * time. Arguments: the two namespaces, and a `PathOptions` in JSON. Prints `ready`; when its standard input
 * ends it prints what it saw.
 */
import { Coalescer } from '../../lib/link/coalescer.js';
import { EmulatedLink } from '../../lib/link/emulated-link.js';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import { PacketBatch } from '../../lib/link/packet-batch.js';
import { TunDevice } from '../../lib/link/tun-device.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { Percentiles } from './percentiles.js';
import { SpinningClock } from './spinning-clock.js';

export interface PathOptions {
  readonly seed: number;
  /** What happens to data, and to acknowledgments. */
  readonly forward: DirectionOptions;
  readonly back: DirectionOptions;
  /** Whether the receiver's side joins packets that arrive together, as a network card does. */
  readonly join: boolean;
}

export interface RelayReport {
  /** How much later than planned data left the relay, µs: what the emulation adds by itself. */
  readonly lateP50Us: number;
  readonly lateP99Us: number;
  /** Round trip of the wire as data met it: its wait in the queue and the delay both ways, µs. */
  readonly wireP50Us: number;
  readonly wireP99Us: number;
  readonly packets: number;
  readonly lost: number;
  readonly queueDrops: number;
  /** Packets a TUN did not take. */
  readonly refused: number;
}

const SENDER_SIDE = ['10.98.0.1/24', 'fd98::1/64'];
const RECEIVER_SIDE = ['10.98.0.2/24', 'fd98::2/64'];

const [senders, receiver, given] = process.argv.slice(2);
const options = JSON.parse(given ?? '') as PathOptions;
const clock = new SpinningClock();
const near = TunDevice.create({ netns: senders ?? '', name: 'wire0', address: SENDER_SIDE });
const far = TunDevice.create({
  netns: receiver ?? '',
  name: 'wire0',
  address: RECEIVER_SIDE,
  offload: options.join,
});

const late = new Percentiles();
const wire = new Percentiles();
/** When the packets on the way should arrive, µs, in order. */
let planned: number[] = [];
let arrived = 0;
let refused = 0;
const backUs = (options.back.delayMs ?? 0) * 1000;

const link = new EmulatedLink(near, {
  clock,
  random: new SeededRandom(options.seed),
  incoming: {
    ...options.forward,
    observe: (_packet, _number, arrivalUs) => {
      if (arrivalUs === Number.POSITIVE_INFINITY) return;
      planned.push(arrivalUs);
      wire.add(arrivalUs - clock.nowUs() + backUs);
    },
  },
  outgoing: options.back,
});

/** Copies what came from one side to the other. */
function pass(batch: PacketBatch, to: LinkDevice): void {
  for (let i = 0; i < batch.count; i++) {
    let target = to.borrow();
    if (target !== undefined && target.room < batch.length(i)) {
      to.send(target);
      target = to.borrow();
    }
    if (target === undefined) refused++;
    else target.appendCopy(batch, i);
  }
  const target = to.borrow();
  if (target !== undefined && target.count > 0) to.send(target);
}

function noteLateness(count: number): void {
  const nowUs = clock.nowUs();
  for (let i = 0; i < count; i++) late.add(nowUs - planned[arrived++]);
  if (arrived < 10_000) return;
  planned = planned.slice(arrived);
  arrived = 0;
}

const coalescer = new Coalescer();
const joined = new PacketBatch();
link.open((batch) => {
  noteLateness(batch.count);
  pass(options.join && coalescer.coalesce(batch, joined) ? joined : batch, far);
});
far.open((batch) => pass(batch, link));
console.log('ready');

process.stdin.resume();
process.stdin.on('end', () => {
  const { packets, lost, queueDrops } = link.incoming.counters;
  const report: RelayReport = {
    lateP50Us: late.at(0.5),
    lateP99Us: late.at(0.99),
    wireP50Us: wire.at(0.5),
    wireP99Us: wire.at(0.99),
    packets,
    lost,
    queueDrops,
    refused: refused + near.stats.txDropped + far.stats.txDropped,
  };
  console.log(JSON.stringify(report));
  process.exit(0);
});
