/**
 * One TCP connection (RFC 9293). It is told things: a segment arrived, the application wrote, its
 * deadline passed. It is asked things: its next deadline, its next segments. It holds no clock, timer,
 * socket or randomness, and nothing above or beside itself.
 */
import { NEVER } from '../base/clock.js';
import { invariant } from '../base/errors.js';
import { type Seq, seqAdd } from '../base/seq.js';
import type { DropReason, StackStats } from '../base/stats.js';
import type { IpFamily } from '../wire/ip-address.js';
import type { SynOptions } from '../wire/tcp-options.js';
import { AckPolicy } from './ack-policy.js';
import { segmentArrived } from './arrival.js';
import { textRead } from './arrival-text.js';
import { challenge } from './challenge.js';
import { abort, close, shutdownRead, shutdownWrite } from './closing.js';
import type { CongestionControl } from './congestion/congestion-control.js';
import { FirstWindow } from './congestion/first-window.js';
import {
  ConnectionEvent,
  type ConnectionParameters,
  type PassiveHandshake,
  type PendingReset,
} from './connection-parameters.js';
import { ConnectionTimers } from './connection-timers.js';
import { established, synSeen } from './establishing.js';
import type { FastOpenPlace } from './fast-open.js';
import type { FastOpenAttempt } from './fast-open-attempt.js';
import { announcedMss, effectiveMss, firstWindow, type Negotiated, offer } from './handshake.js';
import type { HandshakePlace } from './handshake-place.js';
import { MemoryShare } from './memory.js';
import { mssForLimit } from './mtu-discovery.js';
import type { Observer } from './observer.js';
import type { TcpOptions } from './options.js';
import type { Receiver, TextSink } from './receiver.js';
import { ACK_FACTS } from './recovery/ack-facts.js';
import type { TcpSegment } from './segment.js';
import type { SegmentOutput } from './segment-output.js';
import { SegmentWriter } from './segment-writer.js';
import { SendTimes } from './send-times.js';
import { Sender } from './sender.js';
import { mayWrite, nextState, type TcpEvent, TcpState } from './state.js';
import { TURN_BYTES, transmit } from './transmission.js';

export class TcpConnection {
  /** Settings; replaced as a whole where the application changes one. */
  options: TcpOptions;
  readonly stats: StackStats;
  readonly family: IpFamily;
  readonly parameters: ConnectionParameters;
  readonly sender: Sender;
  readonly acks: AckPolicy;
  readonly timers: ConnectionTimers;
  readonly writer: SegmentWriter;
  readonly facts = ACK_FACTS;
  readonly times = new SendTimes();
  /** What our SYN offered, and in a SYN-ACK still offers. */
  synOptions: SynOptions;
  /** Made when the peer's SYN has been seen. */
  receiver: Receiver | undefined;
  negotiated: Negotiated | undefined;
  /** Whether it began with `open()` and not with a SYN from the peer (RFC 9293 §3.5, MUST-11). */
  isActiveOpen = false;
  /** Its SYN may carry text (RFC 7413); or, as a server, it was opened by one and is not acknowledged yet. */
  fastOpenAttempt: FastOpenAttempt | undefined;
  fastOpenPlace: FastOpenPlace | undefined;
  /** It was accepted before its handshake, which is not complete. */
  handshakePlace: HandshakePlace | undefined;
  /** Text of a SYN, ours or the peer's, was taken. */
  isFastOpened = false;
  /** How `close` behaves: 0 with an RST. */
  lingerMs: number;
  readonly memory: MemoryShare;
  /** Tells a probe; there is one only where somebody listens. */
  observer: Observer | undefined;
  /** A write was refused for want of memory in the stack, and nothing that is in flight will bring any. */
  isStarved = false;
  /** The owner is gone: what still arrives has no reader. */
  isOrphan = false;
  /** An RST, and the SYN or SYN-ACK, that wait to be sent. */
  pendingReset: PendingReset | undefined;
  synDue = false;
  /** Code of the error that ended it, '' while it lives or when it ended well. */
  errorCode = '';
  /** Code of the last error that did not end it (RFC 9293 §3.9.1.8); '' for none. */
  softError = '';
  /** Segments that arrived, and those among them with text. */
  segmentsReceived = 0;
  textSegmentsReceived = 0;
  #state: TcpState = TcpState.CLOSED;
  #events = 0;
  /** The owner was refused room and waits for `Writable`. */
  isWriteBlocked = false;
  /** R1 was reached: the route should be looked at again (RFC 9293 §3.8.3). */
  doubtsRoute = false;
  /** Bytes of text that may still leave before it is another connection's turn. */
  turnBytes = TURN_BYTES;
  #transportBytes: number;
  /** When a reply to an unacceptable segment was last sent, µs. */
  lastInvalidAckUs = Number.NEGATIVE_INFINITY;

