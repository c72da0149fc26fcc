/**
 * One direction of an emulated link: a queue, then a wire that takes time, loses, turns, repeats and
 * reorders packets. All is decided when a packet enters, and each chance is drawn whatever becomes of
 * the packet, so that one fault more or less moves no other.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';
import { type Random, randomFraction } from '../base/random.js';
import { updateChecksum16 } from '../wire/checksum.js';
import { EmulatedQueue } from './emulated-queue.js';
import {
  checkDirectionOptions,
  DEFAULT_MAX_IN_FLIGHT,
  type DirectionOptions,
  type Fault,
} from './emulation-options.js';
import { PacketStore } from './packet-store.js';

/** What became of the packets that entered. All only grow. */
export class DirectionCounters {
  /** Packets that entered. */
  packets = 0;
  /** Bytes of them. */
  bytes = 0;
  /** Packets that arrived, copies included. */
  delivered = 0;
  /** Bytes of them. */
  deliveredBytes = 0;
  /** Dropped because the queue was full. */
  queueDrops = 0;
  /** Lost by chance. */
  lost = 0;
  /** Dropped because of their number or because `dropIf` said so. */
  faultDrops = 0;
  /** Dropped because they were larger than the MTU of this direction. */
  mtuDrops = 0;
  /** Dropped because too many were under way. */
  overflowDrops = 0;
  /** Copies made. */
  duplicated = 0;
  /** Arrived with one bit turned. */
  corrupted = 0;
  /** Made late, for others to overtake. */
  reordered = 0;
  /** Marked CE. */
  marked = 0;
  /** The most packets that ever waited in the queue. */
  maxQueuePackets = 0;
  /** The most bytes that ever did. */
  maxQueueBytes = 0;
}

/** Takes a packet that arrives; false when it cannot now: `deliverDue` is to be called again later. */
export type Deliver = (bytes: Uint8Array, at: number, length: number) => boolean;

/** The fate of the packet in hand. */
class Fate {
  drop = false;
  lost = false;
  corrupt = false;
  /** Which bit to turn, modulo those there are. */
  bit = 0;
  copies = 0;
  copyDelayUs = 0;
  lateUs = 0;
  jitterUs = 0;

  clear(): void {
    this.drop = false;
    this.lost = false;
    this.corrupt = false;
    this.bit = 0;
    this.copies = 0;
    this.copyDelayUs = 0;
    this.lateUs = 0;
    this.jitterUs = 0;
  }
}

/** One direction of an emulated link. */
export class EmulatedDirection {
  /** What became of the packets that entered. */
  readonly counters = new DirectionCounters();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #deliver: Deliver;
  readonly #store: PacketStore;
  readonly #queue = new EmulatedQueue();
  readonly #fate = new Fate();
  readonly #alarm: Alarm;
  #options: Readonly<DirectionOptions> = {};
  #faults = new Map<number, Fault[]>();
  #channelIsBad = false;
  /** Latest arrival of a packet that keeps its place, µs: none after it may arrive earlier. */
  #lastArrivalUs = 0;

  /**
   * @param world with the largest packet that may enter, bytes
   * @param onDue called from an alarm when `deliverDue` has something to do
   */
  constructor(
    world: { readonly clock: Clock; readonly random: Random; readonly packetBytes: number },
    options: DirectionOptions,
    deliver: Deliver,
    onDue: () => void,
  ) {
    this.#clock = world.clock;
    this.#random = world.random;
    this.#deliver = deliver;
    this.#store = new PacketStore(world.packetBytes);
    this.#alarm = world.clock.createAlarm(onDue);
    this.update(options);
  }

  /** The options in force. */
  get options(): Readonly<DirectionOptions> {
    return this.#options;
  }

  /** Packets under way, those in the queue included. */
  get inFlight(): number {
    return this.#store.size;
  }

