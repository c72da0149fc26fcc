/** Packets that are answered after the turn they came in: a copy of their beginning, and what is known of them. */
import { copyBytes } from '../base/copy.js';
import { IpPacket } from './ip-packet.js';

/** Size of a piece of a shelf, bytes: little enough that one packet that stays long does not keep much from being freed. */
const PIECE_BYTES = 8192;

/**
 * Memory for packets of which most are soon done with: one piece for many that come one after the other, since to
 * allocate memory outside the heap for each costs more than the packet.
 */
export class PacketShelf {
  #view = new DataView(new ArrayBuffer(0));
  #bytes = new Uint8Array(0);
  #at = 0;

  /** As `keepPacket`, for at most `PIECE_BYTES`. */
  keep(packet: IpPacket, mostBytes: number): IpPacket {
    const length = Math.min(packet.length, mostBytes);
    if (this.#at + length > this.#bytes.length) {
      this.#bytes = new Uint8Array(PIECE_BYTES);
      this.#view = new DataView(this.#bytes.buffer);
      this.#at = 0;
    }
    copyBytes(packet.view, packet.at, this.#view, this.#at, length);
    const kept = new IpPacket();
    kept.aim(this.#bytes, this.#view, this.#at, length);
    this.#at += length;
    describe(kept, packet);
    return kept;
  }
}

/** The packet, of which at most `mostBytes` are copied, in memory of its own. Its payload may be cut short. */
export function keepPacket(packet: IpPacket, mostBytes: number): IpPacket {
  const length = Math.min(packet.length, mostBytes);
  const bytes = packet.bytes.slice(packet.at, packet.at + length);
  const kept = new IpPacket();
  kept.aim(bytes, new DataView(bytes.buffer), 0, length);
  describe(kept, packet);
  return kept;
}

/** Says of `kept`, which lies where it is to, what is known of `packet`. */
function describe(kept: IpPacket, packet: IpPacket): void {
  kept.link = packet.link;
  kept.checksum = packet.checksum;
  kept.mark = packet.mark;
  kept.nowUs = packet.nowUs;
  kept.version = packet.version;
  kept.s0 = packet.s0;
  kept.s1 = packet.s1;
  kept.s2 = packet.s2;
  kept.s3 = packet.s3;
  kept.d0 = packet.d0;
  kept.d1 = packet.d1;
  kept.d2 = packet.d2;
  kept.d3 = packet.d3;
  kept.cast = packet.cast;
  kept.isForeign = packet.isForeign;
  kept.trafficClass = packet.trafficClass;
  kept.hopLimit = packet.hopLimit;
  kept.protocol = packet.protocol;
  const header = packet.payloadAt - packet.at;
  kept.payloadAt = kept.at + header;
  kept.payloadBytes = Math.min(packet.payloadBytes, kept.length - header);
}
