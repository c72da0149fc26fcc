/**
 * Which packets whoever accepts any address wants: by destination, source, port and link. Checked once when it is
 * given, and then asked for every first packet without making an object.
 */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { IpPrefix } from './ip-address.js';
import type { IpPacket } from './ip-packet.js';

/** What is accepted of all that comes in. What is not said is not restricted. */
export interface AnyFilter {
  /** Networks that a packet may be for: `10.0.0.0/8`, `2001:db8::/32`, or addresses. At most 1024. */
  readonly destinations?: readonly string[];
  /** Networks that a packet may come from, in the same way. */
  readonly sources?: readonly string[];
  /** Ports that a packet may be for: single ones, or the first and the last of a range. At most 1024. */
  readonly ports?: readonly (number | readonly [first: number, last: number])[];
  /** Index of the only link a packet may come in on; any by default. */
  readonly link?: number;
}

/** Networks, or ports, of one filter: each packet is compared with all of them. */
const MAX_ENTRIES = 1024;
/** Words of a network: its address, then the mask of each word. */
const WORDS = 8;

/** An `AnyFilter`, checked and made ready. */
export class PacketMatcher {
  readonly #destinations: Int32Array | undefined;
  readonly #sources: Int32Array | undefined;
  /** First and last ports, in pairs. */
  readonly #ports: Uint16Array | undefined;
  readonly #link: number;

  /** @throws ArgumentTypeError, ArgumentValueError, ArgumentRangeError for a filter that cannot be */
  constructor(filter: AnyFilter) {
    this.#destinations = networksOf(filter.destinations, 'destinations');
    this.#sources = networksOf(filter.sources, 'sources');
    this.#ports = portsOf(filter.ports);
    const { link = -1 } = filter;
    if (filter.link !== undefined && (!Number.isInteger(link) || link < 0)) {
      throw new ArgumentRangeError(`link must be the index of a link, not ${String(link)}`);
    }
    this.#link = link;
  }

  /** Whether a packet whose IP header was read, for `destinationPort`, is wanted; 0 for what has no ports. */
  matches(packet: IpPacket, destinationPort: number): boolean {
    if (this.#link >= 0 && packet.link !== this.#link) return false;
    if (this.#ports !== undefined && !isInRanges(this.#ports, destinationPort)) return false;
    if (this.#destinations !== undefined && !isForNetworks(this.#destinations, packet)) return false;
    return this.#sources === undefined || isFromNetworks(this.#sources, packet);
  }
}

function isForNetworks(networks: Int32Array, packet: IpPacket): boolean {
  const { d0, d1, d2, d3 } = packet;
  for (let i = 0; i < networks.length; i += WORDS) {
    if (((d3 ^ networks[i + 3]) & networks[i + 7]) !== 0) continue;
    if (((d2 ^ networks[i + 2]) & networks[i + 6]) !== 0) continue;
    if (((d1 ^ networks[i + 1]) & networks[i + 5]) !== 0) continue;
    if (((d0 ^ networks[i]) & networks[i + 4]) === 0) return true;
  }
  return false;
}

function isFromNetworks(networks: Int32Array, packet: IpPacket): boolean {
  const { s0, s1, s2, s3 } = packet;
  for (let i = 0; i < networks.length; i += WORDS) {
    if (((s3 ^ networks[i + 3]) & networks[i + 7]) !== 0) continue;
    if (((s2 ^ networks[i + 2]) & networks[i + 6]) !== 0) continue;
    if (((s1 ^ networks[i + 1]) & networks[i + 5]) !== 0) continue;
    if (((s0 ^ networks[i]) & networks[i + 4]) === 0) return true;
  }
  return false;
}

function isInRanges(ranges: Uint16Array, port: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) if (port >= ranges[i] && port <= ranges[i + 1]) return true;
  return false;
}

function networksOf(given: readonly string[] | undefined, name: string): Int32Array | undefined {
  if (given === undefined) return undefined;
  checkList(given, name);
  const words = new Int32Array(given.length * WORDS);
  for (const [i, text] of given.entries()) {
    const { address, length, family } = IpPrefix.parse(text);
    // IPv4 is held in its mapped form, whose first 96 bits are the same for all of it.
    const bits = family === 4 ? length + 96 : length;
    for (let word = 0; word < 4; word++) {
      words[i * WORDS + word] = address.word(word);
      words[i * WORDS + 4 + word] = maskOf(bits - 32 * word);
    }
  }
  return words;
}

/** A word whose upper `bits` bits are ones; `bits` may lie outside 0 .. 32. */
const maskOf = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits));

function portsOf(given: AnyFilter['ports']): Uint16Array | undefined {
  if (given === undefined) return undefined;
  checkList(given, 'ports');
  const ranges = new Uint16Array(2 * given.length);
  for (const [i, entry] of given.entries()) {
    if (Array.isArray(entry) && entry.length !== 2) {
      throw new ArgumentTypeError('ports: a range is its first and its last port');
    }
    const [first, last] = typeof entry === 'object' && entry !== null ? entry : [entry, entry];
    checkPort(first);
    checkPort(last);
    if (first > last) throw new ArgumentRangeError(`ports: a range must not begin behind its end, ${first}`);
    ranges[2 * i] = first;
    ranges[2 * i + 1] = last;
  }
  return ranges;
}

function checkPort(port: unknown): void {
  if (!Number.isInteger(port) || (port as number) < 0 || (port as number) > 65_535) {
    throw new ArgumentRangeError(`ports must be integers within 0 .. 65535, not ${String(port)}`);
  }
}

function checkList(given: unknown, name: string): void {
  if (!Array.isArray(given)) throw new ArgumentTypeError(`${name} must be an array`);
  if (given.length === 0) throw new ArgumentValueError(`${name} must not be empty: leave it out for any`);
  if (given.length > MAX_ENTRIES) {
    throw new ArgumentRangeError(`${name} may have ${MAX_ENTRIES} entries, not ${given.length}`);
  }
}
