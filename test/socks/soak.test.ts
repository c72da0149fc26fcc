/** Many flows through a tunnel, most of which end badly: nothing of them may be left. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { randomBelow } from '../../lib/base/random.js';
import { HOST_TIMERS, type RelayTimers } from '../../lib/relay/relay-timers.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { AwaitedUdp } from '../support/interop-udp.js';
import { eventually } from '../support/interop-wait.js';
import { ELSEWHERE, SocksWorld } from './support/world.js';

/** Longer than any test waits: a timer that was forgotten is seen, and does not ring. */
const LONG_MS = 600_000;

const descriptors = (): number => readdirSync('/proc/self/fd').length;
/** What keeps the process alive, by kind; `Timeout` among it. */
const resources = (): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) {
    if (name !== 'Immediate') counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
};
const isNoMore = (now: Record<string, number>, before: Record<string, number>): boolean =>
  Object.entries(now).every(([name, count]) => count <= (before[name] ?? 0));

/** Node's timers, which do not keep the process alive and so are in no list of Node's: counted. */
class CountedTimers implements RelayTimers {
  readonly #waiting = new Set<unknown>();

  get count(): number {
    return this.#waiting.size;
  }

  now(): number {
    return HOST_TIMERS.now();
  }

  setTimeout(ring: () => void, ms: number): unknown {
    const timeout = HOST_TIMERS.setTimeout(() => {
      this.#waiting.delete(timeout);
      ring();
    }, ms);
    this.#waiting.add(timeout);
    return timeout;
  }

  clearTimeout(timeout: unknown): void {
    this.#waiting.delete(timeout);
    HOST_TIMERS.clearTimeout(timeout);
  }
}

/** Everything that a tunnel could leave behind, waited for. */
async function nothingLeft(world: SocksWorld, timers: CountedTimers): Promise<void> {
  const { tunnel, proxy, echo, middle } = world;
  await eventually(
    'all flows are over',
    () => ({
      tcp: tunnel.tcpFlows,
      udp: tunnel.udpFlows,
      pending: tunnel.pending,
      timers: timers.count,
      proxy: proxy.open,
      relays: proxy.relays,
      servers: echo.sockets.size,
      connections: middle.stats.tcp.currEstab,
    }),
    (left) => Object.values(left).every((count) => count === 0),
    60_000,
  );
}

describe('a tunnel through a SOCKS proxy: many flows', function () {
  this.timeout(180_000);

  it('carries 1,000 connections at once', async () => {
    const before = descriptors();
    const timers = new CountedTimers();
    const world = await SocksWorld.open({}, { dialMs: LONG_MS, timers });
    try {
      const sockets = await Promise.all(
        Array.from({ length: 1000 }, (_, i) => world.connect(ELSEWHERE[4], 1 + i)),
      );
      expect(world.tunnel.tcpFlows).to.equal(1000);
      await Promise.all(
        sockets.map(async (socket, i) => {
          socket.write(`flow ${i}`);
          const [bytes] = (await once(socket, 'data')) as [Buffer];
          expect(String(bytes)).to.equal(`flow ${i}`);
          socket.end();
          await once(socket, 'end');
        }),
      );
      await nothingLeft(world, timers);
      expect(world.tunnel.stats).to.include({ tcpConnected: 1000, tcpFinished: 1000, tcpReset: 0 });
    } finally {
      await world.close();
    }
    await eventually('descriptors', descriptors, (count) => count <= before);
  });

  it('leaves nothing of 10,000 that are reset in every state', async () => {
    // The runner's own timer begins with the first turn.
    await turns(1);
    const before = { descriptors: descriptors(), resources: resources() };
    const random = new SeededRandom(Number(process.env.SIM_SEED ?? 11));
    const timers = new CountedTimers();
    const world = await SocksWorld.open({}, { dialMs: LONG_MS, udpIdleMs: 500, timers });
    const { port } = world.echo;
    world.proxy.behaviour = {
      datagram: () => world.echo.udpPort,
      // Refusals that are an RST inside: a stack keeps trying when it hears ICMP (RFC 1122 §4.2.3.9).
      connect: ({ port: asked }) => (asked % 10 === 9 ? { reply: asked % 20 === 9 ? 5 : 1 } : { port }),
    };
    try {
      const COUNT = 10_000;
      let next = 0;
      const worker = async (): Promise<void> => {
        while (next < COUNT) {
          const flow = next++;
          if (flow % 25 === 0) world.proxy.resetAll();
          if (flow % 10 === 3) await datagramFlow(world);
          else await streamFlow(world, flow, random);
        }
      };
      await Promise.all(Array.from({ length: 100 }, worker));
      await nothingLeft(world, timers);
      const { stats } = world.tunnel;
      expect(stats.tcpRequests + stats.udpRequests).to.be.at.least(0.9 * COUNT);
      expect(stats.tcpFinished).to.be.above(0);
      expect(stats.tcpReset).to.be.above(0);
      expect(stats.tcpRefused).to.be.above(0);
      expect(stats.tcpFailed).to.be.above(0);
      expect(stats.udpAssociated).to.be.above(0);
      // Whoever is reset in the midst of something has heard no nonsense, and is not kept waiting.
      expect(stats).to.include({ proxyMalformed: 0, proxyTimeouts: 0, proxyUnauthorized: 0 });
    } finally {
      await world.close();
    }
    await eventually('descriptors', descriptors, (count) => count <= before.descriptors);
    await eventually('handles and timers', resources, (now) => isNoMore(now, before.resources));
  });
});

/** One connection, ended in a state that chance chooses. */
async function streamFlow(world: SocksWorld, flow: number, random: SeededRandom): Promise<void> {
  const how = randomBelow(random, 6);
  const socket = world.inside.net.connect({
    host: ELSEWHERE[4],
    port: 1 + (flow % 60_000),
    allowHalfOpen: true,
  });
  socket.on('error', () => {});
  const over = once(socket, 'close').catch(() => {});
  if (how === 0) {
    // In the midst of the handshake, or of the proxy's.
    await Promise.race([over, turns(randomBelow(random, 20))]);
    socket.destroy();
    return void (await over);
  }
  await Promise.race([over, once(socket, 'connect').catch(() => {})]);
  if (socket.destroyed) return;
  if (how === 1) socket.resetAndDestroy();
  else if (how === 2) socket.write(Buffer.alloc(200_000), () => socket.resetAndDestroy());
  else if (how === 3) resetOneAt(world);
  else socket.write('x');
  if (how >= 3) {
    socket.resume();
    socket.end();
  }
  await Promise.race([over, turns(400)]);
  socket.destroy();
  await over;
}

/** One that the server resets. */
function resetOneAt(world: SocksWorld): void {
  const [first] = world.echo.sockets;
  first?.resetAndDestroy();
}

async function datagramFlow(world: SocksWorld): Promise<void> {
  const socket = new AwaitedUdp(world.inside, 4).bind();
  try {
    await socket.send(Buffer.from('x'), { address: ELSEWHERE[4], port: 7 });
    await turns(20);
  } finally {
    socket.close();
  }
}

/** Turns of the loop: no time, but occasion for others. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
