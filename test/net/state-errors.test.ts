/** Errors of sockets that are connected already, or not connected at all: tcp.md API-9. */
import { once } from 'node:events';
import { expect } from 'chai';
import { createNet } from '../../lib/net/stack-net.js';
import { Peer } from '../support/peer.js';

describe('net: a socket that is in no state for what is asked', () => {
  it('says that it is connected already, or that it is not (POSIX) [API-9]', async () => {
    const peer = Peer.closed();
    const net = createNet(peer.stack);
    const flow = peer.another({ role: 'client', port: 80 });
    const socket = net.connect(80, '10.0.0.2');
    const connected = once(socket, 'connect');
    await new Promise(setImmediate);
    const [entry] = peer.stack.tcp.entries();
    (flow.direction as { destinationPort: number }).destinationPort = entry.tuple.localPort;
    flow.advanceMs(1).expect('> S 0:0(0)').send('< S. 0:0(0) ack 1 win 65535 <mss 1460>');
    await connected;
    const failed = once(socket, 'error');
    socket.connect(81, '10.0.0.2');
    const [error] = (await failed) as [{ code: string }];
    expect(error.code).to.equal('EISCONN');
    const datagrams = peer.stack.openUdp(4);
    expect(() => datagrams.disconnect())
      .to.throw(Error)
      .with.property('code', 'ENOTCONN');
    datagrams.close();
    flow.advanceMs(0).drain();
  });
});
