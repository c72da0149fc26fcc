/** UDP and names through the gateway, its host's side being the loopback of this process. */
import { createSocket, type Socket } from 'node:dgram';
import { getServers, setServers } from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect } from 'chai';
import dnsPacket from 'dns-packet';
import { type BedOptions, DNS_ADDRESS, HOST, PipeBed, until } from './support/pipe-bed.js';

/** A socket of the host's loopback. */
async function hostSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

describe('gateway: UDP', () => {
  let bed: PipeBed;
  const opened: { close(): unknown }[] = [];

  async function open(options: BedOptions = {}): Promise<void> {
    bed = await PipeBed.open(options);
  }

  afterEach(() => {
    for (const socket of opened.splice(0)) socket.close();
    bed?.close();
  });

  const keep = <T extends { close(): unknown }>(socket: T): T => {
    opened.push(socket);
    return socket;
  };
  const inside = () => keep(bed.inside.dgram.createSocket('udp4'));

  it('passes datagrams by one socket of the host for each of those inside, whatever they send to', async () => {
    await open();
    const [first, second] = [keep(await hostSocket()), keep(await hostSocket())];
    const seen: number[] = [];
    for (const socket of [first, second]) {
      socket.on('message', (bytes, from) => {
        seen.push(from.port);
        socket.send(`${String(bytes)} back`, from.port, from.address);
      });
    }
    const client = inside();
    const answers: string[] = [];
    client.on('message', (bytes, from) => answers.push(`${String(bytes)} from ${from.address}:${from.port}`));
    client.send('one', first.address().port, HOST[4]);
    await until(() => answers.length === 1, 'the first has answered');
    client.send('two', second.address().port, HOST[4]);
    await until(() => answers.length === 2, 'the second has answered');
    expect(answers).to.deep.equal([
      `one back from ${HOST[4]}:${first.address().port}`,
      `two back from ${HOST[4]}:${second.address().port}`,
    ]);
    expect(new Set(seen).size).to.equal(1);
    expect(bed.gateway.udpFlows).to.equal(1);
  });

  it('lets anybody answer who has learnt the port (full cone)', async () => {
    await open();
    const [known, stranger] = [keep(await hostSocket()), keep(await hostSocket())];
    const client = inside();
    client.send('here I am', known.address().port, HOST[4]);
    const [, { port }] = (await once(known, 'message')) as [Buffer, { port: number }];
    stranger.send('unasked', port, '127.0.0.1');
    const [bytes, from] = (await once(client, 'message')) as [Buffer, { port: number; address: string }];
    expect([String(bytes), from.port, from.address]).to.deep.equal([
      'unasked',
      stranger.address().port,
      HOST[4],
    ]);
  });

  it('drops what is denied, and says so', async () => {
    await open({ hostLoopback: [], deny: ['198.51.100.0/24'] });
    const client = inside();
    client.on('error', () => {});
    client.send('x', 9, '198.51.100.1');
    await until(() => bed.gateway.stats.udpDenied === 1, 'it is denied');
    client.send('x', 9, HOST[4]);
    await until(() => bed.gateway.stats.udpDenied === 2, 'the gateway itself is denied');
    expect(bed.gateway.stats.udpToHost).to.equal(0);
  });

  it('opens no socket for who begins with what is denied, and takes nobody else the place', async () => {
    await open({ maxUdp: 3, deny: ['198.51.100.0/24'] });
    for (let i = 0; i < 10; i++) {
      const client = inside();
      client.on('error', () => {});
      client.send('x', 9, '198.51.100.1');
      await until(() => bed.gateway.stats.udpDenied === i + 1, 'it is denied');
    }
    expect(bed.gateway.udpFlows).to.equal(0);
    const server = keep(await hostSocket());
    const heard = once(server, 'message');
    const client = inside();
    client.on('error', () => {});
    // Denied for one destination, and free to send to others.
    client.send('x', 9, '198.51.100.1');
    await until(() => bed.gateway.stats.udpDenied === 11, 'it is denied');
    client.send('word', server.address().port, HOST[4]);
    await heard;
    expect(bed.gateway.stats).to.include({ udpFlows: 1, udpFull: 0 });
    await until(() => bed.gateway.stats.udpToHost === 1, 'one has left');
  });

  it('has no more flows than it may', async () => {
    await open({ maxUdp: 3 });
    const server = keep(await hostSocket());
    for (let i = 0; i < 10; i++) inside().send('x', server.address().port, HOST[4]);
    await until(() => bed.gateway.udpFlows === 3, 'three flows');
    expect(bed.gateway.stats.udpFlows).to.equal(3);
  });

  it('closes all sockets with it', async () => {
    await open();
    const server = keep(await hostSocket());
    for (let i = 0; i < 5; i++) inside().send('x', server.address().port, HOST[4]);
    await until(() => bed.gateway.udpFlows === 5, 'five flows');
    bed.gateway.close();
    expect(bed.gateway.udpFlows).to.equal(0);
  });

  it('leads from a published port inside, and back', async () => {
    const probe = await hostSocket();
    const { port } = probe.address();
    probe.close();
    await once(probe, 'close');
    await open({ publish: [`${port}:5353/udp`] });
    const service = inside();
    service.bind(5353);
    await once(service, 'listening');
    service.on('message', (bytes, from) => service.send(`${String(bytes)} back`, from.port, from.address));
    const [one, two] = [keep(await hostSocket()), keep(await hostSocket())];
    one.send('one', port, '127.0.0.1');
    two.send('two', port, '127.0.0.1');
    const [[a], [b]] = (await Promise.all([once(one, 'message'), once(two, 'message')])) as [Buffer][];
    expect([String(a), String(b)]).to.deep.equal(['one back', 'two back']);
    expect(bed.gateway.udpFlows).to.equal(2);
    bed.timers.advance(300_000);
    expect(bed.gateway.udpFlows).to.equal(0);
    expect(bed.timers.count).to.equal(0);
  });
});

