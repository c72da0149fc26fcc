/**
 * A DHCP client (RFC 2131 §4.4): gets an address for an Ethernet link of a stack, with routes, keeps it, and gives it
 * back. It speaks below the stack, which has no address yet.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';
import { StackError } from '../base/errors.js';
import { randomFraction } from '../base/random.js';
import type { EthernetLink } from '../ethernet/ethernet-link.js';
import { BROADCAST_MAC } from '../ethernet/mac-address.js';
import { ANY_V4, IpAddress, LIMITED_BROADCAST } from '../wire/ip-address.js';
import {
  checkClientOptions,
  type DhcpClientOptions,
  type DhcpClientState,
  DhcpClientStats,
  defaultClientId,
} from './client-options.js';
import { type DhcpLease, type ReadLease, readLease } from './lease.js';
import { LeaseConfiguration } from './lease-configuration.js';
import {
  CLIENT_PORT,
  type DhcpMessage,
  DhcpType,
  INFINITE_LEASE,
  DhcpOption as O,
  readDhcp,
  SERVER_PORT,
  writeDhcp,
} from './message.js';
import { addressBytes, addressIn, textBytes, uint16Bytes } from './option-values.js';
import { readUdp, writeUdp } from './udp-packet.js';

/** RFC 2131 §4.1: 4, 8, 16, 32, 64 s, each a second more or less. */
const FIRST_WAIT_US = 4_000_000;
const MAX_WAIT_US = 64_000_000;
/** Requests for an offered address before the search begins anew. */
const MAX_REQUESTS = 4;
/** RFC 2131 §4.4.5: no renewal is repeated sooner. */
const MIN_RENEW_WAIT_US = 60_000_000;
/** RFC 2131 §3.1 (5): so long a client waits after it declined an address. */
const DECLINE_WAIT_US = 10_000_000;
const MAX_MESSAGE_BYTES = 1472;
const WISHES = Uint8Array.of(
  O.SubnetMask,
  O.ClasslessRoutes,
  O.Router,
  O.DnsServers,
  O.Domain,
  O.SearchDomains,
  O.Mtu,
  O.Broadcast,
  O.RenewalTime,
  O.RebindingTime,
);

/** Gets and keeps an address by DHCP; begins at once. */
export class DhcpClient {
  /** What it has seen. */
  readonly stats = new DhcpClientStats();
  readonly #options: DhcpClientOptions;
  readonly #link: EthernetLink;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #unhook: () => void;
  readonly #clientId: Uint8Array;
  #state: DhcpClientState = 'selecting';
  #transaction = 0;
  /** When this search began, µs. */
  #beganUs = 0;
  /** When the last request went out, and the one that the lease in force answers: from then its times count, µs. */
  #requestedUs = 0;
  #boundUs = 0;
  #tries = 0;
  #wanted: IpAddress | undefined;
  /** The offer taken, then the lease in force. */
  #lease: ReadLease | undefined;
  readonly #configuration: LeaseConfiguration;

  /**
   * @throws StackError ENODEV where the link is in no stack, EADDRINUSE where it has a client; ArgumentTypeError,
   *   ArgumentRangeError
   */
  constructor(options: DhcpClientOptions) {
    const { link, clock, clientId, requestAddress } = options;
    if (link?.host === undefined) throw new StackError('ENODEV', 'dhcp', link?.name);
    checkClientOptions(options);
    this.#options = options;
    this.#link = link;
    this.#clock = clock;
    this.#clientId = clientId ?? defaultClientId(link);
    this.#configuration = new LeaseConfiguration(link, options);
    this.#wanted = requestAddress === undefined ? undefined : IpAddress.parse(requestAddress);
    this.#alarm = clock.createAlarm(() => this.#ring());
    // A lease alone does not keep a process alive.
    this.#alarm.unref?.();
    this.#unhook = link.hookUdp(CLIENT_PORT, (packet, isVerified) => this.#input(packet, isVerified));
    this.#begin();
  }

  /** Where it stands. */
  get state(): DhcpClientState {
    return this.#state;
  }

  /** The lease in force. */
  get lease(): DhcpLease | undefined {
    return this.#configuration.isApplied ? this.#lease?.description : undefined;
  }

