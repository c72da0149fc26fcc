/**
 * A UDP socket (RFC 768): where it is bound and connected, what waits to be received, what it may do.
 *
 * UDP sends as fast as it is asked to: not to congest a path is up to the application (RFC 8085 §3.1),
 * which is why it can read and set ECN and DSCP here. Checksums stay on across the Internet (§3.4).
 */
import { StackError } from '../base/errors.js';
import { ANY_V4, ANY_V6, type IpAddress, type IpFamily } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { type DatagramIcmpError, type DatagramPath, IcmpKind } from './carrier.js';
import type { UdpContext } from './context.js';
import { Datagram, type DatagramError, UdpEvent } from './datagram.js';
import { DATAGRAM_OVERHEAD, DatagramQueue } from './datagram-queue.js';
import type { DatagramData, DatagramSender, UdpSendOptions } from './datagram-sender.js';
import type { TableEntry } from './endpoint-table.js';
import { Memberships } from './memberships.js';
import { checkPort, checkSocketOptions, DEFAULT_SOCKET_OPTIONS, type UdpSocketOptions } from './options.js';
import { PathCache } from './path-cache.js';
import type { PathMtuSearch } from './path-mtu-search.js';
import { SocketErrors, verdictOf } from './socket-errors.js';

const NO_OPTIONS: UdpSendOptions = Object.freeze({});

/** A UDP socket, for those who do not want Node's: made by `Stack.openUdp`. */
export class UdpEndpoint implements TableEntry {
  /** @internal See `Roster`. */
  rosterPlace = -1;
  /** With 6 it takes IPv4 too, unless `v6Only` is set. */
  readonly family: IpFamily;
  /** Unspecified until bound to an address. */
  localAddress: IpAddress;
  /** 0 until bound. */
  localPort = 0;
  remoteAddress: IpAddress | undefined = undefined;
  remotePort = 0;
  /** Hears, at the end of the turn, bits of `UdpEvent`. */
  onEvents: ((events: number) => void) | undefined = undefined;
  /** Called when the stack has been closed, and this with it. */
  onClosed: (() => void) | undefined = undefined;
  /** Joined multicast groups. */
  readonly memberships: Memberships;
  /** @internal See `UdpLayer.searchPathMtu`. */
  search: PathMtuSearch | undefined = undefined;
  /** @internal Paths of what was sent lately. */
  readonly paths = new PathCache();
  /** Datagrams received. */
  received = 0;
  /** Datagrams sent; segments of one call count as one. */
  sent = 0;
  /** Datagrams dropped because the queue was full. */
  dropped = 0;
  readonly #context: UdpContext;
  readonly #sender: DatagramSender;
  readonly #queue: DatagramQueue;
  readonly #errors: SocketErrors;
  readonly #datagram = new Datagram();
  #options: Readonly<Required<UdpSocketOptions>> = DEFAULT_SOCKET_OPTIONS;
  /** Where `bind` put it; `disconnect` goes back there. */
  #boundAddress: IpAddress;
  #isBoundToMany = false;
  #events = 0;
  #closed = false;

  /** @internal Use `UdpLayer.createEndpoint`. */
  constructor(context: UdpContext, sender: DatagramSender, family: IpFamily) {
    this.#context = context;
    this.#sender = sender;
    this.family = family;
    this.localAddress = family === 4 ? ANY_V4 : ANY_V6;
    this.#boundAddress = this.localAddress;
    this.#queue = new DatagramQueue(context.options.receiveBufferBytes, context.addresses);
    this.#errors = new SocketErrors(context.options.errorQueue);
    this.memberships = new Memberships(context.ip, context.options);
  }

