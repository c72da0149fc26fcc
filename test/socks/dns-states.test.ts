/** Names through a proxy: every state of a connection to a name server, and everything it may say. */
import type { Socket } from 'node:net';
import { expect } from 'chai';
import type { SocksTunnelStats } from '../../lib/socks/counters.js';
import { eventually } from '../support/interop-wait.js';
import { answerTo, ask, framed, onMessages, opt, QUESTION } from './support/dns.js';
import { OUTSIDE, type RawPort, RawWorld } from './support/raw-world.js';
import { ScriptedProxy, type Step } from './support/scripted-proxy.js';

type Counts = Partial<SocksTunnelStats>;

const REPLY = [5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
const ASKED: readonly Step[] = [3, [5, 0], 10];
/** Up to where questions come. */
const CONNECTED: readonly Step[] = [...ASKED, REPLY];
const STATES: readonly (readonly [name: string, steps: readonly Step[]])[] = [
  ['before the greeting', []],
  ['after the greeting', [3]],
  ['after the method', [3, [5, 0]]],
  ['after the request', ASKED],
  ['in the midst of its reply', [...ASKED, REPLY.slice(0, 7)]],
];
const DNS_MS = 5000;
const KEEP_MS = 10_000;
const SERVFAIL = 0x8182;
const ANSWERED = 0x8180;

/** A name server behind the proxy. */
const server = (heard: (message: Buffer, socket: Socket) => unknown): readonly Step[] => [
  ...CONNECTED,
  (socket) => onMessages(socket, heard),
];
const honest = server((message, socket) => socket.write(framed(answerTo(message))));
const silent = server(() => {});

describe('a tunnel, names: states and events', function () {
  this.timeout(30_000);
  let world: RawWorld;
  afterEach(() => world.close());

  const open = async (steps: readonly Step[], options: object = {}): Promise<void> => {
    world = await RawWorld.open(options);
    world.proxy.steps = steps;
  };
  const asks = (questions: Buffer | readonly Buffer[], to: string = OUTSIDE[4]): RawPort => {
    const port = world.port();
    port.udp(questions, 53, to);
    return port;
  };
  /** Waits for so many answers. @returns identifier and flags of each */
  const hears = async (port: RawPort, count = 1): Promise<number[][]> => {
    await port.hears(count);
    return port.datagrams.map((data) => [data.readUInt16BE(0), data.readUInt16BE(2)]);
  };
  /** A question that is answered. */
  const resolves = async (id = 9): Promise<void> => {
    expect(await hears(asks(ask(id)))).to.deep.equal([[id, ANSWERED]]);
  };
  /** All is over once the connection was not needed for a while. */
  const overWith = async (counts: Counts): Promise<void> => {
    world.timers.advance(KEEP_MS);
    await world.nothingLeft();
    expect(world.counted()).to.deep.equal(counts);
  };

  for (const [name, steps] of STATES) {
    it(`fail where the proxy ends, resets or hangs ${name}`, async () => {
      await open([]);
      for (const [more, counts] of [
        [['fin'], { proxyUnreachable: 1 }],
        [['rst'], { proxyUnreachable: 1 }],
        [[], {}],
      ] as const) {
        const played = world.proxy.played + 1;
        world.proxy.steps = [...steps, ...more];
        const port = asks(ask(7));
        await world.played(played);
        if (more.length === 0) world.timers.advance(DNS_MS);
        expect(await hears(port)).to.deep.equal([[7, SERVFAIL]]);
        await world.nothingLeft();
        expect(world.counted()).to.deep.equal({ dnsQueries: 1, dnsFailed: 1, ...counts });
      }
    });

    it(`are forgotten where the tunnel, or the stack, ends ${name}`, async () => {
      for (const end of ['tunnel', 'stack'] as const) {
        await open(steps);
        asks([ask(7), ask(8)]);
        await world.played(1);
        world[end].close();
        if (end === 'stack') world.tunnel.close();
        await world.nothingLeft();
        if (end === 'tunnel') await world.close();
      }
    });
  }

  it('fail where the proxy refuses, whatever it says', async () => {
    await open([]);
    for (const code of [1, 2, 3, 4, 5, 6, 7, 8, 9, 255]) {
      world.proxy.steps = [...ASKED, [5, code]];
      expect(await hears(asks(ask(code)))).to.deep.equal([[code, SERVFAIL]]);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ dnsQueries: 1, dnsFailed: 1 });
    }
  });

  it('fail where the server takes connections and ends them, twice', async () => {
    for (const how of ['fin', 'rst'] as const) {
      await open([...CONNECTED, 2 + ask(7).length, how]);
      expect(await hears(asks(ask(7)))).to.deep.equal([[7, SERVFAIL]]);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ dnsQueries: 1, dnsFailed: 1 });
      expect(world.proxy.connections).to.equal(2);
      await world.close();
    }
    await open(honest);
  });

  it('are asked for again where an answer is cut anywhere', async () => {
    await open([]);
    const whole = framed(answerTo(ask(1)));
    for (let length = 0; length < whole.length; length++) {
      const before = world.proxy.connections;
      world.proxy.steps = server((message, socket) => {
        const answer = framed(answerTo(message));
        if (world.proxy.connections === before + 1) socket.end(answer.subarray(0, length));
        else socket.write(answer);
      });
      expect(await hears(asks(ask(1))), `${length}`).to.deep.equal([[1, ANSWERED]]);
      await overWith({ dnsQueries: 1, dnsAnswers: 1 });
    }
  });

  it('are heard byte by byte, and many in one piece', async () => {
    await open(
      server(async (message, socket) => {
        socket.setNoDelay(true);
        for (const byte of framed(answerTo(message))) {
          socket.write(Uint8Array.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
      }),
    );
    await resolves();
    await overWith({ dnsQueries: 1, dnsAnswers: 1 });
    const waiting: Buffer[] = [];
    world.proxy.steps = server((message, socket) => {
      waiting.push(framed(answerTo(message)));
      if (waiting.length === 50) socket.write(Buffer.concat(waiting));
    });
    const ports = Array.from({ length: 50 }, (_, id) => asks(ask(id)));
    for (const [id, port] of ports.entries()) expect(await hears(port)).to.deep.equal([[id, ANSWERED]]);
    await overWith({ dnsQueries: 50, dnsAnswers: 50 });
  });

  it('are not taken for each other, whatever their identifiers', async () => {
    await open(
      server((message, socket) => {
        // The length of the answer tells which question it is to.
        const size = message.length - ask(0).length;
        socket.write(framed(answerTo(message, size)));
      }),
    );
    const ports = [0, 11, 33].map((bytes) => asks(ask(77, Buffer.alloc(bytes))));
    const twice = asks([ask(77, Buffer.alloc(1)), ask(77, Buffer.alloc(2))]);
    const empty = answerTo(ask(77)).length;
    for (const [i, bytes] of [0, 11, 33].entries()) {
      expect(await hears(ports[i])).to.deep.equal([[77, ANSWERED]]);
      expect(ports[i].datagrams[0].length).to.equal(empty + bytes);
    }
    await hears(twice, 2);
    expect(twice.datagrams.map(({ length }) => length)).to.deep.equal([empty + 1, empty + 2]);
    await overWith({ dnsQueries: 5, dnsAnswers: 5 });
    expect(world.proxy.connections).to.equal(1);
  });

  it('take no answer to anything else', async () => {
    await open(
      server((message, socket) => {
        const changed = (change: (answer: Buffer) => void): Buffer => {
          const answer = Buffer.from(answerTo(message));
          change(answer);
          return framed(answer);
        };
        socket.write(
          Buffer.concat([
            framed(Buffer.alloc(0)),
            framed(Buffer.alloc(1)),
            framed(answerTo(message).subarray(0, 11)),
            framed(message),
            changed((answer) => answer.writeUInt16BE(message.readUInt16BE() + 1)),
            changed((answer) => answer.writeUInt8(98, 13)),
            changed((answer) => answer.writeUInt16BE(28, answer.length - 4)),
            changed((answer) => answer.writeUInt16BE(3, answer.length - 2)),
            framed(answerTo(message)),
            framed(answerTo(message)),
          ]),
        );
      }),
    );
    await resolves();
    // The last one is an answer that came twice.
    await eventually(
      'drops',
      () => world.tunnel.stats.dnsDropped,
      (count) => count === 9,
    );
    await overWith({ dnsQueries: 1, dnsAnswers: 1, dnsDropped: 9 });
  });

  it('may be answered without the question by who could not read it', async () => {
    await open(
      server((message, socket) => {
        const answer = Buffer.from(message.subarray(0, 12));
        answer.writeUInt16BE(0x8181, 2);
        answer.fill(0, 4);
        socket.write(framed(answer));
      }),
    );
    expect(await hears(asks(ask(3)))).to.deep.equal([[3, 0x8181]]);
  });

  it('are cut short with their OPT record (RFC 6891 §7)', async () => {
    await open(
      server((message, socket) => {
        const answer = Buffer.concat([answerTo(message, 0), record(1200), opt(4096, '000a0002aabb')]);
        answer.writeUInt16BE(1, 6);
        answer.writeUInt16BE(1, 10);
        socket.write(framed(answer));
      }),
    );
    const port = asks(ask(5, opt(1232)));
    expect(await hears(port)).to.deep.equal([[5, ANSWERED | 0x0200]]);
    const expected = Buffer.concat([QUESTION, opt(4096, '000a0002aabb')]);
    expect(port.datagrams[0].subarray(4, 12).toString('hex')).to.equal('0001000000000001');
    expect(port.datagrams[0].subarray(12).toString('hex')).to.equal(expected.toString('hex'));
    await overWith({ dnsQueries: 1, dnsAnswers: 1, dnsTruncated: 1 });
  });

  it('get on with a server that answers one question and hangs up', async () => {
    await open(
      server((message, socket) => {
        if (!socket.writableEnded) socket.end(framed(answerTo(message)));
      }),
    );
    const ports = Array.from({ length: 8 }, (_, id) => asks(ask(id)));
    for (const [id, port] of ports.entries()) expect(await hears(port)).to.deep.equal([[id, ANSWERED]]);
    await overWith({ dnsQueries: 8, dnsAnswers: 8 });
  });

  it('leave a connection on which nothing is answered, though there is always one more question', async () => {
    let heard = 0;
    await open(server(() => heard++));
    const first = asks(ask(1));
    // The connection counts from when the tunnel has it, which is before its question is there.
    await eventually(
      'the question is there',
      () => heard,
      (count) => count === 1,
    );
    world.proxy.steps = honest;
    world.timers.advance(3000);
    const second = asks(ask(2));
    world.timers.advance(2000);
    expect(await hears(first)).to.deep.equal([[1, SERVFAIL]]);
    expect(await hears(second)).to.deep.equal([[2, ANSWERED]]);
    await overWith({ dnsQueries: 2, dnsAnswers: 1, dnsFailed: 1 });
    expect(world.proxy.connections).to.equal(2);
  });

  it('stay with a connection where only some questions have no answer', async () => {
    await open(
      server((message, socket) => {
        if (message.length === ask(0).length) socket.write(framed(answerTo(message)));
      }),
    );
    const unanswered = asks(ask(1, opt(1232)));
    await resolves();
    world.timers.advance(3000);
    await resolves();
    const another = asks(ask(2, opt(1232)));
    world.timers.advance(2000);
    expect(await hears(unanswered)).to.deep.equal([[1, SERVFAIL]]);
    await resolves();
    expect(world.proxy.connections).to.equal(1);
    world.timers.advance(3000);
    expect(await hears(another)).to.deep.equal([[2, SERVFAIL]]);
    await overWith({ dnsQueries: 5, dnsAnswers: 3, dnsFailed: 2 });
  });

  it('are asked of any number of servers, of no more than 64 at once', async () => {
    await open(honest);
    for (let last = 1; last <= 70; last++) {
      expect(await hears(asks(ask(last), `192.0.2.${last}`))).to.deep.equal([[last, ANSWERED]]);
    }
    expect(world.tunnel.pending).to.equal(64);
    await overWith({ dnsQueries: 70, dnsAnswers: 70 });
    world.proxy.steps = silent;
    const waiting = Array.from({ length: 64 }, (_, i) => asks(ask(i), `192.0.2.${i + 1}`));
    // Two at once, as resolvers ask for both families: neither is forgotten.
    const beyond = asks([ask(1), ask(2)], '192.0.2.99');
    expect(await hears(beyond, 2)).to.deep.equal([
      [1, SERVFAIL],
      [2, SERVFAIL],
    ]);
    expect(world.counted()).to.deep.equal({ dnsQueries: 66, dnsFailed: 2 });
    world.timers.advance(DNS_MS);
    for (const port of waiting) await hears(port);
    await eventually(
      'the connections end',
      () => world.tunnel.pending,
      (count) => count === 0,
    );
  });

  it('fail where those under way are more than 8 MiB, until these are over', async () => {
    await open(silent);
    const large = ask(1, Buffer.alloc(60_000));
    const ports = Array.from({ length: 150 }, () => asks(large));
    const failed = 150 - Math.floor((8 << 20) / (large.length + 512));
    expect(world.counted()).to.deep.equal({ dnsQueries: 150, dnsFailed: failed });
    world.timers.advance(DNS_MS);
    for (const port of ports) await hears(port);
    world.proxy.steps = honest;
    await resolves();
  });

  it('have no service at addresses of the stack without a server, and have it with one', async () => {
    await open(honest);
    const port = asks(ask(1), '10.0.0.1');
    expect(await port.hears()).to.deep.equal(['ICMP 3/3']);
    await world.nothingLeft();
    expect(world.counted()).to.deep.equal({});
    await world.close();
    await open(honest, { nameServer: '192.0.2.53' });
    expect(await hears(asks(ask(1), '10.0.0.1'))).to.deep.equal([[1, ANSWERED]]);
  });

  it('find their way again when the proxy is back', async () => {
    await open(honest);
    await resolves();
    const { port } = world.proxy;
    await world.proxy.close();
    await eventually(
      'the connection ends',
      () => world.tunnel.pending,
      (count) => count === 0,
    );
    expect(await hears(asks(ask(2)))).to.deep.equal([[2, SERVFAIL]]);
    world.proxy = await ScriptedProxy.start(port);
    world.proxy.steps = honest;
    await resolves();
    await overWith({ dnsQueries: 3, dnsAnswers: 2, dnsFailed: 1, proxyUnreachable: 1 });
  });

  it('are forgotten where the tunnel, or the stack, ends while they are asked for', async () => {
    for (const end of ['tunnel', 'stack'] as const) {
      await open(silent);
      asks([ask(7), ask(8)]);
      await world.played(1);
      world[end].close();
      if (end === 'stack') world.tunnel.close();
      await world.nothingLeft();
      if (end === 'tunnel') await world.close();
    }
  });

  it('drop what is no question', async () => {
    await open(honest);
    const two = Buffer.from(ask(1));
    two.writeUInt16BE(2, 4);
    const port = world.port();
    port.udp([Buffer.alloc(0), Buffer.alloc(11), ask(1).subarray(0, 20), two, answerTo(ask(1))], 53);
    expect(world.counted()).to.deep.equal({ dnsDropped: 5 });
    expect(world.proxy.connections).to.equal(0);
  });
});

/** A TXT record of so many bytes. */
function record(bytes: number): Buffer {
  const head = Buffer.from('c00c00100001000000000000', 'hex');
  head.writeUInt16BE(bytes, 10);
  return Buffer.concat([head, Buffer.alloc(bytes, 7)]);
}
