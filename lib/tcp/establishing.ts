/** A connection comes to be: the peer's SYN is seen, and the handshake completed. */
import { invariant } from '../base/errors.js';
import {
  type CongestionControl,
  type InheritedWindow,
  initialWindowBytes,
} from './congestion/congestion-control.js';
import type { TcpConnection } from './connection.js';
import { ConnectionEvent, type ConnectionParameters } from './connection-parameters.js';
import { EcnMode } from './ecn/negotiation.js';
import type { FastOpenPlace } from './fast-open.js';
import { firstWindow, type Negotiated } from './handshake.js';
import { firstMss } from './mtu-discovery.js';
import type { TcpOptions } from './options.js';
import { Receiver } from './receiver.js';
import { TcpState } from './state.js';

/** The peer's SYN was seen: both sides' settings are known. */
export function synSeen(c: TcpConnection, negotiated: Negotiated): void {
  const { options } = c;
  c.negotiated = negotiated;
  c.receiver = new Receiver({
    irs: negotiated.irs,
    windowBytes: firstWindow(options),
    bufferBytes: options.receiveBufferBytes,
    mssBytes: c.synOptions.mss,
    maxGaps: options.maxGaps,
    maxBufferBytes: options.receiveBufferMaxBytes,
    clampBytes: options.windowClampBytes,
    windowShift: negotiated.receiveWindowShift,
    sack: negotiated.sack,
    timestamps: negotiated.timestamps,
    stats: c.stats.tcp,
    memory: c.parameters.memory,
  });
  c.receiver.tsRecent = negotiated.tsRecent;
  c.receiver.tsRecentAtUs = negotiated.tsRecentAtUs;
  c.writer.receiver = c.receiver;
  c.writer.timestamps = negotiated.timestamps;
  c.sender.windowShift = negotiated.sendWindowShift;
  c.sender.recovery.sack = negotiated.sack;
}

/** The handshake is complete; `TcpConnection.established` says what the arguments are. */
export function established(c: TcpConnection, synTransmissions: number, rttUs: number): void {
  const { sender, fastOpenPlace } = c;
  // What Fast Open has let go before is in flight, and its window stands.
  if (fastOpenPlace === undefined || sender.recovery.log.count === 0) {
    beginSending(c, synTransmissions, rttUs);
  }
  if (rttUs > 0) {
    sender.recovery.rtt.sample(rttUs, sender.sndUna, sender.sndNxt);
    sender.recovery.rtt.minimum.update(rttUs, c.timers.heardAtUs);
    c.receiver?.tuner.measured(rttUs);
  } else if (synTransmissions > 1) {
    sender.recovery.rtt.distrustHandshake();
  }
  if (c.state === TcpState.SYN_SENT) c.move('rcvSynAck');
  else if (c.state === TcpState.SYN_RECEIVED) c.move('rcvAckOfSyn');
  c.timers.handshakeDone();
  c.handshakePlace?.leave();
  c.handshakePlace = undefined;
  if (fastOpenPlace === undefined) c.signal(ConnectionEvent.Connected | ConnectionEvent.Writable);
  else endEarly(c, fastOpenPlace);
}

/** The peer is real: its time-outs begin anew (Linux `tcp_rcv_synrecv_state_fastopen`). */
function endEarly(c: TcpConnection, place: FastOpenPlace): void {
  const { recovery } = c.sender;
  place.leave();
  c.fastOpenPlace = undefined;
  recovery.retries = 0;
  recovery.backoff = 0;
}

/** Both SYNs were seen, and text may go: a segment's size and the first window are known. */
export function beginSending(c: TcpConnection, synTransmissions: number, rttUs: number): void {
  const { negotiated, sender, options } = c;
  invariant(negotiated !== undefined, 'both SYNs have been seen');
  sender.synAcknowledged();
  const mssBytes = firstMss(c);
  sender.mssBytes = mssBytes;
  // RFC 5681 §3.1: a SYN that had to be repeated, or was marked, says little good of the path.
  const isBad = synTransmissions > 2 || isHandshakeMarked(c);
  const segments = isBad ? 1 : options.initialWindow;
  const nowUs = c.timers.heardAtUs;
  sender.congestion = congestionFor(c.parameters, options, { mssBytes, segments, rttUs, nowUs });
}

/** Whether the peer told that our SYN or SYN-ACK arrived marked (RFC 9768 §3.2.2.2). */
const isHandshakeMarked = ({ writer: { ecn } }: TcpConnection): boolean =>
  ecn?.mode === EcnMode.Accurate && ecn.feedback.handshakeMarked;

/** What is known of the path when a congestion control is made for it. */
interface PathFacts {
  readonly mssBytes: number;
  /** Initial window, segments. */
  readonly segments: number;
  readonly rttUs: number;
  readonly nowUs: number;
  /** Window and threshold where it takes over from another. */
  readonly inherited?: InheritedWindow;
}

export function congestionFor(
  parameters: ConnectionParameters,
  options: TcpOptions,
  path: PathFacts,
): CongestionControl {
  return parameters.congestion(options.congestionControl)({
    mssBytes: path.mssBytes,
    initialWindowBytes: initialWindowBytes(path.mssBytes, path.segments),
    maxWindowBytes: options.maxCongestionWindowBytes,
    rttUs: path.rttUs,
    nowUs: path.nowUs,
    inherited: path.inherited,
    abe: options.abe,
  });
}
