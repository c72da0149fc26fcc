/** Buffers that grow with the path: tcp.md section 17, DRS-*, SND-1. */
import { expect } from 'chai';
import fc from 'fast-check';
import { Simulation } from '../../../lib/sim/simulation.js';
import type { TcpEndpoint } from '../../../lib/stack/tcp-endpoint.js';
import type { TcpOptions } from '../../../lib/tcp/options.js';
import { Peer, type PeerOptions } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const MIB = 1 << 20;

/** What a receiver on a long fat path got, third by third of a second. */
interface Flow {
  /** Bytes per second. */
  readonly rates: readonly number[];
  readonly receiver: TcpEndpoint;
  readonly sender: TcpEndpoint;
}

/** An endless transfer over 1 Gbit/s and a round trip of 100 ms; the reader takes all at once. */
function longFatFlow(
  seconds: number,
  options: Partial<TcpOptions>,
  lost: readonly number[] = [],
  delayMs = 50,
): Flow {
  const tcp = { connection: options };
  const direction = { rateBps: 1e9, delayMs, queuePackets: 100_000 };
  const net = new Simulation({
    mtu: 9000,
    upstream: direction,
    downstream: { ...direction, drop: lost },
    client: { tcp },
    server: { tcp },
  });
  const listener = net.server.listenTcp({ port: 80 });
  const chunk = new Uint8Array(MIB);
  let receiver: TcpEndpoint | undefined;
  let received = 0;
  listener.onConnection = () => {
    const accepted = listener.accept();
    if (accepted === undefined) return;
    receiver = accepted;
    accepted.handler = quiet({
      onReadable() {
        for (let got = accepted.read(chunk); got > 0; got = accepted.read(chunk)) received += got;
      },
    });
  };
  const sender = net.client.connectTcp({ address: net.serverAddress, port: 80 });
  const write = (): void => {
    while (sender.write(chunk) === chunk.length);
  };
  sender.handler = quiet({ onConnect: write, onWritable: write });
  const rates: number[] = [];
  for (let i = 0; i < 3 * seconds; i++) {
    const before = received;
    net.clock.advanceBy(1e6 / 3);
    rates.push(3 * (received - before));
  }
  const flow = { rates, receiver: receiver ?? expect.fail('a connection'), sender };
  net.close();
  return flow;
}

const nothing = (): void => {};
const quiet = (handler: Partial<TcpEndpoint['handler'] & object>): NonNullable<TcpEndpoint['handler']> => ({
  onConnect: nothing,
  onReadable: nothing,
  onWritable: nothing,
  onEnd: nothing,
  onClose: nothing,
  ...handler,
});

describe('a long fat path', () => {
  // 1 Gbit/s for 100 ms are 12.5 MB: both buffers must be allowed to hold that.
  const LARGE = { receiveBufferMaxBytes: 48 * MIB, sendBufferBytes: 96 * MIB };
  const LINE_RATE = 125e6;

  it('is filled without any setting, within three seconds, and stays so [DRS-1 SND-1]', function () {
    this.timeout(30_000);
    const flow = longFatFlow(4, {});
    // The last third of the time, slice by slice.
    expect(Math.min(...flow.rates.slice(-4))).to.be.above(0.9 * LINE_RATE);
    expect(flow.sender.info.retransmissions).to.equal(0);
  });

  for (const timestamps of [true, false]) {
    const clock = timestamps ? 'timestamps' : 'the time a window takes';
    it(`is filled: the window grows with what is read, by ${clock} (Fisk and Feng) [DRS-1]`, function () {
      this.timeout(30_000);
      // A SYN-ACK that must be repeated measures nothing: the receiver has to find out by itself.
      const flow = timestamps
        ? longFatFlow(3, { ...LARGE, timestamps })
        : longFatFlow(5, { ...LARGE, timestamps }, [1]);
      // 9000 bytes of IP carry 8948 or 8960 of text.
      expect(flow.rates[flow.rates.length - 1]).to.be.above(0.97 * LINE_RATE);
      const { limitBytes } = flow.receiver.connection.receiver?.tuner ?? expect.fail('a receiver');
      expect(limitBytes).to.be.within(12.5e6, 48 * MIB);
    });
  }

  it('is filled as far as the largest buffer allows (Linux tcp_rmem) [DRS-1]', function () {
    this.timeout(30_000);
    const flow = longFatFlow(3, { receiveBufferMaxBytes: 6 * MIB });
    expect(flow.receiver.connection.receiver?.tuner.limitBytes).to.equal(6 * MIB);
    // A window each round trip.
    expect((flow.rates[6] + flow.rates[7] + flow.rates[8]) / 3).to.be.within(0.9 * 60 * MIB, 1.02 * 60 * MIB);
  });
});

