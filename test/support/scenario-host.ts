/**
 * One stack for scenario tests, in virtual time, on one `WireLink`: what it sends is sorted by connection
 * and traced, and when the test ends it is closed and must have left nothing behind.
 */
import { expect } from 'chai';
import type { IpOptions } from '../../lib/ip/options.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { Stack, type StackOptions } from '../../lib/stack/stack.js';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';
import type { TcpListenerEndpoint } from '../../lib/stack/tcp-listener-endpoint.js';
import type { TcpOptions } from '../../lib/tcp/options.js';
import { PROTOCOL_TCP } from './packet-bytes.js';
import type { SentPacket } from './packet-check.js';
import { finishLater } from './scenario-hooks.js';
import { StallingClock } from './stalling-clock.js';
import { WireLink } from './wire-link.js';

/** Where the stack and its peers live. */
export const STACK_V4 = '10.0.0.1';
export const STACK_V6 = 'fd00::1';
export const PEER_V4 = '10.0.0.2';
export const PEER_V6 = 'fd00::2';
/** A router on the link, from which ICMP errors come. */
export const ROUTER_V4 = '10.0.0.254';
export const ROUTER_V6 = 'fd00::fe';

/** Not zero, as time is not at zero in service; a multiple of the 4 µs by which ISNs tick. */
const START_US = 1_000_000_000;
/** Time for everything to end: TIME-WAIT twice over, and the reassembly of fragments. */
const FAREWELL_US = 180e6;
/** Lines of the trace that are kept, and shown with a failure. */
const KEPT_LINES = 1000;
const SHOWN_LINES = 60;

export interface HostOptions {
  /** Of the whole TCP layer. */
  tcp?: Omit<NonNullable<StackOptions['tcp']>, 'connection'>;
  ip?: Partial<IpOptions>;
  /** MTU of the link, bytes; 1500 by default. */
  mtu?: number;
  /** The link takes super-packets and unfinished checksums; false by default. */
  offload?: boolean;
  /** Of all randomness; 1 by default. */
  seed?: number;
  /** Addresses of the stack beside its own two. */
  addresses?: readonly string[];
}

/** Those of Linux before 6.16, by which windows in lines count in units of 128 bytes: a scale of 7. */
const BUFFERS = Object.freeze({ receiveBufferMaxBytes: 6 << 20, sendBufferBytes: 4 << 20 });

/** Hears what is sent to one address and port. */
export interface WireListener {
  /** @returns whether the packet was for it */
  sent(packet: SentPacket): boolean;
}

export class ScenarioHost {
  readonly clock: StallingClock;
  readonly wire: WireLink;
  readonly stack: Stack;
  readonly startUs: number;
  /** What nobody claimed: ICMP errors, RSTs to strangers. */
  readonly unclaimed: SentPacket[] = [];
  readonly listeners: WireListener[] = [];
  readonly #endpoints: TcpEndpoint[] = [];
  readonly #listening: TcpListenerEndpoint[] = [];
  readonly #trace: string[] = [];
  readonly #options: HostOptions;
  #isFinished = false;

  /** @param delayUs how much later than usual time begins, which moves every ISN */
  constructor(options: HostOptions = {}, delayUs = 0) {
    this.#options = options;
    this.startUs = START_US + delayUs;
    this.clock = new StallingClock(this.startUs);
    this.wire = new WireLink(options);
    this.wire.onSent = (packet) => this.#sent(packet);
    this.stack = new Stack({
      clock: this.clock,
      random: new SeededRandom(options.seed ?? 1),
      tcp: { ...options.tcp, connection: BUFFERS },
      ...(options.ip === undefined ? {} : { ip: options.ip }),
    });
    // IPv6 needs links that carry 1,280 bytes (RFC 8200 §5).
    const own = this.wire.mtu < 1280 ? [`${STACK_V4}/24`] : [`${STACK_V4}/24`, `${STACK_V6}/64`];
    this.stack.addLink(this.wire, {
      addresses: [...own, ...(options.addresses ?? [])],
      defaultRoute: true,
    });
    finishLater(this);
  }

  /** Virtual time since the beginning, ms. */
  get nowMs(): number {
    return (this.clock.nowUs() - this.startUs) / 1000;
  }

