/**
 * A tunnel: what those inside send to anybody leaves through a SOCKS proxy, names included. The proxy is asked before
 * anybody is answered, so that inside a connection is refused, or unreachable, as the proxy found it.
 */
import '../net/stack-net.js';
import type { AnyTcpOptions } from '../stack/any-tcp.js';
import { newTunnelStats, type SocksTunnelStats } from './counters.js';
import { DnsFlows } from './dns-flows.js';
import { resolveTunnelOptions, type SocksTunnelOptions, type TunnelSettings } from './options.js';
import { Proxy } from './proxy.js';
import { TcpFlows } from './tcp-flows.js';
import { UdpFlows } from './udp-flows.js';

const DNS_PORT = 53;
/** Requests a listener of the stack lets wait at most. */
const MOST_PENDING = 65_536;
/** How much longer than the proxy's dialling a request waits, ms. */
const GRACE_MS = 1000;
/** Settings of connections inside: both ends decide themselves how much they send at once, and no byte is left out. */
const PASSED_ON = { noDelay: true, urgentInline: true } as const;
/** A client that asks a name server has its answer by then, ms, or has given up. */
const DNS_IDLE_MS = 30_000;

interface Listener {
  readonly pending: number;
  close(): void;
}

/**
 * A stack's way to the rest of the world through a SOCKS proxy; made by `openSocksTunnel`.
 * @hideconstructor
 */
export class SocksTunnel {
  readonly #settings: TunnelSettings;
  readonly #stats = newTunnelStats();
  readonly #proxy: Proxy;
  readonly #tcp: TcpFlows;
  readonly #udp: UdpFlows;
  readonly #dns: DnsFlows;
  readonly #listeners: Listener[] = [];
  #isClosed = false;

  constructor(settings: TunnelSettings) {
    const { proxy: place, credentials, dialMs, dnsMs, timers, nameServer } = settings;
    this.#settings = settings;
    const stats = this.#stats;
    this.#proxy = new Proxy({ place, credentials, dialMs, timers }, stats);
    this.#tcp = new TcpFlows(settings, this.#proxy, stats);
    this.#udp = new UdpFlows(this.#proxy, stats);
    this.#dns = new DnsFlows({ server: nameServer, dnsMs }, this.#proxy, stats);
    try {
      this.#listenDns();
      this.#listen();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What it has done since it was opened: a copy. Bytes of a connection are counted when it is over. */
  get stats(): SocksTunnelStats {
    return { ...this.#stats };
  }

  /** TCP connections at present, those the proxy is asked for included. */
  get tcpFlows(): number {
    return this.#tcp.count;
  }

  /** UDP flows at present, those the proxy is asked for and those to name servers included. */
  get udpFlows(): number {
    return this.#udp.count + this.#dns.count;
  }

  /** Requests to the proxy, and connections to name servers, at present. */
  get pending(): number {
    return this.#proxy.dialling + this.#dns.channels;
  }

  /** Ends it: connections are reset, flows forgotten. The stack stays. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#tcp.close();
    for (const listener of this.#listeners) listener.close();
    this.#dns.close();
    this.#udp.close();
    this.#proxy.close();
  }

  /** Before the rest: a listener that comes first is asked first. */
  #listenDns(): void {
    const { stack, dns, maxUdp, nameServer } = this.#settings;
    if (dns !== 'tcp') return;
    const where = { ...this.#where(), ports: [DNS_PORT] };
    // Without a server to ask in their place, the stack's own addresses have no name service.
    const ownAddresses = nameServer !== undefined;
    this.#listeners.push(
      stack.listenAnyUdp({ ...where, ownAddresses, maxFlows: maxUdp, idleMs: DNS_IDLE_MS }, (request) =>
        this.#dns.request(request),
      ),
    );
    if (nameServer === undefined) return;
    this.#listeners.push(
      stack.listenAny({ protocol: 'tcp', ...where, ...this.#waiting() }, (request) =>
        this.#tcp.request(request, nameServer),
      ),
    );
  }

  #listen(): void {
    const { stack, udp, icmp, maxUdp, udpIdleMs, dialMs } = this.#settings;
    const where = { ...this.#where(), ownAddresses: false };
    this.#listeners.push(
      stack.listenAny({ protocol: 'tcp', ...where, ...this.#waiting() }, (request) =>
        this.#tcp.request(request, { host: request.destinationAddress, port: request.destinationPort }),
      ),
    );
    const limits = { maxFlows: maxUdp, maxPending: maxUdp, idleMs: udpIdleMs, pendingMs: dialMs + GRACE_MS };
    this.#listeners.push(
      stack.listenAnyUdp({ ...where, ...limits }, (request) => {
        if (udp === 'associate') {
          this.#udp.request(request);
          return;
        }
        this.#stats.udpRequests++;
        this.#stats.udpRefused++;
        if (udp === 'reject') request.reject('port-unreachable');
        else request.ignore();
      }),
    );
    this.#listeners.push(stack.listenAnyEcho({ ...this.#where(), respond: icmp }));
  }

  #where(): { link?: number } {
    const { link } = this.#settings;
    return link === undefined ? {} : { link };
  }

  /** The proxy's limits come first: a request that is forgotten here hears nothing. */
  #waiting(): Pick<AnyTcpOptions, 'maxPending' | 'pendingMs' | 'options'> {
    const { maxTcp, dialMs } = this.#settings;
    const maxPending = Math.min(maxTcp, MOST_PENDING);
    return { maxPending, pendingMs: dialMs + GRACE_MS, options: PASSED_ON };
  }
}

/**
 * Opens a tunnel: every TCP connection and datagram that comes into the stack for an address nobody has there leaves
 * through the proxy. The stack stays the caller's, and is not closed with the tunnel.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
 */
export const openSocksTunnel = (options: SocksTunnelOptions): SocksTunnel =>
  new SocksTunnel(resolveTunnelOptions(options));
