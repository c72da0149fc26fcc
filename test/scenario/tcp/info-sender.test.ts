/** What a connection tells of its losses, its time-outs and its path (Linux TCP_INFO): tcp.md RM-14. */
import { expect } from 'chai';
import { Peer } from '../../support/peer.js';

const MSS = 1000;

describe('what a sender tells of itself', () => {
  it('is what it sent again, of that what is in flight, and what the peer got twice (Linux TCP_INFO) [RM-14]', () => {
    const peer = Peer.established({ mss: MSS }).wrote(6 * MSS);
    for (const end of [2001, 3001, 4001]) peer.send(`< . 1:1(0) ack 1 <nop,nop,sack 1001:${end}>`);
    peer.expect('> . 1:1001(1000) ack 1').drain();
    expect(peer.endpoint.info).to.include({
      phase: 'recovery',
      lostBytes: MSS,
      retransmittedInFlightBytes: MSS,
      retransmissions: 1,
      duplicatesReported: 0,
    });
    peer.send('< . 1:1(0) ack 6001').send('< . 1:1(0) ack 6001 <nop,nop,sack 1:1001>').drain();
    expect(peer.endpoint.info).to.include({
      phase: 'open',
      retransmittedInFlightBytes: 0,
      retransmissions: 1,
      duplicatesReported: 1,
    });
  });

  it('is how often it timed out, and how long it took to get over that (Linux tcpi_total_rto) [RM-14]', () => {
    const peer = Peer.established({ mss: MSS, options: { tailLossProbe: false } }).wrote(10);
    // At 220, 660 and 1540 ms; the ACK comes at 2000.
    peer.advanceMs(2000).drain();
    expect(peer.endpoint.info).to.include({ timeouts: 3, timeoutRecoveries: 1, timeoutRecoveryUs: 0 });
    peer.ackAll();
    expect(peer.endpoint.info).to.include({
      timeouts: 3,
      timeoutRecoveries: 1,
      timeoutRecoveryUs: 1_780_000,
    });
    const { rtoUs } = peer.endpoint.info;
    peer.wrote(10);
    peer.advanceMs(rtoUs / 1000 + 50).drain();
    peer.ackAll();
    expect(peer.endpoint.info).to.include({
      timeouts: 4,
      timeoutRecoveries: 2,
      timeoutRecoveryUs: 1_830_000,
    });
  });

  it('is how fast the path delivers, and whether the application was the limit (Linux TCP_INFO) [RM-14]', () => {
    const peer = Peer.established({ mss: MSS });
    expect(peer.endpoint.info).to.include({ deliveryRateBps: 0, isDeliveryRateAppLimited: false });
    peer.wrote(2 * MSS).advanceMs(20);
    peer.ackAll();
    // 2000 bytes in 20 ms.
    expect(peer.endpoint.info).to.include({ deliveryRateBps: 100_000, isDeliveryRateAppLimited: true });
    for (let i = 0; i < 3; i++) {
      peer.offer(60_000);
      peer.drain();
      peer.advanceMs(20).ackAll().drain();
    }
    // The third window of slow start in 20 ms.
    expect(peer.endpoint.info).to.include({ deliveryRateBps: 2_000_000, isDeliveryRateAppLimited: false });
    peer.abort().drain();
  });

  it('is whether the path was seen to reorder, and how long is waited for what is late (RFC 8985) [RM-14]', () => {
    const peer = Peer.established({ mss: MSS }).wrote(4 * MSS);
    expect(peer.endpoint.info).to.include({ reorderingSeen: false });
    peer.advanceMs(20).send('< . 1:1(0) ack 1 <nop,nop,sack 2001:3001>');
    peer.send('< . 1:1(0) ack 1 <nop,nop,sack 1001:3001>').drain();
    // A quarter of the smallest round trip.
    expect(peer.endpoint.info).to.include({ reorderingSeen: true, reorderingWindowUs: 5000 });
    peer.ackAll().drain();
  });

  it('is at which rate it spreads what it sends (Linux tcpi_pacing_rate) [RM-14]', () => {
    const peer = Peer.established({ mss: MSS });
    expect(peer.endpoint.info.pacingRateBps).to.equal(Number.POSITIVE_INFINITY);
    peer.endpoint.setMaxPacingRate(50_000);
    expect(peer.endpoint.info).to.include({ pacingRateBps: 50_000, maxPacingRateBps: 50_000 });
    peer.endpoint.setMaxPacingRate(1e9);
    peer.endpoint.setOption('pacing', true);
    const { pacingRateBps, cwndBytes } = peer.endpoint.info;
    // In slow start twice the window in a round trip.
    expect(pacingRateBps).to.be.closeTo((2 * cwndBytes) / 0.02, 1);
  });
});
