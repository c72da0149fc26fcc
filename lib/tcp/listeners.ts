/** Who listens where: listeners by port, and the one a segment is for. */
import { StackError } from '../base/errors.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { TcpContext } from './layer-context.js';
import { TcpListener } from './listener.js';
import { resolveTcpOptions, type TcpOptions } from './options.js';
import type { PortClaim, TcpPorts } from './ports.js';

/** A port that is wanted. */
export interface PortRequest {
  readonly address: IpAddress;
  /** 0: an ephemeral one. */
  readonly port: number;
  /** With ::, also take IPv4. */
  readonly dualStack: boolean;
  readonly reusePort: boolean;
  /** Index of the only link to accept from; -1 for all. */
  readonly link: number;
}

export interface ListenRequest extends PortRequest {
  readonly backlog: number;
  readonly options: Partial<TcpOptions>;
  readonly onConnection: () => void;
  /** Called when the stack has been closed, and the listener with it. */
  readonly onClosed?: () => void;
}

/** The smallest SYN queue, however small the backlog. */
const MIN_SYN_BACKLOG = 8;

export class Listeners {
  readonly #context: TcpContext;
  readonly #ports: TcpPorts;
  readonly #byPort = new Map<number, TcpListener[]>();

  constructor(context: TcpContext, ports: TcpPorts) {
    this.#context = context;
    this.#ports = ports;
  }

  /** Takes a port, any free one for 0. @throws StackError EADDRINUSE, EADDRNOTAVAIL */
  claim(request: PortRequest, syscall: string): PortClaim {
    const { address, dualStack, reusePort, link } = request;
    if (!address.isUnspecified && !this.#context.carrier.isLocal(address)) {
      throw new StackError('EADDRNOTAVAIL', syscall, String(address), request.port);
    }
    const port = request.port === 0 ? this.#ports.ephemeral(() => true) : request.port;
    if (port === 0) throw new StackError('EADDRINUSE', syscall, String(address));
    const claim: PortClaim = { port, address, dualStack, reusePort, link };
    this.#ports.claim(claim, syscall);
    return claim;
  }

  /** @throws StackError EADDRINUSE, EADDRNOTAVAIL */
  add(request: ListenRequest): TcpListener {
    const options = resolveTcpOptions(request.options, this.#context.options.connection);
    const claim = this.claim(request, 'listen');
    const { port } = claim;
    const listener = new TcpListener({
      claim,
      options,
      backlog: request.backlog,
      synBacklog: Math.max(MIN_SYN_BACKLOG, Math.min(request.backlog, this.#context.options.maxSynBacklog)),
      onConnection: request.onConnection,
      onClosed: request.onClosed ?? (() => {}),
    });
    const listeners = this.#byPort.get(port) ?? [];
    listeners.push(listener);
    this.#byPort.set(port, listeners);
    return listener;
  }

  remove(listener: TcpListener): void {
    this.#ports.release(listener.claim);
    const listeners = (this.#byPort.get(listener.port) ?? []).filter((other) => other !== listener);
    if (listeners.length === 0) this.#byPort.delete(listener.port);
    else this.#byPort.set(listener.port, listeners);
  }

  /** Everybody who listens. */
  all(): TcpListener[] {
    return [...this.#byPort.values()].flat();
  }

  /**
   * The listener a packet is for: exact address before any address (RFC 9293 §3.9.1.1), the link it came by
   * before any link. A group that shares a port shares by flow, so that one flow always finds the same member.
   */
  find(packet: IpPacket, localPort: number, remotePort: number): TcpListener | undefined {
    const listeners = this.#byPort.get(localPort);
    if (listeners === undefined) return undefined;
    const destination = packet.destination();
    let best = 0;
    let equals = 0;
    for (const listener of listeners) {
      const score = listener.score(destination, packet.version, packet.link);
      if (score > best) equals = 0;
      if (score >= best && score > 0) equals++;
      best = Math.max(best, score);
    }
    if (equals === 0) return undefined;
    let turn = equals === 1 ? 0 : flowHash(packet, remotePort) % equals;
    for (const listener of listeners) {
      if (listener.score(destination, packet.version, packet.link) === best && turn-- === 0) return listener;
    }
    return undefined;
  }
}

/** Fibonacci hashing of who sends: it only spreads load, and protects nothing. */
const flowHash = (packet: IpPacket, remotePort: number): number =>
  Math.imul(remotePort ^ packet.s0 ^ packet.s1 ^ packet.s2 ^ packet.s3, 0x9e37_79b1) >>> 8;