/** Sends windows of text at a pace, and has the application read a part of each. */
function stream(peer: Peer, rounds: number, readShare: number): number {
  for (let round = 0; round < rounds; round++) {
    const { receiver } = peer.endpoint.connection;
    const room = Math.min(receiver?.rcvWnd ?? 0, 400_000);
    if (room >= 1000) peer.sendText(room - (room % 1000), 1000);
    peer.read(Math.floor(readShare * peer.endpoint.readableBytes));
    peer.advanceMs(20).drain();
  }
  return peer.endpoint.connection.receiver?.tuner.limitBytes ?? 0;
}

const SCALED: PeerOptions = { mss: 1000, windowScale: 7 };

describe('the receive buffer', () => {
  it('grows where the application keeps up, to twice what it reads in a round trip and a little [DRS-2]', () => {
    const peer = Peer.established(SCALED);
    expect(stream(peer, 8, 1)).to.be.above(800_000);
    peer.read(1e6);
  });

  it('does not grow where the application does not read [DRS-2]', () => {
    const peer = Peer.established(SCALED);
    expect(stream(peer, 20, 0)).to.equal(131_072);
    peer.read(1e6);
    peer.drain();
  });

  it('does not grow where it reads too little in a round trip [DRS-2]', () => {
    const peer = Peer.established(SCALED);
    stream(peer, 2, 0);
    for (let i = 0; i < 50; i++) {
      peer.read(20_000);
      peer.advanceMs(20).sendText(10_000).drain();
    }
    expect(peer.endpoint.connection.receiver?.tuner.limitBytes).to.equal(131_072);
    peer.read(1e6);
    peer.drain();
  });

  it('grows by what waits behind a gap, within its largest, and not under pressure (Linux tcp_rcvbuf_grow) [DRS-1]', () => {
    const limits = [
      {},
      { options: { receiveBufferMaxBytes: 150_000 } },
      { tcp: { memoryPressureBytes: 1 } },
    ].map((given: PeerOptions) => {
      const peer = Peer.established({ ...SCALED, ...given });
      const { tuner } = peer.endpoint.connection.receiver ?? expect.fail('a receiver');
      const before = tuner.limitBytes;
      // The first segment of the window is missing.
      for (let at = 1001; at < 60_001; at += 1000) peer.send(`< . ${at}:${at + 1000}(1000) ack 1`);
      peer.abort().drain();
      return [before, tuner.limitBytes];
    });
    expect(limits).to.deep.equal([
      // Half of the first window is what was read so far, by assumption.
      [65_535, 65_535 + 65_536 + 60_000],
      [65_535, 150_000],
      // What the first segment takes is pressure enough.
      [65_535, 65_535 + 65_536 + 2000],
    ]);
  });

  it('grows with what is read also while there is always a gap [DRS-1 DRS-2]', () => {
    const peer = Peer.established(SCALED);
    const { receiver } = peer.endpoint.connection;
    let hole = 1;
    for (let round = 0; round < 12; round++) {
      // What the last round left out, then all that is offered but for one segment.
      const room = Math.floor((receiver?.rcvWnd ?? 0) / 1000) - 1;
      const next = hole + 1000 * room;
      for (let at = hole + 1000; at < next; at += 1000) peer.send(`< . ${at}:${at + 1000}(1000) ack 1`);
      peer.send(`< . ${next + 1000}:${next + 1001}(1) ack 1`);
      peer.advanceMs(20).send(`< . ${hole}:${hole + 1000}(1000) ack 1`);
      peer.read(1e7);
      hole = next;
      peer.drain();
    }
    expect(receiver?.tuner.limitBytes).to.be.above(3e6);
    peer.abort().drain();
  });

  it('stays as the application has fixed it, on the connection or by the options (Linux SO_RCVBUF) [DRS-2]', () => {
    const fixed = Peer.established(SCALED);
    fixed.endpoint.setReceiveBuffer(200_000);
    expect(stream(fixed, 10, 1)).to.equal(200_000);
    const options = { receiveBufferBytes: 100_000, receiveBufferMaxBytes: 100_000 };
    expect(stream(Peer.established({ ...SCALED, options }), 10, 1)).to.equal(100_000);
    expect(() => fixed.endpoint.setReceiveBuffer(0)).to.throw(RangeError);
    expect(() => fixed.endpoint.setReceiveBuffer(2 ** 31)).to.throw(RangeError);
  });
});

