/** How a host's messages leave by a link: written in place, each its own packet, past all routes. */
import { DropReason, type StackStats } from '../../base/stats.js';
import { finishChecksum, sumBytes } from '../../wire/checksum.js';
import { ANY_V4, ANY_V6, type IpAddress, type IpFamily } from '../../wire/ip-address.js';
import { ChecksumState } from '../../wire/ip-packet.js';
import { IPV4_DF, IPV4_HEADER_BYTES, Ipv4Header } from '../../wire/ipv4.js';
import { IPV6_HEADER_BYTES, Ipv6Header, Protocol } from '../../wire/ipv6.js';
import type { AddressBook } from '../addresses.js';
import type { OutputPort } from '../interfaces.js';
import {
  ALL_ROUTERS,
  IGMP_PROTOCOL,
  IGMP_TTL,
  IgmpType,
  INTERNETWORK_CONTROL,
  ROUTER_ALERT_OPTION,
  V3_ROUTERS,
  writeOldIgmp,
} from './igmp.js';
import { Generation, type GroupRecord, type GroupVoice } from './messages.js';
import {
  ALL_ROUTERS_V6,
  finishMld,
  HOP_BY_HOP,
  MLD_HOP_LIMIT,
  MldType,
  V2_ROUTERS,
  writeOldMld,
} from './mld.js';
import { packRecords, writeReport } from './report-packing.js';

export interface VoiceParts {
  readonly stats: StackStats;
  readonly addresses: AddressBook;
}

type Write = (view: DataView, at: number) => number;

const HEADER_BYTES_V4 = IPV4_HEADER_BYTES + ROUTER_ALERT_OPTION.length;
const HEADER_BYTES_V6 = IPV6_HEADER_BYTES + HOP_BY_HOP.length;

/** What of the link's packets is left to a message. */
const roomOf = (port: OutputPort, headerBytes: number): number =>
  Math.min(port.mtu, port.maxPacketBytes) - headerBytes;

export class IgmpVoice implements GroupVoice {
  readonly #parts: VoiceParts;
  readonly #port: OutputPort;
  readonly #header = new Ipv4Header();

  constructor(parts: VoiceParts, port: OutputPort) {
    this.#parts = parts;
    this.#port = port;
  }

  report(records: readonly GroupRecord[]): void {
    for (const pack of packRecords(records, 4, roomOf(this.#port, HEADER_BYTES_V4))) {
      this.#send(V3_ROUTERS, (view, at) => {
        const bytes = writeReport(view, at, IgmpType.ReportV3, pack);
        view.setUint16(at + 2, finishChecksum(sumBytes(view, at, bytes)));
        return bytes;
      });
      this.#parts.stats.groups.outReports++;
    }
  }

  olderReport(group: IpAddress, generation: Generation): void {
    const type = generation === Generation.Oldest ? IgmpType.ReportV1 : IgmpType.ReportV2;
    this.#send(group, (view, at) => writeOldIgmp(view, at, type, group));
    this.#parts.stats.groups.outReports++;
  }

  olderLeave(group: IpAddress): void {
    this.#send(ALL_ROUTERS, (view, at) => writeOldIgmp(view, at, IgmpType.Leave, group));
    this.#parts.stats.groups.outLeaves++;
  }

  #send(destination: IpAddress, write: Write): void {
    if (!mayWrite(this.#port, this.#parts.stats)) return;
    const { view, at } = this.#port;
    const bytes = write(view, at + HEADER_BYTES_V4);
    const header = this.#header;
    header.trafficClass = INTERNETWORK_CONTROL;
    header.totalBytes = HEADER_BYTES_V4 + bytes;
    header.fragment = IPV4_DF;
    header.hopLimit = IGMP_TTL;
    header.protocol = IGMP_PROTOCOL;
    header.source = sourceOn(this.#parts.addresses, this.#port, 4).w3;
    header.destination = destination.w3;
    header.writeWithOptions(view, at, ROUTER_ALERT_OPTION);
    this.#port.commit(HEADER_BYTES_V4 + bytes, ChecksumState.Valid, 0, HEADER_BYTES_V4);
  }
}

export class MldVoice implements GroupVoice {
  readonly #parts: VoiceParts;
  readonly #port: OutputPort;
  readonly #header = new Ipv6Header();

  constructor(parts: VoiceParts, port: OutputPort) {
    this.#parts = parts;
    this.#port = port;
  }

  report(records: readonly GroupRecord[]): void {
    for (const pack of packRecords(records, 6, roomOf(this.#port, HEADER_BYTES_V6))) {
      this.#send(V2_ROUTERS, (view, at) => writeReport(view, at, MldType.ReportV2, pack));
      this.#parts.stats.groups.outReports++;
    }
  }

  olderReport(group: IpAddress): void {
    this.#send(group, (view, at) => writeOldMld(view, at, MldType.ReportV1, group));
    this.#parts.stats.groups.outReports++;
  }

  olderLeave(group: IpAddress): void {
    this.#send(ALL_ROUTERS_V6, (view, at) => writeOldMld(view, at, MldType.Done, group));
    this.#parts.stats.groups.outLeaves++;
  }

  #send(destination: IpAddress, write: Write): void {
    const { stats, addresses } = this.#parts;
    if (!mayWrite(this.#port, stats)) return;
    const { view, bytes: memory, at } = this.#port;
    const source = sourceOn(addresses, this.#port, 6);
    const messageAt = at + HEADER_BYTES_V6;
    const bytes = write(view, messageAt);
    finishMld(view, messageAt, bytes, [source, destination]);
    memory.set(HOP_BY_HOP, at + IPV6_HEADER_BYTES);
    const header = this.#header;
    header.payloadBytes = HOP_BY_HOP.length + bytes;
    header.nextHeader = Protocol.HopByHop;
    header.hopLimit = MLD_HOP_LIMIT;
    header.write(view, at, source, destination);
    stats.icmp.outMsgs++;
    this.#port.commit(HEADER_BYTES_V6 + bytes, ChecksumState.Valid, 0, HEADER_BYTES_V6);
  }
}

/** What finds no room is lost, as on a link: it is repeated, or asked for again. */
function mayWrite(port: OutputPort, stats: StackStats): boolean {
  stats.ip.outRequests++;
  if (port.reserve()) return true;
  stats.ip.outDiscards++;
  stats.drop(DropReason.LinkQueueFull);
  return false;
}

/**
 * The primary IPv4 address of the link, or its link-local IPv6 address: all that RFC 3810 §5.2.13 allows. A
 * link that has none reports from nobody (RFC 3376 §4.2.13).
 */
function sourceOn(addresses: AddressBook, port: OutputPort, family: IpFamily): IpAddress {
  const own = addresses.usable().find((entry) => {
    const { address } = entry;
    if (entry.port !== port.index || address.family !== family) return false;
    return family === 4 ? !entry.secondary : address.isLinkLocal;
  });
  return own?.address ?? (family === 4 ? ANY_V4 : ANY_V6);
}
