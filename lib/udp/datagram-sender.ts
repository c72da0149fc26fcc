/** Sending datagrams: the path, its MTU, one datagram or many of one size, written in place. */
import { ArgumentRangeError, ArgumentTypeError, StackError } from '../base/errors.js';
import type { IpAddress } from '../wire/ip-address.js';
import { Cast, ChecksumState, IpPacket } from '../wire/ip-packet.js';
import { Begun, type DatagramCarrier, type DatagramPath } from './carrier.js';
import type { UdpContext } from './context.js';
import { PathKey } from './path-cache.js';
import type { UdpEndpoint } from './udp-endpoint.js';

export const UDP_PROTOCOL = 17;
export const UDP_HEADER_BYTES = 8;
const CHECKSUM_OFFSET = 6;
/** `multicastLink` of a socket: by route, or the loopback, which paths are kept by another number for. */
const BY_ROUTE = -1;
const LOOPBACK = 0;
const ON_LOOPBACK = -1;
/** Largest payloads: 65,535 less the headers of UDP and IPv4; for IPv6 its own header does not count. */
const MAX_PAYLOAD_V4 = 65_507;
const MAX_PAYLOAD_V6 = 65_527;
/** Datagrams of one `send` (Linux UDP_MAX_SEGMENTS). */
const MAX_SEGMENTS = 128;

/** What may be said of one datagram. */
export interface UdpSendOptions {
  /** Where to; a connected socket may leave it out. */
  destination?: IpAddress;
  /** Which port; a connected socket may leave it out. */
  port?: number;
  /** Where from, one of our addresses: for an answer, where the question was sent to (RFC 1122 §4.1.3.5). */
  source?: IpAddress;
  /** Index of the link to leave by, for link-local destinations and groups. */
  link?: number;
  /** 1 .. 255, instead of the socket's. */
  hopLimit?: number;
  /** DSCP and ECN, instead of the socket's. */
  trafficClass?: number;
  /** Splits the data into datagrams of so many bytes, the last of what is left (Linux UDP_SEGMENT). */
  segmentSize?: number;
}

/** The payload, or the pieces it is made of. */
export type DatagramData = Uint8Array | readonly Uint8Array[];

/** What is being sent. */
class Sending {
  destinationPort = 0;
  bytes = 0;
  trafficClass = 0;
  hopLimit = 0;
}

export class DatagramSender {
  readonly #context: UdpContext;
  readonly #ip: DatagramCarrier;
  readonly #key = new PathKey();
  readonly #sending = new Sending();
  readonly #looped = new IpPacket();

  constructor(context: UdpContext) {
    this.#context = context;
    this.#ip = context.ip;
  }

  /**
   * Sends `data`. See `UdpEndpoint.send`.
   * @returns false when the link is full and nothing was sent
   */
  send(socket: UdpEndpoint, destination: IpAddress, data: DatagramData, options: UdpSendOptions): boolean {
    const sending = this.#sending;
    sending.destinationPort = options.port ?? socket.remotePort;
    sending.bytes = lengthOf(data);
    sending.trafficClass = options.trafficClass ?? socket.options.trafficClass;
    const path = this.#pathTo(socket, destination, sending.destinationPort, options);
    if (path.unusable !== '') throw this.#trouble(path.unusable, path);
    const own = destination.isMulticast ? socket.options.multicastHopLimit : socket.options.hopLimit;
    sending.hopLimit = options.hopLimit ?? own;
    const segmentSize = options.segmentSize ?? 0;
    if (!Number.isInteger(segmentSize) || segmentSize < 0) {
      throw new ArgumentRangeError(`segmentSize must be an integer from 0, not ${segmentSize}`);
    }
    if (segmentSize > 0 && sending.bytes > segmentSize)
      return this.#sendSegments(socket, path, data, segmentSize);
    if (sending.hopLimit === 0 && destination.isMulticast) return this.#onlyHere(socket, path, data);
    return this.#sendOne(socket, path, data);
  }

