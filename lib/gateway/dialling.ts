/** A connection of the host's that is being made. */
import type { Rostered } from '../base/roster.js';
import type { RelayTimers } from '../relay/relay-timers.js';
import type { HostSocket, SocketUser } from './host-sockets.js';
import type { Place } from './places.js';

/** What becomes of it: one of the two is called, once, unless it is given up. */
export interface DialOutcome {
  /** The socket is connected, and nobody has it. */
  connected(socket: HostSocket): void;
  /** It could not be made; the socket is gone. */
  failed(code: string): void;
}

export class Dialling implements SocketUser, Rostered {
  rosterPlace = -1;
  readonly #socket: HostSocket;
  readonly #timers: RelayTimers;
  readonly #outcome: DialOutcome;
  #late: unknown;
  #isOver = false;

  constructor(socket: HostSocket, timers: RelayTimers, outcome: DialOutcome) {
    this.#socket = socket;
    this.#timers = timers;
    this.#outcome = outcome;
    socket.user = this;
  }

  /** Begins. @param limitMs how long it may take */
  begin({ address, port }: Place, limitMs: number): void {
    this.#late = this.#timers.setTimeout(() => this.fail('ETIMEDOUT'), limitMs);
    this.#socket.socket.connect({ host: address, port });
  }

  /** Gives it up as if the host had said so. */
  fail(code: string): void {
    if (this.giveUp()) this.#outcome.failed(code);
  }

  /** Gives it up without a word. @returns whether it was not over yet */
  giveUp(): boolean {
    if (!this.#settle()) return false;
    this.#socket.socket.destroy();
    return true;
  }

  hostConnected(): void {
    if (this.#settle()) this.#outcome.connected(this.#socket);
  }

  hostText(): boolean {
    return true;
  }

  hostFinished(): void {}

  hostClosed(code: string): void {
    this.fail(code === '' ? 'ECONNABORTED' : code);
  }

  #settle(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#timers.clearTimeout(this.#late);
    this.#socket.user = undefined;
    return true;
  }
}
