/**
 * Sending: one packet at a time, written in place. `begin` lends room behind the IP header, the caller
 * writes its transport header and payload there, `commit` completes and queues the packet.
 */
import { DropReason, type StackStats } from '../base/stats.js';
import { finishChecksum, foldSum, sumBytes } from '../wire/checksum.js';
import { ChecksumState } from '../wire/ip-packet.js';
import { IPV4_DF, IPV4_HEADER_BYTES, IPV4_MAX_BYTES, Ipv4Header } from '../wire/ipv4.js';
import { IPV6_MAX_PAYLOAD_BYTES, Ipv6Header, Protocol } from '../wire/ipv6.js';
import { Fragmenter } from './fragmenter.js';
import type { Identification } from './identification.js';
import type { OutputPort } from './interfaces.js';
import type { IpPath } from './path.js';

/** How `begin` ended. */
export const Begin = {
  /** Room is lent: write, then `commit`. */
  Ok: 0,
  /** The link is full; it takes packets again after it has said so. */
  Full: 1,
  /** No packet of that size can go this way: see `path.mtu`. */
  TooBig: 2,
  /** The path leads nowhere: see `path.unusable`. */
  Unusable: 3,
} as const;
export type Begin = (typeof Begin)[keyof typeof Begin];

const NO_TEXT = new Uint8Array(0);

/** The room lent: its memory twice, the place of the transport header, and the bytes from there on. */
export class OutgoingRoom {
  view = new DataView(new ArrayBuffer(0)) as DataView;
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  room = 0;
  /** The text at the end of the packet, where it lies elsewhere; `textBytes` is 0 where all is written here. */
  text: Uint8Array = NO_TEXT;
  textAt = 0;
  textBytes = 0;
}

/** Place of the transport header in scratch memory: behind the largest IP header. */
const SCRATCH_AT = 64;
const SCRATCH_BYTES = SCRATCH_AT + IPV6_MAX_PAYLOAD_BYTES + 1;

interface OutputParts {
  readonly stats: StackStats;
  readonly identification: Identification;
  /** Looks at a path again if anything has changed. */
  revalidate(path: IpPath): boolean;
  /** The current state of the routing tables. */
  generation(): number;
}

export class IpOutput {
  readonly out = new OutgoingRoom();
  readonly #parts: OutputParts;
  readonly #stats: StackStats;
  readonly #fragmenter: Fragmenter;
  readonly #header4 = new Ipv4Header();
  readonly #header6 = new Ipv6Header();
  #scratch: Uint8Array | undefined;
  #scratchView: DataView | undefined;
  #inScratch = false;

  constructor(parts: OutputParts) {
    this.#parts = parts;
    this.#stats = parts.stats;
    this.#fragmenter = new Fragmenter(parts.stats, parts.identification);
  }

