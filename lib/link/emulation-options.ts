/** What one direction of an emulated link does to packets. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { MAX_PACKET_BYTES } from './packet-batch.js';

/** A Gilbert-Elliott channel: it is good or bad, and may change with each packet. */
export interface BurstLoss {
  /** Probability that a good channel turns bad before a packet. */
  enterBad: number;
  /** Probability that a bad channel turns good before a packet: bursts last 1 / this packets on average. */
  leaveBad: number;
  /** Probability of losing a packet while bad; 1 by default. */
  lossBad?: number;
  /** The same while good; 0 by default. */
  lossGood?: number;
}

/** What happens to one packet, named by its number: the first to enter this direction is 1. */
export type Fault =
  /** Does not arrive. */
  | { packet: number; kind: 'drop' }
  /** Arrives `delayMs` later than it would, and later ones overtake it. */
  | { packet: number; kind: 'delay'; delayMs: number }
  /** Arrives `copies` times more (1 by default), `delayMs` after the first (0 by default). */
  | { packet: number; kind: 'duplicate'; copies?: number; delayMs?: number }
  /** Arrives with one bit turned, counted from the start of the packet; by default one that its number picks. */
  | { packet: number; kind: 'corrupt'; bit?: number };

/** All are optional; by default packets arrive at once and unchanged. Probabilities are 0 .. 1. */
export interface DirectionOptions {
  /** Speed, bits per second; unlimited by default. Only a limited speed makes a queue. */
  rateBps?: number;
  /** Time from leaving the queue to arrival, ms. */
  delayMs?: number;
  /** Uniform variation of the delay both ways, ms. Packets stay in order. */
  jitterMs?: number;
  /** Packets that may wait for their turn; 1000 by default unless `queueBytes` is given. */
  queuePackets?: number;
  /** Bytes that may wait. What does not fit is dropped. */
  queueBytes?: number;
  /** Probability of loss, for each packet by itself. */
  loss?: number;
  /** Losses in bursts, besides `loss`. */
  burstLoss?: BurstLoss;
  /** Lets a packet arrive `delayMs` later than it would, so that others overtake it. */
  reorder?: { probability: number; delayMs: number };
  /** Probability of arriving twice. */
  duplicate?: number;
  /** Probability of arriving with one bit turned. */
  corrupt?: number;
  /** With this many packets waiting, ECN-capable packets are marked CE (RFC 3168 §5). */
  ecnThresholdPackets?: number;
  /** The same in bytes. */
  ecnThresholdBytes?: number;
  /** Larger packets vanish, as where ICMP is filtered, bytes. */
  mtu?: number;
  /** Numbers of packets to drop, the first being 1. */
  drop?: readonly number[];
  /** What happens to single packets. */
  faults?: readonly Fault[];
  /** Drops the packets for which it says true. The packet is lent for the call. */
  dropIf?: (packet: Uint8Array, number: number) => boolean;
  /**
   * Hears of every packet that enters, and when it will arrive, µs; `NEVER` when it will not. The packet is
   * lent for the call.
   */
  observe?: (packet: Uint8Array, number: number, arrivalUs: number) => void;
  /** Packets that may be under way at once; what exceeds them is dropped. 100,000 by default. */
  maxInFlight?: number;
}

export const DEFAULT_QUEUE_PACKETS = 1000;
export const DEFAULT_MAX_IN_FLIGHT = 100_000;

const PROBABILITY = ['loss', 'duplicate', 'corrupt'] as const;
const COUNTS = [
  'queuePackets',
  'queueBytes',
  'ecnThresholdPackets',
  'ecnThresholdBytes',
  'maxInFlight',
] as const;
const TIMES = ['delayMs', 'jitterMs'] as const;
const KNOWN: ReadonlySet<string> = new Set([
  ...PROBABILITY,
  ...COUNTS,
  ...TIMES,
  'rateBps',
  'burstLoss',
  'reorder',
  'mtu',
  'drop',
  'faults',
  'dropIf',
  'observe',
]);

/**
 * @throws ArgumentValueError for an unknown option or fault, ArgumentRangeError for a value out of
 * range, ArgumentTypeError for one of a wrong type
 */
export function checkDirectionOptions(options: DirectionOptions): void {
  for (const key of Object.keys(options)) {
    if (!KNOWN.has(key)) throw new ArgumentValueError(`unknown link option "${key}"`);
  }
  for (const key of PROBABILITY) checkProbability(key, options[key]);
  for (const key of COUNTS) checkCount(key, options[key]);
  for (const key of TIMES) checkTime(key, options[key]);
  if (options.rateBps !== undefined && !(options.rateBps > 0)) {
    throw new ArgumentRangeError(`rateBps must be above 0, not ${options.rateBps}`);
  }
  if (options.mtu !== undefined && !(options.mtu >= 1 && options.mtu <= MAX_PACKET_BYTES)) {
    throw new ArgumentRangeError(`mtu must be within 1 .. 65535, not ${options.mtu}`);
  }
  if (options.burstLoss !== undefined) {
    for (const [key, value] of Object.entries(options.burstLoss)) checkProbability(`burstLoss.${key}`, value);
  }
  if (options.reorder !== undefined) {
    checkProbability('reorder.probability', options.reorder.probability);
    checkTime('reorder.delayMs', options.reorder.delayMs);
  }
  if (options.dropIf !== undefined && typeof options.dropIf !== 'function') {
    throw new ArgumentTypeError('dropIf must be a function');
  }
  if (options.observe !== undefined && typeof options.observe !== 'function') {
    throw new ArgumentTypeError('observe must be a function');
  }
  for (const number of options.drop ?? []) checkNumber(number);
  for (const fault of options.faults ?? []) checkFault(fault);
}

function checkFault(fault: Fault): void {
  checkNumber(fault.packet);
  switch (fault.kind) {
    case 'drop':
      return;
    case 'delay':
      if (fault.delayMs === undefined) throw new ArgumentTypeError('a delay needs delayMs');
      checkTime('delayMs', fault.delayMs);
      return;
    case 'duplicate':
      checkTime('delayMs', fault.delayMs);
      checkCount('copies', fault.copies);
      return;
    case 'corrupt':
      if (fault.bit !== undefined && !(Number.isInteger(fault.bit) && fault.bit >= 0)) {
        throw new ArgumentRangeError(`bit must be an integer from 0, not ${fault.bit}`);
      }
      return;
    default:
      throw new ArgumentValueError(`unknown fault "${String((fault as Fault).kind)}"`);
  }
}

function checkProbability(name: string, value: number | undefined): void {
  if (value !== undefined && !(value >= 0 && value <= 1)) {
    throw new ArgumentRangeError(`${name} must be within 0 .. 1, not ${value}`);
  }
}

function checkCount(name: string, value: number | undefined): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
    throw new ArgumentRangeError(`${name} must be an integer from 0, not ${value}`);
  }
}

function checkTime(name: string, value: number | undefined): void {
  if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
    throw new ArgumentRangeError(`${name} must be a time from 0, not ${value}`);
  }
}

function checkNumber(number: number): void {
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new ArgumentRangeError(`packets are numbered from 1, not ${number}`);
  }
}
