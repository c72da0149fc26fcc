/** The outside addresses, each with its pools of ports. */
import type { Random } from '../base/random.js';
import type { IpAddress, IpFamily } from '../wire/ip-address.js';
import { Protocol } from '../wire/ipv6.js';
import { PortPool } from './port-pool.js';

/** One outside address. */
export class OutsideAddress {
  readonly address: IpAddress;
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

  /** Those of a family. */
  ofFamily(family: IpFamily): OutsideAddress[] {
    return this.#list.filter(({ address }) => address.family === family);
  }

  /** Uses these addresses from now on. @returns those that are gone */
  set(addresses: readonly IpAddress[]): OutsideAddress[] {
    const old = this.#list;
    const known = (address: IpAddress): OutsideAddress | undefined =>
      old.find((outside) => outside.address.equals(address));
    const distinct = addresses.filter(
      (address, i) => addresses.findIndex((other) => other.equals(address)) === i,
    );
    this.#list = distinct.map(
      (address) => known(address) ?? new OutsideAddress(address, this.#random, this.#range),
    );
    return old.filter((outside) => !this.#list.includes(outside));
  }
}
