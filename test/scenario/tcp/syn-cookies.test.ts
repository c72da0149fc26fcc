/** Handshakes without state (RFC 4987 §3.6): tcp.md §13, SYN-4 to SYN-11, and row C4 of robustness.md. */
import { expect } from 'chai';
import { type Seq, seq, seqAdd } from '../../../lib/base/seq.js';
import { DropReason } from '../../../lib/base/stats.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { SynCookies } from '../../../lib/tcp/syn-cookies.js';
import type { Tuple } from '../../../lib/tcp/tuple.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { forEachFamily, forEachIsn, Peer, type PeerOptions } from '../../support/peer.js';

const MINUTE_MS = 60_000;

/** A listener whose SYN queue is full for the next minute, and a peer beyond it. */
function overflowing(options: PeerOptions = {}): Peer {
  const first = Peer.listening({ backlog: 8, ...options });
  for (let i = 0; i < 8; i++)
    first
      .another({ port: 2000 + i })
      .sendSyn()
      .drain();
  return first;
}

const always = (options: PeerOptions = {}): Peer =>
  Peer.listening({ tcp: { synCookies: 'always' }, ...options });

describe('a SYN cookie', () => {
  forEachFamily((family, name) => {
    it(`takes the place of a half-open record when the queue is full, over ${name} (RFC 4987 §3.6) [SYN-4]`, () => {
      const peer = overflowing(family);
      expect(peer.stats.tcp.synCookiesSent).to.equal(0);
      peer.sendSyn().expect('> S. 0:0(0) ack 1').expectState('LISTEN');
      expect(peer.stats.tcp).to.include({ synCookiesSent: 1, listenDrops: 0 });
      expect(peer.gauges).to.include({ connections: 0, memoryBytes: 0 });
      peer.advanceMs(20).send('< . 1:1(0) ack 1').expectState('ESTABLISHED').expectNothing();
      expect(peer.stats.tcp).to.include({ synCookiesRecv: 1, synCookiesFailed: 0, passiveOpens: 1 });
    });

    it(`is not repeated, over ${name} (RFC 4987 §3.6) [SYN-8]`, () => {
      always(family)
        .sendSyn()
        .expect('> S. 0:0(0) ack 1')
        .expectNothing(3 * MINUTE_MS);
    });

    it(`comes back also with data or a FIN, where the bare ACK was lost, over ${name} (RFC 4987 §3.6) [SYN-8]`, () => {
      const text = always(family).sendSyn();
      text.expect('> S. 0:0(0) ack 1').advanceMs(300);
      text
        .send('< P. 1:101(100) ack 1')
        .expect('> . 1:1(0) ack 101')
        .expectState('ESTABLISHED')
        .expectRead(100);
      const fin = always(family).sendSyn();
      fin.expect('> S. 0:0(0) ack 1').send('< F. 1:101(100) ack 1').expect('> . 1:1(0) ack 102');
      fin.expectState('CLOSE-WAIT').expectRead(100);
    });

    it(`is the ISS of its connection, which is like any other, over ${name} (RFC 4987 §3.6) [SYN-10]`, () => {
      const script = (peer: Peer): string[] => {
        peer.handshake().write(3000).drain();
        const sent: string[] = [];
        const step = (line: string): void => {
          peer.send(line);
          for (const { text } of peer.drain()) sent.push(text);
        };
        step('< . 1:1(0) ack 1001');
        step('< P. 1:501(500) ack 3001');
        peer.shutdown();
        step('< . 501:501(0) ack 3002');
        step('< F. 501:501(0) ack 3002');
        peer.expectRead(500).expectState('TIME-WAIT');
        return sent;
      };
      forEachIsn(({ irs }) => {
        const options = { ...family, irs, mss: family.ipv6 ? 1220 : 1300 };
        expect(script(always(options))).to.deep.equal(script(Peer.listening(options)));
      });
    });
  });

  it('is made of both addresses, both ports, the peer’s ISN, the minute and the segment size [SYN-4]', () => {
    const cookies = new SynCookies(new SeededRandom(1));
    const base = tuple();
    const irs = seq(1000);
    const at = 600e6;
    const cookie = cookies.make(base, irs, 1460, at);
    expect(cookies.check(base, cookie, irs, at)).to.equal(1460);
    for (const other of [
      tuple({ local: '10.0.0.9' }),
      tuple({ remote: '10.0.0.9' }),
      tuple({ localPort: 81 }),
      tuple({ remotePort: 40_001 }),
    ]) {
      expect(cookies.check(other, cookie, irs, at), JSON.stringify(other)).to.equal(0);
      expect(cookies.make(other, irs, 1460, at)).not.to.equal(cookie);
    }
    for (const step of [1, -1, 1 << 24, -(1 << 24), 77]) {
      expect(cookies.check(base, cookie, seqAdd(irs, step), at), `IRS ${step}`).not.to.equal(1460);
    }
    expect(cookies.make(base, irs, 1460, at + 60e6)).not.to.equal(cookie);
    expect(cookies.make(base, irs, 1300, at)).not.to.equal(cookie);
    expect(cookies.make(base, seqAdd(irs, 5), 1460, at)).to.equal(seqAdd(cookie, 5));
  });

  it('may be the rule, or forbidden [SYN-4]', () => {
    const rule = always().sendSyn().expect('> S. 0:0(0) ack 1');
    expect(rule.stats.tcp.synCookiesSent).to.equal(1);
    const never = overflowing({ tcp: { synCookies: 'never' } });
    never.sendSyn().expectNothing();
    never.send('< . 1:1(0) ack 1').expect('> R 1:1(0)').expectState('LISTEN');
  });
});

