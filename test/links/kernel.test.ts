/**
 * The Linux kernel behind a TUN of another process, which has no stack, and a stack here, which has no TUN: between
 * them a WebSocket, a UDP socket or a stream of bytes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { MessageChannel } from 'node:worker_threads';
import { expect } from 'chai';
import { WebSocketServer } from 'ws';
import { Stack, SystemClock, SystemRandom } from '../../lib/index.js';
import { byteStreamLink } from '../../lib/link/byte-stream-link.js';
import { joinLinks } from '../../lib/link/join-links.js';
import { messagePortLink } from '../../lib/link/message-port-link.js';
import type { Framing } from '../../lib/link/packet-framer.js';
import type { PacketLink } from '../../lib/link/packet-link.js';
import { packetStreamLink } from '../../lib/link/packet-stream-link.js';
import { openPrivateTun } from '../../lib/link/tun-private.js';
import { udpSocketLink } from '../../lib/link/udp-socket-link.js';
import { webSocketLink } from '../../lib/link/web-socket-link.js';
import { run } from '../support/child.js';
import { skip } from '../support/skip.js';
import { objectPair } from './channels.js';

const MTU = 1400;
const BYTES = 4_000_000;
const clock = new SystemClock();

/** What a program said that was run in the network of the kernel. */
interface Said {
  readonly output: string;
  readonly errors: string;
  readonly status: number;
  readonly drops: number;
}

/** The side of the kernel. */
interface KernelSide {
  run(...command: string[]): Promise<Said>;
  close(): Promise<void>;
}

/** The process with the TUN. */
class Relay implements KernelSide {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(channel: string) {
    this.#process = spawn(process.execPath, ['--import', 'tsx', 'test/links/support/tun-relay.ts', channel], {
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    });
    process.once('exit', this.#kill);
    const { stdout } = this.#process;
    if (stdout === null) throw new Error('the relay has no output');
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]();
  }

  /** Its end of the stream between us. */
  get stream(): Socket {
    return this.#process.stdio[3] as Socket;
  }

  async next(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the relay has ended');
    return JSON.parse(value) as Record<string, unknown>;
  }

  async run(...command: string[]): Promise<Said> {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
    return (await this.next()) as unknown as Said;
  }

  async close(): Promise<void> {
    const ended = this.#process.exitCode === null ? once(this.#process, 'exit') : undefined;
    this.#process.stdin?.end();
    const timer = setTimeout(this.#kill, 10_000);
    await ended;
    clearTimeout(timer);
    process.off('exit', this.#kill);
  }

  readonly #kill = (): void => void this.#process.kill('SIGKILL');
}

/** A link here, and the kernel at its other end. */
interface Path {
  readonly link: PacketLink;
  readonly kernel: KernelSide;
  close?(): void;
}

async function overWebSocket(): Promise<Path> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const kernel = new Relay(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [[socket]] = await Promise.all([once(server, 'connection'), kernel.next()]);
  return { link: webSocketLink(socket, { clock, mtu: MTU }), kernel, close: () => server.close() };
}

async function overUdp(): Promise<Path> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const kernel = new Relay(`udp:${socket.address().port}`);
  const [[, from]] = await Promise.all([once(socket, 'message'), kernel.next()]);
  const peer = {
    ...(from as { address: string; port: number }),
    networks: ['10.0.0.1', 'fd00::1', 'fe80::/10'],
  };
  return { link: udpSocketLink(socket, [peer], { clock, mtu: MTU }), kernel };
}

const overStream = (framing: Framing) => async (): Promise<Path> => {
  const kernel = new Relay(`fd:${framing}`);
  await kernel.next();
  return { link: byteStreamLink(kernel.stream, { clock, mtu: MTU, framing }), kernel };
};

/** Channels that do not leave the process: the TUN is here, and joined to the other end. */
async function withinProcess(near: PacketLink, far: PacketLink): Promise<Path> {
  const tun = await openPrivateTun({ address: ['10.0.0.1/24', 'fd00::1/64'], mtu: MTU });
  const joined = joinLinks(tun.device, far);
  const kernel: KernelSide = {
    async run(...command) {
      const outcome = await run(...tun.commandLine(command[0], command.slice(1)));
      const { stdout: output, stderr: errors, status } = outcome;
      return { output, errors, status, drops: joined.forth.outDrops + joined.back.outDrops };
    },
    close: () => tun.close(),
  };
  return { link: near, kernel };
}

function overObjects(): Promise<Path> {
  const [near, far] = objectPair(64);
  const options = { clock, mtu: MTU };
  return withinProcess(packetStreamLink(near, options), packetStreamLink(far, options));
}

function overPorts(): Promise<Path> {
  const { port1, port2 } = new MessageChannel();
  const options = { clock, mtu: MTU };
  return withinProcess(messagePortLink(port1, options), messagePortLink(port2, options));
}

const PATHS: Readonly<Record<string, () => Promise<Path>>> = {
  'a WebSocket': overWebSocket,
  'a UDP socket': overUdp,
  'a stream of packets as they are': overStream('ip'),
  'a stream of packets behind their lengths': overStream('length32'),
  'object streams': overObjects,
  'message ports': overPorts,
};

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

describe('the kernel, over links of channels', function () {
  this.timeout(60_000);
  this.slow(5000);
  before(async function () {
    try {
      await (await openPrivateTun()).close();
    } catch (error) {
      skip(this, `no TUN: ${(error as Error).message}`);
    }
  });

  for (const [name, open] of Object.entries(PATHS)) {
    it(`reaches a stack without a TUN over ${name}`, async () => {
      const { link, kernel, close } = await open();
      const stack = new Stack({ clock, random: new SystemRandom() });
      try {
        stack.addLink(link, { addresses: ['10.0.0.2/24', 'fd00::2/64'] });
        const body = randomBytes(BYTES);
        const http = createServer((request, response) => {
          bodyOf(request).then(
            (sent) => response.end(request.method === 'PUT' ? hash(sent) : body),
            () => {},
          );
        });
        stack.serve(http, 80);
        await once(http, 'listening');
        for (const host of ['10.0.0.2', '[fd00::2]']) {
          const fetched = `curl -sS --max-time 30 http://${host}/ | sha256sum`;
          const got = await kernel.run('sh', '-c', fetched);
          expect(got.output.slice(0, 64), got.errors).to.equal(hash(body));
          const sending = `head -c ${BYTES} /dev/zero | curl -sS --max-time 30 -T - http://${host}/`;
          const put = await kernel.run('sh', '-c', sending);
          expect(put.output, put.errors).to.equal(hash(Buffer.alloc(BYTES)));
        }
        // Once it was answered, ping waits for the rest no longer than this interval, or two round trips.
        const ping = await kernel.run('ping', '-c', '3', '-i', '0.3', '-s', '1372', '-M', 'do', '10.0.0.2');
        expect(ping.output.includes('3 received'), ping.output + ping.errors).to.equal(true);
        expect(link.counters.inDrops).to.equal(0);
      } finally {
        stack.close();
        await kernel.close();
        close?.();
      }
    });
  }

  it('hears that the stack at the other end is gone', async () => {
    const { link, kernel, close } = await overWebSocket();
    const stack = new Stack({ clock, random: new SystemRandom() });
    stack.addLink(link, { addresses: ['10.0.0.2/24'] });
    stack.close();
    const { down } = await (kernel as Relay).next();
    expect(down).to.equal('link: the WebSocket was closed with code 1000');
    await kernel.close();
    close?.();
  });
});
