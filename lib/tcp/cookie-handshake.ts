/** Handshakes without state: a SYN is answered with a cookie, and an ACK may bring it back. */
import { type Seq, seqAdd } from '../base/seq.js';
import type { SynOptions } from '../wire/tcp-options.js';
import type { PassiveHandshake } from './connection-parameters.js';
import { EcnMode } from './ecn/negotiation.js';
import type { SynAck } from './half-open.js';
import { acceptedMss, answer, firstWindow, type Negotiated } from './handshake.js';
import { answerAcknowledged, answerSyn, recallEcn } from './handshake-ecn.js';
import type { InitialSequence } from './initial-sequence.js';
import type { TcpContext } from './layer-context.js';
import type { TcpListener } from './listener.js';
import type { TcpSegment } from './segment.js';
import { type CookieOptions, SynCookies } from './syn-cookies.js';
import type { Tuple } from './tuple.js';

/** ACKs are taken for cookies only this long after the last overflow, µs: two lives of a cookie. */
export const COOKIES_AFTER_OVERFLOW_US = 120e6;

/** A cookie that came back. */
export interface CookieResult {
  readonly iss: Seq;
  readonly handshake: PassiveHandshake;
}

export class CookieHandshake {
  readonly #sequences: InitialSequence;
  readonly #cookies: SynCookies;

  constructor(context: TcpContext, sequences: InitialSequence) {
    this.#sequences = sequences;
    this.#cookies = new SynCookies(context.random);
  }

  /** The SYN-ACK that answers `segment` with a cookie. @param ours what this end offers */
  synAck(listener: TcpListener, tuple: Tuple, ours: SynOptions, segment: TcpSegment): SynAck {
    const offered = onlyWhatIsRemembered(answer(ours, segment));
    const mssBytes = acceptedMss(segment.options.mss, tuple.local.family);
    const clock = Math.floor(segment.nowUs / 1000) | 0;
    const windowScale = offered.windowScale < 0 ? -1 : segment.options.windowScale;
    const ecn = answerSyn(offered, listener.options.ecn, segment)?.mode ?? EcnMode.None;
    const isClassic = ecn === EcnMode.Classic;
    // Without a timestamp nothing remembers classic feedback; accurate needs none.
    if (isClassic && !offered.timestamps) offered.ecnFlags = 0;
    const stamp = SynCookies.stamp(clock, { windowScale, sack: offered.sackPermitted, ecn: isClassic });
    offered.tsVal = (stamp + this.#sequences.timestampOffset(tuple)) | 0;
    offered.tsEcr = segment.options.tsVal;
    return {
      tuple,
      iss: this.#cookies.make(tuple, segment.sequence, mssBytes, segment.nowUs),
      rcvNxt: seqAdd(segment.sequence, 1),
      windowBytes: firstWindow(listener.options),
      offered,
    };
  }

  /** What the ACK in `segment` brings back; undefined when it holds no cookie of ours. */
  recall(
    listener: TcpListener,
    tuple: Tuple,
    ours: SynOptions,
    segment: TcpSegment,
  ): CookieResult | undefined {
    const iss = seqAdd(segment.ack, -1);
    const irs = seqAdd(segment.sequence, -1);
    const mssBytes = this.#cookies.check(tuple, iss, irs, segment.nowUs);
    if (mssBytes === 0) return undefined;
    const remembered = this.#remembered(tuple, ours, segment);
    const ecn = recallEcn(listener.options.ecn, remembered.ecn, segment);
    answerAcknowledged(ecn, segment);
    return {
      iss,
      handshake: {
        negotiated: negotiatedBy(remembered, ours, segment, mssBytes),
        offered: ours,
        ecn,
        synTransmissions: 1,
        synSentAtUs: segment.nowUs - COOKIES_AFTER_OVERFLOW_US,
        rttUs: 0,
        nowUs: segment.nowUs,
      },
    };
  }

  /** What the echoed timestamp remembers. */
  #remembered(tuple: Tuple, ours: SynOptions, segment: TcpSegment): CookieOptions {
    if (!ours.timestamps || !segment.options.hasTimestamps) return NOTHING;
    return SynCookies.unstamp((segment.options.tsEcr - this.#sequences.timestampOffset(tuple)) | 0);
  }
}

const NOTHING: CookieOptions = { windowScale: -1, sack: false, ecn: false };

/** What was agreed, as far as the cookie and the echoed timestamp remember it. */
function negotiatedBy(
  remembered: CookieOptions,
  ours: SynOptions,
  segment: TcpSegment,
  peerMssBytes: number,
): Negotiated {
  const timestamps = ours.timestamps && segment.options.hasTimestamps;
  const scaling = ours.windowScale >= 0 && remembered.windowScale >= 0;
  return {
    irs: seqAdd(segment.sequence, -1),
    peerMssBytes,
    sendWindowShift: scaling ? remembered.windowScale : 0,
    receiveWindowShift: scaling ? ours.windowScale : 0,
    sack: ours.sackPermitted && remembered.sack,
    timestamps,
    tsRecent: timestamps ? segment.options.tsVal : 0,
    tsRecentAtUs: segment.nowUs,
  };
}

/** Without timestamps there is nowhere to remember scale and SACK: they are not offered. */
const onlyWhatIsRemembered = (offered: SynOptions): SynOptions =>
  offered.timestamps ? offered : { ...offered, windowScale: -1, sackPermitted: false };
