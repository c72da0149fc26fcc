/** From a line of text to the IP packet that carries the segment, with whatever is wrong with it on purpose. */
import { seqAdd } from '../../lib/base/seq.js';
import type { SegmentOrigin } from '../../lib/wire/segment-origin.js';
import { type SegmentLine, writeSegmentLine } from '../../lib/wire/segment-text.js';
import { writeTcpPorts } from '../../lib/wire/tcp.js';
import { completeChecksum, type IpFields, ipPacket, PROTOCOL_TCP } from './packet-bytes.js';
import type { SendFields } from './peer-options.js';

/** Addresses and ports of the packet, from sender to receiver. */
export interface Direction {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** The packet; `text` is the segment's. */
export function segmentPacket(
  line: SegmentLine,
  text: Uint8Array,
  place: { readonly direction: Direction; readonly origin: SegmentOrigin },
  fields: SendFields,
): Uint8Array {
  const direction = { ...place.direction, ...fields };
  const segment = new Uint8Array(60 + text.length);
  const view = new DataView(segment.buffer);
  const headerBytes = writeSegmentLine(line, view, 0, place.origin);
  segment.set(text, headerBytes);
  writeTcpPorts(view, 0, direction.sourcePort, direction.destinationPort);
  if (fields.reserved !== undefined) view.setUint8(12, view.getUint8(12) | (fields.reserved << 1));
  if (fields.dataOffset !== undefined) view.setUint8(12, (fields.dataOffset << 4) | (view.getUint8(12) & 15));
  const whole = segment.subarray(0, headerBytes + text.length);
  const ip: IpFields = {
    source: direction.source,
    destination: direction.destination,
    protocol: PROTOCOL_TCP,
    trafficClass: ((fields.trafficClass ?? 0) & 0xfc) | (line.ecn ?? (fields.trafficClass ?? 0) & 3),
    ...(fields.hopLimit === undefined ? {} : { hopLimit: fields.hopLimit }),
    ...(fields.ipOptions === undefined ? {} : { ipOptions: fields.ipOptions }),
    ...(fields.extensionHeader === undefined ? {} : { extensionHeader: fields.extensionHeader }),
  };
  completeChecksum(ip, whole, 16);
  const { tcpChecksum } = fields;
  if (tcpChecksum === 'bad') view.setUint16(16, view.getUint16(16) ^ 0x5555);
  else if (tcpChecksum !== undefined) view.setUint16(16, tcpChecksum);
  return ipPacket(ip, whole);
}

/** Sequence number after the last the line occupies, as text. */
export const lineEnd = (line: SegmentLine): number =>
  seqAdd(0 as never, line.start + line.textBytes + (line.flags & 1) + ((line.flags >> 1) & 1)) >>> 0;
