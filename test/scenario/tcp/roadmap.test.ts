/** Loose ends of the roadmap of TCP documents (RFC 7414): tcp.md §19, RM-*. */
import { expect } from 'chai';
import { Simulation } from '../../../lib/sim/simulation.js';
import { Peer } from '../../support/peer.js';

describe('losses found by time (RFC 8961)', () => {
  it('take an interval of a second before anything is known, back off, and are bounded [RM-1]', () => {
    const peer = Peer.connecting();
    const times: number[] = [];
    for (let ms = 0; ms <= 70_000; ms += 100) {
      if (peer.drain().length > 0) times.push(ms);
      peer.advanceMs(100);
    }
    expect(times).to.deep.equal([0, 1000, 3000, 7000, 15_000, 31_000, 63_000]);
    peer.abort().drain();
  });

  it('follow measurement, with a floor and a ceiling, and back off [RM-1]', () => {
    const peer = Peer.established({ options: { tailLossProbe: false, rtoMaxMs: 2000 } }).wrote(10);
    const rtos: number[] = [peer.endpoint.info.rtoUs / 1000];
    for (let i = 0; i < 5; i++) {
      peer.advanceMs(rtos[i]);
      expect(peer.drain().length, `time-out ${i}`).to.equal(1);
      rtos.push(peer.endpoint.info.rtoUs / 1000);
    }
    expect(rtos).to.deep.equal([220, 440, 880, 1760, 2000, 2000]);
    peer.ackAll().drain();
  });

  it('count as one sign of congestion for each window of data, however often the timer expires [RM-1]', () => {
    const options = { tailLossProbe: false, congestionControl: 'reno' };
    const peer = Peer.established({ mss: 1000, options }).wrote(10_000);
    peer.advanceMs(220).drain();
    expect(peer.endpoint.info).to.include({ cwndBytes: 1000, ssthreshBytes: 5000, timeouts: 1 });
    peer.advanceMs(440 + 880).drain();
    expect(peer.endpoint.info).to.include({ cwndBytes: 1000, ssthreshBytes: 5000, timeouts: 3 });
    peer.ackAll().drain();
  });
});

describe('a path that reorders every tenth packet (RFC 4653, RFC 8985)', () => {
  it('makes no recovery any more once it is known to: RACK waits a little [RM-3]', function () {
    this.timeout(20_000);
    const net = new Simulation({
      seed: 3,
      // Four milliseconds late, of a round trip of forty: a quarter of it is what RACK waits.
      upstream: { rateBps: 5e7, delayMs: 20, queuePackets: 5000, reorder: { probability: 0.1, delayMs: 4 } },
      downstream: { delayMs: 20 },
    });
    const transfer = net.start({ bytes: 8_000_000 });
    const { tcp } = net.client.stats;
    net.clock.runUntil(() => transfer.receivedBytes >= 1_000_000, 60e6);
    expect(transfer.clientEndpoint.info.reorderingSeen).to.equal(true);
    const { sackRecovery, retransSegs } = tcp;
    net.clock.runUntil(() => transfer.isOver, 60e6);
    expect(transfer.receivedBytes).to.equal(8_000_000);
    expect(tcp.sackRecovery).to.equal(sackRecovery);
    expect(tcp.retransSegs).to.equal(retransSegs);
    expect(tcp.timeouts).to.equal(0);
    net.rest();
    net.close();
  });
});

describe('what one connection has learned (RFC 9040)', () => {
  it('is no other’s: windows and round-trip times begin anew with each, to the same peer too [RM-9 CC-23]', () => {
    const first = Peer.established({ mss: 1000 }).wrote(10_000);
    first.advanceMs(1000).drain();
    expect(first.endpoint.info.cwndBytes).to.equal(1000);
    expect(first.endpoint.info.rtoUs).to.be.above(220_000);
    const second = first.another({ port: 40_001 }).handshake();
    second.drain();
    expect(second.endpoint.info).to.include({ cwndBytes: 10_000, rttUs: 20_000, rtoUs: 220_000 });
    expect(second.endpoint.info.ssthreshBytes).to.be.above(1e8);
    first.abort().drain();
    // Nor does what has ended leave anything behind: no threshold, no round-trip time, no window.
    second.abort().drain();
    const third = first.another({ port: 40_002, rttMs: 40 }).handshake();
    third.drain();
    expect(third.endpoint.info).to.include({ cwndBytes: 10_000, rttUs: 40_000, rtoUs: 240_000 });
    expect(third.endpoint.info.ssthreshBytes).to.be.above(1e8);
  });
});

describe('ICMP, and the end of connections, as later documents have it (RFC 7414 §3, §4)', () => {
  it('end no connection and slow none, and are believed only of what is in flight (RFC 5461, 5927) [RM-11]', () => {
    const peer = Peer.established({ mss: 1000 }).wrote(5000);
    const before = peer.endpoint.info;
    for (const kind of ['port', 'protocol', 'host', 'source-quench'] as const) {
      peer.icmp(kind);
      expect(peer.endpoint.info).to.include({ state: 'ESTABLISHED', cwndBytes: before.cwndBytes });
    }
    // About a sequence number that was never sent.
    const about = Uint8Array.from(peer.last?.bytes ?? []);
    about[24] ^= 0x40;
    peer.icmp('too-big', { mtu: 600, about });
    expect(peer.endpoint.info.mssBytes).to.equal(1000);
    expect(peer.stats.icmp.inUnmatched).to.equal(1);
    peer.ackAll().drain();
  });

  it('let a newer SYN reopen what is in TIME-WAIT, by its timestamp (RFC 6191) [RM-11]', () => {
    const peer = Peer.in('TIME-WAIT', { timestamps: true });
    peer.advanceMs(2000).reborn();
    peer
      .send(`< S 5:5(0) win 65535 <mss 1460,sackOK,TS val ${peer.tsVal} ecr 0>`)
      .expect('> S. 0:0(0) ack 6');
    expect(peer.stats.tcp.twRecycled).to.equal(1);
    peer.drain();
  });
});
