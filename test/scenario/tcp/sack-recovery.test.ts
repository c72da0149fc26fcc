/** Recovery by counting selective acknowledgments, where RACK is off (RFC 6675), and its pace (RFC 9937). */
import { expect } from 'chai';
import fc from 'fast-check';
import { type Seq, seq, seqAdd } from '../../../lib/base/seq.js';
import { AckFacts } from '../../../lib/tcp/recovery/ack-facts.js';
import { Phase, type Recovery } from '../../../lib/tcp/recovery/recovery.js';
import { RowFlag } from '../../../lib/tcp/recovery/sent-log.js';
import { classicPeer } from '../../support/ecn-peer.js';
import { Peer, type PeerOptions } from '../../support/peer.js';
import { recoveryAt } from '../../support/recovery.js';

const MSS = 1000;

const established = (options: PeerOptions = {}): Peer =>
  Peer.established({
    tailLossProbe: false,
    mss: MSS,
    ...options,
    options: { rack: false, congestionControl: 'reno', ...options.options },
  });

const senderOf = (peer: Peer) => peer.endpoint.connection.sender;
const phaseOf = (peer: Peer): Phase => senderOf(peer).recovery.phase;

/** An ACK with blocks given in thousands. */
const sack = (ack: number, ...blocks: [number, number][]): string => {
  const edges = blocks.map(([from, to]) => `${MSS * from + 1}:${MSS * to + 1}`).join(' ');
  return `< . 1:1(0) ack ${MSS * ack + 1} <nop,nop,sack ${edges}>`;
};

