/** Neighbour discovery for IPv6 (RFC 4861 §7): answers solicitations, believes advertisements within its rules. */
import type { IpAddress } from '../wire/ip-address.js';
import { IpAddress as Address, ANY_V6 } from '../wire/ip-address.js';
import type { AddressDetection } from './address-detection.js';
import {
  ALL_NODES,
  NaFlag,
  NdMessage,
  NdOption,
  NdType,
  neighborAdvertisement,
  neighborSolicitation,
  solicitedNode,
} from './nd-message.js';
import type { Neighbor } from './neighbor-table.js';
import type { Neighbors } from './neighbors.js';
import { type EthernetWire, isProxied } from './wire.js';

/** Who hears of messages between hosts and routers. */
export interface RouterMessages {
  /** Whether we are a router, as our advertisements say. */
  isRouter(): boolean;
  /** A host looks for routers. */
  solicitation(): void;
  /** A router says what it is, and what its link is like. */
  advertisement(message: NdMessage): void;
}

export class NeighborDiscovery {
  readonly #wire: EthernetWire;
  readonly #neighbors: Neighbors;
  readonly #detection: AddressDetection;
  readonly #routers: RouterMessages;
  readonly #message = new NdMessage();

  constructor(
    wire: EthernetWire,
    parts: { neighbors: Neighbors; detection: AddressDetection; routers: RouterMessages },
  ) {
    this.#wire = wire;
    this.#neighbors = parts.neighbors;
    this.#detection = parts.detection;
    this.#routers = parts.routers;
  }

  /**
   * A packet of which `NdMessage.isOne` holds.
   * @returns whether it is a redirect that IP must see too
   */
  input(view: DataView, at: number, length: number): boolean {
    const message = this.#message;
    const { counters } = this.#wire;
    counters.ndIn++;
    if (!message.parse(view, at, length) || !this.#take(message)) {
      counters.ndErrors++;
      return false;
    }
    return message.type === NdType.Redirect;
  }

  /** Asks for a neighbour: its group, or itself (RFC 4861 §7.2.2). */
  solicit(neighbor: Neighbor, isUnicast: boolean): void {
    const { address } = neighbor;
    const source = this.#sourceFor(neighbor);
    if (source === undefined) return;
    const destination = isUnicast ? address : solicitedNode(address);
    const packet = neighborSolicitation({ source, destination }, address, this.#wire.mac);
    this.#wire.sendNd(packet, destination, isUnicast ? neighbor.mac : undefined);
  }

  #take(message: NdMessage): boolean {
    switch (message.type) {
      case NdType.NeighborSolicitation:
        return this.#solicitation(message);
      case NdType.NeighborAdvertisement:
        return this.#advertisement(message);
      case NdType.RouterSolicitation:
        return this.#routerSolicitation(message);
      case NdType.RouterAdvertisement:
        return this.#routerAdvertisement(message);
      default:
        return this.#redirect(message);
    }
  }

