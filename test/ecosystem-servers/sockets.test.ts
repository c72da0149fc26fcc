/** `ws` and socket.io between the stack and a process over the kernel, each as server and as client. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, inUrl, KERNEL, STACK } from '../support/interop.js';
import { EXPECTED, socketServer, trySockets } from './clients/sockets.js';
import { processOver } from './support/registered.js';
import { bedWith } from './support/server.js';

const PROGRAM = fileURLToPath(new URL('./clients/program.ts', import.meta.url));

describe('ws and socket.io', function () {
  this.timeout(60_000);
  this.slow(10_000);
  let bed: InteropBed;
  before(async function () {
    bed = await bedWith(this, {});
  });
  after(() => bed?.close());
  afterEach(() => bed?.isIdle());

  const start = (...args: string[]): Child => {
    const { flags, env } = processOver('kernel');
    return bed.namespace.spawn(process.execPath, [...flags, PROGRAM, ...args], { limitMs: 50_000, env });
  };

  for (const family of FAMILIES) {
    it(`clients on the stack, IPv${family}`, async () => {
      const server = start('socket-server', KERNEL[family]);
      const agent = bed.stack.agent();
      try {
        const [, port] = await server.output(/"port":(\d+)/);
        expect(await trySockets(`${inUrl(KERNEL[family])}:${port}`, agent)).to.deep.equal(EXPECTED);
      } finally {
        agent.destroy();
        await server.kill();
      }
    });

    it(`servers on the stack, IPv${family}`, async () => {
      const server = socketServer();
      bed.stack.serve(server, 0);
      await once(server, 'listening');
      try {
        const { port } = server.address() as AddressInfo;
        const { stdout } = await start('sockets', STACK[family], String(port)).succeeded();
        expect(JSON.parse(stdout)).to.deep.equal(EXPECTED);
      } finally {
        server.close();
      }
    });
  }
});
