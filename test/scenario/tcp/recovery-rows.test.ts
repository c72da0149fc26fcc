/** Recovery where one record of the log stands for a super-packet, and only a part of it is resent, lost or acknowledged. */
import { Peer } from '../../support/peer.js';

const MSS = 1000;

describe('a super-packet in recovery', () => {
  it('is sent again piece by piece, also where the log has no room for more records', () => {
    const options = { maxSentRecords: 1 };
    const peer = Peer.established({ mss: MSS, offload: true, tailLossProbe: false, options }).wrote(5 * MSS);
    peer.advanceMs(220).expect('> . 1:1001(1000) ack 1');
    peer.send('< . 1:1(0) ack 1001').expect('> . 1001:3001(2000) ack 1');
    peer.send('< . 1:1(0) ack 3001').expect('> P. 3001:5001(2000) ack 1');
    peer.ackAll().expectNothing();
  });
});
