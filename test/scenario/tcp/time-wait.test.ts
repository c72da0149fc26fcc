/** What is left of a connection that has closed, and how the next begins: tcp.md §14, TW-1 to TW-7. */
import { expect } from 'chai';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { Stack, type StackOptions } from '../../../lib/stack/stack.js';
import { TimeWait } from '../../../lib/tcp/time-wait.js';
import { forEachFamily, forEachIsn, Peer } from '../../support/peer.js';

/** Both streams end at 2 there; with timestamps the peer's last was 1020, at 20 ms. */
const timeWait = (options: Parameters<typeof Peer.in>[1] = {}): Peer => Peer.in('TIME-WAIT', options);

describe('an RST in TIME-WAIT', () => {
  forEachFamily((family, name) => {
    it(`ends it when its number is exact, over ${name} (Linux tcp_rfc1337 = 0) [TW-1 A18]`, () => {
      for (const line of ['R 2:2(0)', 'R. 2:2(0) ack 2', 'R. 2:2(0) ack 77']) {
        timeWait(family).send(`< ${line}`).expectNothing().expectState('CLOSED');
      }
    });

    it(`ends nothing when its number is not, over ${name} [TW-1 A18]`, () => {
      const peer = timeWait(family);
      for (const start of [0, 1, 3, 1000, 65_000, 70_000, 0x8000_0000]) {
        peer.send(`< R ${start}:${start}(0)`).send(`< R. ${start}:${start}(0) ack 2`);
        peer.expectNothing().expectState('TIME-WAIT');
      }
      // Nor does it make the wait longer.
      peer.advanceMs(60_000).expectState('CLOSED');
    });

    it(`ends nothing at all where RFC 1337 is followed, over ${name} (RFC 1337 §3) [TW-1 A18]`, () => {
      const peer = timeWait({ ...family, tcp: { rfc1337: true } });
      for (const start of [1, 2, 3, 1000]) {
        peer.send(`< R ${start}:${start}(0)`).send(`< R. ${start}:${start}(0) ack 2`);
        peer.expectNothing().expectState('TIME-WAIT');
      }
      peer.advanceMs(59_999).expectState('TIME-WAIT').advanceMs(1).expectState('CLOSED');
    });
  });

  it('with an old timestamp ends nothing (RFC 7323 §5.2) [TW-1 A18]', () => {
    const peer = timeWait({ timestamps: true });
    peer.send('< R 2:2(0) <TS val 1019 ecr 20>').expectNothing().expectState('TIME-WAIT');
    peer.send('< R 2:2(0) <TS val 1020 ecr 20>').expectNothing().expectState('CLOSED');
  });
});