  /** The options in force. */
  get options(): Readonly<Required<UdpSocketOptions>> {
    return this.#options;
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Whether it has one peer only. */
  get isConnected(): boolean {
    return this.remoteAddress !== undefined;
  }

  get isDual(): boolean {
    return this.family === 6 && !this.#options.v6Only;
  }

  get boundLink(): number {
    return this.#options.boundLink;
  }

  get sharesPort(): boolean {
    return this.#options.reusePort;
  }

  get sharesAddress(): boolean {
    return this.#options.reuseAddress;
  }

  /** Whether `bind` put it on a group's or a broadcast address: nothing is sent from there. */
  get isBoundToMany(): boolean {
    return this.#isBoundToMany;
  }

  /** Datagrams that wait. */
  get queuedDatagrams(): number {
    return this.#queue.count;
  }

  /** Bytes of them, with overhead. */
  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** Entries for which the error queue had no room. */
  get errorsDropped(): number {
    return this.#errors.dropped;
  }

  /** Most bytes that may wait, with overhead. */
  get receiveBufferBytes(): number {
    return this.#queue.limitBytes;
  }

  /** Payload bytes of the next datagram; 0 when none waits. */
  get nextBytes(): number {
    return this.#queue.nextBytes;
  }

  /**
   * Changes options, from now on.
   * @throws TypeError, ArgumentTypeError, ArgumentRangeError; StackError EINVAL for `v6Only` once bound
   */
  setOptions(options: UdpSocketOptions): void {
    this.#mustBeOpen('setsockopt');
    checkSocketOptions(options);
    const { v6Only, boundLink } = options;
    const isBound = this.localPort !== 0;
    if (isBound && v6Only !== undefined && v6Only !== this.#options.v6Only) {
      throw new StackError('EINVAL', 'setsockopt');
    }
    if (isBound && boundLink !== undefined) this.#context.table.remove(this);
    this.#options = Object.freeze({ ...this.#options, ...options });
    if (isBound && boundLink !== undefined) this.#context.table.add(this);
    if (options.receiveBufferBytes !== undefined && options.receiveBufferBytes > 0) {
      this.#queue.limitBytes = Math.min(
        options.receiveBufferBytes,
        this.#context.options.maxReceiveBufferBytes,
      );
    }
    this.paths.clear();
  }

