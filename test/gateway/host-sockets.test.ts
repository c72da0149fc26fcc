/** Sockets of the host's that are used again: whatever became of one connection, the next begins anew. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { type HostSocket, HostSockets, type SocketUser } from '../../lib/gateway/host-sockets.js';
import { reset } from '../../lib/relay/relay.js';

/** Writes down what it hears. */
class Listener implements SocketUser {
  heard: string[] = [];
  text = '';
  /** What `hostText` answers. */
  wants = true;
  readonly #waiting: [what: string, settle: () => void][] = [];

  constructor(socket: HostSocket) {
    socket.user = this;
  }

  hostConnected(): void {
    this.#hear('connected');
  }

  hostText(bytes: Uint8Array, length: number): boolean {
    this.text += Buffer.from(bytes.subarray(0, length)).toString('latin1');
    this.#hear('text');
    return this.wants;
  }

  hostFinished(): void {
    this.#hear('finished');
  }

  hostClosed(code: string): void {
    this.#hear(code === '' ? 'closed' : code);
  }

  async hears(what: string): Promise<void> {
    if (!this.heard.includes(what)) await new Promise<void>((settle) => this.#waiting.push([what, settle]));
  }

  #hear(what: string): void {
    this.heard.push(what);
    for (const [wanted, settle] of this.#waiting) if (wanted === what) settle();
  }
}

describe('gateway: sockets of the host', () => {
  let server: Server;
  let place: { host: string; port: number };
  let accepted: Socket[];
  const sockets = new HostSockets();

  before(async () => {
    accepted = [];
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      accepted.push(socket);
      server.emit('accepted');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    place = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  });
  after(() => {
    for (const socket of accepted) socket.destroy();
    server.close();
  });

  async function connected(): Promise<{ socket: HostSocket; user: Listener; far: Socket }> {
    const socket = sockets.take();
    const user = new Listener(socket);
    const [arrived] = [once(server, 'accepted'), socket.socket.connect(place)];
    await Promise.all([user.hears('connected'), arrived]);
    return { socket, user, far: accepted[accepted.length - 1] };
  }

  /** It carries text both ways, and each end by itself. */
  async function works(): Promise<HostSocket> {
    const { socket, user, far } = await connected();
    expect(user.heard).to.deep.equal(['connected']);
    const up: Buffer[] = [];
    far.on('data', (piece) => up.push(piece));
    far.write('down');
    await user.hears('text');
    socket.socket.end('up');
    await once(far, 'end');
    expect(String(Buffer.concat(up))).to.equal('up');
    far.end(' and out');
    await user.hears('finished');
    expect(user.text).to.equal('down and out');
    await user.hears('closed');
    expect(user.heard.filter((what) => what !== 'text')).to.deep.equal(['connected', 'finished', 'closed']);
    return socket;
  }

  const ENDINGS: Readonly<Record<string, () => Promise<HostSocket>>> = {
    'both ends': works,
    'a reset from there': async () => {
      const { socket, user, far } = await connected();
      far.resetAndDestroy();
      await user.hears('ECONNRESET');
      await user.hears('closed');
      return socket;
    },
    'a reset from here, while text waits on both sides': async () => {
      const { socket, user, far } = await connected();
      user.wants = false;
      far.write(Buffer.alloc(4_000_000));
      await user.hears('text');
      socket.socket.write(Buffer.alloc(8_000_000));
      socket.socket.resetAndDestroy();
      await user.hears('closed');
      far.destroy();
      return socket;
    },
    'a reset from here after both ends, as the gateway does': async () => {
      const { socket, user, far } = await connected();
      far.end();
      await user.hears('finished');
      socket.socket.end();
      reset(socket.socket);
      await user.hears('closed');
      return socket;
    },
    'a pause that nobody ended': async () => {
      const { socket, user, far } = await connected();
      socket.socket.pause();
      far.write('never read');
      socket.socket.destroy();
      await user.hears('closed');
      return socket;
    },
    'a refusal': async () => {
      const nobody = createServer().listen(0, '127.0.0.1');
      await once(nobody, 'listening');
      const { port } = nobody.address() as AddressInfo;
      nobody.close();
      await once(nobody, 'close');
      const socket = sockets.take();
      const user = new Listener(socket);
      socket.socket.connect({ host: '127.0.0.1', port });
      await user.hears('ECONNREFUSED');
      await user.hears('closed');
      return socket;
    },
    'being given up while it was connecting': async () => {
      const socket = sockets.take();
      const user = new Listener(socket);
      socket.socket.connect(place);
      socket.socket.destroy();
      await user.hears('closed');
      return socket;
    },
  };

  for (const [name, ending] of Object.entries(ENDINGS)) {
    it(`are as new after ${name}`, async () => {
      for (let round = 0; round < 3; round++) {
        const used = await ending();
        expect(used.user, 'whoever had it').to.equal(undefined);
        const again = await works();
        expect(again, 'the same socket').to.equal(used);
      }
    });
  }

  it('are not lent to another before they are closed', async () => {
    const { socket, user } = await connected();
    const other = sockets.take();
    expect(other).not.to.equal(socket);
    socket.socket.destroy();
    expect(sockets.take()).not.to.equal(socket);
    await user.hears('closed');
    expect(sockets.take()).to.equal(socket);
  });

  it('tell nobody what happens once nobody has them', async () => {
    const { socket, user, far } = await connected();
    socket.user = undefined;
    far.resetAndDestroy();
    await new Promise((settle) => socket.socket.once('close', settle));
    expect(user.heard).to.deep.equal(['connected']);
  });
});
