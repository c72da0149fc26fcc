/** The whole path as an ordinary user: a namespace and a TUN of one's own, a stack, and programs inside. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { expect } from 'chai';
import { openPrivateTun, type PrivateTun, Stack, SystemClock, SystemRandom } from '../../lib/index.js';
import { skip } from '../support/skip.js';

const HOST = ['10.9.0.1/24', 'fd09::1/64'];
const OURS = { 4: '10.9.0.2', 6: 'fd09::2' } as const;
const content = randomBytes(5_000_000);

/** Runs a program inside. @returns its status and what it printed */
async function inside(tun: PrivateTun, command: string, ...args: string[]): Promise<[number, Buffer]> {
  const child: ChildProcess = tun.run(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 15_000,
  });
  const pieces: Buffer[] = [];
  child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
  const [status] = (await once(child, 'close')) as [number | null];
  return [status ?? -1, Buffer.concat(pieces)];
}

/** The network namespaces that processes of this user are in. */
function ours(): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      found.push(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      // Another user's, or gone.
    }
  }
  return found;
}

describe('a stack of an ordinary user', function () {
  this.timeout(30_000);
  let namespaces: string[];
  let tun: PrivateTun;
  let stack: Stack;

  before(async function () {
    namespaces = ours();
    try {
      tun = await openPrivateTun({ name: 'tun0', address: HOST });
    } catch (error) {
      skip(this, `no private TUN for this user: ${(error as Error).message}`);
    }
    stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
    stack.addLink(tun.device, { addresses: [`${OURS[4]}/24`, `${OURS[6]}/64`], defaultRoute: true });
    stack.hold();
  });
  /** May be called twice. */
  const end = async (): Promise<void> => {
    if (stack?.isClosed === false) {
      stack.release();
      stack.close();
    }
    await tun?.close();
  };
  after(end);

  for (const family of [4, 6] as const) {
    it(`answers ping, IPv${family}`, async () => {
      const [status] = await inside(tun, 'ping', `-${family}`, '-nq', '-c', '3', '-i', '0.2', OURS[family]);
      expect(status).to.equal(0);
    });

    it(`serves curl, IPv${family}`, async () => {
      const http = createServer((_request, response) => response.end(content));
      stack.serve(http, 80, OURS[family]);
      await once(http, 'listening');
      try {
        const host = family === 4 ? OURS[4] : `[${OURS[6]}]`;
        const [status, body] = await inside(tun, 'curl', '-sS', '--max-time', '10', `http://${host}/`);
        expect(status).to.equal(0);
        expect(body.equals(content)).to.equal(true);
      } finally {
        http.closeAllConnections();
        http.close();
      }
    });
  }

  it('leaves no process, namespace or interface behind', async () => {
    const { pid } = tun;
    const made = readlinkSync(`/proc/${pid}/ns/net`);
    expect(namespaces).not.to.include(made);
    await end();
    expect(existsSync(`/proc/${pid}`)).to.equal(false);
    expect(ours()).not.to.include(made);
    expect(existsSync('/sys/class/net/tun0')).to.equal(false);
  });
});
