/**
 * A stack: the one place where clock, links, IP, TCP and UDP meet. It takes a batch of packets, lets
 * every layer do its work, and flushes once what became due.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError, StackError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import { StackStats } from '../base/stats.js';
import { IpLayer } from '../ip/ip-layer.js';
import type { Routing } from '../ip/routing.js';
import { Segmenter } from '../link/gso.js';
import type { LinkDevice } from '../link/link-device.js';
import { LoopbackDevice } from '../link/loopback.js';
import type { PacketBatch } from '../link/packet-batch.js';
import { congestionMaker } from '../tcp/congestion/registry.js';
import { MemoryAccount } from '../tcp/memory.js';
import { Observers } from '../tcp/observer.js';
import { resolveTcpLayerOptions } from '../tcp/options.js';
import { TcpLayer } from '../tcp/tcp-layer.js';
import type { UdpFlowRequest } from '../udp/flow.js';
import type { AnyUdpListener } from '../udp/flow-listener.js';
import type { AnyUdpOptions } from '../udp/flow-options.js';
import type { UdpSocketOptions } from '../udp/options.js';
import type { UdpEndpoint } from '../udp/udp-endpoint.js';
import type { UdpLayer } from '../udp/udp-layer.js';
import type { IpFamily } from '../wire/ip-address.js';
import { IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import { AnyEcho, type AnyEchoListener, type AnyEchoOptions, type PingRequest } from './any-echo.js';
import { type AnyTcpListener, type AnyTcpOptions, listenAnyTcp, type TcpRequest } from './any-tcp.js';
import { connectTcp, listenTcp } from './connect.js';
import { addDefaultRoutes } from './default-routes.js';
import { type DnsSettings, resolveDnsOptions } from './dns-options.js';
import { createLinkHost } from './link-host.js';
import { LinkPort } from './link-port.js';
import type { ConnectOptions, LinkOptions, ListenOptions, StackOptions } from './options.js';
import { ProcessHold } from './process-hold.js';
import { type BindOptions, TcpBinding } from './tcp-binding.js';
import { TcpCarrier } from './tcp-carrier.js';
import type { EndpointHost, TcpEndpoint } from './tcp-endpoint.js';
import type { TcpListenerEndpoint } from './tcp-listener-endpoint.js';
import { TcpTransport } from './tcp-transport.js';
import { createUdp } from './udp-carrier.js';

/** An alarm that rings later than this, µs, lets the links be read first: what arrived may matter to it. */
const LATE_US = 20_000;

export type { ConnectOptions, LinkOptions, ListenOptions, StackOptions };

/**
 * A private TCP/IP stack. It has links, addresses, ports and routes of its own, beside a loopback with index
 * 0 and name `lo`.
 */
export class Stack implements EndpointHost {
  /** Counters of everything that passed, or did not. */
  readonly stats = new StackStats();
  /** Its addresses. */
  readonly ip: IpLayer;
  /** TCP, for what is built on the stack. @hidden */
  readonly tcp: TcpLayer;
  /** UDP, for what is built on the stack. @hidden */
  readonly udp: UdpLayer;
  /** The clock it was given. */
  readonly clock: Clock;
  /** What `stack.dns` works by: the option `dns` with its defaults. */
  readonly dnsSettings: DnsSettings;
  /** A field that everybody can look at would show what keys were made of. */
  readonly #random: Random;
  readonly #alarm: Alarm;
  readonly #hold: ProcessHold;
  readonly #ports: LinkPort[] = [];
  readonly #packet = new IpPacket();
  readonly #collecting = (): void => this.schedule();
  /** Inside `receive`, `ring` or `flush`: what is scheduled now is done before the turn ends. */
  #inTurn = false;
  /** Whether the turn, or the last one, came to its end. */
  #isFlushed = true;
  /** When the turn began: the time of all that is sent in it, µs. */
  #turnUs = 0;
  #isClosed = false;
  #echo: AnyEcho | undefined;
  /** What the alarm is set to, µs. */
  #alarmUs = NEVER;
  #deferred = false;

