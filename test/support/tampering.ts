/** Boxes on the path that change packets as they pass: their ECN field, their flags. Checksums stay right. */

import { updateChecksum16 } from '../../lib/wire/checksum.js';
import { TcpFlag } from '../../lib/wire/tcp.js';

const viewOf = (packet: Uint8Array): DataView =>
  new DataView(packet.buffer, packet.byteOffset, packet.length);
const isV6 = (packet: Uint8Array): boolean => packet[0] >> 4 === 6;
const transportAt = (packet: Uint8Array): number => (isV6(packet) ? 40 : (packet[0] & 15) * 4);

/** The ECN field of a packet. */
export const ecnOf = (packet: Uint8Array): number => (isV6(packet) ? (packet[1] >> 4) & 3 : packet[1] & 3);

/** Flags of a TCP segment, AE among them. */
export const flagsOf = (packet: Uint8Array): number =>
  viewOf(packet).getUint16(transportAt(packet) + 12) & 0x1ff;

/** Bytes of text of a TCP segment. */
export function textBytesOf(packet: Uint8Array): number {
  const at = transportAt(packet);
  return packet.length - at - (packet[at + 12] >> 4) * 4;
}

/** Gives a packet another ECN field. */
export function setEcn(packet: Uint8Array, ecn: number): void {
  const view = viewOf(packet);
  const shift = isV6(packet) ? 4 : 0;
  const before = view.getUint16(0);
  const after = (before & ~(3 << shift)) | (ecn << shift);
  view.setUint16(0, after);
  if (!isV6(packet)) view.setUint16(10, updateChecksum16(view.getUint16(10), before, after));
}

/** Gives a segment other flags of ECN: those of `mask` become those of `flags`. */
export function setFlags(packet: Uint8Array, mask: number, flags: number): void {
  const view = viewOf(packet);
  const at = transportAt(packet);
  const before = view.getUint16(at + 12);
  const after = (before & ~mask) | (flags & mask);
  view.setUint16(at + 12, after);
  view.setUint16(at + 16, updateChecksum16(view.getUint16(at + 16), before, after));
}

/** Whether it is a SYN, or a SYN-ACK. */
export const isSyn = (packet: Uint8Array): boolean => (flagsOf(packet) & TcpFlag.SYN) !== 0;
