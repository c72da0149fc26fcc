/** Whose business an ICMP message is: the ends of the packet an error quotes, read without trust. */
import { ICMP_HEADER_BYTES } from '../wire/icmp.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const PORT_BYTES = 4;
const MAPPED = 0xffff;

/** Aimed at an ICMP error. */
export class QuotedEnds {
  /** Local address, remote address, both ports, as the words of a tuple: the quoted source is ours. */
  readonly words = new Int32Array(9);
  protocol = 0;

  get localPort(): number {
    return this.words[8] >>> 16;
  }

  get remotePort(): number {
    return this.words[8] & 0xffff;
  }

  /** Reads what an error quotes. @returns false where no ports can be found in it */
  read(packet: IpPacket): boolean {
    const { view } = packet;
    const at = packet.payloadAt + ICMP_HEADER_BYTES;
    const bytes = packet.payloadBytes - ICMP_HEADER_BYTES;
    const headerBytes = packet.version === 4 ? this.#read4(view, at, bytes) : this.#read6(view, at, bytes);
    if (headerBytes === 0 || bytes < headerBytes + PORT_BYTES) return false;
    this.words[8] = view.getInt32(at + headerBytes);
    return this.protocol === Protocol.Tcp || this.protocol === Protocol.Udp;
  }

  #read4(view: DataView, at: number, bytes: number): number {
    if (bytes < IPV4_HEADER_BYTES) return 0;
    const { words } = this;
    words.fill(0);
    words[2] = MAPPED;
    words[6] = MAPPED;
    words[3] = view.getInt32(at + 12);
    words[7] = view.getInt32(at + 16);
    this.protocol = view.getUint8(at + 9);
    return (view.getUint8(at) & 15) * 4;
  }

  #read6(view: DataView, at: number, bytes: number): number {
    if (bytes < IPV6_HEADER_BYTES) return 0;
    for (let i = 0; i < 8; i++) this.words[i] = view.getInt32(at + 8 + 4 * i);
    this.protocol = view.getUint8(at + 6);
    return IPV6_HEADER_BYTES;
  }
}
