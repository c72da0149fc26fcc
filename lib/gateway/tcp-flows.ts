/**
 * TCP through the host's sockets. The host dials before whoever asks is answered, so that inside a connection is
 * refused, or unreachable, in the way it is on the host.
 */
import type { Socket } from 'node:net';
import { StackError } from '../base/errors.js';
import { Roster } from '../base/roster.js';
import type { TcpRequest } from '../stack/any-tcp.js';
import type { TcpEndpoint } from '../stack/tcp-endpoint.js';
import type { IcmpRejection } from '../wire/icmp-rejection.js';
import { ChunkPool } from './chunks.js';
import type { GatewayStats } from './counters.js';
import { Refusal } from './destinations.js';
import { Dialling } from './dialling.js';
import { HostSocket, HostSockets } from './host-sockets.js';
import type { GatewaySettings } from './options.js';
import type { Place } from './places.js';
import { Pump, type PumpHost } from './pump.js';
import { Sweeper } from './sweeper.js';

/** What those inside hear of a failure to connect. */
const REJECTIONS: Readonly<Record<string, IcmpRejection>> = {
  EHOSTUNREACH: 'host-unreachable',
  EHOSTDOWN: 'host-unreachable',
  ETIMEDOUT: 'host-unreachable',
  EADDRNOTAVAIL: 'host-unreachable',
  ENETUNREACH: 'net-unreachable',
  ENETDOWN: 'net-unreachable',
  EAFNOSUPPORT: 'net-unreachable',
  EINVAL: 'net-unreachable',
  EACCES: 'prohibited',
  EPERM: 'prohibited',
};

/** The host has no more descriptors, or no memory, for another socket. */
const EXHAUSTED: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** A failure of the host's socket as an answer to whoever asked: RST where the other end has said no. */
export const rejectionOf = (code: string | undefined): 'reset' | IcmpRejection =>
  REJECTIONS[code ?? ''] ?? 'reset';

export class TcpFlows implements PumpHost {
  readonly chunks = new ChunkPool();
  readonly passed = { toHost: 0, toStack: 0 };
  readonly #settings: GatewaySettings;
  readonly #stats: GatewayStats;
  readonly #sweeper: Sweeper;
  readonly #idleTicks: number;
  readonly #halfCloseTicks: number;
  readonly #pumps = new Roster<Pump>();
  readonly #dialling = new Roster<Dialling>();
  readonly #sockets = new HostSockets();
  #isClosed = false;

  constructor(settings: GatewaySettings, stats: GatewayStats) {
    const { timers, tcpIdleMs, tcpHalfCloseIdleMs } = settings;
    this.#settings = settings;
    this.#stats = stats;
    this.#sweeper = new Sweeper(timers, [tcpIdleMs, tcpHalfCloseIdleMs, 240_000], () => this.#sweep());
    this.#idleTicks = this.#sweeper.ticksOf(tcpIdleMs);
    this.#halfCloseTicks = this.#sweeper.ticksOf(tcpHalfCloseIdleMs);
  }

  get tick(): number {
    return this.#sweeper.tick;
  }

  /** Connections, those being dialled included. */
  get count(): number {
    return this.#pumps.size + this.#dialling.size;
  }

  /** Whether there is room for one more; counts it as refused where there is none. */
  admits(): boolean {
    this.#stats.tcpRequests++;
    if (this.count < this.#settings.maxTcp && !this.#isClosed) return true;
    this.#stats.tcpFull++;
    return false;
  }

  /** Dials for a connection that was asked for inside, and answers it accordingly. */
  request(request: TcpRequest, host: string | Refusal): void {
    if (!this.admits()) {
      request.reject('reset');
      return;
    }
    if (typeof host !== 'string') {
      this.#stats.tcpDenied++;
      request.reject(host === Refusal.Nobody ? 'reset' : 'prohibited');
      return;
    }
    const dialling = this.#dial(
      { address: host, port: request.destinationPort },
      () => (request.isPending ? acceptOrReject(request) : undefined),
      (code) => {
        if (request.isPending) request.reject(rejectionOf(code));
      },
    );
    request.onCancel = () => this.#cancel(dialling);
  }

