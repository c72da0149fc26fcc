/**
 * IP as the rest of the stack sees it: packets in, packets out, paths, addresses, routes. The parts do the
 * work; here they meet.
 *
 * It holds no clock: the time is that of the packet in hand, or of `deadlineReached`, or what the stack
 * last said through `nowUs`.
 */
import { ArgumentRangeError, StackError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import type { StackStats } from '../base/stats.js';
import { Icmp4Type, Icmp6Type } from '../wire/icmp.js';
import { IpAddress, type IpFamily, IpPrefix } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { IPV6_MIN_MTU, Protocol } from '../wire/ipv6.js';
import { type AddressDescription, type AddressOptions, describeAddress } from './addresses.js';
import type { RawListener } from './delivery.js';
import type { EchoListeners, EchoRequest } from './echo.js';
import { EchoSender } from './echo-sender.js';
import type { PacketTranslator } from './forward-hook.js';
import type { IcmpResponder } from './icmp-responder.js';
import type { OutputPort, PacketSegmenter, Transport } from './interfaces.js';
import type { IpInput } from './ip-input.js';
import type { Begin, IpOutput, OutgoingRoom } from './ip-output.js';
import { type IncomingParts, incomingParts, type OutgoingParts, outgoingParts } from './ip-parts.js';
import type { LinkIpOptions } from './link-options.js';
import type { MartianListener } from './martian-log.js';
import type { Generation } from './multicast/messages.js';
import type { SourceFilter } from './multicast/source-filter.js';
import { type IpOptions, resolveIpOptions } from './options.js';
import type { IpPath, PathRequest } from './path.js';
import type { PathMtuCache } from './path-mtu.js';
import type { Routing } from './routing.js';
import { choiceOf, orderDestinations } from './source-address.js';

/**
 * Addresses of a stack, by link.
 * @hideconstructor
 */
export class IpLayer {
  /** The options in force. */
  readonly options: IpOptions;
  /** Rules and tables. */
  readonly routing: Routing;
  /** Who waits for echo replies, by identifier. @hidden */
  readonly echo: EchoListeners;
  /** Path MTUs and redirects learnt. @hidden */
  readonly pathMtu: PathMtuCache;
  /** The time of the turn, µs, for what is sent without a packet at hand. @hidden */
  nowUs = 0;
  /** Room for the packet begun last. @hidden */
  readonly out: OutgoingRoom;
  readonly #out: OutgoingParts;
  readonly #output: IpOutput;
  readonly #input: IpInput;
  readonly #in: IncomingParts;
  readonly #echoSender: EchoSender;

  /** @throws TypeError for an unknown option */
  constructor(env: {
    random: Random;
    stats: StackStats;
    options?: Partial<IpOptions>;
    /** Tells the time, µs, for what happens outside of turns; the layer's own `nowUs` by default. */
    clock?: { nowUs(): number };
    /** Hears of packets with impossible addresses, a few at a time. */
    onMartian?: MartianListener;
    /** Divides super-packets in passing; without it those are dropped where a link takes none. */
    segmenter?: PacketSegmenter;
  }) {
    const { random, stats, onMartian, clock, segmenter } = env;
    this.options = resolveIpOptions(env.options);
    const nowUs = (): number => clock?.nowUs() ?? this.nowUs;
    this.#out = outgoingParts({ random, stats, options: this.options, nowUs });
    this.#in = incomingParts(
      { random, stats, options: this.options, onMartian, segmenter },
      { out: this.#out, learnPathMtu: (quote, mtu) => this.learnPathMtuOf(quote, mtu) },
    );
    this.routing = this.#out.routing;
    this.pathMtu = this.#out.pathMtu;
    this.echo = this.#in.echo;
    const { output } = this.#out;
    this.out = output.out;
    this.#output = output;
    this.#input = this.#in.input;
    this.#echoSender = new EchoSender({ stats, output, resolve: (request) => this.resolve(request) });
  }

  // Ports.

  /** Adds a link. Port 0, the loopback, gets 127.0.0.1/8 and ::1/128. @hidden */
  addPort(port: OutputPort): void {
    this.#out.ports.add(port);
    if (port.isLoopback) {
      this.#out.addresses.add(port.index, IpPrefix.parse('127.0.0.1/8'));
      this.#out.addresses.add(port.index, IpPrefix.parse('::1/128'));
    } else {
      this.#addStandardRoutes(port);
    }
    this.portChanged();
  }

  /** Takes a link away, with its addresses, routes and groups. @hidden */
  removePort(index: number): void {
    this.#out.addresses.portRemoved(index);
    this.routing.routes.portRemoved(index);
    this.#out.groups.portRemoved(index);
    this.#out.reporter.portRemoved(index);
    this.#out.ports.remove(index);
    this.#in.settings.forget(index);
    this.portChanged();
  }

  /**
   * Changes settings of one link, which has those of the stack otherwise.
   * @throws RangeError for no such link; TypeError for an unknown name; ArgumentTypeError or ArgumentRangeError for a
   * value that is none
   */
  setLinkOptions(portIndex: number, options: Partial<LinkIpOptions>): void {
    if (this.#out.ports.get(portIndex) === undefined) {
      throw new ArgumentRangeError(`there is no link ${portIndex}`);
    }
    this.#in.settings.set(portIndex, options);
  }

  /** Who rewrites packets that come in and pass through, where somebody does. @hidden */
  get translator(): PacketTranslator | undefined {
    return this.#in.forwarder.translator;
  }

  /** Has packets that come in rewritten, and those that pass through; undefined ends it. @hidden */
  setTranslator(translator: PacketTranslator | undefined): void {
    this.#in.forwarder.translator = translator;
  }

  /**
   * Says that a port came up, went down or got another MTU. Routes through a port that is down are dead
   * until it comes back, and its addresses are not ours meanwhile.
   * @hidden
   */
  portChanged(): void {
    this.routing.rules.portsChanged();
    this.#out.addresses.refresh();
  }

  /** Index of a link by its name or index; -1 for none. */
  portIndex(port: string | number): number {
    return this.#out.ports.indexOf(port);
  }

  /** Index of the first port, the loopback apart, that carries IPv6 groups; -1 for none. @hidden */
  firstGroupPort(): number {
    const fits = (port: OutputPort): boolean => port.isUp && !port.isLoopback && port.mtu >= IPV6_MIN_MTU;
    return this.#out.ports.all().find(fits)?.index ?? -1;
  }

  /** Name of a link; its index, as text, where there is none. */
  portName(index: number): string {
    return this.#out.ports.nameOf(index);
  }

  // Addresses.

  /**
   * Gives a link an address: `10.0.0.1/24`, `2001:db8::1/64`.
   * @throws StackError ENODEV, EEXIST, EINVAL or ENOBUFS; ArgumentValueError
   */
  addAddress(portIndex: number, address: string | IpPrefix, options?: AddressOptions): void {
    this.#out.addresses.add(
      portIndex,
      typeof address === 'string' ? IpPrefix.parse(address) : address,
      options,
    );
  }

  /**
   * Takes an address away, with the routes it made. @throws StackError EADDRNOTAVAIL when the port does not
   * have it
   */
  removeAddress(portIndex: number, address: string | IpAddress | IpPrefix): void {
    const parsed = typeof address === 'string' ? IpPrefix.parse(address) : address;
    this.#out.addresses.remove(portIndex, parsed instanceof IpPrefix ? parsed.address : parsed);
  }

  /** Whether a port has an address that is in use. @hidden */
  hasAddress(portIndex: number, address: IpAddress): boolean {
    return this.#out.addresses.uses(portIndex, address);
  }

  /** A tentative address is used from now on. @hidden */
  settleAddress(portIndex: number, address: IpAddress): void {
    this.#out.addresses.settle(portIndex, address);
  }

  /** Says whether an address is chosen for new flows while there is another (RFC 4862 §5.5.4). */
  deprecateAddress(portIndex: number, address: string | IpAddress, isDeprecated = true): void {
    const parsed = typeof address === 'string' ? IpAddress.parse(address) : address;
    this.#out.addresses.deprecate(portIndex, parsed, isDeprecated);
  }

  /** The addresses of all links, or of one. */
  addresses(portIndex?: number): AddressDescription[] {
    const entries = this.#out.addresses.list();
    return entries
      .filter((entry) => portIndex === undefined || entry.port === portIndex)
      .map((entry) => describeAddress(entry));
  }

  /** Whether packets to an address are for this host. */
  isLocal(address: IpAddress): boolean {
    return this.isLocalWords(address.w0, address.w1, address.w2, address.w3) || this.routing.isLocal(address);
  }

  /** As `isLocal`, for the addresses of ports only, given as words (IPv4 in mapped form). @hidden */
  isLocalWords(w0: number, w1: number, w2: number, w3: number): boolean {
    return this.#out.addresses.portOf(w0, w1, w2, w3) >= 0;
  }

  /**
   * Lets a port hear a multicast group, once more for each call, and reports it there by IGMP or MLD.
   * @param filter from whom; anybody by default. The object stands for the listener: when it changes,
   * `groupFilterChanged` must be called, and it must be given to `leaveGroup`.
   * @throws StackError ENODEV, ENOBUFS
   * @hidden
   */
  joinGroup(portIndex: number, group: IpAddress, filter?: SourceFilter): void {
    if (this.#out.ports.get(portIndex) === undefined) {
      throw new StackError('ENODEV', 'addMembership', group.toString());
    }
    this.#out.groups.join(portIndex, group, filter);
  }

  /** Undoes one `joinGroup`. @throws StackError EADDRNOTAVAIL when the port is not in the group @hidden */
  leaveGroup(portIndex: number, group: IpAddress, filter?: SourceFilter): void {
    this.#out.groups.leave(portIndex, group, filter);
  }

  /** A filter given to `joinGroup` says something else now. @hidden */
  groupFilterChanged(portIndex: number, group: IpAddress): void {
    this.#out.groups.filterChanged(portIndex, group);
  }

  /**
   * What the multicast queriers of a port understand: 2 for IGMPv3 or MLDv2, 1 and 0 for older ones.
   * @hidden
   */
  groupGeneration(portIndex: number, family: IpFamily): Generation {
    return this.#out.reporter.generation(portIndex, family);
  }

  /** Whether a port is in a group; every port is in 224.0.0.1 and ff02::1. @hidden */
  hasGroup(portIndex: number, group: IpAddress): boolean {
    return this.#out.groups.has(portIndex, group);
  }

  // In.

  /** @hidden */
  setTransport(protocol: number, transport: Transport): void {
    this.#in.delivery.setTransport(protocol, transport);
  }

  /**
   * Begins (or, once for each time, ends) taking the packets of a protocol, of both families, whatever address they
   * are for. They come with `isForeign`, once impossible addresses and the reverse path have been checked; so do
   * ICMP errors about what is sent from such addresses. Who does not want one sets `isDeclined`.
   * @hidden
   */
  takeForeign(protocol: number, take: boolean): void {
    this.#in.foreign.take(protocol, take);
  }

  /**
   * Lets `listener` hear all packets of a protocol before anything else does; 0 stands for both families.
   * @returns what ends it
   * @hidden
   */
  addRawListener(protocol: number, family: IpFamily | 0, listener: RawListener): () => void {
    return this.#in.delivery.addRaw(protocol, family, listener);
  }

  /**
   * A packet that came in: its place, and what its link said of it, are set. It is lent for the call.
   * @hidden
   */
  input(packet: IpPacket): void {
    this.nowUs = packet.nowUs;
    this.#input.input(packet);
  }

  // Out.

  /** A path for a flow. Never throws: `unusable` of the path says what is wrong. @hidden */
  resolve(request: PathRequest): IpPath {
    return this.#out.resolver.resolve(request);
  }

  /** Whether a path can still be used; looks only if something has changed. @hidden */
  revalidate(path: IpPath): boolean {
    return this.#out.resolver.revalidate(path);
  }

  /** The path for an answer to `packet` that keeps no state: from its destination to its source. @hidden */
  resolveReply(packet: IpPacket, protocol: number): IpPath {
    return this.#out.replies.resolve(packet, protocol);
  }

  /** See `IpOutput.begin`. @hidden */
  begin(path: IpPath, transportBytes: number): Begin {
    return this.#output.begin(path, transportBytes);
  }

  /** Lends the text of the packet begun last. See `IpOutput.lend`. @hidden */
  lend(path: IpPath, memory: Uint8Array, at: number, length: number): boolean {
    return this.#output.lend(path, memory, at, length);
  }

  /** See `IpOutput.commit`. @hidden */
  commit(path: IpPath, transportBytes: number, checksumOffset: number, segmentSize = 0): void {
    this.#output.commit(path, transportBytes, checksumOffset, segmentSize);
  }

  /**
   * Believes that a packet of more than `mtu` bytes does not reach the path's destination. Call it only
   * once the error that said so is known to be about something this flow sent (RFC 5927 §7).
   * @returns whether the path's MTU, or its use of DF, changed
   * @hidden
   */
  learnPathMtu(path: IpPath, mtu: number): boolean {
    if (!this.revalidate(path) || path.route === undefined || path.route.mtuLock) return false;
    if (!this.pathMtu.learn(path, mtu, this.nowUs)) return false;
    this.routing.changed();
    return this.revalidate(path);
  }

  /** As `learnPathMtu`, for the path of a packet of ours that an error quotes. @hidden */
  learnPathMtuOf(quote: IpPacket, mtu: number): boolean {
    const { protocol } = quote;
    const source = quote.source();
    const destination = quote.destination();
    const zone = destination.family === 6 && destination.isLinkLocal ? { oif: quote.link } : {};
    // Whose packet it was has been checked: its source need not be an address of ours.
    return this.learnPathMtu(
      this.resolve({ destination, source, protocol, transparent: true, ...zone }),
      mtu,
    );
  }

  /** What sends ICMP errors. @hidden */
  get icmpErrors(): IcmpResponder {
    return this.#out.responder;
  }

  /**
   * Sends an echo request; its answer goes to the listener of its identifier. @returns '' or the error's code
   * @hidden
   */
  sendEchoRequest(request: EchoRequest): string {
    return this.#echoSender.send(request);
  }

  /** Destinations in the order in which to try them (RFC 6724 §6). */
  orderDestinations(destinations: readonly IpAddress[]): IpAddress[] {
    const entries = this.#out.addresses.list();
    const choices = destinations.map((destination) => {
      const path = this.resolve({ destination, protocol: Protocol.Udp, allowBroadcast: true });
      return choiceOf(destination, path, entries);
    });
    return orderDestinations(choices).map(({ destination }) => destination);
  }

  // Time.

  /** When `deadlineReached` has something to do, µs; `NEVER` when nothing waits. @hidden */
  get nextDeadlineUs(): number {
    const { reporter } = this.#out;
    return Math.min(this.#in.reassembly.nextDeadlineUs, this.pathMtu.nextDeadlineUs, reporter.nextDeadlineUs);
  }

  /** Does what is due: ends incomplete datagrams, path MTUs and redirects. @hidden */
  deadlineReached(nowUs: number): void {
    this.nowUs = nowUs;
    this.#in.reassembly.expire(nowUs, (first) => this.#reportTimeout(first));
    if (this.pathMtu.expire(nowUs)) this.routing.changed();
    this.#out.reporter.deadlineReached(nowUs);
  }

  /** RFC 1122 §3.3.2, RFC 8200 §4.5: Time Exceeded code 1 quotes the first fragment. */
  #reportTimeout(first: IpPacket): void {
    const type = first.version === 4 ? Icmp4Type.TimeExceeded : Icmp6Type.TimeExceeded;
    this.#out.responder.send(first, { type, code: 1 });
  }

  /** What every port that carries IPv6 has: its link-local prefix, and multicast (RFC 4291 §2.5.6, §2.7). */
  #addStandardRoutes(port: OutputPort): void {
    if (port.mtu < IPV6_MIN_MTU) return;
    const common = { port: port.index, metric: 256, protocol: 'kernel' };
    this.routing.routes.install({ ...common, destination: 'fe80::/64' });
    this.routing.routes.install({ ...common, destination: 'ff00::/8', type: 'multicast', table: 'local' });
  }
}