  /** @throws ArgumentTypeError, ArgumentRangeError, ArgumentValueError, TypeError for options that are wrong */
  constructor(options: StackOptions) {
    const { clock, random } = options;
    this.clock = clock;
    this.#random = random;
    this.dnsSettings = resolveDnsOptions(options.dns);
    this.#alarm = clock.createAlarm(() => this.#ring());
    this.#hold = new ProcessHold(clock, this.#alarm, this.#ports);
    this.ip = new IpLayer({
      random,
      clock,
      stats: this.stats,
      segmenter: new Segmenter(),
      ...(options.ip === undefined ? {} : { options: options.ip }),
    });
    const carrier = new TcpCarrier(this.ip);
    const tcpOptions = resolveTcpLayerOptions(options.tcp);
    this.tcp = new TcpLayer({
      random,
      stats: this.stats,
      carrier,
      options: tcpOptions,
      memory: new MemoryAccount(this.stats.tcp, tcpOptions.memoryPressureBytes, tcpOptions.memoryMaxBytes),
      congestion: (name) => congestionMaker(name, random),
      observers: options.probe && new Observers(options.probe, () => clock.nowUs()),
    });
    this.ip.setTransport(Protocol.Tcp, new TcpTransport(this.tcp, this.ip, this.stats));
    const wake = this.#collecting;
    this.udp = createUdp({ random, clock, wake, stats: this.stats, ip: this.ip, options: options.udp });
    this.addLink(new LoopbackDevice({ clock }));
  }

  /** The time of its clock, µs. */
  nowUs(): number {
    return this.clock.nowUs();
  }

  /** The time of the turn, which is what is sent in it says; outside of turns as `nowUs`. @hidden */
  turnUs(): number {
    return this.#inTurn ? this.#turnUs : this.nowUs();
  }

  // ---- links and routes -------------------------------------------------------------------------

