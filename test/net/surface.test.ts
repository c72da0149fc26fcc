/**
 * The whole surface of `stack.net`, `stack.dgram` and `stack.dns` beside the modules of the Node that runs this:
 * exports, members of classes and of what they make, parameters, and the options that are looked at.
 */
import nodeDgram from 'node:dgram';
import nodeDns from 'node:dns';
import nodeNet from 'node:net';
import { expect } from 'chai';
import { createPipe, Stack, SystemClock, SystemRandom } from '../../lib/index.js';

/** Why something of Node's is not there. */
const HANDLE = 'works on handles of the operating system, which stacks have not';
const INSIDE = 'is for Node alone: what stands there is kept elsewhere';
/** Why something is there that this Node has not. */
const NEWER = 'came with a later version of Node';
const OWN = 'is of TCP, and only stacks have it';

type Reasons = Readonly<Record<string, string>>;

const MISSING: Reasons = {
  _createServerHandle: HANDLE,
  _listen2: HANDLE,
  _setupWorker: HANDLE,
  _usingWorkers: HANDLE,
  _workers: HANDLE,
  _handle: HANDLE,
  'Symbol(kReinitializeHandle)': HANDLE,
  // Between threads.
  'Symbol(messaging_transfer_list_symbol)': HANDLE,
  'Symbol(messaging_transfer_symbol)': HANDLE,
  'Symbol(messaging_deserialize_symbol)': HANDLE,
  'Symbol(kBoundSocketPath)': HANDLE,
  'Symbol(kBoundSocketConsume)': HANDLE,
  // In snapshots of a process.
  'Symbol(dns:resolver:initializeHandle)': HANDLE,
  'Symbol(dns:resolver:serialize)': HANDLE,
  'Symbol(dns:resolver:deserialize)': HANDLE,
  'Symbol(dns:resolver:setServers)': INSIDE,
  _writeGeneric: INSIDE,
  _closeAfterHandlingError: INSIDE,
  _sockname: INSIDE,
  _peername: INSIDE,
  _pendingData: INSIDE,
  _pendingEncoding: INSIDE,
  'Symbol(kUpdateTimer)': INSIDE,
  'Symbol(kAfterAsyncWrite)': INSIDE,
  'Symbol(async_id_symbol)': INSIDE,
  'Symbol(kHandle)': INSIDE,
  'Symbol(lastWriteQueueSize)': INSIDE,
  'Symbol(timeout)': INSIDE,
  'Symbol(kBuffer)': INSIDE,
  'Symbol(kBufferCb)': INSIDE,
  'Symbol(kBufferGen)': INSIDE,
  'Symbol(kSetNoDelay)': INSIDE,
  'Symbol(kSetKeepAlive)': INSIDE,
  'Symbol(kSetKeepAliveInitialDelay)': INSIDE,
  'Symbol(kSetTOS)': INSIDE,
  'Symbol(kBytesRead)': INSIDE,
  'Symbol(kBytesWritten)': INSIDE,
};

const MORE: Reasons = {
  BoundSocket: NEWER,
  resolveTlsa: NEWER,
  bindSync: NEWER,
  connectSync: NEWER,
  setTypeOfService: NEWER,
  getTypeOfService: NEWER,
  tcpInfo: OWN,
  getTcpOption: OWN,
  setTcpOption: OWN,
  _startOnread: INSIDE,
  _channel: INSIDE,
  // Null, and each socket's own, as some put one of theirs in its place.
  _handle: INSIDE,
  'Symbol(tunstack.context)': INSIDE,
  'Symbol(tunstack.socket)': INSIDE,
};

type Class = (new (...args: unknown[]) => object) & { prototype: object };

interface Compared {
  readonly name: string;
  readonly ours: object;
  readonly theirs: object;
}

/** Names of members, inherited ones too. */
function membersOf(object: object, end: object): Set<string> {
  const names = new Set<string>();
  for (
    let at: object | null = object;
    at !== null && at !== end;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    for (const key of Reflect.ownKeys(at)) names.add(String(key));
  }
  return names;
}

function compareMembers(ours: Set<string>, theirs: Set<string>): void {
  const missing = [...theirs].filter((name) => !ours.has(name) && !(name in MISSING));
  const more = [...ours].filter((name) => !theirs.has(name) && !(name in MORE));
  expect({ missing, more }).to.deep.equal({ missing: [], more: [] });
}

