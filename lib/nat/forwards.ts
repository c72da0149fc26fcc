/** Port forwards: which ports outside lead to which hosts inside, whoever comes first. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError, StackError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';
import { Protocol } from '../wire/ipv6.js';
import { newPortSet } from './port-pool.js';
import type { Endpoint } from './rewrite.js';

/** Those of a protocol without forwards. */
const NO_PORTS = newPortSet();

/** A port forward that is wanted. */
export interface PortForwardOptions {
  /** What is let in. */
  readonly protocol: 'tcp' | 'udp';
  /** A port, or the first and last of a range. */
  readonly outsidePort: number | readonly [number, number];
  /** The host inside. */
  readonly insideAddress: string;
  /** Its port, or the first of as many as there are outside; by default the same as outside. */
  readonly insidePort?: number;
  /** The outside address it is for; by default each of the family of `insideAddress`. */
  readonly outsideAddress?: string;
}

/** A port forward, its options checked. */
export class Forward {
  readonly options: PortForwardOptions;
  readonly protocol: number;
  readonly first: number;
  readonly last: number;
  readonly inside: IpAddress;
  readonly insideFirst: number;
  readonly outside: IpAddress | undefined;

  /** @throws ArgumentTypeError, ArgumentValueError, ArgumentRangeError */
  constructor(options: PortForwardOptions) {
    if (options === null || typeof options !== 'object') {
      throw new ArgumentTypeError('a port forward must be an object');
    }
    if (options.protocol !== 'tcp' && options.protocol !== 'udp') {
      throw new ArgumentValueError("the protocol of a port forward must be 'tcp' or 'udp'");
    }
    this.options = Object.freeze({ ...options });
    const unknown = Object.keys(options).find((name) => !OPTION_NAMES.has(name));
    if (unknown !== undefined) throw new ArgumentValueError(`unknown option "${unknown}" of a port forward`);
    const [first, last] = portsOf(options.outsidePort);
    this.protocol = options.protocol === 'tcp' ? Protocol.Tcp : Protocol.Udp;
    this.first = forwardPort(first, 'outsidePort');
    this.last = forwardPort(last, 'outsidePort');
    this.insideFirst = forwardPort(options.insidePort ?? this.first, 'insidePort');
    if (this.last < this.first || this.insideFirst + this.last - this.first > 65_535) {
      throw new ArgumentRangeError('the ports of a port forward must be a range that fits');
    }
    this.inside = IpAddress.parse(options.insideAddress);
    this.outside = options.outsideAddress === undefined ? undefined : IpAddress.parse(options.outsideAddress);
    if (this.outside !== undefined && this.outside.family !== this.inside.family) {
      throw new ArgumentValueError('both addresses of a port forward must be of one family');
    }
    if (this.inside.isUnspecified || this.inside.isMulticast || this.inside.isLoopback) {
      throw new ArgumentValueError(`no host inside can have the address ${options.insideAddress}`);
    }
  }

  /** Whether two forwards claim the same port of the same address. */
  overlaps(other: Forward): boolean {
    if (this.protocol !== other.protocol || this.inside.family !== other.inside.family) return false;
    if (this.last < other.first || other.last < this.first) return false;
    return this.outside === undefined || other.outside === undefined || this.outside.equals(other.outside);
  }

  /** Whether it takes what comes to an outside address. */
  isAt(address: Endpoint): boolean {
    const { outside, inside } = this;
    if (outside !== undefined) return hasWords(outside, address);
    return (address.w0 === 0 && address.w1 === 0 && address.w2 === 0xffff) === (inside.family === 4);
  }

  /** Whether it leads to an endpoint inside. */
  leadsTo(inside: Endpoint): boolean {
    const offset = inside.port - this.insideFirst;
    return offset >= 0 && offset <= this.last - this.first && hasWords(this.inside, inside);
  }
}