  /**
   * Adds a link and opens it. @returns its index, by which routes and rules name it
   * @throws ArgumentValueError for an address that is none, and for a device whose packets are Ethernet frames
   */
  addLink(device: LinkDevice, options: LinkOptions = {}): number {
    if (device === null || typeof device !== 'object')
      throw new ArgumentTypeError('a link must be a LinkDevice');
    if (device.framing === 'ethernet')
      throw new ArgumentValueError(`${device.name} carries frames: put an EthernetLink around it`);
    const index = this.#ports.length;
    const port = new LinkPort(index, device, this.#collecting);
    this.#ports.push(port);
    this.ip.addPort(port);
    if (options.ip !== undefined) this.ip.setLinkOptions(index, options.ip);
    device.attach?.(createLinkHost(this.ip, index, this.clock));
    for (const address of options.addresses ?? []) this.ip.addAddress(index, address);
    if (options.defaultRoute === true) addDefaultRoutes(this.routing, index, options.addresses ?? []);
    device.onWritable = () => this.#writable();
    device.onDown = (error) => this.#down(port, error);
    device.open((batch) => this.#receive(port, batch));
    if (!this.#hold.isHeld) device.unref?.();
    return index;
  }

  /** The randomness it was given. */
  get random(): Random {
    return this.#random;
  }

  /** Rules and tables, as `ip rule` and `ip route` know them. */
  get routing(): Routing {
    return this.ip.routing;
  }

  // ---- endpoints --------------------------------------------------------------------------------

  /**
   * Takes a local address and port, to listen there or to connect from there later.
   * @throws as `listenTcp`
   */
  bindTcp(options: BindOptions): TcpBinding {
    this.#checkOpen('bind');
    return new TcpBinding(this, options);
  }

  /**
   * Listens on a port.
   * @throws StackError EADDRINUSE, EADDRNOTAVAIL; ArgumentRangeError for a port out of range or no link
   */
  listenTcp(options: ListenOptions): TcpListenerEndpoint {
    this.#checkOpen('listen');
    if (options.link !== undefined && options.link !== -1) this.#checkLink(options.link);
    return listenTcp(this, options);
  }

  /**
   * Begins a connection; the endpoint's handler hears how it goes. One to its own address and port connects
   * to itself, by a simultaneous open, as on Linux.
   * @throws StackError EADDRNOTAVAIL, EADDRINUSE, ENETUNREACH, EHOSTUNREACH, EINVAL where a link is needed, ENOBUFS
   *   where there is no room for `data`; ArgumentRangeError
   */
  connectTcp(options: ConnectOptions): TcpEndpoint {
    this.#checkOpen('connect');
    if (options.link !== undefined) this.#checkLink(options.link);
    // No later than its SYN says, which leaves with the others of the turn.
    return connectTcp(this, options, this.turnUs());
  }

  /**
   * Asks `onRequest` about every connection that is begun to any address and port, as far as the filter in `options`
   * goes, before anything is answered. It is called within the stack's turn; several listeners are asked in turn.
   * @throws StackError ENETDOWN; ArgumentTypeError, ArgumentRangeError, ArgumentValueError
   */
  listenAnyTcp(options: AnyTcpOptions, onRequest: (request: TcpRequest) => void): AnyTcpListener {
    this.#checkOpen('listen');
    if (options?.link !== undefined) this.#checkLink(options.link);
    return listenAnyTcp(this, options, onRequest);
  }

  /**
   * A UDP endpoint, not yet bound. With family 6 it takes IPv4 too, unless `ipv6Only` is set.
   * @throws StackError ENOBUFS at the limit of sockets; ArgumentTypeError and the like for the options
   */
  openUdp(family: IpFamily, options: UdpSocketOptions = {}): UdpEndpoint {
    this.#checkOpen('socket');
    return this.udp.createEndpoint(family, options);
  }

  /**
   * Takes UDP flows to any address and port that passes the filter and is no socket's: `onFlow` hears of each at the
   * end of the turn its first datagram came in, and accepts, rejects or ignores it, then or later.
   * @throws StackError ENOBUFS for the 65th listener; ArgumentTypeError and the like for the options
   */
  listenAnyUdp(options: AnyUdpOptions, onFlow: (request: UdpFlowRequest) => void): AnyUdpListener {
    this.#checkOpen('listen');
    if (options?.link !== undefined) this.#checkLink(options.link);
    return this.udp.listenAny(options, onFlow);
  }

  /**
   * Takes echo requests (ping) to any address that passes the filter: answers or drops them, or asks `onRequest`
   * about each, which may answer later. Those to the stack's own addresses it answers itself, unless told not to.
   * @throws StackError ENOBUFS for the 65th listener; ArgumentTypeError and the like for the options
   */
  listenAnyEcho(options: AnyEchoOptions, onRequest?: (request: PingRequest) => void): AnyEchoListener {
    this.#checkOpen('listen');
    if (options?.link !== undefined) this.#checkLink(options.link);
    this.#echo ??= new AnyEcho(this);
    return this.#echo.listen(options, onRequest);
  }

  // ---- the host process -------------------------------------------------------------------------

  /** Keeps the host process alive, as each socket and server does; raw endpoints leave it to their owner. */
  hold(): void {
    this.#hold.hold();
  }

  /** Undoes one `hold`. */
  release(): void {
    this.#hold.release();
  }

  /** Ends everything: connections are reset, sockets and servers closed, links too. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.tcp.any.closeAll(this.nowUs());
    const closed = [...this.tcp.closeListeners(), ...this.udp.close()];
    for (const entry of this.tcp.entries()) this.tcp.abort(entry);
    this.#echo?.close();
    this.#flush(this.nowUs());
    this.tcp.abandon();
    this.#isClosed = true;
    this.#hold.end();
    for (const port of this.#ports) port.device.close();
    for (const owner of closed) owner.onClosed?.();
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  #checkOpen(syscall: string): void {
    if (this.#isClosed) throw new StackError('ENETDOWN', syscall);
  }

  #checkLink(link: number): number {
    if (this.#ports[link]) return link;
    throw new ArgumentRangeError(`there is no link ${link}`);
  }

  // ---- the turn ---------------------------------------------------------------------------------

  /** A batch came in: every packet is processed, then everything due is flushed once. */
  #receive(port: LinkPort, batch: PacketBatch): void {
    if (this.#isClosed) return;
    const nowUs = this.nowUs();
    const packet = this.#packet;
    const { drops } = this.stats;
    this.#beginTurn(nowUs);
    try {
      const { count } = batch;
      for (let i = 0; i < count; i++) {
        packet.aim(batch.bytes, batch.view, batch.offset(i), batch.length(i));
        packet.link = port.index;
        packet.checksum = batch.checksum(i);
        packet.segmentSize = batch.segmentSize(i);
        packet.mark = batch.mark(i);
        packet.nowUs = nowUs;
        drops.last = 0;
        this.ip.input(packet);
        if (drops.last !== 0) batch.setVerdict(i, drops.last);
      }
      this.#flush(nowUs);
    } finally {
      this.#endTurn();
    }
  }

  #beginTurn(nowUs: number): void {
    this.#turnUs = nowUs;
    this.#inTurn = true;
    this.#isFlushed = false;
  }

  /** What a turn did not come to, since somebody who was told something threw, is done in the next. */
  #endTurn(): void {
    this.#inTurn = false;
    if (!this.#isFlushed) this.schedule();
  }

  /**
   * Something waits to be sent or told: at the end of this turn, or as soon as the caller is done.
   * @hidden
   */
  schedule(): void {
    this.#holdForOrphans();
    if (this.#inTurn || this.#isClosed) return;
    this.#setAlarm(this.nowUs());
  }

  #holdForOrphans(): void {
    const holds = !this.#isClosed && this.tcp.unfinished > 0;
    if (this.#hold.holdForOrphans(holds)) this.onUnfinished?.(holds);
  }

  #ring(): void {
    if (this.#isClosed) return;
    const nowUs = this.nowUs();
    // After a stall, packets that wait in the links are older than the deadlines that passed meanwhile.
    if (nowUs - this.#alarmUs > LATE_US && !this.#deferred) {
      this.#deferred = true;
      this.#setAlarm(nowUs);
      return;
    }
    this.#deferred = false;
    this.#alarmUs = NEVER;
    this.#beginTurn(nowUs);
    try {
      this.ip.deadlineReached(nowUs);
      this.tcp.deadlineReached(nowUs);
      this.udp.deadlineReached(nowUs);
      this.#flush(nowUs);
    } finally {
      this.#endTurn();
    }
  }

  #flush(nowUs: number): void {
    this.tcp.flush(nowUs);
    if (this.udp.hasTouched) {
      this.udp.tell();
      // What its owners did to TCP leaves in the same turn.
      if (this.tcp.hasWork) this.tcp.flush(nowUs);
    }
    for (const port of this.#ports) port.flush();
    this.#holdForOrphans();
    const due =
      this.tcp.hasWork || this.udp.hasTouched
        ? nowUs
        : Math.min(this.tcp.nextDeadlineUs, this.ip.nextDeadlineUs, this.udp.nextDeadlineUs);
    this.#setAlarm(due);
    this.#isFlushed = true;
  }

  #setAlarm(deadlineUs: number): void {
    if (deadlineUs === this.#alarmUs && deadlineUs !== NEVER) return;
    this.#alarmUs = deadlineUs;
    if (deadlineUs === NEVER) this.#alarm.clear();
    else this.#alarm.setAt(deadlineUs);
  }

  #writable(): void {
    this.tcp.unblock();
    this.udp.linkWritable();
    this.schedule();
  }

  #down(port: LinkPort, error: Error): void {
    port.down();
    this.ip.portChanged();
    this.onLinkDown?.(port.device, error);
  }

  /** Told whether connections that nobody has any more still have something to deliver. @hidden */
  onUnfinished: ((isUnfinished: boolean) => void) | undefined;

  /** Called when a link has failed for good. Connections over it time out or are closed by their owners. */
  onLinkDown: ((device: LinkDevice, error: Error) => void) | undefined;
}
