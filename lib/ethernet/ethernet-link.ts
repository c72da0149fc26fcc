/**
 * A link of Ethernet frames: a TAP, a virtual machine's socket. It puts headers before the stack's packets and takes
 * them off what arrives, and finds neighbours by ARP (RFC 826) and neighbour discovery (RFC 4861), which the stack never
 * sees.
 */
import { ArgumentValueError, StackError } from '../base/errors.js';
import { Coalescer } from '../link/coalescer.js';
import type { LinkDevice } from '../link/link-device.js';
import type { LinkHost } from '../link/link-host.js';
import { MAX_PACKET_BYTES, PacketBatch } from '../link/packet-batch.js';
import { IpAddress, IpPrefix } from '../wire/ip-address.js';
import { type AddressConflict, AddressDetection } from './address-detection.js';
import { Arp } from './arp.js';
import { EthernetCounters } from './counters.js';
import {
  type EthernetLinkOptions,
  type EthernetSettings,
  resolveEthernetOptions,
} from './ethernet-options.js';
import { EtherType, headerBytesOf } from './frame.js';
import { FrameInput, type UdpHook } from './frame-input.js';
import { FrameOutput } from './frame-output.js';
import { eui64Identifiers, type InterfaceIdentifiers, stableIdentifiers } from './interface-identifier.js';
import { MacAddress } from './mac-address.js';
import { NeighborDiscovery } from './neighbor-discovery.js';
import type { NeighborDescription } from './neighbor-table.js';
import { Neighbors, type Solicitor } from './neighbors.js';
import { PacketRouter } from './packet-router.js';
import { RouterAdvertiser, type RouterAdvertiserOptions } from './router-advertiser.js';
import { type RouterDescription, RouterDiscovery } from './router-discovery.js';
import type { EthernetWire } from './wire.js';

const LINK_LOCAL = IpAddress.parse('fe80::');
const IPV6_MIN_MTU = 1280;
/** Link-local addresses tried before it goes without one (RFC 7217 §5 IDGEN_RETRIES). */
const MAX_LINK_LOCALS = 3;

/** A link of Ethernet frames, over whatever carries them. */
export class EthernetLink implements LinkDevice {
  readonly name: string;
  readonly mtu: number;
  readonly maxPacketBytes: number;
  readonly checksumOffload: boolean;
  readonly udpSegmentation: boolean;
  readonly gathers: boolean;
  readonly resolves = true;
  /** Its Ethernet address. */
  readonly mac: MacAddress;
  /** What passed, and what did not. */
  readonly counters = new EthernetCounters();
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  /** Called when somebody else has an address of ours. */
  onConflict: ((conflict: AddressConflict) => void) | undefined;
  readonly #settings: EthernetSettings;
  readonly #joins: boolean;
  readonly #frames: LinkDevice;
  readonly #output: FrameOutput;
  readonly #wire: EthernetWire;
  readonly #neighbors: Neighbors;
  readonly #detection: AddressDetection;
  readonly #arp: Arp;
  readonly #router: PacketRouter;
  readonly #discovery: NeighborDiscovery;
  readonly #identifiers: InterfaceIdentifiers;
  readonly #input: FrameInput;
  readonly #coalescer = new Coalescer();
  #joined: PacketBatch | undefined;
  #routers: RouterDiscovery | undefined;
  #advertiser: RouterAdvertiser | undefined;
  #host: LinkHost | undefined;
  /** The link-local address it has given itself, and how many it has tried. */
  #linkLocal: IpAddress | undefined;
  #linkLocalsTried = 0;
  #isClosed = false;
  #isReferenced = true;

