/** A tunnel through a SOCKS proxy: UDP by associations, names over TCP, pings. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { IpAddress } from '../../lib/index.js';
import { AwaitedUdp } from '../support/interop-udp.js';
import { eventually } from '../support/interop-wait.js';
import { answerTo, ask, framed, onMessages, opt, QUESTION } from './support/dns.js';
import { ELSEWHERE, SocksWorld } from './support/world.js';

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return '';
};

async function closed(world: SocksWorld): Promise<void> {
  world.tunnel.close();
  await eventually(
    'all that was opened is gone',
    () => world.proxy.open + world.proxy.relays + world.tunnel.udpFlows + world.tunnel.pending,
    (count) => count === 0,
  );
  await world.close();
}

describe('a tunnel through a SOCKS proxy: UDP', function () {
  this.timeout(20_000);
  let world: SocksWorld;
  afterEach(() => closed(world));

  for (const family of [4, 6] as const) {
    it(`carries datagrams both ways, IPv${family}`, async () => {
      const targets: string[] = [];
      world = await SocksWorld.open({
        datagram: (host, port) => {
          targets.push(`${host} ${port}`);
          return world.echo.udpPort;
        },
      });
      const socket = new AwaitedUdp(world.inside, family).bind();
      const to = { address: ELSEWHERE[family], port: 7 };
      for (const size of [0, 1, 1400, 9000]) {
        await socket.send(Buffer.alloc(size, 'x'), to);
        const back = await socket.receive();
        expect(back.data.length).to.equal(size);
        expect(back.from).to.deep.equal(to);
      }
      expect(targets[0]).to.equal(`${to.address} 7`);
      expect(world.proxy.asked).to.deep.equal([{ command: 3, host: '0.0.0.0', port: 0 }]);
      expect(world.tunnel.stats).to.include({ udpRequests: 1, udpAssociated: 1, udpOut: 4, udpIn: 4 });
      expect(world.tunnel.udpFlows).to.equal(1);
      socket.close();
    });
  }

  it('keeps what is sent while the proxy is asked', async () => {
    world = await SocksWorld.open({ slowly: true });
    const socket = new AwaitedUdp(world.inside, 4).bind();
    const to = { address: ELSEWHERE[4], port: 7 };
    for (const word of ['a', 'b', 'c']) await socket.send(Buffer.from(word), to);
    const heard = [await socket.receive(), await socket.receive(), await socket.receive()];
    expect(heard.map(({ data }) => String(data))).to.deep.equal(['a', 'b', 'c']);
    socket.close();
  });

  it('says that nobody has the port where the proxy has no UDP, and asks it no more for a while', async () => {
    world = await SocksWorld.open({ datagram: undefined as never });
    for (let i = 0; i < 3; i++) {
      const socket = new AwaitedUdp(world.inside, 4).bind().connect({ address: ELSEWHERE[4], port: 7 });
      await socket.send(Buffer.from('x'));
      expect(await codeOf(socket.receive())).to.equal('ECONNREFUSED');
      socket.close();
    }
    expect(world.proxy.asked).to.have.lengthOf(1);
    expect(world.tunnel.stats).to.include({ udpRequests: 3, udpRefused: 3, udpAssociated: 0 });
  });

  it('ends a flow when the proxy ends its association, and begins another', async () => {
    world = await SocksWorld.open();
    const socket = new AwaitedUdp(world.inside, 4).bind();
    const to = { address: ELSEWHERE[4], port: 7 };
    await socket.send(Buffer.from('x'), to);
    await socket.receive();
    world.proxy.resetAll();
    await eventually(
      'the flow ends',
      () => world.tunnel.udpFlows,
      (count) => count === 0,
    );
    await socket.send(Buffer.from('y'), to);
    expect(String((await socket.receive()).data)).to.equal('y');
    expect(world.tunnel.stats.udpAssociated).to.equal(2);
    socket.close();
  });

  it('ends an association when the flow is idle', async () => {
    world = await SocksWorld.open({}, { udpIdleMs: 50 });
    const socket = new AwaitedUdp(world.inside, 4).bind();
    await socket.send(Buffer.from('x'), { address: ELSEWHERE[4], port: 7 });
    await socket.receive();
    await eventually(
      'nothing is left',
      () => world.proxy.relays + world.tunnel.udpFlows,
      (count) => count === 0,
    );
    socket.close();
  });

  it('ends what is under way when it is closed', async () => {
    world = await SocksWorld.open({ instead: () => {} });
    const sockets = [7, 53].map((port) => {
      const socket = new AwaitedUdp(world.inside, 4).bind();
      void socket.send(Buffer.from('000101000001000000000000000001', 'hex'), { address: ELSEWHERE[4], port });
      void socket.send(ask(1), { address: ELSEWHERE[4], port });
      return socket;
    });
    await eventually(
      'both are asked for',
      () => world.tunnel.udpFlows,
      (count) => count === 2,
    );
    expect(world.tunnel.pending).to.equal(3);
    world.tunnel.close();
    expect([world.tunnel.udpFlows, world.tunnel.pending]).to.deep.equal([0, 0]);
    for (const socket of sockets) socket.close();
  });

  for (const [policy, replies] of [
    ['answer', 1],
    ['drop', 0],
  ] as const) {
    it(`${policy}s pings`, async () => {
      world = await SocksWorld.open({}, { icmp: policy });
      let heard = 0;
      world.inside.ip.echo.add(5, { reply: () => heard++, error: () => {} });
      const destination = IpAddress.parse(ELSEWHERE[4]);
      world.inside.ip.sendEchoRequest({
        destination,
        identifier: 5,
        sequence: 1,
        payload: new Uint8Array(8),
      });
      await eventually(
        'it arrives',
        () => world.middle.stats.icmp.inEchos,
        (count) => count === 1,
      );
      await eventually(
        'it is answered or not',
        () => heard,
        (count) => count === replies,
      );
    });
  }
});

/** A name server over TCP, which does with each message what the test says. */
class NameServer {
  readonly asked: Buffer[] = [];
  connections = 0;
  answer: (message: Buffer, socket: Socket) => void = (message, socket) =>
    socket.write(framed(answerTo(message)));
  readonly #server: Server;