  /** Asks its server for more time at once. Nothing happens without a lease. */
  renew(): void {
    if (this.#state === 'bound') this.#renew();
  }

  /** Gives the address back, and takes it from the stack. May be called twice. */
  close(): void {
    if (this.#state === 'released') return;
    const lease = this.#lease;
    if (this.#configuration.isApplied && lease !== undefined) {
      const options = new Map([[O.ServerId as number, addressBytes([lease.server])]]);
      this.#send(DhcpType.Release, { options, clientAddress: lease.prefix.address, isToServer: true });
    }
    this.#deconfigure();
    this.#state = 'released';
    this.#alarm.clear();
    this.#unhook();
  }

  // ---- in ---------------------------------------------------------------------------------------

  #input(packet: Uint8Array, isVerified: boolean): void {
    const udp = readUdp(packet, isVerified);
    const message = udp === undefined ? undefined : readDhcp(udp.payload);
    if (message === undefined) {
      this.stats.malformed++;
      return;
    }
    if (!this.#isForUs(message)) {
      this.stats.ignored++;
      return;
    }
    if (message.type === DhcpType.Offer && this.#state === 'selecting') this.#offered(message);
    else if (message.type === DhcpType.Ack && this.#isAsking) this.#acknowledged(message);
    else if (message.type === DhcpType.Nak && this.#isAsking) this.#refused(message);
    else this.stats.ignored++;
  }

  /** Whether a server is to answer for an address. */
  get #isAsking(): boolean {
    return this.#state === 'requesting' || this.#state === 'renewing' || this.#state === 'rebinding';
  }

  #isForUs(message: DhcpMessage): boolean {
    if (message.isRequest || message.transaction !== this.#transaction) return false;
    if (!message.mac.equals(this.#link.mac)) return false;
    // RFC 6842 §3: who echoes another client's identifier answers another client.
    const echoed = message.options.get(O.ClientId);
    return echoed === undefined || isSame(echoed, this.#clientId);
  }

  #offered(message: DhcpMessage): void {
    const offer = readLease(message);
    if (offer === undefined) {
      this.stats.malformed++;
      return;
    }
    this.stats.received++;
    this.#lease = offer;
    this.#state = 'requesting';
    this.#tries = 0;
    this.#request();
  }

  #acknowledged(message: DhcpMessage): void {
    const lease = readLease(message);
    const before = this.#lease;
    // RFC 2131 §4.4.5: it must be for the address that was asked for.
    if (lease === undefined || before === undefined || !lease.prefix.address.equals(before.prefix.address)) {
      this.stats.malformed++;
      return;
    }
    this.stats.received++;
    this.#lease = lease;
    if (this.#configuration.isApplied) {
      this.stats.renewals++;
      this.#bind(lease, before);
      return;
    }
    const { probeMs = 1000 } = this.#options;
    if (probeMs === 0) {
      this.#bind(lease, undefined);
      return;
    }
    this.#state = 'checking';
    this.#alarm.clear();
    this.#link.askFor(lease.prefix.address, probeMs, (mac) => {
      if (this.#state !== 'checking' || this.#lease !== lease) return;
      if (mac === undefined) this.#bind(lease, undefined);
      else this.#decline(lease);
    });
  }

  #refused(message: DhcpMessage): void {
    const server = addressIn(message, O.ServerId);
    const isOther = this.#state === 'requesting' && server?.equals(this.#lease?.server ?? ANY_V4) === false;
    if (isOther) {
      this.stats.ignored++;
      return;
    }
    this.stats.received++;
    this.stats.naks++;
    this.#lose('refused');
    this.#wanted = undefined;
    this.#begin();
  }

  #decline({ prefix, server }: ReadLease): void {
    this.stats.conflicts++;
    const options = new Map([
      [O.RequestedAddress as number, addressBytes([prefix.address])],
      [O.ServerId, addressBytes([server])],
      [O.Message, textBytes('address in use')],
    ]);
    this.#send(DhcpType.Decline, { options });
    this.#options.onLost?.('conflict');
    this.#lease = undefined;
    this.#wanted = undefined;
    this.#state = 'waiting';
    this.#alarm.setAt(this.#clock.nowUs() + DECLINE_WAIT_US);
  }

  // ---- configuration ----------------------------------------------------------------------------

  #bind(lease: ReadLease, before: ReadLease | undefined): void {
    const { description } = lease;
    if (before === undefined) this.stats.leases++;
    const hasChanged = JSON.stringify(before?.description) !== JSON.stringify(description);
    if (hasChanged) this.#configuration.apply(lease);
    this.#state = 'bound';
    this.#wanted = lease.prefix.address;
    this.#boundUs = this.#requestedUs;
    const { leaseSeconds, renewSeconds } = description;
    const renewUs = leaseSeconds === INFINITE_LEASE ? NEVER : this.#boundUs + renewSeconds * 1e6;
    if (renewUs === NEVER) this.#alarm.clear();
    else this.#alarm.setAt(renewUs);
    this.#options.onLease?.(description);
  }

