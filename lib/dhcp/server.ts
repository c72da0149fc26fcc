/**
 * A DHCP server (RFC 2131 §4.3) for the hosts of an Ethernet link: a pool, kept addresses, a look around by ARP before an
 * address is offered. Relay agents are not served, and DHCPv6 is not spoken: IPv6 hosts make their own addresses
 * (`EthernetLink.advertise`).
 */
import type { Clock } from '../base/clock.js';
import { NEVER } from '../base/clock.js';
import { StackError } from '../base/errors.js';
import type { EthernetLink } from '../ethernet/ethernet-link.js';
import { BROADCAST_MAC, MacAddress } from '../ethernet/mac-address.js';
import { ANY_V4, IpAddress, LIMITED_BROADCAST } from '../wire/ip-address.js';
import { describeLease, type Lease, LeaseTable } from './lease-table.js';
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
import { addressBytes, addressIn, textIn, uint32Bytes, uint32In } from './option-values.js';
import {
  type DhcpServerOptions,
  DhcpServerStats,
  resolveServerOptions,
  type ServedLease,
  type ServerSettings,
} from './server-options.js';
import { readUdp, type UdpPacket, writeUdp } from './udp-packet.js';

/** How long an address is kept for a client that was offered it, µs. */
const OFFER_US = 60_000_000;
/** Clients whose address is being looked for by ARP at one time. */
const MAX_PROBES = 256;
/** What every client takes, bytes (RFC 2131 §2), and what of that is no options: headers, fixed fields, cookie. */
const MIN_MESSAGE_BYTES = 576;
const FIRST_BYTES = 28 + 236 + 4;
/** Longer names for a client, or of a host, are not read. */
const MAX_NAME_BYTES = 255;

/** Lends addresses to the hosts of a link; begins at once. */
export class DhcpServer {
  /** What it has seen. */
  readonly stats = new DhcpServerStats();
  readonly #options: DhcpServerOptions;
  readonly #settings: ServerSettings;
  readonly #link: EthernetLink;
  readonly #clock: Clock;
  readonly #table: LeaseTable;
  readonly #unhook: () => void;
  /** Clients whose address is being looked for. */
  readonly #probing = new Set<string>();
  #isClosed = false;

  /**
   * @throws StackError ENODEV where the link is in no stack, EADDRINUSE where it has a server; ArgumentTypeError,
   *   ArgumentRangeError, ArgumentValueError
   */
  constructor(options: DhcpServerOptions) {
    this.#settings = resolveServerOptions(options);
    const { link, clock, leases = [] } = options;
    if (link.host === undefined) throw new StackError('ENODEV', 'dhcp', link.name);
    this.#options = options;
    this.#link = link;
    this.#clock = clock;
    this.#table = new LeaseTable(this.#settings, (address) => link.host?.owns(address) === true);
    for (const lease of leases) this.#restore(lease);
    this.#unhook = link.hookUdp(SERVER_PORT, (packet, isVerified) => this.#input(packet, isVerified));
  }

  /** Leases in force. */
  leases(): ServedLease[] {
    return this.#table.list(this.#clock.nowUs());
  }

  /** Stops; leases stay in force for who has them. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unhook();
    this.#probing.clear();
  }

  #restore({ address, client, mac, hostname, secondsLeft }: ServedLease): void {
    const parsed = IpAddress.tryParse(address);
    const nowUs = this.#clock.nowUs();
    if (parsed === undefined || !(secondsLeft > 0) || !this.#table.isFreeFor(parsed, client, nowUs)) return;
    const untilUs = this.#untilUs(secondsLeft);
    this.#table.set({
      address: parsed,
      client,
      mac: MacAddress.parse(mac),
      hostname,
      isBound: true,
      untilUs,
    });
  }

  #untilUs(seconds: number): number {
    return seconds === INFINITE_LEASE ? NEVER : this.#clock.nowUs() + seconds * 1e6;
  }

  // ---- in ---------------------------------------------------------------------------------------

  /** @returns false for what is on its way to another server, through us */
  #input(packet: Uint8Array, isVerified: boolean): boolean {
    const udp = readUdp(packet, isVerified);
    if (udp !== undefined && !this.#isForUs(udp.destination)) return false;
    this.#read(udp);
    return true;
  }

