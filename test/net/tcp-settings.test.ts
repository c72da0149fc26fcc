/** What sockets of a private stack offer beyond those of Node: `tcpInfo`, `getTcpOption`, `setTcpOption`. */
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { expect } from 'chai';
import { createNet, SeededRandom, Stack, SystemClock, type TcpSocket } from '../../lib/index.js';

describe('net: settings of TCP, and what a connection knows', () => {
  let stack: Stack;
  let server: Server;

  beforeEach(async () => {
    stack = new Stack({ clock: new SystemClock(), random: new SeededRandom(1) });
    server = createNet(stack).createServer((socket) => socket.end('all'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(() => {
    server.close();
    stack.close();
  });

  it('are there from the connection on, and kept until then where they are set before [RM-14]', async () => {
    const net = createNet(stack);
    const socket = new net.Socket();
    const tcp = socket as unknown as TcpSocket;
    expect(tcp.tcpInfo()).to.equal(undefined);
    expect(tcp.getTcpOption('userTimeoutMs')).to.equal(undefined);
    tcp.setTcpOption('userTimeoutMs', 5000);
    socket.connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    expect(tcp.getTcpOption('userTimeoutMs')).to.equal(5000);
    expect(tcp.getTcpOption('sack')).to.equal(true);
    expect(tcp.setTcpOption('congestionControl', 'reno')).to.equal(socket);
    expect(() => tcp.setTcpOption('hopLimit', 300))
      .to.throw(RangeError)
      .with.property('code', 'ERR_OUT_OF_RANGE');
    expect(tcp.tcpInfo()).to.include({ congestionControl: 'reno', state: 'ESTABLISHED' });
    let info: ReturnType<TcpSocket['tcpInfo']>;
    socket.on('data', () => {
      info = tcp.tcpInfo();
    });
    await once(socket, 'close');
    expect(info).to.include({ receivedBytes: 3 });
    expect(tcp.tcpInfo()).to.equal(undefined);
  });
});