  /** @param congestion what it had before it rested */
  constructor(parameters: ConnectionParameters, congestion?: CongestionControl) {
    const { options } = parameters;
    this.parameters = parameters;
    this.options = options;
    this.stats = parameters.stats;
    this.family = parameters.family;
    this.lingerMs = options.lingerMs;
    this.memory = new MemoryShare(parameters.memory);
    this.#transportBytes = parameters.transportBytes;
    const announced = announcedMss(parameters.interfaceTransportBytes, options);
    this.synOptions = offer(options, announced);
    const { timestamps } = options;
    const mssBytes = effectiveMss(
      { peerMssBytes: announced, timestamps },
      parameters.transportBytes,
      options,
    );
    this.sender = new Sender({
      iss: parameters.iss,
      options,
      stats: this.stats.tcp,
      sack: false,
      congestion: congestion ?? new FirstWindow(options.congestionControl, mssBytes, options.initialWindow),
      mssBytes,
    });
    this.writer = new SegmentWriter(parameters, this.sender);
    this.writer.initialWindow = firstWindow(options);
    this.acks = new AckPolicy({
      minDelayUs: options.delayedAckMinMs * 1000,
      maxDelayUs: options.delayedAckMaxMs * 1000,
      quickAck: options.quickAck,
    });
    this.timers = new ConnectionTimers(this);
  }

  /** A connection whose handshake a listener has completed, ESTABLISHED. */
  static accepted(parameters: ConnectionParameters, handshake: PassiveHandshake): TcpConnection {
    const connection = TcpConnection.passive(parameters, handshake);
    connection.established(handshake.synTransmissions, handshake.rttUs);
    return connection;
  }

  /** One whose handshake a listener has begun, SYN-RECEIVED. */
  static passive(parameters: ConnectionParameters, handshake: PassiveHandshake): TcpConnection {
    const connection = new TcpConnection(parameters);
    const { sender, timers } = connection;
    connection.synOptions = handshake.offered;
    connection.synSeen(handshake.negotiated);
    connection.writer.ecn = handshake.ecn;
    sender.sndNxt = seqAdd(parameters.iss, 1);
    sender.sndWl1 = handshake.negotiated.irs;
    sender.sndWl2 = parameters.iss;
    timers.synSentAtUs = handshake.synSentAtUs;
    timers.heardAtUs = handshake.nowUs;
    connection.#state = TcpState.SYN_RECEIVED;
    return connection;
  }

  get state(): TcpState {
    return this.#state;
  }

  /** It is ESTABLISHED as it was before it rested. */
  awake(transportBytes: number): void {
    this.#state = TcpState.ESTABLISHED;
    this.#transportBytes = transportBytes;
  }

  /** Bits of `ConnectionEvent` since the last call. */
  takeEvents(): number {
    const events = this.#events;
    this.#events = 0;
    return events;
  }

  get hasEvents(): boolean {
    return this.#events !== 0;
  }

  signal(event: number): void {
    this.#events |= event;
  }

  // ---- what the owner does -------------------------------------------------------------------