  #isForUs(destination: IpAddress): boolean {
    const { prefix } = this.#settings;
    const isToAll = destination.isLimitedBroadcast || prefix.broadcast?.equals(destination) === true;
    return isToAll || destination.equals(prefix.address) || this.#link.host?.owns(destination) === true;
  }

  #read(udp: UdpPacket | undefined): void {
    const message = udp === undefined ? undefined : readDhcp(udp.payload);
    if (message === undefined || !isSound(message)) {
      this.stats.malformed++;
      return;
    }
    // Whoever relays would have to be answered beyond this link.
    if (!message.relay.isUnspecified) {
      this.stats.ignored++;
      return;
    }
    switch (message.type) {
      case DhcpType.Discover:
        this.#discovered(message);
        break;
      case DhcpType.Request:
        this.#requested(message);
        break;
      case DhcpType.Decline:
        this.#declined(message);
        break;
      case DhcpType.Release:
        this.#released(message);
        break;
      case DhcpType.Inform:
        this.#informed(message);
        break;
      default:
        this.stats.malformed++;
    }
  }

  #discovered(message: DhcpMessage): void {
    this.stats.discovers++;
    const client = this.#clientOf(message);
    const nowUs = this.#clock.nowUs();
    if (this.#probing.has(client)) return;
    const address = this.#table.choose(client, addressIn(message, O.RequestedAddress), nowUs);
    if (address === undefined) {
      this.stats.poolExhausted++;
      return;
    }
    const known = this.#table.at(address);
    // An address this client has needs no look around: the client itself would answer.
    const isKnown = known?.client === client && known.untilUs > nowUs;
    if (isKnown || this.#settings.probeMs === 0) this.#offer(message, address);
    else this.#probe(message, address);
  }

  /** RFC 2131 §3.1 (2): looks for somebody who has the address already. */
  #probe(message: DhcpMessage, address: IpAddress): void {
    const client = this.#clientOf(message);
    if (this.#probing.size >= MAX_PROBES) {
      this.stats.ignored++;
      return;
    }
    this.#probing.add(client);
    // Meanwhile nobody else is offered it.
    this.#hold(message, address);
    this.#link.askFor(address, this.#settings.probeMs, (mac) => {
      if (!this.#probing.delete(client) || this.#isClosed) return;
      if (mac === undefined || mac.equals(message.mac)) {
        this.#offer(message, address);
        return;
      }
      this.stats.conflicts++;
      this.#forbid(address);
    });
  }

  #hold(message: DhcpMessage, address: IpAddress): void {
    const client = this.#clientOf(message);
    const known = this.#table.at(address);
    const nowUs = this.#clock.nowUs();
    if (known?.client === client && known.untilUs > nowUs) return;
    const untilUs = nowUs + OFFER_US;
    this.#table.set({ address, client, mac: message.mac, hostname: undefined, isBound: false, untilUs });
  }

  #offer(message: DhcpMessage, address: IpAddress): void {
    this.#hold(message, address);
    this.stats.offers++;
    this.#answer(message, DhcpType.Offer, address);
  }

  /** RFC 2131 §4.3.2: which of four things it is, its fields say. */
  #requested(message: DhcpMessage): void {
    this.stats.requests++;
    const server = addressIn(message, O.ServerId);
    const wish = addressIn(message, O.RequestedAddress);
    const client = this.#clientOf(message);
    if (server !== undefined && !server.equals(this.#settings.prefix.address)) {
      // Another server's offer was taken; what was offered here is free again.
      const offered = this.#table.ofClient(client);
      if (offered?.isBound === false) this.#table.remove(offered);
      this.stats.ignored++;
      return;
    }
    const address = message.clientAddress.isUnspecified ? wish : message.clientAddress;
    const nowUs = this.#clock.nowUs();
    const lease = address === undefined ? undefined : this.#table.at(address);
    const isTheirs = lease?.client === client && (lease.isBound || lease.untilUs > nowUs);
    if (address !== undefined && isTheirs && this.#table.isFreeFor(address, client, nowUs)) {
      this.#bind(message, address);
    } else if (server !== undefined || address === undefined || this.#knowsBetter(message, address)) {
      this.#refuse(message);
    } else {
      this.stats.ignored++;
    }
  }

  /**
   * Whether a client that was not lent an address here must be told that it cannot have it (RFC 2131 §4.3.2). Where
   * another server may have lent it, only who has lent it to somebody else may say so: silence is a MUST otherwise.
   */
  #knowsBetter(message: DhcpMessage, address: IpAddress): boolean {
    const { prefix, authoritative } = this.#settings;
    if (authoritative) return true;
    // INIT-REBOOT on the wrong network; who renews may have its address from a server of another network on this link.
    if (!prefix.contains(address)) return message.clientAddress.isUnspecified;
    const lease = this.#table.at(address);
    return lease?.isBound === true && lease.untilUs > this.#clock.nowUs();
  }

  #bind(message: DhcpMessage, address: IpAddress): void {
    const client = this.#clientOf(message);
    const said = textIn(message, O.HostName);
    const isName = said !== undefined && said.length <= MAX_NAME_BYTES;
    const hostname = isName ? said : this.#table.at(address)?.hostname;
    const untilUs = this.#untilUs(this.#settings.leaseSeconds);
    const lease = { address, client, mac: message.mac, hostname, isBound: true, untilUs };
    this.#table.set(lease);
    this.stats.acks++;
    this.#answer(message, DhcpType.Ack, address);
    this.#tell(lease);
  }

  #refuse(message: DhcpMessage): void {
    this.stats.naks++;
    this.#answer(message, DhcpType.Nak, ANY_V4);
  }

  /** RFC 2131 §4.3.3: somebody has the address who was not lent it. */
  #declined(message: DhcpMessage): void {
    this.stats.declines++;
    const address = addressIn(message, O.RequestedAddress);
    const lease = address === undefined ? undefined : this.#table.at(address);
    if (lease === undefined || lease.client !== this.#clientOf(message)) {
      this.stats.ignored++;
      return;
    }
    this.#forbid(lease.address);
    if (lease.isBound) this.#end(lease);
  }

  #released(message: DhcpMessage): void {
    this.stats.releases++;
    const lease = this.#table.at(message.clientAddress);
    if (lease?.isBound !== true || lease.client !== this.#clientOf(message)) {
      this.stats.ignored++;
      return;
    }
    // The entry stays, so that the client may have the address again.
    this.#end(lease);
  }

  #end(lease: Lease): void {
    lease.isBound = false;
    lease.untilUs = this.#clock.nowUs();
    this.#tell(lease);
  }

  /** RFC 2131 §4.3.5: it has an address, and wants to know the rest. */
  #informed(message: DhcpMessage): void {
    this.stats.informs++;
    if (!this.#settings.prefix.contains(message.clientAddress)) {
      this.stats.ignored++;
      return;
    }
    this.stats.acks++;
    this.#answer(message, DhcpType.Ack, ANY_V4);
  }

  #forbid(address: IpAddress): void {
    const untilUs = this.#untilUs(this.#settings.declineSeconds);
    this.#table.set({ address, client: '', mac: undefined, hostname: undefined, isBound: false, untilUs });
  }

  #tell(lease: Lease): void {
    this.#options.onLease?.(describeLease(lease, this.#clock.nowUs()));
  }

  /** A client is its identifier, or its Ethernet address where it has none (RFC 2131 §4.2); kept ones by either. */
  #clientOf(message: DhcpMessage): string {
    const mac = message.mac.toString();
    const id = message.options.get(O.ClientId);
    if (this.#settings.statics.has(mac) || id === undefined || id.length < 2) return mac;
    return Array.from(id, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  // ---- out --------------------------------------------------------------------------------------

  #answer(message: DhcpMessage, type: number, address: IpAddress): void {
    const { prefix } = this.#settings;
    const payload = writeDhcp({
      isRequest: false,
      type,
      transaction: message.transaction,
      seconds: 0,
      isBroadcast: message.isBroadcast,
      clientAddress: type === DhcpType.Nak ? ANY_V4 : message.clientAddress,
      yourAddress: address,
      relay: ANY_V4,
      mac: message.mac,
      options: this.#optionsFor(message, type, address),
    });
    // RFC 2131 §4.1: to the address it has; else to everybody, if it must be; else to the one it will have.
    const has = message.clientAddress;
    const toAll = type === DhcpType.Nak || (has.isUnspecified && message.isBroadcast);
    const destination = toAll ? LIMITED_BROADCAST : has.isUnspecified ? address : has;
    const ports = { sourcePort: SERVER_PORT, destinationPort: CLIENT_PORT, payload };
    this.#link.sendIpv4(
      writeUdp({ source: prefix.address, destination, ...ports }),
      toAll ? BROADCAST_MAC : message.mac,
    );
  }

  #optionsFor(message: DhcpMessage, type: number, address: IpAddress): Map<number, Uint8Array> {
    const { prefix, leaseSeconds, told } = this.#settings;
    const options = new Map<number, Uint8Array>();
    options.set(O.ServerId, addressBytes([prefix.address]));
    const id = message.options.get(O.ClientId);
    // RFC 6842 §3.
    if (id !== undefined) options.set(O.ClientId, id);
    if (type === DhcpType.Nak) return options;
    // RFC 2131 §4.3.5: who only informs is lent nothing.
    if (!address.isUnspecified) {
      options.set(O.LeaseTime, uint32Bytes(leaseSeconds));
      if (leaseSeconds !== INFINITE_LEASE) {
        options.set(O.RenewalTime, uint32Bytes(Math.floor(leaseSeconds / 2)));
        options.set(O.RebindingTime, uint32Bytes(Math.floor((leaseSeconds * 7) / 8)));
      }
    }
    this.#addTold(options, message, told);
    return options;
  }

  /** What the client asked for, or all where it did not say, as far as there is room in its messages. */
  #addTold(
    options: Map<number, Uint8Array>,
    message: DhcpMessage,
    told: ReadonlyMap<number, Uint8Array>,
  ): void {
    const wishes = message.options.get(O.ParameterList);
    const taken = Math.max(MIN_MESSAGE_BYTES, uint32Or16(message) ?? 0);
    // Nothing is fragmented: who gets the first fragment has no address for the second.
    const most = Math.min(taken, this.#link.mtu) - FIRST_BYTES;
    // The type of the message, and the end of the options.
    let bytes = 3 + 1;
    for (const { length } of options.values()) bytes += length + 2;
    for (const [code, value] of told) {
      const size = value.length + 2 * Math.max(1, Math.ceil(value.length / 255));
      const isWished = wishes === undefined || wishes.includes(code) || code === O.SubnetMask;
      if (!isWished || bytes + size > most) continue;
      options.set(code, value);
      bytes += size;
    }
  }
}

/** Whether a client sent it, and can be told from others and answered. */
const isSound = ({ isRequest, mac, options }: DhcpMessage): boolean =>
  isRequest && !mac.isGroup && !mac.isZero && (options.get(O.ClientId)?.length ?? 0) <= MAX_NAME_BYTES;

/** The largest message a client takes (RFC 2132 §9.10), which some say in four bytes. */
const uint32Or16 = (message: DhcpMessage): number | undefined => {
  const bytes = message.options.get(O.MaxSize);
  if (bytes?.length === 2) return (bytes[0] << 8) | bytes[1];
  return uint32In(message, O.MaxSize);
};