describe('a cookie that comes back', () => {
  it('counts in its own minute and the next, and then no more (Linux) [SYN-5]', () => {
    // Time zero is 1,000 s, 40 s into a minute of the counter.
    for (const [sentAtMs, backAfterMs, counts] of [
      [0, 0, true],
      [0, 19_999, true],
      [0, 20_001, true],
      [0, 79_999, true],
      [0, 80_001, false],
      [20_001, 119_990, true],
      [20_001, 120_000, false],
      [20_001, 256 * MINUTE_MS, false],
    ] as const) {
      const peer = always({ irs: 5 }).advanceMs(sentAtMs).sendSyn().expect('> S. 0:0(0) ack 1');
      peer.advanceMs(backAfterMs);
      // The listener goes on overflowing all the while.
      peer.another({ port: 999 }).sendSyn().drain();
      peer.send('< . 1:1(0) ack 1');
      if (counts) peer.expectNothing().expectState('ESTABLISHED');
      else peer.expect('> R 1:1(0)').expectState('LISTEN');
    }
  });

  it('counts only while an overflow is not long ago (Linux) [SYN-5, C4]', () => {
    // The minute matters, so ISNs are not left to the run.
    const peer = overflowing({ irs: 1 }).advanceMs(20_001);
    for (let i = 0; i < 8; i++)
      peer
        .another({ port: 3000 + i })
        .sendSyn()
        .drain();
    peer.sendSyn().expect('> S. 0:0(0) ack 1');
    peer.advanceMs(119_000).send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    // A cookie is remembered by nobody: without an overflow of its listener the same ACK is for nothing.
    const calm = Peer.listening();
    const cookie = peer.origin.localSequence ?? 0;
    calm.send(`< . 1:1(0) ack ${(cookie >>> 0) + 1}`).drain();
    calm.expectState('LISTEN');
    expect(calm.stats.tcp).to.include({ synCookiesFailed: 0, synCookiesRecv: 0, outRsts: 1 });
  });

  it('to a listener whose last overflow is two minutes old is answered with an RST (Linux) [SYN-5, SYN-9]', () => {
    // The cookie is of a minute that still counts, the overflow is not: only clocks that jump bring that about.
    const peer = always().advanceMs(20_001).sendSyn().expect('> S. 0:0(0) ack 1');
    peer.advanceMs(120_001).send('< . 1:1(0) ack 1').expect('> R 1:1(0)').expectState('LISTEN');
    expect(peer.stats.tcp.synCookiesFailed).to.equal(0);
  });

  it('finds no room in a full accept queue and is dropped, and may come again (Linux) [SYN-9]', () => {
    const first = always({ backlog: 0, accept: false });
    const [one, two] = [first.another({ port: 2000 }), first.another({ port: 2001 })];
    for (const peer of [one, two]) peer.sendSyn().expect('> S. 0:0(0) ack 1');
    one.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    two.send('< . 1:1(0) ack 1').expectNothing().expectState('LISTEN');
    one.accept();
    two.send('< P. 1:11(10) ack 1').expect('> . 1:1(0) ack 11').expectState('ESTABLISHED');
  });
});

describe('the segment size in a cookie', () => {
  const SIZES = {
    IPv4: {
      sizes: [536, 1300, 1440, 1460],
      tries: [100, 535, 536, 537, 1299, 1300, 1439, 1440, 1459, 1460, 1461, 9000],
    },
    IPv6: {
      sizes: [1220, 1420, 1440, 8940],
      tries: [100, 1219, 1220, 1221, 1419, 1420, 1440, 1441, 8939, 8940, 65_535],
    },
  };
  forEachFamily((family, name) => {
    it(`is rounded down to one of four, over ${name} (Linux) [SYN-6]`, () => {
      const { sizes, tries } = SIZES[name];
      for (const mss of tries) {
        const expected = sizes.filter((size) => size <= mss).at(-1) ?? sizes[0];
        const peer = always({ ...family, mss, mtu: 9000, windowScale: 2, timestamps: true });
        peer.handshake().expectState('ESTABLISHED').write(20_000);
        const text = expected - 12;
        peer.expect(`> . 1:${1 + text}(${text}) ack 1`);
        expect(peer.endpoint.connection.negotiated?.peerMssBytes, `${mss}`).to.equal(expected);
      }
    });
  });
});

