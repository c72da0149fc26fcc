/**
 * Several stacks that reach one other over a wire they share, each from its own distance, in virtual time:
 * for what flows do to each other.
 */
import { ArgumentRangeError } from '../base/errors.js';
import { EmulatedLink } from '../link/emulated-link.js';
import type { DirectionOptions } from '../link/emulation-options.js';
import type { LinkDevice } from '../link/link-device.js';
import { OffloadLink } from '../link/offload-link.js';
import { createPipe } from '../link/pipe-device.js';
import { Stack, type StackOptions } from '../stack/stack.js';
import type { IpFamily } from '../wire/ip-address.js';
import { Junction } from './junction.js';
import { SeededRandom } from './seeded-random.js';
import { VirtualClock } from './virtual-clock.js';

export interface BranchOptions extends Pick<StackOptions, 'tcp' | 'ip'> {
  /** Time between this stack and the shared wire, each way, ms; 0 by default. */
  readonly delayMs?: number;
}

export interface SharedBottleneckOptions {
  /** Everything random follows from it; 1 by default. */
  readonly seed?: number;
  /** Family of `serverAddress`; 4 by default. */
  readonly family?: IpFamily;
  /** MTU everywhere, bytes; 1500 by default. */
  readonly mtu?: number;
  /** One for each client, 1 .. 1000. */
  readonly clients: readonly BranchOptions[];
  readonly server?: Pick<StackOptions, 'tcp' | 'ip'>;
  /** What happens to packets on the shared wire from the clients to the server, and back. */
  readonly upstream?: DirectionOptions;
  readonly downstream?: DirectionOptions;
  /** All stacks send and receive super-packets, which are split for the wire and joined behind it. */
  readonly superPackets?: boolean;
}

const MAX_CLIENTS = 1000;
const SERVER = 2;
/** The number in which the first client's addresses end. */
const FIRST_CLIENT = 16;

const addresses = (number: number): string[] => [
  `10.0.${number >> 8}.${number & 255}/16`,
  `fd00::${number.toString(16)}/64`,
];

export class SharedBottleneck {
  readonly clock = new VirtualClock(1e9);
  readonly clients: readonly Stack[];
  readonly server: Stack;
  readonly serverAddress: string;
  /** The shared wire as the server sees it: `incoming` is upstream. */
  readonly link: EmulatedLink;

  /** @throws ArgumentRangeError, ArgumentTypeError, ArgumentValueError for options that cannot be */
  constructor(options: SharedBottleneckOptions) {
    const { clients, mtu = 1500, upstream = {}, downstream = {} } = options;
    if (clients.length < 1 || clients.length > MAX_CLIENTS) {
      throw new ArgumentRangeError(`1 .. ${MAX_CLIENTS} clients, not ${clients.length}`);
    }
    const { clock } = this;
    const random = new SeededRandom(options.seed ?? 1);
    const offloaded = (plain: LinkDevice): LinkDevice =>
      options.superPackets === true ? new OffloadLink(plain) : plain;
    const pipes = clients.map(() => createPipe({ clock, mtu, queuePackets: 100_000, queueBytes: 1 << 28 }));
    this.serverAddress = addresses(SERVER)[options.family === 6 ? 1 : 0].replace(/\/.*/, '');
    this.link = new EmulatedLink(
      new Junction(
        pipes.map(([, far]) => far),
        (number) => number - FIRST_CLIENT,
      ),
      { clock, random: random.fork(), outgoing: downstream, incoming: upstream },
    );
    this.server = new Stack({ clock, random: random.fork(), ...options.server });
    this.server.addLink(offloaded(this.link), { addresses: addresses(SERVER) });
    this.clients = clients.map(({ delayMs = 0, ...stackOptions }, i) => {
      const access = new EmulatedLink(pipes[i][0], {
        clock,
        random: random.fork(),
        outgoing: { delayMs },
        incoming: { delayMs },
      });
      const stack = new Stack({ clock, random: random.fork(), ...stackOptions });
      stack.addLink(offloaded(access), { addresses: addresses(FIRST_CLIENT + i) });
      return stack;
    });
  }

  /** Closes all stacks. */
  close(): void {
    for (const client of this.clients) client.close();
    this.server.close();
  }
}
