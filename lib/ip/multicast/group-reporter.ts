/**
 * Reports the groups of this host on every link that carries multicast: a `ListenerHost` for each link and
 * family that has something to say, their deadlines, and what comes in for them.
 */
import { NEVER } from '../../base/clock.js';
import type { Random } from '../../base/random.js';
import { DropReason } from '../../base/stats.js';
import type { IpAddress, IpFamily } from '../../wire/ip-address.js';
import type { IpPacket } from '../../wire/ip-packet.js';
import type { Transport } from '../interfaces.js';
import type { PortTable } from '../ports.js';
import { IgmpVoice, MldVoice, type VoiceParts } from './group-voices.js';
import { ALL_SYSTEMS, IgmpType, isIgmp, readIgmpQuery, reportedGroup } from './igmp.js';
import { ListenerHost } from './listener-host.js';
import type { Generation, GroupQuery } from './messages.js';
import { Generation as G } from './messages.js';
import { ALL_NODES, isFromLink, MldType, readMldQuery, reportedGroup6 } from './mld.js';
import type { SourceFilter } from './source-filter.js';

interface ReporterParts extends VoiceParts {
  readonly random: Random;
  readonly ports: PortTable;
  /** The time now, µs: groups are joined outside of turns too. */
  nowUs(): number;
}

export class GroupReporter implements Transport {
  readonly #parts: ReporterParts;
  readonly #hosts = { 4: new Map<number, ListenerHost>(), 6: new Map<number, ListenerHost>() };

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  /** When `deadlineReached` has something to do, µs. */
  get nextDeadlineUs(): number {
    let next = NEVER;
    for (const family of [4, 6] as const) {
      for (const host of this.#hosts[family].values()) next = Math.min(next, host.nextDeadlineUs);
    }
    return next;
  }

  deadlineReached(nowUs: number): void {
    for (const family of [4, 6] as const) {
      for (const host of this.#hosts[family].values()) {
        if (host.nextDeadlineUs <= nowUs) host.deadlineReached(nowUs);
      }
    }
  }

  /** What queriers of a link understand. */
  generation(port: number, family: IpFamily): Generation {
    return this.#hosts[family].get(port)?.generation ?? G.Current;
  }

  /** All listeners of a group on a link together want this from now on. */
  filterChanged(port: number, group: IpAddress, filter: SourceFilter): void {
    if (!isReported(group)) return;
    this.#host(port, group.family)?.filterChanged(group, filter, this.#parts.nowUs());
  }

  portRemoved(port: number): void {
    this.#hosts[4].delete(port);
    this.#hosts[6].delete(port);
  }

  /** An IGMP message. */
  input(packet: IpPacket): void {
    const { stats } = this.#parts;
    if (packet.version !== 4) return stats.drop(DropReason.IpUnknownProtocol);
    if (!isIgmp(packet)) return this.#bad(DropReason.IgmpHeader);
    const type = packet.view.getUint8(packet.payloadAt);
    if (type === IgmpType.Query) this.#queried(packet, readIgmpQuery(packet));
    else if (type === IgmpType.ReportV1 || type === IgmpType.ReportV2) {
      this.#heard(packet, reportedGroup(packet));
    } else stats.drop(DropReason.GroupMessageIgnored);
  }

  /** Nobody else's error is about our reports: they go to groups. */
  icmpError(): void {
    this.#parts.stats.drop(DropReason.IcmpIgnored);
  }

  /** An MLD message, its checksum proved. */
  inputMld(packet: IpPacket): void {
    if (!isFromLink(packet)) return this.#bad(DropReason.MldHeader);
    const type = packet.view.getUint8(packet.payloadAt);
    if (type === MldType.Query) this.#queried(packet, readMldQuery(packet));
    else if (type === MldType.ReportV1) {
      const group = reportedGroup6(packet);
      if (group === undefined) this.#bad(DropReason.MldHeader);
      else this.#heard(packet, group);
    } else this.#parts.stats.drop(DropReason.GroupMessageIgnored);
  }

  #queried(packet: IpPacket, query: GroupQuery | undefined): void {
    if (query === undefined) return this.#bad(DropReason.GroupMessageIgnored);
    this.#parts.stats.groups.inQueries++;
    this.#host(packet.link, packet.version)?.queried(query, packet.nowUs);
  }

  #heard(packet: IpPacket, group: IpAddress): void {
    this.#parts.stats.groups.inReports++;
    this.#hosts[packet.version].get(packet.link)?.heardReport(group, packet.nowUs);
  }

  #bad(reason: DropReason): void {
    this.#parts.stats.groups.inErrors++;
    this.#parts.stats.drop(reason);
  }

  /** The host of a link, made when it is first needed; the loopback has nobody to tell. */
  #host(index: number, family: IpFamily): ListenerHost | undefined {
    const hosts = this.#hosts[family];
    const known = hosts.get(index);
    if (known !== undefined) return known;
    const port = this.#parts.ports.get(index);
    if (port === undefined || port.isLoopback) return undefined;
    const voice = family === 4 ? new IgmpVoice(this.#parts, port) : new MldVoice(this.#parts, port);
    const made = new ListenerHost(this.#parts.random, voice);
    hosts.set(index, made);
    return made;
  }
}

/**
 * Groups that every host is in are nobody's news (RFC 3376 §6), nor are those that stay within an interface
 * or have no scope (RFC 3810 §6).
 */
function isReported(group: IpAddress): boolean {
  if (group.family === 4) return !group.equals(ALL_SYSTEMS);
  return ((group.w0 >>> 16) & 15) >= 2 && !group.equals(ALL_NODES);
}
