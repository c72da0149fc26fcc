/**
 * A gateway in user space: what those inside send to anybody leaves by ordinary sockets of the host, as with
 * slirp4netns and passt, and needs no right of any kind.
 */
import type { AnyEchoListener } from '../stack/any-echo.js';
import type { AnyTcpListener } from '../stack/any-tcp.js';
import type { AnyUdpListener } from '../udp/flow-listener.js';
import { type GatewayStats, newGatewayStats } from './counters.js';
import { Destinations } from './destinations.js';
import { DnsService } from './dns-service.js';
import { Forwards } from './forwards.js';
import { type GatewayOptions, type GatewaySettings, PASSED_ON, resolveOptions } from './options.js';
import { TcpFlows } from './tcp-flows.js';
import { UdpFlows } from './udp-flows.js';

/** Requests a listener of the stack lets wait at most. */
const MOST_PENDING = 65_536;
/** How much longer than the host's dialling a request waits, ms. */
const GRACE_MS = 1000;

/**
 * A stack's way to the rest of the world through the host's sockets; made by `openGateway`.
 * @hideconstructor
 */
export class Gateway {
  readonly #settings: GatewaySettings;
  readonly #stats = newGatewayStats();
  readonly #tcp: TcpFlows;
  readonly #udp: UdpFlows;
  readonly #forwards: Forwards;
  #dns: DnsService | undefined;
  #tcpListener: AnyTcpListener | undefined;
  #udpListener: AnyUdpListener | undefined;
  #echoListener: AnyEchoListener | undefined;
  #isClosed = false;

  constructor(settings: GatewaySettings) {
    this.#settings = settings;
    const destinations = new Destinations(settings.deny, settings.hostLoopback, (address) =>
      settings.stack.ip.isLocal(address),
    );
    this.#tcp = new TcpFlows(settings, this.#stats);
    this.#udp = new UdpFlows(this.#stats, destinations);
    this.#forwards = new Forwards(settings, this.#stats, this.#tcp);
    try {
      this.#listen(destinations);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Takes the ports of the host. @hidden */
  async open(): Promise<void> {
    try {
      await this.#forwards.open();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What it has done since it was opened: a copy. */
  get stats(): GatewayStats {
    const { toHost: bytesToHost, toStack: bytesToStack } = this.#tcp.passed;
    const { answered: echoAnswered = 0, requested = 0 } = this.#echoListener?.counts ?? {};
    const echoDropped = requested - echoAnswered;
    return { ...this.#stats, bytesToHost, bytesToStack, echoAnswered, echoDropped };
  }

  /** TCP connections at present, those being dialled included. */
  get tcpFlows(): number {
    return this.#tcp.count;
  }

  /** UDP flows at present, each with a socket of the host's or an endpoint of the stack's. */
  get udpFlows(): number {
    return this.#udp.count + this.#forwards.udpPeers;
  }

  /** Questions the name service waits for an answer to. */
  get dnsWaiting(): number {
    return this.#dns?.waiting ?? 0;
  }

  /** Ends it: connections are reset, flows forgotten, ports given back. The stack stays. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#tcpListener?.close();
    this.#udpListener?.close();
    this.#echoListener?.close();
    this.#dns?.close();
    this.#forwards.close();
    this.#tcp.close();
    this.#udp.close();
  }

  #listen(destinations: Destinations): void {
    const { stack, link, dialMs, maxTcp, maxUdp, udpIdleMs } = this.#settings;
    const where = link === undefined ? {} : { link };
    if (this.#settings.dnsAddresses.length > 0) {
      this.#dns = new DnsService(this.#settings, this.#stats, this.#tcp);
    }
    this.#tcpListener = stack.listenAnyTcp(
      // The limit for connecting comes first: a request that is forgotten here hears nothing.
      {
        ...where,
        maxPending: Math.min(maxTcp, MOST_PENDING),
        pendingMs: dialMs + GRACE_MS,
        options: PASSED_ON,
      },
      (request) => this.#tcp.request(request, destinations.dialled(request.destinationAddress)),
    );
    this.#udpListener = stack.listenAnyUdp({ ...where, maxFlows: maxUdp, idleMs: udpIdleMs }, (request) =>
      this.#udp.request(request),
    );
    this.#echoListener = stack.listenAnyEcho(where, (request) => {
      const isDenied = typeof destinations.dialled(request.destinationAddress) !== 'string';
      if (isDenied) request.reject('prohibited');
      else if (this.#settings.icmp === 'answer') request.reply();
      else request.ignore();
    });
  }
}

/**
 * Opens a gateway: every TCP connection and datagram that comes into the stack for an address nobody has there is
 * passed on by the host's sockets. The host dials first; then whoever asked is accepted, or hears what the host
 * heard. The stack stays the caller's, and is not closed with the gateway.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`; rejects with `EADDRINUSE`, `EACCES` and
 *   the like for a port that is not to be had, on either side
 */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const gateway = new Gateway(resolveOptions(options));
  await gateway.open();
  return gateway;
}
