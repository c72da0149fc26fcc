/** UDP of one stack (RFC 768, RFC 1122 §4.1): datagrams to their sockets, errors to theirs. */
import { StackError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import { Roster } from '../base/roster.js';
import { DropReason, type StackStats } from '../base/stats.js';
import { packetChecksumHolds } from '../wire/checksum.js';
import type { IpFamily } from '../wire/ip-address.js';
import { Cast, ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { IpAddressCache } from './address-cache.js';
import { type DatagramCarrier, type DatagramIcmpError, IcmpKind } from './carrier.js';
import type { UdpContext } from './context.js';
import { UdpEvent } from './datagram.js';
import { DatagramSender, UDP_HEADER_BYTES, UDP_PROTOCOL } from './datagram-sender.js';
import { EndpointTable, EndWords } from './endpoint-table.js';
import type { UdpFlowRequest } from './flow.js';
import { UdpFlows } from './flow-layer.js';
import type { AnyUdpListener } from './flow-listener.js';
import type { AnyUdpOptions } from './flow-options.js';
import type { UdpNeighbours } from './neighbours.js';
import { resolveUdpOptions, type UdpOptions, type UdpSocketOptions } from './options.js';
import { PathMtuSearch, type PathMtuSearchOptions, type SearchHost } from './path-mtu-search.js';
import { UdpEndpoint } from './udp-endpoint.js';

export interface UdpLayerParts {
  readonly ip: DatagramCarrier;
  readonly stats: StackStats;
  readonly random: Random;
  readonly options?: Partial<UdpOptions> | undefined;
  /** Tells the time, µs, to searches for path MTUs. */
  readonly clock: { nowUs(): number };
  /** Called when `nextDeadlineUs` may have changed outside of a turn. */
  readonly wake: () => void;
}

export class UdpLayer {
  readonly options: UdpOptions;
  readonly #stats: StackStats;
  readonly #context: UdpContext;
  readonly #sender: DatagramSender;
  readonly #ends = new EndWords();
  readonly #all = new Roster<UdpEndpoint>();
  /** Ports that are not chosen as ephemeral, and how many keep them so. */
  readonly #reserved: Set<number>;
  readonly #kept = new Map<number, number>();
  /** Those that have something to hear, and those that are being told. */
  #touched: UdpEndpoint[] = [];
  #telling: UdpEndpoint[] = [];
  #told = 0;
  readonly #awaiting = new Set<UdpEndpoint>();
  readonly #searches = new Set<PathMtuSearch>();
  readonly #searchHost: SearchHost;
  readonly #flows: UdpFlows;
  #neighbours: UdpNeighbours | undefined;

  /** @throws TypeError, ArgumentTypeError, ArgumentRangeError for options that cannot be */
  constructor(parts: UdpLayerParts) {
    this.options = resolveUdpOptions(parts.options);
    this.#reserved = new Set(this.options.reservedPorts);
    this.#stats = parts.stats;
    this.#searchHost = {
      nowUs: () => parts.clock.nowUs(),
      wake: parts.wake,
      ended: (search) => void this.#searches.delete(search),
    };
    this.#context = {
      ip: parts.ip,
      stats: parts.stats,
      options: this.options,
      reserved: this.#reserved,
      table: new EndpointTable<UdpEndpoint>(parts.random),
      addresses: new IpAddressCache(),
      memoryBytes: 0,
      touch: (endpoint) => void this.#touched.push(endpoint),
      awaitRoom: (endpoint) => void this.#awaiting.add(endpoint),
      loopBack: (packet) => this.#loopBack(packet),
      closed: (endpoint) => {
        this.#all.delete(endpoint);
        this.#awaiting.delete(endpoint);
      },
    };
    this.#sender = new DatagramSender(this.#context);
    const { random, clock, wake } = parts;
    this.#flows = new UdpFlows({ context: this.#context, random, clock, wake });
  }

  /** Sockets that are open. */
  get endpoints(): Iterable<UdpEndpoint> & { readonly size: number } {
    return this.#all;
  }

  /** Whether a socket has a port. */
  isPortTaken(port: number): boolean {
    return this.#context.table.onPort(port).length > 0;
  }

  /** Keeps a port from being chosen as ephemeral, once more for each call: somebody beside UDP uses it. */
  keepPort(port: number): void {
    this.#kept.set(port, (this.#kept.get(port) ?? 0) + 1);
    this.#reserved.add(port);
  }

  /** Undoes one `keepPort`. */
  unkeepPort(port: number): void {
    const count = (this.#kept.get(port) ?? 0) - 1;
    if (count > 0) {
      this.#kept.set(port, count);
      return;
    }
    this.#kept.delete(port);
    if (!this.options.reservedPorts.includes(port)) this.#reserved.delete(port);
  }

  /** Bytes in all receive queues. */
  get memoryBytes(): number {
    return this.#context.memoryBytes;
  }

  /** Other stacks share our addresses from now on. Set before the first socket. */
  setNeighbours(neighbours: UdpNeighbours): void {
    this.#neighbours = neighbours;
    this.#context.table.neighbours = neighbours;
  }

  /**
   * A socket, not yet bound.
   * @throws StackError ENOBUFS at the limit of sockets, and as `UdpEndpoint.setOptions`
   */
  createEndpoint(family: IpFamily, options: UdpSocketOptions = {}): UdpEndpoint {
    if (this.#all.size >= this.options.maxSockets) throw new StackError('ENOBUFS', 'socket');
    const endpoint = new UdpEndpoint(this.#context, this.#sender, family);
    endpoint.setOptions(options);
    this.#all.add(endpoint);
    return endpoint;
  }

  /**
   * Takes flows to any address that are for no socket.
   * @throws StackError ENOBUFS for one listener too many; ArgumentTypeError and the like for the options
   */
  listenAny(options: AnyUdpOptions, onFlow: (request: UdpFlowRequest) => void): AnyUdpListener {
    return this.#flows.listen(options, onFlow);
  }

  /** Whether sockets, or flows, have something to hear: a batch ends with `tell`. */
  get hasTouched(): boolean {
    return this.#touched.length > 0 || this.#told < this.#telling.length || this.#flows.hasNews;
  }

  /** Tells the owners of sockets and flows what has happened to them. One may throw: the others hear it the next time. */
  tell(): void {
    if (this.#told === this.#telling.length) {
      const told = this.#telling;
      told.length = 0;
      this.#telling = this.#touched;
      this.#touched = told;
      this.#told = 0;
    }
    while (this.#told < this.#telling.length) {
      const endpoint = this.#telling[this.#told++];
      const events = endpoint.takeEvents();
      if (events !== 0) endpoint.onEvents?.(events);
    }
    if (this.#flows.hasNews) this.#flows.tell();
  }

  /** Links take packets again: tells the sockets that were turned away. */
  linkWritable(): void {
    if (this.#awaiting.size === 0) return;
    for (const endpoint of this.#awaiting) endpoint.notify(UdpEvent.WRITABLE);
    this.#awaiting.clear();
  }

  /**
   * Searches from now on how large datagrams to the peer of a socket may be (RFC 8899), by probes of the protocol's
   * own; in place of an earlier search. ICMP is not believed, and what the socket sends is never fragmented.
   * The search begins with its `connected()`.
   * @throws StackError ENOTCONN while the socket is unconnected, ENETUNREACH and the like without a route;
   * ArgumentRangeError for sizes and times no search could work with
   */
  searchPathMtu(endpoint: UdpEndpoint, options: PathMtuSearchOptions): PathMtuSearch {
    const { remoteAddress, remotePort, localAddress, localPort } = endpoint;
    if (remoteAddress === undefined) throw new StackError('ENOTCONN', 'setsockopt');
    const path = this.#context.ip.resolve({
      destination: remoteAddress,
      source: localAddress,
      protocol: UDP_PROTOCOL,
      sourcePort: localPort,
      destinationPort: remotePort,
      mark: endpoint.options.mark,
      oif: endpoint.options.boundLink,
      onLoopback: false,
      trafficClass: endpoint.options.trafficClass & 0xfc,
      allowBroadcast: false,
    });
    if (path.unusable !== '') throw new StackError(path.unusable, 'setsockopt');
    const search = new PathMtuSearch(this.#searchHost, path, options);
    endpoint.search?.stop();
    endpoint.setOptions({ mtuDiscovery: 'probe' });
    endpoint.search = search;
    this.#searches.add(search);
    return search;
  }

  /** When `deadlineReached` has something to do, µs. */
  get nextDeadlineUs(): number {
    let next = this.#flows.nextDeadlineUs;
    for (const search of this.#searches) next = Math.min(next, search.nextDeadlineUs);
    return next;
  }

  /** Sends the probes that are due. */
  deadlineReached(nowUs: number): void {
    for (const search of this.#searches) if (search.nextDeadlineUs <= nowUs) search.deadlineReached();
    this.#flows.deadlineReached(nowUs);
  }

  /** The stack closes. @returns those whose `onClosed` is to hear when that is done */
  close(): readonly UdpEndpoint[] {
    const closed = [...this.#all];
    for (const endpoint of closed) endpoint.close();
    this.#flows.close();
    this.#touched.length = 0;
    return closed;
  }

  /** A packet whose payload is UDP. */
  input(packet: IpPacket): void {
    const { view, payloadAt, payloadBytes } = packet;
    const length = payloadBytes < UDP_HEADER_BYTES ? 0 : view.getUint16(payloadAt + 4);
    // A length of 0 would be a jumbogram's (RFC 2675), which are not supported.
    if (length < UDP_HEADER_BYTES || length > payloadBytes) {
      this.#drop(DropReason.UdpHeader);
      return;
    }
    if (isFromMany(packet)) {
      this.#drop(DropReason.UdpSource);
      return;
    }
    if (!this.#checksumHolds(packet, length)) {
      this.#stats.udp.inCsumErrors++;
      this.#drop(DropReason.UdpChecksum);
      return;
    }
    packet.payloadBytes = length;
    const ends = this.#ends;
    ends.setFrom(packet, view.getUint16(payloadAt), view.getUint16(payloadAt + 2));
    if (packet.isForeign) packet.isDeclined = !this.#flows.input(packet, ends.remotePort, ends.localPort);
    else if (packet.cast === Cast.Unicast) this.#deliverToOne(packet);
    else this.#deliverToMany(packet);
  }

  /** An ICMP error about a packet whose payload was UDP. */
  icmpError(error: DatagramIcmpError): void {
    const { quote } = error;
    if (quote.payloadBytes < 4) {
      this.#unmatched();
      return;
    }
    const ends = this.#ends;
    const sourcePort = quote.view.getUint16(quote.payloadAt);
    const destinationPort = quote.view.getUint16(quote.payloadAt + 2);
    ends.setFromQuote(quote, sourcePort, destinationPort);
    // What was sent from an address that is not ours is no socket's, be it bound to all addresses.
    const endpoint = error.reporter.isForeign ? undefined : this.#context.table.find(ends);
    if (endpoint === undefined) {
      if (!this.#flows.icmpError(error, sourcePort, destinationPort)) this.#unmatched();
      return;
    }
    if (error.kind === IcmpKind.PacketTooBig) this.#learnMtu(endpoint, error, destinationPort);
    endpoint.icmpError(error, destinationPort);
  }

  #deliverToMany(packet: IpPacket): void {
    const elsewhere = this.#neighbours?.copyDatagram(packet, this.#ends.localPort) ?? 0;
    if (this.#deliverToAll(packet) + elsewhere === 0) this.#noPort();
  }

  #deliverToOne(packet: IpPacket): void {
    const ends = this.#ends;
    const endpoint = ends.localPort === 0 ? undefined : this.#context.table.find(ends);
    if (endpoint === undefined) {
      if (this.#neighbours?.takeDatagram(packet, ends.localPort, ends.remotePort) === true) return;
      if (this.#flows.input(packet, ends.remotePort, ends.localPort)) return;
      this.#noPort();
      this.#context.ip.portUnreachable(packet);
      return;
    }
    this.#deliver(endpoint, packet);
  }

  /** Broadcast and multicast go to every socket that matches. @returns how many did */
  #deliverToAll(packet: IpPacket): number {
    const ends = this.#ends;
    const { table } = this.#context;
    const list = table.onPort(ends.localPort);
    let matched = 0;
    for (let i = 0; i < list.length; i++) {
      const endpoint = list[i];
      if (!table.matches(endpoint, ends)) continue;
      if (packet.cast === Cast.Multicast) {
        if (!endpoint.memberships.accepts(packet, endpoint.options.multicastAll)) continue;
      }
      matched++;
      this.#deliver(endpoint, packet);
    }
    return matched;
  }

  /** Hands over a datagram, or each datagram of a super-packet. */
  #deliver(endpoint: UdpEndpoint, packet: IpPacket): void {
    const at = packet.payloadAt + UDP_HEADER_BYTES;
    const bytes = packet.payloadBytes - UDP_HEADER_BYTES;
    const segmentSize = packet.segmentSize;
    if (segmentSize <= 0 || bytes <= segmentSize) {
      this.#deliverPiece(endpoint, packet, at, bytes);
      return;
    }
    for (let done = 0; done < bytes; done += segmentSize) {
      this.#deliverPiece(endpoint, packet, at + done, Math.min(segmentSize, bytes - done));
    }
  }

  #deliverPiece(endpoint: UdpEndpoint, packet: IpPacket, at: number, bytes: number): void {
    const { udp } = this.#stats;
    const ports = (this.#ends.remotePort << 16) | this.#ends.localPort;
    if (endpoint.deliver(packet, at, bytes, ports)) {
      udp.inDatagrams++;
    } else {
      udp.rcvbufErrors++;
      this.#drop(DropReason.UdpQueueFull);
    }
  }

  /** RFC 768: zero is "no checksum" over IPv4; over IPv6 only where a socket says so (RFC 6935 §5). */
  #checksumHolds(packet: IpPacket, length: number): boolean {
    const state = packet.checksum;
    if (state === ChecksumState.Partial) return true;
    if (packet.view.getUint16(packet.payloadAt + 6) === 0)
      return packet.version === 4 || this.#isOptedIn(packet);
    if (state !== ChecksumState.Unknown) return state === ChecksumState.Valid;
    return packetChecksumHolds(packet, length);
  }

  #isOptedIn(packet: IpPacket): boolean {
    const { view, payloadAt } = packet;
    if (packet.isForeign) return false;
    this.#ends.setFrom(packet, view.getUint16(payloadAt), view.getUint16(payloadAt + 2));
    return this.#context.table.find(this.#ends)?.options.noChecksum6Receive === true;
  }

  /** What one of our sockets sends to many, for the others. */
  #loopBack(packet: IpPacket): void {
    const { view, payloadAt } = packet;
    this.#ends.setFrom(packet, view.getUint16(payloadAt), view.getUint16(payloadAt + 2));
    this.#deliverToAll(packet);
  }

  /** A smaller path MTU is believed once the quoted ports are those of a socket. */
  #learnMtu(endpoint: UdpEndpoint, error: DatagramIcmpError, destinationPort: number): void {
    const { ip } = this.#context;
    const path = ip.resolve({
      destination: error.quote.destination(),
      source: error.quote.source(),
      protocol: UDP_PROTOCOL,
      sourcePort: endpoint.localPort,
      destinationPort,
      mark: endpoint.options.mark,
      oif: endpoint.options.boundLink,
      onLoopback: false,
      trafficClass: endpoint.options.trafficClass & 0xfc,
      allowBroadcast: false,
    });
    if (path.unusable === '') ip.tooBig(path, error);
  }

  #noPort(): void {
    this.#stats.udp.noPorts++;
    this.#stats.drop(DropReason.UdpNoSocket);
  }

  #unmatched(): void {
    this.#stats.icmp.inUnmatched++;
    this.#stats.drop(DropReason.IcmpNoSocket);
  }

  #drop(reason: DropReason): void {
    this.#stats.udp.inErrors++;
    this.#stats.drop(reason);
  }
}

/** RFC 1122 §4.1.3.6: no datagram comes from a group or from everybody. */
function isFromMany(packet: IpPacket): boolean {
  if (packet.version === 6) return packet.s0 >>> 24 === 0xff;
  return packet.s3 >>> 28 === 0xe || packet.s3 === -1;
}
