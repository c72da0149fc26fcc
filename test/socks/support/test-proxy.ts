/**
 * A SOCKS proxy for tests, written apart from the client under test: everything it is asked for leads to servers of the
 * test, or to a reply of its choice, or to no SOCKS at all.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface Asked {
  readonly command: number;
  readonly host: string;
  readonly port: number;
}

/** Where a request leads: a port of 127.0.0.1, or the code of a refusal. */
export type Answer = { readonly port: number } | { readonly reply: number };

export interface ProxyBehaviour {
  /** User and password it wants; none by default. */
  readonly user?: readonly [name: string, password: string];
  /** Where a connection leads; the echo server by default. */
  readonly connect?: (asked: Asked) => Answer;
  /** Where a datagram leads; undefined drops it. Without it the proxy has no UDP. */
  readonly datagram?: (host: string, port: number) => number | undefined;
  /** Instead of everything else: what it does with a connection. */
  readonly instead?: (socket: Socket) => void;
  /** Sends its answers byte by byte. */
  readonly slowly?: boolean;
  /** Follows at once on the reply, in the same segment. */
  readonly banner?: string;
}

export class TestProxy {
  readonly asked: Asked[] = [];
  /** Credentials that were offered. */
  readonly offered: string[] = [];
  behaviour: ProxyBehaviour;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #relays = new Set<DatagramSocket>();

  private constructor(server: Server, behaviour: ProxyBehaviour) {
    this.#server = server;
    this.behaviour = behaviour;
    server.on('connection', (socket) => this.#connected(socket));
  }

  static async start(behaviour: ProxyBehaviour = {}, address = '127.0.0.1'): Promise<TestProxy> {
    const server = createServer({ allowHalfOpen: true });
    const proxy = new TestProxy(server, behaviour);
    server.listen(0, address, 4096);
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `socks5://127.0.0.1:${this.port}`;
  }

  /** Connections to it, and by it, that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  get relays(): number {
    return this.#relays.size;
  }

  /** Resets all connections. */
  resetAll(): void {
    for (const socket of this.#sockets) reset(socket);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const relay of this.#relays) relay.close();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #connected(socket: Socket): void {
    this.#keep(socket);
    const { instead } = this.behaviour;
    if (instead === undefined) void this.#serve(socket).catch(() => socket.destroy());
    else {
      instead(socket);
      socket.on('end', () => socket.end()).resume();
    }
  }

  async #serve(socket: Socket): Promise<void> {
    const read = reader(socket);
    const { user } = this.behaviour;
    const [, methods] = await read(2);
    const offered = [...(await read(methods))];
    if (user !== undefined && !offered.includes(2)) {
      this.#say(socket, [5, 0xff]);
      socket.resume().end();
      return;
    }
    this.#say(socket, [5, user === undefined ? 0 : 2]);
    if (user !== undefined) {
      const [, nameBytes] = await read(2);
      const name = (await read(nameBytes)).toString();
      const [passwordBytes] = await read(1);
      const password = (await read(passwordBytes)).toString();
      this.offered.push(`${name}:${password}`);
      const isRight = name === user[0] && password === user[1];
      this.#say(socket, [1, isRight ? 0 : 1]);
      if (!isRight) {
        socket.resume().end();
        return;
      }
    }
    const [, command, , type] = await read(4);
    const host = await readHost(read, type);
    const port = (await read(2)).readUInt16BE();
    this.asked.push({ command, host, port });
    if (command === 3) await this.#associate(socket);
    else this.#connect(socket, { command, host, port });
  }

  #connect(socket: Socket, asked: Asked): void {
    const answer = this.behaviour.connect?.(asked) ?? { reply: 1 };
    if ('reply' in answer) {
      this.#say(socket, [5, answer.reply, 0, 1, 0, 0, 0, 0, 0, 0]);
      socket.resume().end();
      return;
    }
    const outside = connect({ host: '127.0.0.1', port: answer.port, allowHalfOpen: true });
    this.#keep(outside);
    const refused = (): void => void socket.destroy();
    outside.on('error', refused).on('connect', () => {
      outside.off('error', refused);
      if (socket.destroyed) {
        outside.destroy();
        return;
      }
      const banner = Buffer.from(this.behaviour.banner ?? '');
      this.#say(socket, [5, 0, 0, 1, 127, 0, 0, 1, 0, 80, ...banner]);
      socket.pipe(outside).pipe(socket);
      const end = (): void => {
        if (!socket.readableEnded || !outside.readableEnded) {
          reset(socket);
          reset(outside);
        }
      };
      socket.on('error', end).on('close', end);
      outside.on('error', end).on('close', end);
    });
  }

  async #associate(socket: Socket): Promise<void> {
    const { datagram } = this.behaviour;
    if (datagram === undefined) {
      this.#say(socket, [5, 7, 0, 1, 0, 0, 0, 0, 0, 0]);
      socket.resume().end();
      return;
    }
    const relay = createSocket('udp4');
    this.#relays.add(relay);
    relay.on('close', () => this.#relays.delete(relay));
    /** Who a datagram of a port of ours was for, as the client named it. */
    const names = new Map<number, Buffer>();
    let client = 0;
    relay.on('message', (bytes, from) => {
      const header = names.get(from.port);
      if (header !== undefined && from.port !== client) {
        relay.send(Buffer.concat([header, bytes]), client, '127.0.0.1');
        return;
      }
      client = from.port;
      const headerBytes = bytes[3] === 1 ? 10 : 22;
      const target = datagram(
        hostOf(bytes.subarray(4, headerBytes - 2)),
        bytes.readUInt16BE(headerBytes - 2),
      );
      if (target === undefined) return;
      names.set(target, bytes.subarray(0, headerBytes));
      relay.send(bytes.subarray(headerBytes), target, '127.0.0.1');
    });
    relay.bind(0, '127.0.0.1');
    await once(relay, 'listening');
    const { port } = relay.address();
    // "Here", as many proxies say.
    this.#say(socket, [5, 0, 0, 1, 0, 0, 0, 0, port >> 8, port & 255]);
    const end = (): void => {
      if (this.#relays.has(relay)) relay.close();
      socket.destroy();
    };
    socket.on('end', end).on('close', end).resume();
  }

  #say(socket: Socket, bytes: readonly number[]): void {
    if (this.behaviour.slowly !== true) {
      socket.write(Uint8Array.from(bytes));
      return;
    }
    socket.setNoDelay(true);
    for (const byte of bytes) socket.write(Uint8Array.of(byte));
  }
}

/** Node 20 forgets a socket that is reset while its FIN is on the way, without closing it. */
function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

type Read = (length: number) => Promise<Buffer>;

/** Reads exactly so many bytes. */
function reader(socket: Socket): Read {
  return async (length) => {
    for (;;) {
      const bytes = socket.read(length) as Buffer | null;
      if (bytes !== null) return bytes;
      if (length === 0) return Buffer.alloc(0);
      if (socket.readableEnded || socket.destroyed) throw new Error('ended');
      await new Promise<void>((resolve) => {
        const done = (): void => {
          for (const event of ['readable', 'end', 'close']) socket.off(event, done);
          resolve();
        };
        for (const event of ['readable', 'end', 'close']) socket.on(event, done);
      });
    }
  };
}

async function readHost(read: Read, type: number): Promise<string> {
  if (type === 3) return (await read((await read(1))[0])).toString();
  return hostOf(await read(type === 1 ? 4 : 16));
}

function hostOf(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}
