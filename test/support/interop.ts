/**
 * A stack and the Linux kernel across a TUN: the kernel's side lives in a network namespace of the test,
 * the stack in this process.
 */
import type { Context } from 'mocha';
import { StackError } from '../../lib/base/errors.js';
import { EmulatedLink } from '../../lib/link/emulated-link.js';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import { TunDevice } from '../../lib/link/tun-device.js';
import { openPrivateTun } from '../../lib/link/tun-private.js';
import type { NetModule } from '../../lib/net/net.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { Stack, type StackOptions } from '../../lib/stack/stack.js';
import '../../lib/dgram/stack-dgram.js';
import '../../lib/net/stack-net.js';
import { SystemClock } from '../../lib/stack/system-clock.js';
import { SystemRandom } from '../../lib/stack/system-random.js';
import type { IpFamily } from '../../lib/wire/ip-address.js';
import type { AwaitedEndpoint } from './interop-endpoint.js';
import { KernelPeer } from './interop-kernel.js';
import { eventually } from './interop-wait.js';
import { TestNamespace } from './netns.js';
import { skipOn, Unavailable } from './skip.js';

export const FAMILIES: readonly IpFamily[] = [4, 6];

/** The kernel's and the stack's address, by family. */
export const KERNEL = { 4: '10.9.0.1', 6: 'fd09::1' } as const;
export const STACK = { 4: '10.9.0.2', 6: 'fd09::2' } as const;

/** An address as it stands in a URL. */
export const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address);

export interface BedOptions {
  readonly mtu?: number;
  /** Super-packets and checksums left to the kernel; true by default. */
  readonly offload?: boolean;
  readonly tcp?: NonNullable<StackOptions['tcp']>;
  readonly ip?: NonNullable<StackOptions['ip']>;
  /** Makes the link worse, on the stack's side of the TUN. */
  readonly outgoing?: DirectionOptions;
  readonly incoming?: DirectionOptions;
  /** Shell run in the namespace once the TUN `tun0` is there, before the stack. */
  readonly setUp?: string;
}

export class InteropBed {
  readonly namespace: TestNamespace;
  readonly tun: TunDevice;
  readonly stack: Stack;
  readonly clock: SystemClock;
  #kernel: Promise<KernelPeer> | undefined;
  #emulated: EmulatedLink | undefined;
  /** Undone in reverse order by `close`. */
  readonly #closers: (() => unknown)[] = [];