  /** Whether the test has already ended it. */
  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Listens and accepts whatever comes, at once; `onAccept` hears of it. */
  listen(port: number, onAccept: (endpoint: TcpEndpoint) => void, listen: ListenChoice): TcpListenerEndpoint {
    const { options, accept = true, ...rest } = listen;
    const listener = this.stack.listenTcp({ port, ...rest, ...(options === undefined ? {} : { options }) });
    if (accept) {
      listener.onConnection = () => {
        for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
          onAccept(this.adopt(next));
        }
      };
    }
    this.#listening.push(listener);
    return listener;
  }

  /** The endpoint is ended with the host. */
  adopt(endpoint: TcpEndpoint): TcpEndpoint {
    this.#endpoints.push(endpoint);
    return endpoint;
  }

  /** Lets everything happen that is due now. */
  settle(): void {
    this.advanceUs(0);
  }

  advanceUs(us: number): void {
    this.clock.advanceBy(us);
    this.checkFaults();
  }

  inject(packets: readonly Uint8Array[], metadata: Parameters<WireLink['inject']>[1] = {}): void {
    this.wire.inject(packets, metadata);
    this.settle();
  }

  /** Adds a line to the trace. */
  note(line: string): void {
    if (this.#trace.length === KEPT_LINES) this.#trace.shift();
    this.#trace.push(`${this.nowMs.toFixed(3).padStart(12)} ${line}`);
  }

  /** What happened so far, the last lines of it. */
  get trace(): string {
    return this.#trace.slice(-SHOWN_LINES).join('\n');
  }

  /** @throws AssertionError when a packet the stack sent was wrong in itself */
  checkFaults(): void {
    const { faults } = this.wire;
    if (faults.length > 0) expect.fail(`the stack sent a bad packet: ${faults[0]}\ntrace:\n${this.trace}`);
  }

  /**
   * Ends every endpoint and listener, lets time pass and closes the stack.
   * @throws AssertionError when a gauge is not back at zero or an alarm is left (row I19)
   */
  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.checkFaults();
    if (!this.stack.isClosed) this.#leave();
    this.checkFaults();
    this.stack.close();
    expect(this.clock.pending, 'alarms left by a closed stack').to.equal(0);
    expect(this.wire.isClosed, 'the link of a closed stack is closed').to.equal(true);
  }

  #leave(): void {
    this.note('* the scenario is over');
    this.wire.unblock();
    for (const listener of this.#listening) listener.close();
    for (const endpoint of this.#endpoints) endpoint.abort();
    const timeWaitMs = this.#options.tcp?.timeWaitMs ?? 0;
    this.clock.advanceBy(FAREWELL_US + 2000 * timeWaitMs);
    const left = gaugesOf(this.stack);
    for (const [name, value] of Object.entries(left)) {
      if (value !== 0) expect.fail(`${value} left of the gauge ${name}\ntrace:\n${this.trace}`);
    }
  }

  #sent(packet: SentPacket): void {
    for (const listener of this.listeners) if (listener.sent(packet)) return;
    this.unclaimed.push(packet);
    this.note(`> ${describe(packet)}`);
  }
}

/** How a scenario's listener is made; `accept: false` leaves connections in the queue. */
export interface ListenChoice {
  readonly address?: string;
  readonly backlog?: number;
  readonly reusePort?: boolean;
  readonly ipv6Only?: boolean;
  readonly options?: Partial<TcpOptions>;
  readonly accept?: boolean;
}

/** Everything that must be zero when nothing goes on. */
export function gaugesOf(stack: Stack): Record<string, number> {
  const { tcp, ip } = stack.stats;
  return {
    connections: stack.tcp.connections,
    currEstab: tcp.currEstab,
    twCount: tcp.twCount,
    orphans: tcp.orphans,
    memoryBytes: tcp.memoryBytes,
    reasmBytes: ip.reasmBytes,
  };
}

/** What `gaugesOf` tells of a stack that holds nothing. */
export const NOTHING_LEFT: Readonly<Record<string, number>> = {
  connections: 0,
  currEstab: 0,
  twCount: 0,
  orphans: 0,
  memoryBytes: 0,
  reasmBytes: 0,
};

function describe(packet: SentPacket): string {
  const version = packet.bytes[0] >> 4;
  const protocol = packet.bytes[version === 4 ? 9 : 6];
  if (protocol === PROTOCOL_TCP) return `a segment to nobody known (${packet.bytes.length} bytes)`;
  return `IPv${version} protocol ${protocol}, ${packet.bytes.length} bytes`;
}
