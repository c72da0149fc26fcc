/** What Packet Too Big does to a connection (RFC 1191, RFC 8201), and what a forged one cannot (RFC 5927 §7). */
import { expect } from 'chai';
import { forEachFamily, type IcmpFields, Peer, type SentSegment } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const ETHERNET = 1500;

/** Text of the segments a packet stands for: one, or those of a super-packet. */
function piecesOf({ line, packet }: SentSegment): number[] {
  const { segmentSize } = packet;
  if (segmentSize === 0) return line.textBytes > 0 ? [line.textBytes] : [];
  const whole = Math.floor(line.textBytes / segmentSize);
  const rest = line.textBytes % segmentSize;
  return [...new Array<number>(whole).fill(segmentSize), ...(rest > 0 ? [rest] : [])];
}

/** Text sent, all pieces together, and the largest of them. */
function summary(sent: readonly SentSegment[]): { first: number; text: number; largest: number } {
  const pieces = sent.flatMap(piecesOf);
  return {
    first: sent[0]?.line.start ?? -1,
    text: pieces.reduce((sum, bytes) => sum + bytes, 0),
    largest: Math.max(0, ...pieces),
  };
}

/** The segment that begins at `start`, as a router would quote it: a header, and no text. */
function quoteOf(peer: Peer, start: number): Uint8Array {
  const bytes = peer.last?.bytes.slice() ?? new Uint8Array(0);
  const at = bytes[0] >> 4 === 6 ? 40 : 20;
  const iss = peer.endpoint.connection.sender.iss;
  new DataView(bytes.buffer).setInt32(at + 4, (iss + start) | 0);
  return bytes.subarray(0, at + 20);
}

const senderOf = (peer: Peer) => peer.endpoint.connection.sender;
const mssOf = (peer: Peer): number => senderOf(peer).mssBytes;

/** What must not change when a segment was too big. */
function congestionOf(peer: Peer): number[] {
  const { congestion, recovery } = senderOf(peer);
  return [congestion.cwndBytes, congestion.ssthreshBytes, recovery.rtoUs, recovery.backoff, recovery.retries];
}

describe('segments', () => {
  it('carry DF over IPv4, every one of them, and never a Fragment header over IPv6 (RFC 1191 §3, RFC 8201 §3) [PMTU-1]', () => {
    forEachFamily((family) => {
      for (const role of ['client', 'server'] as const) {
        const peer = Peer.closed({ ...family, role, timestamps: true });
        const sent: SentSegment[] = [];
        const keep = (): void => void sent.push(...peer.drain());
        if (role === 'client') {
          // A SYN, twice.
          peer.connect().advanceMs(1000);
          keep();
          peer.send('< S. 0:0(0) ack 1 <mss 1460,TS val 1 ecr 0>');
        } else {
          peer.listen().sendSyn().advanceMs(1000);
          keep();
          peer.send('< . 1:1(0) ack 1');
        }
        // Text, again by a time-out; an ACK, a FIN, and an RST.
        peer.write(5000).advanceMs(1500).ackAll().sendText(3000).shutdown().advanceMs(500);
        peer.ackAll().send('< S 1:1(0)').abort();
        keep();
        expect(sent.length).to.be.above(10);
        for (const { dontFragment, bytes, text } of sent) {
          expect([dontFragment, bytes[family.ipv6 ? 6 : 9]], text).to.deep.equal([true, 6]);
        }
      }
    });
    const stranger = Peer.closed();
    stranger.send('< . 1:1(0) ack 1').expect('> R 1:1(0)');
    expect(stranger.last?.dontFragment).to.equal(true);
  });
});

/** An initial window stays one of as many segments when these become smaller (RFC 5681 §3.1); all else stays. */
const inSegments = ([cwnd, ...rest]: number[], mss: number, smaller: number): number[] => [
  Math.floor((cwnd * smaller) / mss),
  ...rest,
];

