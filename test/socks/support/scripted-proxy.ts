/** A proxy that follows a script, step by step, whatever it is asked. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/**
 * A number waits for so many bytes more; bytes are said; `fin` and `rst` end the connection so; `pause` waits for
 * `ScriptedProxy.goOn`; a function does what it wants with the connection.
 */
export type Step = number | readonly number[] | 'fin' | 'rst' | 'pause' | ((socket: Socket) => void);

export class ScriptedProxy {
  steps: readonly Step[] = [];
  /** Says one byte after the other, each in a segment of its own. */
  isSlow = false;
  /** Connections whose script has come to its end, or pauses. */
  played = 0;
  readonly sockets = new Set<Socket>();
  /** What was heard last of all that is not part of the script. */
  heard = '';
  /** Connections so far. */
  connections = 0;
  readonly #server: Server;
  #goOn: () => void = () => {};

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#connected(socket));
  }

  /** @param port one of before, for a proxy that comes back */
  static async start(port = 0, address = '127.0.0.1'): Promise<ScriptedProxy> {
    const server = createServer({ allowHalfOpen: true });
    const proxy = new ScriptedProxy(server);
    server.listen(port, address);
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get open(): number {
    return this.sockets.size;
  }

  /** Ends a pause. */
  goOn(): void {
    this.#goOn();
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #connected(socket: Socket): void {
    this.connections++;
    this.sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    void this.#play(socket, [...this.steps]);
  }

  async #play(socket: Socket, steps: readonly Step[]): Promise<void> {
    let waiting = 0;
    let wake = (): void => {};
    socket.on('data', (bytes: Buffer) => {
      waiting += bytes.length;
      this.heard = bytes.toString('latin1');
      wake();
    });
    // Who asked has given up: so do we.
    socket.on('end', () => socket.end());
    for (const step of steps) {
      if (typeof step === 'number') {
        while (waiting < step) await new Promise<void>((resolve) => (wake = resolve));
        waiting -= step;
      } else if (step === 'pause') {
        this.played++;
        await new Promise<void>((resolve) => (this.#goOn = resolve));
      } else if (step === 'fin') socket.end();
      else if (step === 'rst') socket.resetAndDestroy();
      else if (typeof step === 'function') step(socket);
      else await this.#say(socket, step);
    }
    this.played++;
  }

  async #say(socket: Socket, bytes: readonly number[]): Promise<void> {
    if (!this.isSlow) {
      socket.write(Uint8Array.from(bytes));
      return;
    }
    for (const byte of bytes) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