describe('a SYN in TIME-WAIT', () => {
  forEachFamily((family, name) => {
    it(`with a newer timestamp begins anew, over ${name} (RFC 6191 §2) [TW-2]`, () => {
      for (const start of [3, 2, 1, -1000, 0x7000_0000, -0x7000_0000]) {
        const peer = timeWait({ ...family, timestamps: true });
        peer.advanceMs(10).send(`< S ${start}:${start}(0) <mss 1460,TS val 1021 ecr 0>`);
        peer.expect(`> S. 65539:65539(0) ack ${start + 1}`).expectState('SYN-RECEIVED');
        expect(peer.stats.tcp).to.include({ twRecycled: 1, twCount: 0 });
      }
    });

    it(`with the same timestamp begins anew only with a number beyond RCV.NXT, over ${name} (RFC 6191 §2) [TW-2]`, () => {
      for (const start of [3, 1000, 0x7fff_0000]) {
        const peer = timeWait({ ...family, timestamps: true });
        peer.send(`< S ${start}:${start}(0) <mss 1460,TS val 1020 ecr 0>`);
        peer.expect(`> S. 65539:65539(0) ack ${start + 1}`).expectState('SYN-RECEIVED');
      }
      for (const start of [2, 1, 0, -1000]) {
        const peer = timeWait({ ...family, timestamps: true });
        peer.send(`< S ${start}:${start}(0) <mss 1460,TS val 1020 ecr 0>`);
        peer.expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
      }
    });

    it(`with an older timestamp is an old one, over ${name} (RFC 6191 §2) [TW-2 F4]`, () => {
      for (const start of [3, 2, 1, 0x7000_0000]) {
        const peer = timeWait({ ...family, timestamps: true });
        peer.send(`< S ${start}:${start}(0) <mss 1460,TS val 1019 ecr 0>`);
        peer.expect('> . 2:2(0) ack 2 <nop,nop,TS val 20 ecr 1020>').expectState('TIME-WAIT');
      }
    });

    it(`without timestamps begins anew only with a number beyond RCV.NXT, over ${name} (RFC 1122 §4.2.2.13) [TW-3 F4]`, () => {
      for (const timestamps of [false, true]) {
        for (const start of [3, 1000, 0x7fff_0000]) {
          const peer = timeWait({ ...family, timestamps });
          peer.send(`< S ${start}:${start}(0) <mss 1460>`);
          peer.expect(`> S. 65539:65539(0) ack ${start + 1}`).expectState('SYN-RECEIVED');
        }
        for (const start of [2, 1, 0, -1000, -0x7fff_0000]) {
          const peer = timeWait({ ...family, timestamps });
          peer.send(`< S ${start}:${start}(0) <mss 1460>`).expect('> . 2:2(0) ack 2');
          peer.expectState('TIME-WAIT');
        }
      }
    });
  });

  it('is compared modulo 2^32, and so is its timestamp [TW-2, TW-3]', () => {
    forEachIsn((isn) => {
      const bare = timeWait(isn).send('< S 3:3(0)').expect('> S. 65539:65539(0) ack 4');
      bare.expectState('SYN-RECEIVED');
      timeWait(isn).send('< S 1:1(0)').expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
    });
    for (const timestampBase of [0x7fff_ffff - 20, 0x7fff_ffff - 19, 0xffff_ffff - 20, 0xffff_ffff - 19]) {
      const peer = timeWait({ timestampBase, timestamps: true });
      peer.send('< S 1:1(0) <TS val 1019 ecr 0>').expect('> . 2:2(0) ack 2');
      peer.send('< S 1:1(0) <TS val 1021 ecr 0>').expect('> S. 65539:65539(0) ack 2');
    }
  });

  it('that nobody listens for is acknowledged and changes nothing [TW-3]', () => {
    const peer = timeWait({ role: 'client' });
    peer.send('< S 1000:1000(0)').expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
  });

  it('that is also FIN or RST, or acknowledges something, begins nothing [TW-3]', () => {
    for (const line of ['SR 1000:1000(0)', 'SR. 1000:1000(0) ack 2']) {
      timeWait().send(`< ${line}`).expectNothing().expectState('TIME-WAIT');
    }
    timeWait().send('< S. 1000:1000(0) ack 2').expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
  });
});

