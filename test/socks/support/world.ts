/** A stack with a tunnel, a client's stack behind it, a proxy and servers of the test's own: all in this process. */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createPipe, Stack, SystemClock, SystemRandom } from '../../../lib/index.js';
import type { SocksTunnelOptions } from '../../../lib/socks/options.js';
import { openSocksTunnel, type SocksTunnel } from '../../../lib/socks/tunnel.js';
import { type ProxyBehaviour, TestProxy } from './test-proxy.js';

export const ELSEWHERE = { 4: '192.0.2.7', 6: '2001:db8:7::7' } as const;

export class SocksWorld {
  readonly proxy: TestProxy;
  readonly inside: Stack;
  readonly middle: Stack;
  readonly tunnel: SocksTunnel;
  /** Ports of 127.0.0.1. */
  readonly echo: EchoServer;

  private constructor(
    proxy: TestProxy,
    echo: EchoServer,
    stacks: readonly [inside: Stack, middle: Stack],
    tunnel: SocksTunnel,
  ) {
    this.proxy = proxy;
    this.echo = echo;
    [this.inside, this.middle] = stacks;
    this.tunnel = tunnel;
  }

  static async open(
    behaviour: ProxyBehaviour = {},
    options: Partial<SocksTunnelOptions> = {},
    user: { username?: string; password?: string } = {},
  ): Promise<SocksWorld> {
    const echo = await EchoServer.start();
    const proxy = await TestProxy.start({
      connect: () => ({ port: echo.port }),
      datagram: () => echo.udpPort,
      ...behaviour,
    });
    const clock = new SystemClock();
    const ends = createPipe({ clock });
    const stacks = [2, 1].map((last, i) => {
      const stack = new Stack({
        clock,
        random: new SystemRandom(),
        ip: { icmpDestinationMs: 0, icmpErrorsPerSecond: 100_000 },
      });
      const addresses = [`10.0.0.${last}/24`, `fd00::${last}/64`];
      stack.addLink(ends[i], { addresses, defaultRoute: true });
      return stack;
    });
    const place = { host: '127.0.0.1', port: proxy.port, ...user };
    const tunnel = openSocksTunnel({ stack: stacks[1], proxy: place, ...options });
    return new SocksWorld(proxy, echo, [stacks[0], stacks[1]], tunnel);
  }

  async close(): Promise<void> {
    this.tunnel.close();
    this.inside.close();
    this.middle.close();
    await this.proxy.close();
    await this.echo.close();
  }

  /** A connection of the client's; rejects as it fails. */
  async connect(host: string = ELSEWHERE[4], port = 80): Promise<Socket> {
    const socket = this.inside.net.connect({ host, port, allowHalfOpen: true });
    await once(socket, 'connect');
    // How it ends is for those to look at who want to.
    socket.on('error', () => {});
    return socket;
  }
}

/** Echoes, over TCP and UDP, until whoever it talks with has ended. */
export class EchoServer {
  readonly #server: Server;
  readonly #socket: DatagramSocket;
  readonly sockets = new Set<Socket>();

  private constructor(server: Server, socket: DatagramSocket) {
    this.#server = server;
    this.#socket = socket;
  }

  static async start(): Promise<EchoServer> {
    const server = createServer({ allowHalfOpen: true });
    const socket = createSocket('udp4');
    const echo = new EchoServer(server, socket);
    server.on('connection', (peer) => {
      echo.sockets.add(peer);
      peer.on('error', () => {});
      peer.on('close', () => echo.sockets.delete(peer));
      peer.pipe(peer);
    });
    socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
    server.listen(0, '127.0.0.1', 4096);
    socket.bind(0, '127.0.0.1');
    await Promise.all([once(server, 'listening'), once(socket, 'listening')]);
    return echo;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get udpPort(): number {
    return this.#socket.address().port;
  }

  async close(): Promise<void> {
    for (const peer of this.sockets) peer.destroy();
    this.#socket.close();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Reads a stream to its end. */
export async function textOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