  /** The path of a connected socket, or one resolved lately, or a new one. */
  #pathTo(socket: UdpEndpoint, destination: IpAddress, port: number, options: UdpSendOptions): DatagramPath {
    const key = this.#key;
    const group = destination.isMulticast ? socket.options.multicastLink : BY_ROUTE;
    const onLoopback = group === LOOPBACK && options.link === undefined;
    key.destination = destination;
    key.port = port;
    key.link = options.link ?? (group > 0 ? group : onLoopback ? ON_LOOPBACK : socket.options.boundLink);
    key.source = options.source ?? (socket.localAddress.isUnspecified ? undefined : socket.localAddress);
    // A group or broadcast address may be bound to, but nothing is sent from it.
    if (options.source === undefined && key.source !== undefined && socket.isBoundToMany)
      key.source = undefined;
    const known = socket.paths.find(key, this.#ip.generation());
    if (known !== undefined) return known;
    const path = this.#ip.resolve({
      destination,
      ...(key.source === undefined ? {} : { source: key.source }),
      protocol: UDP_PROTOCOL,
      sourcePort: socket.localPort,
      destinationPort: port,
      mark: socket.options.mark,
      oif: onLoopback ? 0 : key.link,
      onLoopback,
      trafficClass: socket.options.trafficClass & 0xfc,
      allowBroadcast: socket.options.broadcast,
    });
    if (path.unusable === '') socket.paths.add(key, path);
    return path;
  }

  #sendOne(socket: UdpEndpoint, path: DatagramPath, data: DatagramData): boolean {
    const bytes = UDP_HEADER_BYTES + this.#sending.bytes;
    if (!this.#begin(socket, path, bytes)) return false;
    this.#setFragmenting(socket, path, bytes);
    const { bytes: target, at } = this.#ip.out;
    this.#writeHeader(socket, bytes);
    copyData(data, target, at + UDP_HEADER_BYTES);
    if (path.cast !== Cast.Unicast) this.#loop(socket, path, bytes);
    this.#commit(socket, path, bytes, 0);
    this.#context.stats.udp.outDatagrams++;
    return true;
  }

  /** Many datagrams: as one super-packet where the link takes it, else one by one. */
  #sendSegments(socket: UdpEndpoint, path: DatagramPath, data: DatagramData, segmentSize: number): boolean {
    const payload = this.#sending.bytes;
    const segments = Math.ceil(payload / segmentSize);
    const largest = path.destination.family === 4 ? MAX_PAYLOAD_V4 : MAX_PAYLOAD_V6;
    if (payload > largest) throw this.#tooLong(socket, path);
    if (segments > MAX_SEGMENTS) throw this.#trouble('EINVAL', path);
    const bytes = UDP_HEADER_BYTES + payload;
    const whole = path.port.udpSegmentation && path.headerBytes + bytes <= path.port.maxPacketBytes;
    if (whole && path.cast === Cast.Unicast && checksumOffsetFor(socket, path) >= 0) {
      if (!this.#begin(socket, path, bytes)) return false;
      const { port, headerBytes, mtu } = path;
      const fits = headerBytes + UDP_HEADER_BYTES + segmentSize <= mtu;
      if (fits && port.udpSegmentation && headerBytes + bytes <= port.maxPacketBytes) {
        path.dontFragment = socket.options.mtuDiscovery !== 'dont';
        this.#writeHeader(socket, bytes);
        copyData(data, this.#ip.out.bytes, this.#ip.out.at + UDP_HEADER_BYTES);
        this.#commit(socket, path, bytes, segmentSize);
        this.#context.stats.udp.outDatagrams += segments;
        return true;
      }
    }
    return this.#sendEach(socket, path, joined(data), segmentSize);
  }

  /** What finds the link full after the first datagram went is dropped and counted. */
  #sendEach(socket: UdpEndpoint, path: DatagramPath, data: Uint8Array, segmentSize: number): boolean {
    for (let at = 0; at < data.length; at += segmentSize) {
      const piece = data.subarray(at, at + segmentSize);
      this.#sending.bytes = piece.length;
      if (this.#sendOne(socket, path, piece)) continue;
      if (at === 0) return false;
      this.#context.stats.udp.sndbufErrors += Math.ceil((data.length - at) / segmentSize);
      return true;
    }
    return true;
  }

  /** A group with hop limit 0: for members on this host alone. */
  #onlyHere(socket: UdpEndpoint, path: DatagramPath, data: DatagramData): boolean {
    const bytes = UDP_HEADER_BYTES + this.#sending.bytes;
    if (!this.#begin(socket, path, bytes)) return false;
    this.#writeHeader(socket, bytes);
    copyData(data, this.#ip.out.bytes, this.#ip.out.at + UDP_HEADER_BYTES);
    this.#loop(socket, path, bytes);
    this.#context.stats.udp.outDatagrams++;
    return true;
  }

  /** Borrows room. @returns false when the link is full, and the socket will hear of room */
  #begin(socket: UdpEndpoint, path: DatagramPath, bytes: number): boolean {
    // Whether to fragment is decided when the path has been looked at again.
    path.dontFragment = false;
    switch (this.#ip.begin(path, bytes)) {
      case Begun.Ok:
        return true;
      case Begun.Full:
        this.#context.awaitRoom(socket);
        return false;
      case Begun.TooBig:
        throw this.#tooLong(socket, path);
      default:
        throw this.#trouble(path.unusable, path);
    }
  }

  /** DF and the size it allows, by the socket's mode. @throws StackError EMSGSIZE */
  #setFragmenting(socket: UdpEndpoint, path: DatagramPath, bytes: number): void {
    const total = path.headerBytes + bytes;
    switch (socket.options.mtuDiscovery) {
      case 'dont':
        path.dontFragment = false;
        return;
      case 'want':
        path.dontFragment = total <= path.mtu;
        return;
      case 'probe':
        // What ICMP taught is what is being probed; the link's own MTU is not.
        path.mtu = path.port.mtu;
        break;
      default:
        break;
    }
    if (total > path.mtu) throw this.#tooLong(socket, path);
    path.dontFragment = true;
  }

  #writeHeader(socket: UdpEndpoint, bytes: number): void {
    const { view, at } = this.#ip.out;
    view.setUint16(at, socket.localPort);
    view.setUint16(at + 2, this.#sending.destinationPort);
    view.setUint16(at + 4, bytes);
    view.setUint16(at + CHECKSUM_OFFSET, 0);
  }

  #commit(socket: UdpEndpoint, path: DatagramPath, bytes: number, segmentSize: number): void {
    const { trafficClass, hopLimit } = this.#sending;
    const usual = path.hopLimit;
    path.trafficClass = trafficClass & 0xfc;
    path.ecn = trafficClass & 3;
    if (hopLimit > 0) path.hopLimit = hopLimit;
    this.#ip.commit(path, bytes, checksumOffsetFor(socket, path), segmentSize);
    path.hopLimit = usual;
  }

  /** What is sent to many is also for those on this host (RFC 1112 §6.4). */
  #loop(socket: UdpEndpoint, path: DatagramPath, bytes: number): void {
    const { destination, source, port } = path;
    if (path.cast === Cast.Multicast) {
      // What goes out by the loopback comes back by it.
      if (port.index === LOOPBACK) return;
      if (!socket.options.multicastLoop || !this.#ip.isMember(port.index, destination)) return;
    }
    const packet = this.#looped;
    const { bytes: memory, view, at } = this.#ip.out;
    packet.aim(memory, view, at, bytes);
    packet.link = port.index;
    packet.checksum = ChecksumState.Valid;
    packet.segmentSize = 0;
    packet.version = destination.family;
    packet.s0 = source.w0;
    packet.s1 = source.w1;
    packet.s2 = source.w2;
    packet.s3 = source.w3;
    packet.d0 = destination.w0;
    packet.d1 = destination.w1;
    packet.d2 = destination.w2;
    packet.d3 = destination.w3;
    packet.cast = path.cast;
    packet.trafficClass = this.#sending.trafficClass;
    packet.hopLimit = this.#sending.hopLimit;
    packet.protocol = UDP_PROTOCOL;
    packet.payloadAt = at;
    packet.payloadBytes = bytes;
    this.#context.loopBack(packet);
  }

  #tooLong(socket: UdpEndpoint, path: DatagramPath): StackError {
    socket.tooLong(path, this.#sending.destinationPort);
    return this.#trouble('EMSGSIZE', path);
  }

  #trouble(code: string, path: DatagramPath): StackError {
    return new StackError(code, 'send', path.destination.toString(), this.#sending.destinationPort);
  }
}

