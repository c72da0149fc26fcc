/**
 * Bringing a packet up: to raw listeners, to ICMP, to a transport, or back as an error.
 */
import { invariant, StackError } from '../base/errors.js';
import { DropReason, type StackStats } from '../base/stats.js';
import type { IpFamily } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import type { ForeignPackets } from './foreign-packets.js';
import type { IcmpInput } from './icmp-input.js';
import type { IcmpResponder } from './icmp-responder.js';
import { IcmpErrorKind, type Transport } from './interfaces.js';

/** Hears packets of one protocol before anything else does. The packet is lent for the call. */
export type RawListener = (packet: IpPacket) => void;

interface RawEntry {
  readonly protocol: number;
  readonly family: IpFamily | 0;
  readonly listener: RawListener;
}

/** Raw listeners at once. */
const MAX_RAW = 256;

export class Delivery {
  readonly #stats: StackStats;
  readonly #responder: IcmpResponder;
  readonly #foreign: ForeignPackets;
  readonly #transports = new Array<Transport | undefined>(256).fill(undefined);
  #icmp: IcmpInput | undefined;
  #raw: readonly RawEntry[] = [];
  /** Whether the packet being handled had a Fragment header. */
  fragmented = false;
  /**
   * Who is given packets for others that nobody here wants, whole; they are lent for the call.
   * @returns whether it has taken the packet, or dropped and counted it
   */
  onDeclined: ((packet: IpPacket) => boolean) | undefined;

  constructor(stats: StackStats, responder: IcmpResponder, foreign: ForeignPackets) {
    this.#stats = stats;
    this.#responder = responder;
    this.#foreign = foreign;
  }

  setIcmp(icmp: IcmpInput): void {
    this.#icmp = icmp;
  }

  /** Whoever handles a protocol of both families; ICMP is handled here. */
  setTransport(protocol: number, transport: Transport): void {
    invariant(protocol !== Protocol.Icmp && protocol !== Protocol.Icmpv6, 'IP handles ICMP itself');
    this.#transports[protocol] = transport;
  }

  transport(protocol: number): Transport | undefined {
    return this.#transports[protocol];
  }

  /**
   * Lets `listener` hear a protocol, of one family or (0) of both.
   * @returns what ends it. @throws StackError ENOBUFS for one too many
   */
  addRaw(protocol: number, family: IpFamily | 0, listener: RawListener): () => void {
    if (this.#raw.length >= MAX_RAW) throw new StackError('ENOBUFS', 'raw');
    const entry: RawEntry = { protocol, family, listener };
    this.#raw = [...this.#raw, entry];
    return () => {
      this.#raw = this.#raw.filter((other) => other !== entry);
    };
  }

  /** A packet that was let in, its headers accepted. @param nextHeaderAt where IPv6 named its protocol */
  deliver(packet: IpPacket, nextHeaderAt: number): void {
    if (packet.isForeign) {
      this.#deliverForeign(packet);
      return;
    }
    this.#stats.ip.inDelivers++;
    const heard = this.#raw.length > 0 && this.#hear(packet);
    const { protocol } = packet;
    const transport = this.#transports[protocol];
    if (transport !== undefined) {
      transport.input(packet);
    } else if (protocol === Protocol.Icmp && packet.version === 4) {
      this.#icmp?.input4(packet);
    } else if (protocol === Protocol.Icmpv6 && packet.version === 6) {
      this.#icmp?.input6(packet);
    } else if (!heard) {
      this.#stats.ip.inUnknownProtos++;
      this.#stats.drop(DropReason.IpUnknownProtocol);
      this.#responder.error(packet, IcmpErrorKind.ProtocolUnreachable, nextHeaderAt - packet.at);
    }
  }

  /** A packet for an address that is not ours: to who takes its protocol, or to ICMP if it may be about such. */
  #deliverForeign(packet: IpPacket): void {
    const { protocol, version } = packet;
    const icmp = this.#icmp;
    const isIcmp = protocol === (version === 4 ? Protocol.Icmp : Protocol.Icmpv6);
    const isWanted = this.#foreign.has(protocol) || (isIcmp && icmp?.concernsForeign(packet) === true);
    if (isWanted) {
      if (this.#raw.length > 0) this.#hear(packet);
      if (!isIcmp) this.#transports[protocol]?.input(packet);
      else if (version === 4) icmp?.input4(packet);
      else icmp?.input6(packet);
    }
    if (isWanted && !packet.isDeclined) {
      this.#stats.ip.inForeign++;
      this.#stats.ip.inDelivers++;
    } else if (this.onDeclined?.(packet) !== true) {
      this.#stats.ip.inAddrErrors++;
      this.#stats.drop(DropReason.IpNotForUs);
    }
  }

  #hear(packet: IpPacket): boolean {
    let heard = false;
    for (const entry of this.#raw) {
      if (entry.protocol !== packet.protocol || (entry.family !== 0 && entry.family !== packet.version))
        continue;
      entry.listener(packet);
      heard = true;
    }
    return heard;
  }
}
