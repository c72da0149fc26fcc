/** What ICMP errors do to connections: tcp.md MUST-47, MUST-54 to MUST-56, SHLD-20, SHLD-25, SHLD-26. */
import { expect } from 'chai';
import { forEachFamily, type IcmpKind, Peer } from '../../support/peer.js';

/** Errors that never end a connection, and what the application hears of them. */
const SOFT: readonly (readonly [IcmpKind, string])[] = [
  ['net', 'ENETUNREACH'],
  ['host', 'EHOSTUNREACH'],
  ['source-route', 'EOPNOTSUPP'],
  ['time-exceeded', 'EHOSTUNREACH'],
  ['parameter-problem', 'EPROTO'],
];
const SOFT_V6 = SOFT.filter(([kind]) => kind !== 'source-route');
const HARD: readonly (readonly [IcmpKind, string])[] = [
  ['port', 'ECONNREFUSED'],
  ['protocol', 'ENOPROTOOPT'],
];

describe('an ICMP error', () => {
  forEachFamily((family, name) => {
    const soft = family.ipv6 ? SOFT_V6 : SOFT;

    it(`that may pass does not end an attempt to connect, over ${name} (RFC 9293 §3.9.2.2) [MUST-56 MUST-47]`, () => {
      for (const [kind, code] of soft) {
        const peer = Peer.connecting(family).expect('> S 0:0(0)');
        peer.icmp(kind).expectEvents(`soft ${code}`).expectState('SYN-SENT');
        peer.expectAfterMs(1000, '> S 0:0(0)').send('< S. 0:0(0) ack 1').expect('> . 1:1(0) ack 1');
        peer.expectState('ESTABLISHED');
      }
    });

    it(`that may pass does not end a connection, over ${name} (RFC 9293 §3.9.2.2) [MUST-56 MUST-47]`, () => {
      for (const [kind, code] of soft) {
        const peer = Peer.established(family).wrote(100);
        peer.takeEvents();
        peer.icmp(kind).expectEvents(`soft ${code}`).expectState('ESTABLISHED').expectNothing();
        peer.expectAfterMs(220, '> P. 1:101(100) ack 1').ackAll();
        expect(peer.endpoint.connection.softError, 'forgotten when data is acknowledged').to.equal('');
      }
    });

    it(`that may pass does not end a half-open connection, over ${name} (RFC 9293 §3.9.2.2) [MUST-56]`, () => {
      for (const [kind] of soft) {
        const peer = Peer.in('SYN-RECEIVED', family);
        peer.icmp(kind).expectState('SYN-RECEIVED').send('< . 1:1(0) ack 1').expectState('ESTABLISHED');
      }
    });

    it(`that is final ends an attempt to connect, over ${name} (RFC 9293 §3.9.2.2, RFC 5461 §4) [SHLD-26]`, () => {
      for (const [kind, code] of HARD) {
        const peer = Peer.connecting(family).expect('> S 0:0(0)');
        peer.icmp(kind).expectEvents(`close ${code}`).expectState('CLOSED').expectNothing(200_000);
      }
    });

    it(`that is final ends a half-open connection, over ${name} (RFC 9293 §3.9.2.2) [SHLD-26]`, () => {
      for (const [kind] of HARD) {
        const peer = Peer.in('SYN-RECEIVED', family);
        peer.icmp(kind).expectState('LISTEN').expectNothing(100_000);
      }
    });

    it(`that is final is but a hint to a connection, over ${name} (RFC 5461 §2, RFC 5927 §6) [SHLD-26 MUST-47]`, () => {
      for (const [kind, code] of HARD) {
        for (const state of ['ESTABLISHED', 'FIN-WAIT-1', 'CLOSE-WAIT', 'CLOSING', 'LAST-ACK'] as const) {
          const peer = Peer.in(state, family);
          if (state === 'ESTABLISHED' || state === 'CLOSE-WAIT') peer.wrote(100);
          // So that what is quoted is in flight: the last ACK is not.
          peer.advanceMs(300).drain();
          peer.takeEvents();
          peer.icmp(kind).expectEvents(`soft ${code}`).expectState(state);
          peer.ackAll();
        }
      }
    });

    it(`about a number that is not in flight is ignored, in every state, over ${name} (RFC 5927 §4) [SHLD-26]`, () => {
      for (const [kind] of [...HARD, ...soft]) {
        for (const state of ['SYN-SENT', 'SYN-RECEIVED', 'ESTABLISHED'] as const) {
          const peer = Peer.in(state, family);
          const about = peer.last?.bytes.slice() ?? new Uint8Array(0);
          // The quoted sequence number is another than that of anything unacknowledged.
          about[(family.ipv6 ? 40 : 20) + 4] ^= 0x40;
          peer.takeEvents();
          peer.icmp(kind, { about }).expectEvents().expectState(state);
          expect(peer.stats.icmp.inUnmatched).to.equal(1);
        }
      }
    });
  });

  it('finds the connection that caused it by what it quotes (RFC 9293 §3.9.2.2) [MUST-54]', () => {
    const peers = [Peer.established()];
    for (let i = 1; i < 4; i++) peers.push(peers[0].another().handshake());
    for (const peer of peers) {
      peer.wrote(10);
      peer.takeEvents();
    }
    for (const peer of peers) {
      peer.icmp('host');
      for (const other of peers) other.expectEvents(...(other === peer ? ['soft EHOSTUNREACH'] : []));
    }
    for (const peer of peers) peer.ackAll();
  });

  it('finds its connection by addresses, ports and number alone: eight bytes of a segment (RFC 9293 §3.9.2.2) [MUST-54]', () => {
    const peer = Peer.connecting().expect('> S 0:0(0)');
    const about = peer.last?.bytes.slice(0, 28) ?? new Uint8Array(0);
    const port = about.slice();
    port[21] ^= 1;
    const address = about.slice();
    address[19] ^= 1;
    peer
      .icmp('port', { about: port })
      .icmp('port', { about: address })
      .expectState('SYN-SENT')
      .expectEvents();
    peer.icmp('port', { about, quoteBytes: 8 }).expectState('CLOSED').expectEvents('close ECONNREFUSED');
  });

  it('Source Quench is silently discarded (RFC 6633 §3) [MUST-55 CC-19]', () => {
    for (const state of ['SYN-SENT', 'ESTABLISHED'] as const) {
      const peer = Peer.in(state, { mss: 1000 });
      if (state === 'ESTABLISHED') peer.wrote(20_000);
      const { congestion, recovery } = peer.endpoint.connection.sender;
      const before = [congestion.cwndBytes, congestion.ssthreshBytes, recovery.rtoUs, recovery.inFlightBytes];
      peer.takeEvents();
      for (let i = 0; i < 10; i++) peer.icmp('source-quench');
      peer.expectNothing().expectEvents().expectState(state);
      const after = [congestion.cwndBytes, congestion.ssthreshBytes, recovery.rtoUs, recovery.inFlightBytes];
      expect(after).to.deep.equal(before);
      expect(peer.endpoint.connection.softError).to.equal('');
    }
  });
});