/** -1 where the socket was told to send without. */
function checksumOffsetFor(socket: UdpEndpoint, path: DatagramPath): number {
  const { noChecksum, noChecksum6Send } = socket.options;
  return (path.destination.family === 4 ? noChecksum : noChecksum6Send) ? -1 : CHECKSUM_OFFSET;
}

/** @throws ArgumentTypeError for what is neither bytes nor a list of such */
function lengthOf(data: DatagramData): number {
  if (data instanceof Uint8Array) return data.length;
  if (!Array.isArray(data)) throw notBytes();
  let bytes = 0;
  for (const part of data as readonly Uint8Array[]) {
    if (!(part instanceof Uint8Array)) throw notBytes();
    bytes += part.length;
  }
  return bytes;
}

const notBytes = (): ArgumentTypeError =>
  new ArgumentTypeError('a datagram must be a Uint8Array, or a list of such');

function copyData(data: DatagramData, target: Uint8Array, at: number): void {
  if (data instanceof Uint8Array) {
    target.set(data, at);
    return;
  }
  let next = at;
  for (const part of data) {
    target.set(part, next);
    next += part.length;
  }
}

function joined(data: DatagramData): Uint8Array {
  if (data instanceof Uint8Array) return data;
  const bytes = new Uint8Array(lengthOf(data));
  copyData(data, bytes, 0);
  return bytes;
}
