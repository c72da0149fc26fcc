/** What arrives on an Ethernet link: whose frame it is, and which of its packets the stack sees. */
import { BATCH_HEADER_WORDS, type PacketBatch, SLOT_WORDS, SlotWord } from '../link/packet-batch.js';
import { moveSlot, setChecksumState, truncate } from '../link/slots.js';
import { IpAddress } from '../wire/ip-address.js';
import { ChecksumState } from '../wire/ip-packet.js';
import type { Arp } from './arp.js';
import { EthernetFrame, EtherType } from './frame.js';
import { NdMessage } from './nd-message.js';
import type { NeighborDiscovery } from './neighbor-discovery.js';
import type { EthernetWire } from './wire.js';

const MIN_IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP = 17;

/**
 * Takes an IPv4 packet with UDP for a port before the stack sees it; lent for the call.
 * @param isVerified the device vouches for the checksum of UDP, which may be unfinished
 * @returns false to leave it to the stack, which may have to forward it
 */
export type UdpHook = (packet: Uint8Array, isVerified: boolean) => boolean;

export class FrameInput {
  /** Who has packets for a UDP port before the stack. */
  readonly udpHooks = new Map<number, UdpHook>();
  readonly #wire: EthernetWire;
  readonly #vlan: number;
  /** Whether the device knows that packets lie behind headers, so that what it says of them is true. */
  readonly #areFramesKnown: boolean;
  readonly #arp: Arp;
  readonly #discovery: NeighborDiscovery;
  readonly #frame = new EthernetFrame();

  constructor(
    wire: EthernetWire,
    parts: { vlan: number; areFramesKnown: boolean; arp: Arp; discovery: NeighborDiscovery },
  ) {
    this.#wire = wire;
    this.#vlan = parts.vlan;
    this.#areFramesKnown = parts.areFramesKnown;
    this.#arp = parts.arp;
    this.#discovery = parts.discovery;
  }

  /** Leaves in a batch of frames only the packets the stack is to see. @returns how many */
  keepPackets(batch: PacketBatch): number {
    let kept = 0;
    const { count } = batch;
    for (let i = 0; i < count; i++) {
      if (!this.#input(batch, i)) continue;
      if (kept !== i) moveSlot(batch, i, kept);
      kept++;
    }
    truncate(batch, kept);
    return kept;
  }

  /** Looks at a frame. @returns whether the slot holds a packet for the stack now */
  #input(batch: PacketBatch, i: number): boolean {
    const frame = this.#frame;
    const { counters, mac } = this.#wire;
    counters.inFrames++;
    if (!frame.parse(batch.view, batch.offset(i), batch.length(i)) || this.#isImpossible(frame)) {
      counters.inHeaderErrors++;
      return false;
    }
    if (frame.vlan !== this.#vlan) {
      counters.inOtherVlan++;
      return false;
    }
    const isToUs = frame.destinationHigh === mac.high && frame.destinationLow === mac.low;
    if (!isToUs && !frame.isToMany) {
      counters.inOtherHost++;
      return false;
    }
    if (frame.etherType === EtherType.Arp) {
      this.#arp.input(frame.view, frame.payloadAt, frame.payloadBytes, isToUs);
      return false;
    }
    if (!this.#inputIp(frame, this.#areFramesKnown ? batch.checksum(i) : ChecksumState.Unknown)) return false;
    const at = BATCH_HEADER_WORDS + i * SLOT_WORDS;
    batch.words[at + SlotWord.OFFSET] = frame.payloadAt;
    batch.words[at + SlotWord.LENGTH] = frame.payloadBytes;
    // A device that takes frames for packets may have found something where there is nothing.
    if (!this.#areFramesKnown) setChecksumState(batch, i, ChecksumState.Unknown);
    return true;
  }

  /** Senders that are groups; and ourselves, as a bridge or a loop sends back what we sent. */
  #isImpossible({ sourceHigh, sourceLow }: EthernetFrame): boolean {
    return (
      (sourceHigh & 0x0100) !== 0 || (sourceHigh === this.#wire.mac.high && sourceLow === this.#wire.mac.low)
    );
  }

  /** @returns whether it is for the stack */
  #inputIp(frame: EthernetFrame, checksum: ChecksumState): boolean {
    const { view, payloadAt, payloadBytes, etherType } = frame;
    if (etherType === EtherType.Ipv4) {
      // A packet too short to judge is IP's to refuse.
      if (payloadBytes < MIN_IPV4_BYTES || view.getUint8(payloadAt) >> 4 !== 4)
        return this.#isVersion(frame, 4);
      if (this.udpHooks.size > 0 && this.#takenByHook(frame, checksum)) return false;
      const destination = view.getInt32(payloadAt + 16);
      const isToMany = destination >>> 28 === 0xe || destination === -1;
      return !frame.isToMany || isToMany || this.#isToAll(IpAddress.v4(destination));
    }
    if (etherType !== EtherType.Ipv6) {
      this.#wire.counters.inUnknownTypes++;
      return false;
    }
    if (payloadBytes < IPV6_BYTES) return this.#isVersion(frame, 6);
    if (NdMessage.isOne(view, payloadAt, payloadBytes)) {
      return this.#discovery.input(view, payloadAt, payloadBytes);
    }
    if (!frame.isToMany || view.getUint8(payloadAt + 24) === 0xff) return this.#isVersion(frame, 6);
    this.#wire.counters.inMisaddressed++;
    return false;
  }

  /** Type and version must agree. */
  #isVersion({ view, payloadAt, payloadBytes }: EthernetFrame, version: number): boolean {
    if (payloadBytes > 0 && view.getUint8(payloadAt) >> 4 === version) return true;
    this.#wire.counters.inHeaderErrors++;
    return false;
  }

  /** RFC 1122 §3.3.6: a frame for everybody must hold a packet for everybody. */
  #isToAll(destination: IpAddress): boolean {
    if (this.#wire.host?.isBroadcast(destination) === true) return true;
    this.#wire.counters.inMisaddressed++;
    return false;
  }

  #takenByHook({ view, payloadAt, payloadBytes }: EthernetFrame, checksum: ChecksumState): boolean {
    if (view.getUint8(payloadAt + 9) !== UDP || (view.getUint16(payloadAt + 6) & 0x3fff) !== 0) return false;
    const headerBytes = (view.getUint8(payloadAt) & 15) * 4;
    if (headerBytes < MIN_IPV4_BYTES || payloadBytes < headerBytes + 8) return false;
    const hook = this.udpHooks.get(view.getUint16(payloadAt + headerBytes + 2));
    const isVerified = checksum === ChecksumState.Valid || checksum === ChecksumState.Partial;
    return (
      hook?.(new Uint8Array(view.buffer, view.byteOffset + payloadAt, payloadBytes), isVerified) === true
    );
  }
}
