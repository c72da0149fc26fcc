/** Who is hidden: which packets are translated by their addresses and version of IP alone. */
import { PrefixMask } from '../ip/prefix-mask.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { ResolvedNatOptions } from './options.js';

export class Realm {
  readonly #four: boolean;
  readonly #six: boolean;
  readonly #inside: readonly PrefixMask[];

  constructor(options: ResolvedNatOptions) {
    this.#four = options.families.includes(4);
    this.#six = options.families.includes(6);
    this.#inside = options.inside.map((prefix) => new PrefixMask(prefix));
  }

  /** Whether packets of this version of IP never leave with the source they have. */
  hides(packet: IpPacket): boolean {
    return packet.version === 4 ? this.#four : this.#six;
  }

  /** Whether a packet's source is one that may be translated. */
  hasSource({ s0, s1, s2, s3 }: IpPacket): boolean {
    return this.#has(s0, s1, s2, s3);
  }

  /** Whether its destination is one that is hidden. */
  hasDestination({ d0, d1, d2, d3 }: IpPacket): boolean {
    return this.#has(d0, d1, d2, d3);
  }

  #has(w0: number, w1: number, w2: number, w3: number): boolean {
    const inside = this.#inside;
    if (inside.length === 0) return true;
    for (let i = 0; i < inside.length; i++) if (inside[i].covers(w0, w1, w2, w3)) return true;
    return false;
  }
}