describe('the first windows', () => {
  it('are of 64 KiB, and grow as segments arrive, read or not (Linux tcp_grow_window) [DRS-3]', () => {
    const peer = Peer.listening(SCALED).sendSyn();
    expect(peer.take()?.line.window).to.equal(65_535);
    peer.advanceMs(20).send('< . 1:1(0) ack 1');
    let edge = 65_536;
    for (let i = 0; i < 40; i++) {
      peer.sendText(1000).advanceMs(50);
      const { line } = peer.take() ?? expect.fail('an ACK');
      const now = (line.ack ?? 0) + 128 * (line.window ?? 0);
      expect(now).to.be.within(edge, edge + 3 * 1128);
      edge = now;
    }
    // Rounding up adds a little each time, within bounds.
    expect(edge).to.be.within(131_072, (131_072 * 17) / 16);
    peer.read(1e6);
    peer.drain();
  });

  it('hold ten segments at least, jumbo ones too [DRS-3]', () => {
    for (const [mtu, least] of [
      [1500, 14_600],
      [9000, 89_600],
    ] as const) {
      const peer = Peer.listening({ mtu, mss: mtu - 40, windowScale: 7 }).sendSyn();
      // A SYN can offer no more than it has room to say.
      expect(peer.take()?.line.window).to.equal(65_535);
      peer.advanceMs(20).send('< . 1:1(0) ack 1').sendText(1).advanceMs(50);
      expect(128 * (peer.take()?.line.window ?? 0)).to.be.at.least(least - 1);
      peer.expectRead(1);
    }
  });

  it('do not grow under memory pressure, and open for four segments only [DRS-3]', () => {
    const peer = Peer.established({ ...SCALED, tcp: { memoryPressureBytes: 4096 } });
    peer.sendText(60_000).advanceMs(50).drain();
    expect(peer.endpoint.connection.receiver?.tuner.limitBytes).to.be.below(70_000);
    while ((peer.endpoint.connection.receiver?.rcvWnd ?? 0) >= 1000) peer.sendText(1000);
    peer.advanceMs(500).drain();
    peer.read(1e6);
    expect(128 * (peer.take()?.line.window ?? 0)).to.be.within(4000, 4000 + 128);
  });

  it('are smaller where the application wants no more [DRS-3]', () => {
    const small = Peer.listening({ ...SCALED, options: { receiveBufferBytes: 20_000 } }).sendSyn();
    expect(small.take()?.line.window).to.equal(20_000);
    const clamped = Peer.listening({ ...SCALED, options: { windowClampBytes: 30_000 } }).sendSyn();
    expect(clamped.take()?.line.window).to.equal(30_000);
  });
});

describe('the window scale', () => {
  it('follows from the largest buffer there may ever be, not from the first (Linux) [DRS-4]', () => {
    for (const role of ['server', 'client'] as const) {
      for (const [first, most, scale] of [
        [131_072, 6 * MIB, 7],
        [20_000, 6 * MIB, 7],
        [65_535, 65_535, 0],
        [20_000, 65_536, 1],
        [131_072, 64 * MIB, 11],
        [131_072, 2 ** 30, 14],
      ]) {
        const options = { receiveBufferBytes: first, receiveBufferMaxBytes: most };
        const given = { ...SCALED, options };
        const peer = role === 'client' ? Peer.connecting(given) : Peer.listening(given).sendSyn();
        const { line } = peer.take() ?? expect.fail('a SYN');
        expect(line.options, `${role}, ${most} bytes`).to.include(`wscale ${scale}`);
        finishAll();
      }
    }
  });
});

describe('a clamp or memory pressure', () => {
  it('ends growth, and takes back nothing that was promised (Linux tcp_clamp_window) [DRS-5]', function () {
    this.timeout(30_000);
    const step = fc.record({
      share: fc.constantFrom(0.1, 0.5, 1),
      read: fc.constantFrom(0, 0.5, 1),
      pressed: fc.boolean(),
    });
    const input = fc.record({
      clamp: fc.constantFrom(0, 3000, 40_000, 150_000),
      steps: fc.array(step, { minLength: 3, maxLength: 25 }),
    });
    const property = fc.property(input, ({ clamp, steps }) => {
      const peer = Peer.established({
        ...SCALED,
        tcp: { memoryPressureBytes: 2 * MIB },
        options: { windowClampBytes: clamp },
      });
      const hog = peer.another({ port: 50_000, windowScale: 7 }).handshake();
      hog.drain();
      hog.endpoint.setSendBuffer(4 * MIB);
      neverRetreats(peer, hog, steps, clamp);
      finishAll();
    });
    fc.assert(property, { numRuns: 25, seed: 5 });
  });
});

