/**
 * A DHCP client (RFC 2131 §4.4): gets an address for an Ethernet link of a stack, with routes, keeps it, and gives it
 * back. It speaks below the stack, which has no address yet.
 */
import type { Alarm, Clock } from '../base/clock.js';
import { StackError } from '../base/errors.js';
import { randomFraction } from '../base/random.js';
import type { EthernetLink } from '../ethernet/ethernet-link.js';
import { ANY_V4, type IpAddress } from '../wire/ip-address.js';
import {
  type ClientSettings,
  type DhcpClientOptions,
  type DhcpClientState,
  DhcpClientStats,
  resolveClientOptions,
} from './client-options.js';
import { type ClientMessage, ClientSender } from './client-sender.js';
import { type DhcpLease, type ReadLease, readLease } from './lease.js';
import { LeaseConfiguration } from './lease-configuration.js';
import {
  CLIENT_PORT,
  type DhcpMessage,
  DhcpType,
  INFINITE_LEASE,
  DhcpOption as O,
  readDhcp,
} from './message.js';
import { addressBytes, addressIn, textBytes } from './option-values.js';
import { readUdp } from './udp-packet.js';

/** RFC 2131 §4.1: 4, 8, 16, 32, 64 s, each a second more or less. */
const FIRST_WAIT_US = 4_000_000;
const MAX_WAIT_US = 64_000_000;
/** Requests for an offered address before the search begins anew, and for the one it had before. */
const MAX_REQUESTS = 4;
const MAX_REBOOT_REQUESTS = 2;
/** RFC 2131 §4.4.5: no renewal is repeated sooner. */
const MIN_RENEW_WAIT_US = 60_000_000;
/** RFC 2131 §3.1 (5): so long a client waits after it declined an address, or could not use it. */
const DECLINE_WAIT_US = 10_000_000;

/** Gets and keeps an address by DHCP; begins at once. */
export class DhcpClient {
  /** What it has seen. */
  readonly stats = new DhcpClientStats();
  readonly #settings: ClientSettings;
  readonly #link: EthernetLink;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #sender: ClientSender;
  readonly #configuration: LeaseConfiguration;
  readonly #unhook: () => void;
  #state: DhcpClientState = 'selecting';
  #transaction = 0;
  /** When this search, or this renewal, began, µs. */
  #beganUs = 0;
  /** When the last request went out, and the one that the lease in force answers: from then its times count, µs. */
  #requestedUs = 0;
  #boundUs = 0;
  #tries = 0;
  /** Refusals since the last lease. */
  #refusals = 0;
  #wanted: IpAddress | undefined;
  /** The offer taken, then the lease in force. */
  #lease: ReadLease | undefined;

