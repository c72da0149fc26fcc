/** A stack and the Linux kernel on one Ethernet: a TAP whose other side lies in a network namespace of the test. */
import type { Context } from 'mocha';
import { StackError } from '../../lib/base/errors.js';
import { EthernetLink } from '../../lib/ethernet/ethernet-link.js';
import type { EthernetLinkOptions } from '../../lib/ethernet/ethernet-options.js';
import type { TunDevice } from '../../lib/link/tun-device.js';
import { openPrivateTun, type PrivateTun, type PrivateTunOptions } from '../../lib/link/tun-private.js';
import { type LinkOptions, Stack } from '../../lib/stack/stack.js';
import '../../lib/dgram/stack-dgram.js';
import '../../lib/dns/stack-dns.js';
import '../../lib/net/stack-net.js';
import { SystemClock } from '../../lib/stack/system-clock.js';
import { SystemRandom } from '../../lib/stack/system-random.js';
import { TestNamespace } from './netns.js';
import { skipOn, Unavailable } from './skip.js';

export interface TapOptions extends LinkOptions {
  readonly ethernet?: Partial<EthernetLinkOptions>;
  readonly tap?: PrivateTunOptions;
  /** Shell run in the namespace before the stack is there, when `tap0` is up. */
  readonly setUp?: string;
}

export class TapBed {
  readonly namespace: TestNamespace;
  readonly tap: TunDevice;
  readonly link: EthernetLink;
  readonly stack: Stack;
  readonly clock: SystemClock;
  readonly random: SystemRandom;
  readonly index: number;

  private constructor(namespace: TestNamespace, tap: TunDevice, options: TapOptions) {
    const { ethernet, addresses = [], defaultRoute = false } = options;
    this.namespace = namespace;
    this.tap = tap;
    this.clock = new SystemClock();
    this.random = new SystemRandom();
    const { clock, random } = this;
    this.link = new EthernetLink({ frames: tap, clock, random, mac: '52:54:00:00:00:01', ...ethernet });
    this.stack = new Stack({ clock, random });
    this.index = this.stack.addLink(this.link, { addresses, defaultRoute });
  }

  /** Opens one, or skips the test or suite whose `this` is given where that is impossible. */
  static open(context: Context, options: TapOptions = {}): Promise<TapBed> {
    return skipOn(context, async () => {
      const tap = await openTap(options);
      const namespace = TestNamespace.around(tap.pid, () => tap.close());
      try {
        if (options.setUp !== undefined) await namespace.shell(options.setUp);
        return new TapBed(namespace, tap.device, options);
      } catch (error) {
        await namespace.close();
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    this.stack.close();
    await this.namespace.close();
  }
}

async function openTap(options: TapOptions): Promise<PrivateTun> {
  try {
    const tap = await openPrivateTun({ mode: 'tap', name: 'tap0', up: false, ...options.tap });
    // Its own address is there at once, as nobody else can have it.
    await TestNamespace.around(tap.pid, async () => {}).shell(
      'sysctl -qw net.ipv6.conf.tap0.accept_dad=0; ip link set tap0 up',
    );
    return tap;
  } catch (error) {
    if (error instanceof StackError) throw new Unavailable(`no TAP here: ${error.message}`);
    throw error;
  }
}
