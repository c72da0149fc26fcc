/**
 * A tunnel whose inside is played packet by packet, and whose proxy follows a script: what those inside hear is
 * exactly what the tunnel's stack sends, and the tunnel's time is the test's.
 */
import { expect } from 'chai';
import { Stack, SystemClock, SystemRandom } from '../../../lib/index.js';
import type { SocksTunnelStats } from '../../../lib/socks/counters.js';
import type { SocksTunnelOptions } from '../../../lib/socks/options.js';
import type { SocksCredentials } from '../../../lib/socks/protocol.js';
import { openSocksTunnel, type SocksTunnel } from '../../../lib/socks/tunnel.js';
import { ManualTimers } from '../../relay/support/manual-timers.js';
import { eventually } from '../../support/interop-wait.js';
import {
  bytesOf,
  checksumOf,
  pseudoHeader,
  read,
  type Seen,
  u16,
  u32,
  udp,
  v4,
  v6,
} from '../../support/ip-wire.js';
import { WireLink } from '../../support/wire-link.js';
import { ScriptedProxy, type Step } from './scripted-proxy.js';

export const Flag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;
export const INSIDE = { 4: '10.0.0.2', 6: 'fd00::2' } as const;
export const OUTSIDE = { 4: '192.0.2.7', 6: '2001:db8:7::7' } as const;
/** How long the tunnel waits for its proxy by default, ms. */
const DIAL_MS = 20_000;
/** Sequence number of every SYN. */
const ISS = 1000;

export type Family = 4 | 6;
type Counts = Partial<SocksTunnelStats>;
type Datagram = string | Uint8Array;

/** One port inside, and what it heard. */
export class RawPort {
  /** `SYN-ACK`, `RST`, `FIN`, `ICMP 3/1`, and text. */
  readonly heard: string[] = [];
  /** The datagrams among these. */
  readonly datagrams: Buffer[] = [];
  readonly family: Family;
  readonly port: number;
  readonly #world: RawWorld;
  /** Of the stack's next byte. */
  #rcvNxt = 0;
  #sndNxt = ISS;

  constructor(world: RawWorld, family: Family, port: number) {
    this.#world = world;
    this.family = family;
    this.port = port;
  }

  /** A segment from here. */
  tcp(flags: number, text = '', to = 80): void {
    const data = Buffer.from(text);
    const ack = (flags & Flag.ACK) === 0 ? 0 : this.#rcvNxt;
    const [from, destination] = [INSIDE[this.family], OUTSIDE[this.family]];
    const segment = bytesOf(
      u16(this.port),
      u16(to),
      u32(this.#sndNxt),
      u32(ack),
      [0x50, flags],
      u16(65_535),
      [0, 0, 0, 0],
      data,
    );
    segment.set(u16(checksumOf(pseudoHeader(from, destination, 6, segment.length), segment)), 16);
    this.#sndNxt += data.length + (flags & 1) + ((flags >> 1) & 1);
    this.#world.inject(this.family, 6, segment, destination);
  }

  /** A datagram from here, or several in one batch. */
  udp(data: Datagram | readonly Datagram[], to = 7, destination: string = OUTSIDE[this.family]): void {
    const from = INSIDE[this.family];
    const all: readonly Datagram[] = Array.isArray(data) ? data : [data as Datagram];
    const datagrams = all.map((one) => {
      const bytes = Buffer.from(one as string);
      // Without a checksum where that is allowed (RFC 768): the helper's is slow.
      if (this.family === 6) return udp(from, destination, bytes, [this.port, to]);
      const header = [...u16(this.port), ...u16(to), ...u16(8 + bytes.length), 0, 0];
      return Buffer.concat([Uint8Array.from(header), bytes]);
    });
    this.#world.injectAll(this.family, 17, datagrams, destination);
  }

  /** Takes a segment for this port. */
  segment(payload: Uint8Array): void {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    const flags = payload[13];
    const text = Buffer.from(payload.subarray((payload[12] >> 4) * 4)).toString('latin1');
    if ((flags & Flag.RST) !== 0) this.heard.push('RST');
    else if ((flags & Flag.SYN) !== 0) this.heard.push('SYN-ACK');
    else {
      if (text !== '') this.heard.push(text);
      if ((flags & Flag.FIN) !== 0) this.heard.push('FIN');
    }
    const length = text.length + (flags & 1) + ((flags >> 1) & 1);
    if (length > 0) this.#rcvNxt = (view.getUint32(4) + length) >>> 0;
  }

  /** Waits until it has heard so many things. @returns them */
  async hears(count = 1): Promise<readonly string[]> {
    return eventually(
      `what port ${this.port} hears`,
      () => this.heard,
      (heard) => heard.length >= count,
    );
  }
}

export class RawWorld {
  readonly timers = new ManualTimers();
  readonly link = new WireLink();
  readonly stack: Stack;
  readonly tunnel: SocksTunnel;
  proxy: ScriptedProxy;
  readonly #ports = new Map<number, RawPort>();
  #nextPort = 20_000;
  #counted: SocksTunnelStats;

