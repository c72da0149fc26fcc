/**
 * UDP through the proxy: an association (RFC 1928 §7) for each address and port inside, whatever it sends to, so that
 * whoever learns the proxy's port may answer, as far as the proxy lets him.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import { Roster, type Rostered } from '../base/roster.js';
import type { UdpFlow, UdpFlowRequest } from '../udp/flow.js';
import type { IcmpRejection } from '../wire/icmp-rejection.js';
import { IpAddress } from '../wire/ip-address.js';
import type { SocksTunnelStats } from './counters.js';
import { decodeDatagram, encodeDatagram, SocksCommand, type SocksPlace, SocksReply } from './protocol.js';
import { type Proxy, rejectionOf } from './proxy.js';

/** Most bytes that may wait in one of the host's sockets; what comes then is dropped, as a router would. */
const MAX_QUEUED_BYTES = 1 << 20;
/** A connection that holds an association is probed when nothing was heard on it for so long, ms. */
const KEEP_ALIVE_MS = 30_000;
/** How long a proxy that has no UDP is not asked again, ms. */
const NO_UDP_MS = 60_000;
/** We do not know yet from where we shall send (RFC 1928 §6): the connection will tell. */
const ANYWHERE: SocksPlace = { host: '0.0.0.0', port: 0 };

/** Where the relay of an association is. */
interface RelayPlace extends SocksPlace {
  readonly family: 4 | 6;
}

/**
 * One association: a connection to the proxy that holds it, and the socket that datagrams go by. Whoever asked inside
 * is accepted once that socket knows its way.
 */
