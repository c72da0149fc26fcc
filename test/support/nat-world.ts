/**
 * A stack that forwards and translates between two wires, in virtual time: packets are put on either, and what
 * comes out is read without any code of the stack.
 */
import { Nat } from '../../lib/nat/nat.js';
import type { NatOptions } from '../../lib/nat/options.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack } from '../../lib/stack/stack.js';
import { checksumOf, pseudoHeader, read, type Seen, tcp, u16, udp, v4, v6 } from './ip-wire.js';
import { type InjectedMetadata, WireLink, type WireLinkOptions } from './wire-link.js';

export const OUTSIDE = '198.51.100.1';
export const OUTSIDE_6 = '2001:db8:1::1';
export const HOST = '192.168.0.2';
export const HOST_2 = '192.168.0.3';
export const HOST_6 = 'fd00::2';
export const PEER = '203.0.113.5';
export const PEER_2 = '203.0.113.6';
export const PEER_6 = '2001:db8:2::5';

/** Flags of TCP segments, by their letters. */
const FLAGS: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4, P: 8, '.': 16 };

/** Who sends to whom: `192.168.0.2:5000`. */
export function place(address: string, port: number): { address: string; port: number } {
  return { address, port };
}
export type Place = ReturnType<typeof place>;

export interface NatWorldOptions extends NatOptions {
  readonly insideWire?: WireLinkOptions;
  readonly outsideWire?: WireLinkOptions;
  readonly seed?: number;
  /** Ports that sockets of the stack get when they ask for any. */
  readonly ephemeralPorts?: readonly [number, number];
  readonly reversePathFilter?: 'off' | 'strict' | 'loose';
}

/** What came out of a wire. */
export interface Flow {
  readonly from: Place;
  readonly to: Place;
  readonly seen: Seen;
}

export class NatWorld {
  readonly clock = new VirtualClock(1e9);
  readonly stack: Stack;
  readonly nat: Nat;
  readonly inside: WireLink;
  readonly outside: WireLink;
  readonly #sent: { inside: Uint8Array[]; outside: Uint8Array[] } = { inside: [], outside: [] };

  constructor(options: NatWorldOptions = {}) {
    const {
      insideWire,
      outsideWire,
      seed = 1,
      ephemeralPorts = [32_768, 60_999],
      reversePathFilter = 'off',
      ...nat
    } = options;
    this.inside = new WireLink({ name: 'inside', ...insideWire });
    this.outside = new WireLink({ name: 'outside', ...outsideWire });
    this.stack = new Stack({
      clock: this.clock,
      random: new SeededRandom(seed),
      ip: { forwarding: true, reversePathFilter },
      tcp: { ephemeralPorts },
      udp: { ephemeralPorts },
    });
    this.stack.addLink(this.inside, { addresses: ['192.168.0.1/24', 'fd00::1/64'] });
    const link = this.stack.addLink(this.outside, {
      addresses: [`${OUTSIDE}/24`, `${OUTSIDE_6}/64`],
      defaultRoute: true,
    });
    this.inside.onSent = ({ bytes }) => this.#sent.inside.push(bytes);
    this.outside.onSent = ({ bytes }) => this.#sent.outside.push(bytes);
    this.nat = new Nat({ stack: this.stack, outside: link, ...nat });
  }

  /** Sends packets of the inside. @returns all that left by the outside since the last look */
  out(...packets: Uint8Array[]): Uint8Array[] {
    this.inside.inject(packets);
    return this.takeOutside();
  }

  /** Sends packets of the outside. @returns all that left by the inside since the last look */
  in(...packets: Uint8Array[]): Uint8Array[] {
    this.outside.inject(packets);
    return this.takeInside();
  }

  /** As `out`, with what the link says of the packet. */
  outAs(packet: Uint8Array, metadata: InjectedMetadata): Uint8Array[] {
    this.inside.inject([packet], metadata);
    return this.takeOutside();
  }

  takeOutside(): Uint8Array[] {
    this.clock.advanceBy(0);
    return this.#sent.outside.splice(0);
  }

  takeInside(): Uint8Array[] {
    this.clock.advanceBy(0);
    return this.#sent.inside.splice(0);
  }

  /** Lets time pass. */
  pass(ms: number): void {
    this.clock.advanceBy(ms * 1000);
  }

  /** Sessions there are. */
  get sessions(): number {
    return [...this.nat.sessions()].length;
  }

  close(): void {
    this.nat.close();
    this.stack.close();
  }
}

/** A UDP packet. */
export function udpPacket(from: Place, to: Place, data: readonly number[] = [1, 2, 3]): Uint8Array {
  const payload = udp(from.address, to.address, data, [from.port, to.port]);
  const fields = { from: from.address, to: to.address, payload };
  return from.address.includes(':') ? v6({ ...fields, next: 17 }) : v4({ ...fields, protocol: 17 });
}

/** A TCP packet with flags as packetdrill writes them. */
export function tcpPacket(from: Place, to: Place, flags: string, data: readonly number[] = []): Uint8Array {
  const payload = tcp(from.address, to.address, data, [from.port, to.port]);
  payload[13] = flags.split('').reduce((sum, letter) => sum | FLAGS[letter], 0);
  payload.set(u16(0), 16);
  const pseudo = pseudoHeader(from.address, to.address, 6, payload.length);
  payload.set(u16(checksumOf(pseudo, payload)), 16);
  const fields = { from: from.address, to: to.address, payload };
  return from.address.includes(':') ? v6({ ...fields, next: 6 }) : v4({ ...fields, protocol: 6 });
}

/** Reads a TCP or UDP packet, whose checksum must hold. */
export function flowOf(bytes: Uint8Array): Flow {
  const seen = read(bytes);
  const { payload, protocol } = seen;
  const isNone = protocol === 17 && payload[6] === 0 && payload[7] === 0;
  if (!isNone && checksumOf(pseudoHeader(seen.from, seen.to, protocol, payload.length), payload) !== 0) {
    throw new Error('transport checksum');
  }
  const port = (at: number): number => payload[at] * 256 + payload[at + 1];
  return { from: place(seen.from, port(0)), to: place(seen.to, port(2)), seen };
}

/** The only packet of a list, as a flow. */
export function only(packets: readonly Uint8Array[]): Flow {
  if (packets.length !== 1) throw new Error(`${packets.length} packets instead of one`);
  return flowOf(packets[0]);
}
