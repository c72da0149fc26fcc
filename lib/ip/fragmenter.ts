/**
 * Fragmenting what this host sends (RFC 791 §3.2, RFC 8200 §4.5). Nothing that passes through is ever
 * fragmented here.
 */
import { DropReason, type StackStats } from '../base/stats.js';
import { ChecksumState } from '../wire/ip-packet.js';
import { IPV4_HEADER_BYTES, IPV4_MF, Ipv4Header } from '../wire/ipv4.js';
import {
  IPV6_FRAGMENT_HEADER_BYTES,
  IPV6_HEADER_BYTES,
  Ipv6Header,
  Protocol,
  writeFragmentHeader,
} from '../wire/ipv6.js';
import type { Identification } from './identification.js';
import { copiedOptions } from './ipv4-options.js';
import type { IpPath } from './path.js';

/** A whole transport message, its checksum complete. */
export interface Message {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly at: number;
  readonly length: number;
}

export class Fragmenter {
  readonly #stats: StackStats;
  readonly #identification: Identification;
  readonly #header4 = new Ipv4Header();
  readonly #header6 = new Ipv6Header();

  constructor(stats: StackStats, identification: Identification) {
    this.#stats = stats;
    this.#identification = identification;
  }

  /** Sends a message as fragments of at most `path.mtu` bytes; those that find the link full are lost. */
  send(path: IpPath, message: Message): void {
    const ip = this.#stats.ip;
    ip.outFragReqds++;
    const whole = path.destination.family === 4 ? this.#send4(path, message) : this.#send6(path, message);
    if (whole) {
      ip.outFragOKs++;
      return;
    }
    ip.outFragFails++;
    ip.outDiscards++;
    this.#stats.drop(DropReason.LinkQueueFull);
  }

  #send4(path: IpPath, message: Message): boolean {
    const header = this.#header4;
    header.trafficClass = path.trafficClass | path.ecn;
    header.identification = this.#identification.next4(path);
    header.hopLimit = path.hopLimit;
    header.protocol = path.protocol;
    header.source = path.source.w3;
    header.destination = path.destination.w3;
    header.addressSum = path.addressSum;
    // Every fragment has the options whose copy bit is set; the first has all (RFC 791 §3.1).
    let options = path.options;
    for (let offset = 0; offset < message.length; ) {
      const headerBytes = IPV4_HEADER_BYTES + options.length;
      const bytes = pieceBytes(path.mtu - headerBytes, message.length - offset);
      if (bytes <= 0 || !path.port.reserve()) return false;
      const more = offset + bytes < message.length;
      const { view, at } = path.port;
      header.totalBytes = headerBytes + bytes;
      header.fragment = (offset >> 3) | (more ? IPV4_MF : 0);
      if (options.length === 0) header.write(view, at);
      else header.writeWithOptions(view, at, options);
      this.#put(path, message, { offset, bytes, headerBytes });
      offset += bytes;
      if (options === path.options && options.length > 0) options = copiedOptions(options);
    }
    return true;
  }

  #send6(path: IpPath, message: Message): boolean {
    const header = this.#header6;
    header.trafficClass = path.trafficClass | path.ecn;
    header.flowLabel = path.flowLabel;
    header.nextHeader = Protocol.Fragment;
    header.hopLimit = path.hopLimit;
    const identification = this.#identification.next6();
    const headerBytes = IPV6_HEADER_BYTES + IPV6_FRAGMENT_HEADER_BYTES;
    for (let offset = 0; offset < message.length; ) {
      const bytes = pieceBytes(path.mtu - headerBytes, message.length - offset);
      if (bytes <= 0 || !path.port.reserve()) return false;
      const more = offset + bytes < message.length;
      const { view, at } = path.port;
      header.payloadBytes = IPV6_FRAGMENT_HEADER_BYTES + bytes;
      header.write(view, at, path.source, path.destination);
      const fields = { nextHeader: path.protocol, offsetBytes: offset, more, identification };
      writeFragmentHeader(view, at + IPV6_HEADER_BYTES, fields);
      this.#put(path, message, { offset, bytes, headerBytes });
      offset += bytes;
    }
    return true;
  }

  #put(path: IpPath, message: Message, piece: { offset: number; bytes: number; headerBytes: number }): void {
    const { offset, bytes, headerBytes } = piece;
    const from = message.at + offset;
    path.port.bytes.set(message.bytes.subarray(from, from + bytes), path.port.at + headerBytes);
    path.port.commit(headerBytes + bytes, ChecksumState.Valid, 0, 0);
    if (path.gateway !== undefined && path.port.resolves === true) path.port.via?.(path.gateway);
    this.#stats.ip.outFragCreates++;
  }
}

/** Bytes of the next piece: all that is left, or as many multiples of eight as there is room for. */
const pieceBytes = (room: number, left: number): number => (left <= room ? left : room & ~7);
