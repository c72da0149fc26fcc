/**
 * Which endpoint inside stands behind one outside, and the other way round: sessions first, then port forwards,
 * then mappings, as far as the filtering lets through.
 */
import type { IpFamily } from '../wire/ip-address.js';
import { Protocol } from '../wire/ipv6.js';
import type { Contacts } from './contacts.js';
import type { Forwards } from './forwards.js';
import type { OwnPorts } from './host.js';
import { type Mapping, type MappingTable, type MappingWish } from './mappings.js';
import type { NatStats } from './nat-stats.js';
import type { ResolvedNatOptions } from './options.js';
import type { OutsideAddresses } from './outside.js';
import { Endpoint } from './rewrite.js';
import type { Session, SessionTable } from './sessions.js';
import { beginTcpInward, Seen } from './tcp-track.js';

/** Where something from the outside may go. */
export const Admission = {
  /** To the endpoint in `inside`. */
  Granted: 0,
  /** Nobody inside has that endpoint. */
  Unmapped: 1,
  /** Somebody has, who does not want it. */
  Filtered: 2,
} as const;
export type Admission = (typeof Admission)[keyof typeof Admission];

interface PathParts {
  readonly options: ResolvedNatOptions;
  readonly stats: NatStats;
  readonly addresses: OutsideAddresses;
  readonly forwards: Forwards;
  readonly mappings: MappingTable;
  readonly sessions: SessionTable;
  readonly contacts: Contacts | undefined;
  readonly own: OwnPorts;
}

/** The protocol and the time of what is looked at, and its flags where it is of TCP. */
export interface Passing {
  protocol: number;
  tcpFlags: number;
  nowUs: number;
}

export class NatPaths {
  /** The answer of `admit`. */
  readonly inside = new Endpoint();
  /** The answer of `outsideOf`. */
  readonly outside = new Endpoint();
  readonly #parts: PathParts;
  readonly #hasLimit: boolean;

  constructor(parts: PathParts) {
    this.#parts = parts;
    this.#hasLimit = parts.options.filtering !== 'endpoint-independent';
  }

  /** Who gets what comes without a session from `far` to `near`, an outside address: fills `inside`. */
  admit(passing: Passing, near: Endpoint, far: Endpoint): Admission {
    const { forwards, mappings, own } = this.#parts;
    const { protocol } = passing;
    // What the stack has begun or accepted stays with it, whoever gets the port afterwards.
    if (own.hasFlow(protocol, near, far)) return Admission.Unmapped;
    if (forwards.lead(protocol, near, this.inside)) {
      this.#remember(passing, near, far);
      return Admission.Granted;
    }
    const mapping = mappings.findOutside(protocol, near);
    if (mapping === undefined || own.isTaken(protocol, near.port)) return Admission.Unmapped;
    if (this.#hasLimit && !this.#lets(mapping, far)) return Admission.Filtered;
    copy(mapping.inside, this.inside);
    return Admission.Granted;
  }

  /** As what an endpoint inside is seen outside: fills `outside`. @returns whether it is seen at all */
  outsideOf(protocol: number, inside: Endpoint): boolean {
    const mapping = this.#parts.mappings.findInside(protocol, inside);
    if (mapping === undefined) return this.#isForwarded(protocol, inside);
    copy(mapping.outside, this.outside);
    return true;
  }

  /**
   * Begins the session of what leaves from `inside` to `far`.
   * @param masquerade whether any endpoint may be mapped, or only those that port forwards lead to
   * @returns undefined where it cannot be, which is counted; `null` where nobody wants it translated
   */
  open(passing: Passing, ends: { inside: Endpoint; far: Endpoint; masquerade: boolean; seen: number }) {
    const { mappings, sessions, stats, own } = this.#parts;
    const { protocol, nowUs } = passing;
    const { inside, far } = ends;
    const isMapped = mappings.findInside(protocol, inside) !== undefined;
    if (!ends.masquerade && !isMapped && !this.#isForwarded(protocol, inside)) return null;
    if (!sessions.makeRoom(mappings.findSource(inside), nowUs)) {
      stats.sessionsRefused++;
      return undefined;
    }
    // Making room may have ended the mapping.
    const mapping = mappings.findInside(protocol, inside) ?? this.#mappingOf(passing, inside, far);
    if (mapping === undefined) {
      stats.mappingsRefused++;
      return undefined;
    }
    const isOurs = own.hasFlow(protocol, mapping.outside, far);
    const session = isOurs ? undefined : sessions.create(mapping, far, ends.seen, nowUs);
    if (session === undefined) {
      stats.sessionsRefused++;
      if (mapping.sessions === 0) mappings.remove(mapping);
    }
    return session;
  }

  /** A new mapping, where a port forward says or anywhere. */
  #mappingOf({ protocol, nowUs }: Passing, inside: Endpoint, far: Endpoint): Mapping | undefined {
    const { mappings, sessions } = this.#parts;
    const outside = this.#isForwarded(protocol, inside) ? this.outside : undefined;
    const wish = { inside, far, outside };
    const mapping = this.#mappingAt(protocol, wish);
    if (mapping !== undefined || (outside !== undefined && !mappings.isFull)) return mapping;
    const hindrance = mappings.hindrance(protocol, inside);
    if (hindrance === undefined || !sessions.makeMappingRoom(hindrance, nowUs)) return undefined;
    return this.#mappingAt(protocol, { ...wish, hasPlace: true });
  }

  #mappingAt(protocol: number, wish: MappingWish): Mapping | undefined {
    const { mappings } = this.#parts;
    const known = wish.outside && mappings.findOutside(protocol, wish.outside);
    if (known === undefined) return mappings.create(protocol, wish);
    return equals(known.inside, wish.inside) ? known : undefined;
  }

