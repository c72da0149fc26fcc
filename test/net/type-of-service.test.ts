/** `setTypeOfService`, `getTypeOfService` and the option `typeOfService`: as Node 24 documents them. */
import { once } from 'node:events';
import nodeNet, {
  type AddressInfo,
  type LookupFunction,
  type Socket,
  type SocketConstructorOpts,
} from 'node:net';
import { expect } from 'chai';
import { createNet, createPipe, SeededRandom, Stack, SystemClock, type TcpSocket } from '../../lib/index.js';

type Tos = Pick<TcpSocket, 'setTypeOfService' | 'getTypeOfService'>;
type NetModule = Pick<typeof nodeNet, 'Socket' | 'connect' | 'createServer'>;

const tosOf = (socket: Socket): Tos => socket as unknown as Tos;
const HAS_NODE_IT = 'setTypeOfService' in nodeNet.Socket.prototype;

const NOT_TCP = -1;

/** TOS or traffic class of a packet. */
function tcpClassOf(packet: Uint8Array): number {
  const isV4 = packet[0] >> 4 === 4;
  if (packet[isV4 ? 9 : 6] !== 6) return NOT_TCP;
  return isV4 ? packet[1] : ((packet[0] & 15) << 4) | (packet[1] >> 4);
}

/** What a call gives, or name, code and message of what it throws. */
function outcome(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    const { name, code, message } = error as NodeJS.ErrnoException;
    return [name, code, message];
  }
}

const VALUES = [Number.NaN, '1', 1.5, -1, 256, undefined, null, {}, Number.POSITIVE_INFINITY, 0, 7, 255];

/** Everything that needs no connection. */
function withoutConnection({ Socket }: NetModule): unknown[] {
  const made = (typeOfService: unknown): Socket => new Socket({ typeOfService } as SocketConstructorOpts);
  return VALUES.map((value) => {
    const socket = new Socket();
    const set = outcome(() => tosOf(socket).setTypeOfService(value as number) === (socket as unknown));
    return [set, tosOf(socket).getTypeOfService(), outcome(() => tosOf(made(value)).getTypeOfService())];
  });
}

/** What both ends of a connection say, from its beginning to its end: the connecting one, then the accepted one. */
async function withConnection(net: NetModule, host: string): Promise<number[][]> {
  const accepted: number[] = [];
  const server = net.createServer((socket) => {
    accepted.push(tosOf(socket).getTypeOfService());
    tosOf(socket).setTypeOfService(0x2b);
    accepted.push(tosOf(socket).getTypeOfService());
    socket.once('close', () => {
      accepted.push(tosOf(socket).getTypeOfService());
      server.close();
    });
    socket.resume().end();
  });
  await once(server.listen(0, host), 'listening');
  const socket = new net.Socket({ typeOfService: 0xbb } as SocketConstructorOpts);
  const seen = [tosOf(socket).getTypeOfService()];
  const set = (tos: number): void => {
    tosOf(socket).setTypeOfService(tos);
    seen.push(tosOf(socket).getTypeOfService());
  };
  set(0x4a);
  socket.connect((server.address() as AddressInfo).port, host);
  await once(socket, 'connect');
  seen.push(tosOf(socket).getTypeOfService());
  for (const tos of [0x33, 0xff, 0, 0x21]) set(tos);
  const closed = once(server, 'close');
  await once(socket.resume(), 'close');
  seen.push(tosOf(socket).getTypeOfService());
  await closed;
  return [seen, accepted];
}

describe('net: type of service', () => {
  let stacks: Stack[] = [];
  const newStack = (): Stack => {
    const stack = new Stack({ clock: new SystemClock(), random: new SeededRandom(1) });
    stacks.push(stack);
    return stack;
  };

  afterEach(() => {
    for (const stack of stacks) stack.close();
    stacks = [];
  });

  it('is checked, kept before there is a connection, and 0 where nothing was set', () => {
    const ours = withoutConnection(createNet(newStack()));
    const type = 'ERR_INVALID_ARG_TYPE';
    const range = 'ERR_OUT_OF_RANGE';
    expect((ours as unknown[][]).map(([set]) => (Array.isArray(set) ? set[1] : set))).to.deep.equal([
      type,
      type,
      range,
      range,
      range,
      type,
      type,
      type,
      range,
      true,
      true,
      true,
    ]);
    expect(ours.at(-1)).to.deep.equal([true, 255, 255]);
    // As an option, undefined stands for none.
    expect((ours as unknown[][]).map(([, , made]) => (Array.isArray(made) ? made[1] : made))).to.deep.equal([
      range,
      type,
      range,
      range,
      range,
      0,
      type,
      type,
      range,
      0,
      7,
      255,
    ]);
    expect((ours as unknown[][])[0][0]).to.deep.equal([
      'TypeError',
      type,
      'The "tos" argument must be of type number. Received type number (NaN)',
    ]);
    if (HAS_NODE_IT) expect(ours).to.deep.equal(withoutConnection(nodeNet));
  });

  for (const host of ['127.0.0.1', '::1']) {
    it(`is what is sent once there is a connection, and what was asked for when it is gone, over ${host}`, async () => {
      const ours = await withConnection(createNet(newStack()), host);
      expect(ours).to.deep.equal([
        [0xbb, 0x4a, 0x48, 0x30, 0xfc, 0, 0x20, 0x21],
        [0, 0x28, 0x2b],
      ]);
      if (HAS_NODE_IT) expect(ours).to.deep.equal(await withConnection(nodeNet, host));
    });
  }

  it('is in every packet from the SYN on, also set while the name is looked up, in both families', async () => {
    const [here, there] = createPipe({ clock: new SystemClock() });
    const [near, far] = [newStack(), newStack()];
    let classes = new Set<number>();
    const send = here.send.bind(here);
    here.send = (batch) => {
      for (let i = 0; i < batch.count; i++) classes.add(tcpClassOf(batch.bytes.subarray(batch.offset(i))));
      send(batch);
    };
    near.addLink(here, { addresses: ['10.9.0.1/24', 'fd09::1/64'] });
    far.addLink(there, { addresses: ['10.9.0.2/24', 'fd09::2/64'] });
    const server = createNet(far).createServer((socket) => socket.resume().end());
    await once(server.listen(80), 'listening');
    for (const host of ['10.9.0.2', 'fd09::2']) {
      classes = new Set([NOT_TCP]);
      const found = [{ address: host, family: nodeNet.isIP(host) }];
      const options = {
        port: 80,
        host: 'far.test',
        typeOfService: 0x10,
        lookup: (...[, , done]: Parameters<LookupFunction>) => void setImmediate(() => done(null, found)),
      };
      const socket = createNet(near).connect(options);
      expect(tosOf(socket).getTypeOfService()).to.equal(0x10);
      tosOf(socket).setTypeOfService(0xbb);
      expect(tosOf(socket).getTypeOfService()).to.equal(0xbb);
      await once(socket, 'connect');
      expect(tosOf(socket).getTypeOfService()).to.equal(0xb8);
      socket.end('text').resume();
      await once(socket, 'close');
      expect([...classes], host).to.deep.equal([NOT_TCP, 0xb8]);
    }
    server.close();
  });
});
