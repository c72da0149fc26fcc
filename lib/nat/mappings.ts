/**
 * Which endpoint inside is which endpoint outside: one mapping for each, whoever it speaks to
 * (RFC 4787 §4.1 REQ-1, RFC 5382 §4.1 REQ-1, RFC 5508 §3.1 REQ-1). A mapping lives as long as it has sessions.
 */

import { EndpointIndex, KeyWord, putAddress } from '../base/endpoint-index.js';
import { RowNumbers } from '../base/hash-slots.js';
import { type Random, randomBelow } from '../base/random.js';
import type { IpFamily } from '../wire/ip-address.js';
import type { Forwards } from './forwards.js';
import type { OwnPorts } from './host.js';
import type { NatStats } from './nat-stats.js';
import type { ResolvedNatOptions } from './options.js';
import type { OutsideAddress, OutsideAddresses } from './outside.js';
import { Endpoint } from './rewrite.js';
import type { Session } from './sessions.js';

/** A host inside that has mappings. */
export class Source {
  readonly row: number;
  /** That of all its mappings; where it ceases to be given to new ones, they get another (RFC 4862 §5.5.4). */
  address: OutsideAddress | undefined = undefined;
  mappings = 0;
  sessions = 0;

  constructor(row: number) {
    this.row = row;
  }
}

export class Mapping {
  readonly row: number;
  readonly protocol: number;
  readonly inside = new Endpoint();
  readonly outside = new Endpoint();
  readonly address: OutsideAddress;
  readonly source: Source;
  /** Whether `findInside` finds it: a port forward may make a second one for an endpoint inside. */
  isFirst = true;
  sessions = 0;
  /** The chain of its sessions. */
  firstSession: Session | undefined = undefined;

  constructor(row: number, protocol: number, source: Source, address: OutsideAddress) {
    this.row = row;
    this.protocol = protocol;
    this.source = source;
    this.address = address;
  }
}

/** Of an endpoint inside that is to be mapped. */
export interface MappingWish {
  readonly inside: Endpoint;
  /** To whom it speaks first: nobody of this stack may speak to them from the same port. */
  readonly far: Endpoint;
  /** Where it must be seen, as a port forward says; undefined for any free port. */
  readonly outside: Endpoint | undefined;
  /** Another mapping was ended for this one: it need not look for room. */
  readonly hasPlace?: boolean;
}

/** Where an endpoint inside is seen. */
interface Place {
  readonly address: OutsideAddress;
  readonly port: number;
}

interface MappingParts {
  readonly random: Random;
  readonly options: ResolvedNatOptions;
  readonly stats: NatStats;
  readonly addresses: OutsideAddresses;
  readonly forwards: Forwards;
  readonly own: OwnPorts;
}

export class MappingTable {
  readonly #parts: MappingParts;
  readonly #inside: EndpointIndex;
  readonly #outside: EndpointIndex;
  readonly #sourceIndex: EndpointIndex;
  readonly #numbers = new RowNumbers();
  readonly #sourceNumbers = new RowNumbers();
  readonly #mappings: (Mapping | undefined)[] = [];
  readonly #sources: (Source | undefined)[] = [];

  constructor(parts: MappingParts) {
    this.#parts = parts;
    this.#inside = new EndpointIndex(parts.random);
    this.#outside = new EndpointIndex(parts.random);
    this.#sourceIndex = new EndpointIndex(parts.random);
  }

  get size(): number {
    return this.#outside.size;
  }

  /** Whether there are as many as there may be. */
  get isFull(): boolean {
    return this.size >= this.#parts.options.maxMappings;
  }

  /** Hosts inside that have mappings. */
  get sources(): number {
    return this.#sourceIndex.size;
  }

