/** The client's side of TCP Fast Open on one connection (RFC 7413 §4.2.1): text on the SYN, and what became of it. */
import { seqAdd, seqDiff, seqMax } from '../base/seq.js';
import { TcpHeader } from '../wire/tcp.js';
import { MAX_OPTION_BYTES, synOptionsBytes } from '../wire/tcp-options.js';
import type { TcpConnection } from './connection.js';
import type { FastOpenMemory } from './fast-open-cache.js';
import { defaultMss } from './handshake.js';
import type { TcpSegment } from './segment.js';

export class FastOpenAttempt {
  readonly #memory: FastOpenMemory;
  /** Text bytes of the last SYN, and the most that any has carried. */
  #carriedBytes = 0;
  #sentBytes = 0;
  /** The SYN had to shrink: which of them was answered is not known. */
  hasResent = false;
  #isAnswered = false;

  /** @param memory what is known of the path; it learns how the attempt went */
  constructor(memory: FastOpenMemory) {
    this.#memory = memory;
  }

  /** Puts the cookie into the next SYN, or asks for one. */
  begin(c: TcpConnection): void {
    c.synOptions.fastOpenCookie = this.#memory.cookie;
  }

  /**
   * Text bytes the SYN that is due may carry: with a cookie what a segment takes, all its options reserved as on
   * Linux, for boxes on the way may add some (RFC 7413 §4.1.3.1).
   */
  textBytes(c: TcpConnection): number {
    const cookie = c.synOptions.fastOpenCookie;
    if (cookie === undefined || cookie.length === 0 || c.receiver !== undefined) return 0;
    const peerMss = this.#memory.mssBytes > 0 ? this.#memory.mssBytes : defaultMss(c.family);
    const ownMss = c.options.maxSegmentBytes > 0 ? c.options.maxSegmentBytes : peerMss;
    const mss = Math.min(peerMss, ownMss, c.transportBytes - TcpHeader.MIN_BYTES);
    return Math.max(0, Math.min(c.sender.buffer.length, mss - MAX_OPTION_BYTES));
  }

  /** A SYN has left with so much text. Should it be repeated, it is a plain one (RFC 7413 §4.2.1). */
  synSent(c: TcpConnection, textBytes: number): void {
    this.#carriedBytes = textBytes;
    this.#sentBytes = Math.max(this.#sentBytes, textBytes);
    const { sender } = c;
    sender.sndNxt = seqMax(sender.sndNxt, seqAdd(sender.iss, 1 + textBytes));
  }

  /** A router wants smaller packets: where the SYN was larger it goes again at once, with less text. */
  pathChanged(c: TcpConnection): void {
    if (this.#carriedBytes === 0 || c.synDue) return;
    const options = { ...c.synOptions, fastOpenCookie: this.#memory.cookie };
    const segmentBytes = TcpHeader.MIN_BYTES + synOptionsBytes(options) + this.#carriedBytes;
    if (segmentBytes <= c.transportBytes) return;
    this.begin(c);
    this.hasResent = true;
    c.sendSyn();
  }

  /**
   * The handshake is complete: text the peer has not acknowledged goes again, as if never sent.
   * @param segment acknowledges the SYN; `isSynAck` unless both sides have sent one
   */
  answered(c: TcpConnection, segment: TcpSegment, isSynAck: boolean): void {
    this.#isAnswered = true;
    const takenBytes = seqDiff(segment.ack, seqAdd(c.sender.iss, 1));
    const cookie = isSynAck ? cookieOf(segment) : undefined;
    this.#memory.learn(c.negotiated?.peerMssBytes ?? 0, cookie, segment.nowUs);
    if (c.timers.synTransmissions > 1 && cookie === undefined && takenBytes === 0) {
      this.#memory.lostSyn(segment.nowUs);
    } else if (takenBytes > 0) this.#memory.worked();
    if (this.#sentBytes === 0) return;
    if (takenBytes === this.#sentBytes) c.stats.tcp.fastOpenActive++;
    else c.stats.tcp.fastOpenActiveFail++;
    c.isFastOpened = takenBytes > 0;
    const { sender } = c;
    sender.sndNxt = segment.ack;
    sender.synAcknowledged(segment.ack);
    sender.deliveredBytes += takenBytes;
    if (takenBytes > 0) c.writeSpaceChanged();
  }

  /**
   * Nothing has been heard for several retransmissions, before the handshake was complete or after it: boxes that
   * swallow what began with Fast Open do either (Linux `tcp_fastopen_active_detect_blackhole`).
   */
  silent(c: TcpConnection, nowUs: number): void {
    if (this.#isAnswered && this.#sentBytes === 0) return;
    c.stats.tcp.fastOpenBlackhole++;
    this.#memory.blackHole(nowUs);
  }
}

/** The cookie a SYN-ACK brings (RFC 7413 §4.1.1). */
function cookieOf({ options, bytes }: TcpSegment): Uint8Array | undefined {
  if (options.cookieBytes <= 0) return undefined;
  return new Uint8Array(bytes.subarray(options.cookieAt, options.cookieAt + options.cookieBytes));
}
