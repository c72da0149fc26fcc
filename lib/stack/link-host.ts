/** A stack as a link with neighbours sees it: its addresses and routes there, and who is to hear of failure. */
import type { Clock } from '../base/clock.js';
import { StackError } from '../base/errors.js';
import { DropReason } from '../base/stats.js';
import { IcmpErrorKind } from '../ip/interfaces.js';
import type { IpLayer } from '../ip/ip-layer.js';
import { Begin } from '../ip/ip-output.js';
import type { LinkAddress, LinkAddressOptions, LinkHost, LinkRoute } from '../link/link-host.js';
import { finishChecksum, sumBytes } from '../wire/checksum.js';
import { ICMP_HEADER_BYTES, Icmp4Type, Icmp4Unreachable, Icmp6Type, Icmp6Unreachable } from '../wire/icmp.js';
import { IpAddress, IpPrefix } from '../wire/ip-address.js';
import { Cast, IpPacket } from '../wire/ip-packet.js';
import { readIpv4 } from '../wire/ipv4.js';
import { IPV6_MIN_MTU, Protocol, readIpv6 } from '../wire/ipv6.js';

/** Bytes of an IPv4 error, its own header apart (RFC 1812 §4.3.2.3); and of one of IPv6 (RFC 4443 §2.4). */
const MOST_BYTES_4 = 576 - 20 - ICMP_HEADER_BYTES;
const MOST_BYTES_6 = IPV6_MIN_MTU - 40 - ICMP_HEADER_BYTES;
const UDP = 17;

export const createLinkHost = (ip: IpLayer, index: number, clock: Clock): LinkHost =>
  new StackLinkHost(ip, index, clock);

class StackLinkHost implements LinkHost {
  readonly index: number;
  readonly #ip: IpLayer;
  readonly #clock: Clock;
  readonly #packet = new IpPacket();

  constructor(ip: IpLayer, index: number, clock: Clock) {
    this.#ip = ip;
    this.#clock = clock;
    this.index = index;
  }

  owns(address: IpAddress): boolean {
    return this.#ip.hasAddress(this.index, address);
  }

  isBroadcast(destination: IpAddress): boolean {
    const request = { destination, protocol: UDP, oif: this.index, allowBroadcast: true };
    return this.#ip.resolve(request).cast === Cast.Broadcast;
  }

  sourceTo(destination: IpAddress): IpAddress | undefined {
    const { unusable, source } = this.#ip.resolve({ destination, protocol: UDP, oif: this.index });
    return unusable !== '' || source.isUnspecified ? undefined : source;
  }

  addresses(): readonly LinkAddress[] {
    return this.#ip.addresses(this.index).map(({ address, tentative }) => {
      const prefix = IpPrefix.parse(address);
      return { address: prefix.address, length: prefix.length, isTentative: tentative };
    });
  }

  addAddress(prefix: IpPrefix, options: LinkAddressOptions = {}): void {
    this.#ip.addAddress(this.index, prefix, options);
  }

  removeAddress(address: IpAddress): void {
    try {
      this.#ip.removeAddress(this.index, address);
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
    }
  }

  deprecate(address: IpAddress, isDeprecated: boolean): void {
    this.#ip.deprecateAddress(this.index, address, isDeprecated);
  }

  settle(address: IpAddress): void {
    try {
      this.#ip.settleAddress(this.index, address);
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
      // Without room for its routes it is of no use; nobody who waits for it can be told but by its absence.
      this.removeAddress(address);
    }
  }

  addRoute(route: LinkRoute): () => void {
    const { routes } = this.#ip.routing;
    const made = routes.install({ ...route, port: this.index });
    return () => routes.remove(made);
  }

  /** RFC 1122 §3.3.1.4, RFC 4861 §7.2.2: as a router to whose packet it was, and to ourselves for one of ours. */
  unreachable(bytes: Uint8Array): void {
    const packet = this.#packet;
    packet.aim(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
    packet.link = this.index;
    packet.mark = 0;
    packet.segmentSize = 0;
    packet.cast = Cast.Unicast;
    packet.nowUs = this.#clock.nowUs();
    const reason = bytes[0] >> 4 === 4 ? readIpv4(packet) : readIpv6(packet);
    if (reason !== DropReason.None) return;
    const back = this.#ip.resolve({ destination: packet.source(), protocol: packet.protocol });
    const isTranslated = this.#ip.translator?.revert(packet, back.port.index) === true;
    if (back.port.isLoopback && !isTranslated) this.#tellOurselves(packet);
    else this.#ip.icmpErrors.errorAsRouter(packet, IcmpErrorKind.HostUnreachable);
  }

  /** By way of the loopback, so that whoever sent it hears of it as of any error. No rate limits what stays inside. */
  #tellOurselves({ bytes, view, version, length }: IpPacket): void {
    if (isIcmpError(view, version)) return;
    const destination = IpAddress.read(view, version === 4 ? 12 : 8, version);
    const protocol = version === 4 ? Protocol.Icmp : Protocol.Icmpv6;
    const path = this.#ip.resolve({ destination, protocol });
    if (path.unusable !== '') return;
    const quoted = Math.min(length, version === 4 ? MOST_BYTES_4 : MOST_BYTES_6);
    if (this.#ip.begin(path, ICMP_HEADER_BYTES + quoted) !== Begin.Ok) return;
    const { out } = this.#ip;
    const type = version === 4 ? Icmp4Type.Unreachable : Icmp6Type.Unreachable;
    const code = version === 4 ? Icmp4Unreachable.Host : Icmp6Unreachable.Address;
    out.view.setInt32(out.at, (type << 24) | (code << 16));
    out.view.setInt32(out.at + 4, 0);
    out.bytes.set(bytes.subarray(0, quoted), out.at + ICMP_HEADER_BYTES);
    if (version === 4) {
      const sum = finishChecksum(sumBytes(out.view, out.at, ICMP_HEADER_BYTES + quoted));
      out.view.setUint16(out.at + 2, sum);
    }
    this.#ip.commit(path, ICMP_HEADER_BYTES + quoted, version === 4 ? -1 : 2);
  }
}

/** Errors about errors, and about fragments behind the first, are never sent (RFC 1122 §3.2.2, RFC 4443 §2.4). */
function isIcmpError(view: DataView, version: number): boolean {
  if (version === 4) {
    const at = (view.getUint8(0) & 15) * 4;
    if ((view.getUint16(6) & 0x1fff) !== 0) return true;
    if (view.getUint8(9) !== Protocol.Icmp || view.byteLength <= at) return false;
    const type = view.getUint8(at);
    return type !== Icmp4Type.Echo && type !== Icmp4Type.EchoReply;
  }
  return view.getUint8(6) === Protocol.Icmpv6 && view.byteLength > 40 && view.getUint8(40) < 128;
}
