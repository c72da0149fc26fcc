/** What `node:net` has learned since version 20, which sockets and servers of stacks have on every version. */
import type { Socket } from 'node:net';
import { expect } from 'chai';
import type { TcpSocket } from '../../lib/index.js';
import { pair } from './support/recording.js';
import { pipeWorld } from './support/worlds.js';

describe('net: later versions of Node', () => {
  describe('setKeepAlive', () => {
    type Settings = [on: unknown, idleMs: unknown, intervalMs: unknown, probes: unknown];
    const settings = (socket: Socket): Settings => {
      const tcp = socket as unknown as TcpSocket;
      return [
        tcp.getTcpOption('keepAlive'),
        tcp.getTcpOption('keepAliveIdleMs'),
        tcp.getTcpOption('keepAliveIntervalMs'),
        tcp.getTcpOption('keepAliveProbes'),
      ];
    };
    // What Node 24 sets on Linux, call by call, as `strace` shows it.
    const calls: readonly [args: unknown[], after: Settings][] = [
      [[], [false, 7_200_000, 75_000, 9]],
      [[true], [true, 7_200_000, 75_000, 9]],
      [
        [true, 0],
        [true, 7_200_000, 75_000, 9],
      ],
      [
        [true, 5999],
        [true, 5000, 1000, 10],
      ],
      [
        [true, 5000, 3000, 4],
        [true, 5000, 3000, 4],
      ],
      [
        [true, 5000, 3000],
        [true, 5000, 3000, 10],
      ],
      [
        [true, 5000, undefined, 7],
        [true, 5000, 1000, 7],
      ],
      [[{ enable: true, initialDelay: 6000, interval: 2000, count: 3 }], [true, 6000, 2000, 3]],
      [[{ initialDelay: 8000 }], [false, 6000, 2000, 3]],
      [
        [true, 0, 4000, 5],
        [true, 6000, 2000, 3],
      ],
      [
        [true, 7000, 0, 0],
        [true, 6000, 2000, 3],
      ],
      [
        [true, 7000, 500, 5],
        [true, 6000, 2000, 3],
      ],
      [
        [true, 7000, 5000, 300],
        [true, 7000, 5000, 3],
      ],
      [
        [true, -1],
        [true, 7000, 5000, 3],
      ],
      [
        [true, 40_000_000],
        [true, 7000, 5000, 3],
      ],
      [[null], [false, 7000, 5000, 3]],
    ];

    it('takes interval and count, and keeps what cannot be', async () => {
      const world = pipeWorld();
      const { client, accepted } = await pair(world);
      for (const [args, after] of calls) {
        const call = client as unknown as { setKeepAlive(...args: unknown[]): Socket };
        expect(call.setKeepAlive(...args)).to.equal(client);
        expect(settings(client), JSON.stringify(args)).to.deep.equal(after);
      }
      client.destroy();
      accepted.destroy();
      world.close();
    });

    it('is done once there is a connection', async () => {
      const world = pipeWorld();
      const { client, accepted } = await pair(world, {
        server: { keepAlive: true, keepAliveInitialDelay: 4500 },
        onClient(socket) {
          const options = { enable: true, initialDelay: 6000, interval: 2000, count: 3 };
          socket.setKeepAlive(options as never);
        },
      });
      expect(settings(client)).to.deep.equal([true, 6000, 2000, 3]);
      expect(settings(accepted)).to.deep.equal([true, 4000, 1000, 10]);
      client.destroy();
      accepted.destroy();
      world.close();
    });
  });
});