describe('the options in a cookie', () => {
  /** The stack's TSval in the answer to a SYN with these options, at this time. */
  const stampOf = (options: string, atMs = 0, seed = 1): number => {
    const peer = always({ seed, irs: 1 }).advanceMs(atMs);
    peer.send(`< S 0:0(0) <mss 1460,TS val 7 ecr 0${options}>`).expect('> S. 0:0(0) ack 1');
    const { bytes } = peer.last ?? { bytes: new Uint8Array() };
    // Behind MSS and SACK-permitted, or MSS and two NOPs.
    return new DataView(bytes.buffer, bytes.byteOffset).getInt32(20 + 20 + 8);
  };

  it('stand in the low six bits of TSval: scale, SACK, ECN (Linux cookie_init_timestamp) [SYN-7]', () => {
    for (const seed of [1, 2]) {
      // The offset of the tuple and the clock are the same: what differs is what is remembered.
      const none = stampOf('', 0, seed);
      const bits = (options: string): number => (stampOf(options, 0, seed) - none + 0xf) & 63;
      expect(bits('')).to.equal(0xf);
      for (const scale of [0, 1, 7, 13, 14]) {
        expect(bits(`,nop,wscale ${scale}`)).to.equal(scale);
        expect(bits(`,sackOK,nop,wscale ${scale}`)).to.equal(0x10 | scale);
      }
      // A scale above 14 counts as 14, and must not be taken for none.
      expect(bits(',nop,wscale 15')).to.equal(14);
      expect(bits(',sackOK')).to.equal(0x1f);
    }
  });

  it('never put TSval ahead of the clock, and back by less than 64 ms (Linux) [SYN-7]', () => {
    const clockAt = (atMs: number): number => {
      const plain = Peer.listening({ irs: 1 }).advanceMs(atMs).send('< S 0:0(0) <mss 1460,TS val 7 ecr 0>');
      const { bytes } = plain.last ?? { bytes: new Uint8Array() };
      return new DataView(bytes.buffer, bytes.byteOffset).getInt32(20 + 20 + 8);
    };
    for (let atMs = 0; atMs < 130; atMs += 13) {
      const clock = clockAt(atMs);
      for (const options of ['', ',sackOK,nop,wscale 14', ',nop,wscale 0']) {
        const lag = (clock - stampOf(options, atMs)) | 0;
        expect(lag, `${atMs} ms${options}`).to.be.within(0, 63);
      }
    }
  });

  it('are those of the connection: scale and SACK come back with the timestamp [SYN-7]', () => {
    for (const windowScale of [-1, 0, 3, 14]) {
      for (const sack of [true, false]) {
        const peer = always({ timestamps: true, windowScale, sack, window: 100 });
        peer.handshake().expectState('ESTABLISHED');
        const { negotiated } = peer.endpoint.connection;
        expect(negotiated).to.include({ sack, timestamps: true });
        expect(negotiated?.sendWindowShift).to.equal(Math.max(0, windowScale));
        expect(negotiated?.receiveWindowShift).to.equal(windowScale < 0 ? 0 : 7);
        expect(peer.endpoint.connection.sender.sndWnd).to.equal(100 * 2 ** Math.max(0, windowScale));
      }
    }
  });

  it('are not offered without timestamps, which alone can hold them (Linux) [SYN-7]', () => {
    const peer = always({ timestamps: false, windowScale: 7, sack: true }).sendSyn();
    peer.expect('> S. 0:0(0) ack 1 <mss 1460>', { strict: true });
    peer.send('< . 1:1(0) ack 1 win 100').expectState('ESTABLISHED');
    expect(peer.endpoint.connection.sender.sndWnd).to.equal(100);
    expect(peer.endpoint.connection.negotiated).to.include({ sack: false, timestamps: false });
  });
});