  #solicitation(message: NdMessage): boolean {
    const { source, target, destination } = message;
    const mac = message.linkAddress(NdOption.SourceLinkAddress);
    if (!isHost(target)) return false;
    // RFC 4861 §7.1.1: who has no address yet asks the group, and names no address of its link.
    const isNameless = source.isUnspecified;
    if (isNameless && (!isSolicitedGroup(destination) || message.has(NdOption.SourceLinkAddress)))
      return false;
    if (!isNameless && !isHost(source)) return false;
    if (this.#detection.isTentative(target)) {
      // RFC 4862 §5.4.3: somebody else is about to use it; who merely asks for it is not answered.
      if (isNameless) this.#detection.ndHeard(target, undefined, true);
      return true;
    }
    const host = this.#wire.host;
    const isOwn = host?.owns(target) === true;
    if (host === undefined || !(isOwn || isProxied(this.#wire, target, source))) return true;
    if (host.owns(source)) return true;
    if (!isNameless && mac !== undefined) this.#neighbors.heard(source, mac);
    const router = this.#routers.isRouter() ? NaFlag.Router : 0;
    // RFC 4861 §7.2.8: who answers for another overrides nobody.
    const flags = router | (isOwn ? NaFlag.Override : 0) | (isNameless ? 0 : NaFlag.Solicited);
    const to = isNameless ? ALL_NODES : source;
    const answer = neighborAdvertisement({ source: target, destination: to }, target, flags, this.#wire.mac);
    this.#wire.sendNd(answer, to, isNameless ? undefined : mac);
    return true;
  }

  #advertisement(message: NdMessage): boolean {
    const { target, destination, flags } = message;
    const isSolicited = (flags & NaFlag.Solicited) !== 0;
    // RFC 4861 §7.1.2.
    if (!isHost(target) || (isSolicited && destination.isMulticast)) return false;
    const mac = message.linkAddress(NdOption.TargetLinkAddress);
    if (mac?.equals(this.#wire.mac) === true) return true;
    if (this.#detection.isTentative(target) || this.#wire.host?.owns(target) === true) {
      this.#detection.ndHeard(target, mac, false);
      return true;
    }
    const isRouter = (flags & NaFlag.Router) !== 0;
    const claim = { isSolicited, isRouter, isOverride: (flags & NaFlag.Override) !== 0 };
    this.#neighbors.claimed(target, mac === undefined ? claim : { ...claim, mac });
    return true;
  }

  #routerSolicitation(message: NdMessage): boolean {
    const { source } = message;
    // RFC 4861 §6.1.1.
    const isNameless = source.isUnspecified;
    if (isNameless ? message.has(NdOption.SourceLinkAddress) : !isHost(source)) return false;
    if (!this.#routers.isRouter()) return true;
    // RFC 4861 §6.2.6: who looks for routers is none.
    if (!isNameless) this.#neighbors.heard(source, message.linkAddress(NdOption.SourceLinkAddress), false);
    this.#routers.solicitation();
    return true;
  }

  #routerAdvertisement(message: NdMessage): boolean {
    const { source } = message;
    // RFC 4861 §6.1.2: routers are known by their link-local addresses.
    if (!source.isLinkLocal || this.#wire.host?.owns(source) === true) return false;
    // RFC 4861 §6.3.4: it is a router, whether it names its Ethernet address or not.
    this.#neighbors.heard(source, message.linkAddress(NdOption.SourceLinkAddress), true);
    this.#routers.advertisement(message);
    return true;
  }

  /**
   * RFC 4861 §8.1. Whether it comes from the router in use, and counts, only IP knows: so the Ethernet address in it is
   * not taken, and the new first hop is asked for his.
   */
  #redirect({ source, target, redirected }: NdMessage): boolean {
    if (!source.isLinkLocal || redirected.isMulticast) return false;
    return target.isLinkLocal || target.equals(redirected);
  }

  /** RFC 4861 §7.2.2: the source of what waits, where it is ours; else our link-local address, else any. */
  #sourceFor({ queue }: Neighbor): IpAddress | undefined {
    const host = this.#wire.host;
    if (host === undefined) return undefined;
    const [first] = queue;
    if (first !== undefined && first[0] >> 4 === 6) {
      const source = Address.read(new DataView(first.buffer, first.byteOffset), 8, 6);
      if (!source.equals(ANY_V6) && host.owns(source)) return source;
    }
    const own = host.addresses().filter((entry) => entry.address.family === 6 && !entry.isTentative);
    return (own.find((entry) => entry.address.isLinkLocal) ?? own[0])?.address;
  }
}

/** Whether an address may be a host's on a link: what stands for an IPv4 address is nobody's here (RFC 4291 §2.5.5). */
const isHost = (address: IpAddress): boolean =>
  !address.isMulticast && !address.isUnspecified && !address.isLoopback && !isMapped(address);

const isMapped = ({ w0, w1, w2 }: IpAddress): boolean => w0 === 0 && w1 === 0 && w2 === 0xffff;

/** ff02::1:ff00:0/104. */
const isSolicitedGroup = (address: IpAddress): boolean =>
  address.w0 === (0xff02_0000 | 0) && address.w1 === 0 && address.w2 === 1 && address.w3 >>> 24 === 0xff;
