/** MLD messages (RFC 2710, RFC 3810): reading those of queriers and hosts, writing a host's. */
import { addressSum, finishChecksum, sumBytes } from '../../wire/checksum.js';
import { IpAddress } from '../../wire/ip-address.js';
import type { IpPacket } from '../../wire/ip-packet.js';
import { IPV6_HEADER_BYTES, Protocol } from '../../wire/ipv6.js';
import { decodeFloat, Generation, type GroupQuery, MAX_QUERIED_SOURCES } from './messages.js';

export const MldType = { Query: 130, ReportV1: 131, Done: 132, ReportV2: 143 } as const;

/** ff02::1, ff02::2 and ff02::16. */
export const ALL_NODES = IpAddress.parse('ff02::1');
export const ALL_ROUTERS_V6 = IpAddress.parse('ff02::2');
export const V2_ROUTERS = IpAddress.parse('ff02::16');

export const MLD_HOP_LIMIT = 1;
/** Hop-by-Hop header with a Router Alert for MLD (RFC 2711), padded, before ICMPv6. */
export const HOP_BY_HOP = Uint8Array.of(Protocol.Icmpv6, 0, 5, 2, 0, 0, 1, 0);

/** Bytes of the old messages, and of a query of version 2 before its sources. */
const OLD_BYTES = 24;
const QUERY_BYTES = 28;
const ROUTER_ALERT = 5;
const PAD1 = 0;

export const isMld = (type: number): boolean =>
  (type >= MldType.Query && type <= MldType.Done) || type === MldType.ReportV2;

/**
 * Whether a message came from this link, as every one must say: by a link-local source, a hop limit of 1 and
 * a Router Alert (RFC 3810 §5.1.14, §6.2). Reports of version 1 come from :: too (RFC 3590).
 */
export function isFromLink(packet: IpPacket): boolean {
  const { s0, s1, s2, s3, view, payloadAt } = packet;
  const isReport = view.getUint8(payloadAt) !== MldType.Query;
  const isLocal = s0 >>> 22 === 0x3fa || (isReport && (s0 | s1 | s2 | s3) === 0);
  return isLocal && packet.hopLimit === MLD_HOP_LIMIT && hasRouterAlert(packet);
}

/** The chain of headers has been checked before. */
function hasRouterAlert({ view, at }: IpPacket): boolean {
  if (view.getUint8(at + 6) !== Protocol.HopByHop) return false;
  const header = at + IPV6_HEADER_BYTES;
  const end = header + (view.getUint8(header + 1) + 1) * 8;
  for (let i = header + 2; i < end; ) {
    const type = view.getUint8(i);
    if (type === ROUTER_ALERT) return view.getUint16(i + 2) === 0;
    i += type === PAD1 ? 1 : 2 + view.getUint8(i + 1);
  }
  return false;
}

/** The group an older report is about; undefined where it is cut off. */
export const reportedGroup6 = ({ view, payloadAt, payloadBytes }: IpPacket): IpAddress | undefined =>
  payloadBytes < OLD_BYTES ? undefined : IpAddress.read(view, payloadAt + 8, 6);

/** Reads a query, its checksum proved and `isFromLink`. @returns undefined for what must be ignored */
export function readMldQuery(packet: IpPacket): GroupQuery | undefined {
  const { view, payloadAt: at, payloadBytes } = packet;
  if (payloadBytes < OLD_BYTES) return undefined;
  const code = view.getUint16(at + 4);
  const group = IpAddress.read(view, at + 8, 6);
  // One about all groups goes to all nodes, or to us alone (RFC 3810 §5.1.15).
  const isToGroup = packet.d0 >>> 24 === 0xff;
  const isToAll = packet.d0 === ALL_NODES.w0 && (packet.d1 | packet.d2) === 0 && packet.d3 === 1;
  if (group.isUnspecified ? isToGroup && !isToAll : !group.isMulticast) return undefined;
  const common = {
    group: group.isUnspecified ? undefined : group,
    sources: [],
    robustness: 0,
    queryIntervalUs: 0,
  };
  if (payloadBytes === OLD_BYTES) {
    return { ...common, generation: Generation.Older, maxResponseUs: code * 1000 };
  }
  // RFC 3810 §8.1: lengths between are of no version.
  if (payloadBytes < QUERY_BYTES) return undefined;
  const count = view.getUint16(at + 26);
  if (QUERY_BYTES + 16 * count > payloadBytes) return undefined;
  const length = common.group === undefined || count > MAX_QUERIED_SOURCES ? 0 : count;
  const sources = Array.from({ length }, (_, i) => IpAddress.read(view, at + QUERY_BYTES + 16 * i, 6));
  return {
    ...common,
    generation: Generation.Current,
    maxResponseUs: decodeFloat(code, 16) * 1000,
    sources,
    robustness: view.getUint8(at + 24) & 7,
    queryIntervalUs: decodeFloat(view.getUint8(at + 25), 8) * 1_000_000,
  };
}

/** Writes a message of version 1, but for its checksum. @returns its bytes */
export function writeOldMld(view: DataView, at: number, type: number, group: IpAddress): number {
  view.setInt32(at, type << 24);
  view.setInt32(at + 4, 0);
  group.write(view, at + 8);
  return OLD_BYTES;
}

/** Fills in the checksum of a message of `bytes` bytes. */
export function finishMld(
  view: DataView,
  at: number,
  bytes: number,
  ends: readonly [IpAddress, IpAddress],
): void {
  const pseudo = addressSum(ends[0], ends[1]) + Protocol.Icmpv6 + bytes;
  view.setUint16(at + 2, 0);
  view.setUint16(at + 2, finishChecksum(sumBytes(view, at, bytes, pseudo)));
}
