/** Both sides of the rings in one thread and in virtual time: what one is busy with does not concern the other. */
import { expect } from 'chai';
import { randomBelow } from '../../lib/base/random.js';
import { SharedRing } from '../../lib/base/shared-ring.js';
import { ApplicationSide } from '../../lib/remote/application-side.js';
import { newRings } from '../../lib/remote/protocol.js';
import { RingReader, RingWriter } from '../../lib/remote/record-ring.js';
import { StackSide } from '../../lib/remote/stack-side.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { Simulation, type SimulationOptions } from '../../lib/sim/simulation.js';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';
import { Asker, Echo } from '../shard/echo.js';

/** How long either side takes to wake, µs. */
const WAKE_US = 20;

/** The server's stack of a simulation, with its sockets on the other side of rings. */
class RemoteWorld {
  readonly simulation: Simulation;
  readonly stackSide: StackSide;
  readonly application: ApplicationSide;
  /** While it is set the application's thread does something else. */
  isBusy = false;
  isHeld = false;
  readonly #hear: () => void;

  constructor(options: SimulationOptions & { windowBytes?: number; ringBytes?: number } = {}) {
    const { windowBytes = 65_536, ringBytes = 1 << 20, ...rest } = options;
    const simulation = new Simulation(rest);
    const { clock, server } = simulation;
    const rings = newRings(ringBytes);
    const application = clock.createAlarm(() => {
      if (!this.isBusy) this.application.hear();
    });
    const stack = clock.createAlarm(() => this.stackSide.hear());
    const soon = (alarm: typeof stack) => () => alarm.setAt(clock.nowUs() + WAKE_US);
    this.#hear = soon(application);
    this.simulation = simulation;
    this.stackSide = new StackSide({
      stack: server,
      rings,
      windowBytes,
      wake: this.#hear,
      again: soon(stack),
    });
    this.application = new ApplicationSide({
      rings,
      windowBytes,
      wake: soon(stack),
      again: this.#hear,
      ask: (question) => this.stackSide.answer(question),
      held: (isHeld) => (this.isHeld = isHeld),
    });
  }

  /** The application's thread has time again. */
  resume(): void {
    this.isBusy = false;
    this.#hear();
  }

  get clock(): Simulation['clock'] {
    return this.simulation.clock;
  }

  /** Listens behind the rings, and hands out what is accepted. */
  listen(port: number, accepted: (endpoint: TcpEndpoint) => void): { close(): void } {
    const listener = this.application.listenTcp({ port });
    listener.onConnection = () => {
      for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
        accepted(next as unknown as TcpEndpoint);
      }
    };
    return listener;
  }

  /** A connection from the plain stack to the one behind the rings, both ends. */
  pair(): { near: TcpEndpoint; far: TcpEndpoint } {
    const ends: TcpEndpoint[] = [];
    const listener = this.listen(99, (endpoint) => ends.push(endpoint));
    const near = this.simulation.client.connectTcp({ address: '10.0.0.2', port: 99 });
    this.clock.advanceBy(1e6);
    listener.close();
    return { near, far: ends[0] };
  }
}

describe('rings of records', () => {
  it('carry any records in order, whatever their sizes and however full they are', () => {
    const random = new SeededRandom(3);
    const place = { memory: new SharedArrayBuffer(SharedRing.memoryBytes(4096)), at: 0, ringBytes: 4096 };
    let writerCalls = 0;
    let readerCalls = 0;
    const writer = new RingWriter(place, () => readerCalls++);
    const reader = new RingReader(place, () => writerCalls++);
    const model: (readonly [id: number, length: number])[] = [];
    let refused = 0;
    for (let i = 0; i < 50_000; i++) {
      if (randomBelow(random, 2) === 0) {
        const length = randomBelow(random, 1500);
        const fits = length <= writer.room();
        const at = writer.begin(1, i, ~i, length);
        expect(at >= 0).to.equal(fits);
        if (at < 0) {
          refused++;
          continue;
        }
        writer.bytes.fill(i & 255, at, at + length);
        writer.commit();
        model.push([i, length]);
      } else {
        const wanted = model.shift();
        expect(reader.next()).to.equal(wanted !== undefined);
        if (wanted === undefined) continue;
        const [id, length] = wanted;
        expect([reader.type, reader.id, reader.value, reader.length]).to.deep.equal([1, id, ~id, length]);
        const bytes = reader.bytes.subarray(reader.at, reader.at + length);
        expect(bytes.every((byte) => byte === (id & 255))).to.equal(true);
      }
    }
    expect(refused).to.be.greaterThan(100);
    expect(readerCalls + writerCalls, 'nobody rested').to.equal(0);
  });

  it('wake whoever rests, once', () => {
    const place = { memory: new SharedArrayBuffer(SharedRing.memoryBytes(4096)), at: 0, ringBytes: 4096 };
    const calls: string[] = [];
    const writer = new RingWriter(place, () => calls.push('reader'));
    const reader = new RingReader(place, () => calls.push('writer'));
    expect(reader.rest()).to.equal(true);
    writer.put(1, 1, 1);
    writer.put(1, 2, 1);
    expect(calls).to.deep.equal(['reader']);
    expect(reader.rest(), 'something has come').to.equal(false);
    while (writer.put(1, 3, 1));
    expect(writer.await()).to.equal(true);
    while (reader.next());
    expect(calls).to.deep.equal(['reader', 'writer']);
    while (writer.put(1, 3, 1));
    reader.next();
    reader.next();
    expect(writer.await(), 'there is room already').to.equal(false);
  });
});