class Association implements Rostered {
  rosterPlace = -1;
  readonly #flows: UdpFlows;
  readonly #request: UdpFlowRequest;
  readonly #control: Socket;
  readonly #socket: DatagramSocket;
  #flow: UdpFlow | undefined;
  /** The relay, as the host's socket calls it. */
  #relay = { address: '', port: 0 };
  #isClosed = false;
  /** The address sent to last. */
  #address = IpAddress.v4(0);
  #text = '';
  readonly #over = (): void => this.close();
  readonly #sent = (error: Error | null): void => {
    if (error !== null) this.#flows.stats.udpDropped++;
  };

  constructor(flows: UdpFlows, request: UdpFlowRequest, control: Socket, relay: RelayPlace) {
    this.#flows = flows;
    this.#request = request;
    this.#control = control;
    control.on('error', this.#over).on('end', this.#over).on('close', this.#over);
    // A proxy that is gone without a word would be sent to for as long as those inside go on.
    control.setKeepAlive(true, KEEP_ALIVE_MS);
    // The proxy has nothing more to say here, and ends the association by ending the connection.
    control.resume();
    const socket = createSocket(relay.family === 4 ? 'udp4' : 'udp6');
    this.#socket = socket;
    socket.on('error', this.#over);
    socket.on('message', (bytes, { address, port }) => this.#received(bytes, address, port));
    socket.once('connect', () => this.#connected());
    request.onCancel = this.#over;
    socket.connect(relay.port, relay.host);
  }

  /** What has waited is heard now. */
  #connected(): void {
    if (this.#isClosed) return;
    this.#relay = this.#socket.remoteAddress();
    this.#flows.stats.udpAssociated++;
    const flow = this.#request.accept();
    this.#flow = flow;
    flow.onClose = this.#over;
    flow.onDatagram = (data, address, port) => this.#send(data, address, port);
  }

  #send(data: Uint8Array, address: string, port: number): void {
    const { stats } = this.#flows;
    if (this.#isClosed || this.#socket.getSendQueueSize() > MAX_QUEUED_BYTES) {
      stats.udpDropped++;
      return;
    }
    if (address !== this.#text) {
      this.#text = address;
      this.#address = IpAddress.parse(address);
    }
    stats.udpOut++;
    this.#socket.send(encodeDatagram(this.#address, port, data), this.#sent);
  }

  #received(bytes: Uint8Array, address: string, port: number): void {
    const { stats } = this.#flows;
    const datagram = this.#isRelay(address, port) ? decodeDatagram(bytes) : undefined;
    const isSent =
      datagram !== undefined &&
      this.#flow?.send(datagram.data, datagram.address.toString(), datagram.port) === true;
    if (isSent) stats.udpIn++;
    else stats.udpDropped++;
  }

  /** The kernel lets nobody else through, but for what came before it knew the relay. */
  #isRelay(address: string, port: number): boolean {
    return port === this.#relay.port && address === this.#relay.address;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#flows.ended(this);
    this.#control.destroy();
    this.#socket.close();
    this.#flow?.close();
    if (this.#flow === undefined) this.#refuse();
  }

  /** There is no way to the relay, the proxy has hung up, or nobody waits any more. */
  #refuse(): void {
    const { stats } = this.#flows;
    stats.udpRefused++;
    if (!this.#request.isPending) return;
    stats.proxyUnreachable++;
    this.#request.reject('port-unreachable');
  }
}

export class UdpFlows {
  readonly stats: SocksTunnelStats;
  readonly #proxy: Proxy;
  readonly #associations = new Roster<Association>();
  #dialling = 0;
  /** Until when the proxy is not asked, ms of its clock: it has said that it has no UDP. */
  #refusedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(proxy: Proxy, stats: SocksTunnelStats) {
    this.#proxy = proxy;
    this.stats = stats;
  }

  /** Flows at present, those the proxy is asked for included. */
  get count(): number {
    return this.#dialling + this.#associations.size;
  }

  request(request: UdpFlowRequest): void {
    const { stats } = this;
    const { timers } = this.#proxy.settings;
    stats.udpRequests++;
    if (timers.now() < this.#refusedUntilMs) {
      stats.udpRefused++;
      request.reject('port-unreachable');
      return;
    }
    this.#dialling++;
    const cancel = this.#proxy.dial(SocksCommand.Associate, ANYWHERE, {
      dialled: (control, bound) => {
        this.#dialling--;
        this.#associated(request, control, bound);
      },
      failed: (_failure, reply) => {
        this.#dialling--;
        stats.udpRefused++;
        if (reply === SocksReply.CommandNotSupported) this.#refusedUntilMs = timers.now() + NO_UDP_MS;
        request.reject(udpRejectionOf(reply));
      },
    });
    request.onCancel = () => {
      this.#dialling--;
      stats.udpRefused++;
      cancel();
    };
  }

  /** A flow is over. */
  ended(association: Association): void {
    this.#associations.delete(association);
  }

  close(): void {
    for (const association of this.#associations) association.close();
  }

  #associated(request: UdpFlowRequest, control: Socket, bound: SocksPlace): void {
    const isNowhere = bound.port === 0 || bound.host === '';
    const relay = isNowhere ? undefined : relayOf(bound, control);
    if (relay === undefined) {
      this.stats.udpRefused++;
      if (isNowhere) this.stats.proxyMalformed++;
      else this.stats.proxyUnreachable++;
      control.destroy();
      request.reject('port-unreachable');
      return;
    }
    this.#associations.add(new Association(this, request, control, relay));
  }
}

/** Where datagrams go: what the proxy said, or itself where it said "here"; undefined where it is gone meanwhile. */
function relayOf({ host, port }: SocksPlace, control: Socket): RelayPlace | undefined {
  const address = IpAddress.tryParse(host);
  if (address !== undefined && !address.isUnspecified) {
    return { host: address.toString(), port, family: address.family };
  }
  // A name is looked up for the family that leads to the proxy.
  const { remoteAddress, remoteFamily } = control;
  const family = remoteFamily === 'IPv6' ? 6 : 4;
  if (address === undefined) return { host, port, family };
  return remoteAddress === undefined ? undefined : { host: remoteAddress, port, family };
}

/** There is no RST in UDP: whoever is refused hears that nobody has the port. */
function udpRejectionOf(reply: number): IcmpRejection {
  const rejection = rejectionOf(reply);
  return rejection === 'reset' ? 'port-unreachable' : rejection;
}
