/**
 * Who has which address, and until when. One entry for each address that was ever lent, so the pool is the bound; a
 * client gets the address it had before while that is free.
 */
import type { MacAddress } from '../ethernet/mac-address.js';
import { IpAddress } from '../wire/ip-address.js';
import type { ServedLease, ServerSettings } from './server-options.js';

/** An address that was lent, offered, or must not be lent. */
export interface Lease {
  readonly address: IpAddress;
  /** Who has it; '' for an address that must not be lent for a while. */
  client: string;
  mac: MacAddress | undefined;
  hostname: string | undefined;
  /** Whether the client has taken it; else it was only offered. */
  isBound: boolean;
  /** Until when, µs. */
  untilUs: number;
}

/** Addresses looked at for one client, beyond which the pool counts as exhausted for now. */
const MAX_LOOKS = 4096;

export class LeaseTable {
  readonly #settings: ServerSettings;
  readonly #isOurs: (address: IpAddress) => boolean;
  readonly #byAddress = new Map<number, Lease>();
  /** Whose a kept address is. */
  readonly #kept = new Map<number, string>();
  readonly #byClient = new Map<string, Lease>();
  /** The address of the pool that is looked at next. */
  #next: number;

  /** @param isOurs whether the stack itself has an address */
  constructor(settings: ServerSettings, isOurs: (address: IpAddress) => boolean) {
    this.#settings = settings;
    this.#isOurs = isOurs;
    for (const [client, { w3 }] of settings.statics) this.#kept.set(w3, client);
    this.#next = settings.first;
  }

  ofClient(client: string): Lease | undefined {
    return this.#byClient.get(client);
  }

  at(address: IpAddress): Lease | undefined {
    return this.#byAddress.get(address.w3);
  }

  /** Whether an address could be lent to a client: it is in the pool or kept for it, and nobody else has it. */
  isFreeFor(address: IpAddress, client: string, nowUs: number): boolean {
    const { first, last, prefix } = this.#settings;
    if (address.family !== 4) return false;
    const word = address.w3 >>> 0;
    const kept = this.#kept.get(address.w3);
    if (kept !== undefined ? kept !== client : word < first || word > last) return false;
    if (address.equals(prefix.address) || this.#isOurs(address)) return false;
    const lease = this.at(address);
    return lease === undefined || lease.client === client || lease.untilUs <= nowUs;
  }

  /** An address for a client: the one kept for it, the one it had, the one it wishes, else the next that is free. */
  choose(client: string, wish: IpAddress | undefined, nowUs: number): IpAddress | undefined {
    const kept = this.#settings.statics.get(client);
    if (kept !== undefined) return this.isFreeFor(kept, client, nowUs) ? kept : undefined;
    const had = this.ofClient(client)?.address;
    for (const address of [had, wish]) {
      if (address !== undefined && this.isFreeFor(address, client, nowUs)) return address;
    }
    const { first, last } = this.#settings;
    const looks = Math.min(MAX_LOOKS, last - first + 1);
    for (let i = 0; i < looks; i++) {
      const address = IpAddress.v4(this.#next);
      this.#next = this.#next === last ? first : this.#next + 1;
      if (this.isFreeFor(address, client, nowUs)) return address;
    }
    return undefined;
  }

  /** Notes that a client has, or was offered, an address, in place of what it had before. */
  set(lease: Lease): void {
    const before = this.#byClient.get(lease.client);
    if (before !== undefined && !before.address.equals(lease.address)) this.remove(before);
    const there = this.at(lease.address);
    if (there !== undefined) this.remove(there);
    this.#byAddress.set(lease.address.w3, lease);
    if (lease.client !== '') this.#byClient.set(lease.client, lease);
  }

  remove(lease: Lease): void {
    if (this.#byAddress.get(lease.address.w3) === lease) this.#byAddress.delete(lease.address.w3);
    if (this.#byClient.get(lease.client) === lease) this.#byClient.delete(lease.client);
  }

  /** Those in force. */
  list(nowUs: number): ServedLease[] {
    return [...this.#byAddress.values()]
      .filter((lease) => lease.isBound && lease.untilUs > nowUs)
      .map((lease) => describeLease(lease, nowUs));
  }
}

export const describeLease = (lease: Lease, nowUs: number): ServedLease => ({
  address: lease.address.toString(),
  client: lease.client,
  mac: lease.mac?.toString() ?? '',
  ...(lease.hostname === undefined ? {} : { hostname: lease.hostname }),
  secondsLeft:
    lease.untilUs === Infinity ? 0xffff_ffff : Math.max(0, Math.round((lease.untilUs - nowUs) / 1e6)),
});
