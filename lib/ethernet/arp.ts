/** ARP (RFC 826): finds the Ethernet address of an IPv4 neighbour, and answers who asks for ours. */
import { IpAddress, IpPrefix } from '../wire/ip-address.js';
import type { AddressDetection } from './address-detection.js';
import { ArpOperation, ArpPacket, NO_MAC, writeArp } from './arp-packet.js';
import { EtherType } from './frame.js';
import { BROADCAST_MAC } from './mac-address.js';
import type { Neighbor } from './neighbor-table.js';
import type { Neighbors } from './neighbors.js';
import { type EthernetWire, isProxied } from './wire.js';

export class Arp {
  readonly #wire: EthernetWire;
  readonly #neighbors: Neighbors;
  readonly #detection: AddressDetection;
  readonly #packet = new ArpPacket();

  constructor(wire: EthernetWire, neighbors: Neighbors, detection: AddressDetection) {
    this.#wire = wire;
    this.#neighbors = neighbors;
    this.#detection = detection;
  }

  /** A message that came in, to us alone or to everybody. */
  input(view: DataView, at: number, length: number, isToUs: boolean): void {
    const { counters, mac } = this.#wire;
    const packet = this.#packet;
    counters.arpIn++;
    if (!packet.parse(view, at, length)) {
      counters.arpErrors++;
      return;
    }
    const { senderMac, isRequest } = packet;
    const sender = IpAddress.v4(packet.senderIp);
    const target = IpAddress.v4(packet.targetIp);
    if (senderMac.isGroup || senderMac.isZero || !isHostOrNone(sender)) {
      counters.arpErrors++;
      return;
    }
    // What we sent ourselves comes back from some bridges.
    if (senderMac.equals(mac)) return;
    this.#detection.arpHeard(sender.w3, senderMac, target);
    const host = this.#wire.host;
    // Who claims our address is answered by its defence, and never believed.
    if (host === undefined || host.owns(sender)) return;
    const isForUs = host.owns(target) || (isRequest && isProxied(this.#wire, target, sender));
    if (isForUs && !sender.isUnspecified && host.isBroadcast(sender)) {
      // Who is known as everybody would get what is for everybody.
      counters.arpErrors++;
      return;
    }
    if (!sender.isUnspecified) {
      const isSolicited = !isRequest && isToUs;
      // As Linux has it: of replies, only those that name the same Ethernet address twice.
      const isAnnouncement = sender.equals(target) && (isRequest || packet.targetMac.equals(senderMac));
      const claim = { mac: senderMac, isSolicited, isOverride: true, isAnnouncement };
      if (isRequest && isForUs && this.#isOnLink(sender)) this.#neighbors.heard(sender, senderMac);
      else this.#neighbors.claimed(sender, claim);
    }
    if (!isRequest || !isForUs) return;
    counters.arpOut++;
    const reply = { operation: ArpOperation.Reply, senderMac: mac, senderIp: target.w3 };
    this.#wire.sendFrame(
      senderMac,
      EtherType.Arp,
      writeArp({ ...reply, targetMac: senderMac, targetIp: sender.w3 }),
    );
  }

  /** Asks for a neighbour: everybody, or itself (RFC 1122 §2.3.2.1 (2)). */
  solicit(neighbor: Neighbor, isUnicast: boolean): void {
    const { mac, counters } = this.#wire;
    const senderIp = this.#sourceFor(neighbor);
    if (senderIp === undefined) return;
    counters.arpOut++;
    const fields = { operation: ArpOperation.Request, senderMac: mac, senderIp };
    const message = writeArp({ ...fields, targetMac: NO_MAC, targetIp: neighbor.address.w3 });
    this.#wire.sendFrame(isUnicast ? neighbor.mac : BROADCAST_MAC, EtherType.Arp, message);
  }

  /** The source of what waits, where it is ours on this link; else what packets to the neighbour have (Linux `arp_announce` 0). */
  #sourceFor({ address, queue }: Neighbor): number | undefined {
    const host = this.#wire.host;
    if (host === undefined) return undefined;
    const [first] = queue;
    if (first !== undefined && first[0] >> 4 === 4) {
      const source = IpAddress.read(new DataView(first.buffer, first.byteOffset), 12, 4);
      if (host.owns(source)) return source.w3;
    }
    return host.sourceTo(address)?.w3;
  }

  #isOnLink(address: IpAddress): boolean {
    const own = this.#wire.host?.addresses() ?? [];
    return own.some((entry) => new IpPrefix(entry.address, entry.length).contains(address));
  }
}

/** Whether an address may be a host's, or is the 0 of one that only asks. */
const isHostOrNone = (address: IpAddress): boolean =>
  address.isUnspecified || !(address.isLoopback || address.w3 >>> 28 >= 0xe || address.w3 >>> 24 === 0);