describe('the connection that follows one in TIME-WAIT', () => {
  it('works, and begins 65,537 beyond the end of the old one (RFC 1122 §4.2.2.13) [TW-4]', () => {
    forEachIsn((isn) => {
      const peer = Peer.established(isn).wrote(5000).ackAll();
      peer.shutdown().drain();
      peer.send('< F. 1:1(0) ack 5002').drain();
      peer.expectState('TIME-WAIT').advanceMs(5000).send('< S 200:200(0) <mss 1000>');
      // The old one ended at 5002.
      peer.expect(`> S. ${5002 + 65_537}:${5002 + 65_537}(0) ack 201`);
      peer
        .send(`< . 201:201(0) ack ${5002 + 65_538}`)
        .expectState('ESTABLISHED')
        .expectNothing();
      peer
        .send(`< P. 201:301(100) ack ${5002 + 65_538}`)
        .expect(`> . ${5002 + 65_538}:${5002 + 65_538}(0) ack 301`);
      expect(peer.endpoint.readableBytes).to.equal(100);
    });
  });

  it('keeps to that where SYN cookies are the rule, or the SYN queue is full [TW-4]', () => {
    const cookies = timeWait({ tcp: { synCookies: 'always' } });
    cookies.send('< S 3:3(0) <mss 1000>').expect('> S. 65539:65539(0) ack 4').expectState('SYN-RECEIVED');
    const full = timeWait({ backlog: 1 });
    for (let i = 1; i <= 8; i++) full.another({ port: 2000 + i }).sendSyn();
    full.send('< S 3:3(0) <mss 1000>').expect('> S. 65539:65539(0) ack 4').expectState('SYN-RECEIVED');
    expect(full.stats.tcp.synCookiesSent).to.equal(0);
    // The limit of the whole stack holds for it too.
    const limited = timeWait({ tcp: { maxHalfOpen: 1, synCookies: 'never' } });
    limited.another({ port: 2001 }).sendSyn();
    limited.send('< S 3:3(0) <mss 1000>').expectNothing().expectState('CLOSED');
  });

  it('is not disturbed by segments of the old one (RFC 6191 §2) [TW-4]', () => {
    const peer = timeWait().send('< S 10000:10000(0) <mss 1000>').expect('> S. 65539:65539(0) ack 10001');
    peer.send('< . 10001:10001(0) ack 65540').expectState('ESTABLISHED').drain();
    peer.advanceMs(500).send('< F. 1:1(0) ack 2').send('< P. 2:102(100) ack 2').send('< R 2:2(0)').drain();
    peer.expectState('ESTABLISHED');
    expect(peer.endpoint.readableBytes).to.equal(0);
  });
});

describe('connect over a tuple in TIME-WAIT', () => {
  const again = (tcp: NonNullable<StackOptions['tcp']>, timestamps: boolean): Peer =>
    timeWait({ role: 'client', timestamps, tcp });

  it('is refused but on the loopback (Linux tcp_tw_reuse = 2) [TW-5]', () => {
    for (const timeWaitReuse of ['loopback', 'never'] as const) {
      const peer = again({ timeWaitReuse }, true).advanceMs(10_000);
      expect(() => peer.connect())
        .to.throw()
        .with.property('code', 'EADDRINUSE');
      peer.advanceMs(60_000).reborn().connect().expect('> S 0:0(0)');
    }
  });

  it('is allowed with timestamps and a second after the last of them, where so configured (RFC 6191) [TW-5]', () => {
    const peer = again({ timeWaitReuse: 'always' }, true).advanceMs(999);
    expect(() => peer.connect())
      .to.throw()
      .with.property('code', 'EADDRINUSE');
    peer.advanceMs(1).connect().expect('> S 65539:65539(0) <mss 1460,sackOK,TS val 1020 ecr 0>');
    expect(peer.stats.tcp).to.include({ twRecycled: 1, twCount: 0 });
    const bare = again({ timeWaitReuse: 'always' }, false).advanceMs(50_000);
    expect(() => bare.connect())
      .to.throw()
      .with.property('code', 'EADDRINUSE');
  });

  it('is allowed on the loopback by default, under the same conditions (Linux tcp_tw_reuse = 2) [TW-5]', () => {
    const attempt = (timestamps: boolean, afterMs: number, timeWaitReuse?: 'never'): string => {
      const host = new LoopbackHost(timeWaitReuse === undefined ? {} : { timeWaitReuse }, timestamps);
      host.connectAndClose(50_000);
      expect(host.stack.stats.tcp.twCount).to.equal(1);
      host.clock.advanceBy(afterMs * 1000);
      const outcome = host.tryConnect(50_000);
      host.stack.close();
      return outcome;
    };
    expect(attempt(true, 1000)).to.equal('connected');
    expect(attempt(true, 990)).to.equal('EADDRINUSE');
    expect(attempt(false, 30_000)).to.equal('EADDRINUSE');
    expect(attempt(true, 30_000, 'never')).to.equal('EADDRINUSE');
    expect(attempt(true, 60_001, 'never')).to.equal('connected');
  });

  it('is passed over when an ephemeral port is chosen [TW-5]', () => {
    const tcp = { ephemeralPorts: [40_000, 40_000] as const };
    const peer = timeWait({ role: 'client', tcp });
    expect(peer.direction.destinationPort).to.equal(40_000);
    const connect = (): unknown => peer.stack.connectTcp({ address: '10.0.0.2', port: 80 });
    expect(connect).to.throw().with.property('code', 'EADDRNOTAVAIL');
    peer.advanceMs(60_000);
    expect(connect).not.to.throw();
    peer.drain();
  });
});

