/** Many SYNs and few ACKs: tcp.md §13, and rows C1 to C5 of robustness.md. SYN cookies have a file of their own. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

/** A listener with room for `backlog` handshakes, at which nobody accepts. */
const listening = (backlog: number, options: PeerOptions = {}): Peer =>
  Peer.listening({ backlog, accept: false, ...options });

/** The `count` handshakes of peers with ports of their own, none completed. */
function begin(first: Peer, count: number, firstPort = 2000): Peer[] {
  const peers = Array.from({ length: count }, (_, i) => first.another({ port: firstPort + i }));
  for (const peer of peers) peer.sendSyn();
  return peers;
}

const answered = (peers: readonly Peer[]): number => peers.filter((peer) => peer.drain().length > 0).length;

describe('the SYN queue', () => {
  forEachFamily((family, name) => {
    it(`has room for the backlog and no more, for each listener, over ${name} (RFC 4987 §3) [SYN-1 SYN-3]`, () => {
      for (const count of [15, 16, 17, 40]) {
        const first = listening(16, { ...family, tcp: { synCookies: 'never' } });
        const peers = begin(first, count);
        expect(answered(peers)).to.equal(Math.min(16, count));
        const over = Math.max(0, count - 16);
        expect(first.stats.tcp.listenDrops).to.equal(over);
        expect(first.stats.drops.count(DropReason.TcpSynQueueFull)).to.equal(over);
        // Those that were dropped hear nothing, neither now nor later.
        for (const peer of peers.slice(16)) peer.expectNothing();
        expect(first.host.unclaimed).to.have.length(0);
        // A connection costs memory; half of one does not.
        expect(first.gauges).to.include({ connections: 0, memoryBytes: 0 });
        first.host.finish();
      }
    });
  });

  it('has room for eight at least, and for as many as the stack allows at most [SYN-1]', () => {
    for (const [backlog, maxSynBacklog, room] of [
      [1, 1024, 8],
      [100, 12, 12],
      [100, 4, 8],
    ]) {
      const first = listening(backlog, { tcp: { synCookies: 'never', maxSynBacklog } });
      expect(answered(begin(first, 20))).to.equal(room);
    }
  });

  it('shares one limit with those of all listeners (RFC 4987 §3) [SYN-1]', () => {
    const first = listening(16, { tcp: { synCookies: 'never', maxHalfOpen: 20 } });
    const second = first.another({ stackPort: 81 });
    second.listen();
    expect(answered(begin(first, 12, 2000))).to.equal(12);
    expect(answered(begin(second, 12, 3000))).to.equal(8);
    expect(first.stats.tcp.listenDrops).to.equal(4);
  });

  it('gets its room back from those that complete, give up or are reset [SYN-1]', () => {
    const first = listening(16, { tcp: { synCookies: 'never' } });
    const peers = begin(first, 16);
    answered(peers);
    peers[0].send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    peers[1].send('< R 1:1(0)');
    expect(answered(begin(first, 3, 3000))).to.equal(2);
    first.advanceMs(63_001);
    answered(peers);
    expect(answered(begin(first, 17, 4000))).to.equal(16);
  });

  it('holds small records: numbers and what was agreed on [SYN-1]', () => {
    const before = liveBytes();
    const first = listening(4096, { tcp: { maxSynBacklog: 4096 } });
    const filler = first.another({ port: 1 });
    for (let i = 0; i < 4000; i++) {
      filler.send('< S 0:0(0) <mss 1460>', {
        source: `10.0.${1 + (i >> 8)}.${1 + (i & 127)}`,
        sourcePort: 1000 + i,
      });
    }
    first.host.unclaimed.length = 0;
    const each = (liveBytes() - before) / 4000;
    expect(each).to.be.below(2000);
    expect(first.stats.tcp).to.include({ synCookiesSent: 0, listenDrops: 0 });
    expect(first.gauges.memoryBytes).to.equal(0);
  });
});

