/**
 * Segmentation and coalescing in software, on bytes: a super-packet split into the packets a wire
 * takes, and packets of one flow joined into super-packets, exactly undoing each other.
 */

import { ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { TcpFlag } from '../wire/tcp.js';
import type { PacketBatch } from './packet-batch.js';
import { completeIpv4Checksum, PacketLayout, Protocol } from './packet-layout.js';

/** Splits one super-packet at a time. Aimed at it, it writes any of its segments anywhere. */
export class Segmenter {
  /** How many packets it makes. */
  count = 0;
  readonly #source = new PacketLayout();
  readonly #target = new PacketLayout();
  #bytes: Uint8Array = new Uint8Array(0);
  #segmentSize = 0;
  #withoutChecksum = false;

  /**
   * Aims at a super-packet of TCP or UDP. False when it cannot be one: no transport header to find,
   * another protocol, a segment size that is not positive. A payload of at most one segment gives one
   * packet.
   */
  aim(batch: PacketBatch, i: number): boolean {
    const found = this.#source.parse(batch.view, batch.offset(i), batch.length(i));
    return this.#begin(found, batch.bytes, batch.segmentSize(i), batch.checksum(i));
  }

  /** As `aim`, at a super-packet that a stack has in hand. */
  aimAt(packet: IpPacket): boolean {
    const found = this.#source.parse(packet.view, packet.at, packet.length);
    return this.#begin(found, packet.bytes, packet.segmentSize, packet.checksum);
  }

  #begin(found: boolean, bytes: Uint8Array, segmentSize: number, checksum: ChecksumState): boolean {
    const source = this.#source;
    this.count = 0;
    if (!found || segmentSize <= 0 || source.transportHeaderBytes === 0) return false;
    this.#bytes = bytes;
    this.#segmentSize = segmentSize;
    this.count = Math.max(1, Math.ceil(source.payloadBytes / segmentSize));
    this.#withoutChecksum =
      source.protocol === Protocol.UDP &&
      source.version === 4 &&
      checksum !== ChecksumState.Partial &&
      source.view.getUint16(source.checksumAt) === 0;
    return true;
  }

  /** Bytes of packet `k`. */
  lengthOf(k: number): number {
    const start = k * this.#segmentSize;
    return this.#source.headerBytes + Math.min(this.#segmentSize, this.#source.payloadBytes - start);
  }

  /** Writes packet `k`, complete with checksums, at `at`. @returns its length, bytes */
  write(k: number, bytes: Uint8Array, view: DataView, at: number): number {
    const source = this.#source;
    const length = this.lengthOf(k);
    const headerBytes = source.headerBytes;
    const start = source.payloadAt + k * this.#segmentSize;
    bytes.set(this.#bytes.subarray(source.at, source.at + headerBytes), at);
    bytes.set(this.#bytes.subarray(start, start + length - headerBytes), at + headerBytes);
    if (source.version === 4) {
      view.setUint16(at + 2, length);
      // Each is a datagram of its own (RFC 6864 §4), numbered on from the first as Linux does.
      view.setUint16(at + 4, view.getUint16(at + 4) + k);
      completeIpv4Checksum(view, at);
    } else {
      view.setUint16(at + 4, length - 40);
    }
    const transportAt = at + source.transportAt - source.at;
    if (source.protocol === Protocol.TCP) this.#writeTcp(k, view, transportAt);
    else view.setUint16(transportAt + 4, length - (source.transportAt - source.at));
    if (!this.#withoutChecksum) {
      this.#target.parse(view, at, length);
      this.#target.completeChecksum();
    }
    return length;
  }

  /** What differs from segment to segment: the sequence number, and flags that mean one place. */
  #writeTcp(k: number, view: DataView, at: number): void {
    const before = k * this.#segmentSize;
    view.setInt32(at + 4, view.getInt32(at + 4) + before);
    let flags = view.getUint8(at + 13);
    if (k < this.count - 1) flags &= ~(TcpFlag.FIN | TcpFlag.PSH);
    if (k > 0) flags &= ~TcpFlag.CWR;
    if ((flags & TcpFlag.URG) !== 0) {
      const pointer = view.getUint16(at + 18) - before;
      if (pointer <= 0) flags &= ~TcpFlag.URG;
      view.setUint16(at + 18, Math.max(0, pointer));
    }
    view.setUint8(at + 13, flags);
  }
}
