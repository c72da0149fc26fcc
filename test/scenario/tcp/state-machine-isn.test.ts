/**
 * Sequence arithmetic: scenarios from all over TCP, each run 36 times with ISS and IRS where numbers wrap or
 * change sign (RFC 9293 §3.4, tcp.md FSM-44). A number that is compared as a plain integer anywhere fails here.
 */
import { expect } from 'chai';
import { forEachFamily, forEachIsn, type IsnChoice, Peer } from '../../support/peer.js';

const scenarios: Readonly<Record<string, (isn: IsnChoice) => void>> = {
  'a handshake as server, with text both ways and a close': (isn) => {
    const peer = Peer.listening({ ...isn, mss: 1000 }).sendSyn();
    peer.expect('> S. 0:0(0) ack 1').send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    peer.send('< P. 1:501(500) ack 1').expect('> . 1:1(0) ack 501').expectRead(500);
    peer.write(2500);
    peer
      .expect('> . 1:1001(1000) ack 501')
      .expect('> . 1001:2001(1000) ack 501')
      .expect('> P. 2001:2501(500)');
    peer.send('< . 501:501(0) ack 2501').shutdown().expect('> F. 2501:2501(0) ack 501');
    peer.send('< F. 501:501(0) ack 2502').expect('> . 2502:2502(0) ack 502').expectState('TIME-WAIT');
    peer.send('< F. 501:501(0) ack 2502').expect('> . 2502:2502(0) ack 502');
    peer.advanceMs(60_000).expectState('CLOSED');
  },

  'a handshake as client, refused numbers on the way': (isn) => {
    const peer = Peer.connecting(isn).expect('> S 0:0(0)');
    peer.send('< S. 0:0(0) ack 0').expect('> R 0:0(0)');
    peer.send('< S. 0:0(0) ack 2').expect('> R 2:2(0)');
    peer.send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
    peer.send('< F. 1:1(0) ack 1').expect('> . 1:1(0) ack 2').shutdown().expect('> F. 1:1(0) ack 2');
    peer.send('< . 2:2(0) ack 2').expectState('CLOSED');
  },

  'a simultaneous open and a simultaneous close': (isn) => {
    const peer = Peer.connecting(isn).expect('> S 0:0(0)');
    peer.send('< S 0:0(0) <mss 1000>').expect('> S. 0:0(0) ack 1').expectState('SYN-RECEIVED');
    peer.send('< S. 0:0(0) ack 1 <mss 1000>').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
    peer.shutdown().expect('> F. 1:1(0) ack 1').send('< F. 1:1(0) ack 1');
    peer.expect('> . 2:2(0) ack 2').expectState('CLOSING');
    peer.send('< . 2:2(0) ack 2').expectState('TIME-WAIT');
  },

  'text out of order, selectively acknowledged, with duplicates': (isn) => {
    const peer = Peer.established({ ...isn, mss: 1000 });
    peer.send('< . 2001:3001(1000) ack 1').expect('> . 1:1(0) ack 1 <sack 2001:3001>');
    peer.send('< . 4001:5001(1000) ack 1').expect('> . 1:1(0) ack 1 <sack 4001:5001 2001:3001>');
    peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 1001 <sack 4001:5001 2001:3001>');
    peer.send('< . 1:1001(1000) ack 1').expect('> . 1:1(0) ack 1001 <sack 1:1001 4001:5001 2001:3001>');
    peer.send('< . 501:2501(2000) ack 1').expect('> . 1:1(0) ack 3001');
    peer.send('< . 3001:4001(1000) ack 1').expect('> . 1:1(0) ack 5001 <!sack>').expectRead(5000);
  },

  'fast retransmission by SACK and a partial acknowledgment': (isn) => {
    const peer = Peer.established({ ...isn, mss: 1000 }).wrote(8000);
    peer.send('< . 1:1(0) ack 1 <sack 1001:2001>').send('< . 1:1(0) ack 1 <sack 1001:3001>').expectNothing();
    peer.send('< . 1:1(0) ack 1 <sack 1001:4001>').expect('> . 1:1001(1000) ack 1').drain();
    peer.send('< . 1:1(0) ack 4001').drain();
    peer.ackAll();
    expect(peer.endpoint.unackedBytes).to.equal(0);
  },

  'fast retransmission by duplicate ACKs': (isn) => {
    const peer = Peer.established({ ...isn, mss: 1000, sack: false }).wrote(8000);
    for (let i = 0; i < 3; i++) peer.send('< . 1:1(0) ack 1');
    peer.expect('> . 1:1001(1000) ack 1').drain();
    peer.send('< . 1:1(0) ack 3001').expect('> . 3001:4001(1000) ack 1').drain();
    peer.ackAll();
    expect(peer.endpoint.unackedBytes).to.equal(0);
  },

  'a retransmission time-out, and the ACK that comes late': (isn) => {
    const peer = Peer.established({ tailLossProbe: false, ...isn, mss: 1000 }).wrote(3000);
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1').expectAfterMs(440, '> . 1:1001(1000) ack 1');
    peer.send('< . 1:1(0) ack 1001').expect('> . 1001:2001(1000) ack 1').expect('> P. 2001:3001(1000) ack 1');
    peer.send('< . 1:1(0) ack 3001').expectNothing(5000);
  },

  'a window that closes, is probed, opens and shrinks': (isn) => {
    const peer = Peer.established({ ...isn, mss: 1000, window: 2000 });
    peer.write(6000).expect('> . 1:1001(1000) ack 1').expect('> P. 1001:2001(1000) ack 1').expectNothing();
    peer.advanceMs(20).send('< . 1:1(0) ack 2001 win 0').expectAfterMs(220, '> . 2000:2000(0) ack 1');
    peer.send('< . 1:1(0) ack 2001 win 3000');
    peer.expect('> . 2001:3001(1000) ack 1').expect('> . 3001:4001(1000)').expect('> P. 4001:5001(1000)');
    peer.send('< . 1:1(0) ack 3001 win 500').expectNothing();
    peer.send('< . 1:1(0) ack 5001 win 1000').expect('> P. 5001:6001(1000) ack 1');
    peer.ackAll();
  },

  'a receive window that fills, refuses and opens': (isn) => {
    const small = { receiveBufferBytes: 2000, receiveBufferMaxBytes: 2000 };
    const peer = Peer.established({ ...isn, mss: 1000, options: small });
    peer.sendText(2000).drain();
    peer.send('< . 2001:3001(1000) ack 1').expect('> . 1:1(0) ack 2001 win 0');
    peer.expectRead(2000).expect('> . 1:1(0) ack 2001 win 2000');
    peer.send('< . 1501:2501(1000) ack 1').drain();
    peer.expectRead(500);
  },

  'urgent data both ways': (isn) => {
    const peer = Peer.established({ ...isn, mss: 1000 });
    peer.write(3000, { urgent: true });
    peer.expect('> .U 1:1001(1000) ack 1 urg 3000').expect('> .U 1001:2001(1000) ack 1 urg 2000');
    peer.expect('> P.U 2001:3001(1000) ack 1 urg 1000').ackAll();
    peer.takeEvents();
    peer.send('< P.U 1:101(100) ack 3001 urg 50').drain();
    expect(peer.takeEvents()).to.deep.equal(['urgent', 'readable']);
    expect(peer.endpoint.urgentBytes).to.equal(50);
    expect(peer.read(200)).to.have.lengthOf(49);
    expect(peer.endpoint.isAtMark).to.equal(true);
    expect(peer.endpoint.readUrgent()).to.equal(peer.outgoing.bytes(49, 1)[0]);
    expect(peer.read(200)).to.have.lengthOf(50);
  },

  'resets: exact, in the window, outside': (isn) => {
    const peer = Peer.established(isn);
    peer.send('< R 0:0(0)').send('< R 65536:65536(0)').expectNothing();
    peer.send('< R 2:2(0)').expect('> . 1:1(0) ack 1').expectState('ESTABLISHED');
    peer.send('< R 1:1(0)').expectNothing().expectState('CLOSED');
  },

  'acknowledgments too new and too old': (isn) => {
    const peer = Peer.established({ ...isn, mss: 1000, tcp: { invalidAckIntervalMs: 0 } }).wrote(3000);
    peer.send('< P. 1:11(10) ack 3002').expect('> . 3001:3001(0) ack 1');
    peer.send('< P. 1:11(10) ack 0').expect('> . 3001:3001(0) ack 1');
    peer.send('< P. 1:11(10) ack 2001').expectState('ESTABLISHED').drain();
    peer.expectRead(10).send('< P. 11:21(10) ack 1').drain();
    peer.expectRead(10).send('< . 21:21(0) ack 3001').drain();
    expect(peer.endpoint.unackedBytes).to.equal(0);
  },

  'timestamps that wrap': (isn) => {
    for (const timestampBase of [0x7fff_fff0, 0xffff_fff0]) {
      const peer = Peer.established({ ...isn, mss: 1012, timestamps: true, timestampBase });
      for (let i = 0; i < 5; i++) {
        peer.advanceMs(10).sendText(100).expectRead(100).drain();
        peer
          .write(1000)
          .expect(
            `> P. * <TS val * ecr ${peer.tsVal}>`.replace(
              'P. *',
              `P. ${1 + 1000 * i}:${1001 + 1000 * i}(1000)`,
            ),
          );
        peer.ackAll();
      }
      const old = `TS val ${peer.tsVal - 30} ecr 0`;
      peer.send(`< P. 501:601(100) ack 5001 <${old}>`).expect('> . 5001:5001(0) ack 501');
      expect(peer.stats.tcp.pawsEstab).to.equal(1);
    }
  },

  'a keep-alive probe, sent and answered': (isn) => {
    const peer = Peer.established({ ...isn, options: { keepAlive: true, keepAliveIdleMs: 10_000 } });
    peer.expectAfterMs(10_000, '> . 0:0(0) ack 1').send('< . 1:1(0) ack 1').expectNothing(9_999);
    peer.send('< . 0:0(0) ack 1').expect('> . 1:1(0) ack 1');
  },

  'a FIN out of order and an abort': (isn) => {
    const peer = Peer.established(isn);
    peer.send('< F. 501:501(0) ack 1').expect('> . 1:1(0) ack 1');
    peer.send('< . 1:501(500) ack 1').expect('> . 1:1(0) ack 502').expectState('CLOSE-WAIT').expectRead(500);
    peer.wrote(100).abort().expect('> R. 101:101(0) ack 502').expectState('CLOSED');
  },

  'a new connection out of TIME-WAIT': (isn) => {
    const peer = Peer.in('TIME-WAIT', isn);
    const sent = peer.rcvNxt;
    peer
      .send('< S 100000:100000(0) <mss 1000>')
      .expect(`> S. ${sent + 65_537}:${sent + 65_537}(0) ack 100001`);
    peer.expectState('SYN-RECEIVED');
  },
};

describe('sequence numbers that wrap (RFC 9293 §3.4)', () => {
  for (const [name, scenario] of Object.entries(scenarios)) {
    it(`make no difference to ${name} [FSM-44]`, () => forEachIsn(scenario));
  }

  forEachFamily((family, name) => {
    it(`make no difference to 200 kB each way, over ${name} [FSM-44]`, () => {
      forEachIsn((isn) => {
        const peer = Peer.established({ ...isn, ...family, mss: 1000 });
        for (let i = 0; i < 20; i++) {
          for (let left = 10_000; left > 0; ) {
            const admitted = Math.min(left, peer.endpoint.writableBytes);
            peer.write(admitted).ackAll();
            left -= admitted;
          }
          peer.sendText(10_000).expectRead(10_000).drain();
        }
        peer.ackAll();
        expect(peer.endpoint.unackedBytes).to.equal(0);
      });
    });
  });
});