  constructor() {
    this.#server = createServer((socket) => {
      this.connections++;
      onMessages(socket, (message) => {
        this.asked.push(message);
        this.answer(message, socket);
      });
    });
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }
}

describe('a tunnel through a SOCKS proxy: names', function () {
  this.timeout(20_000);
  let world: SocksWorld;
  let server: NameServer;
  let socket: AwaitedUdp;
  const to = { address: ELSEWHERE[4], port: 53 };
  const open = async (options: Parameters<typeof SocksWorld.open>[1] = {}): Promise<void> => {
    server = new NameServer();
    const port = await server.start();
    world = await SocksWorld.open({ connect: () => ({ port }) }, options);
    socket = new AwaitedUdp(world.inside, 4).bind();
  };
  afterEach(async () => {
    socket.close();
    server.close();
    await closed(world);
  });

  it('are asked for over TCP, many by one connection, where they were asked for', async () => {
    await open();
    for (let id = 1; id <= 20; id++) await socket.send(ask(id), to);
    const ids = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const { data, from } = await socket.receive();
      expect(from).to.deep.equal(to);
      expect(data.readUInt16BE(2)).to.equal(0x8180);
      ids.add(data.readUInt16BE());
    }
    expect(ids.size).to.equal(20);
    expect(server.connections).to.equal(1);
    expect(world.proxy.asked).to.deep.equal([{ command: 1, host: to.address, port: 53 }]);
    expect(world.tunnel.stats).to.include({ dnsQueries: 20, dnsAnswers: 20, dnsFailed: 0 });
    await eventually(
      'flows end with their answers',
      () => world.tunnel.udpFlows,
      (count) => count === 0,
    );
  });

  it('are asked of the server that was named, whoever was asked, over UDP and TCP', async () => {
    await open({ nameServer: '198.51.100.53:5353' });
    await socket.send(ask(7), { address: '10.0.0.1', port: 53 });
    const { from } = await socket.receive();
    expect(from.address).to.equal('10.0.0.1');
    const tcp = await world.connect('10.0.0.1', 53);
    tcp.write(framed(ask(9)));
    const [answer] = (await once(tcp, 'data')) as [Buffer];
    expect(answer.readUInt16BE(2)).to.equal(9);
    tcp.destroy();
    const place = { command: 1, host: '198.51.100.53', port: 5353 };
    expect(world.proxy.asked).to.deep.equal([place, place]);
  });

  it('have answers in any order', async () => {
    await open();
    const waiting: Buffer[] = [];
    server.answer = (message, peer) => {
      waiting.push(message);
      if (waiting.length === 3) peer.write(Buffer.concat(waiting.reverse().map((m) => framed(answerTo(m)))));
    };
    for (let id = 1; id <= 3; id++) await socket.send(ask(id), to);
    const ids: number[] = [];
    for (let i = 0; i < 3; i++) ids.push((await socket.receive()).data.readUInt16BE());
    expect(ids).to.deep.equal([3, 2, 1]);
  });

  it('are cut short for who takes no more', async () => {
    await open();
    server.answer = (message, peer) => peer.write(framed(answerTo(message, 1000)));
    await socket.send(ask(1), to);
    const short = (await socket.receive()).data;
    expect(short.length).to.equal(12 + QUESTION.length);
    expect(short.readUInt16BE(2) & 0x0200).to.equal(0x0200);
    await socket.send(ask(2, opt(1232)), to);
    expect((await socket.receive()).data.length).to.equal(12 + QUESTION.length + 1000);
    expect(world.tunnel.stats.dnsTruncated).to.equal(1);
  });

  it('are asked for once more where the server hangs up, and then fail', async () => {
    await open();
    server.answer = (message, peer) => {
      if (server.asked.length === 1) peer.destroy();
      else peer.write(framed(answerTo(message)));
    };
    await socket.send(ask(1), to);
    expect((await socket.receive()).data.readUInt16BE(2)).to.equal(0x8180);
    server.answer = (_message, peer) => peer.destroy();
    await socket.send(ask(2), to);
    const failed = (await socket.receive()).data;
    expect(failed.readUInt16BE()).to.equal(2);
    expect(failed.readUInt16BE(2)).to.equal(0x8182);
    expect(world.tunnel.stats).to.include({ dnsQueries: 2, dnsAnswers: 1, dnsFailed: 1 });
  });

  it('fail where the server is silent, or the proxy refuses', async () => {
    await open({ dnsMs: 100 });
    server.answer = () => {};
    await socket.send(ask(1), to);
    expect((await socket.receive()).data.readUInt16BE(2) & 15).to.equal(2);
    world.proxy.behaviour = { connect: () => ({ reply: 2 }) };
    await socket.send(ask(2), to);
    expect((await socket.receive()).data.readUInt16BE(2) & 15).to.equal(2);
    expect(world.tunnel.stats.dnsFailed).to.equal(2);
  });
});
