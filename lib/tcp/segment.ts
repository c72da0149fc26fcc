/** The segment in hand (SEG.* of RFC 9293 §3.3.1). One object per stack, filled anew for each. */
import { type Seq, seqAdd } from '../base/seq.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { TcpFlag, TcpHeader } from '../wire/tcp.js';
import { TcpOptionReader } from '../wire/tcp-options.js';

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer) as DataView;

export class TcpSegment {
  readonly options = new TcpOptionReader();
  readonly #header = new TcpHeader();
  /** SEG.SEQ, SEG.ACK, SEG.WND (unscaled) and SEG.UP. */
  sequence = 0 as Seq;
  ack = 0 as Seq;
  window = 0;
  urgentPointer = 0;
  /** `TcpFlag` bits. */
  flags = 0;
  sourcePort = 0;
  destinationPort = 0;
  /** The text: trimmed to the window as the segment is examined. */
  bytes: Uint8Array = NO_BYTES;
  view = NO_VIEW;
  textAt = 0;
  textBytes = 0;
  /** Size of the segments a super-packet was made of; the text's own size for a plain one. */
  segmentSize = 0;
  headerBytes = 0;
  /** ECN field of the IP header. */
  ecn = 0;
  /** When the batch it came in was received, µs. */
  nowUs = 0;

  /** Reads the segment in the payload of `packet`. False when its header cannot be one. */
  parse(packet: IpPacket): boolean {
    const header = this.#header;
    if (!header.parse(packet.view, packet.payloadAt, packet.payloadBytes)) return false;
    this.sourcePort = header.sourcePort;
    this.destinationPort = header.destinationPort;
    this.sequence = header.sequence;
    this.ack = header.acknowledgment;
    this.window = header.window;
    this.urgentPointer = header.urgentPointer;
    this.flags = header.flags;
    this.headerBytes = header.headerBytes;
    this.bytes = packet.bytes;
    this.view = packet.view;
    this.textAt = header.payloadAt;
    this.textBytes = header.payloadBytes;
    this.segmentSize = packet.segmentSize > 0 ? packet.segmentSize : header.payloadBytes;
    this.ecn = packet.ecn;
    this.nowUs = packet.nowUs;
    const optionBytes = header.optionsBytes;
    if (optionBytes > 0) this.options.parse(packet.view, header.optionsAt, optionBytes);
    else this.options.clear();
    return true;
  }

  /** How many segments it was on the wire. */
  get count(): number {
    return this.textBytes > this.segmentSize ? Math.ceil(this.textBytes / this.segmentSize) : 1;
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** SEG.LEN: text, and one each for SYN and FIN. */
  get length(): number {
    return this.textBytes + (this.flags & TcpFlag.SYN ? 1 : 0) + (this.flags & TcpFlag.FIN ? 1 : 0);
  }

  /** Sequence number after the last it occupies. */
  get end(): Seq {
    return seqAdd(this.sequence, this.length);
  }

  /** Takes the SYN away: what follows it begins one further on. */
  dropSyn(): void {
    this.flags &= ~TcpFlag.SYN;
    this.sequence = seqAdd(this.sequence, 1);
  }

  /** Takes away `bytes` of text in front. */
  trimFront(bytes: number): void {
    this.sequence = seqAdd(this.sequence, bytes);
    this.textAt += bytes;
    this.textBytes -= bytes;
  }

  /** Takes away all text beyond `bytes`, and with it the FIN. */
  trimBack(bytes: number): void {
    if (bytes >= this.textBytes) {
      if (bytes < this.length) this.flags &= ~TcpFlag.FIN;
      return;
    }
    this.textBytes = bytes;
    this.flags &= ~TcpFlag.FIN;
  }
}
