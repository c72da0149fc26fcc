/** What passed one direction of the wire, packet by packet, for the checks of a sweep. */
import { NEVER } from '../../lib/base/clock.js';

export interface LoggedPacket {
  /** Its number in this direction; the first is 1. */
  readonly number: number;
  /** When it entered, and when it arrived, µs; `NEVER` where it was lost or damaged. */
  readonly sentUs: number;
  readonly arrivedUs: number;
  /** First sequence number, and how many follow: text, SYN and FIN. */
  readonly sequence: number;
  readonly length: number;
}

const FIN = 0x01;
const SYN = 0x02;
const PROTOCOL_TCP = 6;

export class PacketLog {
  readonly packets: LoggedPacket[] = [];

  /** @param damaged numbers of packets that arrive damaged, which is as good as lost */
  observer(nowUs: () => number, damaged: ReadonlySet<number>) {
    return (packet: Uint8Array, number: number, arrivalUs: number): void => {
      const isIpv4 = packet[0] >> 4 === 4;
      if (packet[isIpv4 ? 9 : 6] !== PROTOCOL_TCP) return;
      const at = isIpv4 ? (packet[0] & 15) * 4 : 40;
      const flags = packet[at + 13];
      const text = packet.length - at - (packet[at + 12] >> 4) * 4;
      this.packets.push({
        number,
        sentUs: nowUs(),
        arrivedUs: damaged.has(number) ? NEVER : arrivalUs,
        sequence: (packet[at + 4] << 24) | (packet[at + 5] << 16) | (packet[at + 6] << 8) | packet[at + 7],
        length: text + ((flags & SYN) >> 1) + (flags & FIN),
      });
    };
  }

  /** Packets that carry anything that was in one before, each with the first that carried its first byte. */
  *repetitions(): Generator<{ readonly first: LoggedPacket; readonly again: LoggedPacket }> {
    const sent: LoggedPacket[] = [];
    for (const packet of this.packets) {
      if (packet.length === 0) continue;
      const first = sent.find((before) => covers(before, packet.sequence));
      if (first === undefined) sent.push(packet);
      else yield { first, again: packet };
    }
  }
}

const covers = ({ sequence, length }: LoggedPacket, at: number): boolean =>
  ((at - sequence) | 0) >= 0 && ((at - sequence - length) | 0) < 0;