  /**
   * Binds it to an address of ours (all, when absent) and a port (a random free one, for 0; RFC 6056).
   * @throws StackError EINVAL when bound already, EADDRNOTAVAIL, EADDRINUSE, EAFNOSUPPORT
   */
  bind(address: IpAddress = this.localAddress, port = 0): void {
    this.#mustBeOpen('bind');
    checkPort(port);
    const fail = (code: string): StackError => new StackError(code, 'bind', address.toString(), port);
    if (this.localPort !== 0) throw fail('EINVAL');
    if (address.family !== this.family && this.family === 4) throw fail('EAFNOSUPPORT');
    if (address.family !== this.family && this.#options.v6Only) throw fail('EINVAL');
    const { ip, table } = this.#context;
    const isOne = address.isUnspecified || ip.isLocal(address);
    const isMany = address.isMulticast || address.isLimitedBroadcast || ip.isBroadcast(address);
    if (!isOne && !isMany) throw fail('EADDRNOTAVAIL');
    const chosen = port === 0 ? this.#freePort(address) : port;
    if (chosen === 0 || !table.isFree(this, address, chosen)) throw fail('EADDRINUSE');
    this.localAddress = address;
    this.#boundAddress = address;
    this.#isBoundToMany = !isOne;
    this.localPort = chosen;
    table.add(this);
  }

  /**
   * Sends to and receives from one peer only, from now on. Binds it where it is not bound.
   * @throws StackError ENETUNREACH and the like, EACCES for broadcast without permission, EINVAL for port 0
   */
  connect(address: IpAddress, port: number): void {
    this.#mustBeOpen('connect');
    checkPort(port);
    const fail = (code: string): StackError => new StackError(code, 'connect', address.toString(), port);
    if (port === 0) throw fail('EINVAL');
    this.#checkFamily(address, fail);
    if (this.localPort === 0) this.#bindAnywhere(fail);
    const source = this.#boundAddress;
    const path = this.#context.ip.resolve({
      destination: address,
      ...(source.isUnspecified || this.isBoundToMany ? {} : { source }),
      protocol: 17,
      sourcePort: this.localPort,
      destinationPort: port,
      mark: this.#options.mark,
      oif: this.#options.boundLink || (address.isMulticast ? Math.max(this.#options.multicastLink, 0) : 0),
      onLoopback: address.isMulticast && this.#options.multicastLink === 0,
      trafficClass: this.#options.trafficClass & 0xfc,
      allowBroadcast: this.#options.broadcast,
    });
    if (path.unusable !== '') throw fail(path.unusable);
    this.#move(source.isUnspecified ? path.source : source, path.destination, port);
  }

  /** Takes datagrams from anyone again. @throws StackError ENOTCONN when it is not connected */
  disconnect(): void {
    this.#mustBeOpen('connect');
    if (this.remoteAddress === undefined) throw new StackError('ENOTCONN', 'connect');
    this.#move(this.#boundAddress, undefined, 0);
  }

  /**
   * Sends a datagram, or several of `segmentSize` bytes. What was given is copied before this returns.
   * @returns false when the link is full: nothing was sent, and WRITABLE follows
   * @throws StackError the error that waits (`ECONNREFUSED` …), which is then told; `EDESTADDRREQ`
   * without a destination, `EMSGSIZE`, `EACCES` for broadcast without permission, `ENETUNREACH` …; argument errors
   */
  send(data: DatagramData, options: UdpSendOptions = NO_OPTIONS): boolean {
    this.#mustBeOpen('send');
    const waiting = this.#errors.take('send');
    if (waiting !== undefined) throw waiting;
    const destination = options.destination ?? this.remoteAddress;
    if (destination === undefined) throw new StackError('EDESTADDRREQ', 'send');
    const port = options.port ?? this.remotePort;
    checkPort(port);
    if (port === 0) throw new StackError('EINVAL', 'send', destination.toString(), port);
    if (this.#isOtherFamily(destination) || this.localPort === 0) this.#prepare(destination, port);
    const sent = this.#sender.send(this, destination, data, options);
    if (sent) this.sent++;
    return sent;
  }

  /**
   * The oldest datagram, lent until the next call; undefined when none waits.
   * @throws StackError the error that waits, which is then told
   */
  receive(): Datagram | undefined {
    const waiting = this.#errors.take('recvmsg');
    if (waiting !== undefined) throw waiting;
    this.#context.memoryBytes -= this.#queue.release();
    return this.#queue.shift(this.#datagram) ? this.#datagram : undefined;
  }

  /**
   * As `receive`, but copies the payload to the start of `target`. What does not fit is lost, and
   * `truncated` says so.
   */
  receiveInto(target: Uint8Array): Datagram | undefined {
    const datagram = this.receive();
    if (datagram === undefined) return undefined;
    const fits = Math.min(datagram.length, target.length);
    target.set(datagram.bytes.subarray(datagram.at, datagram.at + fits));
    datagram.truncated = fits < datagram.length;
    datagram.bytes = target;
    datagram.at = 0;
    datagram.length = fits;
    return datagram;
  }

  /** The error that waits, which is then told; for owners who do not want `receive` to throw. */
  takeError(syscall = 'recvmsg'): StackError | undefined {
    return this.#errors.take(syscall);
  }

  /** The oldest entry of the error queue, kept while `receiveErrors` is set. */
  takeErrorEntry(): DatagramError | undefined {
    return this.#errors.shift();
  }

  /** What has happened since the last call, as bits of `UdpEvent`. */
  takeEvents(): number {
    const events = this.#events;
    this.#events = 0;
    return events;
  }

  /** Gives up port, groups and what waits. May be called twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.localPort !== 0) this.#context.table.remove(this);
    this.search?.stop();
    this.memberships.leaveAll();
    this.#context.memoryBytes -= this.#queue.bytes;
    this.#queue.clear();
    this.#errors.clear();
    this.paths.clear();
    this.#events = 0;
    this.#context.closed(this);
  }

  /**
   * @internal Takes `length` bytes at `at` of a packet into the queue.
   * @returns false when there is no room
   */
  deliver(packet: IpPacket, at: number, length: number, ports: number): boolean {
    const context = this.#context;
    const cost = length + DATAGRAM_OVERHEAD;
    if (!this.#queue.hasRoom(length) || context.memoryBytes + cost > context.options.memoryBytes) {
      this.dropped++;
      return false;
    }
    this.#queue.push(packet, at, length, ports);
    context.memoryBytes += cost;
    this.received++;
    this.notify(UdpEvent.READABLE);
    return true;
  }

  /** @internal A datagram of ours met an error on its way (RFC 1122 §4.1.3.3). */
  icmpError(error: DatagramIcmpError, destinationPort: number): void {
    if (error.kind === IcmpKind.PacketTooBig) this.search?.packetTooBig(error);
    const { code, isHard } = verdictOf(error, this.#options.mtuDiscovery !== 'dont');
    if (this.#options.receiveErrors) {
      this.#errors.pushIcmp(code, error, destinationPort);
    } else if (!isHard || !this.isConnected) {
      return;
    }
    this.#errors.setPending(code);
    this.notify(UdpEvent.ERROR);
  }

  /** @internal A datagram was refused here for its size: the error queue says what would have passed. */
  tooLong(path: DatagramPath, destinationPort: number): void {
    if (!this.#options.receiveErrors) return;
    this.#errors.push({
      code: 'EMSGSIZE',
      origin: 'local',
      icmpType: 0,
      icmpCode: 0,
      mtu: path.mtu,
      destination: path.destination,
      destinationPort,
    });
    this.notify(UdpEvent.ERROR);
  }

  /** @internal */
  notify(event: number): void {
    if (this.#closed) return;
    if (this.#events === 0) this.#context.touch(this);
    this.#events |= event;
  }

  #mustBeOpen(syscall: string): void {
    if (this.#closed) throw new StackError('EBADF', syscall);
  }

  /** Changes both ends, and the place in the table with them. */
  #move(local: IpAddress, remote: IpAddress | undefined, remotePort: number): void {
    this.#context.table.remove(this);
    this.localAddress = local;
    this.remoteAddress = remote;
    this.remotePort = remotePort;
    this.#context.table.add(this);
    this.paths.clear();
  }

  #freePort(address: IpAddress): number {
    const { table, options, reserved } = this.#context;
    return table.freePort(this, address, options.ephemeralPorts, reserved);
  }

  /** A port of its own where none was asked for. */
  #bindAnywhere(fail: (code: string) => StackError): void {
    const port = this.#freePort(this.localAddress);
    if (port === 0) throw fail('EAGAIN');
    this.localPort = port;
    this.#context.table.add(this);
  }

  #prepare(destination: IpAddress, port: number): void {
    const fail = (code: string): StackError => new StackError(code, 'send', destination.toString(), port);
    this.#checkFamily(destination, fail);
    if (this.localPort === 0) this.#bindAnywhere(fail);
  }

  #isOtherFamily(address: IpAddress): boolean {
    return (
      address.family !== this.family ||
      (address.family !== this.localAddress.family && !this.localAddress.isUnspecified)
    );
  }

  /** A socket of IPv4 has no IPv6; one of IPv6 has IPv4 unless it is `v6Only` or bound otherwise. */
  #checkFamily(address: IpAddress, fail: (code: string) => StackError): void {
    if (address.family !== this.family && this.family === 4) throw fail('EAFNOSUPPORT');
    if (address.family !== this.family && this.#options.v6Only) throw fail('ENETUNREACH');
    const local = this.#boundAddress;
    if (!local.isUnspecified && local.family !== address.family) throw fail('ENETUNREACH');
  }
}