describe('recovery by SACK (RFC 6675)', () => {
  it('begins with the third duplicate ACK, which is one that brings new blocks (§2) [6675-1 6675-11]', () => {
    const peer = established()
      .wrote(8 * MSS)
      .advanceMs(20);
    peer
      .send(sack(0, [1, 2]))
      .send(sack(0, [1, 2]))
      .send(sack(0, [1, 2]))
      .send(sack(0, [1, 2]));
    expect(phaseOf(peer), 'nothing new').to.equal(Phase.Open);
    peer
      .send(sack(0, [1, 3]))
      .send('< . 1:1(0) ack 1 win 60000')
      .send('< . 1:1(0) ack 1 win 50000')
      .expectNothing();
    peer.send(sack(0, [1, 4])).expect('> . 1:1001(1000) ack 1');
    expect(phaseOf(peer)).to.equal(Phase.Recovery);
    peer.advanceMs(20).ackAll();
  });

  it('takes for lost what three discontiguous ranges, or more than two segments, lie above (§4 IsLost) [6675-2]', () => {
    const iss = seq(0xffff_f000);
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 39 }), { maxLength: 30 }), (numbers) => {
        const recovery = recoveryOf(iss, 40);
        const facts = factsOf(iss, 40);
        // At most four blocks an ACK, as on the wire.
        for (let i = 0; i < numbers.length; i += 4) {
          const some = numbers.slice(i, i + 4).sort((a, b) => a - b);
          facts.sackCount = some.length;
          some.forEach((n, k) => {
            facts.sackEdges[2 * k] = seqAdd(iss, n * MSS);
            facts.sackEdges[2 * k + 1] = seqAdd(iss, (n + 1) * MSS);
          });
          recovery.acknowledge(facts, iss);
        }
        const sacked = new Set(numbers);
        const lost = (n: number): boolean => {
          const above = [...sacked].filter((m) => m > n);
          return !sacked.has(n) && (above.length >= 3 || above.length * MSS > 2 * MSS);
        };
        for (let n = 0; n < 40; n++) {
          const slot = recovery.log.slot(recovery.log.find(seqAdd(iss, n * MSS)));
          expect(recovery.log.has(slot, RowFlag.LOST), `segment ${n}`).to.equal(lost(n));
        }
        // SetPipe: neither acknowledged nor lost, or sent again.
        const pipe = [...Array(40).keys()].filter((n) => !sacked.has(n) && !lost(n)).length;
        expect(recovery.inFlightBytes).to.equal(pipe * MSS);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('counts what was sent again into what is in flight (§4 SetPipe) [6675-3]', () => {
    const iss = seq(1);
    const recovery = recoveryOf(iss, 10);
    const facts = factsOf(iss, 10);
    facts.sackCount = 1;
    facts.sackEdges[0] = seqAdd(iss, 2 * MSS);
    facts.sackEdges[1] = seqAdd(iss, 6 * MSS);
    recovery.acknowledge(facts, iss);
    expect(recovery.inFlightBytes, 'four acknowledged, two lost').to.equal(4 * MSS);
    recovery.resent(recovery.board.nextLost(), seqAdd(iss, MSS), 1, 0);
    expect(recovery.inFlightBytes).to.equal(5 * MSS);
  });

  it('sends what is lost, then what is new, then what may be missing, and the last of all once (§4 NextSeg) [6675-4 6675-7]', () => {
    const peer = established({ window: 9 * MSS })
      .wrote(8 * MSS)
      .advanceMs(20);
    peer.send(sack(0, [1, 2])).send(sack(0, [1, 2], [3, 4]));
    // Rule 1: the first of what is lost.
    peer
      .send(sack(0, [1, 2], [3, 4], [5, 6]))
      .expect('> . 1:1001(1000) ack 1')
      .expectNothing();
    peer.write(MSS);
    // Rule 2: new data, now that ACKs say something has left.
    peer.send(sack(0, [1, 2], [3, 4], [5, 7])).send(sack(0, [1, 2], [3, 4], [5, 8]));
    const sent = peer.drain().map(({ line }) => line.start);
    expect(sent.slice(0, 2)).to.deep.equal([2001, 4001]);
    // Rules 3 and 4: with everything sent and nothing else lost, what is not acknowledged below the highest block.
    peer.advanceMs(5).send(sack(1, [3, 4], [5, 9]));
    const more = peer.drain().map(({ line }) => line.start);
    expect([...sent, ...more]).to.include(8001);
    expect(new Set([...sent, ...more]).size, 'each once').to.equal(sent.length + more.length);
    peer.ackAll();
  });

  it('halves the window from what is in flight, notes where it ends, and ends there (§5) [6675-5 6675-8 PRR-10]', () => {
    const peer = established()
      .wrote(10 * MSS)
      .write(6 * MSS)
      .advanceMs(20);
    peer.send(sack(0, [1, 4])).expect('> . 1:1001(1000) ack 1');
    const { congestion, recovery } = senderOf(peer);
    expect(congestion.ssthreshBytes).to.equal(5 * MSS);
    const end = peer.rcvNxt;
    while (peer.rcvNxt - 1 < 16 * MSS)
      peer
        .advanceMs(5)
        .send(sack(0, [1, (peer.rcvNxt - 1) / MSS]))
        .drain();
    // A partial ACK does not end it, the whole does.
    peer.send(sack(4, [5, (peer.rcvNxt - 1) / MSS]));
    expect(phaseOf(peer)).to.equal(Phase.Recovery);
    expect(end).to.equal(10_001);
    peer.drain();
    peer.ackAll();
    expect(recovery.phase).to.equal(Phase.Open);
    expect(congestion.cwndBytes, 'ssthresh, and what the last ACK adds').to.be.within(5 * MSS, 6 * MSS);
  });

  it('lets a new segment leave for each of the first duplicates (RFC 3042 §2) [6675-6 CC-8]', () => {
    const peer = established()
      .wrote(10 * MSS)
      .write(5 * MSS)
      .expectNothing()
      .advanceMs(20);
    peer
      .send(sack(0, [1, 2]))
      .expect('> . 10001:11001(1000)')
      .expectNothing();
    peer
      .send(sack(0, [1, 3]))
      .expect('> . 11001:12001(1000)')
      .expectNothing();
    expect(peer.rcvNxt - 1, 'what has left').to.equal(12 * MSS);
    peer.send(sack(0, [1, 3])).expectNothing();
    peer.ackAll().drain();
    peer.ackAll();
    // Not beyond the peer's window.
    const small = established({ window: 10 * MSS })
      .wrote(10 * MSS)
      .write(5 * MSS)
      .advanceMs(20);
    small.send(`${sack(0, [1, 2]).replace('ack 1', 'ack 1 win 10000')}`).expectNothing();
    small.abort().drain();
  });

  it('does not begin again before what was sent at a time-out is acknowledged (§5.1) [6675-9]', () => {
    const peer = established({ options: { forwardRto: false } }).wrote(8 * MSS);
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    const { congestion } = senderOf(peer);
    const ssthresh = congestion.ssthreshBytes;
    peer.send('< . 1:1(0) ack 1001').drain();
    peer.send(sack(1, [2, 5])).drain();
    expect(phaseOf(peer)).to.equal(Phase.Loss);
    expect(congestion.ssthreshBytes).to.equal(ssthresh);
    peer.ackAll();
    expect(phaseOf(peer)).to.equal(Phase.Open);
  });

  it('arms the timer anew with the first retransmission (§6) [6675-10]', () => {
    const peer = established()
      .wrote(8 * MSS)
      .advanceMs(20);
    peer.send(sack(0, [1, 4])).expect('> . 1:1001(1000) ack 1');
    const { recovery } = senderOf(peer);
    const dueMs = recovery.rtoUs / 1000;
    // A timer that had begun with the first transmission would end 20 ms before.
    peer.expectNothing(Math.ceil(dueMs) - 1);
    expect(peer.stats.tcp.timeouts).to.equal(0);
    peer.advanceMs(2);
    expect(peer.stats.tcp.timeouts).to.equal(1);
    peer.abort().drain();
  });
});

