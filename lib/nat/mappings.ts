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

/** A host inside that has mappings: all of them have the same outside address. */
export class Source {
  readonly row: number;
  readonly address: OutsideAddress;
  mappings = 0;
  sessions = 0;

  constructor(row: number, address: OutsideAddress) {
    this.row = row;
    this.address = address;
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
   * Maps an endpoint inside that has no mapping, or only one that `forward` does not want.
   * @param outside where it must be seen, as a port forward says; undefined for any free port
   * @param far to whom it speaks first: nobody of this stack may speak to them from the same port
   * @returns undefined when it cannot be
   */
  create(protocol: number, inside: Endpoint, far: Endpoint, outside?: Endpoint): Mapping | undefined {
    const source = this.isFull ? undefined : this.#sourceOf(inside);
    const mapping = source === undefined ? undefined : this.#make(protocol, inside, { source, far, outside });
    if (mapping !== undefined) return mapping;
    if (source !== undefined) this.#forgetSource(source);
    return undefined;
  }

  #make(
    protocol: number,
    inside: Endpoint,
    wanted: { source: Source; far: Endpoint; outside: Endpoint | undefined },
  ): Mapping | undefined {
    const { stats, addresses, own } = this.#parts;
    const { source, far, outside } = wanted;
    const given = outside && addresses.find(outside.w0, outside.w1, outside.w2, outside.w3);
    const address = given ?? source.address;
    const port = outside?.port ?? this.#choosePort(protocol, inside.port, { address, far });
    if (port < 0) return undefined;
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

  /** As `findSource`, made with the outside address it will have (RFC 4787 §4.1 REQ-2: "paired"). */
  #sourceOf(inside: Endpoint): Source | undefined {
    const index = this.#sourceIndex;
    const known = this.findSource(inside);
    if (known !== undefined) return known;
    const choices = this.#parts.addresses.ofFamily(familyOf(inside));
    if (choices.length === 0) return undefined;
    const address = choices[choices.length === 1 ? 0 : randomBelow(this.#parts.random, choices.length)];
    const source = new Source(this.#sourceNumbers.take(), address);
    this.#sources[source.row] = source;
    index.insert(source.row);
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
      return (
        !forwards.hasPort(protocol, port) &&
        !own.isTaken(protocol, port) &&
        !own.hasFlow(protocol, near, at.far)
      );
    };
    return at.address.pool(protocol).choose(wanted, isFree);
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