describe('a cookie that is none', () => {
  forEachFamily((family, name) => {
    it(`is answered with an RST and leaves no trace, over ${name} (Linux) [SYN-9]`, () => {
      const peer = always(family).sendSyn().expect('> S. 0:0(0) ack 1');
      for (const line of [
        '. 1:1(0) ack 5',
        '. 1:1(0) ack 9',
        '. 5:5(0) ack 1',
        '. -5:-5(0) ack 1',
        'P. 1:11(10) ack 777777',
        'F. 1:1(0) ack 3000000000',
      ]) {
        const ack = / ack (\d+)/.exec(line)?.[1];
        peer.send(`< ${line}`).expect(`> R ${ack}:${ack}(0)`).expectState('LISTEN');
      }
      // The right one, from another port, address or to another port, is none either.
      peer.another({ port: 40_001 }).send(`< . 1:1(0) ack ${(peer.origin.localSequence ?? 0) + 1}`);
      expect(peer.stats.tcp).to.include({
        synCookiesRecv: 0,
        synCookiesFailed: 7,
        passiveOpens: 0,
        outRsts: 7,
      });
      expect(peer.stats.drops.count(DropReason.TcpCookieFailed)).to.equal(7);
      expect(peer.gauges).to.include({ connections: 0, memoryBytes: 0 });
      peer.send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
    });
  });

  it('is guessed as rarely as 32 bits allow: one in 2^29 (statistics) [SYN-9, C4]', () => {
    const cookies = new SynCookies(new SeededRandom(9));
    const random = new SeededRandom(10);
    const at = 7 * 60e6;
    let hits = 0;
    for (let i = 0; i < 300_000; i++) {
      if (cookies.check(tuple(), random.uint32() as Seq, seq(1), at) !== 0) hits++;
    }
    expect(hits).to.equal(0);
    // Of the 2^24 numbers of a minute exactly four are cookies: those next to each other, one for each size.
    const first = cookies.make(tuple(), seq(1), 536, at);
    const found: number[] = [];
    for (let step = -30_000; step <= 30_000; step++) {
      if (cookies.check(tuple(), seqAdd(first, step), seq(1), at) !== 0) found.push(step);
    }
    expect(found).to.deep.equal([0, 1, 2, 3]);
  });

  it('is tried in vain, and the RSTs are limited: 20,000 guesses at a listener [SYN-9, C4]', () => {
    const peer = always({ tcp: { synCookies: 'always', resetsPerSecond: 500 }, seed: 4 }).sendSyn();
    peer.drain();
    const random = new SeededRandom(11);
    for (let i = 0; i < 200; i++) {
      const guesses = Array.from({ length: 100 }, () => `< . 1:1(0) ack ${random.uint32()}`);
      peer.sendBatch(...guesses);
    }
    expect(peer.drain().length).to.be.within(400, 620);
    expect(peer.stats.tcp).to.include({ synCookiesRecv: 0, synCookiesFailed: 20_000, passiveOpens: 0 });
    expect(peer.gauges).to.include({ connections: 0, memoryBytes: 0 });
  });
});

describe('the key of cookies', () => {
  it('differs from stack to stack, and every bit of what is hashed matters (statistics) [SYN-11]', () => {
    const at = 7 * 60e6;
    // The data of a cookie, free of its counter: as random over tuples as a keyed hash must be.
    const flips = new Array<number>(24).fill(0);
    const samples = 3000;
    const keyed = new SynCookies(new SeededRandom(21));
    for (let i = 0; i < samples; i++) {
      const base = { ...tuple(), remotePort: 1024 + i };
      const changed = { ...base, localPort: base.localPort ^ (1 << (i % 16)) };
      const difference = keyed.make(base, seq(0), 536, at) ^ keyed.make(changed, seq(0), 536, at);
      for (let bit = 0; bit < 24; bit++) if (difference & (1 << bit)) flips[bit]++;
    }
    // Each bit flips half of the time; six standard deviations of slack.
    for (const [bit, count] of flips.entries()) {
      expect(Math.abs(count - samples / 2), `bit ${bit}`).to.be.below(6 * Math.sqrt(samples / 4));
    }
    const seen = new Set<number>();
    for (let seed = 1; seed <= 200; seed++) {
      seen.add(new SynCookies(new SeededRandom(seed)).make(tuple(), seq(0), 536, at));
    }
    expect(seen.size).to.equal(200);
  });

  it('is 256 bits of the stack’s randomness, drawn anew by each stack [SYN-11]', () => {
    let drawn = 0;
    const inner = new SeededRandom(3);
    const counting = {
      uint32: (): number => {
        drawn++;
        return inner.uint32();
      },
    };
    const first = new SynCookies(counting);
    expect(drawn).to.equal(8);
    const second = new SynCookies(counting);
    expect(first.make(tuple(), seq(0), 536, 0)).not.to.equal(second.make(tuple(), seq(0), 536, 0));
  });
});

interface TupleText {
  readonly local?: string;
  readonly remote?: string;
  readonly localPort?: number;
  readonly remotePort?: number;
}

function tuple(text: TupleText = {}): Tuple {
  const { local = '10.0.0.1', remote = '10.0.0.2', localPort = 80, remotePort = 40_000 } = text;
  return { local: IpAddress.parse(local), remote: IpAddress.parse(remote), localPort, remotePort };
}
