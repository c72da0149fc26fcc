/** What a connection does when time passes: handshake, retransmission, persist, ACKs, keep-alive, farewell. */
import { NEVER } from '../base/clock.js';
import type { Tape } from '../base/tape.js';
import { type TcpConnection } from './connection.js';
import { ConnectionEvent } from './connection-parameters.js';
import { askAgain } from './handshake-ecn.js';
import { judgeMtuProbe, suspectBlackHole } from './mtu-discovery.js';
import { RecoveryTimer } from './recovery/recovery-timers.js';
import type { SegmentOutput } from './segment-output.js';
import { isSynchronized, TcpState } from './state.js';
import { transmitProbe, transmitTailProbe } from './transmission.js';

/** A connection counts as idle when nothing was sent or heard for this long, µs; and is looked at this often at least. */
const TRIM_AFTER_US = 1_000_000;
const TRIM_WITHIN_US = 60_000_000;

/** Linux doubles RTOs up to this many times when it computes how long `retries2` takes. */
const TIMEOUT_BASE_US = 200_000;

/** Retransmissions for a connection without an owner when memory is short. */
const HURRIED_RETRIES = 2;

/** When keep-alive probes go, and how many (RFC 9293 §3.8.4). */
export interface KeepAliveTiming {
  /** Idle time before the first probe, ms. */
  idleMs: number;
  /** Time between probes, ms. */
  intervalMs: number;
  /** Unanswered probes after which the connection is given up. */
  probes: number;
}

export class ConnectionTimers {
  readonly #connection: TcpConnection;
  /** When the SYN or SYN-ACK is repeated, µs, how often it was sent, and when first. */
  handshakeDeadlineUs = NEVER;
  synTransmissions = 0;
  synSentAtUs = 0;
  /** When the peer was last heard, µs. */
  heardAtUs = 0;
  keepAliveDeadlineUs = NEVER;
  keepAliveProbes = 0;
  keepsAlive: boolean;
  /** Idle time before the first probe, time between probes, and how many. */
  readonly keepAliveTiming: KeepAliveTiming;
  /** When the first of the time-outs under way was, µs, 0 for none; how often there was one, and how long they took. */
  timeoutSinceUs = 0;
  timeoutRecoveries = 0;
  timeoutRecoveryUs = 0;
  /** User timeout of RFC 5482, µs; 0 for none. */
  userTimeoutUs: number;
  /** When the buffers are looked at, whether their memory can be given back, µs. */
  trimDeadlineUs = NEVER;
  /** End of FIN-WAIT-2 without an owner, µs, and of waiting for it to begin. */
  farewellDeadlineUs = NEVER;
  lingerDeadlineUs = NEVER;

  constructor(connection: TcpConnection) {
    this.#connection = connection;
    this.userTimeoutUs = connection.options.userTimeoutMs * 1000;
    this.keepsAlive = connection.options.keepAlive;
    const { keepAliveIdleMs, keepAliveIntervalMs, keepAliveProbes } = connection.options;
    this.keepAliveTiming = {
      idleMs: keepAliveIdleMs,
      intervalMs: keepAliveIntervalMs,
      probes: keepAliveProbes,
    };
  }

  /** With none of them running but keep-alive, and the look at the buffers. */
  fold(tape: Tape): void {
    const { keepAlive, keepAliveIdleMs, keepAliveIntervalMs, keepAliveProbes, userTimeoutMs } =
      this.#connection.parameters.options;
    this.synTransmissions = tape.number(this.synTransmissions, 1);
    this.synSentAtUs = tape.number(this.synSentAtUs, 0);
    this.heardAtUs = tape.number(this.heardAtUs, 0);
    this.keepAliveDeadlineUs = tape.number(this.keepAliveDeadlineUs, NEVER);
    this.keepAliveProbes = tape.number(this.keepAliveProbes, 0);
    this.keepsAlive = tape.flag(this.keepsAlive !== keepAlive) ? !keepAlive : keepAlive;
    const timing = this.keepAliveTiming;
    timing.idleMs = tape.number(timing.idleMs, keepAliveIdleMs);
    timing.intervalMs = tape.number(timing.intervalMs, keepAliveIntervalMs);
    timing.probes = tape.number(timing.probes, keepAliveProbes);
    this.timeoutSinceUs = tape.number(this.timeoutSinceUs, 0);
    this.timeoutRecoveries = tape.number(this.timeoutRecoveries, 0);
    this.timeoutRecoveryUs = tape.number(this.timeoutRecoveryUs, 0);
    this.userTimeoutUs = tape.number(this.userTimeoutUs, userTimeoutMs * 1000);
    this.trimDeadlineUs = tape.number(this.trimDeadlineUs, NEVER);
  }

