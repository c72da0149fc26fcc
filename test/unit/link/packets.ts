/** Packets made by hand, byte by byte, apart from the code under test. */
export interface PacketFields {
  version?: 4 | 6;
  protocol?: number;
  source?: number;
  destination?: number;
  sourcePort?: number;
  destinationPort?: number;
  trafficClass?: number;
  hopLimit?: number;
  identification?: number;
  dontFragment?: boolean;
  sequence?: number;
  acknowledgment?: number;
  flags?: number;
  window?: number;
  urgentPointer?: number;
  options?: number[];
  payload?: Uint8Array | string;
  /** Leaves the transport checksum zero. */
  withoutChecksum?: boolean;
}

/** The one's complement sum, the slow way. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum = (sum & 0xffff) + 1;
  }
  return ~sum & 0xffff;
}

const be16 = (value: number): number[] => [(value >> 8) & 255, value & 255];
const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value)];
const address = (version: 4 | 6, last: number): number[] =>
  version === 4 ? [10, 0, 0, last] : [0xfd, ...new Array<number>(14).fill(0), last];

export const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `count` bytes that tell their place. */
export const pattern = (count: number, start = 0): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => (start + i) * 7 + ((start + i) >> 8));

/** A whole IP packet; TCP by default, from .1:1000 to .2:2000. */
export function makePacket(fields: PacketFields = {}): Uint8Array {
  const { version = 4, protocol = 6, identification = 1, dontFragment = true } = fields;
  const source = address(version, fields.source ?? 1);
  const destination = address(version, fields.destination ?? 2);
  const payload =
    typeof fields.payload === 'string' ? textBytes(fields.payload) : (fields.payload ?? new Uint8Array(0));
  const ports = [...be16(fields.sourcePort ?? 1000), ...be16(fields.destinationPort ?? 2000)];
  const options = fields.options ?? [];
  const header =
    protocol === 6
      ? [
          ...ports,
          ...be32(fields.sequence ?? 0),
          ...be32(fields.acknowledgment ?? 0),
          ((20 + options.length) / 4) << 4,
          fields.flags ?? 0x10,
          ...be16(fields.window ?? 500),
          0,
          0,
          ...be16(fields.urgentPointer ?? 0),
          ...options,
        ]
      : [...ports, ...be16(8 + payload.length), 0, 0];
  const transport = Uint8Array.from([...header, ...payload]);
  const checksumAt = protocol === 6 ? 16 : 6;
  if (!fields.withoutChecksum) {
    const pseudo = [...source, ...destination, ...be32(transport.length), ...be32(protocol)];
    const sum = checksum(Uint8Array.from([...pseudo, ...transport]));
    transport.set(be16(sum === 0 && protocol === 17 ? 0xffff : sum), checksumAt);
  }
  const { trafficClass = 0, hopLimit = 64 } = fields;
  let ip: number[];
  if (version === 4) {
    ip = [0x45, trafficClass, ...be16(20 + transport.length), ...be16(identification)];
    ip.push(dontFragment ? 0x40 : 0, 0, hopLimit, protocol, 0, 0, ...source, ...destination);
    ip.splice(10, 2, ...be16(checksum(Uint8Array.from(ip))));
  } else {
    ip = [0x60 | (trafficClass >> 4), (trafficClass & 15) << 4, 0x12, 0x34, ...be16(transport.length)];
    ip.push(protocol, hopLimit, ...source, ...destination);
  }
  return Uint8Array.from([...ip, ...transport]);
}

/** Whether IP header and transport checksum of a packet without IP options are right. */
export function isIntact(packet: Uint8Array): boolean {
  const version = packet[0] >> 4;
  const headerBytes = version === 4 ? 20 : 40;
  if (version === 4 && checksum(packet.subarray(0, 20)) !== 0) return false;
  const addresses = version === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const transport = packet.subarray(headerBytes);
  const protocol = packet[version === 4 ? 9 : 6];
  return (
    checksum(Uint8Array.from([...addresses, ...be32(transport.length), ...be32(protocol), ...transport])) ===
    0
  );
}
