/**
 * Whoever hears an end has heard all, and the other side had said it: connections through gateway and relay, ended and
 * reset at random by either side, with readers that are slow now and then.
 */
import { once } from 'node:events';
import nodeNet, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { SeededRandom } from '../../lib/index.js';
import { hiddenError } from '../../lib/relay/host-socket.js';
import { relay } from '../../lib/relay/relay.js';
import { HOST, PipeBed, until } from './support/pipe-bed.js';

type Socket = Duplex & { resetAndDestroy(): unknown };
type Net = Pick<typeof nodeNet, 'createServer' | 'connect'>;

const FLOWS = 300;
const AT_ONCE = 20;
const LONG_BYTES = 400_000;
const SHORT_BYTES = 5000;

/** One end of a connection, which sends, reads, and ends or resets, as chance has it. */
class Side {
  sent = 0;
  got = 0;
  hasEnded = false;
  heardEnd = false;
  heardError = '';
  readonly over: Promise<void>;
  readonly #socket: Socket;
  readonly #chance: () => number;
  readonly #total: number;
  readonly #resetAt: number;

  constructor(socket: Socket, chance: () => number) {
    this.#socket = socket;
    this.#chance = chance;
    this.#total = Math.floor(chance() * (chance() < 0.3 ? LONG_BYTES : SHORT_BYTES));
    this.#resetAt = chance() < 0.25 ? chance() * this.#total : Number.POSITIVE_INFINITY;
    const isSlow = chance() < 0.2;
    socket.on('data', (bytes: Uint8Array) => {
      this.got += bytes.length;
      if (isSlow && chance() < 0.3) void this.#rest();
    });
    this.over = new Promise((resolve) => {
      const done = (): void => resolve();
      socket.on('error', (error: NodeJS.ErrnoException) => {
        this.heardError ||= error.code ?? '';
      });
      socket.on('end', () => {
        this.heardError ||= hiddenError(socket);
        this.heardEnd = this.heardError === '';
        // Node itself does not know that it is over.
        if (!this.heardEnd) socket.destroy();
      });
      socket.on('close', done);
    });
    void this.#send();
  }

  async #rest(): Promise<void> {
    this.#socket.pause();
    for (let turns = this.#chance() * 50; turns > 0; turns--) await nextTurn();
    this.#socket.resume();
  }

  async #send(): Promise<void> {
    const socket = this.#socket;
    while (!socket.destroyed) {
      if (this.sent >= this.#resetAt) {
        socket.resetAndDestroy();
      } else if (this.sent >= this.#total) {
        this.hasEnded = true;
        socket.end();
        return;
      } else {
        const bytes = Math.min(this.#total - this.sent, 1 + Math.floor(this.#chance() * 60_000));
        this.sent += bytes;
        if (!socket.write(Buffer.alloc(bytes))) {
          await Promise.race([once(socket, 'drain').catch(() => {}), this.over]);
        } else if (this.#chance() < 0.5) await nextTurn();
      }
    }
  }
}

/** What is wrong about what one side has heard of the other. */
function wrongAt(near: Side, far: Side): string | undefined {
  const isWhole = far.hasEnded && far.sent === near.got;
  if (near.heardEnd && !isWhole)
    return `${near.got} bytes and an end, of ${far.sent}, ended: ${far.hasEnded}`;
  const areDone = near.hasEnded && far.hasEnded;
  if (areDone && !near.heardEnd) return `both have ended, and it has heard ${near.heardError || 'nothing'}`;
  return undefined;
}

describe('gateway and relay: texts are whole, or known not to be', function () {
  this.timeout(60_000);
  let bed: PipeBed;
  const closing: { close(): unknown }[] = [];
  let chance: () => number;

  beforeEach(() => {
    const random = new SeededRandom(5);
    chance = () => random.uint32() / 2 ** 32;
  });
  afterEach(() => {
    for (const one of closing.splice(0)) one.close();
  });

  /** Many connections from here to there; `dial` begins one to a port of a server of its own. */
  async function play(there: Net, dial: (port: number) => Socket): Promise<string[]> {
    const wrong: string[] = [];
    const ports = there === nodeNet ? 0 : 80;
    const server = there.createServer({ allowHalfOpen: true });
    closing.push(server);
    server.listen(ports, there === nodeNet ? '127.0.0.1' : undefined);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const waiting = new Map<string, (socket: Socket) => void>();
    // Who has connected says who he is; before that nobody else says anything.
    server.on('connection', (socket) => {
      socket.once('readable', () => {
        const name = String(socket.read(4));
        waiting.get(name)?.(socket);
      });
    });
    let begun = 0;
    const worker = async (): Promise<void> => {
      while (begun < FLOWS) {
        const name = String(1000 + begun++);
        const near = dial(port);
        near.write(name);
        const far = await new Promise<Socket>((resolve) => waiting.set(name, resolve));
        const sides = [new Side(near, chance), new Side(far, chance)] as const;
        await Promise.all([sides[0].over, sides[1].over]);
        const found = wrongAt(sides[0], sides[1]) ?? wrongAt(sides[1], sides[0]);
        if (found !== undefined) wrong.push(`${name}: ${found}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return wrong;
  }

  it('from inside to the host', async () => {
    bed = await PipeBed.open();
    closing.push(bed);
    const { net } = bed.inside;
    const wrong = await play(nodeNet, (port) => net.connect({ host: HOST[4], port, allowHalfOpen: true }));
    expect(wrong).to.deep.equal([]);
    await until(() => bed.gateway.tcpFlows === 0, 'no connection is left');
    const { tcpJoined, tcpFinished, tcpFailed } = bed.gateway.stats;
    expect([tcpJoined, tcpFinished + tcpFailed]).to.deep.equal([FLOWS, FLOWS]);
    expect(bed.timers.count).to.equal(0);
  });

  it('from outside to a published port', async () => {
    const probe = nodeNet.createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, 'close');
    bed = await PipeBed.open({ publish: [`${port}:80`] });
    closing.push(bed);
    const dial = (): Socket => nodeNet.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    expect(await play(bed.inside.net, dial)).to.deep.equal([]);
    await until(() => bed.gateway.tcpFlows === 0, 'no connection is left');
    expect(bed.timers.count).to.equal(0);
  });

  it("through a relay between sockets of the kernel's", async () => {
    let to = 0;
    const proxy = nodeNet.createServer({ allowHalfOpen: true }, (accepted) => {
      const dialled = nodeNet.connect({ host: '127.0.0.1', port: to, allowHalfOpen: true });
      void relay(accepted, dialled);
    });
    closing.push(proxy.listen(0, '127.0.0.1'));
    await once(proxy, 'listening');
    const { port: at } = proxy.address() as AddressInfo;
    const wrong = await play(nodeNet, (port) => {
      to = port;
      return nodeNet.connect({ host: '127.0.0.1', port: at, allowHalfOpen: true });
    });
    expect(wrong).to.deep.equal([]);
  });
});