describe('a stack behind rings', () => {
  it('echoes many streams through rings too small for them', () => {
    const world = new RemoteWorld({
      upstream: { delayMs: 2, loss: 0.01 },
      downstream: { delayMs: 2, loss: 0.01 },
      ringBytes: 1 << 17,
    });
    world.listen(80, (endpoint) => new Echo(endpoint));
    const askers = Array.from({ length: 30 }, () => {
      const endpoint = world.simulation.client.connectTcp({ address: '10.0.0.2', port: 80 });
      return new Asker(endpoint, 200_000);
    });
    world.clock.runUntil(() => askers.every(({ code }) => code !== undefined), 300e6);
    expect(askers.every((asker) => asker.isComplete)).to.equal(true);
    expect(world.stackSide.stats.ringFull, 'some had to wait').to.be.greaterThan(0);
  });

  it('connects from behind the rings, and says who refused', () => {
    const world = new RemoteWorld({ upstream: { delayMs: 2 } });
    const listener = world.simulation.client.listenTcp({ port: 80 });
    listener.onConnection = () => {
      for (let next = listener.accept(); next !== undefined; next = listener.accept()) new Echo(next);
    };
    const connect = (port: number): Asker =>
      new Asker(
        world.application.connectTcp({ address: '10.0.0.1', port }) as unknown as TcpEndpoint,
        100_000,
      );
    const [good, refused] = [connect(80), connect(81)];
    world.clock.runUntil(() => good.code !== undefined && refused.code !== undefined, 60e6);
    expect([good.isComplete, refused.code]).to.deep.equal([true, 'ECONNREFUSED']);
    expect(() => world.application.connectTcp({ address: '203.0.113.1', port: 1 }))
      .to.throw()
      .that.includes({ code: 'ENETUNREACH', syscall: 'connect', port: 1 });
    world.listen(7, () => {});
    expect(() => world.listen(7, () => {}))
      .to.throw()
      .that.includes({ code: 'EADDRINUSE', syscall: 'listen' });
  });

  it('acknowledges for 300 ms without the application, within its window, and its peer notices nothing', () => {
    const world = new RemoteWorld({ upstream: { delayMs: 1, rateBps: 5e7 }, downstream: { delayMs: 1 } });
    const { near, far } = world.pair();
    world.isBusy = true;
    const data = new Uint8Array(200_000);
    expect(near.write(data, 0, 30_000)).to.equal(30_000);
    world.clock.advanceBy(100_000);
    expect(near.unackedBytes, 'acknowledged while nobody read').to.equal(0);
    near.write(data, 0, 60_000);
    world.clock.advanceBy(200_000);
    expect(near.unackedBytes).to.equal(0);
    // Twice the delay of the wire, an acknowledgment that was delayed, and the time to send it all.
    expect(near.info.minRttUs).to.be.lessThan(3000);
    expect(near.info.retransmissions).to.equal(0);
    expect(world.simulation.client.stats.tcp.retransSegs).to.equal(0);
    expect(far.readableBytes, 'the application knows nothing of it').to.equal(0);
    world.resume();
    world.clock.advanceBy(1000);
    const target = new Uint8Array(100_000);
    let read = 0;
    while (read < 90_000) {
      const bytes = far.read(target);
      read += bytes;
      world.clock.advanceBy(10_000);
      if (bytes === 0) break;
    }
    expect(read).to.equal(90_000);
  });

  it('holds a peer up that sends to one who does not read, and a writer whose peer does not', () => {
    const world = new RemoteWorld({
      upstream: { delayMs: 1 },
      downstream: { delayMs: 1 },
      server: { tcp: { connection: { receiveBufferBytes: 65_536, receiveBufferMaxBytes: 65_536 } } },
      client: { tcp: { connection: { receiveBufferBytes: 65_536, receiveBufferMaxBytes: 65_536 } } },
    });
    const { near, far } = world.pair();
    const data = new Uint8Array(10_000_000);
    const written = (end: TcpEndpoint): number => {
      let total = 0;
      for (let i = 0; i < 100; i++) {
        total += end.write(data, total);
        world.clock.advanceBy(100_000);
      }
      return total - end.unackedBytes;
    };
    // A window behind the rings, one receive buffer before them.
    expect(written(near)).to.be.within(65_536, 2 * 65_536 + 10_000);
    expect(far.readableBytes).to.be.within(60_000, 65_536);
    let total = 0;
    for (let i = 0; i < 100; i++) {
      total += far.write(data, total);
      world.clock.advanceBy(100_000);
    }
    expect(near.readableBytes).to.be.within(50_000, 65_536);
    expect(total, 'a window, a send buffer, and what the peer has').to.be.lessThan(8_000_000);
  });

  it('half-closes both ways, and tells the end behind all text', () => {
    const world = new RemoteWorld({ upstream: { delayMs: 1 }, downstream: { delayMs: 1 } });
    const { near, far } = world.pair();
    const log: string[] = [];
    far.handler = {
      onConnect: () => {},
      onReadable: () => log.push(`text ${far.readableBytes}`),
      onWritable: () => {},
      onEnd: () => log.push(`end ${far.readableBytes}`),
      onClose: (code) => log.push(`close ${code}`),
    };
    for (let total = 0; total < 100_000; world.clock.advanceBy(1e5)) {
      total += near.write(new Uint8Array(100_000 - total));
    }
    near.shutdown();
    world.clock.advanceBy(1e6);
    expect(
      log.filter((line) => line.startsWith('end')),
      'text is still to be read',
    ).to.deep.equal([]);
    const target = new Uint8Array(200_000);
    for (let i = 0; i < 10; i++) {
      far.read(target);
      world.clock.advanceBy(1e5);
    }
    expect(log.at(-1)).to.equal('end 34464');
    far.write(Uint8Array.of(1, 2, 3));
    far.shutdown();
    world.clock.advanceBy(1e6);
    expect([near.readableBytes, near.isPeerClosed]).to.deep.equal([3, true]);
    expect(log.at(-1)).to.equal('close ');
  });

  for (const isRead of [true, false]) {
    it(`gives a connection up with ${isRead ? 'a FIN' : 'an RST'} when text was ${isRead ? '' : 'not '}read`, () => {
      const world = new RemoteWorld({ upstream: { delayMs: 1 }, downstream: { delayMs: 1 } });
      const { near, far } = world.pair();
      let code: string | undefined;
      near.handler = {
        onConnect: () => {},
        onReadable: () => {},
        onWritable: () => {},
        onEnd: () => {},
        onClose: (given) => (code = given),
      };
      near.write(new Uint8Array(5000));
      world.clock.advanceBy(1e5);
      if (isRead) far.read(new Uint8Array(5000));
      const before = world.isHeld;
      far.close();
      expect([before, world.isHeld], 'held until the other side has it').to.deep.equal([false, true]);
      world.clock.advanceBy(1e6);
      expect([near.isPeerClosed, code]).to.deep.equal(isRead ? [true, undefined] : [false, 'ECONNRESET']);
      if (isRead) near.close();
      world.clock.advanceBy(1e6);
      expect([world.isHeld, world.stackSide.stats.connections]).to.deep.equal([false, 0]);
    });
  }

  it('delivers what was written before a connection was given up, and lives so long', () => {
    const world = new RemoteWorld({
      upstream: { delayMs: 20 },
      downstream: { delayMs: 20, rateBps: 1e6 },
      server: { tcp: { connection: { sendBufferBytes: 8192 } } },
    });
    const { near, far } = world.pair();
    expect(far.write(new Uint8Array(60_000))).to.equal(60_000);
    far.close();
    world.clock.advanceBy(100_000);
    expect(world.isHeld, 'the most part waits in the thread').to.equal(true);
    let received = 0;
    const target = new Uint8Array(10_000);
    for (let i = 0; i < 100; i++) {
      world.clock.advanceBy(20_000);
      received += near.read(target);
    }
    expect([received, near.isPeerClosed]).to.deep.equal([60_000, true]);
    near.close();
    world.clock.advanceBy(1e6);
    expect(world.isHeld).to.equal(false);
  });

  it('resets what nobody accepted when a listener ends', () => {
    const world = new RemoteWorld({ upstream: { delayMs: 1 } });
    const listener = world.application.listenTcp({ port: 80 });
    const near = Array.from({ length: 200 }, () =>
      world.simulation.client.connectTcp({ address: '10.0.0.2', port: 80 }),
    );
    world.clock.advanceBy(1e6);
    // As many as may wait here, and no more.
    expect(world.stackSide.stats.connections).to.equal(128);
    listener.close();
    world.clock.advanceBy(1e6);
    expect(near.map(({ errorCode }) => errorCode)).to.deep.equal(Array(200).fill('ECONNRESET'));
    expect([world.isHeld, world.stackSide.stats.connections]).to.deep.equal([false, 0]);
  });

  it('fails everything when its thread ends', () => {
    const world = new RemoteWorld();
    const { far } = world.pair();
    let code = '';
    far.handler = {
      onConnect: () => {},
      onReadable: () => {},
      onWritable: () => {},
      onEnd: () => {},
      onClose: (given) => (code = given),
    };
    world.application.down();
    expect(code).to.equal('ENETDOWN');
    expect(far.write(Uint8Array.of(1))).to.equal(0);
    expect(() => world.application.connectTcp({ address: '10.0.0.1', port: 1 }))
      .to.throw()
      .that.includes({ code: 'ENETDOWN' });
  });
});
