/** Settings of a scripted peer, and of what it sends. */
import type { TcpOptions } from '../../lib/tcp/options.js';
import type { HostOptions } from './scenario-host.js';
import type { InjectedMetadata } from './wire-link.js';

export interface PeerOptions extends HostOptions {
  /** Over IPv6; false by default. */
  ipv6?: boolean;
  /** What the stack is: a `server` that listens (the default) or a `client` that connects. */
  role?: 'server' | 'client';
  /** Options of the stack's listener or connection. */
  options?: Partial<TcpOptions>;
  /** False: no probe for a lost tail comes before the retransmission timer. Short for the option of that name. */
  tailLossProbe?: boolean;
  /** Bytes the stack's application writes as it connects, before the SYN leaves. */
  data?: number;
  /** Port of the stack; 80 for a server, an ephemeral one for a client. */
  stackPort?: number;
  /** Address of the stack; 10.0.0.1 or fd00::1. Others must be among `addresses`. */
  stackAddress?: string;
  /** Port of the peer; 40000 for a client of the stack, 80 for a server. */
  port?: number;
  /** Address of the peer; 10.0.0.2 or fd00::2. */
  address?: string;
  /** Backlog of the listener, and whether connections are accepted at once; they are by default. */
  backlog?: number;
  accept?: boolean;
  /** MSS option of the peer's SYN; 1460 or 1440 by default, 0 for none. */
  mss?: number;
  /** Whether the peer's SYN permits SACK; true by default. */
  sack?: boolean;
  /** Whether the peer's SYN has timestamps; false by default, so that a segment is MSS bytes of text. */
  timestamps?: boolean;
  /** Window scale of the peer's SYN; -1, none, by default, so that windows in lines mean what they say. */
  windowScale?: number;
  /** Window field of the peer's SYN, of its handshake's last ACK and of lines without `win`; 65535. */
  window?: number;
  /** ISN of the stack: that of a SYN sent or answered at time zero. Random by default. */
  iss?: number;
  /** ISN of the peer; 0x10000000 by default. */
  irs?: number;
  /** The peer's TSval at time zero; 1000 by default, and printed as 1000 whatever it is on the wire. */
  timestampBase?: number;
  /** How long the handshake takes, ms; 20 by default, which makes the RTO 220 ms. */
  rttMs?: number;
}

/** How one segment differs from a plain one. */
export interface SendFields extends InjectedMetadata {
  /** The text, of as many bytes as the line says. Otherwise it follows from its place in the stream. */
  payload?: Uint8Array;
  /** The checksum field, or `bad` for one that is wrong. */
  tcpChecksum?: number | 'bad';
  hopLimit?: number;
  /** DSCP and ECN byte; a line's `[ce]` sets the ECN field. */
  trafficClass?: number;
  /** IPv4 options or an IPv6 extension header (`packet-bytes.ts`). */
  ipOptions?: Uint8Array;
  extensionHeader?: number;
  source?: string;
  destination?: string;
  sourcePort?: number;
  destinationPort?: number;
  /** Value of the three reserved bits of the TCP header. */
  reserved?: number;
  /** Data offset in words, instead of the right one. */
  dataOffset?: number;
}

export const DEFAULT_IRS = 0x1000_0000;
export const DEFAULT_RTT_MS = 20;
/** What the peer's timestamps are at time zero, as text shows them. */
export const PEER_TS_BASE = 1000;

/** Options of the peer's SYN or SYN-ACK as text. */
export function synOptionsText(options: PeerOptions, stampText: string): string {
  const texts: string[] = [];
  const mss = options.mss ?? (options.ipv6 === true ? 1440 : 1460);
  if (mss > 0) texts.push(`mss ${mss}`);
  if (options.sack !== false) texts.push('sackOK');
  if (options.timestamps === true) texts.push(stampText);
  if ((options.windowScale ?? -1) >= 0) texts.push('nop', `wscale ${options.windowScale}`);
  return texts.length === 0 ? '' : ` <${texts.join(',')}>`;
}
