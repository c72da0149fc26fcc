/** Stacks on one Ethernet in virtual time: a switch that forgets nothing, and what passes it. */
import { EthernetLink } from '../../lib/ethernet/ethernet-link.js';
import type { EthernetLinkOptions } from '../../lib/ethernet/ethernet-options.js';
import { PacketLink } from '../../lib/link/packet-link.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { type LinkOptions, Stack, type StackOptions } from '../../lib/stack/stack.js';
import { IpAddress } from '../../lib/wire/ip-address.js';

/** Largest frame, with room for a VLAN tag. */
export const FRAME_BYTES = 1518;

/** A place on the network. */
export interface Station {
  readonly frames: PacketLink;
  receive(frame: Uint8Array): void;
}

/** A hub: every frame reaches everybody else. */
export class Lan {
  readonly clock: VirtualClock;
  readonly random = new SeededRandom(7);
  /** Every frame, oldest first. */
  readonly seen: Uint8Array[] = [];
  /** Frames of which this says false are lost. */
  passes: (frame: Uint8Array) => boolean = () => true;
  /** Whether reports of IPv6 groups pass; without, nobody sees them, as most tests count frames. */
  carriesReports = false;
  readonly #stations: { receive(frame: Uint8Array): void }[] = [];

  /** @param clock that of another network, to which a router joins this one */
  constructor(clock = new VirtualClock()) {
    this.clock = clock;
  }

  /** Sends a frame from outside of any station. */
  inject(frame: Uint8Array, from?: unknown): void {
    if (!this.carriesReports && isGroupReport(frame)) return;
    this.seen.push(frame);
    if (!this.passes(frame)) return;
    for (const station of this.#stations) if (station !== from) station.receive(frame);
  }

  /** Somebody who hears every frame. */
  listen(receive: (frame: Uint8Array) => void): void {
    this.#stations.push({ receive });
  }

  /** The device of one more station. */
  device(name: string): PacketLink {
    const frames: PacketLink = new PacketLink({
      clock: this.clock,
      name,
      mtu: FRAME_BYTES,
      coalesce: false,
      send: (frame) => this.inject(frame, station),
    });
    const station = { receive: (frame: Uint8Array) => void frames.receive(frame) };
    this.#stations.push(station);
    return frames;
  }

  /** A link without a stack yet. */
  link(name: string, options: Partial<EthernetLinkOptions> = {}): EthernetLink {
    const { clock } = this;
    return new EthernetLink({
      frames: options.frames ?? this.device(name),
      clock,
      random: this.random.fork(),
      mtu: 1500,
      ...options,
    });
  }

  /** A stack with one link, and no address detection unless asked for, so that tests can begin at once. */
  host(name: string, options: HostOptions = {}): LanHost {
    const { ethernet, stack: stackOptions, ...linkOptions } = options;
    const device = this.device(name);
    const link = this.link(name, {
      frames: device,
      detection: { ipv6Probes: 0, ipv4Announcements: 0 },
      ...ethernet,
    });
    const stack = new Stack({ clock: this.clock, random: this.random.fork(), ...stackOptions });
    const index = stack.addLink(link, linkOptions);
    return { stack, link, index, device };
  }

  advanceMs(ms: number): void {
    this.clock.advanceBy(ms * 1000);
  }

  /** Frames of a type, from the `from`-th on. */
  framesOf(etherType: number, from = 0): Uint8Array[] {
    return this.seen.slice(from).filter((frame) => viewOf(frame).getUint16(12) === etherType);
  }
}

export interface HostOptions extends LinkOptions {
  readonly ethernet?: Partial<EthernetLinkOptions>;
  readonly stack?: Partial<StackOptions>;
}

export interface LanHost {
  readonly stack: Stack;
  readonly link: EthernetLink;
  readonly index: number;
  readonly device: PacketLink;
}

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** MLD: IPv6 with hop-by-hop options first, then ICMPv6. */
const isGroupReport = (frame: Uint8Array): boolean =>
  frame[12] === 0x86 && frame[13] === 0xdd && frame[20] === 0 && frame[54] === 58;

/** An Ethernet frame. */
export function frameOf(ends: { from: string; to: string; type: number }, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(14 + payload.length);
  frame.set(macBytes(ends.to), 0);
  frame.set(macBytes(ends.from), 6);
  viewOf(frame).setUint16(12, ends.type);
  frame.set(payload, 14);
  return frame;
}

export const macBytes = (mac: string): number[] => mac.split(':').map((byte) => Number.parseInt(byte, 16));

export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Sends echo requests from a stack, and keeps what came back. */
export class Pinger {
  /** Sequence numbers answered. */
  readonly replies: number[] = [];
  /** Kinds of errors, as `IcmpErrorKind` has them. */
  readonly errors: number[] = [];
  readonly #stack: Stack;
  readonly #identifier: number;
  #sequence = 0;

  constructor(stack: Stack, identifier = 1) {
    this.#stack = stack;
    this.#identifier = identifier;
    stack.ip.echo.add(identifier, {
      reply: (_packet, { sequence }) => void this.replies.push(sequence),
      error: ({ kind }) => void this.errors.push(kind),
    });
  }

  /** @returns '' or the code of the error */
  send(address: string, options: { oif?: number; bytes?: number } = {}): string {
    const { bytes = 8, ...rest } = options;
    return this.#stack.ip.sendEchoRequest({
      destination: IpAddress.parse(address),
      identifier: this.#identifier,
      sequence: ++this.#sequence,
      payload: new Uint8Array(bytes),
      ...rest,
    });
  }
}