  /**
   * Lends room for a packet with `transportBytes` bytes behind its IP header. Above `path.mtu` it must be
   * a super-packet, on a link that takes such, or the path must allow to fragment it. Not committing gives
   * the room back.
   */
  begin(path: IpPath, transportBytes: number): Begin {
    this.out.textBytes = 0;
    if (path.generation !== this.#parts.generation() && !this.#parts.revalidate(path))
      return this.#unusable();
    if (path.unusable !== '') return this.#unusable();
    const port = path.port;
    const headerBytes = path.headerBytes;
    const total = headerBytes + transportBytes;
    if (total > port.maxPacketBytes) return this.#beginInScratch(path, transportBytes);
    if (total > path.mtu && port.maxPacketBytes <= port.mtu && path.dontFragment && !path.mtuLocked) {
      return Begin.TooBig;
    }
    if (total > IPV4_MAX_BYTES && transportBytes > this.#most(path)) return Begin.TooBig;
    if (!port.reserve()) return Begin.Full;
    const out = this.out;
    out.view = port.view;
    out.bytes = port.bytes;
    out.at = port.at + headerBytes;
    out.room = Math.min(port.maxPacketBytes - headerBytes, this.#most(path));
    this.#inScratch = false;
    return Begin.Ok;
  }

  /**
   * Instead of being written, the last `length` bytes of the packet begun last are taken from `memory` when the batch
   * is sent, until when they must stay as they are. @returns false where they must be written
   */
  lend(path: IpPath, memory: Uint8Array, at: number, length: number): boolean {
    // Who sums the packet must see its text.
    if (!path.port.gathers || !path.port.checksumOffload) return false;
    const { out } = this;
    out.text = memory;
    out.textAt = at;
    out.textBytes = length;
    return true;
  }

  /**
   * Completes and queues the packet begun last, with `transportBytes` bytes, at most those asked for.
   * @param checksumOffset of the checksum within the transport header; -1 for none
   * @param segmentSize payload bytes of each segment of a super-packet; 0 for a plain packet
   */
  commit(path: IpPath, transportBytes: number, checksumOffset: number, segmentSize = 0): void {
    this.#stats.ip.outRequests++;
    const { headerBytes, port } = path;
    const fits = !this.#inScratch && (segmentSize > 0 || headerBytes + transportBytes <= path.mtu);
    const isLent = this.out.textBytes > 0;
    if (!fits) {
      if (isLent) this.#takeText(transportBytes);
      this.#commitFragments(path, transportBytes, checksumOffset);
      return;
    }
    const { at } = this.out;
    let state: ChecksumState = ChecksumState.Valid;
    if (checksumOffset >= 0) {
      state = this.#checksum(path, transportBytes, checksumOffset, segmentSize > 0 || port.checksumOffload);
    }
    if (path.destination.family === 4) this.#write4(path, at - headerBytes, transportBytes, segmentSize);
    else this.#write6(path, at - headerBytes, transportBytes);
    const headers = headerBytes + this.#transportHeader(path, at);
    port.commit(headerBytes + transportBytes, state, segmentSize, headers);
    if (path.gateway !== undefined && port.resolves === true) port.via?.(path.gateway);
    if (isLent) this.#lendText(port);
  }

  #lendText(port: OutputPort): void {
    const { out } = this;
    port.lendText(out.text, out.textAt, out.textBytes);
    out.text = NO_TEXT;
    out.textBytes = 0;
  }

  /** Writes the text that was lent: the packet must be divided after all. */
  #takeText(transportBytes: number): void {
    const { out } = this;
    const { text, textAt, textBytes } = out;
    out.bytes.set(text.subarray(textAt, textAt + textBytes), out.at + transportBytes - textBytes);
    out.text = NO_TEXT;
    out.textBytes = 0;
  }

  #unusable(): Begin {
    this.#stats.ip.outNoRoutes++;
    return Begin.Unusable;
  }

