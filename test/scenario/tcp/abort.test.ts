import { Peer } from '../../support/peer.js';
import { forEachFamily } from '../../support/sweeps.js';

describe('an abort right after the handshake', () => {
  forEachFamily((family, name) => {
    it(`completes the handshake first, so that the peer sees a reset and not silence, over ${name}`, () => {
      const peer = Peer.connecting(family);
      peer.expect('> S 0:0(0)');
      peer.onEvent = (event) => {
        if (event === 'connect') peer.endpoint.abort();
      };
      peer.send('< S. 0:0(0) ack 1 win 65535 <mss 1460>');
      peer.expect('> . 1:1(0) ack 1');
      peer.expect('> R. 1:1(0) ack 1');
      peer.expectNothing();
    });
  });
});