describe('errors that do not end a connection', () => {
  it('are told when a connect fails for good: the error seen on the way, not a time-out (RFC 9293 §3.9.2.2) [SHLD-25]', () => {
    for (const [kind, code] of SOFT) {
      const peer = Peer.connecting().expect('> S 0:0(0)');
      peer.advanceMs(10_000).icmp(kind).advanceMs(130_000).expectState('CLOSED');
      expect(peer.takeEvents().at(-1)).to.equal(`close ${code}`);
    }
  });

  it('are told when a connection fails for good (RFC 9293 §3.9.2.2) [SHLD-25]', () => {
    const peer = Peer.established({ options: { userTimeoutMs: 30_000 } }).wrote(100);
    peer.icmp('net').advanceMs(60_000).expectState('CLOSED');
    expect(peer.takeEvents().at(-1)).to.equal('close ENETUNREACH');
  });

  it('include that retransmissions go unanswered (RFC 9293 §3.9.1.8) [MUST-47]', () => {
    const peer = Peer.established({ tailLossProbe: false }).wrote(100);
    peer.takeEvents();
    peer
      .advanceMs(220 + 440 + 880 + 5)
      .expectEvents('soft ETIMEDOUT')
      .expectState('ESTABLISHED');
    peer.ackAll();
  });

  it('need not be heard: an application that does not ask is not told (RFC 9293 §3.9.1.8) [SHLD-20]', () => {
    const peer = Peer.established().wrote(100);
    const heard: string[] = [];
    peer.endpoint.handler = {
      onConnect: () => heard.push('connect'),
      onReadable: () => heard.push('readable'),
      onWritable: () => heard.push('writable'),
      onEnd: () => heard.push('end'),
      onClose: (code) => heard.push(`close ${code}`),
    };
    for (const [kind] of [...SOFT, ...HARD]) peer.icmp(kind);
    peer.advanceMs(220 + 440 + 880 + 5);
    expect(heard).to.deep.equal([]);
    peer.send('< P. 1:11(10) ack 101').expectRead(10).expectState('ESTABLISHED');
    expect(heard).to.deep.equal(['readable']);
  });
});