describe('the pace of recovery (RFC 9937)', () => {
  it('starts from what was in flight, without what was selectively acknowledged before [PRR-1]', () => {
    const peer = established()
      .wrote(10 * MSS)
      .advanceMs(20);
    // Two are acknowledged before, one by the ACK that begins it: 10 - 3 + 1 = 8 are taken for in flight.
    peer
      .send(sack(0, [1, 2]))
      .send(sack(0, [1, 3]))
      .send(sack(0, [1, 4]))
      .expect('> . 1:1001(1000) ack 1');
    const { prr } = senderOf(peer).recovery;
    expect(prr.deliveredBytes).to.equal(MSS);
    // ssthresh is 5000: with 1000 more delivered, ceil(2000 · 5000 / 8000) - 1000 = 250 bytes may go.
    peer.send(sack(0, [1, 5]));
    expect(senderOf(peer).cwndBytes - senderOf(peer).recovery.inFlightBytes).to.equal(250);
    peer.ackAll();
  });

  it('takes a duplicate ACK for a segment without SACK, and takes that back with the next ACK [PRR-3 CC-9]', () => {
    const peer = established({ sack: false })
      .wrote(10 * MSS)
      .advanceMs(20);
    const duplicate = '< . 1:1(0) ack 1';
    peer.send(duplicate).send(duplicate).send(duplicate).expect('> . 1:1001(1000) ack 1');
    const { recovery } = senderOf(peer);
    expect(recovery.prr.deliveredBytes).to.equal(MSS);
    peer.send(duplicate).send(duplicate);
    expect(recovery.prr.deliveredBytes).to.equal(3 * MSS);
    // Four are acknowledged, of which three were counted.
    peer.send('< . 1:1(0) ack 4001').expect('> . 4001:5001(1000) ack 1');
    expect(recovery.prr.deliveredBytes).to.equal(4 * MSS);
    peer.ackAll().drain();
  });

  it('is forgotten at a time-out, whose slow start it leaves alone [PRR-12]', () => {
    const peer = established({ options: { forwardRto: false } })
      .wrote(10 * MSS)
      .advanceMs(20);
    peer.send(sack(0, [1, 4])).expect('> . 1:1001(1000) ack 1');
    peer.expectAfterMs(220, '> . 1:1001(1000) ack 1');
    const sender = senderOf(peer);
    expect(sender.recovery.episode.isReducing).to.equal(false);
    expect(sender.cwndBytes).to.equal(MSS);
    peer.send(sack(4, [5, 6])).drain();
    expect(sender.cwndBytes).to.equal(2 * MSS);
    peer.ackAll().drain();
  });

  it('applies to a reduction for a congestion mark as well, without a loss (RFC 3168 §6.1.2) [PRR-13]', () => {
    const peer = classicPeer({ mss: MSS, options: { congestionControl: 'reno' } });
    peer
      .wrote(10 * MSS)
      .write(20 * MSS)
      .drain();
    const sender = senderOf(peer);
    peer.advanceMs(20).send('< .E 1:1(0) ack 1001').drain();
    expect(sender.recovery.phase).to.equal(Phase.Cwr);
    const { ssthreshBytes } = sender.congestion;
    // In flight falls to the new window as ACKs come, one segment leaving for two that are acknowledged.
    const inFlight: number[] = [];
    for (let ack = 2001; ack <= 9001; ack += MSS) {
      peer.send(`< . 1:1(0) ack ${ack}`).drain();
      inFlight.push(sender.recovery.inFlightBytes);
    }
    expect(inFlight[0]).to.be.above(ssthreshBytes);
    expect(inFlight.at(-1)).to.be.within(ssthreshBytes - MSS, ssthreshBytes + MSS);
    for (let k = 1; k < inFlight.length; k++) expect(inFlight[k]).to.be.at.most(inFlight[k - 1]);
    peer.abort().drain();
  });

  it('survives selective acknowledgments that are taken back (RFC 2018 §8) [PRR-13]', () => {
    const peer = established({ options: { forwardRto: false } })
      .wrote(10 * MSS)
      .advanceMs(20);
    peer.send(sack(0, [1, 8])).drain();
    const { prr } = senderOf(peer).recovery;
    expect(prr.deliveredBytes).to.equal(7 * MSS);
    // The block vanishes, and what it held is not acknowledged.
    peer.send('< . 1:1(0) ack 1001').send('< . 1:1(0) ack 2001');
    expect(senderOf(peer).cwndBytes).to.equal(5 * MSS);
    for (let k = 0; k < 12; k++) peer.advanceMs(300).ackAll().drain();
    expect(peer.endpoint.unackedBytes).to.equal(0);
  });
});

/** A recovery with `segments` segments in flight. */
function recoveryOf(iss: Seq, segments: number): Recovery {
  const recovery = recoveryAt(iss, { rack: false, tailLossProbe: false, forwardRto: false });
  recovery.sack = true;
  recovery.mssBytes = MSS;
  for (let n = 0; n < segments; n++)
    recovery.sent(seqAdd(iss, n * MSS), seqAdd(iss, (n + 1) * MSS), 0, false);
  return recovery;
}

function factsOf(iss: Seq, segments: number): AckFacts {
  const facts = new AckFacts();
  facts.ack = iss;
  facts.sndNxt = seqAdd(iss, segments * MSS);
  facts.mssBytes = MSS;
  return facts;
}
