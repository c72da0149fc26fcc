/**
 * Two stacks on one emulated link in virtual time: seconds of protocol in milliseconds, and the same
 * packets for the same seed. Shipped for users who test what they build on a stack.
 */
import { EmulatedLink } from '../link/emulated-link.js';
import type { DirectionOptions } from '../link/emulation-options.js';
import type { LinkDevice } from '../link/link-device.js';
import { OffloadLink } from '../link/offload-link.js';
import { createPipe } from '../link/pipe-device.js';
import { Stack, type StackOptions } from '../stack/stack.js';
import type { IpFamily } from '../wire/ip-address.js';
import { SeededRandom } from './seeded-random.js';
import { Transfer, type TransferOptions } from './transfer.js';
import { VirtualClock } from './virtual-clock.js';

/** What a simulation is made with. */
export interface SimulationOptions {
  /** Everything random follows from it; 1 by default. */
  readonly seed?: number;
  /** Family of the addresses used by `transfer`; 4 by default. */
  readonly family?: IpFamily;
  /** MTU of the link, bytes; 1500 by default. */
  readonly mtu?: number;
  /** What happens to packets from the client to the server. */
  readonly upstream?: DirectionOptions;
  /** What happens to packets from the server to the client. */
  readonly downstream?: DirectionOptions;
  /**
   * Both stacks send and receive super-packets. Without `upstream` and `downstream` they pass whole; with
   * either they are split before the emulated wire, so that its faults meet single packets, and what
   * arrives together is joined behind it.
   */
  readonly superPackets?: boolean;
  /** Options of the client's stack. */
  readonly client?: Pick<StackOptions, 'tcp' | 'ip' | 'probe' | 'dns'>;
  /** Options of the server's stack. */
  readonly server?: Pick<StackOptions, 'tcp' | 'ip' | 'probe' | 'dns'>;
  /** Where virtual time begins, µs; 10^9 by default. */
  readonly startUs?: number;
}

/** Addresses of both ends, in both families. */
export const SIMULATED = Object.freeze({
  client: Object.freeze({ 4: '10.0.0.1', 6: 'fd00::1' }),
  server: Object.freeze({ 4: '10.0.0.2', 6: 'fd00::2' }),
});

/**
 * Two stacks on one emulated link in virtual time: seconds of protocol in milliseconds, and the same packets
 * for the same seed. The client is 10.0.0.1 and fd00::1, the server 10.0.0.2 and fd00::2.
 */
export class Simulation {
  /** The time of both stacks; nothing happens unless it is moved. */
  readonly clock: VirtualClock;
  /** Randomness of everything, of the seed. */
  readonly random: SeededRandom;
  /** The client's stack. */
  readonly client: Stack;
  /** The server's stack. */
  readonly server: Stack;
  /** Version of IP that `transfer` uses. */
  readonly family: IpFamily;
  /** The wire as the client's packets meet it; undefined where super-packets pass whole. */
  readonly link: EmulatedLink | undefined;
  #port = 5000;

  /** @throws ArgumentRangeError, ArgumentTypeError, ArgumentValueError for options that cannot be */
  constructor(options: SimulationOptions = {}) {
    this.clock = new VirtualClock(options.startUs ?? 1e9);
    this.random = new SeededRandom(options.seed ?? 1);
    this.family = options.family ?? 4;
    const { clock } = this;
    const superPackets = options.superPackets === true;
    const emulated = !superPackets || options.upstream !== undefined || options.downstream !== undefined;
    const [near, far] = createPipe({
      clock,
      mtu: options.mtu ?? 1500,
      queuePackets: 100_000,
      checksumOffload: !emulated,
      segmentation: !emulated,
    });
    const linkRandom = this.random.fork();
    this.client = new Stack({ clock, random: this.random.fork(), ...options.client });
    this.server = new Stack({ clock, random: this.random.fork(), ...options.server });
    this.link = emulated
      ? new EmulatedLink(near, {
          clock,
          random: linkRandom,
          outgoing: options.upstream ?? {},
          incoming: options.downstream ?? {},
        })
      : undefined;
    const offloaded = (plain: LinkDevice): LinkDevice =>
      superPackets && emulated ? new OffloadLink(plain) : plain;
    this.client.addLink(offloaded(this.link ?? near), { addresses: ['10.0.0.1/24', 'fd00::1/64'] });
    this.server.addLink(offloaded(far), { addresses: ['10.0.0.2/24', 'fd00::2/64'] });
  }

  /** The server's address in the family of this simulation. */
  get serverAddress(): string {
    return SIMULATED.server[this.family];
  }

  /** Begins a transfer over a connection of its own; several may run at once. */
  start(options: TransferOptions): Transfer {
    return new Transfer(this, this.#port++, options);
  }

  /**
   * Transfers `bytes` over one connection and closes it from both sides, for at most `limitMs` of virtual
   * time.
   * @returns how many bytes arrived, each compared with what was sent; -1 when one was wrong
   */
  transfer(options: TransferOptions & { readonly limitMs?: number }): number {
    const transfer = this.start(options);
    this.clock.runUntil(() => transfer.isOver, (options.limitMs ?? 60_000) * 1000);
    return transfer.isIntact ? transfer.receivedBytes : -1;
  }

  /** Lets time pass until nothing is under way any more, `limitMs` at most. @returns whether it came to rest */
  rest(limitMs = 200_000): boolean {
    return this.clock.runUntilIdle(limitMs * 1000);
  }

  /** Closes both stacks. */
  close(): void {
    this.client.close();
    this.server.close();
  }
}