describe('TIME-WAIT records', () => {
  it('have a limit, beyond which connections just close (Linux tcp_max_tw_buckets) [TW-6 C11]', () => {
    for (const [count, kept, over] of [
      [2, 2, 0],
      [3, 3, 0],
      [4, 3, 1],
      [7, 3, 4],
    ]) {
      const first = Peer.listening({ tcp: { maxTimeWait: 3 } });
      const peers = Array.from({ length: count }, (_, i) => first.another({ port: 3000 + i }));
      for (const peer of peers) {
        peer.handshake().shutdown().drain();
        peer.send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2');
        expect(peer.takeEvents()).to.include('close');
      }
      const states = peers.map(({ state }) => state);
      expect(states.filter((state) => state === 'TIME-WAIT')).to.have.length(kept);
      expect(states.filter((state) => state === 'CLOSED')).to.have.length(over);
      expect(first.stats.tcp).to.include({ tw: count, twCount: kept, twOverflow: over });
      first.advanceMs(60_000);
      expect(first.stats.tcp.twCount).to.equal(0);
    }
  });

  it('may be forbidden altogether [TW-6]', () => {
    const peer = Peer.in('FIN-WAIT-2', { tcp: { maxTimeWait: 0 } });
    peer.send('< F. 1:1(0) ack 2').expect('> . 2:2(0) ack 2').expectState('CLOSED');
    expect(peer.stats.tcp).to.include({ twCount: 0, twOverflow: 1 });
  });

  it('stay within it through thousands of short connections, whose ports come round again [TW-6 C11]', () => {
    const first = Peer.listening({ tcp: { maxTimeWait: 100 }, timestamps: true });
    const peers = Array.from({ length: 50 }, (_, i) => first.another({ port: 3000 + i }));
    for (let round = 0; round < 20; round++) {
      first.advanceMs(50);
      for (const peer of peers) {
        const irs = round * 1000;
        if (round === 0) peer.reborn();
        peer.send(`< S ${irs}:${irs}(0) <mss 1000,TS val ${peer.tsVal} ecr 0>`);
        const iss = peer.take()?.line.start ?? -1;
        peer.send(`< . ${irs + 1}:${irs + 1}(0) ack ${iss + 1}`).shutdown();
        peer.send(`< F. ${irs + 1}:${irs + 1}(0) ack ${iss + 2}`).drain();
      }
      expect(first.stats.tcp.twCount).to.be.within(1, 100);
    }
    expect(first.stats.tcp).to.include({ passiveOpens: 1000, tw: 1000, twRecycled: 950, twOverflow: 0 });
    expect(first.gauges).to.include({ connections: 0, memoryBytes: 0 });
  });

  it('are small: numbers, the tuple and the path, and nothing of the connection [TW-6]', () => {
    const { endpoint } = Peer.established().sendText(5000).wrote(5000);
    const { connection } = endpoint;
    const tuple = {
      local: endpoint.localAddress,
      remote: endpoint.remoteAddress,
      localPort: endpoint.localPort,
      remotePort: endpoint.remotePort,
    };
    const record = new TimeWait(connection, tuple, {} as never, 0);
    const held = Object.entries(record).filter(([, value]) => typeof value === 'object' && value !== null);
    expect(held.map(([name]) => name)).to.have.members(['tuple', 'path']);
    expect(Object.keys(record).length).to.be.below(20);
  });
});

