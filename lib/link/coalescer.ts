/**
 * Joins TCP packets of one flow that lie in one batch into super-packets, for links that deliver only
 * plain ones. Only packets that differ in nothing but their place in the stream are joined, so that
 * splitting the result gives them back (IP identification of atomic packets excepted) and no flag, time
 * stamp or congestion mark is lost.
 */
import { foldSum } from '../wire/checksum.js';
import { ChecksumState } from '../wire/ip-packet.js';
import { TcpFlag } from '../wire/tcp.js';
import { MAX_PACKET_BYTES, type PacketBatch } from './packet-batch.js';
import { completeIpv4Checksum, PacketLayout, Protocol } from './packet-layout.js';
import { setChecksumState } from './slots.js';

/** Flows looked at side by side; when another comes the oldest is no longer added to. */
const MAX_CHAINS = 8;
/** Flags of a segment that is never joined. */
const SINGULAR_FLAGS = TcpFlag.FIN | TcpFlag.SYN | TcpFlag.RST | TcpFlag.URG | TcpFlag.CWR;

/** A run of packets found so far. */
class Chain {
  /** Slot of the first packet; -1 while unused. */
  head = -1;
  tail = 0;
  /** Sequence number that continues it. */
  nextSequence = 0;
  /** IPv4 identification of the last packet. */
  identification = 0;
  /** Payload of the first packet, the largest that any may have, and of all. */
  segmentSize = 0;
  payloadBytes = 0;
}

export class Coalescer {
  readonly #layout = new PacketLayout();
  readonly #target = new PacketLayout();
  readonly #chains = Array.from({ length: MAX_CHAINS }, () => new Chain());
  #oldest = 0;
  // By slot: the next of its run or -1, whether it continues one, and where its parts are.
  #next = new Int32Array(64);
  #continues = new Uint8Array(64);
  #transportAt = new Int32Array(64);
  #payloadAt = new Int32Array(64);
  #payloadBytes = new Int32Array(64);

  /**
   * Fills `into`, an arena at least as large, with the packets of `from`, joined where they can be.
   * Checksums it had to verify are noted in `from`.
   * @returns false when nothing could be joined: `from` is as good, and `into` empty
   */
  coalesce(from: PacketBatch, into: PacketBatch): boolean {
    into.clear();
    const count = from.count;
    if (count > this.#next.length) this.#grow(count);
    let joined = false;
    this.#closeAll();
    for (let i = 0; i < count; i++) {
      this.#next[i] = -1;
      this.#continues[i] = 0;
      if (this.#consider(from, i)) joined = true;
    }
    if (!joined) return false;
    for (let i = 0; i < count; i++) {
      if (this.#continues[i] === 1) continue;
      if (this.#next[i] < 0) into.appendCopy(from, i);
      else this.#emit(from, i, into);
    }
    return true;
  }

  /** Adds packet `i` to a run, or begins one with it. @returns whether it was added */
  #consider(batch: PacketBatch, i: number): boolean {
    const layout = this.#layout;
    if (!layout.parse(batch.view, batch.offset(i), batch.length(i))) {
      // What cannot be read may belong to any flow; nothing must overtake it.
      this.#closeAll();
      return false;
    }
    if (layout.protocol !== Protocol.TCP) return false;
    this.#transportAt[i] = layout.transportAt;
    this.#payloadAt[i] = layout.payloadAt;
    this.#payloadBytes[i] = layout.payloadBytes;
    const chain = this.#chainOf(batch);
    const joinable = this.#isJoinable(batch, i);
    if (chain !== undefined) {
      if (joinable && this.#continuesChain(batch, chain)) {
        this.#extend(chain, i);
        return true;
      }
      chain.head = -1;
    }
    if (joinable && (layout.view.getUint8(layout.transportAt + 13) & TcpFlag.PSH) === 0) this.#begin(i);
    return false;
  }

  /** Whether it is data and nothing else, without IP options, and undamaged. */
  #isJoinable(batch: PacketBatch, i: number): boolean {
    const layout = this.#layout;
    const flags = layout.view.getUint8(layout.transportAt + 13);
    if ((flags & SINGULAR_FLAGS) !== 0 || (flags & TcpFlag.ACK) === 0) return false;
    if (layout.payloadBytes === 0 || batch.segmentSize(i) !== 0) return false;
    if (layout.transportAt - layout.at !== (layout.version === 4 ? 20 : 40)) return false;
    const state = batch.checksum(i);
    if (state === ChecksumState.Valid || state === ChecksumState.Partial) return true;
    if (state === ChecksumState.Bad) return false;
    const holds = layout.checksumHolds();
    setChecksumState(batch, i, holds ? ChecksumState.Valid : ChecksumState.Bad);
    return holds;
  }

  #continuesChain(batch: PacketBatch, chain: Chain): boolean {
    const layout = this.#layout;
    const view = layout.view;
    const headAt = batch.offset(chain.head);
    const headerBytes = layout.headerBytes;
    if (view.getInt32(layout.transportAt + 4) !== chain.nextSequence) return false;
    if (layout.payloadBytes > chain.segmentSize) return false;
    if (headerBytes + chain.payloadBytes + layout.payloadBytes > MAX_PACKET_BYTES) return false;
    if (!sameIpHeader(view, headAt, layout.at, layout.version)) return false;
    if (layout.version === 4) {
      const atomic = (view.getUint16(layout.at + 6) & 0x4000) !== 0;
      const identification = view.getUint16(layout.at + 4);
      if (!atomic && identification !== ((chain.identification + 1) & 0xffff)) return false;
    }
    return sameTcpHeader(
      view,
      this.#transportAt[chain.head],
      layout.transportAt,
      layout.transportHeaderBytes,
    );
  }

  #begin(i: number): void {
    const layout = this.#layout;
    let place = 0;
    while (place < MAX_CHAINS && this.#chains[place].head >= 0) place++;
    if (place === MAX_CHAINS) {
      place = this.#oldest;
      this.#oldest = (this.#oldest + 1) % MAX_CHAINS;
    }
    const chain = this.#chains[place];
    chain.head = i;
    chain.segmentSize = layout.payloadBytes;
    chain.payloadBytes = 0;
    this.#advance(chain, i);
  }

  #extend(chain: Chain, i: number): void {
    const layout = this.#layout;
    this.#next[chain.tail] = i;
    this.#continues[i] = 1;
    this.#advance(chain, i);
    const pushed = (layout.view.getUint8(layout.transportAt + 13) & TcpFlag.PSH) !== 0;
    // A push and a short packet can only come last.
    if (pushed || layout.payloadBytes < chain.segmentSize) chain.head = -1;
  }