const OPTION_NAMES: ReadonlySet<string> = new Set(
  'protocol outsidePort insideAddress insidePort outsideAddress'.split(' '),
);

function portsOf(given: PortForwardOptions['outsidePort']): readonly [number, number] {
  if (typeof given === 'number') return [given, given];
  if (Array.isArray(given) && given.length === 2) return given as [number, number];
  throw new ArgumentTypeError('outsidePort must be a number, or the first and last of a range');
}

function forwardPort(port: number | undefined, name: string): number {
  if (typeof port !== 'number') throw new ArgumentTypeError(`${name} must be a number`);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new ArgumentRangeError(`${name} must be 1 .. 65535, not ${port}`);
  }
  return port;
}

const hasWords = (address: IpAddress, words: Endpoint): boolean =>
  address.w3 === words.w3 && address.w2 === words.w2 && address.w1 === words.w1 && address.w0 === words.w0;

export class Forwards {
  readonly #limit: number;
  #list: readonly Forward[] = [];
  /** How many forwards have a port, of TCP and of UDP; undefined until there is one. */
  readonly #counts = new Map<number, Uint16Array>();
  /** The same ports as sets. */
  readonly #ports = new Map<number, Int32Array>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get list(): readonly Forward[] {
    return this.#list;
  }

  /** @throws StackError EADDRINUSE for a port that another has, ENOBUFS for one too many */
  add(forward: Forward): void {
    if (this.#list.some((other) => other.overlaps(forward))) {
      throw new StackError('EADDRINUSE', 'forward', forward.outside?.toString(), forward.first);
    }
    if (this.#list.length >= this.#limit) throw new StackError('ENOBUFS', 'forward');
    this.#list = [...this.#list, forward];
    this.#count(forward, 1);
  }

  remove(forward: Forward): void {
    if (!this.#list.includes(forward)) return;
    this.#list = this.#list.filter((other) => other !== forward);
    this.#count(forward, -1);
  }

  /** Whether a port outside is that of a forward, at any address. */
  hasPort(protocol: number, port: number): boolean {
    const counts = this.#counts.get(protocol);
    return counts !== undefined && counts[port] > 0;
  }

  /** The ports outside that forwards have, at any address: the words of a set. */
  portsOf(protocol: number): Int32Array {
    return this.#ports.get(protocol) ?? NO_PORTS;
  }

  /** Where what comes to `outside` is led: fills `inside`. @returns whether there is a forward */
  lead(protocol: number, outside: Endpoint, inside: Endpoint): boolean {
    const { port } = outside;
    if (!this.hasPort(protocol, port)) return false;
    const list = this.#list;
    for (let i = 0; i < list.length; i++) {
      const forward = list[i];
      if (forward.protocol !== protocol || port < forward.first || port > forward.last) continue;
      if (!forward.isAt(outside)) continue;
      const { w0, w1, w2, w3 } = forward.inside;
      inside.set(w0, w1, w2, w3);
      inside.port = forward.insideFirst + port - forward.first;
      return true;
    }
    return false;
  }

  /** The forward that leads to an endpoint inside. */
  to(protocol: number, inside: Endpoint): Forward | undefined {
    const list = this.#list;
    for (let i = 0; i < list.length; i++) {
      if (list[i].protocol === protocol && list[i].leadsTo(inside)) return list[i];
    }
    return undefined;
  }

  #count(forward: Forward, by: number): void {
    const { protocol, first, last } = forward;
    const counts = this.#counts.get(protocol) ?? new Uint16Array(65_536);
    this.#counts.set(protocol, counts);
    const ports = this.#ports.get(protocol) ?? newPortSet();
    this.#ports.set(protocol, ports);
    for (let port = first; port <= last; port++) {
      counts[port] += by;
      if (counts[port] > 0) ports[port >>> 5] |= 1 << (port & 31);
      else ports[port >>> 5] &= ~(1 << (port & 31));
    }
  }
}