describe('what else comes in TIME-WAIT', () => {
  it('is answered with an ACK, not too often, and makes the wait begin anew (Linux) [TW-7 A18]', () => {
    for (const line of [
      'P. 2:12(10) ack 2',
      '. 100000:100000(0) ack 2',
      '. 1:1(0) ack 2',
      'F. 1:1(0) ack 2',
    ]) {
      const peer = timeWait().advanceMs(40_000);
      for (let i = 0; i < 100; i++) peer.send(`< ${line}`);
      peer.expect('> . 2:2(0) ack 2').expectNothing();
      expect(peer.stats.tcp.ackSkipped).to.equal(99);
      peer.advanceMs(500).send(`< ${line}`).expect('> . 2:2(0) ack 2').expectNothing();
      peer.advanceMs(59_999).expectState('TIME-WAIT').advanceMs(1).expectState('CLOSED');
    }
  });

  it('does not make it longer when it is a bare old SYN (Linux tcp_timewait_state_process) [TW-7]', () => {
    const peer = timeWait().advanceMs(40_000);
    for (let i = 0; i < 10; i++) {
      peer.advanceMs(1000).send('< S 1:1(0)').expect('> . 2:2(0) ack 2').expectState('TIME-WAIT');
    }
    peer.advanceMs(9999).expectState('TIME-WAIT').advanceMs(1).expectState('CLOSED');
  });

  it('is answered when its timestamp is old, and does make it longer (Linux) [TW-7]', () => {
    const peer = timeWait({ timestamps: true }).advanceMs(40_000);
    peer.send('< . 2:2(0) ack 2 <TS val 900 ecr 20>').expect('> . 2:2(0) ack 2').expectNothing();
    peer.advanceMs(59_999).expectState('TIME-WAIT').advanceMs(1).expectState('CLOSED');
  });

  it('is not answered when it is the last ACK once more, whatever its number acknowledges [A18]', () => {
    const peer = timeWait();
    for (const ack of [2, 1, 3, 70_000]) peer.send(`< . 2:2(0) ack ${ack}`).expectNothing();
    peer.expectState('TIME-WAIT').advanceMs(60_000).expectState('CLOSED');
  });
});

const nothing = (): void => {};
const SILENT = {
  onConnect: nothing,
  onReadable: nothing,
  onWritable: nothing,
  onEnd: nothing,
  onClose: nothing,
};

/** A stack that talks to itself on the loopback, with a listener at port 80. */
class LoopbackHost {
  readonly clock = new VirtualClock(1e9);
  readonly stack: Stack;
  readonly #timestamps: boolean;

  constructor(tcp: NonNullable<StackOptions['tcp']>, timestamps: boolean) {
    this.#timestamps = timestamps;
    this.stack = new Stack({ clock: this.clock, random: new SeededRandom(3), tcp });
    const listener = this.stack.listenTcp({ port: 80 });
    listener.onConnection = () => {
      const endpoint = listener.accept();
      if (endpoint === undefined) return;
      endpoint.handler = { ...SILENT, onEnd: () => endpoint.close() };
    };
  }

  /** The stack's client side closes first, and is left in TIME-WAIT. */
  connectAndClose(localPort: number): void {
    const endpoint = this.#connect(localPort);
    this.clock.advanceBy(5000);
    endpoint.close();
    this.clock.advanceBy(5000);
  }

  /** `connected`, or the code of the error. */
  tryConnect(localPort: number): string {
    try {
      const endpoint = this.#connect(localPort);
      let connected = false;
      const onConnect = (): void => {
        connected = true;
      };
      endpoint.handler = { ...SILENT, onConnect };
      this.clock.advanceBy(5000);
      return connected ? 'connected' : 'nothing';
    } catch (error) {
      return (error as { code: string }).code;
    }
  }

  #connect(localPort: number): ReturnType<Stack['connectTcp']> {
    const options = { timestamps: this.#timestamps };
    return this.stack.connectTcp({ address: '127.0.0.1', port: 80, localPort, options });
  }
}