  /**
   * Changes the given options from now on; what has entered keeps its fate.
   * @throws ArgumentValueError, ArgumentRangeError, ArgumentTypeError
   */
  update(options: DirectionOptions): void {
    const merged = { ...this.#options, ...options };
    checkDirectionOptions(merged);
    this.#options = Object.freeze(merged);
    this.#faults = new Map();
    for (const packet of merged.drop ?? []) this.#addFault({ packet, kind: 'drop' });
    for (const fault of merged.faults ?? []) this.#addFault(fault);
  }

  /**
   * @hidden
   * A packet enters. It is copied, and arrives by `deliverDue`.
   */
  enter(bytes: Uint8Array, at: number, length: number): void {
    const arrivalUs = this.#admit(bytes, at, length);
    this.#options.observe?.(bytes.subarray(at, at + length), this.counters.packets, arrivalUs);
  }

  /** @returns when the packet that enters will arrive, µs; `NEVER` when it will not */
  #admit(bytes: Uint8Array, at: number, length: number): number {
    const counters = this.counters;
    const options = this.#options;
    const queue = this.#queue;
    const fate = this.#fate;
    const number = ++counters.packets;
    counters.bytes += length;
    this.#decide(number);
    if (options.mtu !== undefined && length > options.mtu) {
      counters.mtuDrops++;
      return NEVER;
    }
    if (fate.drop || options.dropIf?.(bytes.subarray(at, at + length), number)) {
      counters.faultDrops++;
      return NEVER;
    }
    const nowUs = this.#clock.nowUs();
    queue.advance(nowUs);
    const congested = queue.isCongested(options);
    const departureUs = queue.enter(length, nowUs, options);
    if (departureUs === NEVER) {
      counters.queueDrops++;
      return NEVER;
    }
    counters.maxQueuePackets = Math.max(counters.maxQueuePackets, queue.packets);
    counters.maxQueueBytes = Math.max(counters.maxQueueBytes, queue.bytes);
    if (fate.lost) {
      counters.lost++;
      return NEVER;
    }
    const arrivalUs = this.#transmit(bytes, at, length, { departureUs, congested });
    this.#schedule();
    return arrivalUs;
  }

  /**
   * @hidden
   * Delivers what is due, as far as the receiver takes it.
   */
  deliverDue(): void {
    const nowUs = this.#clock.nowUs();
    const store = this.#store;
    while (store.earliestUs <= nowUs) {
      const slot = store.first;
      const length = store.lengthOf(slot);
      if (!this.#deliver(store.bytesOf(slot), store.offsetOf(slot), length)) return;
      this.counters.delivered++;
      this.counters.deliveredBytes += length;
      store.removeFirst();
    }
    this.#schedule();
  }

  /**
   * @hidden
   * Drops everything under way.
   */
  close(): void {
    this.#store.clear();
    this.#alarm.clear();
  }

  /** @hidden */
  ref(): void {
    this.#alarm.ref?.();
  }

  /** @hidden */
  unref(): void {
    this.#alarm.unref?.();
  }

  #schedule(): void {
    const earliestUs = this.#store.earliestUs;
    if (earliestUs === NEVER) this.#alarm.clear();
    else this.#alarm.setAt(earliestUs);
  }

