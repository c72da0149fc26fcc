/** Probing the path for the segments it takes, and falling back where they vanish (RFC 4821, RFC 2923 §2.1). */
import { expect } from 'chai';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

/** Probes at once: the window has eleven segments from the start. */
const ALWAYS: PeerOptions = { options: { mtuProbing: 'always', initialWindow: 11 } };
const PLENTY = 60_000;

const senderOf = (peer: Peer) => peer.endpoint.connection.sender;
const textsOf = (peer: Peer): number[] => peer.drain().map(({ line }) => line.textBytes);

describe('a probe of the path MTU', () => {
  it('is one larger segment of data among others (RFC 4821 §7.2, §7.4) [PMTU-10 PMTU-11]', () => {
    const peer = Peer.established(ALWAYS);
    expect(senderOf(peer).mssBytes).to.equal(1024);
    peer.write(PLENTY).expect('> . 1:1243(1242) ack 1');
    expect(new Set(textsOf(peer)), 'the rest is as before').to.deep.equal(new Set([1024]));
    peer.ackAll();
    expect(senderOf(peer).mssBytes, 'it has arrived').to.equal(1242);
    expect(new Set(textsOf(peer)), 'a window of data must prove it first').to.deep.equal(new Set([1242]));
    while (peer.endpoint.unackedBytes > 0) peer.ackAll();
    peer.drain();
    peer.write(PLENTY).expect('> . 60001:61352(1351) ack 1');
    expect(peer.stats.tcp).to.include({ mtuProbes: 2, mtuProbeSuccess: 1, mtuProbeFail: 0, timeouts: 0 });
  });

  it('is sent only with enough behind it to tell of its loss (RFC 4821 §7.4) [PMTU-11]', () => {
    const needed = 1242 + 4 * 1024;
    for (const [bytes, first] of [
      [needed - 1, 1024],
      [needed, 1242],
    ]) {
      expect(textsOf(Peer.established(ALWAYS).write(bytes))[0], `${bytes} written`).to.equal(first);
    }
  });

  it('is sent only where both windows allow it (RFC 4821 §7.4) [PMTU-11]', () => {
    const needed = 1242 + 4 * 1024;
    const first = (options: PeerOptions): number => textsOf(Peer.established(options).write(PLENTY))[0];
    expect(first({ ...ALWAYS, window: needed })).to.equal(1242);
    expect(first({ ...ALWAYS, window: needed - 1 })).to.equal(1024);
    expect(first({ options: { mtuProbing: 'always', initialWindow: 10 } }), 'a small window').to.equal(1024);
    // With as much in flight as the window allows there is no room for one.
    const peer = Peer.established({ options: { mtuProbing: 'always', initialWindow: 12 } });
    expect(textsOf(peer.write(4096))).to.deep.equal([1024, 1024, 1024, 1024]);
    peer.write(PLENTY).expect('> . 4097:5339(1242) ack 1').drain();
    peer.send('< . 1:1(0) ack 5339');
    expect(senderOf(peer).mssBytes).to.equal(1242);
  });

  it('waits while anything is lost, and while SACK blocks take room (RFC 4821 §7.4) [PMTU-11]', () => {
    const owing = Peer.established(ALWAYS).send('< P. 1001:2001(1000) ack 1');
    owing.drain();
    expect(new Set(textsOf(owing.write(PLENTY)))).to.deep.equal(new Set([1024 - 12]));
    const losing = Peer.established({ options: { mtuProbing: 'always', initialWindow: 20 } });
    losing.wrote(5 * 1024).send('< . 1:1(0) ack 1 <sack 1025:5121>');
    expect(new Set(textsOf(losing.write(PLENTY))), 'in recovery').to.deep.equal(new Set([1024]));
  });

  it('that is lost alone is no sign of congestion, and its text goes again in small segments (RFC 4821 §7.6.2) [PMTU-10]', () => {
    forEachFamily((family) => {
      for (const sack of [true, false]) {
        const peer = Peer.established({ ...ALWAYS, ...family, sack }).write(PLENTY);
        const base = senderOf(peer).mssBytes;
        const [probe] = peer.drain();
        const size = probe.line.textBytes;
        expect(size).to.be.above(base);
        const { congestion, recovery } = senderOf(peer);
        const before = [congestion.cwndBytes, congestion.ssthreshBytes];
        for (let i = 1; i <= 3; i++) {
          const end = 1 + size + i * base;
          peer.send(`< . 1:1(0) ack 1${sack ? ` <sack ${1 + size}:${end}>` : ''}`);
        }
        const again = peer.drain().filter(({ line }) => line.start < 1 + size);
        expect(again.map(({ line }) => [line.start, line.textBytes])).to.deep.equal([
          [1, base],
          [1 + base, size - base],
        ]);
        // More duplicates tell of nothing new.
        peer.send(`< . 1:1(0) ack 1${sack ? ` <sack ${1 + size}:${1 + size + 5 * base}>` : ''}`);
        expect([congestion.cwndBytes, congestion.ssthreshBytes], sack ? 'SACK' : 'no SACK').to.deep.equal(
          before,
        );
        expect([recovery.phase, recovery.backoff, peer.stats.tcp.timeouts]).to.deep.equal([0, 0, 0]);
        expect([senderOf(peer).mssBytes, peer.stats.tcp.mtuProbeFail]).to.deep.equal([base, 1]);
        for (let i = 0; i < 20; i++) peer.advanceMs(10).ackAll().drain();
        expect(congestion.cwndBytes).to.be.above(before[0]);
        finishAll();
      }
    });
  });

  it('that is lost with others says nothing, and they say what losses say (RFC 4821 §7.6.4) [PMTU-10]', () => {
    const peer = Peer.established({ options: { mtuProbing: 'always', initialWindow: 20 } }).write(PLENTY);
    peer.drain();
    const { congestion, recovery } = senderOf(peer);
    const before = congestion.cwndBytes;
    // The probe and the segment behind it are missing.
    peer.send('< . 1:1(0) ack 1 <sack 2267:6363>');
    expect(recovery.isRecovering).to.equal(true);
    expect(congestion.ssthreshBytes).to.be.below(before);
    expect(peer.stats.tcp).to.include({ mtuProbeFail: 0, mtuProbeSuccess: 0 });
    expect(senderOf(peer).planner.prober?.highBytes).to.equal(1460);
  });

  it('that a router refuses by Packet Too Big is resent at once, and the search ends at what it names (RFC 4821 §7.6.2)', () => {
    const peer = Peer.established(ALWAYS).write(PLENTY);
    const [probe] = peer.drain();
    const cwnd = senderOf(peer).congestion.cwndBytes;
    peer.icmp('too-big', { mtu: 1200, about: probe.bytes });
    expect(textsOf(peer)).to.deep.equal([1024, 218]);
    expect(senderOf(peer).mssBytes).to.equal(1024);
    expect(senderOf(peer).congestion.cwndBytes).to.equal(cwnd);
    const seen = new Set<number>();
    for (let i = 0; i < 200; i++) {
      peer.offer(PLENTY);
      peer.advanceMs(5).ackAll();
      for (const bytes of textsOf(peer)) seen.add(bytes);
    }
    expect([Math.max(...seen), senderOf(peer).mssBytes]).to.deep.equal([1160, 1160]);
    expect(peer.stats.tcp.mtuProbeFail).to.equal(0);
  });

  it('is a plain segment also where the link takes super-packets', () => {
    const peer = Peer.established({ ...ALWAYS, offload: true }).write(PLENTY);
    const [probe, next] = peer.drain();
    expect([probe.line.textBytes, probe.packet.segmentSize]).to.deep.equal([1242, 0]);
    expect(next.packet.segmentSize).to.equal(1024);
  });

  it('is sent by nobody who does not ask for it, or has no reason to', () => {
    for (const mtuProbing of ['off', 'blackhole'] as const) {
      const peer = Peer.established({ options: { mtuProbing, initialWindow: 20 } }).write(PLENTY);
      expect(new Set(textsOf(peer))).to.deep.equal(new Set([1460]));
      expect([peer.stats.tcp.mtuProbes, senderOf(peer).planner.prober]).to.deep.equal([0, undefined]);
    }
    expect(() => Peer.connecting({ options: { mtuProbing: 'on' as 'off' } })).to.throw(/mtuProbing/);
    for (const bytes of [47, 65_536]) {
      expect(() => Peer.connecting({ options: { baseMssBytes: bytes } })).to.throw(RangeError);
      expect(() => Peer.connecting({ options: { mtuProbeFloorBytes: bytes } })).to.throw(RangeError);
    }
  });
});