  *[Symbol.iterator](): Iterator<Mapping> {
    for (const mapping of this.#mappings) if (mapping !== undefined) yield mapping;
  }

  findInside(protocol: number, inside: Endpoint): Mapping | undefined {
    aim(this.#inside, protocol, inside);
    const row = this.#inside.find();
    return row < 0 ? undefined : this.#mappings[row];
  }

  findOutside(protocol: number, outside: Endpoint): Mapping | undefined {
    aim(this.#outside, protocol, outside);
    const row = this.#outside.find();
    return row < 0 ? undefined : this.#mappings[row];
  }

  /**
   * Maps an endpoint inside that has no mapping, or only one that a port forward does not want.
   * @returns undefined when it cannot be
   */
  create(protocol: number, wish: MappingWish): Mapping | undefined {
    if (this.isFull) return undefined;
    const { inside, outside } = wish;
    const source = this.findSource(inside) ?? this.#newSource();
    const place = outside === undefined ? this.#freePlace(protocol, source, wish) : this.#placeOf(outside);
    if (place !== undefined) return this.#make(protocol, source, wish, place);
    this.#forgetSource(source);
    return undefined;
  }

  /**
   * Whose end makes room for a mapping that could not be created, of an endpoint inside that may have any port.
   * @returns undefined where it is not for want of room
   */
  hindrance(protocol: number, inside: Endpoint): ((mapping: Mapping) => boolean) | undefined {
    const source = this.findSource(inside);
    const own = source?.mappings ?? 0;
    if (own >= this.#parts.options.maxMappingsPerSource) return (mapping) => mapping.source === source;
    // Nobody makes room for who has more.
    if (own >= this.#left) return (mapping) => mapping.source.mappings >= own;
    const addresses = this.#addressesOf(source, inside);
    if (addresses.length === 0) return undefined;
    return (mapping) => mapping.protocol === protocol && addresses.includes(mapping.address);
  }

  /** How many more there may be. */
  get #left(): number {
    return this.#parts.options.maxMappings - this.size;
  }

  /** No host inside has more than are left for all others, so that there is room for one more however many it is. */
  #freePlace(protocol: number, source: Source, { inside, far, hasPlace }: MappingWish): Place | undefined {
    const most = Math.min(this.#parts.options.maxMappingsPerSource, this.#left);
    if (source.mappings >= most && hasPlace !== true) return undefined;
    for (const address of this.#addressesOf(source, inside)) {
      const port = this.#choosePort(protocol, inside.port, { address, far });
      if (port >= 0) return { address, port };
    }
    return undefined;
  }

  #placeOf({ w0, w1, w2, w3, port }: Endpoint): Place | undefined {
    const address = this.#parts.addresses.find(w0, w1, w2, w3);
    return address && { address, port };
  }

  /** The one address of a host inside (RFC 4787 §4.1 REQ-2: "paired"), or all it may get, in random order. */
  #addressesOf(source: Source | undefined, inside: Endpoint): OutsideAddress[] {
    if (source?.address?.isOffered === true) return [source.address];
    const choices = this.#parts.addresses.ofFamily(familyOf(inside));
    if (choices.length < 2) return choices;
    const first = randomBelow(this.#parts.random, choices.length);
    return [...choices.slice(first), ...choices.slice(0, first)];
  }

  #make(protocol: number, source: Source, { inside }: MappingWish, { address, port }: Place): Mapping {
    const { stats, own } = this.#parts;
    if (source.address?.isOffered !== true) source.address = address;
    const mapping = new Mapping(this.#numbers.take(), protocol, source, address);
    copy(inside, mapping.inside, inside.port);
    copy(address.address, mapping.outside, port);
    aim(this.#inside, protocol, inside);
    mapping.isFirst = this.#inside.find() < 0;
    if (mapping.isFirst) this.#inside.insert(mapping.row);
    aim(this.#outside, protocol, mapping.outside);
    this.#outside.insert(mapping.row);
    this.#mappings[mapping.row] = mapping;
    address.pool(protocol).use(port);
    own.reserve(protocol, port);
    source.mappings++;
    stats.mappingsCreated++;
    stats.mappings++;
    return mapping;
  }

  /** Ends a mapping whose sessions are gone. */
  remove(mapping: Mapping): void {
    const { stats, own } = this.#parts;
    const { row, protocol, outside, source } = mapping;
    this.#outside.remove(row);
    if (mapping.isFirst) this.#inside.remove(row);
    this.#mappings[row] = undefined;
    this.#numbers.give(row);
    mapping.address.pool(protocol).release(outside.port);
    own.release(protocol, outside.port);
    source.mappings--;
    this.#forgetSource(source);
    stats.mappings--;
  }

  /** The record of a host inside; undefined while it has no mappings. */
  findSource(inside: Endpoint): Source | undefined {
    const { probe } = this.#sourceIndex;
    putAddress(probe, KeyWord.NEAR, inside);
    const row = this.#sourceIndex.find();
    return row < 0 ? undefined : this.#sources[row];
  }

  /** A record for the host that `findSource` did not find. */
  #newSource(): Source {
    const source = new Source(this.#sourceNumbers.take());
    this.#sources[source.row] = source;
    this.#sourceIndex.insert(source.row);
    return source;
  }

  #forgetSource(source: Source): void {
    if (source.mappings > 0) return;
    this.#sourceIndex.remove(source.row);
    this.#sources[source.row] = undefined;
    this.#sourceNumbers.give(source.row);
  }

  #choosePort(protocol: number, wanted: number, at: { address: OutsideAddress; far: Endpoint }): number {
    const { forwards, own } = this.#parts;
    const near = new Endpoint();
    const { address } = at.address;
    near.set(address.w0, address.w1, address.w2, address.w3);
    const isFree = (port: number): boolean => {
      near.port = port;
      return !own.isTaken(protocol, port) && !own.hasFlow(protocol, near, at.far);
    };
    return at.address.pool(protocol).choose(wanted, { kept: forwards.portsOf(protocol), isFree });
  }
}

/** The version of IP of an endpoint. */
export const familyOf = ({ w0, w1, w2 }: Endpoint): IpFamily =>
  w0 === 0 && w1 === 0 && w2 === 0xffff ? 4 : 6;

/** Aims an index at one endpoint. */
function aim(index: EndpointIndex, protocol: number, endpoint: Endpoint): void {
  const { probe } = index;
  probe[KeyWord.EXTRA] = protocol;
  putAddress(probe, KeyWord.NEAR, endpoint);
  probe[KeyWord.PORTS] = endpoint.port << 16;
}

function copy(from: { w0: number; w1: number; w2: number; w3: number }, to: Endpoint, port: number): void {
  to.set(from.w0, from.w1, from.w2, from.w3);
  to.port = port;
}
