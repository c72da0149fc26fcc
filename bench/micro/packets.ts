/** Packets to measure with. */
import { writeIpv4Checksum } from '../../lib/wire/ipv4.js';

/** Writes an IPv4 header for so many bytes of TCP at `at`. */
export function patchIpv4(view: DataView, at: number, payloadBytes: number): void {
  view.setUint16(at, 0x4500);
  view.setUint16(at + 2, 20 + payloadBytes);
  view.setUint32(at + 4, 0x0000_4000);
  view.setUint16(at + 8, 0x4006);
  view.setUint32(at + 12, 0x0a00_0001);
  view.setUint32(at + 16, 0x0a00_0002);
  writeIpv4Checksum(view, at, 20);
}