  private constructor(namespace: TestNamespace, tun: TunDevice, options: BedOptions) {
    this.namespace = namespace;
    this.tun = tun;
    this.clock = new SystemClock();
    this.stack = new Stack({
      clock: this.clock,
      random: new SystemRandom(),
      ...(options.tcp === undefined ? {} : { tcp: options.tcp }),
      ...(options.ip === undefined ? {} : { ip: options.ip }),
    });
    this.stack.addLink(this.#worsened(options), {
      addresses: [`${STACK[4]}/24`, `${STACK[6]}/64`],
      defaultRoute: true,
    });
    this.stack.hold();
  }

  /** Skips the test or suite whose `this` is given where there can be no namespace or TUN. */
  static async createOrSkip(context: Context, options: BedOptions = {}): Promise<InteropBed> {
    const { namespace, tun } = await skipOn(context, () => openTun(options));
    try {
      if (options.setUp !== undefined) await namespace.shell(options.setUp);
      return new InteropBed(namespace, tun, options);
    } catch (error) {
      tun.close();
      await namespace.close();
      throw error;
    }
  }

  #worsened({ outgoing, incoming }: BedOptions): LinkDevice {
    if (outgoing === undefined && incoming === undefined) return this.tun;
    this.#emulated = new EmulatedLink(this.tun, {
      clock: this.clock,
      random: new SeededRandom(1),
      ...(outgoing === undefined ? {} : { outgoing }),
      ...(incoming === undefined ? {} : { incoming }),
    });
    return this.#emulated;
  }

  /** Packets take this long each way from now on, on a link that was made worse to begin with. */
  delay(delayMs: number): void {
    if (this.#emulated === undefined) throw new Error('this bed has a plain TUN');
    this.#emulated.outgoing.update({ delayMs });
    this.#emulated.incoming.update({ delayMs });
  }

  /** `node:net` of the stack. */
  get net(): NetModule {
    return this.stack.net;
  }

  /** Sockets of the kernel; started when first asked for. */
  kernel(): Promise<KernelPeer> {
    this.#kernel ??= KernelPeer.start(this.namespace);
    return this.#kernel;
  }

  /** Runs a command inside. @returns what it printed @throws Error when it fails */
  async exec(command: string, ...args: string[]): Promise<string> {
    return (await this.namespace.exec(command, args)).stdout;
  }

  shell(script: string): Promise<string> {
    return this.namespace.shell(script);
  }

  /** A counter of the namespace, as `nstat` names it: `TcpExtTCPKeepAlive`. */
  async counter(name: string): Promise<number> {
    const text = await this.exec('nstat', '-asz', name);
    return Number(new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  }

  /** What `ss` says of the kernel's sockets that the filter selects. */
  async sockets(...filter: string[]): Promise<string> {
    return this.exec('ss', '-Htanoim', ...filter);
  }

  /** States of the kernel's TCP sockets that use a port, on either side; TIME-WAIT included. */
  async kernelStates(port: number): Promise<string[]> {
    const text = await this.exec('ss', '-Htan', `sport = :${port} or dport = :${port}`);
    return text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('LISTEN'))
      .map((line) => line.split(/\s+/)[0]);
  }

  /** Waits for such states, in any order. */
  async kernelReaches(port: number, ...states: string[]): Promise<void> {
    const wanted = states.sort().join();
    const reached = (found: string[]): boolean => found.sort().join() === wanted;
    await eventually(`kernel in state "${wanted}"`, () => this.kernelStates(port), reached);
  }

  /** Waits until an endpoint is in a state, of which not every one is told to its handler. */
  async reaches(endpoint: AwaitedEndpoint, state: string): Promise<void> {
    await eventually(
      `stack in ${state}`,
      () => endpoint.state,
      (found) => found === state,
    );
  }

  /** Waits until no connection of the stack is left but records of TIME-WAIT. */
  async isIdle(): Promise<void> {
    await eventually(
      'an idle stack',
      () => [...this.stack.tcp.entries()].length,
      (count) => count === 0,
    );
  }

  /** Undone when the bed is closed, newest first. */
  onClose(closer: () => unknown): void {
    this.#closers.push(closer);
  }

  /** Ends everything, whatever fails on the way. @throws Error the first failure, once all is done */
  async close(): Promise<void> {
    const last = [
      () => {
        this.stack.release();
        this.stack.close();
      },
      async () => (await this.#kernel?.catch(() => undefined))?.close(),
      () => this.namespace.close(),
    ];
    const failures: unknown[] = [];
    for (const closer of [...this.#closers.reverse(), ...last]) {
      try {
        await closer();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** @throws Unavailable where this user can have no namespace or no TUN in it */
async function openTun(options: BedOptions): Promise<{ namespace: TestNamespace; tun: TunDevice }> {
  const { mtu = 1500, offload = true } = options;
  const address = [`${KERNEL[4]}/24`, `${KERNEL[6]}/64`];
  try {
    if (process.getuid?.() !== 0) {
      const inside = await openPrivateTun({ name: 'tun0', mtu, offload, address });
      return { namespace: TestNamespace.around(inside.pid, () => inside.close()), tun: inside.device };
    }
    const namespace = await TestNamespace.create();
    try {
      const tun = TunDevice.create({ name: 'tun0', mtu, offload, address, netns: namespace.path });
      return { namespace, tun };
    } catch (error) {
      await namespace.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof StackError) throw new Unavailable(`no TUN here: ${error.message}`);
    throw error;
  }
}
