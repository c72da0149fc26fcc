/**
 * Addresses met lately, so that the same peer's datagrams do not make the same object again. Each
 * address has one place, which a newcomer takes over: nothing to bound, nothing to flood.
 */
import { IpAddress, type IpFamily } from '../wire/ip-address.js';

const PLACES = 256;

export class IpAddressCache {
  readonly #places: (IpAddress | undefined)[] = new Array<IpAddress | undefined>(PLACES).fill(undefined);

  /** The address whose four words begin at `words[i]`. */
  at(words: Int32Array, i: number, family: IpFamily): IpAddress {
    const w0 = words[i];
    const w1 = words[i + 1];
    const w2 = words[i + 2];
    const w3 = words[i + 3];
    const mixed = Math.imul(w3 ^ Math.imul(w1 ^ w2 ^ w0, 0x85eb_ca6b), 0x9e37_79b1);
    const place = mixed >>> 24;
    const known = this.#places[place];
    if (known !== undefined && known.w3 === w3 && known.w2 === w2 && known.w1 === w1 && known.w0 === w0) {
      if (known.family === family) return known;
    }
    const address = family === 4 ? IpAddress.v4(w3) : IpAddress.v6(w0, w1, w2, w3);
    this.#places[place] = address;
    return address;
  }
}
