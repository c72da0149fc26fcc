/**
 * What must hold of a sending half after everything that happens to it: the books of the scoreboard agree
 * with its records, both orders of the records are right, nothing that is under way lacks a timer.
 */
import { NEVER } from '../../lib/base/clock.js';
import { type Seq, seqDiff } from '../../lib/base/seq.js';
import type { TcpConnection } from '../../lib/tcp/connection.js';
import { Phase } from '../../lib/tcp/recovery/episode.js';
import type { Scoreboard } from '../../lib/tcp/recovery/scoreboard.js';
import { NO_SLOT, RowFlag } from '../../lib/tcp/recovery/sent-log.js';
import { TcpState } from '../../lib/tcp/state.js';

function must(holds: boolean, what: () => string): void {
  if (!holds) throw new Error(`broken: ${what()}`);
}

/** After an ACK, a timer, a transmission. */
export function checkSender(c: TcpConnection): void {
  if (c.state < TcpState.ESTABLISHED || c.timers.isHandshaking) return;
  const { sender } = c;
  const { recovery } = sender;
  const { board, episode } = recovery;
  checkBoard(board, sender.sndUna, sender.sndNxt);
  must(seqDiff(sender.sndNxt, sender.sndUna) >= 0, () => 'SND.UNA <= SND.NXT');
  must(recovery.inFlightBytes >= 0, () => `${recovery.inFlightBytes} bytes in flight`);
  must(sender.cwndBytes > 0 || episode.isReducing, () => `a window of ${sender.cwndBytes} bytes`);
  must(Number.isFinite(sender.cwndBytes), () => `a window of ${sender.cwndBytes} bytes`);
  const isRunning = recovery.timers.isRunning;
  must(
    isRunning === board.outstandingBytes > 0,
    () => `timer ${isRunning} with ${board.outstandingBytes} out`,
  );
  // A mark may ask for a reduction with the last ACK of a flight.
  if (episode.phase < Phase.Recovery) return;
  must(board.outstandingBytes > 0, () => `nothing out in phase ${episode.phase}`);
  must(seqDiff(episode.recoveryPoint, sender.sndNxt) <= 0, () => 'RecoveryPoint <= SND.NXT');
}

/** When nothing more may leave for now: something must bring it on. */
export function checkProgress(c: TcpConnection): void {
  const { sender } = c;
  if (c.state < TcpState.ESTABLISHED || c.timers.isHandshaking) return;
  const isBusy = sender.recovery.outstandingBytes > 0 || sender.unsentBytes > 0;
  const deadlines = Math.min(
    sender.recovery.deadlineUs,
    sender.persistDeadlineUs,
    sender.small.deadlineUs,
    sender.pacer.deadlineUs,
  );
  must(!isBusy || deadlines !== NEVER, () => `no timer runs with ${sender.unsentBytes} bytes unsent`);
}

function checkBoard(board: Scoreboard, sndUna: Seq, sndNxt: Seq): void {
  const { log } = board;
  let outstanding = 0;
  let sacked = 0;
  let lost = 0;
  let retransmitted = 0;
  let inFlight = 0;
  let firstLost = -1;
  let at = sndUna;
  for (let i = 0; i < log.count; i++) {
    const slot = log.slot(i);
    const flags = log.flags(slot);
    const bytes = log.bytes(slot);
    must(bytes > 0, () => `record ${i} has ${bytes} bytes`);
    must(log.start(slot) === at, () => `record ${i} begins ${seqDiff(log.start(slot), at)} bytes late`);
    at = log.end(slot);
    outstanding += bytes;
    if (flags & RowFlag.SACKED) sacked += bytes;
    if (flags & RowFlag.LOST) lost += bytes;
    if (flags & RowFlag.RETRANSMITTED) retransmitted += bytes;
    const isSacked = (flags & RowFlag.SACKED) !== 0;
    must(!isSacked || (flags & (RowFlag.LOST | RowFlag.RETRANSMITTED)) === 0, () => `record ${i}: ${flags}`);
    const isLost = (flags & RowFlag.LOST) !== 0;
    const isAgain = (flags & RowFlag.RETRANSMITTED) !== 0;
    must(!isAgain || (isLost && (flags & RowFlag.EVER_RETRANSMITTED) !== 0), () => `record ${i}: ${flags}`);
    must((flags & RowFlag.FIN) === 0 || i === log.count - 1, () => `a FIN in record ${i} of ${log.count}`);
    if (isLost && !isAgain && firstLost < 0) firstLost = i;
    const shouldBeListed = !isSacked && (!isLost || isAgain);
    must(log.isListed(slot) === shouldBeListed, () => `record ${i} with ${flags}: ${log.isListed(slot)}`);
    if (shouldBeListed) inFlight++;
  }
  must(log.count === 0 || at === sndNxt, () => `records end ${seqDiff(sndNxt, at)} bytes early`);
  must(board.outstandingBytes === outstanding, () => `${board.outstandingBytes} out, not ${outstanding}`);
  must(board.outstandingBytes === seqDiff(sndNxt, sndUna), () => `${outstanding} bytes of SND.NXT - SND.UNA`);
  must(board.sackedBytes === sacked, () => `${board.sackedBytes} sacked, not ${sacked}`);
  must(board.lostBytes === lost, () => `${board.lostBytes} lost, not ${lost}`);
  must(board.retransmittedBytes === retransmitted, () => `${board.retransmittedBytes} not ${retransmitted}`);
  must(board.nextLost() === firstLost, () => `${board.nextLost()} is to be sent again, not ${firstLost}`);
  checkOrder(board, inFlight);
}

/** The list by transmission: all that is in flight, the oldest first, chained both ways. */
function checkOrder({ log }: Scoreboard, inFlight: number): void {
  let listed = 0;
  let last = NO_SLOT;
  for (let slot = log.oldest; slot !== NO_SLOT; slot = log.nextSent(slot)) {
    must(++listed <= log.count, () => 'the list by transmission has no end');
    const previous = last;
    must(
      previous === NO_SLOT || log.sentAtUs(previous) <= log.sentAtUs(slot),
      () => `a record ${log.sentAtUs(previous) - log.sentAtUs(slot)} µs too early in the list`,
    );
    last = slot;
  }
  must(last === log.newest, () => 'the newest record is not the last of the list');
  must(listed === inFlight, () => `${listed} records listed, ${inFlight} in flight`);
}

/** From now on a connection is checked whenever something happens to it. */
export function watchSender(c: TcpConnection): void {
  const { segmentArrived, transmit, deadlineReached } = Object.getPrototypeOf(c) as TcpConnection;
  c.segmentArrived = (segment) => {
    segmentArrived.call(c, segment);
    checkSender(c);
  };
  c.transmit = (output, nowUs) => {
    const isAll = transmit.call(c, output, nowUs);
    checkSender(c);
    if (isAll) checkProgress(c);
    return isAll;
  };
  c.deadlineReached = (output, nowUs) => {
    deadlineReached.call(c, output, nowUs);
    checkSender(c);
  };
}
