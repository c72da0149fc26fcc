/** Which addresses lie behind which peer of a link. */
import { ArgumentRangeError, ArgumentTypeError } from '../base/errors.js';
import { IpPrefix } from '../wire/ip-address.js';

/** Networks of all peers of one link: each packet is compared with them. */
const MAX_NETWORKS = 1024;

/** Where the destination stands in a packet of each version, and its source. */
const DESTINATION = { 4: 16, 6: 24 } as const;
const SOURCE = { 4: 12, 6: 8 } as const;
/** Bytes of the smallest header of each version. */
const HEADER_BYTES = { 4: 20, 6: 40 } as const;

interface Network {
  readonly prefix: IpPrefix;
  readonly peer: number;
}

/** The longest network that contains an address says whose it is, as routes do. */
export class PeerTable {
  readonly #networks: readonly Network[];
  /** Words of the address looked for. */
  readonly #words = new Int32Array(4);

  /** @param networks by peer; @throws ArgumentTypeError, ArgumentValueError, ArgumentRangeError for what are none */
  constructor(networks: readonly (readonly string[])[]) {
    const all: Network[] = [];
    for (const [peer, texts] of networks.entries()) {
      if (!Array.isArray(texts)) throw new ArgumentTypeError('networks of a peer must be an array');
      for (const text of texts as readonly string[]) all.push({ prefix: IpPrefix.parse(text), peer });
    }
    if (all.length > MAX_NETWORKS) {
      throw new ArgumentRangeError(
        `the peers of a link may have ${MAX_NETWORKS} networks, not ${all.length}`,
      );
    }
    this.#networks = all.sort((a, b) => b.prefix.length - a.prefix.length);
  }

  /** The peer a packet is for; -1 where there is none. */
  destinationOf(packet: Uint8Array): number {
    return this.#find(packet, DESTINATION);
  }

  /** The peer a packet may come from; -1 where there is none. */
  sourceOf(packet: Uint8Array): number {
    return this.#find(packet, SOURCE);
  }

  #find(packet: Uint8Array, place: typeof DESTINATION | typeof SOURCE): number {
    const version = packet.length === 0 ? 0 : packet[0] >> 4;
    if ((version !== 4 && version !== 6) || packet.length < HEADER_BYTES[version]) return -1;
    const words = this.#words;
    const count = version === 4 ? 1 : 4;
    for (let i = 0; i < count; i++) words[i] = wordAt(packet, place[version] + 4 * i);
    for (const { prefix, peer } of this.#networks) {
      if (prefix.family === version && isWithin(words, prefix)) return peer;
    }
    return -1;
  }
}

function isWithin(words: Int32Array, prefix: IpPrefix): boolean {
  const { address, length, family } = prefix;
  const count = family === 4 ? 1 : 4;
  // An IPv4 address is the last word of four.
  const first = 4 - count;
  for (let i = 0; i < count; i++) {
    if (((words[i] ^ address.word(first + i)) & maskOf(length - 32 * i)) !== 0) return false;
  }
  return true;
}

/** A word whose upper `bits` bits are ones; `bits` may lie outside 0 .. 32. */
const maskOf = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits));

const wordAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
