/** The outside addresses, each with its pools of ports. */
import type { Random } from '../base/random.js';
import type { IpAddress, IpFamily } from '../wire/ip-address.js';
import { Protocol } from '../wire/ipv6.js';
import { PortPool } from './port-pool.js';

/** An address that the outside link has. */
export interface LinkAddress {
  readonly address: IpAddress;
  /** Still valid, but not for what is new while there is another (RFC 4862 §5.5.4). */
  readonly isDeprecated: boolean;
}

/** One outside address. */
export class OutsideAddress {
  readonly address: IpAddress;
  /** Whether new mappings get it; those that have it keep it in any case. */
  isOffered = true;
  readonly #random: Random;
  readonly #range: readonly [number, number];
  readonly #pools = new Map<number, PortPool>();

  constructor(address: IpAddress, random: Random, range: readonly [number, number]) {
    this.address = address;
    this.#random = random;
    this.#range = range;
  }

  /** Ports of TCP or UDP, or identifiers of ICMP queries. */
  pool(protocol: number): PortPool {
    let pool = this.#pools.get(protocol);
    if (pool === undefined) {
      const hasPorts = protocol === Protocol.Tcp || protocol === Protocol.Udp;
      pool = new PortPool(this.#random, hasPorts ? this.#range : [0, 65_535], hasPorts);
      this.#pools.set(protocol, pool);
    }
    return pool;
  }
}

export class OutsideAddresses {
  readonly #random: Random;
  readonly #range: readonly [number, number];
  #list: readonly OutsideAddress[] = [];

  constructor(random: Random, range: readonly [number, number]) {
    this.#random = random;
    this.#range = range;
  }

  /** Those in use now. */
  get list(): readonly OutsideAddress[] {
    return this.#list;
  }

  /** The one with these words; undefined for none. */
  find(w0: number, w1: number, w2: number, w3: number): OutsideAddress | undefined {
    const list = this.#list;
    for (let i = 0; i < list.length; i++) {
      const { address } = list[i];
      if (address.w3 === w3 && address.w2 === w2 && address.w1 === w1 && address.w0 === w0) return list[i];
    }
    return undefined;
  }

  /** Those of a family that new mappings get. */
  ofFamily(family: IpFamily): OutsideAddress[] {
    return this.#list.filter(({ address, isOffered }) => isOffered && address.family === family);
  }

  /** Has these addresses from now on, and gives them all to new mappings. @returns those that are gone */
  set(addresses: readonly IpAddress[]): OutsideAddress[] {
    return this.#change(addresses, []);
  }

  /**
   * Has the addresses of a link: new mappings get one of each version of IP, always the same while it is not
   * deprecated, and those that were given before stay while the link has them.
   * @returns those that are gone
   */
  follow(present: readonly LinkAddress[]): OutsideAddress[] {
    const offered = ([4, 6] as const).flatMap((family) => this.#bestOf(family, present) ?? []);
    return this.#change(
      offered,
      present.map(({ address }) => address),
    );
  }

  #bestOf(family: IpFamily, present: readonly LinkAddress[]): IpAddress | undefined {
    const own = present.filter(({ address }) => address.family === family);
    const isGiven = ({ address }: LinkAddress): boolean =>
      this.#list.some((outside) => outside.isOffered && outside.address.equals(address));
    const preferred = own.filter(({ isDeprecated }) => !isDeprecated);
    return (preferred.find(isGiven) ?? preferred[0] ?? own.find(isGiven) ?? own[0])?.address;
  }

  /** @param kept those that stay where they are known already */
  #change(offered: readonly IpAddress[], kept: readonly IpAddress[]): OutsideAddress[] {
    const old = this.#list;
    const list: OutsideAddress[] = [];
    for (const address of offered) {
      if (list.some((outside) => outside.address.equals(address))) continue;
      const known = old.find((outside) => outside.address.equals(address));
      list.push(known ?? new OutsideAddress(address, this.#random, this.#range));
    }
    const others = old.filter((outside) => !list.includes(outside));
    for (const outside of list) outside.isOffered = true;
    for (const outside of others) outside.isOffered = false;
    const isKept = ({ address }: OutsideAddress): boolean => kept.some((other) => other.equals(address));
    this.#list = [...list, ...others.filter(isKept)];
    return others.filter((outside) => !isKept(outside));
  }
}
