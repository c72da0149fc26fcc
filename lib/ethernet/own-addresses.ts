/** Addresses a host makes for itself in the prefixes that routers advertise (RFC 4862 §5.5), while these are valid. */
import { NEVER } from '../base/clock.js';
import { StackError } from '../base/errors.js';
import { type IpAddress, IpPrefix } from '../wire/ip-address.js';
import type { InterfaceIdentifiers } from './interface-identifier.js';
import { type AdvertisedPrefix, INFINITE_SECONDS } from './router-advertisement.js';
import type { EthernetWire } from './wire.js';

interface OwnAddress {
  readonly prefix: IpPrefix;
  address: IpAddress;
  /** How many others were tried before in this prefix. */
  attempt: number;
  validUntilUs: number;
  preferredUntilUs: number;
  isDeprecated: boolean;
}

/** Most that are kept. */
const MAX_ADDRESSES = 16;
/** RFC 4862 §5.5.3 (e): what nobody vouches for cannot make an address die sooner than in two hours. */
const TWO_HOURS_US = 7_200_000_000;
/** Addresses tried in one prefix (RFC 7217 §5 IDGEN_RETRIES). */
const MAX_ATTEMPTS = 3;
/** An identifier has 64 bits (RFC 4291 §2.5.4), so a prefix of another length cannot be used. */
const PREFIX_BITS = 64;

export class OwnAddresses {
  readonly #wire: EthernetWire;
  readonly #identifiers: InterfaceIdentifiers;
  #addresses: OwnAddress[] = [];

  constructor(wire: EthernetWire, identifiers: InterfaceIdentifiers) {
    this.#wire = wire;
    this.#identifiers = identifiers;
  }

  /** When `expire` has something to do, µs. */
  get nextDeadlineUs(): number {
    let earliest: number = NEVER;
    for (const { validUntilUs, preferredUntilUs, isDeprecated } of this.#addresses) {
      earliest = Math.min(earliest, validUntilUs, isDeprecated ? NEVER : preferredUntilUs);
    }
    return earliest;
  }

  /** A prefix was advertised (RFC 4862 §5.5.3 (d), (e)). */
  take(said: AdvertisedPrefix, router: IpAddress): void {
    if (said.prefix.length !== PREFIX_BITS) return;
    const nowUs = this.#wire.clock.nowUs();
    const untilUs = (seconds: number): number =>
      seconds === INFINITE_SECONDS ? NEVER : nowUs + seconds * 1e6;
    const validUntilUs = untilUs(said.validSeconds);
    const preferredUntilUs = untilUs(said.preferredSeconds);
    const own = this.#addresses.find(({ prefix }) => prefix.address.equals(said.prefix.address));
    if (own !== undefined) {
      own.preferredUntilUs = preferredUntilUs;
      if (validUntilUs - nowUs > TWO_HOURS_US || validUntilUs > own.validUntilUs)
        own.validUntilUs = validUntilUs;
      else if (own.validUntilUs - nowUs > TWO_HOURS_US) own.validUntilUs = nowUs + TWO_HOURS_US;
      this.#deprecate(own, nowUs);
      return;
    }
    if (said.validSeconds === 0 || this.#addresses.length === MAX_ADDRESSES) return;
    const first = this.#next(said.prefix.address, 0);
    if (first === undefined) return;
    const times = { validUntilUs, preferredUntilUs, isDeprecated: said.preferredSeconds === 0 };
    this.#add({ prefix: said.prefix, ...first, ...times }, router);
  }

  /** Somebody else has one of them: another is tried, where there is one. */
  conflicted(address: IpAddress): void {
    const own = this.#addresses.find((entry) => entry.address.equals(address));
    if (own === undefined) return;
    this.#addresses = this.#addresses.filter((entry) => entry !== own);
    const next = this.#next(own.prefix.address, own.attempt + 1);
    if (next !== undefined) this.#add({ ...own, ...next });
  }

  /** Does what is due (RFC 4862 §5.5.4). */
  expire(nowUs: number): void {
    for (const own of this.#addresses) {
      if (own.validUntilUs <= nowUs) this.#wire.host?.removeAddress(own.address);
      else this.#deprecate(own, nowUs);
    }
    this.#addresses = this.#addresses.filter(({ validUntilUs }) => validUntilUs > nowUs);
  }

  #next(prefix: IpAddress, from: number): { address: IpAddress; attempt: number } | undefined {
    for (let attempt = from; attempt < MAX_ATTEMPTS; attempt++) {
      const address = this.#identifiers.addressIn(prefix, attempt);
      if (address !== undefined) return { address, attempt };
    }
    return undefined;
  }

  #add(own: OwnAddress, router?: IpAddress): void {
    try {
      this.#wire.host?.addAddress(new IpPrefix(own.address, PREFIX_BITS), {
        deprecated: own.isDeprecated,
        noPrefixRoute: true,
        ...(router === undefined ? {} : { advertisedBy: router }),
      });
    } catch (error) {
      // Its owner has given it by hand, or the stack has no room for more addresses.
      if (!(error instanceof StackError)) throw error;
      if (error.code !== 'EEXIST') this.#wire.host?.removeAddress(own.address);
      return;
    }
    this.#addresses.push(own);
  }

  #deprecate(own: OwnAddress, nowUs: number): void {
    const isDeprecated = own.preferredUntilUs <= nowUs;
    if (isDeprecated === own.isDeprecated) return;
    own.isDeprecated = isDeprecated;
    this.#wire.host?.deprecate(own.address, isDeprecated);
  }
}
