/** Forged ICMP errors against connections: rows B1 to B5, B7, B8 and B10, and tcp.md ICMP-1 to ICMP-6. */
import { expect } from 'chai';
import { PathMtuCache } from '../../../lib/ip/path-mtu.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { addressBytes, icmp4, icmp6, tcp, u32, udp, v4, v6 } from '../../support/ip-wire.js';
import { forEachFamily, type IcmpFields, type IcmpKind, Peer, type PeerState } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const HARD: readonly IcmpKind[] = ['port', 'protocol'];
const SYNCHRONIZED: readonly PeerState[] = [
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
];

/** An error may have any of these types and codes; more than there are. */
const TYPES = { 4: [3, 4, 11, 12, 1, 40], 6: [1, 2, 3, 4, 5, 100] } as const;
const CODES = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 13, 15, 255];

const headerBytesOf = (bytes: Uint8Array): number => (bytes[0] >> 4 === 6 ? 40 : 20);

/** The last packet the stack sent, its sequence number moved by `by`. */
function quote(peer: Peer, by = 0): Uint8Array {
  const about = peer.last?.bytes.slice() ?? new Uint8Array(0);
  const view = new DataView(about.buffer);
  const at = headerBytesOf(about) + 4;
  view.setInt32(at, (view.getInt32(at) + by) | 0);
  return about;
}

/** Everything about a connection that an error might spoil. */
function stateOf(peer: Peer): unknown {
  const { sender, softError } = peer.endpoint.connection;
  const { congestion, recovery } = sender;
  return {
    state: peer.state,
    softError,
    mssBytes: sender.mssBytes,
    cwndBytes: congestion.cwndBytes,
    ssthreshBytes: congestion.ssthreshBytes,
    rtoUs: recovery.rtoUs,
    deadlineUs: recovery.deadlineUs,
    unacked: peer.endpoint.unackedBytes,
    pathMtus: peer.stack.ip.pathMtu.size,
  };
}

/** A connection in `state` with something in flight, if it may have that. */
function busy(state: PeerState, options: ConstructorParameters<typeof Object>[0] = {}): Peer {
  const peer = Peer.in(state, options as object);
  if (state === 'ESTABLISHED' || state === 'CLOSE-WAIT') peer.wrote(1000);
  peer.takeEvents();
  return peer;
}

