/** TCP through the proxy: it is asked before whoever asks inside is answered, who then hears what the proxy has heard. */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { StackError } from '../base/errors.js';
import type { NetTcpRequest } from '../net/listen-any-tcp.js';
import type { StackSocket } from '../net/socket.js';
import { relay } from '../relay/relay.js';
import type { RelayTimers } from '../relay/relay-timers.js';
import type { SocksTunnelStats } from './counters.js';
import { SocksCommand, type SocksPlace } from './protocol.js';
import { type Proxy, rejectionOf } from './proxy.js';

export interface TcpSettings {
  readonly maxTcp: number;
  readonly tcpIdleMs: number;
  readonly tcpHalfCloseIdleMs: number;
  readonly timers: RelayTimers;
}

export class TcpFlows {
  readonly #settings: TcpSettings;
  readonly #stats: SocksTunnelStats;
  readonly #proxy: Proxy;
  /** Ends all relays. */
  readonly #ending = new AbortController();
  /** Accepted, but their handshakes are not done. */
  readonly #opening = new Set<StackSocket>();
  #dialling = 0;
  #joined = 0;

  constructor(settings: TcpSettings, proxy: Proxy, stats: SocksTunnelStats) {
    this.#settings = settings;
    this.#proxy = proxy;
    this.#stats = stats;
    // Each relay listens.
    setMaxListeners(0, this.#ending.signal);
  }

  /** Connections at present, those the proxy is asked for included. */
  get count(): number {
    return this.#dialling + this.#joined;
  }

  /** @param to where the proxy is to connect */
  request(request: NetTcpRequest, to: SocksPlace): void {
    const stats = this.#stats;
    stats.tcpRequests++;
    if (this.count >= this.#settings.maxTcp || this.#ending.signal.aborted) {
      stats.tcpFull++;
      request.reject('reset');
      return;
    }
    this.#dialling++;
    const cancel = this.#proxy.dial(SocksCommand.Connect, to, {
      dialled: (socket) => {
        this.#dialling--;
        stats.tcpConnected++;
        this.#accept(request, socket);
      },
      failed: (failure, reply) => {
        this.#dialling--;
        if (failure === 'refused') stats.tcpRefused++;
        else stats.tcpFailed++;
        request.reject(rejectionOf(reply));
      },
    });
    request.onCancel = () => {
      this.#dialling--;
      stats.tcpCancelled++;
      cancel();
    };
  }

  /** Ends all of them: both sides hear an RST. */
  close(): void {
    this.#ending.abort();
    // `resetAndDestroy` would wait for the rest of the handshake, which may never come.
    for (const inside of this.#opening) inside._reset();
  }

  #accept(request: NetTcpRequest, outside: Socket): void {
    const stats = this.#stats;
    let inside: StackSocket;
    try {
      inside = request.accept({ allowHalfOpen: true }) as unknown as StackSocket;
    } catch (error) {
      outside.resetAndDestroy();
      if (!(error instanceof StackError)) throw error;
      // The stack has no room, or no way back any more.
      stats.tcpReset++;
      request.reject('reset');
      return;
    }
    inside.setNoDelay(true);
    this.#joined++;
    this.#opening.add(inside);
    const gaveUp = (): void => {
      this.#opening.delete(inside);
      this.#joined--;
      stats.tcpReset++;
      outside.resetAndDestroy();
    };
    inside.on('error', ignore).once('close', gaveUp);
    // Only then can it be reset: before, there is no connection that could end in the midst.
    inside.once('connect', () => {
      this.#opening.delete(inside);
      inside.off('error', ignore).off('close', gaveUp);
      this.#join(inside, outside);
    });
  }

  #join(inside: Duplex, outside: Socket): void {
    const stats = this.#stats;
    const { tcpIdleMs: idleMs, tcpHalfCloseIdleMs: halfCloseIdleMs, timers } = this.#settings;
    const { signal } = this.#ending;
    void relay(inside, outside, { idleMs, halfCloseIdleMs, timers, signal }).then((result) => {
      this.#joined--;
      stats.bytesOut += result.bytesAB;
      stats.bytesIn += result.bytesBA;
      if (result.endedBy === 'both') stats.tcpFinished++;
      else stats.tcpReset++;
    });
  }
}

const ignore = (): void => {};