interface Pace {
  readonly share: number;
  readonly read: number;
  readonly pressed: boolean;
}

function neverRetreats(peer: Peer, hog: Peer, steps: readonly Pace[], clamp: number): void {
  const { receiver } = peer.endpoint.connection;
  if (receiver === undefined) expect.fail('a receiver');
  let edge = 0;
  for (const { share, read, pressed } of steps) {
    if (pressed && hog.endpoint.unackedBytes === 0) hog.offer(3 * MIB);
    if (!pressed) while (hog.endpoint.unackedBytes > 0) hog.advanceMs(20).ackAll().drain();
    hog.drain();
    const before = receiver.tuner.limitBytes;
    const bytes = Math.floor(share * Math.min(receiver.rcvWnd, 100_000));
    peer.sendText(bytes, 1000);
    peer.read(Math.floor(read * peer.endpoint.readableBytes));
    peer.advanceMs(40);
    if (pressed) expect(receiver.tuner.limitBytes, 'under pressure').to.equal(before);
    if (clamp > 0) expect(receiver.rcvWnd, 'clamped').to.be.at.most(clamp + 2 * 128 + clamp / 16);
    for (const { line, text } of peer.drain()) {
      const next = (line.ack ?? 0) + 128 * (line.window ?? 0);
      expect(next, text).to.be.above(edge - 128);
      edge = Math.max(edge, next);
    }
  }
}

describe('the send buffer', () => {
  it('grows to twice the congestion window, up to its largest (Linux tcp_sndbuf_expand) [SND-1]', function () {
    this.timeout(30_000);
    const flow = longFatFlow(2, { sendBufferBytes: 4 * MIB });
    const { sender } = flow.sender.connection;
    expect(sender.bufferLimit).to.equal(4 * MIB);
    // Half of what it may hold at last is in flight: 4 MiB, of which no more than that.
    expect(sender.congestion.cwndBytes).to.be.above(2 * MIB);
    const peer = Peer.established({ mss: 1000, windowScale: 7, window: 50_000 });
    expect(peer.endpoint.info.sendBufferBytes).to.equal(65_536);
    for (let i = 0; i < 12; i++) {
      peer.offer(1e6);
      peer.advanceMs(20).ackAll().drain();
      const { cwndBytes, sendBufferBytes } = peer.endpoint.info;
      expect(sendBufferBytes).to.equal(Math.min(4 * MIB, Math.max(65_536, 2 * cwndBytes)));
    }
    expect(peer.endpoint.info.sendBufferBytes).to.be.above(1_000_000);
    peer.abort().drain();
  });

  it('of a near path holds what that carries a few times, however far the window grows [SND-1]', function () {
    this.timeout(30_000);
    // 0.2 ms: the path itself holds 25 kB, and loses nothing.
    const flow = longFatFlow(2, {}, [], 0.1);
    expect(Math.min(...flow.rates.slice(1))).to.be.above(0.97 * 125e6);
    const { cwndBytes, sendBufferBytes, rttUs } = flow.sender.info;
    expect(sendBufferBytes).to.equal(512 << 10);
    expect(cwndBytes).to.be.at.least(sendBufferBytes);
    // What is in the buffer is the whole queue: 3.6 ms of this link, some of it not sent.
    expect(rttUs).to.be.within(3000, 4200);
  });

  it('stays as the application has fixed it (Linux SO_SNDBUF) [SND-1]', () => {
    for (const bytes of [10_000, 300_000]) {
      const peer = Peer.established({ mss: 1000, windowScale: 7, window: 50_000 });
      peer.endpoint.setSendBuffer(bytes);
      expect(peer.offer(400_000)).to.equal(bytes);
      for (let i = 0; i < 10; i++) {
        peer.advanceMs(20).ackAll().drain();
        peer.offer(400_000);
        expect(peer.endpoint.info.sendBufferBytes).to.equal(bytes);
        expect(peer.endpoint.unackedBytes).to.be.at.most(bytes);
      }
      peer.abort().drain();
    }
  });

  it('that is made larger takes those who were refused [SND-1]', () => {
    const peer = Peer.established({ mss: 1000, options: { sendBufferBytes: 5000 } });
    expect(peer.offer(6000)).to.equal(5000);
    peer.drain();
    peer.takeEvents();
    peer.endpoint.setSendBuffer(20_000);
    peer.advanceMs(0).expectEvents('writable');
    expect(peer.offer(16_000)).to.equal(15_000);
    expect(() => peer.endpoint.setSendBuffer(1.5)).to.throw(RangeError);
    peer.abort().drain();
  });
});
