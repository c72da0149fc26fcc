/** IP packets of a script: segments and ICMP errors, headers and checksums complete. */
import { addressSum, finishChecksum, pseudoSum, sumBytes } from '../../wire/checksum.js';
import { Icmp4Type, Icmp4Unreachable, Icmp6Type, Icmp6Unreachable } from '../../wire/icmp.js';
import type { IpAddress } from '../../wire/ip-address.js';
import { IPV4_DF, IPV4_HEADER_BYTES, Ipv4Header } from '../../wire/ipv4.js';
import { IPV6_HEADER_BYTES, Ipv6Header, Protocol } from '../../wire/ipv6.js';
import type { IpSpec } from './script.js';

/** Ends of a packet, from sender to receiver. */
export interface Ends {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const HOP_LIMIT = 64;

/** A packet around `payload`, whose checksum at `checksumAt` is filled in. */
export function ipPacket(
  ends: Pick<Ends, 'source' | 'destination'>,
  spec: IpSpec,
  protocol: number,
  content: { readonly payload: Uint8Array; readonly checksumAt: number },
): Uint8Array {
  const { source, destination } = ends;
  const { payload, checksumAt } = content;
  const isV6 = source.family === 6;
  const headerBytes = isV6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
  const bytes = new Uint8Array(headerBytes + payload.length);
  const view = new DataView(bytes.buffer);
  const trafficClass = ((spec.trafficClass ?? 0) & 0xfc) | (spec.ecn?.[0] ?? 0);
  const hopLimit = spec.hopLimit ?? HOP_LIMIT;
  if (isV6) {
    const flowLabel = spec.flowLabel ?? 0;
    const header = { trafficClass, flowLabel, payloadBytes: payload.length, nextHeader: protocol, hopLimit };
    Object.assign(new Ipv6Header(), header).write(view, 0, source, destination);
  } else {
    const header = { trafficClass, totalBytes: bytes.length, fragment: IPV4_DF, hopLimit, protocol };
    const places = {
      source: source.w3,
      destination: destination.w3,
      addressSum: addressSum(source, destination),
    };
    Object.assign(new Ipv4Header(), header, places).write(view, 0);
  }
  bytes.set(payload, headerBytes);
  // ICMP for IPv4 alone has no pseudo-header.
  const pseudo = protocol === Protocol.Icmp ? 0 : pseudoSum(source, destination, protocol, payload.length);
  view.setUint16(
    headerBytes + checksumAt,
    finishChecksum(sumBytes(view, headerBytes, payload.length, pseudo)),
  );
  return bytes;
}

type Message = readonly [type: number, code: number];

const V4: Readonly<Record<string, Message>> = {
  'unreachable net_unreachable': [Icmp4Type.Unreachable, Icmp4Unreachable.Net],
  'unreachable host_unreachable': [Icmp4Type.Unreachable, Icmp4Unreachable.Host],
  'unreachable protocol_unreachable': [Icmp4Type.Unreachable, Icmp4Unreachable.Protocol],
  'unreachable port_unreachable': [Icmp4Type.Unreachable, Icmp4Unreachable.Port],
  'unreachable frag_needed': [Icmp4Type.Unreachable, Icmp4Unreachable.FragmentationNeeded],
  'unreachable source_route_failed': [Icmp4Type.Unreachable, Icmp4Unreachable.SourceRoute],
  'unreachable net_unknown': [Icmp4Type.Unreachable, 6],
  'unreachable host_unknown': [Icmp4Type.Unreachable, 7],
  'unreachable source_host_isolated': [Icmp4Type.Unreachable, 8],
  'unreachable net_prohibited': [Icmp4Type.Unreachable, 9],
  'unreachable host_prohibited': [Icmp4Type.Unreachable, 10],
  'unreachable packet_filtered': [Icmp4Type.Unreachable, Icmp4Unreachable.Prohibited],
  'source_quench ': [Icmp4Type.SourceQuench, 0],
  'time_exceeded exceed_ttl': [Icmp4Type.TimeExceeded, 0],
  'time_exceeded exceed_fragment_time': [Icmp4Type.TimeExceeded, 1],
  'parameter_problem ': [Icmp4Type.ParameterProblem, 0],
};

const V6: Readonly<Record<string, Message>> = {
  'unreachable no_route': [Icmp6Type.Unreachable, Icmp6Unreachable.NoRoute],
  'unreachable net_unreachable': [Icmp6Type.Unreachable, Icmp6Unreachable.NoRoute],
  'unreachable admin_prohibited': [Icmp6Type.Unreachable, Icmp6Unreachable.Prohibited],
  'unreachable addr_unreachable': [Icmp6Type.Unreachable, Icmp6Unreachable.Address],
  'unreachable address_unreachable': [Icmp6Type.Unreachable, Icmp6Unreachable.Address],
  'unreachable host_unreachable': [Icmp6Type.Unreachable, Icmp6Unreachable.Address],
  'unreachable port_unreachable': [Icmp6Type.Unreachable, Icmp6Unreachable.Port],
  // What IPv4 says with a code ICMPv6 says with a type: one script serves for both families.
  'unreachable frag_needed': [Icmp6Type.PacketTooBig, 0],
  'packet_too_big ': [Icmp6Type.PacketTooBig, 0],
  'time_exceeded exceed_ttl': [Icmp6Type.TimeExceeded, 0],
  'time_exceeded exceed_hop_limit': [Icmp6Type.TimeExceeded, 0],
  'parameter_problem ': [Icmp6Type.ParameterProblem, 0],
};

/** The numbers of a message; undefined where the family has none of that name. */
export const icmpNumbers = (isV6: boolean, type: string, code: string): Message | undefined =>
  (isV6 ? V6 : V4)[`${type} ${code}`];

/** An ICMP error about `quote`, an IP packet of the stack. */
export function icmpPacket(
  ends: Pick<Ends, 'source' | 'destination'>,
  spec: IpSpec,
  message: Message,
  about: { readonly mtu: number; readonly quote: Uint8Array },
): Uint8Array {
  const payload = new Uint8Array(8 + about.quote.length);
  const view = new DataView(payload.buffer);
  const [type, code] = message;
  view.setUint8(0, type);
  view.setUint8(1, code);
  view.setUint32(4, about.mtu);
  payload.set(about.quote, 8);
  const protocol = ends.source.family === 6 ? Protocol.Icmpv6 : Protocol.Icmp;
  return ipPacket(ends, spec, protocol, { payload, checksumAt: 2 });
}