  #deconfigure(): void {
    this.#configuration.clear();
    this.#lease = undefined;
  }

  #lose(reason: 'expired' | 'refused'): void {
    const had = this.#configuration.isApplied;
    this.#deconfigure();
    if (had) this.#options.onLost?.(reason);
  }

  // ---- out, and time ----------------------------------------------------------------------------

  /** Looks for servers. */
  #begin(): void {
    this.#state = 'selecting';
    this.#tries = 0;
    this.#transaction = this.#options.random.uint32();
    this.#beganUs = this.#clock.nowUs();
    // RFC 2131 §4.4.1: hosts that start together do not ask together.
    this.#alarm.setAt(this.#beganUs + randomFraction(this.#options.random) * 1e6);
  }

  #ring(): void {
    const nowUs = this.#clock.nowUs();
    if (this.#link.isClosed) return;
    switch (this.#state) {
      case 'selecting':
        this.#discover(nowUs);
        break;
      case 'requesting':
        if (this.#tries >= MAX_REQUESTS) this.#begin();
        else this.#request();
        break;
      case 'waiting':
        this.#begin();
        break;
      case 'bound':
        this.#renew();
        break;
      case 'renewing':
      case 'rebinding':
        this.#renewAgain(nowUs);
        break;
      default:
    }
  }

  #discover(nowUs: number): void {
    const options = new Map<number, Uint8Array>();
    if (this.#wanted !== undefined) options.set(O.RequestedAddress, addressBytes([this.#wanted]));
    this.#send(DhcpType.Discover, { options });
    this.#alarm.setAt(nowUs + this.#backoffUs());
  }

  /** RFC 2131 §4.3.2: asks the server whose offer it took; the others see that it was not theirs. */
  #request(): void {
    const lease = this.#lease;
    if (lease === undefined) return;
    const nowUs = this.#clock.nowUs();
    this.#requestedUs = nowUs;
    const options = new Map([
      [O.RequestedAddress as number, addressBytes([lease.prefix.address])],
      [O.ServerId, addressBytes([lease.server])],
    ]);
    this.#send(DhcpType.Request, { options });
    this.#alarm.setAt(nowUs + this.#backoffUs());
  }

  #backoffUs(): number {
    const waitUs = Math.min(FIRST_WAIT_US * 2 ** this.#tries++, MAX_WAIT_US);
    return waitUs + (2 * randomFraction(this.#options.random) - 1) * 1e6;
  }

  #renew(): void {
    this.#transaction = this.#options.random.uint32();
    this.#beganUs = this.#clock.nowUs();
    this.#state = 'renewing';
    this.#renewAgain(this.#beganUs);
  }

  /** RFC 2131 §4.4.5: its own server until T2, then any, until the lease is over. */
  #renewAgain(nowUs: number): void {
    const lease = this.#lease;
    if (lease === undefined) return;
    const { leaseSeconds, rebindSeconds } = lease.description;
    const baseUs = this.#boundUs;
    const endUs = baseUs + leaseSeconds * 1e6;
    const rebindUs = baseUs + rebindSeconds * 1e6;
    if (nowUs >= endUs) {
      this.stats.expirations++;
      this.#lose('expired');
      this.#begin();
      return;
    }
    if (nowUs >= rebindUs) this.#state = 'rebinding';
    const isToServer = this.#state === 'renewing';
    this.#requestedUs = nowUs;
    this.#send(DhcpType.Request, { options: new Map(), clientAddress: lease.prefix.address, isToServer });
    const untilUs = isToServer ? rebindUs : endUs;
    const waitUs = Math.max((untilUs - nowUs) / 2, MIN_RENEW_WAIT_US);
    this.#alarm.setAt(Math.min(untilUs, nowUs + waitUs));
  }

  #send(
    type: number,
    what: { options: Map<number, Uint8Array>; clientAddress?: IpAddress; isToServer?: boolean },
  ): void {
    const { options, clientAddress = ANY_V4, isToServer = false } = what;
    const { hostname } = this.#options;
    options.set(O.ClientId, this.#clientId);
    // RFC 2131 Table 5: those who give an address back say nothing else.
    if (type === DhcpType.Discover || type === DhcpType.Request) {
      options.set(O.MaxSize, uint16Bytes(Math.min(MAX_MESSAGE_BYTES, this.#link.mtu)));
      options.set(O.ParameterList, WISHES);
      if (hostname !== undefined) options.set(O.HostName, textBytes(hostname));
    }
    const payload = writeDhcp({
      isRequest: true,
      type,
      transaction: this.#transaction,
      seconds: Math.min(0xffff, Math.floor((this.#clock.nowUs() - this.#beganUs) / 1e6)),
      isBroadcast: false,
      clientAddress,
      yourAddress: ANY_V4,
      relay: ANY_V4,
      mac: this.#link.mac,
      options,
    });
    this.stats.sent++;
    const server = isToServer ? this.#lease?.server : undefined;
    const ports = { sourcePort: CLIENT_PORT, destinationPort: SERVER_PORT, payload };
    const destination = server ?? LIMITED_BROADCAST;
    const packet = writeUdp({ source: clientAddress, destination, ...ports });
    this.#link.sendIpv4(packet, server === undefined ? BROADCAST_MAC : this.#nextHop(server));
  }

  /** Where packets to the server go: to itself, or by the first router. */
  #nextHop(server: IpAddress): IpAddress {
    const lease = this.#lease;
    if (lease === undefined || lease.prefix.contains(server)) return server;
    return lease.routers[0] ?? server;
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
