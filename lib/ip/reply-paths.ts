/**
 * Paths for answers that keep no state: resets, ICMP. A few are kept, since floods come from few places.
 */
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import { Cast, type IpPacket } from '../wire/ip-packet.js';
import type { IpPath } from './path.js';
import type { PathResolver } from './resolver.js';

/** Paths kept; a newcomer of the same hash takes the place of another. */
const SLOTS = 64;

export class ReplyPaths {
  readonly #resolver: PathResolver;
  readonly #hash: TableHash;
  readonly #paths = new Array<IpPath | undefined>(SLOTS).fill(undefined);

  constructor(random: Random, resolver: PathResolver) {
    this.#resolver = resolver;
    this.#hash = new TableHash(random);
  }

  /**
   * From the destination of `packet` to its source; what was sent to many is answered from an address of
   * our own (RFC 4291 §2.7). May be fragmented, carries no flow label. Shared with other answers: traffic
   * class and hop limit are the caller's to set each time.
   */
  resolve(packet: IpPacket, protocol: number): IpPath {
    const slot = this.#slotOf(packet, protocol);
    const kept = this.#paths[slot];
    if (kept !== undefined && isFor(kept, packet, protocol)) {
      this.#resolver.revalidate(kept);
      return kept;
    }
    const destination = packet.source();
    // Nobody is 0.0.0.0 or ::, least of all this host.
    if (destination.isUnspecified) return this.#resolver.nowhere({ destination, protocol }, 'EINVAL');
    const path = this.#resolver.resolve({
      destination,
      protocol,
      mark: packet.mark,
      // What was accepted as ours may answer, be it by a rule of its own.
      ...(packet.cast === Cast.Unicast ? { source: packet.destination(), transparent: true } : {}),
      // A link-local address needs its zone: where the packet came from.
      ...(destination.isLinkLocal && destination.family === 6 ? { oif: packet.link } : {}),
    });
    path.dontFragment = false;
    path.flowLabel = 0;
    if (packet.cast === Cast.Unicast) this.#paths[slot] = path;
    return path;
  }

  /**
   * From an address of this host to the source of `packet`, as routers answer. Not kept: the rate of errors is
   * limited before.
   */
  resolveOwn(packet: IpPacket, protocol: number): IpPath {
    const destination = packet.source();
    if (destination.isUnspecified) return this.#resolver.nowhere({ destination, protocol }, 'EINVAL');
    const path = this.#resolver.resolve({
      destination,
      protocol,
      mark: packet.mark,
      ...(destination.isLinkLocal && destination.family === 6 ? { oif: packet.link } : {}),
    });
    path.dontFragment = false;
    path.flowLabel = 0;
    return path;
  }

  #slotOf(packet: IpPacket, protocol: number): number {
    const source = packet.s0 ^ packet.s1 ^ packet.s3;
    const destination = packet.d0 ^ packet.d1 ^ packet.d3;
    return this.#hash.hash3(source, destination, protocol) & (SLOTS - 1);
  }
}

function isFor(path: IpPath, packet: IpPacket, protocol: number): boolean {
  const { source, destination } = path;
  return (
    path.protocol === protocol &&
    path.mark === packet.mark &&
    packet.cast === Cast.Unicast &&
    path.destination.family === packet.version &&
    destination.w3 === packet.s3 &&
    destination.w2 === packet.s2 &&
    destination.w1 === packet.s1 &&
    destination.w0 === packet.s0 &&
    source.w3 === packet.d3 &&
    source.w2 === packet.d2 &&
    source.w1 === packet.d1 &&
    source.w0 === packet.d0 &&
    (path.request.oif === undefined || path.request.oif === packet.link)
  );
}
