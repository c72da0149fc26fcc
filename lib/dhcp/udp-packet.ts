/** UDP over IPv4 as DHCP needs it: from and to hosts that have no address yet, and so apart from the stack's UDP. */
import { finishChecksum, foldSum, sumBytes } from '../wire/checksum.js';
import { IpAddress } from '../wire/ip-address.js';

const IP_BYTES = 20;
const UDP_BYTES = 8;
const UDP = 17;
const HOP_LIMIT = 64;

/** A datagram of UDP. */
export interface UdpPacket {
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** Writes an IPv4 packet. */
export function writeUdp(packet: UdpPacket): Uint8Array {
  const { payload } = packet;
  const udpBytes = UDP_BYTES + payload.length;
  const bytes = new Uint8Array(IP_BYTES + udpBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, bytes.length);
  view.setUint8(8, HOP_LIMIT);
  view.setUint8(9, UDP);
  packet.source.write(view, 12);
  packet.destination.write(view, 16);
  view.setUint16(10, finishChecksum(sumBytes(view, 0, IP_BYTES)));
  view.setUint16(IP_BYTES, packet.sourcePort);
  view.setUint16(IP_BYTES + 2, packet.destinationPort);
  view.setUint16(IP_BYTES + 4, udpBytes);
  bytes.set(payload, IP_BYTES + UDP_BYTES);
  const pseudo = sumBytes(view, 12, 8, UDP + udpBytes);
  const sum = finishChecksum(sumBytes(view, IP_BYTES, udpBytes, pseudo));
  view.setUint16(IP_BYTES + 6, sum === 0 ? 0xffff : sum);
  return bytes;
}

/**
 * Reads an IPv4 packet with a whole UDP datagram; undefined when a length or checksum does not hold. The payload lies
 * in the bytes given.
 * @param isVerified somebody vouches for the checksum of UDP
 */
export function readUdp(bytes: Uint8Array, isVerified = false): UdpPacket | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < IP_BYTES + UDP_BYTES || view.getUint8(0) >> 4 !== 4) return undefined;
  const at = (view.getUint8(0) & 15) * 4;
  const total = view.getUint16(2);
  if (at < IP_BYTES || total > bytes.length || total < at + UDP_BYTES) return undefined;
  if (foldSum(sumBytes(view, 0, at)) !== 0xffff || view.getUint8(9) !== UDP) return undefined;
  const length = view.getUint16(at + 4);
  if (length < UDP_BYTES || at + length > total) return undefined;
  const hasSum = !isVerified && view.getUint16(at + 6) !== 0;
  if (hasSum && foldSum(sumBytes(view, at, length, sumBytes(view, 12, 8, UDP + length))) !== 0xffff)
    return undefined;
  return {
    source: IpAddress.read(view, 12, 4),
    destination: IpAddress.read(view, 16, 4),
    sourcePort: view.getUint16(at),
    destinationPort: view.getUint16(at + 2),
    payload: bytes.subarray(at + UDP_BYTES, at + length),
  };
}
