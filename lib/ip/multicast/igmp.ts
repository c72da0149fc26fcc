/** IGMP messages (RFC 1112, RFC 2236, RFC 3376): reading those of queriers and hosts, writing a host's. */
import { finishChecksum, foldSum, sumBytes } from '../../wire/checksum.js';
import { IpAddress } from '../../wire/ip-address.js';
import type { IpPacket } from '../../wire/ip-packet.js';
import { IPV4_HEADER_BYTES } from '../../wire/ipv4.js';
import { Ipv4Option } from '../ipv4-options.js';
import { decodeFloat, Generation, type GroupQuery, MAX_QUERIED_SOURCES } from './messages.js';

export const IGMP_PROTOCOL = 2;
export const IgmpType = { Query: 0x11, ReportV1: 0x12, ReportV2: 0x16, Leave: 0x17, ReportV3: 0x22 } as const;

/** 224.0.0.1, 224.0.0.2 and 224.0.0.22. */
export const ALL_SYSTEMS = IpAddress.v4(0xe000_0001 | 0);
export const ALL_ROUTERS = IpAddress.v4(0xe000_0002 | 0);
export const V3_ROUTERS = IpAddress.v4(0xe000_0016 | 0);

/** Router Alert (RFC 2113), and TTL and TOS of what is sent (RFC 3376 §4). */
export const ROUTER_ALERT_OPTION = Uint8Array.of(Ipv4Option.RouterAlert, 4, 0, 0);
export const IGMP_TTL = 1;
export const INTERNETWORK_CONTROL = 0xc0;

/** Bytes of the old messages, and of a query of version 3 before its sources. */
const OLD_BYTES = 8;
const QUERY_BYTES = 12;
/** Of IGMPv1, which names none (RFC 3376 §4.1.1). */
const V1_RESPONSE_US = 10_000_000;
const TENTH_US = 100_000;

/** Whether a message is whole and its checksum right. */
export function isIgmp(packet: IpPacket): boolean {
  const { view, payloadAt, payloadBytes } = packet;
  return payloadBytes >= OLD_BYTES && foldSum(sumBytes(view, payloadAt, payloadBytes)) === 0xffff;
}

/** The group an older report is about. */
export const reportedGroup = (packet: IpPacket): IpAddress =>
  IpAddress.v4(packet.view.getInt32(packet.payloadAt + 4));

/**
 * Reads a query, which `isIgmp` has accepted. What a forger would send from afar is no query: one of version
 * 2 or 3 without Router Alert, one about all groups that does not go to 224.0.0.1 or to us alone (RFC 3376
 * §9.1). @returns undefined for what must be ignored
 */
export function readIgmpQuery(packet: IpPacket): GroupQuery | undefined {
  const { view, payloadAt: at, payloadBytes } = packet;
  const code = view.getUint8(at + 1);
  const group = IpAddress.v4(view.getInt32(at + 4));
  if (group.isUnspecified ? packet.d3 >>> 28 === 0xe && packet.d3 !== ALL_SYSTEMS.w3 : !group.isMulticast) {
    return undefined;
  }
  const common = {
    group: group.isUnspecified ? undefined : group,
    sources: [],
    robustness: 0,
    queryIntervalUs: 0,
  };
  if (payloadBytes === OLD_BYTES && code === 0) {
    return { ...common, generation: Generation.Oldest, maxResponseUs: V1_RESPONSE_US };
  }
  if (!hasRouterAlert(packet)) return undefined;
  if (payloadBytes === OLD_BYTES) {
    return { ...common, generation: Generation.Older, maxResponseUs: code * TENTH_US };
  }
  // RFC 3376 §7.1: lengths between are of no version.
  if (payloadBytes < QUERY_BYTES) return undefined;
  const count = view.getUint16(at + 10);
  if (QUERY_BYTES + 4 * count > payloadBytes) return undefined;
  const length = common.group === undefined || count > MAX_QUERIED_SOURCES ? 0 : count;
  const sources = Array.from({ length }, (_, i) => IpAddress.v4(view.getInt32(at + QUERY_BYTES + 4 * i)));
  return {
    ...common,
    generation: Generation.Current,
    maxResponseUs: decodeFloat(code, 8) * TENTH_US,
    sources,
    robustness: view.getUint8(at + 8) & 7,
    queryIntervalUs: decodeFloat(view.getUint8(at + 9), 8) * 1_000_000,
  };
}

function hasRouterAlert({ view, at, payloadAt }: IpPacket): boolean {
  for (let i = at + IPV4_HEADER_BYTES; i < payloadAt; ) {
    const type = view.getUint8(i);
    if (type === Ipv4Option.RouterAlert) return true;
    if (type === Ipv4Option.End) return false;
    i += type === Ipv4Option.NoOperation ? 1 : Math.max(view.getUint8(i + 1), 2);
  }
  return false;
}

/** Writes a message of an older version. @returns its bytes */
export function writeOldIgmp(view: DataView, at: number, type: number, group: IpAddress): number {
  view.setInt32(at, type << 24);
  group.write(view, at + 4);
  view.setUint16(at + 2, finishChecksum(sumBytes(view, at, OLD_BYTES)));
  return OLD_BYTES;
}
