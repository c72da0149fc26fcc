/**
 * Another address and port in a packet, in place, with every checksum that covers them: by the difference
 * alone (RFC 1624 §3), so that what was wrong stays wrong, and a payload is not looked at.
 */
import { addWord, finishChecksum, foldSum } from '../wire/checksum.js';
import { ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import type { TransportView } from './transport-view.js';

/** An address as words, IPv4 in mapped form, and a port or identifier. One object, filled anew. */
export class Endpoint {
  w0 = 0;
  w1 = 0;
  w2 = 0;
  w3 = 0;
  port = 0;

  set(w0: number, w1: number, w2: number, w3: number): void {
    this.w0 = w0;
    this.w1 = w1;
    this.w2 = w2;
    this.w3 = w3;
  }
}

/** Places of the addresses in their headers. */
const SOURCE_4 = 12;
const DESTINATION_4 = 16;
const CHECKSUM_4 = 10;
const SOURCE_6 = 8;
const DESTINATION_6 = 24;

/** Gives a packet another source; its port too where the view has found one. */
export function rewriteSource(packet: IpPacket, view: TransportView, to: Endpoint): void {
  packet.s0 = to.w0;
  packet.s1 = to.w1;
  packet.s2 = to.w2;
  packet.s3 = to.w3;
  const change = writeAddress(packet, packet.version === 4 ? SOURCE_4 : SOURCE_6, to);
  updateTransport(packet, view, change, writePort(packet, view.sourcePortAt, to.port));
}

/** As `rewriteSource`, for the destination. */
export function rewriteDestination(packet: IpPacket, view: TransportView, to: Endpoint): void {
  packet.d0 = to.w0;
  packet.d1 = to.w1;
  packet.d2 = to.w2;
  packet.d3 = to.w3;
  const change = writeAddress(packet, packet.version === 4 ? DESTINATION_4 : DESTINATION_6, to);
  updateTransport(packet, view, change, writePort(packet, view.destinationPortAt, to.port));
}

/** Writes an address, and the checksum of an IPv4 header. @returns what it changes in a sum */
function writeAddress(packet: IpPacket, offset: number, to: Endpoint): number {
  const { view } = packet;
  const at = packet.at + offset;
  if (packet.version === 4) {
    const change = writeWord(view, at, to.w3, 0);
    const checksumAt = packet.at + CHECKSUM_4;
    view.setUint16(checksumAt, finishChecksum((~view.getUint16(checksumAt) & 0xffff) + change));
    return change;
  }
  const first = writeWord(view, at + 4, to.w1, writeWord(view, at, to.w0, 0));
  return writeWord(view, at + 12, to.w3, writeWord(view, at + 8, to.w2, first));
}

/** @returns `sum` and ~m + m' of the word (RFC 1624 §3) */
function writeWord(view: DataView, at: number, word: number, sum: number): number {
  const before = view.getInt32(at);
  view.setInt32(at, word);
  return addWord(addWord(sum, ~before), word);
}

/** @returns what it changes in a sum */
function writePort(packet: IpPacket, at: number, port: number): number {
  if (at === 0) return 0;
  const before = packet.view.getUint16(at);
  packet.view.setUint16(at, port);
  return (~before & 0xffff) + port;
}

function updateTransport(packet: IpPacket, view: TransportView, addresses: number, port: number): void {
  const at = view.checksumAt;
  if (at === 0) return;
  const field = packet.view.getUint16(at);
  const covered = view.coversAddresses ? addresses : 0;
  if (packet.checksum === ChecksumState.Partial && view.coversAddresses) {
    // The sum of the pseudo-header, not complemented, and without the ports.
    packet.view.setUint16(at, foldSum(field + covered));
    return;
  }
  const isUdp = view.protocol === Protocol.Udp;
  // Over IPv4, none was sent (RFC 768).
  if (isUdp && field === 0) return;
  const checksum = finishChecksum((~field & 0xffff) + covered + port);
  packet.view.setUint16(at, isUdp && checksum === 0 ? 0xffff : checksum);
}
