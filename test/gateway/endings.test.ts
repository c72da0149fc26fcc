/** A gateway that ends, or never begins, at the worst moment; and those that only seem idle. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nextTick } from 'node:process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import dnsPacket from 'dns-packet';
import { ChunkPool } from '../../lib/gateway/chunks.js';
import { openGateway } from '../../lib/gateway/gateway.js';
import { HostSocket } from '../../lib/gateway/host-sockets.js';
import { Pump } from '../../lib/gateway/pump.js';
import { IpAddress } from '../../lib/index.js';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';
import { DNS_ADDRESS, HOST, PipeBed, until } from './support/pipe-bed.js';

describe('gateway: endings', () => {
  let bed: PipeBed;
  let server: Server;
  const accepted: Socket[] = [];

  beforeEach(async () => {
    server = createServer({ allowHalfOpen: true }, (socket) => {
      accepted.push(socket.on('error', () => {}));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(async () => {
    bed?.close();
    for (const socket of accepted.splice(0)) socket.destroy();
    server.close();
    await once(server, 'close');
  });

  const port = (): number => (server.address() as AddressInfo).port;

  it('resets whom it has accepted when it is closed before the host has connected', async () => {
    bed = await PipeBed.open({ reach: [`10.0.2.2:7000:${port()}`] });
    const { timers, gateway } = bed;
    const set = timers.setTimeout.bind(timers);
    timers.setTimeout = (ring, ms) => {
      nextTick(() => gateway.close());
      timers.setTimeout = set;
      return set(ring, ms);
    };
    const client = bed.inside.net.connect(7000, HOST[4]);
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNRESET');
    expect(bed.gateway.stats.tcpCancelled).to.equal(1);
    expect([bed.gateway.tcpFlows, bed.stack.tcp.connections, bed.timers.count]).to.deep.equal([0, 0, 0]);
  });

  it('closes each socket to a name server once, whatever that still tells', async () => {
    const probe = createSocket('udp4').bind(0, '127.0.0.1');
    await once(probe, 'listening');
    const servers = [`127.0.0.1:${probe.address().port}`];
    probe.close();
    await once(probe, 'close');
    bed = await PipeBed.open({ dns: { addresses: [DNS_ADDRESS], servers } });
    const { gateway, stack } = bed;
    const { random } = stack;
    const { uint32 } = random;
    random.uint32 = () => {
      nextTick(() => gateway.close());
      random.uint32 = uint32;
      return random.uint32();
    };
    const client = bed.inside.dgram.createSocket('udp4');
    const question = { type: 'A' as const, name: 'a.example' };
    const query = dnsPacket.encode({ type: 'query', id: 5, questions: [question] });
    // More than there are sockets: one at least is used twice, and hears of the first when it sends the second.
    for (let i = 0; i < 8; i++) client.send(query, 53, DNS_ADDRESS);
    await until(() => bed.gateway.stats.dnsQueries === 8, 'all were asked');
    for (let i = 0; i < 5; i++) await nextTurn();
    expect([bed.gateway.dnsWaiting, bed.timers.count]).to.deep.equal([0, 0]);
    client.close();
  });

  it('leaves nothing open where it cannot be opened', async () => {
    bed = await PipeBed.open();
    const dns = { addresses: [DNS_ADDRESS], servers: ['127.0.0.1'] };
    let code: string | undefined;
    await openGateway({ stack: bed.stack, link: 99, dns }).catch((error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    expect(code).to.equal('ERR_OUT_OF_RANGE');
    bed.stack.openUdp(4).bind(IpAddress.parse(DNS_ADDRESS), 53);
    bed.stack.listenTcp({ address: DNS_ADDRESS, port: 53 }).close();
  });

  it('is closed after its stack, too', async () => {
    bed = await PipeBed.open({
      reach: [`10.0.2.2:7000:${port()}`],
      dns: { addresses: [DNS_ADDRESS], servers: ['127.0.0.1'] },
    });
    bed.stack.close();
    bed.gateway.close();
    expect([bed.gateway.tcpFlows, bed.gateway.udpFlows, bed.timers.count]).to.deep.equal([0, 0, 0]);
  });

  it('takes a slow reader for no idle one, though the host has long said all', async () => {
    bed = await PipeBed.open({ tcpIdleMs: 8000, tcpHalfCloseIdleMs: 8000 });
    const options = { receiveBufferBytes: 65_536, receiveBufferMaxBytes: 65_536 };
    const endpoint = bed.inside.connectTcp({ address: HOST[4], port: port(), options });
    await until(() => accepted.length === 1, 'the server has accepted');
    const text = Buffer.alloc(300_000, 'text');
    accepted[0].end(text);
    await until(() => bed.gateway.stats.bytesToStack === text.length, 'the gateway has it');
    const piece = new Uint8Array(20_000);
    let got = 0;
    while (got < text.length && bed.gateway.tcpFlows === 1) {
      bed.timers.advance(1000);
      got += endpoint.read(piece);
      for (let i = 0; i < 20; i++) await nextTurn();
    }
    expect(got).to.equal(text.length);
    // Who reads nothing more is idle after all.
    bed.timers.advance(20_000);
    expect(bed.gateway.stats.tcpIdle).to.equal(1);
    endpoint.close();
  });

  it('writes to no descriptor that is another one by now', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tunstack-pump-'));
    const file = join(directory, 'file');
    const socket = connect(port(), '127.0.0.1');
    await once(socket, 'connect');
    const text = Buffer.from('not for a file');
    const endpoint = {
      readableBytes: 0,
      isPeerClosed: false,
      setSink() {},
      abort() {},
      close() {},
      read(target: Uint8Array): number {
        target.set(text);
        endpoint.readableBytes = 0;
        return text.length;
      },
    };
    const host = { chunks: new ChunkPool(), tick: 0, passed: { toHost: 0, toStack: 0 }, pumpEnded() {} };
    const pump = new Pump(host, endpoint as unknown as TcpEndpoint, new HostSocket(socket));
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    socket.destroy();
    // The kernel gives the lowest number that is free, which is the socket's now.
    const opened: number[] = [];
    try {
      while (!opened.includes(fd)) opened.push(openSync(file, 'a'));
      endpoint.readableBytes = text.length;
      pump.onReadable();
      expect(readFileSync(file).length).to.equal(0);
      await once(socket, 'close');
    } finally {
      for (const one of opened) closeSync(one);
      rmSync(directory, { recursive: true });
    }
  });
});