describe('a full accept queue', () => {
  it('leaves a handshake half-open: its ACK is dropped, its SYN-ACK repeated (Linux) [SYN-2 C5]', () => {
    const first = listening(1);
    const peers = begin(first, 4);
    answered(peers);
    const [one, two, three, four] = peers;
    // Full is when more wait than the backlog says, as Linux counts.
    for (const peer of [one, two]) peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    three.send('< . 1:1(0) ack 1').expectNothing().expectState('SYN-RECEIVED');
    three.send('< P. 1:11(10) ack 1').expectNothing().expectState('SYN-RECEIVED');
    expect(first.stats.tcp.listenOverflows).to.equal(2);
    expect(first.stats.drops.count(DropReason.TcpAcceptQueueFull)).to.equal(2);
    three.expectAfterMs(1000, '> S. 0:0(0) ack 1');
    // Once there is room, the ACK of that SYN-ACK makes it a connection.
    one.accept();
    three.send('< . 11:11(0) ack 1').expectState('ESTABLISHED').drain();
    three.send('< P. 1:11(10) ack 1').drain();
    two.accept();
    three.accept();
    three.expectRead(10);
    four.drain();
    four.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
  });

  it('drops new SYNs, without a cookie (Linux) [SYN-2 C5]', () => {
    for (const synCookies of ['never', 'overflow', 'always'] as const) {
      const first = listening(0, { tcp: { synCookies } });
      const peer = first.another({ port: 2000 });
      peer.handshake().expectState('ESTABLISHED');
      const late = first.another({ port: 2001 });
      late.sendSyn().expectNothing(100).expectState('LISTEN');
      expect(first.stats.tcp).to.include({ listenOverflows: 1, listenDrops: 1 });
      peer.accept();
      late.sendSyn().expect('> S. 0:0(0) ack 1');
    }
  });

  it('may answer the last ACK with an RST instead (Linux tcp_abort_on_overflow) [SYN-2]', () => {
    const first = listening(0, { tcp: { abortOnOverflow: true } });
    const [one, two] = begin(first, 2);
    answered([one, two]);
    one.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    two.send('< . 1:1(0) ack 1').expect('> R 1:1(0)').expectState('LISTEN').expectNothing(70_000);
    expect(first.stats.tcp.listenOverflows).to.equal(1);
  });

  it('leaks nothing when nobody ever accepts (soak) [C5]', () => {
    const first = listening(20);
    for (let i = 0; i < 500; i++) {
      const peer = first.another({ port: 2000 + i });
      peer.sendSyn();
      if (peer.drain().length > 0) peer.send('< . 1:1(0) ack 1').send('< P. 1:101(100) ack 1');
      // Many hang up again, some before their turn would have come.
      if (i % 3 === 0) peer.send('< R 1:1(0)').send('< R 101:101(0)');
      peer.drain();
    }
    expect(first.gauges.connections).to.be.at.most(21);
    expect(first.stats.tcp.listenOverflows).to.be.at.least(400);
    first.listener?.close();
    first.advanceMs(1);
    expect(first.gauges).to.include({ connections: 0, memoryBytes: 0 });
  });
});

describe('a SYN-ACK that nobody answers', () => {
  forEachFamily((family, name) => {
    it(`is no longer repeated once an exact RST came, over ${name} (RFC 5961 §3.2) [SYN-12]`, () => {
      const peer = Peer.in('SYN-RECEIVED', family);
      peer.send('< R 2:2(0)').send('< R 70000:70000(0)').drain();
      peer.expectAfterMs(1000, '> S. 0:0(0) ack 1');
      peer.send('< R 1:1(0)').expectNothing(120_000).expectState('LISTEN');
    });

    it(`is no longer repeated once ICMP quoted its very number, over ${name} (RFC 5927 §4) [SYN-12]`, () => {
      const quoted = Peer.in('SYN-RECEIVED', family);
      const about = quoted.last?.bytes ?? new Uint8Array();
      const at = (family.ipv6 ? 40 : 20) + 4;
      for (const change of [1, -1, 1000, 0x4000_0000]) {
        const other = about.slice();
        const view = new DataView(other.buffer);
        view.setInt32(at, view.getInt32(at) + change);
        quoted.icmp('port', { about: other }).expectState('SYN-RECEIVED');
      }
      quoted.expectAfterMs(1000, '> S. 0:0(0) ack 1');
      quoted.icmp('port', { about }).expectNothing(120_000).expectState('LISTEN');
      expect(quoted.stats.tcp.attemptFails).to.equal(1);
      // Another peer's handshake is not meant.
      const one = Peer.in('SYN-RECEIVED', family);
      const two = one.another({ port: 2001 });
      two.sendSyn().drain();
      two.icmp('port').expectState('LISTEN');
      one.expectState('SYN-RECEIVED').send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    });
  });
});