  get nextDeadlineUs(): number {
    const { sender, acks } = this.#connection;
    return Math.min(
      this.handshakeDeadlineUs,
      this.#recoveryDeadlineUs,
      this.#userDeadlineUs,
      sender.persistDeadlineUs,
      sender.small.deadlineUs,
      sender.pacer.deadlineUs,
      acks.deadlineUs,
      this.keepAliveDeadlineUs,
      this.farewellDeadlineUs,
      this.lingerDeadlineUs,
      this.trimDeadlineUs,
    );
  }

  /** Until the SYN-ACK is acknowledged only that is repeated, whatever Fast Open has let go behind it. */
  get #recoveryDeadlineUs(): number {
    const { fastOpenPlace, sender } = this.#connection;
    return fastOpenPlace === undefined ? sender.recovery.deadlineUs : NEVER;
  }

  /** RFC 6298 §5.7 and RFC 9293 §3.8.3: the SYN is repeated after 1 s, 2 s, 4 s … */
  handshakeStarted(nowUs: number): void {
    this.synTransmissions = 1;
    this.synSentAtUs = nowUs;
    this.handshakeDeadlineUs = nowUs + this.#connection.options.initialRtoMs * 1000;
  }

  /** Our SYN or SYN-ACK is not acknowledged yet: in SYN-RECEIVED, and in FIN-WAIT-1 when closed there. */
  get isHandshaking(): boolean {
    return this.handshakeDeadlineUs !== NEVER;
  }

  handshakeDone(): void {
    this.handshakeDeadlineUs = NEVER;
    this.setKeepAlive(this.keepsAlive, this.heardAtUs);
  }

  /** Something acceptable came from the peer: it lives. */
  heard(nowUs: number): void {
    this.heardAtUs = nowUs;
    this.keepAliveProbes = 0;
    this.#connection.sender.unansweredProbes = 0;
  }

  /** Turns keep-alive on or off (RFC 9293 §3.8.4); before the handshake is done, for when it will be. */
  setKeepAlive(enabled: boolean, nowUs: number, timing: Partial<KeepAliveTiming> = {}): void {
    this.keepsAlive = enabled;
    Object.assign(this.keepAliveTiming, timing);
    this.keepAliveDeadlineUs =
      enabled && isSynchronized(this.#connection.state) ? nowUs + this.keepAliveTiming.idleMs * 1000 : NEVER;
    this.keepAliveProbes = 0;
  }

  /** The owner is gone: FIN-WAIT-2 must not last for ever, nor its wait for the peer to have our FIN. */
  orphaned(nowUs: number): void {
    const { state, options, lingerMs } = this.#connection;
    if (state === TcpState.FIN_WAIT_2) {
      this.farewellDeadlineUs = nowUs + options.finTimeoutMs * 1000;
      this.#lingered();
    } else if (lingerMs > 0) {
      this.lingerDeadlineUs = nowUs + lingerMs * 1000;
    }
  }

  #lingered(): void {
    this.lingerDeadlineUs = NEVER;
    this.#connection.signal(ConnectionEvent.Lingered);
  }

  /** What a time-out has sent again was acknowledged. */
  timeoutOver(nowUs: number): void {
    this.timeoutRecoveryUs += nowUs - this.timeoutSinceUs;
    this.timeoutSinceUs = 0;
  }

  stop(): void {
    this.handshakeDeadlineUs = NEVER;
    this.keepAliveDeadlineUs = NEVER;
    this.farewellDeadlineUs = NEVER;
    this.lingerDeadlineUs = NEVER;
    this.trimDeadlineUs = NEVER;
    this.#connection.acks.deadlineUs = NEVER;
  }

  /** Does what is due at `nowUs`, each once, however late (a process may sleep for days). */
  expire(output: SegmentOutput, nowUs: number): void {
    const { sender, acks } = this.#connection;
    if (this.farewellDeadlineUs <= nowUs) {
      this.#connection.end('');
      return;
    }
    if (this.lingerDeadlineUs <= nowUs) this.#lingered();
    if (this.handshakeDeadlineUs <= nowUs) this.#handshakeExpired(nowUs);
    this.#recoveryExpired(output, nowUs);
    if (sender.persistDeadlineUs <= nowUs) this.#persistExpired(output, nowUs);
    if (acks.deadlineUs <= nowUs && acks.expired(sender.recovery.rtoUs)) {
      this.#connection.stats.tcp.delayedAcks++;
    }
    if (sender.small.deadlineUs <= nowUs) sender.small.push();
    if (this.keepAliveDeadlineUs <= nowUs) this.#keepAliveExpired(output, nowUs);
    if (this.trimDeadlineUs <= nowUs) this.#trim(nowUs);
  }

  /** Buffers hold memory: look at them again when the connection may have become idle. */
  watchMemory(nowUs: number): void {
    if (this.trimDeadlineUs === NEVER) this.trimDeadlineUs = nowUs + TRIM_AFTER_US;
  }

  /** An idle connection holds no buffers. */
  #trim(nowUs: number): void {
    const { sender, receiver, parameters } = this.#connection;
    const idleUs = nowUs - Math.max(this.heardAtUs, sender.lastSentUs);
    this.trimDeadlineUs = NEVER;
    if (idleUs >= TRIM_AFTER_US) {
      sender.buffer.trim();
      sender.recovery.log.trim();
      if (parameters.memory.isUnderPressure) receiver?.prune();
      else receiver?.buffer.trim();
    }
    if (this.#connection.memoryBytes === 0) return;
    // What is still held belongs to somebody: the longer nothing happens, the more rarely we look.
    this.trimDeadlineUs = nowUs + Math.min(Math.max(idleUs, TRIM_AFTER_US), TRIM_WITHIN_US);
  }

  #handshakeExpired(nowUs: number): void {
    const { options, stats, softError, fastOpenPlace, handshakePlace, sender } = this.#connection;
    const retries = (fastOpenPlace ?? handshakePlace)?.synAckRetries ?? options.synRetries;
    const userLimit = this.userTimeoutUs;
    const tooLong = userLimit > 0 && nowUs - this.synSentAtUs >= userLimit;
    if (this.synTransmissions > retries || tooLong) {
      stats.tcp.attemptFails++;
      // An ICMP error seen on the way says more than "timed out" (RFC 9293 §3.9.2.2).
      this.#connection.end(softError === '' ? 'ETIMEDOUT' : softError);
      return;
    }
    stats.tcp.synRetrans++;
    stats.tcp.retransSegs++;
    if (this.synTransmissions === options.retries1) this.#connection.doubtRoute(nowUs);
    // Text that followed a lost SYN-ACK found nobody who could take it.
    if (fastOpenPlace !== undefined && sender.recovery.log.count > 0) sender.retransmissionTimeout(nowUs);
    const rtoUs = Math.min(options.initialRtoMs * 1000 * 2 ** this.synTransmissions, options.rtoMaxMs * 1000);
    this.synTransmissions++;
    this.handshakeDeadlineUs = nowUs + rtoUs;
    if (userLimit > 0)
      this.handshakeDeadlineUs = Math.min(this.handshakeDeadlineUs, this.synSentAtUs + userLimit);
    askAgain(this.#connection);
    this.#connection.sendSyn();
  }

  /** What is late is lost, a lost tail is probed for, or everything is sent again. */
  #recoveryExpired(output: SegmentOutput, nowUs: number): void {
    const { sender, stats, fastOpenPlace } = this.#connection;
    const timer = fastOpenPlace === undefined ? sender.recovery.timers.expired(nowUs) : RecoveryTimer.None;
    if (timer === RecoveryTimer.Retransmission || this.#userDeadlineUs <= nowUs) {
      this.#retransmissionExpired(nowUs);
    } else if (timer === RecoveryTimer.Reordering) {
      const wasRecovering = sender.recovery.isRecovering;
      sender.reorderingTimeout(nowUs);
      judgeMtuProbe(this.#connection);
      this.#connection.observer?.lossesDetected();
      if (!wasRecovering && sender.recovery.isRecovering) stats.tcp.sackRecovery++;
    } else if (timer === RecoveryTimer.Probe) {
      sender.recovery.timers.noProbe();
      transmitTailProbe(this.#connection, output, nowUs);
    }
  }

  #retransmissionExpired(nowUs: number): void {
    const connection = this.#connection;
    const { sender, options, stats } = connection;
    const { recovery } = sender;
    if (connection.isOrphan && !connection.parameters.memory.hasRoomAgain) {
      // Memory that nobody owns goes first (Linux `tcp_out_of_resources`).
      stats.tcp.abortOnMemory++;
      connection.abort();
      return;
    }
    if (this.#isGivenUp(nowUs)) {
      stats.tcp.abortOnTimeout++;
      connection.end(connection.softError === '' ? 'ETIMEDOUT' : connection.softError);
      return;
    }
    stats.tcp.timeouts++;
    if (recovery.board.hasReneged) stats.tcp.sackReneging++;
    if (this.timeoutSinceUs === 0) {
      this.timeoutSinceUs = nowUs;
      this.timeoutRecoveries++;
    }
    sender.retransmissionTimeout(nowUs);
    connection.observer?.timedOut();
    suspectBlackHole(connection);
    if (recovery.retries === options.retries1) connection.doubtRoute(nowUs);
  }

  /** Whether R2 of RFC 9293 §3.8.3, or the user timeout of RFC 5482, has passed. */
  #isGivenUp(nowUs: number): boolean {
    const { sender, options, isOrphan } = this.#connection;
    const { recovery } = sender;
    if (recovery.firstRetryUs === 0) return false;
    const elapsedUs = nowUs - recovery.firstRetryUs;
    if (this.userTimeoutUs > 0) return nowUs >= this.#userDeadlineUs;
    const retries = isOrphan ? Math.min(this.#orphanRetries, options.retries2) : options.retries2;
    if (recovery.retries < Math.min(retries, 3)) return false;
    // A peer with a closed window that still answers is alive (RFC 9293 §3.8.6.1, MUST-37).
    if (sender.sndWnd === 0 && !isOrphan && nowUs - this.heardAtUs < options.rtoMaxMs * 1000) return false;
    return elapsedUs >= retriesTakeUs(retries, options.rtoMaxMs * 1000);
  }

  /** How patiently a connection without an owner is finished: less so when memory is short. */
  get #orphanRetries(): number {
    const { orphanRetries, memory } = this.#connection.parameters;
    return memory.isUnderPressure ? Math.min(orphanRetries, HURRIED_RETRIES) : orphanRetries;
  }

  /** When the user timeout ends the retransmissions under way, whatever the RTO (Linux `tcp_clamp_rto_to_user_timeout`). */
  get #userDeadlineUs(): number {
    const { firstRetryUs } = this.#connection.sender.recovery;
    return this.userTimeoutUs > 0 && firstRetryUs > 0 ? firstRetryUs + this.userTimeoutUs : NEVER;
  }

  #persistExpired(output: SegmentOutput, nowUs: number): void {
    const connection = this.#connection;
    const { sender, options, stats, isOrphan } = connection;
    const silentUs = nowUs - this.heardAtUs;
    const userLimit = this.userTimeoutUs;
    // Probes that nobody answers count like retransmissions (Linux `tcp_probe_timer`).
    const tooManyUnanswered = sender.unansweredProbes >= options.retries2;
    const orphanDone = isOrphan && sender.probes >= this.#orphanRetries;
    if (tooManyUnanswered || orphanDone || (userLimit > 0 && sender.probes > 0 && silentUs >= userLimit)) {
      stats.tcp.abortOnTimeout++;
      if (orphanDone) connection.reset(sender.sndNxt, true);
      connection.end('ETIMEDOUT');
      return;
    }
    sender.persistDeadlineUs = NEVER;
    stats.tcp.zeroWindowProbes++;
    transmitProbe(connection, output, nowUs);
    sender.probed(nowUs);
  }

  #keepAliveExpired(output: SegmentOutput, nowUs: number): void {
    const connection = this.#connection;
    const { sender, stats } = connection;
    const { idleMs, intervalMs, probes } = this.keepAliveTiming;
    const idleEnd = this.heardAtUs + idleMs * 1000;
    const busy = sender.recovery.log.count > 0 || sender.isStalled;
    if (busy || (this.keepAliveProbes === 0 && idleEnd > nowUs)) {
      this.keepAliveDeadlineUs = busy ? nowUs + idleMs * 1000 : idleEnd;
      return;
    }
    const userLimit = this.userTimeoutUs;
    const silentTooLong = userLimit > 0 && this.keepAliveProbes > 0 && nowUs - this.heardAtUs >= userLimit;
    if (silentTooLong || (userLimit === 0 && this.keepAliveProbes >= probes)) {
      stats.tcp.keepAliveTimeouts++;
      connection.reset(sender.sndNxt, true);
      connection.end(connection.softError === '' ? 'ETIMEDOUT' : connection.softError);
      return;
    }
    this.keepAliveProbes++;
    stats.tcp.keepAliveProbes++;
    transmitProbe(connection, output, nowUs);
    this.keepAliveDeadlineUs = nowUs + intervalMs * 1000;
  }
}

/** How long `retries` retransmissions take when the first RTO is the smallest, µs (Linux `retransmits_timed_out`). */
function retriesTakeUs(retries: number, rtoMaxUs: number): number {
  const doublings = Math.floor(Math.log2(rtoMaxUs / TIMEOUT_BASE_US));
  if (retries <= doublings) return (2 ** (retries + 1) - 1) * TIMEOUT_BASE_US;
  return (2 ** (doublings + 1) - 1) * TIMEOUT_BASE_US + (retries - doublings) * rtoMaxUs;
}