  private constructor(proxy: ScriptedProxy, options: Partial<SocksTunnelOptions>, user?: SocksCredentials) {
    this.proxy = proxy;
    this.stack = new Stack({
      clock: new SystemClock(),
      random: new SystemRandom(),
      ip: { icmpDestinationMs: 0, icmpErrorsPerSecond: 100_000 },
      tcp: { resetsPerSecond: 100_000 },
    });
    this.stack.addLink(this.link, { addresses: ['10.0.0.1/24', 'fd00::1/64'], defaultRoute: true });
    this.link.onSent = ({ bytes }) => this.#sent(read(bytes));
    const place = { host: '127.0.0.1', port: proxy.port, ...user };
    this.tunnel = openSocksTunnel({ stack: this.stack, proxy: place, timers: this.timers, ...options });
    this.#counted = this.tunnel.stats;
  }

  static async open(options: Partial<SocksTunnelOptions> = {}, user?: SocksCredentials): Promise<RawWorld> {
    return new RawWorld(await ScriptedProxy.start(), options, user);
  }

  async close(): Promise<void> {
    this.tunnel.close();
    if (!this.stack.isClosed) this.stack.close();
    await this.proxy.close();
  }

  /** Another port inside, which nothing is known of. */
  port(family: Family = 4): RawPort {
    const port = new RawPort(this, family, this.#nextPort++);
    this.#ports.set(port.port, port);
    return port;
  }

  /** What was counted since this was last asked, without zeros. */
  counted(): Counts {
    const { stats } = this.tunnel;
    const before = this.#counted;
    this.#counted = stats;
    const names = Object.keys(stats) as (keyof SocksTunnelStats)[];
    return Object.fromEntries(
      names.map((name) => [name, stats[name] - before[name]] as const).filter(([, count]) => count !== 0),
    );
  }

  /** The proxy's script is played to its end, or to a pause. */
  async played(count: number): Promise<void> {
    await eventually(
      'the script',
      () => this.proxy.played,
      (played) => played >= count,
    );
  }

  /** Somebody begins, while the proxy plays a script. @returns him, once the script has been played */
  async begins(steps: readonly Step[], family: Family, begin: (port: RawPort) => void): Promise<RawPort> {
    const played = this.proxy.played + 1;
    this.proxy.steps = steps;
    const port = this.port(family);
    begin(port);
    await this.played(played);
    return port;
  }

  /** He who has begun hears an answer, nothing is left, and so much was counted. @param counts with time-outs, time passes */
  async endsWith(port: RawPort, answer: string, counts: Counts): Promise<void> {
    if (counts.proxyTimeouts === 1) {
      // What the proxy has said must be heard first: then nothing but time makes a difference.
      await new Promise((resolve) => setImmediate(resolve));
      expect(port.heard).to.deep.equal([]);
      this.timers.advance(DIAL_MS);
    }
    const what = JSON.stringify(this.proxy.steps);
    expect(await port.hears(), what).to.deep.equal([answer]);
    await this.nothingLeft();
    expect(this.counted(), what).to.deep.equal(counts);
  }

  /** Waits until nothing is left of what was: connections, flows, requests, timers. */
  async nothingLeft(): Promise<void> {
    const { tunnel, timers, proxy, stack } = this;
    await eventually(
      'all is over',
      () => ({
        tcp: tunnel.tcpFlows,
        udp: tunnel.udpFlows,
        pending: tunnel.pending,
        timers: timers.count,
        proxy: proxy.open,
        connections: stack.stats.tcp.currEstab,
      }),
      (left) => Object.values(left).every((count) => count === 0),
    );
  }

  inject(family: Family, protocol: number, payload: Uint8Array, to: string): void {
    this.injectAll(family, protocol, [payload], to);
  }

  injectAll(family: Family, protocol: number, payloads: readonly Uint8Array[], to: string): void {
    const from = INSIDE[family];
    const packets = payloads.map((payload) => {
      if (family === 6) return v6({ from, to, next: protocol, payload });
      const header = v4({ from, to, protocol, totalLength: 20 + payload.length });
      return Buffer.concat([header, payload]);
    });
    this.link.inject(packets);
  }

  #sent({ protocol, payload, from }: Seen): void {
    if (protocol === 6) this.#ports.get((payload[2] << 8) | payload[3])?.segment(payload);
    else if (protocol === 17) {
      const data = Buffer.from(payload.subarray(8));
      const port = this.#ports.get((payload[2] << 8) | payload[3]);
      port?.datagrams.push(data);
      port?.heard.push(`${from} ${(payload[0] << 8) | payload[1]}: ${data.toString('latin1')}`);
    } else if (protocol === 1 || protocol === 58) {
      // The port of who sent what is quoted.
      const at = 8 + (protocol === 1 ? 20 : 40);
      this.#ports.get((payload[at] << 8) | payload[at + 1])?.heard.push(`ICMP ${payload[0]}/${payload[1]}`);
    }
  }
}
