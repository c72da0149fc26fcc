/**
 * Network address translation (RFC 3022, RFC 4787, RFC 5382, RFC 5508): what leaves by the outside link gets a
 * source outside, what comes back finds the way inside. It is shown every packet that is forwarded, and those for
 * addresses of the stack; it holds no clock and no link.
 */
import { DropReason } from '../base/drop-reason.js';
import type { Random } from '../base/random.js';
import { type PacketTranslator, Verdict } from '../ip/forward-hook.js';
import { ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import { TcpFlag } from '../wire/tcp.js';
import { Contacts } from './contacts.js';
import { type Forward, Forwards } from './forwards.js';
import { HeldSyns } from './held-syns.js';
import { NatErrorKind, type NatHost } from './host.js';
import { ErrorOutcome, IcmpErrors } from './icmp-errors.js';
import { MappingTable } from './mappings.js';
import { NatStats } from './nat-stats.js';
import type { ResolvedNatOptions } from './options.js';
import { OutsideAddresses } from './outside.js';
import { Admission, NatPaths, type Passing } from './paths.js';
import { Realm } from './realm.js';
import { Endpoint, rewriteDestination, rewriteSource } from './rewrite.js';
import { type Session, SessionTable } from './sessions.js';
import { answered, beginTcp, trackTcp } from './tcp-track.js';
import { isFragment, Kind, TransportView } from './transport-view.js';

/** The link of what a stack says to itself. */
const LOOPBACK_PORT = 0;
const CONTROL = TcpFlag.SYN | TcpFlag.ACK | TcpFlag.RST | TcpFlag.FIN;

export class Translator implements PacketTranslator {
  readonly stats = new NatStats();
  readonly forwards: Forwards;
  readonly mappings: MappingTable;
  readonly sessions: SessionTable;
  readonly addresses: OutsideAddresses;
  readonly #host: NatHost;
  readonly #options: ResolvedNatOptions;
  readonly #link: number;
  readonly #realm: Realm;
  readonly #paths: NatPaths;
  readonly #errors: IcmpErrors;
  readonly #syns: HeldSyns;
  readonly #view = new TransportView();
  readonly #near = new Endpoint();
  readonly #far = new Endpoint();
  readonly #passing: Passing = { protocol: 0, tcpFlags: 0, nowUs: 0 };
  /** The destination that `inbound` took from the packet shown last, and whether it can be put back. */
  readonly #oldDestination = new Endpoint();
  #hasDestination = false;
  /** The source that packet gets when it leaves, from one host inside to another: until then it is where it came from. */
  #newSource: Endpoint | undefined;
  #isTranslated = false;
  #generation = -1;

  /** @param link index of the outside link */
  constructor(env: { random: Random; host: NatHost; link: number; options: ResolvedNatOptions }) {
    const { random, host, link, options } = env;
    const { stats } = this;
    const { own } = host;
    this.#host = host;
    this.#options = options;
    this.#link = link;
    this.#realm = new Realm(options);
    this.addresses = new OutsideAddresses(random, options.ports);
    this.forwards = new Forwards(options.maxForwards);
    const contacts = options.filtering === 'address-dependent' ? new Contacts(random) : undefined;
    const { addresses, forwards } = this;
    const mappings = new MappingTable({ random, options, stats, addresses, forwards, own });
    this.mappings = mappings;
    const deadlineChanged = (): void => host.deadlineChanged();
    const sessions = new SessionTable({ random, options, stats, mappings, contacts, deadlineChanged });
    this.sessions = sessions;
    this.#paths = new NatPaths({ options, stats, addresses, forwards, mappings, sessions, contacts, own });
    this.#errors = new IcmpErrors({ host, stats, sessions, mappings, forwards, paths: this.#paths });
    this.#syns = new HeldSyns(random, options.maxHeldSyns, options.unsolicitedSynMs * 1000);
  }

  inbound(packet: IpPacket, nowUs: number): Verdict {
    this.#hasDestination = false;
    this.#newSource = undefined;
    this.#isTranslated = false;
    if (packet.link === LOOPBACK_PORT) return Verdict.Accept;
    if (this.#generation !== this.#host.generation()) this.#readAddresses();
    const { d0, d1, d2, d3 } = packet;
    const isInside = packet.link !== this.#link && this.#realm.hasSource(packet);
    if (this.addresses.find(d0, d1, d2, d3) === undefined) {
      // Only the first fragment has ports: the datagram is translated whole (RFC 4787 §11 REQ-14).
      const mayLeave = isInside && (this.#realm.hides(packet) || this.forwards.list.length > 0);
      return mayLeave && isFragment(packet) ? Verdict.Reassemble : Verdict.Accept;
    }
    if (isFragment(packet)) return Verdict.Reassemble;
    const kind = this.#view.aim(packet);
    if (kind === Kind.Error) return this.#inboundError(packet, isInside);
    if (kind !== Kind.Flow && kind !== Kind.Reply) return Verdict.Accept;
    if (packet.checksum === ChecksumState.Bad) return this.#malformed();
    this.#passing.protocol = this.#view.protocol;
    this.#passing.nowUs = nowUs;
    this.#passing.tcpFlags = this.#view.tcpFlags(packet);
    const near = this.#near;
    near.set(d0, d1, d2, d3);
    near.port = this.#view.destinationPort(packet);
    this.#far.set(packet.s0, packet.s1, packet.s2, packet.s3);
    this.#far.port = this.#view.sourcePortAt === 0 ? 0 : this.#view.sourcePort(packet);
    return isInside && kind === Kind.Flow ? this.#hairpin(packet) : this.#fromOutside(packet);
  }

  outbound(packet: IpPacket, portIndex: number, nowUs: number): Verdict {
    if (packet.link === this.#link) return this.#guard(packet, portIndex);
    if (this.#newSource !== undefined) {
      rewriteSource(packet, this.#view, this.#newSource);
      return Verdict.Accept;
    }
    if (portIndex !== this.#link || this.#isTranslated || !this.#realm.hasSource(packet))
      return Verdict.Accept;
    const hides = this.#realm.hides(packet);
    switch (this.#view.aim(packet)) {
      case Kind.Flow:
      case Kind.Query:
        return this.#leave(packet, nowUs, hides);
      case Kind.Error: {
        const outcome = this.#errors.outbound(packet, this.#view);
        if (outcome === ErrorOutcome.Translated || (outcome === ErrorOutcome.Foreign && !hides)) {
          return Verdict.Accept;
        }
        return outcome === ErrorOutcome.Dropped ? Verdict.Drop : this.#strangeError();
      }
      case Kind.Bad:
        return hides ? this.#malformed() : Verdict.Accept;
      default:
        return hides ? this.#unsupported(packet) : Verdict.Accept;
    }
  }

  restore(packet: IpPacket): void {
    if (this.#hasDestination) rewriteDestination(packet, this.#view, this.#oldDestination);
    this.#hasDestination = false;
  }

  revert(packet: IpPacket, wayBack: number): boolean {
    return this.#errors.revert(packet, wayBack === this.#link || wayBack === LOOPBACK_PORT);
  }

  // Time.

  /** When `deadlineReached` has something to do, µs; `NEVER` when nothing waits. */
  get nextDeadlineUs(): number {
    return Math.min(this.sessions.nextDeadlineUs, this.#syns.nextDeadlineUs);
  }

  /** Ends what nothing passes through any more, and answers SYNs that were held. */
  deadlineReached(nowUs: number): void {
    this.sessions.expire(nowUs);
    this.#syns.expire(nowUs, (packet) => {
      this.stats.synsRefused++;
      this.#host.sendError(packet, NatErrorKind.PortUnreachable);
    });
  }

  /**
   * Begins a port forward. Mappings that have a port of it, on either side, end.
   * @throws StackError EADDRINUSE, ENOBUFS
   */
  addForward(forward: Forward): void {
    this.forwards.add(forward);
    this.#endMappings(forward);
  }

  /** Ends one, with what it let in. */
  removeForward(forward: Forward): void {
    this.forwards.remove(forward);
    this.#endMappings(forward);
  }

  #endMappings(forward: Forward): void {
    for (const mapping of this.mappings) {
      if (mapping.protocol !== forward.protocol) continue;
      const { port } = mapping.outside;
      const isAt = port >= forward.first && port <= forward.last && forward.isAt(mapping.outside);
      if (isAt || forward.leadsTo(mapping.inside)) this.sessions.removeAll(mapping);
    }
  }

  /** Ends all sessions, and with them all mappings. */
  clear(): void {
    for (const mapping of this.mappings) this.sessions.removeAll(mapping);
  }

  /** Looks at the outside addresses again; mappings of one that is gone end with it. */
  #readAddresses(): void {
    this.#generation = this.#host.generation();
    const { addresses } = this;
    const given = this.#options.addresses;
    const gone = given.length > 0 ? addresses.set(given) : addresses.follow(this.#host.linkAddresses());
    if (gone.length === 0) return;
    for (const mapping of this.mappings) {
      if (gone.includes(mapping.address)) this.sessions.removeAll(mapping);
    }
  }

  // In.

  #fromOutside(packet: IpPacket): Verdict {
    const session = this.sessions.findOuter(this.#passing.protocol, this.#near, this.#far);
    if (session === undefined) return this.#stranger(packet);
    this.#cameIn(session);
    this.#toInside(packet, session.mapping.inside);
    this.stats.translatedIn++;
    return Verdict.Accept;
  }

  #cameIn(session: Session): void {
    const { protocol, nowUs, tcpFlags } = this.#passing;
    const before = answered(session.seen, false);
    const seen = protocol === Protocol.Tcp ? trackTcp(before, tcpFlags, false) : before;
    if (this.#options.inboundRefresh) this.sessions.passed(session, seen, nowUs);
    else this.sessions.saw(session, seen, nowUs);
  }

  #stranger(packet: IpPacket): Verdict {
    const admission = this.#paths.admit(this.#passing, this.#near, this.#far);
    if (admission === Admission.Granted) {
      this.#toInside(packet, this.#paths.inside);
      this.stats.translatedIn++;
      return Verdict.Accept;
    }
    const isSyn = (this.#passing.tcpFlags & CONTROL) === TcpFlag.SYN;
    if (isSyn && this.#isUnsolicited(packet, admission)) return this.#hold(packet);
    return admission === Admission.Filtered ? this.#filter() : Verdict.Accept;
  }

  /** Whether a SYN is one that nobody here has asked for, the stack included. */
  #isUnsolicited(packet: IpPacket, admission: Admission): boolean {
    if (admission === Admission.Filtered) return true;
    const { own } = this.#host;
    const { port } = this.#near;
    if (this.#options.unsolicitedSyn === 'accept' || own.isTaken(Protocol.Tcp, port)) return false;
    return !own.wants(packet, port);
  }

  #hold(packet: IpPacket): Verdict {
    const { stats } = this;
    const isHeld =
      this.#options.unsolicitedSyn === 'unreachable' && this.#syns.hold(packet, this.#near, this.#far);
    if (isHeld) {
      stats.synsHeld++;
      this.#host.deadlineChanged();
      return Verdict.Handled;
    }
    stats.synsDropped++;
    this.#host.drop(DropReason.NatFiltered);
    return Verdict.Drop;
  }

  #toInside(packet: IpPacket, inside: Endpoint): void {
    const { d0, d1, d2, d3 } = packet;
    this.#oldDestination.set(d0, d1, d2, d3);
    this.#oldDestination.port = this.#near.port;
    rewriteDestination(packet, this.#view, inside);
    this.#hasDestination = true;
    this.#isTranslated = true;
  }

  #inboundError(packet: IpPacket, isInside: boolean): Verdict {
    const outcome = this.#errors.inbound(packet, this.#view, isInside);
    this.#isTranslated = outcome === ErrorOutcome.Translated;
    if (this.#isTranslated && isInside) this.#newSource = this.#errors.sender;
    return outcome === ErrorOutcome.Dropped ? Verdict.Drop : Verdict.Accept;
  }

  /**
   * From one host inside to another by an outside address: each sees the other as it is seen outside
   * (RFC 4787 §6 REQ-9 a, RFC 5382 §7.2 REQ-8).
   */
  #hairpin(packet: IpPacket): Verdict {
    const { protocol } = this.#passing;
    const outside = this.#near;
    // Without somebody inside who has that endpoint, it is for this stack.
    if (!this.forwards.hasPort(protocol, outside.port)) {
      const mapping = this.mappings.findOutside(protocol, outside);
      if (mapping === undefined || this.#host.own.isTaken(protocol, outside.port)) return Verdict.Accept;
    }
    const ends = { inside: this.#far, far: outside, masquerade: true };
    const own = this.#known(packet, ends.inside, ends.far) ?? this.#begin(packet, ends);
    if (own === undefined || own === null) return this.#refuse(packet);
    const seenAs = own.mapping.outside;
    const back = this.sessions.findOuter(protocol, outside, seenAs);
    let target = back?.mapping.inside;
    if (back !== undefined) {
      this.#cameIn(back);
    } else {
      const admission = this.#paths.admit(this.#passing, outside, seenAs);
      if (admission === Admission.Filtered) return this.#filter();
      if (admission === Admission.Unmapped) return Verdict.Accept;
      target = this.#paths.inside;
    }
    this.#newSource = seenAs;
    this.#toInside(packet, target as Endpoint);
    this.stats.hairpinned++;
    return Verdict.Accept;
  }

  // Out.

  /** What comes from the outside, and leaves elsewhere: to whoever is hidden, only if it was translated. */
  #guard(packet: IpPacket, portIndex: number): Verdict {
    if (this.#isTranslated || portIndex === this.#link || !this.#realm.hides(packet)) return Verdict.Accept;
    if (!this.#realm.hasDestination(packet)) return Verdict.Accept;
    this.stats.uninvited++;
    this.#host.drop(DropReason.NatUninvited);
    return Verdict.Drop;
  }

  #leave(packet: IpPacket, nowUs: number, masquerade: boolean): Verdict {
    if (packet.checksum === ChecksumState.Bad) return this.#malformed();
    const view = this.#view;
    this.#passing.protocol = view.protocol;
    this.#passing.nowUs = nowUs;
    const inside = this.#near;
    inside.set(packet.s0, packet.s1, packet.s2, packet.s3);
    inside.port = view.sourcePort(packet);
    const far = this.#far;
    far.set(packet.d0, packet.d1, packet.d2, packet.d3);
    far.port = view.destinationPort(packet);
    const session = this.#known(packet, inside, far) ?? this.#begin(packet, { inside, far, masquerade });
    if (session === null) return Verdict.Accept;
    if (session === undefined) return this.#refuse(packet);
    rewriteSource(packet, view, session.mapping.outside);
    this.stats.translatedOut++;
    return Verdict.Accept;
  }

  /** The session of what leaves, where there is one. */
  #known(packet: IpPacket, inside: Endpoint, far: Endpoint): Session | undefined {
    const { protocol, nowUs } = this.#passing;
    const session = this.sessions.findInner(protocol, inside, far);
    if (session === undefined) return undefined;
    let seen = answered(session.seen, true);
    if (protocol === Protocol.Tcp) {
      const flags = this.#view.tcpFlags(packet);
      seen = trackTcp(seen, flags, true);
      if ((flags & TcpFlag.SYN) !== 0) this.#meet(session);
    }
    this.sessions.passed(session, seen, nowUs);
    return session;
  }

  /** Begins the session of what leaves: undefined where it cannot be, `null` where nothing is to be translated. */
  #begin(
    packet: IpPacket,
    ends: { inside: Endpoint; far: Endpoint; masquerade: boolean },
  ): Session | undefined | null {
    const isTcp = this.#passing.protocol === Protocol.Tcp;
    const seen = isTcp ? beginTcp(this.#view.tcpFlags(packet)) : 0;
    const session = this.#paths.open(this.#passing, { ...ends, seen });
    if (session === undefined || session === null) return session;
    if (isTcp) this.#meet(session);
    return session;
  }

  /** A SYN of the inside leaves: one that is held has found what it looked for. */
  #meet(session: Session): void {
    if (this.#syns.meet(session.mapping.outside, session.remote)) this.stats.synsMet++;
  }

  // Refusals.

  /** No room for another flow (RFC 5508 §6 REQ-8). */
  #refuse(packet: IpPacket): Verdict {
    this.#host.drop(DropReason.NatLimit);
    this.#host.sendError(packet, NatErrorKind.Prohibited);
    return Verdict.Drop;
  }

  #unsupported(packet: IpPacket): Verdict {
    this.stats.unsupported++;
    this.#host.drop(DropReason.NatUnsupported);
    this.#host.sendError(packet, NatErrorKind.Prohibited);
    return Verdict.Drop;
  }

  #malformed(): Verdict {
    this.stats.malformed++;
    this.#host.drop(DropReason.NatMalformed);
    return Verdict.Drop;
  }

  #filter(): Verdict {
    this.stats.filtered++;
    this.#host.drop(DropReason.NatFiltered);
    return Verdict.Drop;
  }

  #strangeError(): Verdict {
    this.stats.icmpDropped++;
    this.#host.drop(DropReason.NatIcmpError);
    return Verdict.Drop;
  }
}
