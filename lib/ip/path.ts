/**
 * A path: a route resolved for one flow. Its owner keeps it, and IP looks at it again only when routes,
 * rules, addresses or path MTUs have changed.
 */
import { ArgumentRangeError } from '../base/errors.js';
import { addressSum } from '../wire/checksum.js';
import type { IpAddress } from '../wire/ip-address.js';
import { Cast } from '../wire/ip-packet.js';
import { IPV4_HEADER_BYTES } from '../wire/ipv4.js';
import { IPV6_HEADER_BYTES } from '../wire/ipv6.js';
import type { OutputPort } from './interfaces.js';
import type { Route } from './route.js';

/** What a flow asks the routing tables. */
export interface PathRequest {
  /** 0.0.0.0 and :: mean this host. */
  readonly destination: IpAddress;
  /** Fixed by the caller (a bound socket); absent or unspecified, IP chooses. */
  readonly source?: IpAddress;
  readonly protocol: number;
  readonly mark?: number;
  /** The port a socket is bound to, or the zone of a link-local destination; 0 and absent for any. */
  readonly oif?: number;
  /** For groups: whether it must stay on the loopback, whose index means any in `oif`. */
  readonly onLoopback?: boolean;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly uid?: number;
  /** DSCP in the upper six bits. */
  readonly trafficClass?: number;
  /** Whether a broadcast destination is meant. */
  readonly allowBroadcast?: boolean;
  /** Whether the source may be an address that is not ours (transparent proxies). */
  readonly transparent?: boolean;
}

const NO_BYTES = new Uint8Array(0);

/** Where a path without a route leads: it takes nothing. */
export const NO_PORT: OutputPort = Object.freeze({
  index: -1,
  name: 'none',
  mtu: 0,
  maxPacketBytes: 0,
  checksumOffload: false,
  udpSegmentation: false,
  gathers: false,
  isLoopback: false,
  isUp: false,
  view: new DataView(NO_BYTES.buffer),
  bytes: NO_BYTES,
  at: 0,
  reserve: () => false,
  commit: () => {},
  lendText: () => {},
});

export class IpPath {
  /** Never change once chosen (RFC 9293 §3.9.2.3 MUST-45). */
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** What was asked; asked again, with the source fixed, when routes have changed. */
  readonly request: PathRequest;
  /** Sum of both addresses: the same in header and pseudo-header of every packet. */
  readonly addressSum: number;
  /** Bytes of the IP header, IPv4 options included. */
  headerBytes: number;

  /** Where packets leave; index 0 is the loopback. */
  port: OutputPort = NO_PORT;
  /** Largest IP packet that may go, bytes: the least of link, route and what ICMP taught. */
  mtu = 0;
  /** What link and route allow, bytes, whatever ICMP taught: peers are told of this and no other size. */
  configuredMtu = 0;
  /** Whether the route forbids to learn a smaller MTU: then nothing is sent with DF. */
  mtuLocked = false;
  #hopLimit = 64;
  /** DSCP << 2. */
  trafficClass = 0;
  /** ECN field of the packets to come, 0 .. 3. */
  ecn = 0;
  /** IPv6 flow label, 20 bits; 0 for none. */
  flowLabel = 0;
  /** DF of IPv4; in both families, whether a packet above `mtu` is refused instead of fragmented. */
  dontFragment = true;
  mark = 0;
  /** To how many `destination` is. */
  cast: Cast = Cast.Unicast;
  /** The state of the routing tables this was resolved in. */
  generation = -1;
  /** '' while it can be used, else the code of the error to give: `ENETUNREACH` and the like. */
  unusable = '';
  /** First hop, when that is not the destination itself. */
  gateway: IpAddress | undefined = undefined;
  route: Route | undefined = undefined;
  /** Chooses among the next hops of a multipath route; -1 until one was met. */
  flowHash = -1;
  #options: Uint8Array = NO_BYTES;

  constructor(source: IpAddress, destination: IpAddress, request: PathRequest) {
    this.source = source;
    this.destination = destination;
    this.protocol = request.protocol;
    this.request = request;
    this.mark = request.mark ?? 0;
    this.trafficClass = (request.trafficClass ?? 0) & 0xfc;
    this.addressSum = addressSum(source, destination);
    this.headerBytes = destination.family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  }

  // ---- attributes of the route, for TCP; 0 and '' mean not set ------------------------------------

  get advmss(): number {
    return this.route?.advmss ?? 0;
  }

  /** Largest window to advertise, bytes. */
  get window(): number {
    return this.route?.window ?? 0;
  }

  /** Initial windows, segments. */
  get initcwnd(): number {
    return this.route?.initcwnd ?? 0;
  }

  get initrwnd(): number {
    return this.route?.initrwnd ?? 0;
  }

  get rtoMinUs(): number {
    return this.route?.rtoMinUs ?? 0;
  }

  get congestionControl(): string {
    return this.route?.congestionControl ?? '';
  }

  get quickAck(): number {
    return this.route?.quickAck ?? 0;
  }

  /** TTL or hop limit of the packets to come. @throws ArgumentRangeError outside 1 .. 255 */
  get hopLimit(): number {
    return this.#hopLimit;
  }

  set hopLimit(value: number) {
    if (!Number.isInteger(value) || value < 1 || value > 255) {
      throw new ArgumentRangeError(`hop limit must be 1 .. 255, not ${value}`);
    }
    this.#hopLimit = value;
  }

  /** IPv4 options of the packets to come: up to 40 bytes, a multiple of four. */
  get options(): Uint8Array {
    return this.#options;
  }

  /** @throws ArgumentRangeError when they do not fit, or for IPv6 */
  set options(value: Uint8Array) {
    if (value.length > 40 || value.length % 4 !== 0 || this.destination.family === 6) {
      throw new ArgumentRangeError('IPv4 options must be at most 40 bytes, a multiple of four');
    }
    this.#options = value;
    this.headerBytes = IPV4_HEADER_BYTES + value.length;
  }

  /** Most transport bytes, header included, that one packet of `mtu` bytes carries. */
  get maxTransportBytes(): number {
    return this.mtu - this.headerBytes;
  }
}
