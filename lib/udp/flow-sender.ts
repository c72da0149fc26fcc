/** Sending to the inside of flows, from addresses that are anybody's. */
import { ArgumentRangeError, ArgumentTypeError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';
import { Begun, type DatagramPath } from './carrier.js';
import type { UdpContext } from './context.js';
import { UDP_HEADER_BYTES, UDP_PROTOCOL } from './datagram-sender.js';
import type { FlowAnswer } from './flow.js';
import type { FlowEntry } from './flow-entry.js';
import { PathKey } from './path-cache.js';

const CHECKSUM_OFFSET = 6;
/** Largest payloads: 65,535 less the headers of UDP and IPv4; for IPv6 its own header does not count. */
const MAX_PAYLOAD_4 = 65_507;
const MAX_PAYLOAD_6 = 65_527;
/** Datagrams of one `send` (Linux UDP_MAX_SEGMENTS). */
const MAX_SEGMENTS = 128;
/** Texts of addresses whose meaning is kept. */
const MAX_TEXTS = 1024;

export class FlowSender {
  readonly #context: UdpContext;
  readonly #key = new PathKey();
  /** Answers come from few addresses: reading a text costs more than all else here. */
  readonly #addresses = new Map<string, IpAddress>();

  constructor(context: UdpContext) {
    this.#context = context;
  }

  /** @throws ArgumentTypeError, ArgumentValueError */
  address(text: string): IpAddress {
    const known = this.#addresses.get(text);
    if (known !== undefined) return known;
    const address = IpAddress.parse(text);
    if (this.#addresses.size >= MAX_TEXTS) this.#addresses.clear();
    this.#addresses.set(text, address);
    return address;
  }

  /** Sends to the inside. @returns false when nothing was sent */
  send(entry: FlowEntry, from: IpAddress, answer: FlowAnswer): boolean {
    const { data, port, segmentSize } = answer;
    if (!isPossible(entry, from) || port === 0) return false;
    if (data.length > (entry.version === 4 ? MAX_PAYLOAD_4 : MAX_PAYLOAD_6)) return false;
    const path = this.#pathOf(entry, from, port);
    if (path.unusable !== '') return false;
    if (segmentSize === 0 || data.length <= segmentSize) return this.#sendOne(entry, path, port, data);
    return this.#sendSegments(entry, path, answer);
  }

  /** Whether a datagram was sent to the inside from there, in the present state of the routes. */
  hasSentFrom(entry: FlowEntry, from: IpAddress, port: number): DatagramPath | undefined {
    return entry.paths.find(this.#aim(entry, from, port), this.#context.ip.generation());
  }

  #aim(entry: FlowEntry, from: IpAddress, port: number): PathKey {
    const key = this.#key;
    key.destination = entry.source;
    key.source = from;
    key.port = port;
    key.link = entry.link;
    return key;
  }

  #pathOf(entry: FlowEntry, from: IpAddress, port: number): DatagramPath {
    const { ip } = this.#context;
    const key = this.#aim(entry, from, port);
    const known = entry.paths.find(key, ip.generation());
    if (known !== undefined) return known;
    // Addresses that mean something only on their link, and those of a listener that has only one.
    const zoned = (entry.version === 6 && entry.source.isLinkLocal) || entry.listener.link >= 0;
    const path = ip.resolve({
      destination: entry.source,
      source: from,
      transparent: true,
      protocol: UDP_PROTOCOL,
      sourcePort: port,
      destinationPort: entry.sourcePort,
      mark: entry.mark,
      oif: zoned ? entry.link : 0,
      onLoopback: false,
      trafficClass: 0,
      allowBroadcast: false,
    });
    if (path.unusable === '') entry.paths.add(key, path);
    return path;
  }

  #sendOne(entry: FlowEntry, path: DatagramPath, port: number, data: Uint8Array): boolean {
    const bytes = UDP_HEADER_BYTES + data.length;
    if (!this.#begin(path, bytes)) return false;
    path.dontFragment = path.headerBytes + bytes <= path.mtu;
    this.#write(entry, port, data);
    this.#context.ip.commit(path, bytes, CHECKSUM_OFFSET, 0);
    this.#context.stats.udp.outDatagrams++;
    return true;
  }

  /** As one super-packet where the link takes it, else one by one; what then finds the link full is counted. */
  #sendSegments(entry: FlowEntry, path: DatagramPath, { data, port, segmentSize }: FlowAnswer): boolean {
    const { stats, ip } = this.#context;
    const segments = Math.ceil(data.length / segmentSize);
    if (segments > MAX_SEGMENTS) return false;
    const bytes = UDP_HEADER_BYTES + data.length;
    const { headerBytes } = path;
    const fits = headerBytes + UDP_HEADER_BYTES + segmentSize <= path.mtu;
    if (fits && path.port.udpSegmentation && headerBytes + bytes <= path.port.maxPacketBytes) {
      if (!this.#begin(path, bytes)) return false;
      path.dontFragment = true;
      this.#write(entry, port, data);
      ip.commit(path, bytes, CHECKSUM_OFFSET, segmentSize);
      stats.udp.outDatagrams += segments;
      return true;
    }
    for (let at = 0; at < data.length; at += segmentSize) {
      if (this.#sendOne(entry, path, port, data.subarray(at, at + segmentSize))) continue;
      if (at === 0) return false;
      stats.udp.sndbufErrors += Math.ceil((data.length - at) / segmentSize);
      break;
    }
    return true;
  }

  #begin(path: DatagramPath, bytes: number): boolean {
    // Whether to fragment is decided when the path has been looked at again.
    path.dontFragment = false;
    return this.#context.ip.begin(path, bytes) === Begun.Ok;
  }

  #write(entry: FlowEntry, port: number, data: Uint8Array): void {
    const { view, bytes, at } = this.#context.ip.out;
    view.setUint16(at, port);
    view.setUint16(at + 2, entry.sourcePort);
    view.setUint16(at + 4, UDP_HEADER_BYTES + data.length);
    view.setUint16(at + CHECKSUM_OFFSET, 0);
    bytes.set(data, at + UDP_HEADER_BYTES);
  }
}

/** Whether an answer may come from there: of the flow's family, and of one host (RFC 1122 §3.2.1.3). */
export function isPossible(entry: FlowEntry, from: IpAddress): boolean {
  if (from.family !== entry.version || from.isUnspecified) return false;
  return !from.isMulticast && !from.isLimitedBroadcast && !from.isLoopback;
}

/** @throws ArgumentTypeError, ArgumentRangeError */
export function checkAnswer(port: number, segmentSize: number): void {
  if (typeof port !== 'number') throw new ArgumentTypeError('a port must be a number');
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ArgumentRangeError(`a port is an integer within 0 .. 65535, not ${port}`);
  }
  if (!Number.isInteger(segmentSize) || segmentSize < 0 || segmentSize > 65_535) {
    throw new ArgumentRangeError(`segmentSize must be an integer within 0 .. 65535, not ${segmentSize}`);
  }
}
