/**
 * Bringing a packet up: to raw listeners, to ICMP, to a transport, or back as an error.
 */
import { invariant, StackError } from '../base/errors.js';
import { DropReason, type StackStats } from '../base/stats.js';
import type { IpFamily } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
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
  readonly #transports = new Array<Transport | undefined>(256).fill(undefined);
  #icmp: IcmpInput | undefined;
  #raw: readonly RawEntry[] = [];
  /** Whether the packet being handled had a Fragment header. */
  fragmented = false;

  constructor(stats: StackStats, responder: IcmpResponder) {
    this.#stats = stats;
    this.#responder = responder;
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

  /** A packet for us, its headers accepted. @param nextHeaderAt where IPv6 named its protocol */
  deliver(packet: IpPacket, nextHeaderAt: number): void {
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
