/** One request to a proxy: a connection to it, the handshake, and the socket that comes of it. */
import { connect, type Socket } from 'node:net';
import type { Rostered } from '../base/roster.js';
import type { RelayTimers } from '../relay/relay-timers.js';
import { type SocksCommand, type SocksCredentials, SocksHandshake, type SocksPlace } from './protocol.js';

/** A proxy, and how it is asked. */
export interface ProxySettings {
  readonly place: SocksPlace;
  readonly credentials: SocksCredentials | undefined;
  /** How long it may take until the proxy has connected, ms. */
  readonly dialMs: number;
  readonly timers: RelayTimers;
}

/**
 * Why nothing came of it. `refused`: the proxy said so. `unreachable`: there is no connection to the proxy, or it ended
 * before the reply. `timeout`: there was no reply in time.
 */
export type DialFailure = 'refused' | 'unauthorized' | 'malformed' | 'unreachable' | 'timeout';

/** Hears how it ended, once; not when it was cancelled. */
export interface DialOwner {
  /**
   * The proxy has done what was asked. The socket is paused, and what came behind the reply is yet to be read from it;
   * it belongs to the owner.
   */
  dialled(socket: Socket, bound: SocksPlace): void;
  /** @param reply the code of a proxy that refused; 0 otherwise */
  failed(failure: DialFailure, reply: number): void;
}

export class SocksDial implements Rostered {
  rosterPlace = -1;
  readonly #handshake: SocksHandshake;
  readonly #socket: Socket;
  readonly #owner: DialOwner;
  readonly #timers: RelayTimers;
  readonly #late: unknown;
  #isSettled = false;
  readonly #onConnect = (): void => void this.#socket.write(this.#handshake.greeting());
  readonly #onData = (bytes: Uint8Array): void => this.#read(bytes);
  readonly #onOver = (): void => this.#fail('unreachable', 0);

  constructor(proxy: ProxySettings, wish: { command: SocksCommand; to: SocksPlace }, owner: DialOwner) {
    this.#handshake = new SocksHandshake(wish.command, wish.to, proxy.credentials);
    this.#owner = owner;
    this.#timers = proxy.timers;
    const { host, port } = proxy.place;
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.#socket = socket;
    socket.on('connect', this.#onConnect);
    socket.on('data', this.#onData);
    socket.on('end', this.#onOver);
    socket.on('error', this.#onOver);
    socket.on('close', this.#onOver);
    this.#late = this.#timers.setTimeout(() => this.#fail('timeout', 0), proxy.dialMs);
  }

  /** Ends it without a word to the owner. May be called twice, and too late. */
  cancel(): void {
    if (this.#settle()) this.#socket.destroy();
  }

  #read(bytes: Uint8Array): void {
    const handshake = this.#handshake;
    const answer = handshake.push(bytes);
    if (answer.length > 0) this.#socket.write(answer);
    const { outcome } = handshake;
    if (outcome === undefined) return;
    if (outcome !== 'ready') {
      this.#fail(outcome, outcome === 'refused' ? handshake.reply : 0);
      return;
    }
    const socket = this.#socket;
    if (!this.#settle()) return;
    socket.pause();
    if (handshake.excess.length > 0) socket.unshift(handshake.excess);
    this.#owner.dialled(socket, handshake.bound);
  }

  #fail(failure: DialFailure, reply: number): void {
    if (!this.#settle()) return;
    this.#socket.destroy();
    this.#owner.failed(failure, reply);
  }

  /** Lets go of the socket and the timer. @returns whether that had not been done */
  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    this.#timers.clearTimeout(this.#late);
    const socket = this.#socket;
    socket.off('connect', this.#onConnect);
    socket.off('data', this.#onData);
    socket.off('end', this.#onOver);
    socket.off('close', this.#onOver);
    socket.off('error', this.#onOver);
    // Until an owner listens himself, a reset is no exception: he finds a socket that is destroyed.
    socket.on('error', ignore);
    return true;
  }
}

const ignore = (): void => {};