  /** Dials for a connection that was accepted already: from a port of the stack's own to the host. */
  passToHost(endpoint: TcpEndpoint, place: Place): void {
    if (!this.admits()) {
      giveUp(endpoint);
      return;
    }
    let isOver = false;
    const handler = {
      onConnect: () => {},
      onReadable: () => {},
      onWritable: () => {},
      onEnd: () => {},
      onClose: () => {
        isOver = true;
        endpoint.close();
        this.#cancel(dialling);
      },
    };
    endpoint.handler = handler;
    const dialling = this.#dial(
      place,
      () => (isOver ? undefined : endpoint),
      () => {
        if (!isOver) giveUp(endpoint);
      },
    );
  }

  /** Joins a socket that the host has accepted to an endpoint that is connecting. */
  passToStack(socket: Socket, dial: () => TcpEndpoint): void {
    if (!this.admits()) {
      socket.resetAndDestroy();
      return;
    }
    let endpoint: TcpEndpoint;
    try {
      endpoint = dial();
    } catch {
      this.#stats.tcpUnreachable++;
      socket.resetAndDestroy();
      return;
    }
    socket.setNoDelay(true);
    const pump = this.#join(endpoint, new HostSocket(socket), true);
    socket.on('data', (chunk: Buffer) => {
      if (!pump.hostText(chunk, chunk.length, false)) socket.pause();
    });
  }

  pumpEnded(pump: Pump, error: string): void {
    this.#pumps.delete(pump);
    if (error === '') this.#stats.tcpFinished++;
    else if (error === IDLE) this.#stats.tcpIdle++;
    else this.#stats.tcpFailed++;
    if (this.#pumps.size === 0) this.#sweeper.stop();
  }

  close(): void {
    this.#isClosed = true;
    for (const dialling of this.#dialling) dialling.fail('ECONNABORTED');
    for (const pump of this.#pumps) pump.abort('ECONNABORTED');
    this.#sweeper.stop();
  }

  /**
   * @param accept asked once the host has connected; undefined where nobody wants it any more
   * @param failed told the code where it could not
   */
  #dial(place: Place, accept: () => TcpEndpoint | undefined, failed: (code: string) => void): Dialling {
    const dialling = new Dialling(this.#sockets.take(), this.#settings.timers, {
      connected: (socket) => {
        this.#dialling.delete(dialling);
        const endpoint = this.#accepted(accept);
        if (endpoint === undefined) socket.socket.resetAndDestroy();
        else this.#join(endpoint, socket);
      },
      failed: (code) => {
        this.#dialling.delete(dialling);
        this.#countFailure(code);
        failed(code);
      },
    });
    this.#dialling.add(dialling);
    dialling.begin(place, this.#settings.dialMs);
    return dialling;
  }

  /** Nobody wants it any more. */
  #cancel(dialling: Dialling): void {
    if (!dialling.giveUp()) return;
    this.#dialling.delete(dialling);
    this.#stats.tcpCancelled++;
  }

  #countFailure(code: string): void {
    if (this.#isClosed) this.#stats.tcpCancelled++;
    else if (EXHAUSTED.has(code)) this.#stats.tcpFull++;
    else this.#stats.tcpUnreachable++;
  }

  /** undefined where nobody wants it any more, or the stack has no room or no way back. */
  #accepted(accept: () => TcpEndpoint | undefined): TcpEndpoint | undefined {
    try {
      const endpoint = accept();
      if (endpoint === undefined) this.#stats.tcpCancelled++;
      return endpoint;
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
      this.#stats.tcpUnreachable++;
      return undefined;
    }
  }

  #join(endpoint: TcpEndpoint, socket: HostSocket, isConnecting = false): Pump {
    const pump = new Pump(this, endpoint, socket, isConnecting);
    this.#pumps.add(pump);
    this.#stats.tcpJoined++;
    this.#sweeper.start();
    return pump;
  }

  #sweep(): boolean {
    for (const pump of this.#pumps) {
      pump.look();
      const limit = pump.isHalfClosed ? this.#halfCloseTicks : this.#idleTicks;
      if (this.tick - pump.touched >= limit) pump.abort(IDLE);
    }
    return this.#pumps.size > 0;
  }
}

/** What a pump is aborted with that was idle for too long. */
const IDLE = 'idle';

/** @throws StackError where the stack has no room or no way back; whoever asked hears an RST */
function acceptOrReject(request: TcpRequest): TcpEndpoint {
  try {
    const endpoint = request.accept();
    endpoint.setQuickAck(false);
    return endpoint;
  } catch (error) {
    request.reject('reset');
    throw error;
  }
}

function giveUp(endpoint: TcpEndpoint): void {
  endpoint.handler = undefined;
  endpoint.abort();
  endpoint.close();
}
