/** What an ICMP error quotes where the datagram it is about is gone: its headers, made anew. */
import { addressSum } from '../wire/checksum.js';
import type { IpAddress } from '../wire/ip-address.js';
import { IpPacket } from '../wire/ip-packet.js';
import { IPV4_HEADER_BYTES, Ipv4Header } from '../wire/ipv4.js';
import { IPV6_HEADER_BYTES, Ipv6Header } from '../wire/ipv6.js';
import { UDP_HEADER_BYTES, UDP_PROTOCOL } from './datagram-sender.js';
import type { FlowEntry } from './flow-entry.js';

/**
 * A datagram without text from the inside of a flow to `to` and `port`. Its identification and its checksum are 0:
 * whoever is told finds his socket by addresses and ports (RFC 1122 §4.1.3.3).
 */
export function unreachablePacket(entry: FlowEntry, to: IpAddress, port: number): IpPacket {
  const headerBytes = entry.version === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const length = headerBytes + UDP_HEADER_BYTES;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  if (entry.version === 4) writeHeader4(view, entry, to, length);
  else writeHeader6(view, entry, to);
  view.setUint16(headerBytes, entry.sourcePort);
  view.setUint16(headerBytes + 2, port);
  view.setUint16(headerBytes + 4, UDP_HEADER_BYTES);
  const packet = new IpPacket();
  packet.aim(bytes, view, 0, length);
  packet.link = entry.link;
  packet.mark = entry.mark;
  packet.version = entry.version;
  packet.s0 = entry.s0;
  packet.s1 = entry.s1;
  packet.s2 = entry.s2;
  packet.s3 = entry.s3;
  packet.d0 = to.w0;
  packet.d1 = to.w1;
  packet.d2 = to.w2;
  packet.d3 = to.w3;
  packet.protocol = UDP_PROTOCOL;
  packet.payloadAt = headerBytes;
  packet.payloadBytes = UDP_HEADER_BYTES;
  return packet;
}

function writeHeader4(view: DataView, entry: FlowEntry, to: IpAddress, totalBytes: number): void {
  const header = new Ipv4Header();
  header.totalBytes = totalBytes;
  header.protocol = UDP_PROTOCOL;
  header.source = entry.s3;
  header.destination = to.w3;
  header.addressSum = addressSum(entry.source, to);
  header.write(view, 0);
}

function writeHeader6(view: DataView, entry: FlowEntry, to: IpAddress): void {
  const header = new Ipv6Header();
  header.payloadBytes = UDP_HEADER_BYTES;
  header.nextHeader = UDP_PROTOCOL;
  header.write(view, 0, entry.source, to);
}
