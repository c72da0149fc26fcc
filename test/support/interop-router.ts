/** Two kernels, each in a namespace of its own, and a stack of ours that is the router between them. */
import type { Context } from 'mocha';
import { StackError } from '../../lib/base/errors.js';
import type { IpOptions } from '../../lib/ip/options.js';
import { openPrivateTun } from '../../lib/link/tun-private.js';
import { Stack } from '../../lib/stack/stack.js';
import { SystemClock } from '../../lib/stack/system-clock.js';
import { SystemRandom } from '../../lib/stack/system-random.js';
import { TestNamespace } from './netns.js';
import { skipOn, Unavailable } from './skip.js';

/** The kernels' addresses, and the router's next to them. */
export const HOSTS = {
  near: { 4: '10.61.0.2', 6: 'fd61::2' },
  far: { 4: '10.62.0.2', 6: 'fd62::2' },
} as const;
export const ROUTER = {
  near: { 4: '10.61.0.1', 6: 'fd61::1' },
  far: { 4: '10.62.0.1', 6: 'fd62::1' },
} as const;

export interface RouterBedOptions {
  readonly ip?: Partial<IpOptions>;
  readonly near?: { readonly mtu?: number; readonly offload?: boolean };
  readonly far?: { readonly mtu?: number; readonly offload?: boolean };
}

export class RouterBed {
  readonly stack: Stack;
  readonly near: TestNamespace;
  readonly far: TestNamespace;

  private constructor(stack: Stack, near: TestNamespace, far: TestNamespace) {
    this.stack = stack;
    this.near = near;
    this.far = far;
  }

  static createOrSkip(context: Context, options: RouterBedOptions = {}): Promise<RouterBed> {
    return skipOn(context, () => RouterBed.create(options));
  }

  /** @throws Unavailable where this user can have no namespace or no TUN in it */
  static async create(options: RouterBedOptions = {}): Promise<RouterBed> {
    const ip = { forwarding: true, ...options.ip };
    const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom(), ip });
    const opened: TestNamespace[] = [];
    try {
      for (const side of ['near', 'far'] as const) {
        const address = [`${HOSTS[side][4]}/24`, `${HOSTS[side][6]}/64`];
        const inside = await openPrivateTun({ name: 'tun0', address, ...options[side] });
        const namespace = TestNamespace.around(inside.pid, () => inside.close());
        opened.push(namespace);
        await namespace.shell(`
          ip link set lo up
          ip route add default via ${ROUTER[side][4]}
          ip -6 route add default via ${ROUTER[side][6]}`);
        stack.addLink(inside.device, { addresses: [`${ROUTER[side][4]}/24`, `${ROUTER[side][6]}/64`] });
      }
    } catch (error) {
      stack.close();
      await Promise.all(opened.map((namespace) => namespace.close()));
      if (error instanceof StackError) throw new Unavailable(`no TUN here: ${error.message}`);
      throw error;
    }
    stack.hold();
    return new RouterBed(stack, opened[0], opened[1]);
  }

  async close(): Promise<void> {
    this.stack.release();
    this.stack.close();
    await Promise.all([this.near.close(), this.far.close()]);
  }
}