  /**
   * @throws StackError ENODEV where the link is in no stack, EADDRINUSE where it has a client; ArgumentTypeError,
   *   ArgumentRangeError, ArgumentValueError
   */
  constructor(options: DhcpClientOptions) {
    const settings = resolveClientOptions(options);
    const { link, clock } = settings;
    if (link.host === undefined) throw new StackError('ENODEV', 'dhcp', link.name);
    this.#settings = settings;
    this.#link = link;
    this.#clock = clock;
    this.#sender = new ClientSender(link, settings.clientId, settings.hostname);
    this.#configuration = new LeaseConfiguration(link, settings);
    this.#wanted = settings.wanted;
    this.#alarm = clock.createAlarm(() => this.#ring());
    // A lease alone does not keep a process alive.
    this.#alarm.unref?.();
    this.#unhook = link.hookUdp(CLIENT_PORT, (packet, isVerified) => {
      this.#input(packet, isVerified);
      return true;
    });
    this.#begin(this.#wanted === undefined ? 'selecting' : 'rebooting');
  }

  /** Where it stands. */
  get state(): DhcpClientState {
    return this.#state;
  }

  /** The lease in force. */
  get lease(): DhcpLease | undefined {
    return this.#configuration.isApplied ? this.#lease?.description : undefined;
  }

  /** Asks for more time at once: its server, or any after T2. Nothing happens without a lease. */
  renew(): void {
    if (this.#state === 'bound') this.#renew();
    else if (this.#configuration.isApplied) this.#renewAgain(this.#clock.nowUs());
  }

  /** Gives the address back, and takes it from the stack. May be called twice. */
  close(): void {
    if (this.#state === 'released') return;
    const lease = this.#lease;
    if (this.#configuration.isApplied && lease !== undefined) {
      const options = [[O.ServerId, addressBytes([lease.server])]] as const;
      this.#send(DhcpType.Release, { options, lease, isToServer: true });
    }
    this.#configuration.clear();
    this.#lease = undefined;
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
    else if (message.type === DhcpType.Ack && this.#asked !== undefined) this.#acknowledged(message);
    else if (message.type === DhcpType.Nak && this.#asked !== undefined) this.#refused(message);
    else this.stats.ignored++;
  }

  /** The address for which a server is to answer now. */
  get #asked(): IpAddress | undefined {
    const state = this.#state;
    if (state === 'rebooting') return this.#wanted;
    const isAsking = state === 'requesting' || state === 'renewing' || state === 'rebinding';
    return isAsking ? this.#lease?.prefix.address : undefined;
  }

  #isForUs(message: DhcpMessage): boolean {
    if (message.isRequest || message.transaction !== this.#transaction) return false;
    if (!message.mac.equals(this.#link.mac)) return false;
    // RFC 6842 §3: who echoes another client's identifier answers another client.
    const echoed = message.options.get(O.ClientId);
    return echoed === undefined || isSame(echoed, this.#settings.clientId);
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
    this.#request(offer.prefix.address, offer.server);
  }

  #acknowledged(message: DhcpMessage): void {
    const lease = readLease(message);
    // RFC 2131 §4.4.5: it must be for the address that was asked for.
    if (lease === undefined || this.#asked?.equals(lease.prefix.address) !== true) {
      this.stats.malformed++;
      return;
    }
    this.stats.received++;
    const before = this.#lease;
    this.#lease = lease;
    if (this.#configuration.isApplied) {
      this.stats.renewals++;
      this.#bind(lease, before);
      return;
    }
    const { probeMs } = this.#settings;
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
    this.#refusals++;
    // A server that knows nothing of the address it had before may lend it all the same.
    if (this.#state !== 'rebooting') this.#wanted = undefined;
    this.#startAnew('refused');
  }

  #decline(lease: ReadLease): void {
    this.stats.conflicts++;
    this.#send(DhcpType.Decline, {
      options: [
        [O.RequestedAddress, addressBytes([lease.prefix.address])],
        [O.ServerId, addressBytes([lease.server])],
        [O.Message, textBytes('address in use')],
      ],
    });
    this.#wait();
    this.#settings.onLost?.('conflict');
  }

  /** Looks for another address, but not at once. */
  #wait(): void {
    this.#lease = undefined;
    this.#wanted = undefined;
    this.#state = 'waiting';
    this.#alarm.setAt(this.#clock.nowUs() + DECLINE_WAIT_US);
  }

  // ---- configuration ----------------------------------------------------------------------------

  #bind(lease: ReadLease, before: ReadLease | undefined): void {
    const { description } = lease;
    const hasChanged = JSON.stringify(before?.description) !== JSON.stringify(description);
    if (hasChanged && !this.#configuration.apply(lease)) {
      this.stats.unusable++;
      this.#wait();
      return;
    }
    if (before === undefined) this.stats.leases++;
    this.#state = 'bound';
    this.#refusals = 0;
    this.#wanted = lease.prefix.address;
    this.#boundUs = this.#requestedUs;
    const { leaseSeconds, renewSeconds } = description;
    if (leaseSeconds === INFINITE_LEASE) this.#alarm.clear();
    else this.#alarm.setAt(this.#boundUs + renewSeconds * 1e6);
    this.#settings.onLease?.(description);
  }

  /** Takes away what there is of a lease, and looks for another. */
  #startAnew(reason: 'expired' | 'refused'): void {
    const had = this.#configuration.isApplied;
    this.#configuration.clear();
    this.#begin('selecting');
    // Told last: whoever hears it may close the client.
    if (had) this.#settings.onLost?.(reason);
  }

  // ---- out, and time ----------------------------------------------------------------------------

  /** Looks for servers, or asks them for the address it had before (RFC 2131 §4.4.2). */
  #begin(state: 'selecting' | 'rebooting'): void {
    this.#state = state;
    this.#lease = undefined;
    this.#tries = 0;
    this.#transaction = this.#settings.random.uint32();
    this.#beganUs = this.#clock.nowUs();
    // RFC 2131 §4.4.1: hosts that start together do not ask together. Who is refused again and again asks less often.
    const mostUs = Math.min(1e6 * 2 ** this.#refusals, MAX_WAIT_US);
    this.#alarm.setAt(this.#beganUs + randomFraction(this.#settings.random) * mostUs);
  }

  #ring(): void {
    if (this.#link.isClosed) return;
    switch (this.#state) {
      case 'rebooting':
      case 'requesting':
        this.#requestAgain();
        break;
      case 'selecting':
        this.#discover();
        break;
      case 'waiting':
        this.#begin('selecting');
        break;
      case 'bound':
        this.#renew();
        break;
      case 'renewing':
      case 'rebinding':
        this.#renewAgain(this.#clock.nowUs());
        break;
      default:
    }
  }

  #discover(): void {
    const wanted = this.#wanted;
    this.#send(DhcpType.Discover, {
      options: wanted === undefined ? [] : [[O.RequestedAddress, addressBytes([wanted])]],
    });
    this.#alarm.setAt(this.#clock.nowUs() + this.#backoffUs());
  }

  #requestAgain(): void {
    const asked = this.#asked;
    const most = this.#state === 'rebooting' ? MAX_REBOOT_REQUESTS : MAX_REQUESTS;
    if (asked === undefined || this.#tries >= most) this.#begin('selecting');
    else this.#request(asked, this.#lease?.server);
  }

  /** RFC 2131 §4.3.2: asks the server whose offer it took, and the others see that it was not theirs; or all. */
  #request(address: IpAddress, server: IpAddress | undefined): void {
    this.#requestedUs = this.#clock.nowUs();
    const wish = [O.RequestedAddress, addressBytes([address])] as const;
    this.#send(DhcpType.Request, {
      options: server === undefined ? [wish] : [wish, [O.ServerId, addressBytes([server])]],
    });
    this.#alarm.setAt(this.#requestedUs + this.#backoffUs());
  }

  #backoffUs(): number {
    const waitUs = Math.min(FIRST_WAIT_US * 2 ** this.#tries++, MAX_WAIT_US);
    return waitUs + (2 * randomFraction(this.#settings.random) - 1) * 1e6;
  }

  #renew(): void {
    this.#transaction = this.#settings.random.uint32();
    this.#beganUs = this.#clock.nowUs();
    this.#state = 'renewing';
    this.#renewAgain(this.#beganUs);
  }

  /** RFC 2131 §4.4.5: its own server until T2, then any, until the lease is over. */
  #renewAgain(nowUs: number): void {
    const lease = this.#lease;
    if (lease === undefined) return;
    const { leaseSeconds, rebindSeconds } = lease.description;
    const endUs = this.#boundUs + leaseSeconds * 1e6;
    const rebindUs = this.#boundUs + rebindSeconds * 1e6;
    if (nowUs >= endUs) {
      this.stats.expirations++;
      this.#startAnew('expired');
      return;
    }
    if (nowUs >= rebindUs) this.#state = 'rebinding';
    const isToServer = this.#state === 'renewing';
    this.#requestedUs = nowUs;
    this.#send(DhcpType.Request, { lease, isToServer });
    const untilUs = isToServer ? rebindUs : endUs;
    const waitUs = Math.max((untilUs - nowUs) / 2, MIN_RENEW_WAIT_US);
    this.#alarm.setAt(Math.min(untilUs, nowUs + waitUs));
  }

  #send(type: number, what: Omit<ClientMessage, 'transaction' | 'seconds'>): void {
    const seconds = (this.#clock.nowUs() - this.#beganUs) / 1e6;
    this.stats.sent++;
    this.#sender.send(type, { ...what, transaction: this.#transaction, seconds });
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
