/** A client with name servers, all on one emulated wire, in virtual time. */
import { EmulatedLink } from '../../../lib/link/emulated-link.js';
import type { DirectionOptions } from '../../../lib/link/emulation-options.js';
import { createPipe } from '../../../lib/link/pipe-device.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import type { DnsOptions } from '../../../lib/stack/dns-options.js';
import { Stack } from '../../../lib/stack/stack.js';
import '../../../lib/dns/stack-dns.js';
import { NameServer, type Script } from './name-server.js';

export const SERVERS = ['10.0.0.53', '10.0.0.54', '10.0.0.55'];
export const SERVERS6 = ['fd00::53', 'fd00::54', 'fd00::55'];

export interface DnsWorldOptions {
  readonly seed?: number;
  readonly dns?: DnsOptions;
  /** What happens to queries, and to answers. */
  readonly upstream?: DirectionOptions;
  readonly downstream?: DirectionOptions;
}

export class DnsWorld {
  readonly clock = new VirtualClock(1e9);
  readonly client: Stack;
  readonly far: Stack;
  readonly link: EmulatedLink;

  constructor(options: DnsWorldOptions = {}) {
    const { clock } = this;
    const random = new SeededRandom(options.seed ?? 1);
    const [near, far] = createPipe({ clock });
    this.link = new EmulatedLink(near, {
      clock,
      random: random.fork(),
      outgoing: options.upstream ?? { delayMs: 10 },
      incoming: options.downstream ?? { delayMs: 10 },
    });
    const dns = { servers: [SERVERS[0]], ...options.dns };
    this.client = new Stack({ clock, random: random.fork(), dns });
    this.far = new Stack({ clock, random: random.fork() });
    this.client.addLink(this.link, { addresses: ['10.0.0.1/24', 'fd00::1/64'] });
    this.far.addLink(far, {
      addresses: [...SERVERS.map((one) => `${one}/24`), ...SERVERS6.map((one) => `${one}/64`)],
    });
  }

  /** A name server at the given place among `SERVERS`. */
  server(script: Script, index = 0): NameServer {
    return new NameServer(this.far, SERVERS[index], script);
  }

  /** What `promise` comes to, and how long it took, ms. Time moves only when nothing else is to be done. */
  async timed<T>(promise: Promise<T>, limitMs = 600_000): Promise<[result: T, ms: number]> {
    const startUs = this.clock.nowUs();
    let endUs = -1;
    const note = (): void => {
      endUs = this.clock.nowUs();
    };
    promise.then(note, note);
    while (endUs < 0) {
      await turn();
      if (endUs < 0 && !this.clock.step()) break;
      if (this.clock.nowUs() > startUs + limitMs * 1000) throw new Error(`not settled after ${limitMs} ms`);
    }
    await turn();
    if (endUs < 0) throw new Error('nothing is left to happen, and it is not settled');
    return [await promise, Math.round((endUs - startUs) / 1000)];
  }

  async settled<T>(promise: Promise<T>): Promise<T> {
    return (await this.timed(promise))[0];
  }

  /** The error it ends with, and after how long, ms. */
  async failed(
    promise: Promise<unknown>,
  ): Promise<[error: NodeJS.ErrnoException & { hostname?: string }, ms: number]> {
    const caught = promise.then(
      (result) => Promise.reject(new Error(`succeeded with ${JSON.stringify(result)}`)),
      (error: NodeJS.ErrnoException) => error,
    );
    return this.timed(caught);
  }

  close(): void {
    this.client.close();
    this.far.close();
  }
}

/** Lets ticks and microtasks happen. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
