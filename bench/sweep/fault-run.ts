/**
 * Runs one case of a sweep: a transfer of 100 segments in virtual time, some of whose packets suffer, and
 * says what went wrong.
 *
 * - Every byte arrives, both ends close well, everything comes to rest and no connection is left.
 * - No retransmission time-out where recovery must do without one: never with a single fault, and with
 *   two only where nothing could have told the sender of the loss. What tells it is an acknowledgment of
 *   something sent after the last loss; a round trip later a time-out has no excuse. The SYN and the
 *   SYN-ACK are repeated by a timer of their own.
 * - Where packets are duplicated and nothing else, nothing is sent again.
 * - Where packets are reordered and nothing else, nothing that was first sent after the sender has learned of
 *   the reordering is sent again, if it was late by less than a quarter of the round trip. That is measured
 *   against what was sent after it, as RFC 8985 §6.2 does: a queue that empties makes what went before late too.
 */
import { NEVER } from '../../lib/base/clock.js';
import type { DirectionOptions, Fault } from '../../lib/link/emulation-options.js';
import { Simulation } from '../../lib/sim/simulation.js';
import type { Stack } from '../../lib/stack/stack.js';
import { restOptions } from '../support/rest-after.js';
import type { FaultCase, FaultKind, PlannedFault, Side, SweepConfig } from './fault-case.js';
import { type LoggedPacket, PacketLog } from './packet-log.js';

export const SEGMENTS = 100;
const DELAY_MS = 10;
const RTT_US = 2000 * DELAY_MS;
/** Less than a quarter of the round trip, the window of RFC 8985 §6.2 once reordering is known. */
const REORDER_MS = 4;
/** More than a round trip, so that the packet is believed lost. */
const LATE_MS = 35;
const COPY_MS = 7;
/** Where packets are plain they go at a rate; super-packets come in bursts, so that some are joined again. */
const RATE_BPS = 20e6;
/** All of IPv4's 1460 or IPv6's 1440 bytes but the timestamps. */
const SEGMENT_BYTES = { 4: 1448, 6: 1428 } as const;
/** Virtual time a transfer may take, µs. */
const LIMIT_US = 120e6;

export interface RunOutcome {
  /** What went wrong; nothing if it is empty. */
  readonly troubles: readonly string[];
  /** Packets that entered each direction. */
  readonly dataPackets: number;
  readonly ackPackets: number;
  /** Of both stacks together. */
  readonly timeouts: number;
  readonly retransmissions: number;
  /** Virtual time from the start to the last byte, µs. */
  readonly durationUs: number;
}

/** What a stack sent, what it was sent, and when its retransmission timer expired. */
interface Party {
  readonly stack: Stack;
  readonly out: PacketLog;
  readonly back: PacketLog;
  readonly timeoutsUs: number[];
}

export function runCase({ config, faults }: FaultCase): RunOutcome {
  const logs = { data: new PacketLog(), ack: new PacketLog() };
  const nowUs = (): number => net.clock.nowUs();
  const parties: Party[] = [];
  const direction = (side: Side): DirectionOptions => {
    const own = faults.filter((fault) => fault.side === side);
    const damaged = own.filter(({ kind }) => kind === 'corrupt').map(({ packet }) => packet);
    const log = logs[side].observer(nowUs, new Set(damaged));
    return {
      delayMs: DELAY_MS,
      ...(config.superPackets ? {} : { rateBps: RATE_BPS }),
      faults: own.map(linkFault),
      observe: (packet, number, arrivalUs) => {
        for (const party of parties) noteTimeouts(party, nowUs());
        log(packet, number, arrivalUs);
      },
    };
  };
  const net = simulate(config, direction);
  const [sender, receiver] = config.role === 'up' ? [net.client, net.server] : [net.server, net.client];
  parties.push({ stack: sender, out: logs.data, back: logs.ack, timeoutsUs: [] });
  parties.push({ stack: receiver, out: logs.ack, back: logs.data, timeoutsUs: [] });
  const bytes = SEGMENTS * SEGMENT_BYTES[config.family];
  const transfer = net.start({ bytes, direction: config.role });
  net.clock.runUntil(() => transfer.isOver, LIMIT_US);
  const troubles: string[] = [];
  if (!transfer.isIntact) troubles.push('wrong bytes');
  if (transfer.receivedBytes !== bytes) troubles.push(`${transfer.receivedBytes} of ${bytes} bytes`);
  if (transfer.closeCodes.some((code) => code !== '')) troubles.push(`ended ${transfer.closeCodes.join()}`);
  if (!net.rest()) troubles.push('no rest');
  if (net.client.tcp.connections + net.server.tcp.connections > 0) troubles.push('connections left');
  for (const party of parties) troubles.push(...troublesOf(party, faults));
  net.close();
  return {
    troubles,
    dataPackets: logs.data.packets.length,
    ackPackets: logs.ack.packets.length,
    timeouts: sum(parties, ({ stack }) => stack.stats.tcp.timeouts),
    retransmissions: sum(parties, ({ stack }) => stack.stats.tcp.retransSegs),
    durationUs: transfer.durationUs,
  };
}