  /**
   * Where the answer to what a forward let in would leave from another endpoint than it came to, since several
   * lead to one inside, its session must be known before.
   */
  #remember(passing: Passing, near: Endpoint, far: Endpoint): void {
    const { mappings, sessions, stats } = this.#parts;
    const { protocol, nowUs, tcpFlags } = passing;
    if (this.outsideOf(protocol, this.inside) && equals(this.outside, near)) return;
    if (!sessions.makeRoom(mappings.findSource(this.inside), nowUs)) return;
    const mapping = this.#mappingAt(protocol, { inside: this.inside, far, outside: near });
    if (mapping === undefined) {
      stats.mappingsRefused++;
      return;
    }
    const seen = Seen.INWARD | (protocol === Protocol.Tcp ? beginTcpInward(tcpFlags) : 0);
    const session: Session | undefined = sessions.create(mapping, far, seen, nowUs);
    if (session === undefined && mapping.sessions === 0) mappings.remove(mapping);
  }

  #lets(mapping: Mapping, far: Endpoint): boolean {
    const { contacts } = this.#parts;
    return contacts?.has(mapping, far) === true;
  }

  /** Whether a port forward leads to an endpoint inside: fills `outside` with where from. */
  #isForwarded(protocol: number, inside: Endpoint): boolean {
    const { forwards, addresses } = this.#parts;
    const forward = forwards.to(protocol, inside);
    if (forward === undefined) return false;
    const family: IpFamily = forward.inside.family;
    const address =
      forward.outside ??
      mappingsAddress(this.#parts.mappings, inside) ??
      addresses.ofFamily(family)[0]?.address;
    if (
      address === undefined ||
      addresses.find(address.w0, address.w1, address.w2, address.w3) === undefined
    ) {
      return false;
    }
    this.outside.set(address.w0, address.w1, address.w2, address.w3);
    this.outside.port = forward.first + inside.port - forward.insideFirst;
    return true;
  }
}

/** The outside address a host inside has already. */
const mappingsAddress = (mappings: MappingTable, inside: Endpoint) =>
  mappings.findSource(inside)?.address?.address;

function copy(from: Endpoint, to: Endpoint): void {
  to.set(from.w0, from.w1, from.w2, from.w3);
  to.port = from.port;
}

const equals = (a: Endpoint, b: Endpoint): boolean =>
  a.port === b.port && a.w3 === b.w3 && a.w2 === b.w2 && a.w1 === b.w1 && a.w0 === b.w0;
