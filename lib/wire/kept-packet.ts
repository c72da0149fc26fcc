/** Packets that are answered after the turn they came in: a copy of their beginning, and what is known of them. */
import { IpPacket } from './ip-packet.js';

/** The packet, of which at most `mostBytes` are copied, in memory of its own. Its payload may be cut short. */
export function keepPacket(packet: IpPacket, mostBytes: number): IpPacket {
  const length = Math.min(packet.length, mostBytes);
  const bytes = packet.bytes.slice(packet.at, packet.at + length);
  const kept = new IpPacket();
  kept.aim(bytes, new DataView(bytes.buffer), 0, length);
  kept.link = packet.link;
  kept.checksum = packet.checksum;
  kept.mark = packet.mark;
  kept.nowUs = packet.nowUs;
  kept.version = packet.version;
  kept.s0 = packet.s0;
  kept.s1 = packet.s1;
  kept.s2 = packet.s2;
  kept.s3 = packet.s3;
  kept.d0 = packet.d0;
  kept.d1 = packet.d1;
  kept.d2 = packet.d2;
  kept.d3 = packet.d3;
  kept.cast = packet.cast;
  kept.isForeign = packet.isForeign;
  kept.trafficClass = packet.trafficClass;
  kept.hopLimit = packet.hopLimit;
  kept.protocol = packet.protocol;
  kept.payloadAt = packet.payloadAt - packet.at;
  kept.payloadBytes = Math.min(packet.payloadBytes, length - kept.payloadAt);
  return kept;
}