  /** @throws TypeError for an unknown option, ArgumentTypeError, ArgumentRangeError, ArgumentValueError */
  constructor(options: EthernetLinkOptions) {
    const settings = resolveEthernetOptions(options);
    const { frames, clock, random, mac, mtu, vlan, secret } = settings;
    this.#settings = settings;
    this.#frames = frames;
    this.name = settings.name;
    this.mtu = mtu;
    const areFramesKnown = frames.framing === 'ethernet';
    this.checksumOffload = areFramesKnown && frames.checksumOffload;
    this.udpSegmentation = this.checksumOffload && frames.udpSegmentation === true;
    this.gathers = this.checksumOffload && frames.gathers === true;
    // Super-packets pass where the device below takes them.
    const most = frames.maxPacketBytes - headerBytesOf(vlan);
    const takesLarge = this.checksumOffload && frames.maxPacketBytes > frames.mtu;
    this.maxPacketBytes = takesLarge ? Math.min(most, MAX_PACKET_BYTES) : mtu;
    this.#joins = settings.coalesce && this.maxPacketBytes === mtu;
    this.mac = mac;
    this.#identifiers = secret === undefined ? eui64Identifiers(mac) : stableIdentifiers(secret, mac);
    const { counters } = this;
    this.#output = new FrameOutput(frames, {
      counters,
      mac,
      vlan,
      mtu,
      maxPacketBytes: this.maxPacketBytes,
      tick: () => this.#router.tick(),
      route: (batch, i, header) => this.#router.route(batch, i, header),
    });
    this.#output.onWritable = () => this.onWritable();
    this.#wire = this.#makeWire();
    this.#neighbors = new Neighbors(
      settings.neighborSettings,
      { clock, random, counters },
      this.#makeSolicitor(),
    );
    this.#detection = new AddressDetection(this.#wire, settings.detectionSettings);
    this.#detection.onConflict = (conflict) => this.#conflicted(conflict);
    this.#router = new PacketRouter(this.#wire, this.#neighbors);
    this.#arp = new Arp(this.#wire, this.#neighbors, this.#detection);
    this.#discovery = this.#makeDiscovery();
    this.#input = new FrameInput(this.#wire, {
      vlan,
      areFramesKnown,
      arp: this.#arp,
      discovery: this.#discovery,
    });
    frames.onWritable = () => this.#output.writable();
    frames.onDown = (error) => {
      this.#stop();
      this.onDown(error);
    };
  }

  // ---- what the stack asks of a link ------------------------------------------------------------

  attach(host: LinkHost): void {
    const { linkLocal = true, routerDiscovery = false } = this.#settings;
    if (this.#host !== undefined) throw new StackError('EBUSY', 'open', this.name);
    this.#host = host;
    this.#wire.host = host;
    if (this.mtu < IPV6_MIN_MTU) return;
    if (linkLocal) this.#addLinkLocal();
    if (routerDiscovery === false) return;
    this.#routers = new RouterDiscovery(this.#wire, routerDiscovery === true ? {} : routerDiscovery, {
      neighbors: this.#neighbors,
      identifiers: this.#identifiers,
      linkMtu: this.mtu,
    });
    if (!this.#isReferenced) this.#routers.unref();
  }

  addressAdded(address: IpAddress, probe: boolean | undefined): boolean {
    return this.#detection.added(address, probe);
  }

  addressRemoved(address: IpAddress): void {
    this.#detection.removed(address);
  }

  /** @throws ArgumentValueError where no stack has met it: what wraps an Ethernet goes around its frames */
  open(onBatch: (batch: PacketBatch) => void): void {
    if (this.#host === undefined) {
      throw new ArgumentValueError(
        `${this.name} is added to a stack itself: what wraps it goes around its frames`,
      );
    }
    this.#frames.open((batch) => this.#receive(batch, onBatch));
  }

  borrow(): PacketBatch | undefined {
    return this.#isClosed ? undefined : this.#output.borrow();
  }

  send(batch: PacketBatch): void {
    if (!this.#isClosed) this.#output.send(batch);
  }

  close(): void {
    this.#stop();
    // A device that has failed has to be closed as well.
    this.#frames.close();
  }

  ref(): void {
    this.#isReferenced = true;
    this.#frames.ref?.();
    for (const part of [this.#neighbors, this.#detection, this.#routers, this.#advertiser]) part?.ref();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#frames.unref?.();
    for (const part of [this.#neighbors, this.#detection, this.#routers, this.#advertiser]) part?.unref();
  }

  // ---- for its owner ----------------------------------------------------------------------------

  /** Neighbours known or asked for. */
  neighbors(): NeighborDescription[] {
    return this.#neighbors.describe();
  }

  /** Routers heard; none without the option `routerDiscovery`. */
  routers(): RouterDescription[] {
    return this.#routers?.routers() ?? [];
  }

  /**
   * Forgets a neighbour, which is asked for anew when it is needed.
   * @throws ArgumentTypeError, ArgumentValueError for what is no address
   */
  forgetNeighbor(address: string | IpAddress): void {
    this.#neighbors.forget(typeof address === 'string' ? IpAddress.parse(address) : address);
  }

  /**
   * Says that a neighbour was heard from, as progress of a connection through it proves (RFC 4861 §7.3.1).
   * @throws ArgumentTypeError, ArgumentValueError for what is no address
   */
  confirmNeighbor(address: string | IpAddress): void {
    this.#neighbors.confirm(typeof address === 'string' ? IpAddress.parse(address) : address);
  }

  /**
   * Becomes a router: sends router advertisements (RFC 4861 §6.2) until that is closed, and does not listen to those of
   * others meanwhile (RFC 4862 §5.5.3).
   * @throws StackError EBUSY where it does already, EINVAL below 1280 bytes of MTU; ArgumentTypeError,
   *   ArgumentRangeError, ArgumentValueError
   */
  advertise(options: RouterAdvertiserOptions = {}): RouterAdvertiser {
    if (this.#advertiser !== undefined) throw new StackError('EBUSY', 'advertise', this.name);
    if (this.mtu < IPV6_MIN_MTU) throw new StackError('EINVAL', 'advertise', this.name);
    const onClose = (): void => {
      this.#advertiser = undefined;
    };
    this.#advertiser = new RouterAdvertiser(this.#wire, options, { mtu: this.mtu, onClose });
    if (!this.#isReferenced) this.#advertiser.unref();
    return this.#advertiser;
  }

  // ---- for DHCP, which speaks before there are addresses ------------------------------------------

  /** The stack's side; undefined before it was added to one. @hidden */
  get host(): LinkHost | undefined {
    return this.#host;
  }

  /** @hidden */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Lets `hook` have IPv4 packets for a UDP port. @throws StackError EADDRINUSE @hidden */
  hookUdp(port: number, hook: UdpHook): () => void {
    const { udpHooks } = this.#input;
    if (udpHooks.has(port)) throw new StackError('EADDRINUSE', 'bind', this.name, port);
    udpHooks.set(port, hook);
    return () => {
      if (udpHooks.get(port) === hook) udpHooks.delete(port);
    };
  }

  /** Sends an IPv4 packet to an Ethernet address, or by way of a neighbour. @hidden */
  sendIpv4(packet: Uint8Array, to: MacAddress | IpAddress): void {
    if (this.#isClosed) return;
    if (to instanceof MacAddress) this.#output.sendOwn(to, EtherType.Ipv4, packet);
    else this.#sendResolved(to, packet);
  }

  /** Asks once by ARP whether somebody has an address. @hidden */
  askFor(address: IpAddress, waitMs: number, answer: (mac: MacAddress | undefined) => void): void {
    this.#detection.ask(address, waitMs, answer);
  }

  // ---- in ---------------------------------------------------------------------------------------

  #receive(batch: PacketBatch, onBatch: (batch: PacketBatch) => void): void {
    const kept = this.#input.keepPackets(batch);
    if (kept === 0 || this.#isClosed) return;
    this.counters.inPackets += kept;
    onBatch(this.#joins && kept > 1 ? this.#join(batch) : batch);
  }

  #join(batch: PacketBatch): PacketBatch {
    if (this.#joined === undefined || this.#joined.bytes.length < batch.bytes.length) {
      this.#joined = new PacketBatch(batch.limit, batch.bytes.length);
    }
    return this.#coalescer.coalesce(batch, this.#joined) ? this.#joined : batch;
  }

  // ---- out --------------------------------------------------------------------------------------

  /** Sends a packet of the link's own to an address on it. */
  #sendResolved(destination: IpAddress, packet: Uint8Array): void {
    const type = destination.family === 4 ? EtherType.Ipv4 : EtherType.Ipv6;
    const neighbor = this.#neighbors.get(destination) ?? this.#neighbors.add(destination);
    if (neighbor === undefined) return;
    this.#neighbors.tick();
    if (this.#neighbors.use(neighbor)) {
      this.#output.sendOwn(neighbor.mac, type, packet);
    } else {
      this.#neighbors.hold(neighbor, packet.slice());
    }
  }

  /** Nothing is sent or waited for any more; hosts it advertises to hear that, where they still can. */
  #stop(): void {
    if (this.#isClosed) return;
    this.#advertiser?.close();
    this.#isClosed = true;
    this.#routers?.close();
    this.#detection.close();
    this.#neighbors.close();
    this.#output.close();
    this.#input.udpHooks.clear();
  }

  // ---- parts ------------------------------------------------------------------------------------

  #makeWire(): EthernetWire {
    const { clock, random, proxied } = this.#settings;
    return {
      host: undefined,
      proxied,
      clock,
      random,
      mac: this.mac,
      counters: this.counters,
      sendFrame: (destination, etherType, payload) => {
        if (!this.#isClosed) this.#output.sendOwn(destination, etherType, payload);
      },
      sendNd: (packet, destination, mac) => {
        if (this.#isClosed) return;
        this.counters.ndOut++;
        const to = mac ?? (destination.isMulticast ? MacAddress.ofGroup(destination) : undefined);
        if (to === undefined) this.#sendResolved(destination, packet);
        else this.#output.sendOwn(to, EtherType.Ipv6, packet);
      },
    };
  }

  #makeSolicitor(): Solicitor {
    return {
      solicit: (neighbor, isUnicast) => {
        if (neighbor.address.family === 4) this.#arp.solicit(neighbor, isUnicast);
        else this.#discovery.solicit(neighbor, isUnicast);
      },
      release: (neighbor, packet) => {
        const type = packet[0] >> 4 === 4 ? EtherType.Ipv4 : EtherType.Ipv6;
        this.#output.sendOwn(neighbor.mac, type, packet);
      },
      unreachable: (packet) => this.#host?.unreachable(packet),
      changed: (neighbor, isGone) => this.#routers?.neighborChanged(neighbor.address, isGone),
      routerLeft: (neighbor) => this.#routers?.leave(neighbor.address),
    };
  }

  #makeDiscovery(): NeighborDiscovery {
    return new NeighborDiscovery(this.#wire, {
      neighbors: this.#neighbors,
      detection: this.#detection,
      routers: {
        isRouter: () => this.#advertiser !== undefined,
        solicitation: () => this.#advertiser?.hearSolicitation(),
        advertisement: (message) => {
          // RFC 4862 §5.5.3: whoever is a router makes itself no addresses.
          if (this.#advertiser === undefined) this.#routers?.advertised(message);
        },
      },
    });
  }

  #conflicted(conflict: AddressConflict): void {
    const { address, isLost } = conflict;
    if (isLost && !this.#isClosed) {
      if (this.#linkLocal?.equals(address) === true) this.#addLinkLocal();
      else this.#routers?.conflicted(address);
    }
    this.onConflict?.(conflict);
  }

  /** RFC 4862 §5.3; another where somebody has the first, and identifiers allow for it (RFC 7217 §5). */
  #addLinkLocal(): void {
    this.#linkLocal = undefined;
    while (this.#linkLocal === undefined && this.#linkLocalsTried < MAX_LINK_LOCALS) {
      const address = this.#identifiers.addressIn(LINK_LOCAL, this.#linkLocalsTried++);
      if (address === undefined) continue;
      try {
        this.#host?.addAddress(new IpPrefix(address, 64), { noPrefixRoute: true });
        this.#linkLocal = address;
      } catch (error) {
        // Its owner has given it by hand, or the stack has no room for more addresses.
        if (!(error instanceof StackError)) throw error;
        return;
      }
    }
  }
}