  #addFault(fault: Fault): void {
    const others = this.#faults.get(fault.packet);
    if (others === undefined) this.#faults.set(fault.packet, [fault]);
    else others.push(fault);
  }

  /** Draws every chance that is on, always in this order, then adds what was set for this number. */
  #decide(number: number): void {
    const fate = this.#fate;
    const { loss = 0, corrupt = 0, duplicate = 0, reorder, jitterMs = 0, burstLoss } = this.#options;
    fate.clear();
    if (loss > 0) fate.lost = this.#chance(loss);
    if (burstLoss !== undefined) {
      const change = this.#chance(this.#channelIsBad ? burstLoss.leaveBad : burstLoss.enterBad);
      this.#channelIsBad = this.#channelIsBad !== change;
      if (this.#chance(this.#channelIsBad ? (burstLoss.lossBad ?? 1) : (burstLoss.lossGood ?? 0)))
        fate.lost = true;
    }
    if (corrupt > 0 && this.#chance(corrupt)) {
      fate.corrupt = true;
      fate.bit = this.#random.uint32();
    }
    if (duplicate > 0 && this.#chance(duplicate)) fate.copies = 1;
    if (reorder !== undefined && this.#chance(reorder.probability)) fate.lateUs = reorder.delayMs * 1000;
    if (jitterMs > 0) fate.jitterUs = (2 * randomFraction(this.#random) - 1) * jitterMs * 1000;
    const faults = this.#faults.get(number);
    if (faults !== undefined) for (const fault of faults) applyFault(fate, fault);
  }

  #chance(probability: number): boolean {
    return randomFraction(this.#random) < probability;
  }

  /** Puts the packet in hand on the wire, with its copies. @returns when it will arrive, µs, or `NEVER` */
  #transmit(
    bytes: Uint8Array,
    at: number,
    length: number,
    left: { readonly departureUs: number; readonly congested: boolean },
  ): number {
    const counters = this.counters;
    const fate = this.#fate;
    const store = this.#store;
    const { delayMs = 0, maxInFlight = DEFAULT_MAX_IN_FLIGHT } = this.#options;
    if (store.size >= maxInFlight) {
      counters.overflowDrops++;
      return NEVER;
    }
    let arrivalUs = left.departureUs + Math.max(0, delayMs * 1000 + fate.jitterUs);
    if (fate.lateUs > 0) {
      arrivalUs += fate.lateUs;
      counters.reordered++;
    } else {
      arrivalUs = Math.max(arrivalUs, this.#lastArrivalUs);
      this.#lastArrivalUs = arrivalUs;
    }
    const slot = store.add(bytes, at, length, arrivalUs);
    if (left.congested && markCongestion(store.viewOf(slot), store.offsetOf(slot), length)) counters.marked++;
    if (fate.corrupt && length > 0) this.#corrupt(slot, length);
    for (let copy = 0; copy < fate.copies; copy++) {
      if (store.size >= maxInFlight) {
        counters.overflowDrops++;
        continue;
      }
      store.add(store.bytesOf(slot), store.offsetOf(slot), length, arrivalUs + fate.copyDelayUs);
      counters.duplicated++;
    }
    return arrivalUs;
  }

  #corrupt(slot: number, length: number): void {
    const bit = this.#fate.bit % (length * 8);
    this.#store.bytesOf(slot)[this.#store.offsetOf(slot) + (bit >> 3)] ^= 0x80 >> (bit & 7);
    this.counters.corrupted++;
  }
}

function applyFault(fate: Fate, fault: Fault): void {
  switch (fault.kind) {
    case 'drop':
      fate.drop = true;
      break;
    case 'delay':
      fate.lateUs += fault.delayMs * 1000;
      break;
    case 'duplicate':
      fate.copies += fault.copies ?? 1;
      fate.copyDelayUs = (fault.delayMs ?? 0) * 1000;
      break;
    case 'corrupt':
      fate.corrupt = true;
      // Drawing here would move all other chances.
      fate.bit = fault.bit ?? Math.imul(fault.packet, 0x9e37_79b9) >>> 0;
      break;
    default:
      break;
  }
}

/** Sets CE on a packet that is ECN-capable (RFC 3168 §5). @returns whether it was */
function markCongestion(view: DataView, at: number, length: number): boolean {
  const word = length >= 20 ? view.getUint16(at) : 0;
  const version = word >> 12;
  const shift = version === 4 ? 0 : 4;
  const ecn = (word >> shift) & 3;
  if ((version !== 4 && version !== 6) || ecn === 0) return false;
  const marked = word | (3 << shift);
  view.setUint16(at, marked);
  if (version === 4) view.setUint16(at + 10, updateChecksum16(view.getUint16(at + 10), word, marked));
  return ecn !== 3;
}