describe('Packet Too Big', () => {
  forEachFamily((family, name) => {
    const headers = family.ipv6 ? 60 : 40;
    const destination = family.ipv6 ? 'fd00::2' : '10.0.0.2';

    it(`has what is in flight sent again at once in smaller pieces, without a word to congestion control, over ${name} (RFC 1191 §6.4, RFC 8201 §5.4) [PMTU-2]`, () => {
      for (const sack of [true, false]) {
        for (const timestamps of [true, false]) {
          const stamps = timestamps ? 12 : 0;
          const text = 8 * (ETHERNET - headers - stamps);
          const peer = Peer.established({ ...family, sack, timestamps }).wrote(text + 400);
          const before = congestionOf(peer);
          const senderMss = mssOf(peer);
          peer.icmp('too-big', { mtu: 1300 });
          // The last segment was small enough: that one may well have arrived.
          expect(summary(peer.drain())).to.deep.equal({
            first: 1,
            text,
            largest: 1300 - headers - stamps,
          });
          expect(congestionOf(peer), 'at once').to.deep.equal(inSegments(before, senderMss, mssOf(peer)));
          // What comes back acknowledges piece by piece; nothing of it is a loss to anybody.
          for (let ack = 1 + mssOf(peer); ack < text; ack += 2 * mssOf(peer)) {
            peer.advanceMs(1).send(`< . 1:1(0) ack ${ack}`);
          }
          peer.advanceMs(1).ackAll().expectNothing();
          const after = congestionOf(peer);
          expect(after[0], 'cwnd').to.be.at.least(inSegments(before, senderMss, mssOf(peer))[0]);
          expect(after.slice(3)).to.deep.equal([0, 0]);
          expect([peer.stats.tcp.timeouts, senderOf(peer).recovery.phase]).to.deep.equal([0, 0]);
          finishAll();
        }
      }
    });

    it(`re-splits super-packets, also from the middle of one, over ${name} (RFC 1191 §6.4) [PMTU-2]`, () => {
      const mss = ETHERNET - headers;
      const small = 1300 - headers;
      const peer = Peer.established({ ...family, offload: true }).wrote(10 * mss);
      const before = congestionOf(peer);
      // Two of the ten have arrived when a router says of the fifth that it is too big.
      peer.send(`< . 1:1(0) ack ${1 + 2 * mss}`).drain();
      peer.icmp('too-big', { mtu: 1300, about: quoteOf(peer, 1 + 4 * mss) });
      const sent = peer.drain();
      expect(summary(sent)).to.deep.equal({ first: 1 + 2 * mss, text: 8 * mss, largest: small });
      expect(sent.some(({ packet }) => packet.segmentSize === small)).to.equal(true);
      expect(congestionOf(peer).slice(3)).to.deep.equal(before.slice(3));
      expect(senderOf(peer).congestion.cwndBytes).to.be.at.least(before[0]);
      // Again, from the middle of what has just been split, with a part of it selectively acknowledged.
      const from = 1 + 2 * mss + 3 * small;
      peer.send(`< . 1:1(0) ack ${1 + 2 * mss} <sack ${from}:${from + small}>`).drain();
      peer.icmp('too-big', { mtu: 1280, about: quoteOf(peer, 1 + 2 * mss + small) });
      const again = peer.drain();
      expect(summary(again)).to.include({ text: 8 * mss - small, largest: 1280 - headers });
      for (const { line } of again) {
        expect(
          line.start + line.textBytes <= from || line.start >= from + small,
          'what the peer has',
        ).to.equal(true);
      }
      peer.ackAll().expectNothing();
      expect(peer.stats.tcp).to.include({ timeouts: 0 });
    });

    it(`once is enough: those about the other segments of the window change nothing, over ${name} (RFC 1191 §6.4) [PMTU-2]`, () => {
      const peer = Peer.established(family).wrote(8000);
      const quotes = [1, 2, 3].map((i) => quoteOf(peer, 1 + i * mssOf(peer)));
      peer.icmp('too-big', { mtu: 1300 }).drain();
      for (const about of quotes) peer.icmp('too-big', { mtu: 1300, about });
      peer.expectNothing();
    });

    it(`that claims what is sent, or more, is ignored, over ${name} (RFC 1191 §6.3, RFC 8201 §4) [PMTU-4]`, () => {
      const peer = Peer.established(family).wrote(5000);
      for (const mtu of [ETHERNET, ETHERNET + 1, 9000, 0xffff]) peer.icmp('too-big', { mtu });
      peer.expectNothing();
      peer.icmp('too-big', { mtu: 1300 }).drain();
      for (const mtu of [1300, 1301, ETHERNET]) peer.icmp('too-big', { mtu });
      peer.expectNothing();
      expect([mssOf(peer), peer.stack.ip.pathMtu.size]).to.deep.equal([1300 - headers, 1]);
    });

    it(`must quote a segment of this connection that is in flight, over ${name} (RFC 5927 §4.1, §7) [PMTU-6]`, () => {
      const peer = Peer.established(family).wrote(10_000);
      peer.send('< . 1:1(0) ack 2921').drain();
      const at = family.ipv6 ? 40 : 20;
      const spoilt = (place: number): Uint8Array => {
        const about = quoteOf(peer, 2921);
        about[place] ^= 1;
        return about;
      };
      const forged: [string, IcmpFields][] = [
        ['before SND.UNA', { about: quoteOf(peer, 2920) }],
        ['acknowledged', { about: quoteOf(peer, 1) }],
        ['at SND.NXT', { about: quoteOf(peer, 10_001) }],
        ['beyond', { about: quoteOf(peer, 10_500) }],
        ['half the space away', { about: quoteOf(peer, 2 ** 31) }],
        ['our port', { about: spoilt(at + 1) }],
        ['its port', { about: spoilt(at + 3) }],
        ['its address', { about: spoilt(family.ipv6 ? 39 : 19) }],
        ['our address', { about: spoilt(family.ipv6 ? 23 : 15) }],
        ['another protocol', { about: spoilt(family.ipv6 ? 6 : 9) }],
      ];
      for (const [what, fields] of forged) {
        peer.icmp('too-big', { mtu: 1280, ...fields });
        expect(mssOf(peer), what).to.equal(ETHERNET - headers);
      }
      peer.expectNothing();
      expect(peer.stack.ip.pathMtu.size).to.equal(0);
      expect(peer.stats.tcp.outOfWindowIcmps).to.equal(5);
      expect(peer.stats.icmp.inUnmatched).to.equal(forged.length);
      // The first and the last that are in flight will do.
      peer.icmp('too-big', { mtu: 1400, about: quoteOf(peer, 2921) });
      expect(mssOf(peer)).to.equal(1400 - headers);
      peer.icmp('too-big', { mtu: 1300, about: quoteOf(peer, 10_000) });
      expect(mssOf(peer)).to.equal(1300 - headers);
    });

    it(`says nothing when nothing is in flight, over ${name} (RFC 5927 §4.1) [PMTU-6]`, () => {
      const peer = Peer.established(family).wrote(5000).ackAll();
      peer.icmp('too-big', { mtu: 1280, about: quoteOf(peer, 5001) });
      expect(mssOf(peer)).to.equal(ETHERNET - headers);
      expect(peer.stats.tcp.outOfWindowIcmps).to.equal(1);
    });

    it(`that is plausible is honoured at once, as on Linux, and whoever forges one gains little, over ${name} (RFC 5927 §7.2) [PMTU-7]`, () => {
      // The policy: no waiting for a time-out. What bounds the harm is the window the number must lie in, the
      // floor of PMTU-5, the ten minutes of PMTU-8, and that the sender's window stays as it is.
      const peer = Peer.established(family).wrote(5000);
      const before = congestionOf(peer);
      const senderMss = mssOf(peer);
      peer.icmp('too-big', { mtu: 1300 });
      expect(peer.drain()[0].atMs, 'at once').to.equal(peer.nowMs);
      expect(mssOf(peer)).to.equal(1300 - headers);
      expect(congestionOf(peer)).to.deep.equal(inSegments(before, senderMss, mssOf(peer)));
      peer.icmp('too-big', { mtu: 68 });
      const least = family.ipv6 ? 1300 - headers : 552 - headers;
      expect(mssOf(peer)).to.equal(least);
      peer.ackAll().advanceMs(600_001).wrote(5000);
      expect(mssOf(peer)).to.equal(ETHERNET - headers);
    });

    it(`is remembered for the destination for ten minutes, and then forgotten, over ${name} (RFC 1191 §6.3, RFC 8201 §4) [PMTU-8]`, () => {
      const peer = Peer.established(family).wrote(3000);
      peer.icmp('too-big', { mtu: 1300 }).drain();
      peer.ackAll();
      const largest = (): number => {
        peer.write(3000);
        const { largest: bytes } = summary(peer.drain());
        peer.ackAll();
        return bytes;
      };
      peer.advanceMs(300_000);
      expect(largest()).to.equal(1300 - headers);
      const second = peer.another({ port: 41_000 }).handshake().wrote(3000);
      expect(mssOf(second), 'also for others').to.equal(1300 - headers);
      second.ackAll();
      // A decrease counts from when it is learnt.
      peer.wrote(1200).icmp('too-big', { mtu: 1290 }).drain();
      peer.ackAll().advanceMs(599_000);
      expect(largest()).to.equal(1290 - headers);
      peer.advanceMs(1001);
      expect(largest(), `${destination} is taken for new`).to.equal(ETHERNET - headers);
      expect(peer.stack.ip.pathMtu.size).to.equal(0);
      second.write(3000);
      expect(summary(second.drain()).largest).to.equal(ETHERNET - headers);
    });

    it(`never makes segments without text, however small it claims the path to be, over ${name} (CVE-2019-11479) [PMTU-16]`, () => {
      for (const timestamps of [true, false]) {
        for (const mtu of [0, 1, 8, 39, 40, 41, 47, 48, 60, 67, 68, 69, 88, 100, 551, 552, 1279, 1280]) {
          const peer = Peer.established({ ...family, timestamps }).wrote(3000);
          peer.icmp('too-big', { mtu });
          expect(mssOf(peer), `MTU ${mtu}`).to.be.at.least(family.ipv6 ? 1208 : 500);
          for (let i = 0; i < 10; i++) peer.ackAll().drain();
          expect(peer.endpoint.unackedBytes).to.equal(0);
          finishAll();
        }
      }
    });
  });

  it('with MTU 0 comes from an old router: the plateau below what did not fit (RFC 1191 §5, §7) [PMTU-3]', () => {
    for (const [length, plateau] of [
      [1500, 1492],
      [1492, 1006],
      [1006, 552],
    ]) {
      const peer = Peer.established({ mtu: length }).wrote(3000);
      // What is quoted says how large it was; the last segment is not the one that did not fit.
      const about = quoteOf(peer, 1);
      new DataView(about.buffer, about.byteOffset).setUint16(2, length);
      peer.icmp('too-big', { mtu: 0, about });
      expect(mssOf(peer), `${length}`).to.equal(plateau - 40);
      // Where the plateau lies below the floor, the floor is taken, and routers may fragment.
      expect(peer.drain().every(({ dontFragment }) => dontFragment)).to.equal(plateau > 552);
    }
    // IPv6 knows no such routers.
    const six = Peer.established({ ipv6: true }).wrote(3000);
    six.icmp('too-big', { mtu: 0 }).expectNothing();
    expect(mssOf(six)).to.equal(1440);
  });

  it('does not go below 552 bytes over IPv4: from there DF is given up (RFC 1191 §3, Linux `min_pmtu`) [PMTU-5]', () => {
    for (const mtu of [552, 551, 296, 68, 67, 1]) {
      const peer = Peer.established().wrote(2920);
      peer.icmp('too-big', { mtu });
      const sent = peer.drain();
      expect(summary(sent), `MTU ${mtu}`).to.deep.equal({ first: 1, text: 2920, largest: 512 });
      for (const { dontFragment, bytes } of sent) {
        expect([dontFragment, bytes.length <= 552], `MTU ${mtu}`).to.deep.equal([mtu === 552, true]);
      }
      finishAll();
    }
  });

  it('below 1280 is ignored over IPv6, and no atomic fragments come of it (RFC 8201 §4, RFC 8021) [PMTU-5]', () => {
    const peer = Peer.established({ ipv6: true }).wrote(3000);
    for (const mtu of [1279, 1000, 576, 68, 1]) peer.icmp('too-big', { mtu });
    peer.expectNothing();
    expect(mssOf(peer)).to.equal(1440);
    peer.icmp('too-big', { mtu: 1280 });
    const sent = peer.drain();
    expect(summary(sent)).to.deep.equal({ first: 1, text: 2880, largest: 1220 });
    for (const { bytes } of sent) expect(bytes[6], 'no Fragment header').to.equal(6);
    expect(mssOf(peer)).to.equal(1220);
  });

  it('keeps every segment above nothing also where MSS options and links are tiny (CVE-2019-11479) [PMTU-16]', () => {
    for (const [mtu, mss] of [
      [68, 1460],
      [100, 1460],
      [1500, 1],
      [1500, 48],
      [1500, 88],
    ]) {
      for (const timestamps of [true, false]) {
        const peer = Peer.established({ mtu, mss, timestamps }).wrote(500);
        expect(mssOf(peer), `MTU ${mtu}, MSS ${mss}`).to.be.at.least(48);
        for (let i = 0; i < 60 && peer.endpoint.unackedBytes > 0; i++) {
          peer.ackAll();
          for (const { line } of peer.drain()) expect(line.textBytes).to.be.at.least(1);
        }
        expect(peer.endpoint.unackedBytes).to.equal(0);
        finishAll();
      }
    }
  });

  it('is what an MSS option of 65535 leaves to say how large segments are (RFC 2675 §5.1) [RM-5]', () => {
    forEachFamily((family) => {
      const headers = family.ipv6 ? 60 : 40;
      for (const mtu of [1280, 1500, 9000, 65_535]) {
        const peer = Peer.established({ ...family, mtu, mss: 65_535 }).wrote(60_000);
        expect(mssOf(peer), `MTU ${mtu}`).to.equal(mtu - headers);
        expect(peer.last?.bytes.length).to.be.at.most(mtu);
        finishAll();
      }
      const peer = Peer.established({ ...family, mss: 65_535 }).wrote(1460);
      peer.icmp('too-big', { mtu: 1300 });
      expect(mssOf(peer)).to.equal(1300 - headers);
    });
  });

  it('about a SYN or SYN-ACK is remembered for the text that follows', () => {
    const client = Peer.connecting();
    client.icmp('too-big', { mtu: 1300 }).drain();
    client.send('< S. 0:0(0) ack 1 <mss 1460>').drain();
    client.wrote(3000);
    expect(mssOf(client)).to.equal(1260);
    const server = Peer.in('SYN-RECEIVED');
    server.icmp('too-big', { mtu: 1300 }).send('< . 1:1(0) ack 1').wrote(3000);
    expect(mssOf(server)).to.equal(1260);
  });
});