  /** Most transport bytes that a packet can say it has. */
  #most(path: IpPath): number {
    return path.destination.family === 4 ? IPV4_MAX_BYTES - path.headerBytes : IPV6_MAX_PAYLOAD_BYTES;
  }

  /** Room outside the link, for what will be fragmented. */
  #beginInScratch(path: IpPath, transportBytes: number): Begin {
    if (transportBytes > this.#most(path) || (path.dontFragment && !path.mtuLocked)) return Begin.TooBig;
    // Whether the link is full is asked before anything is written, so that the caller can wait for it.
    if (!path.port.reserve()) return Begin.Full;
    this.#scratch ??= new Uint8Array(SCRATCH_BYTES);
    this.#scratchView ??= new DataView(this.#scratch.buffer);
    const out = this.out;
    out.view = this.#scratchView;
    out.bytes = this.#scratch;
    out.at = SCRATCH_AT;
    out.room = this.#most(path);
    this.#inScratch = true;
    return Begin.Ok;
  }

  /**
   * Fills the transport checksum, or its pseudo-header part where the link does the rest. Links complete
   * TCP and UDP only.
   */
  #checksum(path: IpPath, transportBytes: number, offset: number, offload: boolean): ChecksumState {
    const { view, at } = this.out;
    const protocol = path.protocol;
    const pseudo = path.addressSum + protocol + transportBytes;
    if (offload && (protocol === Protocol.Tcp || protocol === Protocol.Udp)) {
      view.setUint16(at + offset, foldSum(pseudo));
      return ChecksumState.Partial;
    }
    view.setUint16(at + offset, 0);
    const sum = finishChecksum(sumBytes(view, at, transportBytes, pseudo));
    // A computed zero is sent as all ones where zero means "none" (RFC 768).
    view.setUint16(at + offset, sum === 0 && protocol === Protocol.Udp ? 0xffff : sum);
    return ChecksumState.Valid;
  }

  /** Bytes of the transport header, as far as a link needs them. */
  #transportHeader(path: IpPath, at: number): number {
    if (path.protocol === Protocol.Udp) return 8;
    return path.protocol === Protocol.Tcp ? (this.out.view.getUint8(at + 12) >> 4) * 4 : 0;
  }

  #write4(path: IpPath, at: number, transportBytes: number, segmentSize: number): void {
    const { view } = this.out;
    const header = this.#header4;
    const whole = path.dontFragment && !path.mtuLocked;
    header.trafficClass = path.trafficClass | path.ecn;
    header.totalBytes = path.headerBytes + transportBytes;
    header.identification = whole ? 0 : this.#identification(path, transportBytes, segmentSize);
    header.fragment = whole ? IPV4_DF : 0;
    header.hopLimit = path.hopLimit;
    header.protocol = path.protocol;
    header.source = path.source.w3;
    header.destination = path.destination.w3;
    header.addressSum = path.addressSum;
    if (path.headerBytes === IPV4_HEADER_BYTES) header.write(view, at);
    else header.writeWithOptions(view, at, path.options);
  }

  /** One identification, or as many as a super-packet will have segments: the first of them. */
  #identification(path: IpPath, transportBytes: number, segmentSize: number): number {
    const first = this.#parts.identification.next4(path);
    if (segmentSize > 0) {
      for (let rest = transportBytes - segmentSize; rest > 0; rest -= segmentSize) {
        this.#parts.identification.next4(path);
      }
    }
    return first;
  }

  #write6(path: IpPath, at: number, transportBytes: number): void {
    const header = this.#header6;
    header.trafficClass = path.trafficClass | path.ecn;
    header.flowLabel = path.flowLabel;
    header.payloadBytes = transportBytes;
    header.nextHeader = path.protocol;
    header.hopLimit = path.hopLimit;
    header.write(this.out.view, at, path.source, path.destination);
  }

  /** Sends what does not fit `path.mtu` in pieces, or not at all. */
  #commitFragments(path: IpPath, transportBytes: number, checksumOffset: number): void {
    const ip = this.#stats.ip;
    if (path.headerBytes + transportBytes <= path.mtu) {
      this.#commitCopy(path, transportBytes, checksumOffset);
      return;
    }
    if (path.dontFragment && !path.mtuLocked) {
      ip.outFragFails++;
      ip.outDiscards++;
      this.#stats.drop(DropReason.IpTooBig);
      return;
    }
    if (checksumOffset >= 0) this.#checksum(path, transportBytes, checksumOffset, false);
    const { bytes, view, at } = this.out;
    if (this.#inScratch) {
      this.#fragmenter.send(path, { bytes, view, at, length: transportBytes });
      return;
    }
    // The payload lies where the first fragment will be: it moves out of the way.
    this.#scratch ??= new Uint8Array(SCRATCH_BYTES);
    this.#scratchView ??= new DataView(this.#scratch.buffer);
    this.#scratch.set(bytes.subarray(at, at + transportBytes), SCRATCH_AT);
    const scratch = { bytes: this.#scratch, view: this.#scratchView, at: SCRATCH_AT, length: transportBytes };
    this.#fragmenter.send(path, scratch);
  }

  /** What was begun in scratch memory turned out to fit: it goes in one piece after all. */
  #commitCopy(path: IpPath, transportBytes: number, checksumOffset: number): void {
    const { bytes, at } = this.out;
    const port: OutputPort = path.port;
    if (!port.reserve()) {
      this.#stats.ip.outDiscards++;
      this.#stats.drop(DropReason.LinkQueueFull);
      return;
    }
    const room = port.at + path.headerBytes;
    port.bytes.set(bytes.subarray(at, at + transportBytes), room);
    this.out.view = port.view;
    this.out.bytes = port.bytes;
    this.out.at = room;
    this.#inScratch = false;
    this.#stats.ip.outRequests--;
    this.commit(path, transportBytes, checksumOffset);
  }
}
