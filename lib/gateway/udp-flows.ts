/**
 * UDP through the host's sockets: one socket for each address and port inside, whatever it sends to, so that
 * whoever learns that port may answer (RFC 4787 §4.1, §5: endpoint-independent).
 */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:dgram';
import { Roster, type Rostered } from '../base/roster.js';
import type { UdpFlow, UdpFlowRequest } from '../udp/flow.js';
import type { IcmpRejection } from '../wire/icmp-rejection.js';
import type { GatewayStats } from './counters.js';
import { type Destinations, Refusal } from './destinations.js';
import { hasRoom, openHostSocket } from './host-datagrams.js';

/** What those inside hear of a destination that is refused. */
const rejectionOf = (refusal: Refusal): IcmpRejection =>
  refusal === Refusal.Nobody ? 'port-unreachable' : 'prohibited';

class HostFlow implements Rostered {
  rosterPlace = -1;
  readonly #flow: UdpFlow;
  readonly #flows: UdpFlows;
  readonly #socket: Socket;
  readonly #sent = (error: Error | null): void => {
    if (error === null) this.#flows.stats.udpToHost++;
    else this.#flows.stats.udpFailed++;
  };
  /** The destination asked for last, and what the host calls it. */
  #asked = '';
  #dialled: string | Refusal = Refusal.Denied;
  #isClosed = false;

  constructor(flows: UdpFlows, flow: UdpFlow, socket: Socket) {
    this.#flows = flows;
    this.#flow = flow;
    this.#socket = socket;
    this.#socket.on('error', () => {
      flows.stats.udpFailed++;
      this.close();
    });
    this.#socket.on('message', (bytes, { address, port }) => this.#received(bytes, address, port));
    flow.onDatagram = (data, address, port) => this.#send(data, address, port);
    flow.onClose = () => this.#closed();
  }

  #send(data: Uint8Array, address: string, port: number): void {
    const { stats, destinations } = this.#flows;
    if (this.#isClosed) return;
    // Legal on the wire, and no place to send to (RFC 768).
    if (port === 0) {
      stats.udpDenied++;
      return;
    }
    if (address !== this.#asked) {
      this.#asked = address;
      this.#dialled = destinations.dialled(address);
    }
    const dialled = this.#dialled;
    if (typeof dialled !== 'string') {
      stats.udpDenied++;
      this.#flow.reject(rejectionOf(dialled), address, port);
      return;
    }
    if (!hasRoom(this.#socket)) {
      stats.udpFailed++;
      return;
    }
    // The link's memory is lent, and the host may send later.
    this.#socket.send(Buffer.from(data), port, dialled, this.#sent);
  }

  #received(bytes: Buffer, address: string, port: number): void {
    const { stats, destinations } = this.#flows;
    const shown = destinations.shown(address);
    if (shown === undefined || port === 0) stats.udpDenied++;
    else if (this.#flow.send(bytes, shown, port)) stats.udpToStack++;
    else stats.udpFailed++;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#closed();
    this.#flow.close();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#flows.ended(this);
    this.#socket.close();
  }
}

export class UdpFlows {
  readonly stats: GatewayStats;
  readonly destinations: Destinations;
  readonly #flows = new Roster<HostFlow>();

  constructor(stats: GatewayStats, destinations: Destinations) {
    this.stats = stats;
    this.destinations = destinations;
  }

  get count(): number {
    return this.#flows.size;
  }

  request(request: UdpFlowRequest): void {
    // No socket for who begins with what is denied.
    const dialled = this.destinations.dialled(request.destinationAddress);
    if (typeof dialled !== 'string') {
      this.stats.udpDenied++;
      request.reject(rejectionOf(dialled));
      return;
    }
    let socket: Socket;
    try {
      socket = openHostSocket({ family: request.family });
    } catch {
      // Descriptors have run out, most likely.
      this.stats.udpFull++;
      request.reject('host-unreachable');
      return;
    }
    this.stats.udpFlows++;
    this.#flows.add(new HostFlow(this, request.accept(), socket));
  }

  /** A flow is over. */
  ended(flow: HostFlow): void {
    this.#flows.delete(flow);
  }

  close(): void {
    for (const flow of this.#flows) flow.close();
  }
}
