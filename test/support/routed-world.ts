/** Client, router and server in virtual time: two links, and only the router between them. */
import { EmulatedLink } from '../../lib/link/emulated-link.js';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import { createPipe } from '../../lib/link/pipe-device.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import type { Simulation } from '../../lib/sim/simulation.js';
import { Transfer, type TransferOptions } from '../../lib/sim/transfer.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack, type StackOptions } from '../../lib/stack/stack.js';
import type { IpFamily } from '../../lib/wire/ip-address.js';

export interface SideOptions {
  readonly mtu?: number;
  /** Whether super-packets and unfinished checksums pass. */
  readonly offload?: boolean;
  /** Towards the router, and from it. */
  readonly up?: DirectionOptions;
  readonly down?: DirectionOptions;
}

export interface RoutedOptions {
  readonly seed?: number;
  readonly family?: IpFamily;
  readonly near?: SideOptions;
  readonly far?: SideOptions;
  readonly router?: NonNullable<StackOptions['ip']>;
  /** What the router's route to the server takes, bytes. */
  readonly routeMtu?: number;
}

const SERVER = { 4: '10.2.0.2', 6: 'fd02::2' } as const;

export class RoutedWorld {
  readonly clock = new VirtualClock(1e9);
  readonly client: Stack;
  readonly router: Stack;
  readonly server: Stack;
  readonly family: IpFamily;
  #port = 5000;

  constructor(options: RoutedOptions = {}) {
    const random = new SeededRandom(options.seed ?? 1);
    const { clock } = this;
    this.family = options.family ?? 4;
    const stack = (ip: StackOptions['ip'] = {}): Stack => new Stack({ clock, random: random.fork(), ip });
    this.client = stack();
    this.router = stack({ forwarding: true, ...options.router });
    this.server = stack();
    const [c, rc] = this.#link(options.near, random);
    const [s, rs] = this.#link(options.far, random);
    this.client.addLink(c, { addresses: ['10.1.0.2/24', 'fd01::2/64'], defaultRoute: true });
    this.router.addLink(rc, { addresses: ['10.1.0.1/24', 'fd01::1/64'] });
    this.router.addLink(rs, { addresses: ['10.2.0.1/24', 'fd02::1/64'] });
    const destination = this.family === 4 ? '10.2.0.2/32' : 'fd02::2/128';
    if (options.routeMtu !== undefined)
      this.router.routing.routes.add({ destination, port: 2, mtu: options.routeMtu });
    this.server.addLink(s, { addresses: ['10.2.0.2/24', 'fd02::2/64'], defaultRoute: true });
  }

  /** The end of a host, and that of the router. */
  #link(given: SideOptions = {}, random: SeededRandom): [host: LinkDevice, router: LinkDevice] {
    const { mtu = 1500, offload = false, up, down } = given;
    const { clock } = this;
    const whole = { checksumOffload: offload, segmentation: offload, udpSegmentation: offload };
    const [near, far] = createPipe({ clock, mtu, queuePackets: 100_000, queueBytes: 1 << 28, ...whole });
    if (up === undefined && down === undefined) return [near, far];
    const worse = { clock, random: random.fork(), outgoing: up ?? {}, incoming: down ?? {} };
    return [new EmulatedLink(near, worse), far];
  }

  get serverAddress(): string {
    return SERVER[this.family];
  }

  start(options: TransferOptions): Transfer {
    return new Transfer(this as unknown as Simulation, this.#port++, options);
  }

  /** As `Simulation.transfer`. */
  transfer(options: TransferOptions & { readonly limitMs?: number }): number {
    const transfer = this.start(options);
    this.clock.runUntil(() => transfer.isOver, (options.limitMs ?? 60_000) * 1000);
    return transfer.isIntact ? transfer.receivedBytes : -1;
  }

  close(): void {
    for (const stack of [this.client, this.router, this.server]) stack.close();
  }
}