describe('a forged ICMP error', () => {
  forEachFamily((family, name) => {
    const version = family.ipv6 ? 6 : 4;

    it(`of any type and code does no more than worry a connection, over ${name} (RFC 5927 §5.2, §6) [B1 ICMP-2]`, () => {
      for (const state of SYNCHRONIZED) {
        const peer = busy(state, family);
        const { mssBytes } = peer.endpoint.connection.sender;
        for (const type of TYPES[version]) {
          for (const code of CODES) {
            if (type === (family.ipv6 ? 2 : 3) && code === (family.ipv6 ? code : 4)) continue;
            peer.icmp('host', { type, code, about: quote(peer) });
            expect(peer.state, `${type}/${code} in ${state}`).to.equal(state);
          }
        }
        expect(peer.endpoint.connection.sender.mssBytes).to.equal(mssBytes);
        expect(peer.takeEvents().every((event) => event.startsWith('soft '))).to.equal(true);
        // It lives, and says so.
        if (state === 'ESTABLISHED') peer.ackAll().sendText(10).expectRead(10).expectState('ESTABLISHED');
        finishAll();
      }
    });

    it(`about a port or protocol is recorded as a soft error by a connection, over ${name} (RFC 5927 §6, RFC 5461) [ICMP-2 B1]`, () => {
      for (const [kind, code] of [
        ['port', 'ECONNREFUSED'],
        ['protocol', 'ENOPROTOOPT'],
      ] as const) {
        const peer = Peer.established(family).wrote(1000);
        peer.takeEvents();
        peer.icmp(kind).expectEvents(`soft ${code}`).expectState('ESTABLISHED');
        expect(peer.endpoint.connection.softError).to.equal(code);
        peer.ackAll();
        expect(peer.endpoint.connection.softError, 'data got through').to.equal('');
      }
    });

    it(`ends an attempt to connect only with its own number and addresses, over ${name} (RFC 5927 §5.2) [B1 ICMP-3]`, () => {
      for (const kind of HARD) {
        const peer = Peer.connecting(family).expect('> S 0:0(0)');
        for (const by of [1, -1, 1000, 2 ** 31, -(2 ** 30)]) peer.icmp(kind, { about: quote(peer, by) });
        const at = headerBytesOf(quote(peer));
        for (const place of [at, at + 2, at - 1, at - (family.ipv6 ? 17 : 5)]) {
          const about = quote(peer);
          about[place] ^= 1;
          peer.icmp(kind, { about });
        }
        peer.expectState('SYN-SENT').expectEvents();
        expect(peer.stats.tcp.outOfWindowIcmps).to.equal(5);
        expect(peer.stats.icmp.inUnmatched).to.equal(9);
        const code = kind === 'port' ? 'ECONNREFUSED' : 'ENOPROTOOPT';
        peer.icmp(kind).expectEvents(`close ${code}`).expectState('CLOSED');
      }
    });

    it(`that may pass lets an attempt go on, and an application give it up if it likes, over ${name} (RFC 1122 §4.2.3.9) [ICMP-3]`, () => {
      const patient = Peer.connecting(family).expect('> S 0:0(0)');
      patient.icmp('host').icmp('net').expectState('SYN-SENT');
      patient.expectAfterMs(1000, '> S 0:0(0)').advanceMs(130_000).expectState('CLOSED');
      expect(patient.takeEvents().at(-1)).to.match(/^close (EHOSTUNREACH|ENETUNREACH)$/);
      const hasty = Peer.connecting(family).expect('> S 0:0(0)');
      hasty.onEvent = (event) => {
        if (event.startsWith('soft ')) hasty.endpoint.abort();
      };
      hasty.icmp('host').expectState('CLOSED').expectNothing(10_000);
    });

    it(`ends a handshake of a listener only with the number of its SYN-ACK, over ${name} (RFC 5927 §5) [ICMP-4 B1]`, () => {
      for (const kind of HARD) {
        const peer = Peer.in('SYN-RECEIVED', family);
        for (const by of [1, -1, 77, 2 ** 31]) peer.icmp(kind, { about: quote(peer, by) });
        peer.expectState('SYN-RECEIVED');
        expect(peer.stats.tcp.outOfWindowIcmps).to.equal(4);
        peer.icmp('host').icmp('net').icmp('time-exceeded').expectState('SYN-RECEIVED');
        const { attemptFails } = peer.stats.tcp;
        peer.icmp(kind).expectState('LISTEN');
        expect(peer.stats.tcp.attemptFails).to.equal(attemptFails + 1);
        // It left nothing behind: the same peer may try again.
        peer
          .reborn()
          .sendSyn()
          .expect('> S. 0:0(0) ack 1')
          .send('< . 1:1(0) ack 1')
          .expectState('ESTABLISHED');
      }
    });

    it(`about a number outside the window is ignored and counted, over ${name} (RFC 5927 §4) [ICMP-1 B1 B2]`, () => {
      for (const state of SYNCHRONIZED) {
        const peer = busy(state, family);
        const before = stateOf(peer);
        const kinds: readonly IcmpKind[] = ['too-big', 'port', 'protocol', 'host', 'net'];
        const { sndUna, sndNxt } = peer.endpoint.connection.sender;
        const inFlight = (sndNxt - sndUna) | 0;
        const { start } = peer.last?.line ?? { start: 0 };
        const una = peer.relativeOf(sndUna);
        let told = 0;
        for (const kind of kinds) {
          for (const number of [una - 1, una + inFlight, una + inFlight + 1, una + 2 ** 30, una - 65_535]) {
            peer.icmp(kind, { mtu: 1280, about: quote(peer, number - start) });
            told++;
          }
        }
        expect(stateOf(peer), state).to.deep.equal(before);
        peer.expectEvents().expectNothing();
        expect(peer.stats.tcp.outOfWindowIcmps, state).to.equal(told);
        expect(peer.stats.icmp.inUnmatched, state).to.equal(told);
        finishAll();
      }
    });

    it(`about a listener, or a connection in TIME-WAIT, is ignored, over ${name} (Linux) [ICMP-6]`, () => {
      const kinds: readonly IcmpKind[] = ['port', 'protocol', 'host', 'net', 'too-big', 'time-exceeded'];
      const listening = Peer.listening(family).sendSyn();
      const about = quote(listening);
      listening.send('< R 1:1(0)').drain();
      for (const kind of kinds) listening.icmp(kind, { mtu: 1300, about });
      listening.expectState('LISTEN').expectNothing(1000);
      const waiting = Peer.in('TIME-WAIT', family);
      for (const kind of kinds) {
        for (const by of [-1, 0, 1]) waiting.icmp(kind, { mtu: 1300, about: quote(waiting, by) });
      }
      waiting.expectState('TIME-WAIT').expectNothing(59_000).expectState('TIME-WAIT');
      for (const peer of [listening, waiting]) {
        expect(peer.stack.ip.pathMtu.size).to.equal(0);
        expect(peer.stats.icmp.inUnmatched).to.be.above(5);
      }
    });

    it(`that quotes fewer than eight bytes of TCP is ignored, in every state, over ${name} (RFC 5927 §4) [ICMP-5 B7]`, () => {
      for (const state of ['SYN-SENT', 'SYN-RECEIVED', 'ESTABLISHED'] as const) {
        const peer = busy(state, family);
        for (const kind of ['port', 'protocol', 'host', 'too-big'] as const) {
          for (let quoteBytes = 0; quoteBytes < 8; quoteBytes++) peer.icmp(kind, { mtu: 1300, quoteBytes });
          const whole = quote(peer);
          for (let bytes = 0; bytes < headerBytesOf(whole); bytes++) {
            peer.icmp(kind, { mtu: 1300, about: whole.subarray(0, bytes), quoteBytes: bytes });
          }
        }
        peer.expectState(state).expectEvents().expectNothing();
        expect(peer.stack.ip.pathMtu.size).to.equal(0);
        // Eight are enough.
        peer.icmp('host', { quoteBytes: 8 });
        if (state !== 'SYN-RECEIVED') peer.expectEvents('soft EHOSTUNREACH');
        finishAll();
      }
    });

    it(`whose quotation lies, or is anything at all, does nothing, over ${name} (CVE-2020-35683, CVE-2020-11898) [B7 ICMP-5]`, () => {
      const random = new SeededRandom(family.ipv6 ? 67 : 47);
      const below = (limit: number): number => random.uint32() % limit;
      const peer = busy('ESTABLISHED', family);
      const before = stateOf(peer);
      const whole = quote(peer).slice(0, 200);
      const at = headerBytesOf(whole);
      for (let run = 0; run < 3000; run++) {
        const about = whole.slice(0, below(whole.length + 1));
        for (let i = below(6); i >= 0 && about.length > 0; i--) about[below(about.length)] = below(256);
        // One whose number happens to be right might be heard; this one is not.
        if (about.length >= at + 8) about[at + 4] ^= 0x40;
        // Neither is what has turned into something else behind more headers.
        if (family.ipv6 && about.length > 6 && about[6] !== 6) about[6] = 59;
        if (!family.ipv6 && about.length > 0) about[0] = (about[0] & 0xf0) | Math.max(5, about[0] & 15);
        const fields: IcmpFields = {
          about,
          type: TYPES[version][below(4)],
          code: below(16),
          word: random.uint32(),
        };
        peer.icmp('host', about.length < at ? { ...fields, quoteBytes: about.length } : fields);
      }
      expect(stateOf(peer)).to.deep.equal(before);
      peer.ackAll().sendText(10).expectRead(10);
    });

    it(`never has an answer, also when it is about an error, over ${name} (RFC 1122 §3.2.2, RFC 4443 §2.4) [B10]`, () => {
      const peer = busy('ESTABLISHED', family);
      for (const type of TYPES[version]) {
        for (const code of CODES) peer.icmp('host', { type, code, mtu: 1300, about: quote(peer, 2 ** 30) });
      }
      const error = quote(peer);
      error[family.ipv6 ? 6 : 9] = family.ipv6 ? 58 : 1;
      for (let i = 0; i < 100; i++) peer.icmp('port', { about: error });
      peer.ackAll().expectNothing(1000);
      expect(peer.host.unclaimed).to.deep.equal([]);
      expect(peer.stats.icmp.outMsgs).to.equal(0);
    });
  });

  it('has no answer, nor has a ping to all: neither can be made into a storm (RFC 1122 §3.2.2.6) [B10]', () => {
    const peer = Peer.closed();
    const ping = icmp4(8, 0, 0x7_0001, new Uint8Array(32));
    for (const to of ['10.0.0.255', '255.255.255.255', '224.0.0.1']) {
      for (let i = 0; i < 100; i++) peer.sendRaw(v4({ from: '10.0.0.2', to, protocol: 1, payload: ping }));
      // UDP and TCP to all, with nobody to hear them, have no answer either.
      peer.sendRaw(v4({ from: '10.0.0.2', to, payload: udp('10.0.0.2', to) }));
      peer.sendRaw(v4({ from: '10.0.0.2', to, protocol: 6, payload: tcp('10.0.0.2', to) }));
    }
    expect(peer.host.unclaimed).to.deep.equal([]);
    peer.sendRaw(v4({ from: '10.0.0.2', to: '10.0.0.1', protocol: 1, payload: ping }));
    expect(peer.host.unclaimed.length, 'a ping to one host has').to.equal(1);
  });

  it('that names any MTU leaves segments of a sensible size (RFC 1191, practice) [B3 B2]', () => {
    for (const timestamps of [true, false]) {
      for (const mtu of [0, 1, 67, 68, 69, 551, 552, 576, 1280, 1499, 1500, 9000, 65_535]) {
        const four = Peer.established({ timestamps }).wrote(8000);
        four.icmp('too-big', { mtu });
        const stamps = timestamps ? 12 : 0;
        // A router that names none is taken to mean the next plateau: here that of what it quotes.
        const expected = mtu === 0 ? undefined : Math.min(1500, Math.max(552, mtu)) - 40 - stamps;
        const { mssBytes } = four.endpoint.connection.sender;
        expect(mssBytes, `${mtu}`).to.be.within(512 - stamps, 1460 - stamps);
        if (expected !== undefined) expect(mssBytes, `${mtu}`).to.equal(expected);
        const six = Peer.established({ ipv6: true, timestamps }).wrote(8000);
        for (const word of [mtu, mtu + 2 ** 31, 2 ** 32 - 1]) six.icmp('too-big', { word });
        const right = mtu >= 1280 && mtu < 1500 ? mtu : 1500;
        expect(six.endpoint.connection.sender.mssBytes, `${mtu}`).to.equal(right - 60 - stamps);
        for (const peer of [four, six]) {
          for (let i = 0; i < 12; i++) peer.ackAll().drain();
          expect(peer.endpoint.unackedBytes).to.equal(0);
        }
        finishAll();
      }
    }
  });

  it('that shrinks a path is never below the floor, never up, and over in ten minutes (RFC 5927 §7, CVE-2004-1060) [B2]', () => {
    forEachFamily((family) => {
      const headers = family.ipv6 ? 60 : 40;
      const floor = (family.ipv6 ? 1280 : 552) - headers;
      const peer = Peer.established(family).wrote(8000);
      const mssBytes = (): number => peer.endpoint.connection.sender.mssBytes;
      let last = mssBytes();
      for (const mtu of [1400, 1450, 1300, 1500, 1280, 1279, 552, 600, 100, 1, 65_535]) {
        peer.icmp('too-big', { mtu });
        expect(mssBytes()).to.be.at.most(last);
        expect(mssBytes()).to.be.at.least(floor);
        last = mssBytes();
      }
      expect(last).to.equal(floor);
      for (let i = 0; i < 20; i++) peer.ackAll().drain();
      peer.advanceMs(600_000).wrote(8000);
      expect(mssBytes()).to.equal(1500 - headers);
    });
  });

  it('about many destinations fills a table of bounded size (CVE-2021-20322) [B4]', () => {
    const flood = (entries: number): number => {
      const peer = Peer.listening({ ip: { pathExceptions: 256 } });
      for (let i = 0; i < entries; i++) {
        const other = peer.another({ address: `10.0.${1 + (i >> 8)}.${i & 255}` }).sendSyn();
        other.icmp('too-big', { mtu: 1000 + (i % 300) });
      }
      return peer.stack.ip.pathMtu.size;
    };
    expect([255, 256, 257, 600].map(flood)).to.deep.equal([255, 256, 256, 256]);
  });

  it('takes the place of one that is known, one for one, however large the table (CVE-2021-20322) [B4]', () => {
    const { route } = Peer.closed().stack.ip.resolve({
      destination: IpAddress.parse('192.0.2.9'),
      protocol: 6,
    });
    for (const pathExceptions of [1, 1000, 64_000]) {
      const limits = { pathExceptions, pathMtuMs: 600_000, redirectMs: 1000, pathMtuFloor4: 552 };
      const cache = new PathMtuCache(new SeededRandom(1), limits);
      const learn = (i: number): void => {
        const destination = IpAddress.parse(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
        cache.learn({ destination, route, mtu: 1500 }, 1400, i);
      };
      for (let i = 0; i < pathExceptions; i++) learn(i);
      expect([cache.size, cache.evictions]).to.deep.equal([pathExceptions, 0]);
      for (let i = 0; i < 2000; i++) {
        learn(pathExceptions + i);
        expect([cache.size, cache.evictions]).to.deep.equal([pathExceptions, i + 1]);
      }
    }
  });

  it('of routers and neighbours teaches nothing, however many there are (RFC 4861, CVE-2020-16898) [B9 B6]', () => {
    const peer = Peer.established({ ipv6: true });
    const { ip, routing } = peer.stack;
    const known = (): unknown => [ip.addresses(), routing.routes.list(), routing.routes.get('2001:db8::9')];
    const before = JSON.stringify(known());
    for (let i = 0; i < 150; i++) {
      const prefix = [...u32(0x2001_0db8), ...u32(i), ...u32(0), ...u32(0)];
      const options = [
        3,
        4,
        64,
        192,
        ...u32(65535),
        ...u32(65535),
        ...u32(0),
        ...prefix,
        24,
        3,
        64,
        0,
        ...u32(65535),
        ...prefix,
        25,
        i % 7,
        0,
        0,
        ...u32(65535),
        ...prefix,
        ...prefix,
      ];
      for (const hopLimit of [255, 254]) {
        const discover = (type: number, word: number, data: readonly number[]): void => {
          const to = 'fd00::1';
          const payload = icmp6(['fe80::fe', to], type, 0, word, data);
          peer.sendRaw(v6({ from: 'fe80::fe', to, next: 58, hopLimit, payload }));
        };
        discover(134, 0x40c0_ffff, [...u32(0), ...u32(0), ...options]);
        // An advertisement for an address of ours, and a redirect of our peer to somewhere else.
        discover(136, 0x6000_0000, [...addressBytes('fd00::1'), 2, 1, 2, 0, 0, 0, 0, i & 255]);
        discover(137, 0, [...addressBytes('fe80::bad'), ...addressBytes('fd00::2')]);
      }
    }
    expect(JSON.stringify(known())).to.equal(before);
    expect([ip.pathMtu.size, peer.host.unclaimed]).to.deep.equal([0, []]);
    peer.wrote(100).ackAll().expectState('ESTABLISHED');
  });

  it('of Source Quench, or any other type that is obsolete, changes nothing (RFC 6633, RFC 6918) [B5 B8]', () => {
    const peer = busy('ESTABLISHED', { mss: 1000 });
    const before = stateOf(peer);
    // Source Quench, information, timestamp, address mask, router discovery, traceroute, domain names, SKIP.
    for (const type of [4, 5, 9, 10, 13, 14, 15, 16, 17, 18, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40]) {
      for (let i = 0; i < 50; i++) {
        peer.icmp('source-quench', { type, code: i % 4, word: 0x0a00_00fd, about: quote(peer) });
      }
    }
    expect(stateOf(peer)).to.deep.equal(before);
    peer.expectEvents().expectNothing();
    expect(peer.host.unclaimed, 'and has no answer').to.deep.equal([]);
    const routes = peer.stack.routing.routes.get('192.0.2.9');
    expect(routes.gateway, 'no router was learnt').to.equal(undefined);
  });
});