function simulate(config: SweepConfig, direction: (side: Side) => DirectionOptions): Simulation {
  const [upstream, downstream]: Side[] = config.role === 'up' ? ['data', 'ack'] : ['ack', 'data'];
  const stack = { tcp: { ...restOptions(), connection: { congestionControl: config.control } } };
  return new Simulation({
    seed: 7,
    family: config.family,
    superPackets: config.superPackets,
    upstream: direction(upstream),
    downstream: direction(downstream),
    client: stack,
    server: stack,
  });
}

function linkFault({ packet, kind }: PlannedFault): Fault {
  if (kind === 'reorder') return { packet, kind: 'delay', delayMs: REORDER_MS };
  if (kind === 'delay') return { packet, kind, delayMs: LATE_MS };
  if (kind === 'duplicate') return { packet, kind, delayMs: COPY_MS };
  return { packet, kind };
}

/** A time-out sends something again at once, so it is noticed when it happens. */
function noteTimeouts({ stack, timeoutsUs }: Party, nowUs: number): void {
  while (timeoutsUs.length < stack.stats.tcp.timeouts) timeoutsUs.push(nowUs);
}

const all = (faults: readonly PlannedFault[], kind: FaultKind): boolean =>
  faults.length > 0 && faults.every((fault) => fault.kind === kind);

function* troublesOf(party: Party, faults: readonly PlannedFault[]): Generator<string> {
  const { stack, timeoutsUs } = party;
  const needless = timeoutsUs.filter((us) => faults.length < 2 || couldKnow(party, us));
  if (needless.length > 0) yield `time-out after ${milliseconds(needless)} without need`;
  if (stack.stats.tcp.timeouts > timeoutsUs.length) yield 'a time-out that sent nothing';
  if (all(faults, 'duplicate') && stack.stats.tcp.retransSegs > 0) yield 'sent again what was duplicated';
  if (all(faults, 'reorder')) yield* spuriousRepetitions(party);
}

const milliseconds = (times: readonly number[]): string =>
  `${times.map((us) => ((us - 1e9) / 1000).toFixed(1)).join(' and ')} ms`;

/** Whether the party had heard, a round trip before, of something it sent after the last loss. */
function couldKnow({ out, back }: Party, timeoutUs: number): boolean {
  const isLost = ({ sentUs, arrivedUs }: LoggedPacket): boolean => arrivedUs === NEVER && sentUs < timeoutUs;
  const losses = [...out.packets, ...back.packets].filter(isLost);
  const lastLossUs = Math.max(0, ...losses.map(({ sentUs }) => sentUs));
  const later = out.packets.find(
    ({ sentUs, arrivedUs, length }) => sentUs > lastLossUs && length > 0 && arrivedUs < timeoutUs,
  );
  if (later === undefined) return false;
  return back.packets.some(
    ({ sentUs, arrivedUs }) => sentUs >= later.arrivedUs && arrivedUs + RTT_US < timeoutUs,
  );
}

/** What was first sent after the party knew of reordering, and was sent again nevertheless. */
function* spuriousRepetitions({ out, back }: Party): Generator<string> {
  const knownUs = reorderingKnownUs(out, back);
  for (const { first, again } of out.repetitions()) {
    if (first.sentUs <= knownUs || latenessUs(out, first, again) >= RTT_US / 4) continue;
    yield `packet ${first.number} sent again as ${again.number} although reordering was known`;
  }
}

/** How much longer a packet took than the fastest of those sent after it, as far as they arrived before it was sent again. */
function latenessUs(out: PacketLog, first: LoggedPacket, again: LoggedPacket): number {
  const tripUs = ({ sentUs, arrivedUs }: LoggedPacket): number => arrivedUs - sentUs;
  const later = out.packets.filter(
    ({ number, arrivedUs }) => number > first.number && arrivedUs < again.sentUs,
  );
  return tripUs(first) - Math.min(NEVER, ...later.map(tripUs));
}

/** When the acknowledgment of the first packet that was overtaken came, µs. */
function reorderingKnownUs(out: PacketLog, back: PacketLog): number {
  const late = out.packets.find(({ length, arrivedUs }, i) => {
    const next = out.packets[i + 1];
    return length > 0 && next !== undefined && next.arrivedUs < arrivedUs;
  });
  if (late === undefined) return NEVER;
  const told = back.packets.filter(({ sentUs }) => sentUs >= late.arrivedUs);
  return Math.min(NEVER, ...told.map(({ arrivedUs }) => arrivedUs));
}

const sum = (parties: readonly Party[], value: (party: Party) => number): number =>
  parties.reduce((total, party) => total + value(party), 0);
