/**
 * Path MTU discovery of a connection. What ICMP and the routes say holds at once (RFC 1191, RFC 8201): the
 * policy of RFC 5927 §7.2 that waits for a time-out first is not followed, as on Linux, since who forges a
 * message must know a sequence number in flight, and gains no more than smaller segments for ten minutes.
 * Where nobody says anything, time-outs of full segments tell of a black hole, and probes find what it
 * lets through (RFC 4821).
 */
import { seqAdd } from '../base/seq.js';
import { IPV6_HEADER_BYTES, IPV6_MIN_MTU } from '../wire/ipv6.js';
import { TcpHeader } from '../wire/tcp.js';
import { TIMESTAMPS_BYTES } from '../wire/tcp-options.js';
import type { TcpConnection } from './connection.js';
import { effectiveMss } from './handshake.js';
import { MtuProber } from './mtu-prober.js';
import { Phase } from './recovery/episode.js';

/** Text of the first full segments. Both SYNs have been seen. */
export function firstMss(c: TcpConnection): number {
  const limitBytes = limitOf(c);
  const { planner } = c.sender;
  planner.prober = c.options.mtuProbing === 'always' ? proberOf(c, limitBytes, true) : undefined;
  return planner.prober?.mssBytes ?? limitBytes;
}

/** What path, peer and options allow has changed. @returns text of a full segment now */
export function mssForLimit(c: TcpConnection): number {
  const limitBytes = limitOf(c);
  const { prober } = c.sender.planner;
  if (prober === undefined) return limitBytes;
  if (prober.limitChanged(limitBytes)) {
    c.sender.recovery.board.dropMtuProbe();
  }
  return prober.mssBytes;
}

/** A probe has left. */
export function mtuProbeSent(c: TcpConnection): void {
  const { planner, recovery } = c.sender;
  const { sequence, textBytes } = planner.plan;
  c.stats.tcp.mtuProbes++;
  recovery.board.mtuProbeSent();
  planner.prober?.probeSent(sequence, seqAdd(sequence, textBytes));
}

/** An ACK was taken, or what was late is lost now: what became of the probe may be known. */
export function judgeMtuProbe(c: TcpConnection): void {
  const { sender } = c;
  const { prober } = sender.planner;
  if (prober === undefined) return;
  if (sender.recovery.board.mtuProbeLost) probeLost(c, prober);
  else if (sender.recovery.phase !== Phase.Open) prober.inconclusive();
  if (!prober.acknowledged(sender.sndUna, sender.sndNxt, sender.cwndBytes)) return;
  c.stats.tcp.mtuProbeSuccess++;
  sender.setMss(prober.mssBytes);
}

function probeLost(c: TcpConnection, prober: MtuProber): void {
  const { recovery } = c.sender;
  // Without SACK only its first part was named.
  recovery.board.dropMtuProbe();
  if (recovery.phase !== Phase.Open) {
    prober.inconclusive();
    return;
  }
  c.stats.tcp.mtuProbeFail++;
  prober.probeLost();
  // Duplicates that go on coming tell of nothing else, until all of the probe is acknowledged.
  if (!recovery.sack) recovery.episode.recoveryPoint = prober.probeEnd;
}

/**
 * A retransmission timer has expired. From R1 on, a full segment that never arrives may be too large for a path
 * that does not say so (RFC 2923 §2.1, Linux `tcp_mtu_probing`). Below the base it takes a sign of life to
 * believe that: mere silence is an outage, and small segments do not help.
 */
export function suspectBlackHole(c: TcpConnection): void {
  const { sender, options } = c;
  const { recovery, planner } = sender;
  recovery.board.mtuProbeLost = false;
  planner.prober?.inconclusive();
  if (options.mtuProbing === 'off' || recovery.log.count === 0 || sender.sndWnd === 0) return;
  if (recovery.retries < options.retries1 && planner.prober?.isVerifying !== true) return;
  const prober = planner.prober ?? proberOf(c, limitOf(c), false);
  const firstBytes = Math.min(recovery.log.bytes(recovery.log.slot(0)), sender.mssBytes);
  if (firstBytes <= prober.fallbackBytes) return;
  if (prober.isAtBase && !isWorthMore(c)) return;
  planner.prober = prober;
  prober.blackHole();
  c.stats.tcp.mtuBlackHoles++;
  sender.setMss(prober.mssBytes);
}

/** Whether even the base may be too large: twice as many time-outs as for the first suspicion, and a living peer. */
function isWorthMore({ options, timers, sender }: TcpConnection): boolean {
  const { retries, firstRetryUs } = sender.recovery;
  if (options.mtuProbing === 'always') return true;
  return retries >= 2 * options.retries1 && timers.heardAtUs > firstRetryUs;
}

function limitOf(c: TcpConnection): number {
  const { negotiated, transportBytes, options } = c;
  return negotiated === undefined ? c.sender.mssBytes : effectiveMss(negotiated, transportBytes, options);
}

/** Every IPv6 path carries 1280 bytes (RFC 8200 §5): nothing below is searched for there. */
function proberOf(c: TcpConnection, limitBytes: number, fromBase: boolean): MtuProber {
  const { options, negotiated, family } = c;
  const { baseMssBytes, mtuProbeFloorBytes } = options;
  const optionBytes = negotiated?.timestamps === true ? TIMESTAMPS_BYTES : 0;
  const least = family === 6 ? IPV6_MIN_MTU - IPV6_HEADER_BYTES - TcpHeader.MIN_BYTES - optionBytes : 0;
  const floorBytes = Math.max(mtuProbeFloorBytes, least);
  return new MtuProber({ limitBytes, baseBytes: baseMssBytes, floorBytes }, fromBase);
}
