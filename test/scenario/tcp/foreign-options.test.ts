/** Options of TCP that this stack does not have: tcp.md RM-6. */
import { expect } from 'chai';
import { forEachFamily, Peer } from '../../support/peer.js';

/** TCP-MD5 (RFC 2385): kind 19, 18 bytes; TCP-AO (RFC 5925): kind 29, 16 bytes with a 96-bit MAC. */
const MD5 = `raw 1312${'a5'.repeat(16)}`;
const AO = `raw 1d100101${'5a'.repeat(12)}`;

describe('an authentication option', () => {
  for (const [name, option] of [
    ['TCP-MD5', MD5],
    ['TCP-AO', AO],
  ]) {
    it(`of the kind ${name} is skipped on every segment, which counts as if it had none (RFC 5925 §7.3) [RM-6]`, () => {
      forEachFamily((family) => {
        const peer = Peer.listening(family);
        peer.send(`< S 0:0(0) win 65535 <mss 1000,${option}>`).expect('> S. 0:0(0) ack 1 <mss *>');
        peer.advanceMs(20).send(`< . 1:1(0) ack 1 <${option}>`).expectState('ESTABLISHED');
        peer.send(`< P. 1:101(100) ack 1 <${option}>`).expect('> . 1:1(0) ack 101 <>').expectRead(100);
        peer.write(1500).expect('> . 1:1001(1000) ack 101 <>').expect('> P. 1001:1501(500) ack 101 <>');
        peer.send(`< . 101:101(0) ack 1501 <${option}>`);
        expect(peer.endpoint.unackedBytes).to.equal(0);
        peer.send(`< F. 101:101(0) ack 1501 <${option}>`).expect('> . 1501:1501(0) ack 102 <>');
        peer.send(`< R. 102:102(0) ack 1501 <${option}>`).expectState('CLOSED');
        expect(peer.stats.tcp.malformedOptions).to.equal(0);
      });
    });

    it(`of the kind ${name} in a SYN-ACK is skipped too, and never sent [RM-6]`, () => {
      const peer = Peer.connecting();
      peer.expect('> S 0:0(0) <mss *,sackOK,TS val * ecr *,nop,wscale *>');
      peer
        .advanceMs(20)
        .send(`< S. 0:0(0) ack 1 win 65535 <mss 1000,${option}>`)
        .expect('> . 1:1(0) ack 1 <>');
      peer.expectState('ESTABLISHED').write(10).expect('> P. 1:11(10) ack 1 <>').ackAll();
    });
  }
});
