/**
 * Sockets of the host's, each used for one connection after another: to make one, with its streams and listeners, costs
 * a third as much as what the kernel does for a short connection.
 */
import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';

/** Memory the host's kernel fills for all sockets in turn: what is not taken at once is copied. */
const READ_BYTES = 262_144;
/** Most sockets kept for later. */
const MAX_KEPT = 256;

/** Who has a socket at present. */
export interface SocketUser {
  /** It is connected. */
  hostConnected(): void;
  /**
   * The host has text. @param isLent whether its memory is used again when this returns
   * @returns false where it is to send no more for now
   */
  hostText(bytes: Uint8Array, length: number, isLent: boolean): boolean;
  /** The other end has finished. */
  hostFinished(): void;
  /** It is over. @param code of the error; '' where there was none */
  hostClosed(code: string): void;
}

/** A socket, and who has it. What happens to it when nobody has it concerns nobody. */
export class HostSocket {
  readonly socket: Socket;
  user: SocketUser | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('connect', () => this.user?.hostConnected());
    socket.on('end', () => this.user?.hostFinished());
    socket.on('error', (error: Error & { code?: string }) => this.user?.hostClosed(error.code ?? 'EIO'));
    socket.on('close', () => {
      this.user?.hostClosed('');
      this.user = undefined;
    });
  }
}

/** Sockets to connect with. */
export class HostSockets {
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #free: HostSocket[] = [];

  /** A socket that is not connected, and comes back by itself when it is closed. */
  take(): HostSocket {
    return this.#free.pop() ?? this.#make();
  }

  #make(): HostSocket {
    const settings = {
      allowHalfOpen: true,
      onread: {
        buffer: this.#buffer,
        callback: (length: number, bytes: Uint8Array) => made.user?.hostText(bytes, length, true) ?? true,
      },
    };
    const made = new HostSocket(new Socket(settings));
    // Node lets a socket connect again once it has told that it is closed, and not before.
    made.socket.on('close', () => {
      // These would outlive the connection.
      if (made.socket.isPaused()) made.socket.resume();
      made.socket.setNoDelay(false);
      if (this.#free.length < MAX_KEPT) this.#free.push(made);
    });
    return made;
  }
}
