/** Segments sent without a connection: resets, and the ACKs of TIME-WAIT. Both are rate limited. */
import { randomBelow } from '../base/random.js';
import { seq, seqAdd } from '../base/seq.js';
import type { IpPacket } from '../wire/ip-packet.js';
import {
  flagsAndWindow,
  TcpFlag,
  TcpHeader,
  writeTcpControl,
  writeTcpNumbers,
  writeTcpPorts,
} from '../wire/tcp.js';
import { TIMESTAMPS_BYTES, writeTimestamps } from '../wire/tcp-options.js';
import type { HalfOpen } from './half-open.js';
import type { TcpContext } from './layer-context.js';
import type { TcpSegment } from './segment.js';
import type { TimeWait } from './time-wait.js';

/** What an RST needs to know of the segment it answers. */
type Answerable = Pick<
  TcpSegment,
  'flags' | 'sequence' | 'ack' | 'length' | 'sourcePort' | 'destinationPort' | 'nowUs'
>;

export class StatelessReplies {
  readonly #context: TcpContext;
  /** Tokens for resets, and when they were last counted, µs. */
  #tokens: number;
  #countedAtUs = 0;

  constructor(context: TcpContext) {
    this.#context = context;
    this.#tokens = context.options.resetsPerSecond;
  }

  /**
   * Answers a segment for which there is no connection (RFC 9293 §3.10.7.1): with its own ACK as our
   * sequence number where it has one, else acknowledging all it occupies. An RST is never answered. It has the
   * DSCP of what it answers, as Linux's have: there is no socket whose it could be.
   */
  reset(packet: IpPacket, segment: Answerable): void {
    if ((segment.flags & TcpFlag.RST) !== 0 || !this.#take(segment.nowUs)) return;
    const hasAck = (segment.flags & TcpFlag.ACK) !== 0;
    const sequence = hasAck ? segment.ack : seq(0);
    const acknowledgment = hasAck ? seq(0) : seqAdd(segment.sequence, segment.length);
    const path = this.#context.carrier.resolveReply(packet);
    if (path.unusable !== '') return;
    const output = this.#context.carrier.aim(path);
    if (!output.begin(TcpHeader.MIN_BYTES)) return;
    const flags = hasAck ? TcpFlag.RST : TcpFlag.RST | TcpFlag.ACK;
    writeTcpPorts(output.view, output.at, segment.destinationPort, segment.sourcePort);
    writeTcpNumbers(output.view, output.at, sequence, acknowledgment);
    writeTcpControl(output.view, output.at, TcpHeader.MIN_BYTES, flagsAndWindow(flags, 0));
    output.setEcn(0);
    // The path is shared: what comes after goes without.
    path.trafficClass = packet.trafficClass & 0xfc;
    output.commit(TcpHeader.MIN_BYTES, 0);
    path.trafficClass = 0;
    this.#context.stats.tcp.outRsts++;
    this.#context.stats.tcp.outSegs++;
  }

  /** Tells a peer whose handshake was under way that it will not be completed. */
  resetHalfOpen(record: HalfOpen): void {
    const output = this.#context.carrier.aim(record.path);
    if (!output.begin(TcpHeader.MIN_BYTES)) return;
    const { tuple, iss, rcvNxt } = record;
    writeTcpPorts(output.view, output.at, tuple.localPort, tuple.remotePort);
    writeTcpNumbers(output.view, output.at, seqAdd(iss, 1), rcvNxt);
    const flags = TcpFlag.RST | TcpFlag.ACK;
    writeTcpControl(output.view, output.at, TcpHeader.MIN_BYTES, flagsAndWindow(flags, 0));
    output.setEcn(0);
    output.commit(TcpHeader.MIN_BYTES, 0);
    this.#context.stats.tcp.outRsts++;
    this.#context.stats.tcp.outSegs++;
  }

  /** Acknowledges on behalf of a connection in TIME-WAIT. */
  timeWaitAck(record: TimeWait, nowUs: number): void {
    const { carrier, options, stats } = this.#context;
    if (nowUs - record.lastAckUs < options.invalidAckIntervalMs * 1000) {
      stats.tcp.ackSkipped++;
      return;
    }
    record.lastAckUs = nowUs;
    const headerBytes = TcpHeader.MIN_BYTES + (record.timestamps ? TIMESTAMPS_BYTES : 0);
    const output = carrier.aim(record.path);
    if (!output.begin(headerBytes)) return;
    const { view, at } = output;
    if (record.timestamps) {
      const tsVal = (Math.floor(nowUs / 1000) + record.timestampOffset) | 0;
      writeTimestamps(view, at + TcpHeader.MIN_BYTES, tsVal, record.tsRecent);
    }
    this.#writeAck(record, view, at, headerBytes);
    output.setEcn(0);
    output.commit(headerBytes, 0);
    stats.tcp.outSegs++;
  }

  #writeAck(record: TimeWait, view: DataView, at: number, headerBytes: number): void {
    writeTcpPorts(view, at, record.tuple.localPort, record.tuple.remotePort);
    writeTcpNumbers(view, at, record.sndNxt, record.rcvNxt);
    writeTcpControl(view, at, headerBytes, flagsAndWindow(TcpFlag.ACK | record.ecnFlags, record.windowField));
  }

  /**
   * Each reset takes 0, 1 or 2 tokens, one on average: who counts resets must not learn from them how many
   * others were sent, and so whether a guess has hit a connection (as CVE-2016-5696, CVE-2020-25705).
   */
  #take(nowUs: number): boolean {
    const { options, random, stats } = this.#context;
    const perSecond = options.resetsPerSecond;
    this.#tokens = Math.min(perSecond, this.#tokens + ((nowUs - this.#countedAtUs) * perSecond) / 1e6);
    this.#countedAtUs = nowUs;
    if (this.#tokens < 1) {
      stats.tcp.outRstsLimited++;
      return false;
    }
    this.#tokens -= Math.min(this.#tokens, randomBelow(random, 3));
    return true;
  }
}
