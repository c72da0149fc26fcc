/** Places of requests and handshakes: given back whatever becomes of them, and not kept from others by what is ignored. */
import { expect } from 'chai';
import type { TcpRequest } from '../../../lib/stack/any-tcp.js';
import { AnyPeer, FOREIGN_V4 } from '../../support/any-peer.js';
import type { Peer } from '../../support/peer.js';

/** Ways of ending a connection before anybody has acknowledged its SYN-ACK, and what the peer says then. */
const ENDS: Readonly<Record<string, (request: TcpRequest) => void>> = {
  close: (request) => request.accept().close(),
  shutdown: (request) => request.accept().shutdown(),
  abort: (request) => request.accept().abort(),
  'write and close': (request) => {
    const endpoint = request.accept();
    endpoint.write(Uint8Array.of(1, 2, 3));
    endpoint.close();
  },
};

describe('places of requests', () => {
  for (const [name, end] of Object.entries(ENDS)) {
    for (const answer of ['< . 1:1(0) ack 1', '< R 1:1(0)', '']) {
      it(`are free again after ${name}, then ${answer === '' ? 'nothing' : answer} [C1] [I4]`, () => {
        const any = new AnyPeer({ tcp: { maxHalfOpen: 4 }, onRequest: end });
        const peers: Peer[] = [];
        for (let i = 0; i < 12; i++) {
          const peer = any.peer.another({ port: 2000 + i, stackAddress: FOREIGN_V4 });
          peers.push(peer);
          peer.sendSyn();
          if (name !== 'abort') peer.expect('> S. 0:0(0) ack 1');
          if (answer !== '') peer.send(answer);
          else if (i % 4 === 3) any.peer.advanceMs(200_000);
        }
        for (const peer of peers) peer.send('< R 1:1(0)');
        any.peer.drain();
        any.peer.host.unclaimed.length = 0;
        expect(any.requests).to.have.length(12);
        expect(any.listener.counts.overflows).to.equal(0);
      });
    }
  }

  it('of what is ignored go to others once there are no more [C1] [I5]', () => {
    const any = new AnyPeer({
      tcp: { maxHalfOpen: 50 },
      any: { maxPending: 1000 },
      onRequest: (request) => {
        if (request.sourcePort < 40_000) request.ignore();
      },
    });
    for (let i = 0; i < 60; i++) any.peer.send('< S 0:0(0) win 65535', { sourcePort: 2000 + i });
    expect(any.listener.counts).to.include({ requests: 60, ignored: 60, overflows: 0 });
    any.peer.sendSyn();
    any.accept();
    any.peer.expect('> S. 0:0(0) ack 1');
    any.peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    any.peer.drain();
  });

  it('of what is ignored go to others once there are as many connections as there may be [C1]', () => {
    const any = new AnyPeer({
      tcp: { maxConnections: 50 },
      any: { maxPending: 1000 },
      onRequest: (request) => {
        if (request.sourcePort < 40_000) request.ignore();
      },
    });
    for (let i = 0; i < 60; i++) any.peer.send('< S 0:0(0) win 65535', { sourcePort: 2000 + i });
    any.peer.sendSyn();
    any.accept();
    any.peer.expect('> S. 0:0(0) ack 1');
    any.peer.drain();
  });
});