  #advance(chain: Chain, i: number): void {
    const layout = this.#layout;
    chain.tail = i;
    chain.payloadBytes += layout.payloadBytes;
    chain.nextSequence = (layout.view.getInt32(layout.transportAt + 4) + layout.payloadBytes) | 0;
    chain.identification = layout.version === 4 ? layout.view.getUint16(layout.at + 4) : 0;
  }

  /** The run of the same addresses and ports. */
  #chainOf(batch: PacketBatch): Chain | undefined {
    const { view, at, version, transportAt } = this.#layout;
    for (const chain of this.#chains) {
      if (chain.head < 0) continue;
      const headAt = batch.offset(chain.head);
      if (view.getUint8(headAt) >> 4 !== version) continue;
      if (view.getInt32(this.#transportAt[chain.head]) !== view.getInt32(transportAt)) continue;
      const addressesAt = version === 4 ? 12 : 8;
      const addressesBytes = version === 4 ? 8 : 32;
      if (sameBytes(view, headAt + addressesAt, at + addressesAt, addressesBytes)) return chain;
    }
    return undefined;
  }

  #closeAll(): void {
    for (const chain of this.#chains) chain.head = -1;
    this.#oldest = 0;
  }

  /** Appends the run that begins at slot `first` as one packet. */
  #emit(from: PacketBatch, first: number, into: PacketBatch): void {
    const at = into.tail;
    const headAt = from.offset(first);
    const headerBytes = this.#payloadAt[first] - headAt;
    into.bytes.set(from.bytes.subarray(headAt, headAt + headerBytes), at);
    let end = at + headerBytes;
    let last = first;
    for (let i = first; i >= 0; i = this.#next[i]) {
      const payloadAt = this.#payloadAt[i];
      into.bytes.set(from.bytes.subarray(payloadAt, payloadAt + this.#payloadBytes[i]), end);
      end += this.#payloadBytes[i];
      last = i;
    }
    const view = into.view;
    const length = end - at;
    const transportAt = at + this.#transportAt[first] - headAt;
    view.setUint8(transportAt + 13, from.view.getUint8(this.#transportAt[last] + 13));
    if (view.getUint8(at) >> 4 === 4) {
      view.setUint16(at + 2, length);
      completeIpv4Checksum(view, at);
    } else {
      view.setUint16(at + 4, length - 40);
    }
    this.#target.parse(view, at, length);
    view.setUint16(transportAt + 16, foldSum(this.#target.pseudoSum()));
    into.append(length, ChecksumState.Partial, this.#payloadBytes[first], headerBytes);
  }

  #grow(count: number): void {
    this.#next = new Int32Array(count);
    this.#continues = new Uint8Array(count);
    this.#transportAt = new Int32Array(count);
    this.#payloadAt = new Int32Array(count);
    this.#payloadBytes = new Int32Array(count);
  }
}

/** All of two IP headers but length, identification and checksum. */
function sameIpHeader(view: DataView, a: number, b: number, version: 4 | 6): boolean {
  if (version === 4) {
    return (
      view.getUint16(a) === view.getUint16(b) &&
      view.getUint16(a + 6) === view.getUint16(b + 6) &&
      view.getUint16(a + 8) === view.getUint16(b + 8)
    );
  }
  return view.getInt32(a) === view.getInt32(b) && view.getUint16(a + 6) === view.getUint16(b + 6);
}

/** All of two TCP headers but sequence number, PSH and checksum; the ports are known to be the same. */
function sameTcpHeader(view: DataView, a: number, b: number, headerBytes: number): boolean {
  return (
    view.getInt32(a + 8) === view.getInt32(b + 8) &&
    (view.getUint16(a + 12) & ~TcpFlag.PSH) === (view.getUint16(b + 12) & ~TcpFlag.PSH) &&
    view.getUint16(a + 14) === view.getUint16(b + 14) &&
    view.getUint16(a + 18) === view.getUint16(b + 18) &&
    sameBytes(view, a + 20, b + 20, headerBytes - 20)
  );
}

/** `length` is a multiple of 4. */
function sameBytes(view: DataView, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i += 4) {
    if (view.getInt32(a + i) !== view.getInt32(b + i)) return false;
  }
  return true;
}