describe('under a flood of SYNs', () => {
  it('no answer is larger than what it answers asks for (RFC 4987 §3) [SYN-13]', () => {
    for (const line of [
      '< S 0:0(0) <mss 1460>',
      '< S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>',
      '< S 0:1000(1000) <mss 1460,nop,nop,sackOK>',
    ]) {
      for (const synCookies of ['never', 'always'] as const) {
        const peer = Peer.listening({ tcp: { synCookies } });
        const asked = peer.packet(line);
        peer.sendRaw(asked);
        expect(peer.last?.bytes.length).to.be.at.most(asked.length);
      }
    }
    const bare = Peer.listening();
    bare.send('< S 0:0(0)').expect('> S. 0:0(0) ack 1 <mss 1460>', { strict: true });
  });

  it('a repeated SYN is answered at most twice a second (RFC 4987 §3) [SYN-13]', () => {
    const peer = Peer.listening();
    for (let i = 0; i < 1000; i++) peer.sendSyn();
    peer.expect('> S. 0:0(0) ack 1').expect('> S. 0:0(0) ack 1').expectNothing();
  });

  it('unanswered SYN-ACKs are repeated less often the fuller the queue (Linux reqsk_timer_handler) [SYN-13]', () => {
    // Up to half of the queue: five repetitions each, for a minute.
    const calm = listening(32, { tcp: { synCookies: 'never' } });
    const few = begin(calm, 16);
    calm.advanceMs(64_000);
    for (const peer of few) expect(peer.drain()).to.have.length(6);
    // A full queue of peers that do not answer: half of them are given up after two repetitions.
    const flooded = listening(32, { tcp: { synCookies: 'never' } });
    const many = begin(flooded, 32);
    expect(answered(many)).to.equal(32);
    flooded.advanceMs(6999);
    for (const peer of many) expect(peer.drain()).to.have.length(2);
    flooded.advanceMs(2);
    const left = many.filter(({ state }) => state === 'SYN-RECEIVED');
    expect(left).to.have.length(16);
    expect(answered(begin(flooded, 32, 5000))).to.equal(16);
    // The young ones count for the old, too: a queue in use has room for those that answer in time.
    flooded.advanceMs(64_000);
    expect(flooded.stats.tcp.synRetrans).to.be.below(64 + 5 * 32);
  });

  it('peers that answer in time are not pruned (Linux reqsk_timer_handler) [SYN-13]', () => {
    const first = listening(32, { tcp: { synCookies: 'never' } });
    const old = begin(first, 4);
    first.advanceMs(6500);
    for (const peer of old) peer.drain();
    const young = begin(first, 26, 3000);
    expect(answered(young)).to.equal(26);
    // Most are young: the old keep their five repetitions.
    first.advanceMs(900);
    for (const peer of old) expect(peer.drain()).to.have.length(1);
    for (const peer of young) peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
  });

  it('peers that mean it connect all the same: 100,000 SYNs a second (soak) [C1]', () => {
    const first = Peer.listening({ backlog: 64 });
    const flood = first.another({ port: 1 });
    const real = Array.from({ length: 40 }, (_, i) => first.another({ port: 50_000 + i }));
    let sent = 0;
    for (let ms = 0; ms < 100; ms++) {
      // The two halves of each handshake are 20 ms apart, with thousands of spoofed SYNs between them.
      if (ms % 2 === 0 && ms < 80) real[ms / 2].sendSyn();
      if (ms % 2 === 0 && ms >= 20) real[(ms - 20) / 2].send('< . 1:1(0) ack 1');
      const packets: Uint8Array[] = [];
      for (let i = 0; i < 100; i++, sent++) {
        const source = `${11 + (sent % 100)}.${sent >> 8}.${sent & 255}.7`;
        packets.push(flood.packet('< S 0:0(0) <mss 1460>', { source, sourcePort: 1024 + (sent % 60_000) }));
      }
      first.host.inject(packets);
      first.advanceMs(1);
      first.host.unclaimed.length = 0;
    }
    const connected = real.filter(({ state }) => state === 'ESTABLISHED').length;
    expect(connected).to.equal(40);
    expect(first.stats.tcp).to.include({ passiveOpens: 40, listenDrops: 0 });
    expect(first.stats.tcp.synCookiesSent).to.be.at.least(9_000);
    expect(first.gauges.connections).to.equal(40);
  });
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of live objects and of what they hold outside the heap. */
function liveBytes(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
