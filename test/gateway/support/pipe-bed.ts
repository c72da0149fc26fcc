/**
 * A gateway without a namespace: somebody inside, a stack on a pipe, and the gateway's stack at its other end. The
 * host's side is the loopback of this process, as 10.0.2.2 and fd00::2.
 */
import { type Gateway, openGateway } from '../../../lib/gateway/gateway.js';
import type { GatewayOptions } from '../../../lib/gateway/options.js';
import { createPipe, Stack, SystemClock, SystemRandom } from '../../../lib/index.js';
import { ManualTimers } from '../../relay/support/manual-timers.js';

export const HOST = { 4: '10.0.2.2', 6: 'fd00::2' } as const;
export const DNS_ADDRESS = '10.0.2.3';
const INSIDE = ['10.0.2.100/24', 'fd00::100/64'];
const OURS = ['10.0.2.2/24', '10.0.2.3/24', 'fd00::2/64'];

export type BedOptions = Omit<GatewayOptions, 'stack' | 'link' | 'timers' | 'inside'>;

export class PipeBed {
  readonly inside: Stack;
  readonly stack: Stack;
  readonly timers: ManualTimers;
  readonly gateway: Gateway;

  private constructor(inside: Stack, stack: Stack, timers: ManualTimers, gateway: Gateway) {
    this.inside = inside;
    this.stack = stack;
    this.timers = timers;
    this.gateway = gateway;
  }

  static async open(options: BedOptions = {}): Promise<PipeBed> {
    const clock = new SystemClock();
    const [near, far] = createPipe({ clock, mtu: 65_520, checksumOffload: true, segmentation: true });
    const make = (device: typeof near, addresses: string[]): Stack => {
      const stack = new Stack({ clock, random: new SystemRandom() });
      stack.addLink(device, { addresses, defaultRoute: true });
      stack.hold();
      return stack;
    };
    const inside = make(near, INSIDE);
    const stack = make(far, OURS);
    const timers = new ManualTimers();
    const gateway = await openGateway({
      hostLoopback: [HOST[4], HOST[6]],
      ...options,
      stack,
      link: 1,
      timers,
      inside: ['10.0.2.100', 'fd00::100'],
    });
    return new PipeBed(inside, stack, timers, gateway);
  }

  close(): void {
    this.gateway.close();
    for (const stack of [this.inside, this.stack]) {
      stack.release();
      stack.close();
    }
  }
}

/** Waits for what happens in other turns of the loop, five seconds at most. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 5000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not so after five seconds: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
