/**
 * The server's side of TCP Fast Open (RFC 7413 §4.2.2): which SYNs open a connection at once, which get a cookie,
 * and how a connection begins that way.
 */
import { MAX_OPTION_BYTES, type SynOptions, synOptionsBytes } from '../wire/tcp-options.js';
import type { TcpConnection } from './connection.js';
import { ConnectionEvent } from './connection-parameters.js';
import { beginSending } from './establishing.js';
import { CookieCheck, FastOpenCookies, type FastOpenPlace } from './fast-open.js';
import type { TcpContext } from './layer-context.js';
import type { TcpListener } from './listener.js';
import type { TcpSegment } from './segment.js';
import type { Tuple } from './tuple.js';

/** What a SYN with a Fast Open option comes to. */
export interface FastOpenAnswer {
  /** The place of the connection it opens; undefined where it takes an ordinary handshake. */
  readonly place: FastOpenPlace | undefined;
  /** For the SYN-ACK. */
  readonly cookie: Uint8Array | undefined;
}

export class FastOpenServer {
  readonly #context: TcpContext;
  /** Made when the first listener with Fast Open gets a SYN that asks for it. */
  #cookies: FastOpenCookies | undefined;

  constructor(context: TcpContext) {
    this.#context = context;
  }

  /** Looks at a SYN (Linux `tcp_try_fastopen`); undefined where Fast Open has no part in it. */
  examine(listener: TcpListener, tuple: Tuple, segment: TcpSegment): FastOpenAnswer | undefined {
    const { cookieBytes } = segment.options;
    if (cookieBytes < 0 || !listener.options.fastOpen) return undefined;
    const { stats, options } = this.#context;
    const { tcp } = stats;
    const { nowUs } = segment;
    if (cookieBytes === 0) tcp.fastOpenCookieReqd++;
    const place = listener.fastOpenQueue.enter(listener.options.fastOpenQueue, options.synAckRetries, nowUs);
    if (place === undefined) {
      tcp.fastOpenListenOverflow++;
      return undefined;
    }
    const check = cookieBytes === 0 ? CookieCheck.Wrong : this.#checkCookie(tuple, segment);
    if (check === CookieCheck.Wrong) {
      place.leave();
      if (cookieBytes > 0) tcp.fastOpenPassiveFail++;
      return { place: undefined, cookie: this.#keys(nowUs).make(tuple, nowUs) };
    }
    tcp.fastOpenPassive++;
    if (check === CookieCheck.Current) return { place, cookie: undefined };
    tcp.fastOpenPassiveAltKey++;
    return { place, cookie: this.#keys(nowUs).make(tuple, nowUs) };
  }

  #checkCookie(tuple: Tuple, segment: TcpSegment): CookieCheck {
    return this.#keys(segment.nowUs).check(tuple, segment, segment.nowUs);
  }

  #keys(nowUs: number): FastOpenCookies {
    const { random, options } = this.#context;
    this.#cookies ??= new FastOpenCookies(random, options.fastOpenKeyMs * 1000, nowUs);
    return this.#cookies;
  }
}

/** `offered` with a cookie, where there is room for it. */
export function withCookie(offered: SynOptions, cookie: Uint8Array | undefined): SynOptions {
  if (cookie === undefined) return offered;
  const more = { ...offered, fastOpenCookie: cookie };
  return synOptionsBytes(more) <= MAX_OPTION_BYTES ? more : offered;
}

/**
 * A connection in SYN-RECEIVED begins before its handshake is complete: the text of the SYN can be read, the
 * SYN-ACK acknowledges it, and an initial window may follow.
 */
export function openEarly(c: TcpConnection, segment: TcpSegment): void {
  const { sender, receiver, timers } = c;
  if (receiver === undefined) return;
  timers.heard(segment.nowUs);
  beginSending(c, 1, 0);
  sender.updateWindow(segment.sequence, sender.iss, segment.window);
  timers.handshakeStarted(segment.nowUs);
  c.sendSyn();
  c.signal(ConnectionEvent.Connected | ConnectionEvent.Writable);
  segment.dropSyn();
  if (segment.textBytes === 0) return;
  const before = receiver.rcvNxt;
  receiver.noteSegmentSize(segment.segmentSize);
  receiver.text(segment);
  if (receiver.rcvNxt === before) return;
  c.isFastOpened = true;
  c.signal(ConnectionEvent.Readable);
}
