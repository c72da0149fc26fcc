/** Explicit congestion notification with one signal a round trip (RFC 3168): tcp.md §11, ECN-1 to ECN-13, and SHLD-8. */
import { expect } from 'chai';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

const asks = (options: PeerOptions = {}): Peer =>
  Peer.connecting({ ...options, options: { ...options.options, ecn: 'request' } });

const modeOf = (peer: Peer): string => peer.endpoint.info.ecn;

describe('ECN is agreed on', () => {
  forEachFamily((family, name) => {
    it(`by ECE and CWR on a SYN and ECE alone on the SYN-ACK, over ${name} (RFC 3168 §6.1.1) [ECN-1, SHLD-8]`, () => {
      const client = asks(family).expect('> [noecn] SEW 0:0(0)');
      client.advanceMs(20).send('< S.E 0:0(0) ack 1 <mss 1000>').expect('> [noecn] . 1:1(0) ack 1');
      expect(modeOf(client)).to.equal('classic');
      const server = Peer.listening(family).send('< SEW 0:0(0) win 65535 <mss 1000>');
      server.expect('> [noecn] S.E 0:0(0) ack 1').advanceMs(20).send('< . 1:1(0) ack 1');
      expect(modeOf(server)).to.equal('classic');
      for (const peer of [client, server]) {
        peer.write(1000).expect('> [ect0] P. 1:1001(1000) ack 1');
        expect(peer.endpoint.info.ecnCapable).to.equal(true);
      }
    });
  });

  it('not where a SYN-ACK reflects both flags, nor where it has none (RFC 3168 §6.1.1.1) [ECN-2]', () => {
    for (const flags of ['S.EW', 'S.', 'S.W', 'S.EWA']) {
      const peer = asks().expect('> SEW 0:0(0)').advanceMs(20);
      peer.send(`< ${flags} 0:0(0) ack 1 <mss 1000>`).expect('> [noecn] . 1:1(0) ack 1');
      expect(modeOf(peer), flags).to.equal('none');
      peer.write(1000).expect('> [noecn] P. 1:1001(1000) ack 1');
      peer.send('< [ce] P. 1:101(100) ack 1001').expect('> [noecn] . 1001:1001(0) ack 101');
    }
  });
});