describe('full segments that vanish', () => {
  it('are made smaller at the third time-out, and those in flight with them (RFC 2923 §2.1, RFC 4821 §7.7) [PMTU-14]', () => {
    forEachFamily((family) => {
      const full = family.ipv6 ? 1440 : 1460;
      const base = family.ipv6 ? 1220 : 1024;
      const peer = Peer.established(family).wrote(10 * full);
      peer.advanceMs(1000);
      expect([peer.stats.tcp.timeouts, Math.min(...textsOf(peer))], 'not yet').to.deep.equal([2, full]);
      peer.advanceMs(1000);
      expect([peer.stats.tcp.timeouts, ...textsOf(peer)], 'and then').to.deep.equal([3, base]);
      expect(senderOf(peer).mssBytes).to.equal(base);
      expect(peer.stats.tcp.mtuBlackHoles).to.equal(1);
      const again = [base];
      for (let i = 0; i < 30 && peer.endpoint.unackedBytes > 0; i++) {
        const received = again.reduce((sum, bytes) => sum + bytes, 0);
        peer.advanceMs(20).send(`< . 1:1(0) ack ${1 + received}`);
        again.push(...textsOf(peer));
      }
      expect(again).to.deep.equal(new Array(10).fill([base, full - base]).flat());
    });
  });

  it('stay as they are where probing is off, or what is lost is small [PMTU-14]', () => {
    const off = Peer.established({ options: { mtuProbing: 'off' } }).wrote(3000);
    off.advanceMs(20_000);
    expect(senderOf(off).mssBytes).to.equal(1460);
    const small = Peer.established().wrote(900);
    small.advanceMs(20_000);
    expect([senderOf(small).mssBytes, small.stats.tcp.mtuBlackHoles]).to.deep.equal([1460, 0]);
    const closed = Peer.established().wrote(3000);
    for (let i = 0; i < 8; i++) closed.send('< . 1:1(0) ack 1 win 0').advanceMs(2000);
    expect(senderOf(closed).mssBytes, 'a closed window').to.equal(1460);
  });

  it('go below the base only where the peer is heard meanwhile, by halves to the floor (RFC 4821 §7.7) [PMTU-10 PMTU-14]', () => {
    const sizes = (isAlive: boolean, options: PeerOptions['options']): number[] => {
      const peer = Peer.established({ options: { ...options, retries2: 30 } }).wrote(3000);
      const seen: number[] = [];
      for (let i = 0; i < 40 && seen.at(-1) !== 48; i++) {
        if (isAlive) peer.send(`< P. ${1 + i * 10}:${11 + i * 10}(10) ack 1`);
        peer.advanceMs(20_000);
        const { mssBytes } = senderOf(peer);
        if (seen.at(-1) !== mssBytes) seen.push(mssBytes);
      }
      finishAll();
      return seen;
    };
    expect(sizes(true, { rtoMaxMs: 20_000 }).slice(-5)).to.deep.equal([512, 256, 128, 64, 48]);
    expect(sizes(true, { rtoMaxMs: 20_000, mtuProbeFloorBytes: 300 }).at(-1)).to.equal(300);
    expect(sizes(false, {}), 'an outage').to.deep.equal([1024]);
    expect(sizes(false, { mtuProbing: 'always' }).at(-1)).to.equal(48);
  });

  it('were an outage when the largest probe comes through: nothing is lost of them for long (RFC 4821 §7.3)', () => {
    const peer = Peer.established().wrote(14_600);
    peer.advanceMs(2000).drain();
    expect(senderOf(peer).mssBytes).to.equal(1024);
    for (let i = 0; i < 40 && senderOf(peer).mssBytes < 1460; i++) {
      peer.offer(PLENTY);
      peer.advanceMs(20).ackAll().drain();
    }
    expect(senderOf(peer).mssBytes).to.equal(1460);
    expect(peer.stats.tcp).to.include({ mtuProbes: 1, mtuProbeSuccess: 1 });
  });

  it('are taken back where they vanish again before a window of them has arrived (RFC 4821 §7.8) [PMTU-10]', () => {
    const peer = Peer.established(ALWAYS).write(PLENTY);
    peer.drain();
    peer.advanceMs(20).ackAll().drain();
    expect(senderOf(peer).mssBytes).to.equal(1242);
    expect(senderOf(peer).planner.prober?.isVerifying).to.equal(true);
    peer.advanceMs(700);
    expect(peer.stats.tcp.timeouts).to.be.above(0);
    expect(senderOf(peer).mssBytes).to.equal(1024);
    expect(senderOf(peer).planner.prober?.highBytes).to.equal(1241);
  });

  it('follow the option of a live connection within what was found', () => {
    const peer = Peer.established(ALWAYS).wrote(100).ackAll();
    peer.endpoint.setOption('maxSegmentBytes', 700);
    expect(senderOf(peer).mssBytes).to.equal(700);
    peer.endpoint.setOption('maxSegmentBytes', 1460);
    expect(senderOf(peer).mssBytes, 'to be searched for again').to.equal(700);
  });
});