  /** Active OPEN (RFC 9293 §3.10.1). */
  open(nowUs: number): void {
    invariant(this.#state === TcpState.CLOSED && this.errorCode === '', 'a connection is opened once');
    this.isActiveOpen = true;
    this.move('activeOpen');
    this.sender.sndNxt = seqAdd(this.sender.iss, 1);
    this.fastOpenAttempt?.begin(this);
    this.synDue = true;
    this.timers.handshakeStarted(nowUs);
  }

  /** SEND: admits up to `length` bytes. @returns how many; fewer when the buffer is full */
  write(source: Uint8Array, at: number, length: number): number {
    if (!mayWrite(this.#state) || this.sender.finQueued) return 0;
    const { sender, memory } = this;
    const wanted = Math.min(length, sender.freeBytes);
    const admitted = sender.write(source, at, length, memory.account.roomBytes);
    if (admitted < length) this.isWriteBlocked = true;
    // With anything in the buffer, its acknowledgment makes room, and calls.
    this.isStarved = admitted === 0 && wanted > 0 && sender.buffer.length === 0;
    memory.set(this.memoryBytes);
    return admitted;
  }

  /** SEND with urgent data: the mark is behind what has been written so far (RFC 6093). */
  markUrgent(): void {
    this.sender.sndUp = this.sender.buffer.end;
  }

  /** RECEIVE: moves up to `length` bytes. @returns how many */
  read(target: Uint8Array, at: number, length: number): number {
    const { receiver } = this;
    if (receiver === undefined) return 0;
    // Unless it is wanted in line, the urgent byte is read apart, as on Linux.
    if (!this.options.urgentInline) receiver.urgent.skip(receiver.buffer);
    const bytes = receiver.read(target, at, length);
    if (bytes > 0) textRead(this, receiver);
    this.memory.set(this.memoryBytes);
    return bytes;
  }

  /** Text in order goes to `sink` as it arrives, as long as nothing waits to be read. */
  setSink(sink: TextSink | undefined): void {
    if (this.receiver !== undefined) this.receiver.sink = sink;
  }

  /** Half-close: a FIN follows what has been written (RFC 9293 §3.10.4). The peer may go on sending. */
  shutdownWrite(): void {
    shutdownWrite(this);
  }

  /** The application will read no more; what arrives is acknowledged and thrown away. */
  shutdownRead(): void {
    shutdownRead(this);
  }

  /**
   * CLOSE by an owner that goes away. Text it has not read is lost, and the peer must know: an RST
   * (RFC 9293 §3.6.1, RFC 2525 §2.17). Otherwise a FIN, and the rest happens without an owner.
   */
  close(nowUs: number): void {
    close(this, nowUs);
  }

  /** ABORT (RFC 9293 §3.10.5): queues are dropped and the peer gets an RST where it still listens. */
  abort(): void {
    abort(this);
  }

  // ---- what the network does -----------------------------------------------------------------

  /** A segment for this connection arrived, its checksum verified. */
  segmentArrived(segment: TcpSegment): void {
    if (this.#state === TcpState.CLOSED) return;
    this.segmentsReceived += segment.count;
    if (segment.textBytes > 0) this.textSegmentsReceived += segment.count;
    segmentArrived(this, segment);
    this.memory.set(this.memoryBytes);
  }

  /** Sends what is due. @returns false when the link is full and it must be called again */
  transmit(output: SegmentOutput, nowUs: number): boolean {
    return transmit(this, output, nowUs);
  }

  get hasUnreadText(): boolean {
    return this.receiver !== undefined && this.receiver.readableBytes > 0;
  }

  /** Bytes of memory its buffers use. */
  get memoryBytes(): number {
    return this.sender.buffer.memoryBytes + (this.receiver?.memoryBytes ?? 0);
  }

  /** When `deadlineReached` wants to be called, µs. */
  get nextDeadlineUs(): number {
    return this.#state === TcpState.CLOSED ? NEVER : this.timers.nextDeadlineUs;
  }

  deadlineReached(output: SegmentOutput, nowUs: number): void {
    if (this.#state !== TcpState.CLOSED) this.timers.expire(output, nowUs);
  }

  /** The path's MTU changed: `transportBytes` is what it leaves to a TCP segment. */
  pathChanged(transportBytes: number): void {
    this.#transportBytes = transportBytes;
    if (this.negotiated === undefined) this.fastOpenAttempt?.pathChanged(this);
    else this.sender.setMss(mssForLimit(this));
  }

  get transportBytes(): number {
    return this.#transportBytes;
  }

  // ---- what the parts of a connection tell it (arrival, timers) --------------------------------

  /** Moves by the table of `state.ts`; an impossible move is a bug. */
  move(event: TcpEvent): void {
    const next = nextState(this.#state, event);
    invariant(next !== undefined, `${event} moves state ${this.#state}`);
    const from = this.#state;
    this.#state = next;
    if (this.observer !== undefined) this.observer.moved(from, next);
  }

  /** The peer's SYN was seen: both sides' settings are known. */
  synSeen(negotiated: Negotiated): void {
    synSeen(this, negotiated);
  }

  /**
   * The handshake is complete. `synTransmissions` of ours it took; with more than one the path is
   * distrusted (RFC 6298 §5.7, RFC 5681 §3.1). `rttUs` was measured by it, 0 if it measured none.
   */
  established(synTransmissions: number, rttUs: number): void {
    established(this, synTransmissions, rttUs);
  }

  /** Queues the SYN or SYN-ACK, again. */
  sendSyn(): void {
    this.synDue = true;
  }

  /** Queues an RST at `sequence`. */
  reset(sequence: Seq, withAck: boolean): void {
    this.pendingReset = { sequence, withAck };
  }

  /**
   * It is over: `errorCode` '' when it ended as it should. What was received in order before stays
   * readable, also after an RST, as in Linux; everything else is given back.
   */
  end(errorCode: string): void {
    const from = this.#state;
    if (from === TcpState.CLOSED) return;
    this.#state = TcpState.CLOSED;
    this.errorCode = errorCode;
    if (this.observer !== undefined) this.observer.ended(from, errorCode);
    this.synDue = false;
    this.fastOpenPlace?.leave();
    this.handshakePlace?.leave();
    this.sender.clear();
    this.timers.stop();
    this.signal(ConnectionEvent.Closed);
  }

  /** The stack has memory again. */
  noLongerStarved(): void {
    this.isStarved = false;
    this.isWriteBlocked = false;
    this.signal(ConnectionEvent.Writable);
  }

  /** Tells an owner that was refused room of room. */
  offerRoom(): void {
    if (!this.isWriteBlocked || this.isStarved || !this.sender.isWritable) return;
    this.isWriteBlocked = false;
    this.signal(ConnectionEvent.Writable);
  }

  /** After the sender took an ACK: tells the owner of room, and of the end of what it wrote. */
  writeSpaceChanged(): void {
    const { sender } = this;
    this.offerRoom();
    if (sender.isDrained) this.signal(ConnectionEvent.Drained);
  }

  /** Answers a segment that could not be accepted (RFC 5961 §7). */
  challenge(nowUs: number, isLimited: boolean): void {
    challenge(this, nowUs, isLimited);
  }

  /** R1 of RFC 9293 §3.8.3: the route may be bad, and the owner should know. */
  doubtRoute(nowUs: number): void {
    this.doubtsRoute = true;
    this.fastOpenAttempt?.silent(this, nowUs);
    if (this.softError === '') this.softError = 'ETIMEDOUT';
    this.signal(ConnectionEvent.SoftError);
  }

  /** Whether R1 was reached since the last call. */
  takeDoubt(): boolean {
    const doubts = this.doubtsRoute;
    this.doubtsRoute = false;
    return doubts;
  }

  /** Counts a segment of this connection as dropped. */
  drop(reason: DropReason): void {
    this.stats.drop(reason);
  }
}
