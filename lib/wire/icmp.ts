/**
 * ICMP messages of both families (RFC 792, RFC 4443): numbers, and one flyweight to read a message.
 */
export const Icmp4Type = {
  EchoReply: 0,
  Unreachable: 3,
  SourceQuench: 4,
  Redirect: 5,
  Echo: 8,
  TimeExceeded: 11,
  ParameterProblem: 12,
  Timestamp: 13,
} as const;

/** Codes of `Icmp4Type.Unreachable`. */
export const Icmp4Unreachable = {
  Net: 0,
  Host: 1,
  Protocol: 2,
  Port: 3,
  FragmentationNeeded: 4,
  SourceRoute: 5,
  Prohibited: 13,
} as const;

export const Icmp6Type = {
  Unreachable: 1,
  PacketTooBig: 2,
  TimeExceeded: 3,
  ParameterProblem: 4,
  Echo: 128,
  EchoReply: 129,
  RouterSolicitation: 133,
  RouterAdvertisement: 134,
  NeighborSolicitation: 135,
  NeighborAdvertisement: 136,
  Redirect: 137,
} as const;

/** Codes of `Icmp6Type.Unreachable` (RFC 4443 §3.1). */
export const Icmp6Unreachable = {
  NoRoute: 0,
  Prohibited: 1,
  BeyondScope: 2,
  Address: 3,
  Port: 4,
  SourcePolicy: 5,
  RejectRoute: 6,
} as const;

/** Codes of `Icmp6Type.ParameterProblem` (RFC 4443 §3.4, RFC 7112 §5). */
export const Icmp6Parameter = { Header: 0, NextHeader: 1, Option: 2, FirstFragment: 3 } as const;

/** Bytes before the data of every message. */
export const ICMP_HEADER_BYTES = 8;

const NO_VIEW = new DataView(new ArrayBuffer(0));

export class IcmpMessage {
  #view: DataView = NO_VIEW;
  #at = 0;
  #length = 0;

  /** Aims at the message of `length` bytes; false when it is shorter than any. */
  parse(view: DataView, at: number, length: number): boolean {
    if (length < ICMP_HEADER_BYTES) return false;
    this.#view = view;
    this.#at = at;
    this.#length = length;
    return true;
  }

  get type(): number {
    return this.#view.getUint8(this.#at);
  }

  get code(): number {
    return this.#view.getUint8(this.#at + 1);
  }

  /** Of echo messages. */
  get identifier(): number {
    return this.#view.getUint16(this.#at + 4);
  }

  get sequence(): number {
    return this.#view.getUint16(this.#at + 6);
  }

  /** The word behind the checksum: what it means depends on the type. */
  get word(): number {
    return this.#view.getInt32(this.#at + 4);
  }

  /** First byte behind the eight of the header. */
  get dataAt(): number {
    return this.#at + ICMP_HEADER_BYTES;
  }

  get dataBytes(): number {
    return this.#length - ICMP_HEADER_BYTES;
  }
}
