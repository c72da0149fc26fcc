/**
 * Counters. Everything that is dropped, refused, limited or given up is counted here, under the name
 * the TCP/IP MIBs or Linux's SNMP and Netstat tables give it where they have one (RFC 4022, 4113,
 * 4293). All are plain numbers that only grow, but for those documented as gauges.
 */
import { DropCounts, type DropReason } from './drop-reason.js';
import { GroupStats, IcmpStats, IpStats, UdpStats } from './ip-stats.js';
import { TcpStats } from './tcp-stats.js';

export { DropCounts, DropReason, dropReasonName } from './drop-reason.js';
export { GroupStats, IcmpStats, IpStats, TcpStats, UdpStats };

/** What `stack.dns` asked, and what came of it. */
export class DnsStats {
  /** Queries sent over UDP, the repeated ones included. */
  queries = 0;
  /** Queries sent over TCP. */
  queriesTcp = 0;
  /** Answers that were taken, whatever they say. */
  responses = 0;
  /** Attempts that ended without an answer. */
  timeouts = 0;
  /** Attempts that reached no server: no route, or its port was closed. */
  unreachable = 0;
  /** Datagrams dropped because their ID, their question or their kind is not that of a query under way (RFC 5452 §9.1). */
  mismatched = 0;
  /** Messages dropped because they cannot be read. */
  malformed = 0;
  /** Answers cut short, and asked for again over TCP. */
  truncated = 0;
  /** Attempts that went over TCP because so many datagrams did not match. */
  floods = 0;
  /** Servers that know no EDNS (RFC 6891 §7). */
  ednsRefused = 0;
  /** Answers `SERVFAIL`, `REFUSED` and the like. */
  serverFailures = 0;
  /** Aliases that lead in a circle, or too far. */
  aliasLoops = 0;
  /** Questions joined to one that was under way (RFC 5452 §5). */
  joined = 0;
  /** Questions answered from the cache. */
  cacheHits = 0;
  /** Questions the cache could not answer. */
  cacheMisses = 0;
  /** Answers that made room in the cache before their time. */
  cacheEvictions = 0;
  /** Questions refused because too many waited. */
  overflows = 0;
}

/** All counters of one stack. */
export class StackStats {
  /** Packets dropped, by reason. */
  readonly drops = new DropCounts();
  /** Of both versions of IP. */
  readonly ip = new IpStats();
  /** Of ICMP and ICMPv6. */
  readonly icmp = new IcmpStats();
  /** Of IGMP and MLD. */
  readonly groups = new GroupStats();
  /** Of UDP. */
  readonly udp = new UdpStats();
  /** Of TCP. */
  readonly tcp = new TcpStats();
  /** Of `stack.dns`. */
  readonly dns = new DnsStats();

  /** Counts a packet dropped. */
  drop(reason: DropReason): void {
    this.drops.drop(reason);
  }
}