describe('gateway: names', () => {
  let bed: PipeBed;
  let servers: Socket[] = [];

  /** A name server of the host's loopback; what it answers is up to `answer`. */
  async function nameServer(answer?: (query: Buffer) => Buffer | Buffer[]): Promise<Socket> {
    const socket = await hostSocket();
    servers.push(socket);
    socket.on('message', (bytes, from) => {
      for (const reply of answer === undefined ? [] : [answer(bytes)].flat()) {
        socket.send(reply, from.port, from.address);
      }
    });
    return socket;
  }

  const answerWith =
    (address: string) =>
    (query: Buffer): Buffer => {
      const { id, questions = [] } = dnsPacket.decode(query);
      const [{ name }] = questions as { name: string }[];
      const answers = [{ type: 'A' as const, name, ttl: 1, data: address }];
      return dnsPacket.encode({
        type: 'response',
        ...(id === undefined ? {} : { id }),
        questions,
        answers,
      });
    };

  async function open(...of: Socket[]): Promise<void> {
    const addresses = of.map((socket) => `127.0.0.1:${socket.address().port}`);
    bed = await PipeBed.open({ dns: { addresses: [DNS_ADDRESS], servers: addresses } });
    bed.inside.dns.setServers([DNS_ADDRESS]);
  }

  afterEach(() => {
    bed?.close();
    for (const socket of servers) socket.close();
    servers = [];
  });

  const lookup = (name: string): Promise<string[]> => bed.inside.dns.promises.resolve4(name);

  it('asks the name servers of the host', async () => {
    await open(await nameServer(answerWith('192.0.2.7')));
    expect(await lookup('one.example')).to.deep.equal(['192.0.2.7']);
    const names = Array.from({ length: 200 }, (_, i) => lookup(`n${i}.example`));
    expect(new Set((await Promise.all(names)).flat())).to.deep.equal(new Set(['192.0.2.7']));
    expect(bed.gateway.stats.dnsAnswers).to.equal(201);
    expect(bed.gateway.dnsWaiting).to.equal(0);
  });

  it('uses ports and identifiers of its own', async () => {
    const ids = new Set<number>();
    const ports = new Set<number>();
    const server = await nameServer(answerWith('192.0.2.7'));
    server.on('message', (bytes: Buffer, { port }) => {
      ids.add(bytes.readUInt16BE(0));
      ports.add(port);
    });
    await open(server);
    const client = bed.inside.dgram.createSocket('udp4');
    const query = dnsPacket.encode({ type: 'query', id: 77, questions: [{ type: 'A', name: 'a.example' }] });
    for (let i = 0; i < 20; i++) {
      client.send(query, 53, DNS_ADDRESS);
      const [answer] = (await once(client, 'message')) as [Buffer];
      expect(dnsPacket.decode(answer).id).to.equal(77);
    }
    client.close();
    expect(ids.size).to.be.greaterThan(15);
    expect(ports.size).to.be.greaterThan(1);
  });

  it('goes on to the next where one says nothing, and stays there', async () => {
    await open(await nameServer(), await nameServer(answerWith('192.0.2.8')));
    const first = lookup('slow.example');
    await until(() => bed.gateway.dnsWaiting === 1, 'it was asked');
    bed.timers.advance(3000);
    expect(await first).to.deep.equal(['192.0.2.8']);
    expect(await lookup('quick.example')).to.deep.equal(['192.0.2.8']);
  });

  it('goes on to the next where there is none at all', async () => {
    const gone = await nameServer();
    await open(gone, await nameServer(answerWith('192.0.2.9')));
    servers = servers.filter((socket) => socket !== gone);
    gone.close();
    await once(gone, 'close');
    expect(await lookup('a.example')).to.deep.equal(['192.0.2.9']);
  });

  it('goes on to the next where the host has no way to one', async () => {
    // A broadcast address is what the kernel lets nobody connect to.
    const good = await nameServer(answerWith('192.0.2.10'));
    const servers = ['255.255.255.255', `127.0.0.1:${good.address().port}`];
    bed = await PipeBed.open({ dns: { addresses: [DNS_ADDRESS], servers } });
    bed.inside.dns.setServers([DNS_ADDRESS]);
    expect(await lookup('a.example')).to.deep.equal(['192.0.2.10']);
    expect(await lookup('b.example')).to.deep.equal(['192.0.2.10']);
  });

  it('says SERVFAIL where nobody answers', async () => {
    await open(await nameServer());
    const client = bed.inside.dgram.createSocket('udp4');
    const question = { type: 'A' as const, name: 'never.example' };
    client.send(dnsPacket.encode({ type: 'query', id: 5, questions: [question] }), 53, DNS_ADDRESS);
    await until(() => bed.gateway.dnsWaiting === 1, 'it was asked');
    const answered = once(client, 'message') as Promise<[Buffer]>;
    bed.timers.advance(20_000);
    const answer = dnsPacket.decode((await answered)[0]) as dnsPacket.DecodedPacket & { rcode: string };
    expect([answer.id, answer.rcode, answer.questions?.[0].name]).to.deep.equal([
      5,
      'SERVFAIL',
      'never.example',
    ]);
    expect(bed.gateway.stats.dnsTimeouts).to.equal(1);
    expect([bed.gateway.dnsWaiting, bed.timers.count]).to.deep.equal([0, 0]);
    client.close();
  });

  it('says SERVFAIL at once where the host has no name server', async () => {
    const before = getServers();
    setServers([]);
    try {
      bed = await PipeBed.open({ dns: { addresses: [DNS_ADDRESS] } });
    } finally {
      setServers(before);
    }
    const client = bed.inside.dgram.createSocket('udp4');
    const question = { type: 'A' as const, name: 'never.example' };
    client.send(dnsPacket.encode({ type: 'query', id: 5, questions: [question] }), 53, DNS_ADDRESS);
    const [bytes] = (await once(client, 'message')) as [Buffer];
    const { id, rcode } = dnsPacket.decode(bytes) as dnsPacket.DecodedPacket & { rcode: string };
    expect([id, rcode, bed.gateway.stats.dnsDropped]).to.deep.equal([5, 'SERVFAIL', 1]);
    client.close();
  });

  it('believes no answer that repeats another question, or another identifier', async () => {
    const wrongName = (query: Buffer): Buffer => {
      const answer = answerWith('203.0.113.66')(query);
      answer[13] ^= 1;
      return answer;
    };
    const wrongId = (query: Buffer): Buffer => {
      const answer = answerWith('203.0.113.66')(query);
      answer[0] ^= 0x55;
      return answer;
    };
    const right = answerWith('192.0.2.7');
    const junk = Buffer.from([1]);
    await open(await nameServer((query) => [junk, query, wrongName(query), wrongId(query), right(query)]));
    expect(await lookup('true.example')).to.deep.equal(['192.0.2.7']);
    expect(bed.gateway.stats.dnsStray).to.be.at.least(4);
  });

  it('drops what is no question', async () => {
    await open(await nameServer(answerWith('192.0.2.7')));
    const client = bed.inside.dgram.createSocket('udp4');
    const query = dnsPacket.encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'a.example' }] });
    const response = Buffer.from(query);
    response[2] |= 0x80;
    for (const bad of [
      Buffer.alloc(0),
      Buffer.alloc(11),
      query.subarray(0, 15),
      response,
      Buffer.alloc(40, 0xff),
    ]) {
      client.send(bad, 53, DNS_ADDRESS);
    }
    await until(() => bed.gateway.stats.dnsQueries === 5, 'all have come');
    expect(bed.gateway.stats.dnsDropped).to.equal(5);
    client.close();
  });

  it('passes questions over TCP on', async () => {
    const tcp = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => socket.end(bytes));
    });
    // A port that is free for datagrams may be somebody's for connections: then the next.
    let server = await nameServer();
    for (;;) {
      tcp.listen(server.address().port, '127.0.0.1');
      const isTaken = await once(tcp, 'listening').then(
        () => false,
        () => true,
      );
      if (!isTaken) break;
      server = await nameServer();
    }
    await open(server);
    const socket = bed.inside.net.connect(53, DNS_ADDRESS);
    socket.write('\0\x02hi');
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    expect(String(bytes)).to.equal('\0\x02hi');
    socket.destroy();
    tcp.close();
  });
});
