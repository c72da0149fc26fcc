/** What a sender does when its marks are fed back by ECE (RFC 3168 §6.1.2): rows ECN-8 and ECN-9 of tcp.md. */
import { expect } from 'chai';
import { classicPeer } from '../../support/ecn-peer.js';
import { type Peer, type PeerOptions } from '../../support/peer.js';

const MSS = 1000;

/** A classic connection with NewReno that has so much to send, its initial window in flight. */
function sending(bytes: number, options: PeerOptions = {}): Peer {
  const peer = classicPeer({
    mss: MSS,
    ...options,
    options: { congestionControl: 'reno', ...options.options },
  });
  return peer.wrote(bytes);
}

const cwndOf = (peer: Peer): number => peer.endpoint.info.cwndBytes;

/** Acknowledges everything up to `end`, one segment at a time. @returns the flags and numbers of what was sent */
function ackUpTo(peer: Peer, start: number, end: number, flags = '.'): string[] {
  const sent: string[] = [];
  for (let ack = start + MSS; ack <= end; ack += MSS) {
    peer.send(`< ${flags} 1:1(0) ack ${ack}`);
    for (const { text } of peer.drain()) sent.push(text.replace(/ win.*/, ''));
  }
  return sent;
}

describe('ECE', () => {
  it('halves the window once, however often it comes for one window of data [ECN-8]', () => {
    const peer = sending(60_000);
    expect(peer.endpoint.info.inFlightBytes).to.equal(10 * MSS);
    const sent = ackUpTo(peer, 1, 10_001, '.E');
    expect(peer.endpoint.info).to.include({ ssthreshBytes: 5 * MSS, retransmissions: 0 });
    // Sent at half of the pace, as PRR does it: five for ten.
    expect(sent.length).to.equal(5);
    // All of that window is acknowledged: the next mark is another.
    const next = ackUpTo(peer, 10_001, 15_001, '.');
    expect(next.length).to.be.within(5, 6);
    const before = cwndOf(peer);
    peer.send(`< .E 1:1(0) ack 16001`);
    expect(peer.endpoint.info.ssthreshBytes).to.be.within(2 * MSS, before / 2);
  });

  it('is answered by CWR on the first new text after it, and only there [ECN-8]', () => {
    const peer = sending(60_000).send('< .E 1:1(0) ack 1001').send('< .E 1:1(0) ack 2001');
    const sent = [...peer.drain().map(({ text }) => text), ...ackUpTo(peer, 2001, 10_001, '.E')];
    expect(sent[0]).to.match(/^> \[ect0\] \.W 10001:11001/);
    for (const line of sent.slice(1)) expect(line).to.match(/^> \[ect0\] \. /);
  });

  it('is answered by a segment that goes alone where super-packets could leave [ECN-8]', () => {
    const peer = classicPeer({ mss: MSS, offload: true, options: { congestionControl: 'reno' } });
    peer.write(60_000).drain();
    peer.send('< .E 1:1(0) ack 10001').expect('> [ect0] .W 10001:11001(1000) ack 1');
    const rest = peer.drain();
    expect(rest.map(({ text }) => text).join()).to.match(/^> \[ect0\] P?\. 11001:15001\(4000\) ack 1 [^,]*$/);
  });

  it('is not answered by what is sent again, whose loss was not told of yet [ECN-8]', () => {
    const peer = sending(60_000).send('< .E 1:1(0) ack 1 <sack 1001:5001>');
    const first = peer.drain().map(({ text }) => text);
    expect(first[0]).to.match(/^> \. 1:1001/);
    const carrier = [...first, ...ackUpTo(peer, 4001, 10_001, '.E')].find((text) => text.includes('W'));
    expect(carrier).to.match(/^> \[ect0\] \.W 10001:11001/);
  });

  it('retransmits nothing, and leaves a segment of window at least [ECN-9]', () => {
    const peer = sending(60_000);
    let una = 1;
    for (let round = 0; round < 12; round++) {
      peer.advanceMs(50);
      peer.drain();
      const { rcvNxt } = peer;
      peer.send(`< .E 1:1(0) ack ${rcvNxt}`);
      peer.advanceMs(1);
      expect(cwndOf(peer)).to.be.at.least(MSS);
      una = rcvNxt;
    }
    expect(una).to.be.above(10_001);
    expect(cwndOf(peer)).to.be.at.most(2 * MSS);
    expect(peer.endpoint.info.retransmissions).to.equal(0);
    expect(peer.stats.tcp.timeouts).to.equal(0);
  });

  it('where the window is one segment lets the next leave only when the timer would expire [ECN-9]', () => {
    const peer = sending(60_000, { options: { initialWindow: 1, congestionControl: 'reno' } });
    peer.send('< .E 1:1(0) ack 1001').expectNothing();
    const { rtoUs } = peer.endpoint.info;
    peer.expectAfterMs(rtoUs / 1000, '> [ect0] .W 1001:2001(1000) ack 1');
    // Without another mark things go on as usual.
    peer.send('< . 1:1(0) ack 2001');
    expect(peer.waiting).to.be.above(0);
    expect(peer.endpoint.info.retransmissions).to.equal(0);
  });
});