/** The descriptor of a member, wherever it is inherited from. */
function find(object: object, key: string | symbol): PropertyDescriptor | undefined {
  for (let at: object | null = object; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const found = Object.getOwnPropertyDescriptor(at, key);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What can be seen of a member without using it. */
const shapeOf = ({ value, get, enumerable }: PropertyDescriptor): unknown[] => [
  typeof value,
  get !== undefined,
  enumerable,
  typeof value === 'function' ? (value as { length: number }).length : undefined,
];

function compareShapes(ours: object, theirs: object): void {
  const [mine, expected]: Record<string, unknown>[] = [{}, {}];
  for (const key of Reflect.ownKeys(theirs)) {
    const model = Object.getOwnPropertyDescriptor(theirs, key);
    const own = find(ours, key);
    // Node loads some exports when they are first asked for.
    if (model === undefined || own === undefined || (model.get && own.value !== undefined)) continue;
    mine[String(key)] = shapeOf(own);
    expected[String(key)] = shapeOf(model);
  }
  expect(mine).to.deep.equal(expected);
}

/** Options that Node is known to look at, in any of its versions and calls, but for `writable`, a word of JavaScript's. */
const OPTIONS = `
  allowHalfOpen autoSelectFamily autoSelectFamilyAttemptTimeout backlog blockList exclusive family fd
  handle highWaterMark hints host ipv6Only keepAlive keepAliveInitialDelay localAddress localPort
  lookup noDelay onread path pauseOnConnect port readable readableAll readableHighWaterMark reusePort
  signal timeout typeOfService writableAll writableHighWaterMark address recvBufferSize sendBufferSize
  reuseAddr type receiveBlockList sendBlockList all order verbatim tries maxTimeout ttl objectMode
  interval count enable initialDelay manualStart pauseOnCreate captureRejections
`
  .trim()
  .split(/\s+/);

/** Options that are the host's business. */
const NOT_LOOKED_AT: Reasons = {
  _handle: HANDLE,
  exclusive: 'is for workers of a cluster',
  manualStart: HANDLE,
  pauseOnCreate: HANDLE,
  readableAll: 'is of paths',
  writableAll: 'is of paths',
  verbatim: 'is looked at where names are found',
};

/** Which options a call looks at: they are put where every object inherits from. */
function lookedAt(candidates: readonly string[], call: (options: object) => unknown): Set<string> {
  const seen = new Set<string>();
  for (const name of candidates) {
    Object.defineProperty(Object.prototype, name, {
      get: () => void seen.add(name),
      set(value: unknown) {
        Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
      },
      configurable: true,
    });
  }
  try {
    call({});
  } catch {
    // Wanting more than nothing.
  } finally {
    for (const name of candidates) Reflect.deleteProperty(Object.prototype, name);
  }
  return seen;
}

/** Names of options in the text of a function of Node's, for those that this list does not know yet. */
const namedIn = (...functions: unknown[]): string[] =>
  functions.flatMap((one) => Array.from(String(one).matchAll(/options\??\.(\w+)/g), ([, name]) => name));

describe('the surface of node:net, node:dgram and node:dns', () => {
  let stack: Stack;
  before(() => {
    stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
    const [link] = createPipe({ clock: new SystemClock() });
    stack.addLink(link, { addresses: ['10.9.0.1/24'] });
  });
  after(() => stack.close());

  const modules = (): Compared[] => [
    { name: 'net', ours: stack.net, theirs: nodeNet },
    { name: 'dgram', ours: stack.dgram, theirs: nodeDgram },
    { name: 'dns', ours: stack.dns, theirs: nodeDns },
    { name: 'dns.promises', ours: stack.dns.promises, theirs: nodeDns.promises },
  ];
  const classes = (): { name: string; ours: Class; theirs: Class }[] =>
    [
      { name: 'net.Socket', ours: stack.net.Socket, theirs: nodeNet.Socket },
      { name: 'net.Server', ours: stack.net.Server, theirs: nodeNet.Server },
      {
        name: 'net.BoundSocket',
        ours: stack.net.BoundSocket,
        theirs: (nodeNet as unknown as { BoundSocket?: object }).BoundSocket ?? stack.net.BoundSocket,
      },
      { name: 'dgram.Socket', ours: stack.dgram.Socket, theirs: nodeDgram.Socket },
      { name: 'dns.Resolver', ours: stack.dns.Resolver, theirs: nodeDns.Resolver },
      { name: 'dns.promises.Resolver', ours: stack.dns.promises.Resolver, theirs: nodeDns.promises.Resolver },
    ] as never;

  for (const index of [0, 1, 2, 3]) {
    const name = ['net', 'dgram', 'dns', 'dns.promises'][index];
    it(`${name} has every export`, () => {
      const { ours, theirs } = modules()[index];
      compareMembers(membersOf(ours, Object.prototype), membersOf(theirs, Object.prototype));
      compareShapes(ours, theirs);
    });
  }

  for (const index of [0, 1, 2, 3, 4, 5]) {
    const names = ['net.Socket', 'net.Server', 'net.BoundSocket', 'dgram.Socket'];
    it(`${[...names, 'dns.Resolver', 'dns.promises.Resolver'][index]} has every static and every member`, () => {
      const { ours, theirs } = classes()[index];
      compareMembers(membersOf(ours, Function.prototype), membersOf(theirs, Function.prototype));
      compareMembers(
        membersOf(ours.prototype, Object.prototype),
        membersOf(theirs.prototype, Object.prototype),
      );
      if (ours !== theirs) compareShapes(ours.prototype, theirs.prototype);
    });
  }

  it('what they make has every property', () => {
    const made = (net: typeof nodeNet, dgram: typeof nodeDgram, dns: typeof nodeDns): object[] => [
      new net.Socket(),
      new net.Server(),
      dgram.createSocket('udp4').close(),
      new dns.Resolver(),
      new dns.promises.Resolver(),
    ];
    const ours = made(stack.net, stack.dgram, stack.dns);
    const theirs = made(nodeNet, nodeDgram, nodeDns);
    const own = (object: object): Set<string> => new Set(Reflect.ownKeys(object).map(String));
    for (const [index, one] of ours.entries()) compareMembers(own(one), own(theirs[index]));
  });

  describe('looks at the options that Node looks at', () => {
    type Call = (
      options: object,
      net: typeof nodeNet,
      dgram: typeof nodeDgram,
      dns: typeof nodeDns,
    ) => unknown;
    const nothing = (): void => {};
    const { prototype: nodeSocket } = nodeNet.Socket;
    const { prototype: nodeServer } = nodeNet.Server;
    const { prototype: nodeUdp } = nodeDgram.Socket;
    const calls: Readonly<Record<string, readonly [call: Call, ...functions: unknown[]]>> = {
      'new net.Socket': [(options, net) => new net.Socket(options).destroy(), nodeNet.Socket],
      'new net.Server': [(options, net) => new net.Server(options), nodeNet.Server],
      'net.connect': [
        (options, net) => {
          const socket = net.connect({ ...options, port: 9, host: '10.9.0.9' } as never);
          socket.on('error', nothing).destroy();
        },
        nodeNet.connect,
        nodeSocket.connect,
      ],
      'server.listen': [
        (options, net) => {
          const server = net.createServer();
          server.on('error', nothing).listen({ ...options, port: 0 } as never);
          server.close();
        },
        nodeServer.listen,
      ],
      'socket.setKeepAlive': [
        (options, net) => new net.Socket().setKeepAlive(options as never),
        nodeSocket.setKeepAlive,
      ],
      'new net.BoundSocket': [
        (options, net) => {
          const { BoundSocket } = net as unknown as { BoundSocket?: new (options: object) => Disposable };
          if (BoundSocket !== undefined) new BoundSocket(options)[Symbol.dispose]();
        },
        (nodeNet as unknown as { BoundSocket?: unknown }).BoundSocket,
      ],
      'dgram.createSocket': [
        (options, _net, dgram) => dgram.createSocket({ ...options, type: 'udp4' }).close(),
        nodeDgram.Socket,
      ],
      'socket.bind of dgram': [
        (options, _net, dgram) => {
          const socket = dgram.createSocket('udp4');
          socket.on('error', nothing).bind(options);
          socket.close();
        },
        nodeUdp.bind,
      ],
      'dns.lookup': [
        (options, _net, _dgram, dns) => dns.lookup('127.0.0.1', options, nothing),
        nodeDns.lookup,
        nodeDns.promises.lookup,
      ],
      'new dns.Resolver': [(options, _net, _dgram, dns) => new dns.Resolver(options)],
    };
    for (const [name, [call, ...functions]] of Object.entries(calls)) {
      it(name, () => {
        const candidates = [...new Set([...OPTIONS, ...namedIn(...functions)])].filter(
          (one) => one !== 'writable',
        );
        const theirs = lookedAt(candidates, (options) => call(options, nodeNet, nodeDgram, nodeDns));
        const ours = lookedAt(candidates, (options) => call(options, stack.net, stack.dgram, stack.dns));
        expect(ours, 'whether anything is seen').to.not.be.empty;
        const missing = [...theirs].filter((option) => !ours.has(option) && !(option in NOT_LOOKED_AT));
        expect(missing).to.deep.equal([]);
      });
    }
  });
});
