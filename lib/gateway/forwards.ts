/** Ports of the host that lead inside, and ports of the stack that lead to the host. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { StackError } from '../base/errors.js';
import type { TcpListenerEndpoint } from '../stack/tcp-listener-endpoint.js';
import type { GatewayStats } from './counters.js';
import { type GatewaySettings, PASSED_ON } from './options.js';
import type { PortForward } from './places.js';
import { PublishedUdp } from './published-udp.js';
import type { TcpFlows } from './tcp-flows.js';

/** Connections the host's kernel keeps for a published port until they are taken. */
const BACKLOG = 1024;

export class Forwards {
  readonly #settings: GatewaySettings;
  readonly #stats: GatewayStats;
  readonly #tcp: TcpFlows;
  readonly #servers: Server[] = [];
  readonly #udp: PublishedUdp[] = [];
  readonly #listeners: TcpListenerEndpoint[] = [];

  constructor(settings: GatewaySettings, stats: GatewayStats, tcp: TcpFlows) {
    this.#settings = settings;
    this.#stats = stats;
    this.#tcp = tcp;
  }

  /** UDP peers outside. */
  get udpPeers(): number {
    return this.#udp.reduce((sum, { count }) => sum + count, 0);
  }

  /**
   * Takes all ports.
   * @throws StackError for ports of the stack; the host's error for those of the host. What was taken stays until `close`
   */
  async open(): Promise<void> {
    const { publish, reach } = this.#settings;
    for (const forward of reach) this.#reach(forward);
    for (const forward of publish) {
      if (forward.protocol === 'tcp') await this.#publishTcp(forward);
      else this.#udp.push(new PublishedUdp(this.#settings, this.#stats, forward));
    }
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const udp of this.#udp) udp.close();
    for (const listener of this.#listeners) listener.close();
  }

  async #publishTcp({ from, to }: PortForward): Promise<void> {
    const { stack } = this.#settings;
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.on('connection', (socket) =>
      this.#tcp.passToStack(socket, () => stack.connectTcp({ ...to, options: PASSED_ON })),
    );
    server.listen({ host: from.address, port: from.port, backlog: BACKLOG, exclusive: true, ipv6Only: true });
    await once(server, 'listening');
    // Where there are no more descriptors libuv closes the connection itself, by one it keeps for that, and tells nobody.
    // What else can fail is told here.
    server.on('error', () => {
      this.#stats.tcpFull++;
    });
    this.#servers.push(server);
  }

  #reach({ protocol, from, to }: PortForward): void {
    if (protocol === 'udp') throw new StackError('EPROTONOSUPPORT', 'listen', from.address, from.port);
    const listener = this.#settings.stack.listenTcp({ ...from, options: PASSED_ON });
    this.#listeners.push(listener);
    listener.onConnection = () => {
      for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
        this.#tcp.passToHost(next, to);
      }
    };
  }
}
