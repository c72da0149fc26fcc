/** A UDP port of the host that leads inside: an endpoint of the stack for each peer outside, so that answers find back. */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:dgram';
import { StackError } from '../base/errors.js';
import { UdpEvent } from '../udp/datagram.js';
import type { UdpEndpoint } from '../udp/udp-endpoint.js';
import { IpAddress } from '../wire/ip-address.js';
import type { GatewayStats } from './counters.js';
import { hasRoom, openHostSocket } from './host-datagrams.js';
import type { GatewaySettings } from './options.js';
import type { Place, PortForward } from './places.js';
import { Sweeper } from './sweeper.js';

/** Somebody outside who has sent something. */
interface Peer extends Place {
  readonly endpoint: UdpEndpoint;
  touched: number;
}

export class PublishedUdp {
  readonly #settings: GatewaySettings;
  readonly #stats: GatewayStats;
  readonly #to: { readonly address: IpAddress; readonly port: number };
  readonly #socket: Socket;
  readonly #peers = new Map<string, Peer>();
  readonly #sweeper: Sweeper;
  readonly #idleTicks: number;
  readonly #sent = (error: Error | null): void => {
    if (error === null) this.#stats.udpToHost++;
    else this.#stats.udpFailed++;
  };

  /** @throws the host's error where the port is not to be had */
  constructor(settings: GatewaySettings, stats: GatewayStats, { from, to }: PortForward) {
    this.#settings = settings;
    this.#stats = stats;
    this.#to = { address: IpAddress.parse(to.address), port: to.port };
    this.#sweeper = new Sweeper(settings.timers, [settings.udpIdleMs, 120_000], () => this.#sweep());
    this.#idleTicks = this.#sweeper.ticksOf(settings.udpIdleMs);
    const family = from.address.includes(':') ? 6 : 4;
    this.#socket = openHostSocket({ family, address: from.address, port: from.port });
    // The host tells errors of what was sent earlier; whoever sends knows no more than UDP promises.
    this.#socket.on('error', () => {
      stats.udpFailed++;
    });
    this.#socket.on('message', (bytes, { address, port }) => this.#received(bytes, address, port));
  }

  /** Peers with an endpoint. */
  get count(): number {
    return this.#peers.size;
  }

  close(): void {
    this.#sweeper.stop();
    for (const { endpoint } of this.#peers.values()) endpoint.close();
    this.#peers.clear();
    this.#socket.close();
  }

  #received(bytes: Buffer, address: string, port: number): void {
    // There is nowhere to answer to.
    if (port === 0) {
      this.#stats.udpDenied++;
      return;
    }
    const key = `${port} ${address}`;
    const peer = this.#peers.get(key) ?? this.#newPeer(key, { address, port });
    if (peer === undefined) return;
    peer.touched = this.#sweeper.tick;
    try {
      if (peer.endpoint.send(bytes)) this.#stats.udpToStack++;
      else this.#stats.udpFailed++;
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
      this.#stats.udpFailed++;
    }
  }

  #newPeer(key: string, place: Place): Peer | undefined {
    if (this.#peers.size >= this.#settings.maxUdp) {
      this.#stats.udpFull++;
      return undefined;
    }
    const { address, port } = this.#to;
    let endpoint: UdpEndpoint | undefined;
    try {
      endpoint = this.#settings.stack.openUdp(address.family);
      endpoint.connect(address, port);
    } catch (error) {
      endpoint?.close();
      if (!(error instanceof StackError)) throw error;
      this.#stats.udpFull++;
      return undefined;
    }
    const peer: Peer = { ...place, endpoint, touched: this.#sweeper.tick };
    endpoint.onEvents = (events) => {
      if ((events & (UdpEvent.READABLE | UdpEvent.ERROR)) !== 0) this.#answered(peer);
    };
    this.#peers.set(key, peer);
    this.#stats.udpFlows++;
    this.#sweeper.start();
    return peer;
  }

  #answered(peer: Peer): void {
    peer.touched = this.#sweeper.tick;
    const { endpoint, address, port } = peer;
    // Nobody inside at that port is no more than a lost datagram to whoever is outside.
    while (endpoint.takeError() !== undefined) this.#stats.udpFailed++;
    for (let datagram = endpoint.receive(); datagram !== undefined; datagram = endpoint.receive()) {
      if (hasRoom(this.#socket)) this.#socket.send(Buffer.from(datagram.payload), port, address, this.#sent);
      else this.#stats.udpFailed++;
    }
  }

  #sweep(): boolean {
    for (const [key, { endpoint, touched }] of this.#peers) {
      if (this.#sweeper.tick - touched < this.#idleTicks) continue;
      endpoint.close();
      this.#peers.delete(key);
    }
    return this.#peers.size > 0;
  }
}
