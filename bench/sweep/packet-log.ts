/** What passed one direction of the wire, packet by packet, for the checks of a sweep. */
import { NEVER } from '../../lib/base/clock.js';
import { type Seq, seqInWindow } from '../../lib/base/seq.js';
import { PacketLayout, Protocol } from '../../lib/link/packet-layout.js';
import { TcpFlag, TcpHeader } from '../../lib/wire/tcp.js';

export interface LoggedPacket {
  /** Its number in this direction; the first is 1. */
  readonly number: number;
  /** When it entered, and when it arrived, µs; `NEVER` where it was lost or damaged. */
  readonly sentUs: number;
  readonly arrivedUs: number;
  /** First sequence number, and how many follow: text, SYN and FIN. */
  readonly sequence: Seq;
  readonly length: number;
}

export class PacketLog {
  readonly packets: LoggedPacket[] = [];
  readonly #layout = new PacketLayout();
  readonly #header = new TcpHeader();

  /** @param damaged numbers of packets that arrive damaged, which is as good as lost */
  observer(nowUs: () => number, damaged: ReadonlySet<number>) {
    const layout = this.#layout;
    const header = this.#header;
    return (packet: Uint8Array, number: number, arrivalUs: number): void => {
      const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
      if (!layout.parse(view, 0, packet.length) || layout.protocol !== Protocol.TCP) return;
      if (!header.parse(view, layout.transportAt, layout.transportBytes)) return;
      const { flags, sequence, payloadBytes } = header;
      this.packets.push({
        number,
        sentUs: nowUs(),
        arrivedUs: damaged.has(number) ? NEVER : arrivalUs,
        sequence,
        length: payloadBytes + ((flags & TcpFlag.SYN) >> 1) + (flags & TcpFlag.FIN),
      });
    };
  }

  /** Packets that carry anything that was in one before, each with the first that carried its first byte. */
  *repetitions(): Generator<{ readonly first: LoggedPacket; readonly again: LoggedPacket }> {
    const sent: LoggedPacket[] = [];
    for (const packet of this.packets) {
      if (packet.length === 0) continue;
      const first = sent.find(({ sequence, length }) => seqInWindow(packet.sequence, sequence, length));
      if (first === undefined) sent.push(packet);
      else yield { first, again: packet };
    }
  }
}
