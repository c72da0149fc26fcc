/** What a script in packetdrill's notation says: the tree that the parser makes and the runner walks. */
import type { SegmentLine } from '../../wire/segment-text.js';

/** Versions of IP, as scripts name them. */
export type IpVersion = 'ipv4' | 'ipv6' | 'ipv4-mapped-ipv6';

export interface Script {
  /** `--name=value` lines at the head, in their order. */
  readonly options: readonly ScriptOption[];
  /** Commands in backticks that stand before the first event, without a time. */
  readonly commands: readonly CommandAction[];
  readonly events: readonly ScriptEvent[];
}

export interface ScriptOption {
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

export interface ScriptEvent {
  readonly line: number;
  /** The event as it stands in the script, white space folded. */
  readonly text: string;
  readonly time: EventTime;
  readonly action: Action;
}

/**
 * When: `0.1` since the beginning, `+.1` since the event before, `*` whenever, and ranges of the first two.
 * µs; both are equal but in ranges.
 */
export interface EventTime {
  readonly kind: 'absolute' | 'relative' | 'any';
  readonly fromUs: number;
  readonly toUs: number;
}

export type Action = PacketAction | SyscallAction | CodeAction | CommandAction;

export interface PacketAction {
  readonly kind: 'packet';
  /** `>`: the stack sends it. */
  readonly isOutbound: boolean;
  readonly packet: TcpSpec | IcmpSpec;
}

/** What the brackets of `[ect0, ttl 64]` say of the IP header. Undefined: nothing. */
export interface IpSpec {
  /** Values the ECN field may have. */
  readonly ecn?: readonly number[];
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  readonly hopLimit?: number;
}

export interface TcpSpec extends Omit<SegmentLine, 'options' | 'ecn'> {
  readonly protocol: 'tcp';
  readonly ip: IpSpec;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Each as text; 'any' for `<...>`. */
  readonly options: readonly string[] | 'any';
}

export interface IcmpSpec {
  readonly protocol: 'icmp';
  readonly ip: IpSpec;
  readonly type: string;
  readonly code: string;
  readonly mtu: number;
  /** Sequence numbers of the segment it is about; undefined: of the oldest that is not acknowledged. */
  readonly about: { readonly start: number; readonly textBytes: number } | undefined;
}

export interface SyscallAction {
  readonly kind: 'syscall';
  readonly name: string;
  readonly args: readonly Expression[];
  /** When it returns, µs, counted as the start is; undefined: at once. */
  readonly endUs: number | undefined;
  /** What it returns; undefined for `?`, whatever it may be. */
  readonly result: Expression | undefined;
  /** `EAGAIN`; '' for none. */
  readonly errno: string;
}

/** Assertions about `tcp_info`, between `%{` and `}%`. */
export interface CodeAction {
  readonly kind: 'code';
  readonly code: string;
}

/** A shell command, in backticks. */
export interface CommandAction {
  readonly kind: 'command';
  readonly command: string;
  readonly line: number;
}

export type Expression =
  | { readonly kind: 'any' }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'symbol'; readonly name: string }
  | { readonly kind: 'operation'; readonly operator: string; readonly operands: readonly Expression[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'struct'; readonly fields: readonly StructField[] };

export interface StructField {
  /** '' where fields have no names. */
  readonly name: string;
  /** As in `msg_iov(1)=[...]`. */
  readonly args: readonly Expression[];
  readonly value: Expression;
}

/**
 * Something in a script that cannot be understood, or is not supported: where, and what.
 * @hideconstructor
 */
export class PacketdrillSyntaxError extends Error {
  /** Tells it from other errors. */
  override readonly name = 'PacketdrillSyntaxError';
  /** Of the script, from 1. */
  readonly line: number;

  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`);
    this.line = line;
  }
}
