import { Duplex, PassThrough, Readable, Writable } from 'node:stream';
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { type ByteStreamLinkOptions, byteStreamLink } from '../../../lib/link/byte-stream-link.js';
import type { ChannelLinkOptions } from '../../../lib/link/packet-link.js';
import { packetStreamLink } from '../../../lib/link/packet-stream-link.js';
import type { LinkStreams } from '../../../lib/link/stream-channel.js';
import { opened, settled } from './channel-ends.js';
import { makePacket, pattern } from './packets.js';

const packetLink = (streams: LinkStreams, options: Partial<ChannelLinkOptions> = {}) =>
  opened((clock) => packetStreamLink(streams, { clock, mtu: 1500, coalesce: false, ...options }));

const byteLink = (streams: LinkStreams, options: Partial<ByteStreamLinkOptions> = {}) =>
  opened((clock) => byteStreamLink(streams, { clock, mtu: 1500, coalesce: false, ...options }));

const packet = (number: number, bytes = 10): Uint8Array => makePacket({ payload: pattern(bytes, number) });

/** Takes nothing but the first `room` chunks, until `open` is called. */
function slowWritable(room: number) {
  const taken: Uint8Array[] = [];
  let release: (() => void) | undefined;
  const writable = new Writable({
    objectMode: true,
    highWaterMark: 2,
    write(chunk: Uint8Array, _encoding, done) {
      taken.push(chunk);
      if (taken.length < room) done();
      else release = done;
    },
  });
  const open = (): void => {
    const done = release;
    release = undefined;
    done?.();
  };
  return { writable, taken, open };
}

const nowhere = (): Writable =>
  new Writable({ objectMode: true, write: (_chunk, _encoding, done) => done() });
const silence = (): Readable => new Readable({ objectMode: true, read() {} });

describe('packetStreamLink', () => {
  it('makes each chunk a packet and each packet a chunk', async () => {
    const writable = new PassThrough({ objectMode: true });
    const readable = new PassThrough({ objectMode: true });
    const { clock, received, send, link } = packetLink({ readable, writable });
    const sent: Uint8Array[] = [];
    writable.on('data', (chunk: Uint8Array) => sent.push(chunk));
    expect(send(packet(1), packet(2))).to.equal(true);
    readable.write(packet(3));
    readable.write(packet(4).buffer);
    await settled();
    clock.advanceBy(0);
    expect(sent).to.deep.equal([packet(1), packet(2)]);
    expect(received).to.deep.equal([packet(3), packet(4)]);
    expect(link.counters).to.include({ inPackets: 2, outPackets: 2, inDrops: 0, outDrops: 0 });
  });

  it('reads from async iterables and writes to WHATWG streams', async () => {
    const sent: Uint8Array[] = [];
    const writable = new WritableStream<Uint8Array>({ write: (chunk) => void sent.push(chunk) });
    async function* readable(): AsyncGenerator<Uint8Array> {
      yield packet(1);
      yield packet(2);
      await new Promise(() => {});
    }
    const { clock, received, send } = packetLink({ readable: readable(), writable });
    send(packet(3), packet(4), packet(5));
    for (let i = 0; i < 5; i++) await settled();
    clock.advanceBy(0);
    expect(received).to.deep.equal([packet(1), packet(2)]);
    expect(sent).to.deep.equal([packet(3), packet(4), packet(5)]);
  });

  it('makes the stack wait while the stream is full, and loses nothing', async () => {
    const { writable, taken, open } = slowWritable(3);
    const { clock, link, send } = packetLink({ readable: silence(), writable });
    let told = 0;
    link.onWritable = () => told++;
    const sent = Array.from({ length: 10 }, (_, i) => packet(i));
    expect(send(...sent)).to.equal(true);
    await settled();
    expect(taken.length).to.be.below(10);
    expect(send(packet(10))).to.equal(false);
    for (let i = 0; i < 20; i++) {
      open();
      await settled();
      clock.advanceBy(0);
    }
    expect(taken).to.deep.equal(sent);
    expect(told).to.equal(1);
    expect(send(packet(10))).to.equal(true);
  });

  for (const kind of ['Node', 'WHATWG']) {
    it(`reads no further than there is room for (${kind})`, async () => {
      let made = 0;
      const readable =
        kind === 'Node'
          ? new Readable({
              objectMode: true,
              highWaterMark: 1,
              read() {
                this.push(made < 500 ? packet(made++) : null);
              },
            })
          : new ReadableStream<Uint8Array>(
              {
                pull(controller) {
                  controller.enqueue(packet(made++));
                  if (made === 500) controller.close();
                },
              },
              { highWaterMark: 1 },
            );
      const { clock, received, link, down } = packetLink(
        { readable, writable: nowhere() },
        { queuePackets: 100 },
      );
      await settled();
      expect(made).to.be.within(100, 104);
      for (let i = 0; i < 20; i++) {
        clock.advanceBy(0);
        await settled();
      }
      expect(received).to.deep.equal(Array.from({ length: 500 }, (_, i) => packet(i)));
      expect(link.counters.inDrops).to.equal(0);
      expect(down.map(({ code }) => code)).to.deep.equal(['ENETDOWN']);
    });
  }

  it('drops and counts what is no bytes', async () => {
    const readable = new PassThrough({ objectMode: true });
    const { clock, link, received } = packetLink({ readable, writable: nowhere() });
    readable.write('text');
    readable.write({});
    readable.write(packet(1));
    readable.write(new Uint8Array(70_000));
    await settled();
    clock.advanceBy(0);
    expect(received).to.deep.equal([packet(1)]);
    expect(link.counters.dropped(DropReason.LinkFraming)).to.equal(2);
    expect(link.counters.dropped(DropReason.LinkTooBig)).to.equal(1);
  });

  it('is down with the error of a stream, once, and ends the other', async () => {
    const readable = silence();
    const writable = nowhere();
    const { clock, down, send } = packetLink({ readable, writable });
    readable.destroy(new Error('cable cut'));
    await settled();
    clock.runUntilIdle();
    expect(down.map(({ message }) => message)).to.deep.equal(['cable cut']);
    expect(writable.writableEnded).to.equal(true);
    expect(send(packet(1))).to.equal(false);
    const other = packetLink({ readable: silence(), writable: new WritableStream() });
    const failing = new WritableStream({ start: (controller) => controller.error(new Error('no more')) });
    const third = packetLink({ readable: silence(), writable: failing });
    await settled();
    third.clock.runUntilIdle();
    other.clock.runUntilIdle();
    expect(third.down.map(({ message }) => message)).to.deep.equal(['no more']);
    expect(other.down).to.deep.equal([]);
  });

  it('ends both streams when it is closed, behind what was written', async () => {
    const readable = silence();
    const chunks: Uint8Array[] = [];
    const writable = new Writable({
      objectMode: true,
      write: (chunk: Uint8Array, _e, done) => (chunks.push(chunk), done()),
    });
    const { clock, link, down, send } = packetLink({ readable, writable });
    send(packet(1));
    link.close();
    await settled();
    clock.runUntilIdle();
    expect(chunks).to.deep.equal([packet(1)]);
    expect(writable.writableFinished).to.equal(true);
    expect(readable.destroyed).to.equal(true);
    expect(down).to.deep.equal([]);
  });

  it('is down at once over streams that have ended already', () => {
    const readable = silence().destroy();
    const { clock, down } = packetLink({ readable, writable: nowhere() });
    clock.advanceBy(0);
    expect(down.map(({ code }) => code)).to.deep.equal(['ENETDOWN']);
  });

  it('refuses what are no streams', () => {
    const bad = (streams: unknown) => () => packetLink(streams as LinkStreams);
    expect(bad(undefined)).to.throw(TypeError).with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect(bad({ readable: silence() })).to.throw(/writable must be/);
    expect(bad({ readable: {}, writable: nowhere() })).to.throw(/readable must be/);
    expect(bad({ readable: null, writable: nowhere() })).to.throw(TypeError);
    const locked = new ReadableStream();
    locked.getReader();
    expect(bad({ readable: locked, writable: nowhere() })).to.throw(/locked/);
  });
});

describe('byteStreamLink', () => {
  /** A duplex whose two sides the test holds. */
  function wire(highWaterMark = 65_536) {
    const written: Buffer[] = [];
    let waiting: (() => void) | undefined;
    let isOpen = true;
    const duplex = new Duplex({
      highWaterMark,
      read() {},
      write(chunk: Buffer, _encoding, done) {
        written.push(chunk);
        if (isOpen) done();
        else waiting = done;
      },
    });
    return {
      duplex,
      written,
      shut: () => {
        isOpen = false;
      },
      open: () => {
        isOpen = true;
        waiting?.();
      },
    };
  }

  it('sends what a turn brought as one piece, with the lengths asked for', async () => {
    const bytes = [...packet(1), ...packet(2)];
    for (const [framing, prefix] of [
      ['ip', []],
      ['length16', [0, 50]],
      ['length32', [0, 0, 0, 50]],
    ] as const) {
      const { duplex, written } = wire();
      const { send } = byteLink(duplex, { framing });
      send(packet(1), packet(2));
      await settled();
      const expected = [...prefix, ...bytes.slice(0, 50), ...prefix, ...bytes.slice(50)];
      expect(written.map((piece) => [...piece])).to.deep.equal([expected]);
    }
  });

  it('finds packets in pieces of any size', async () => {
    const { duplex } = wire();
    const { clock, received } = byteLink(duplex);
    const bytes = Uint8Array.from([...packet(1), ...packet(2), ...packet(3)]);
    for (let at = 0; at < bytes.length; at += 17) duplex.push(bytes.slice(at, at + 17));
    await settled();
    clock.advanceBy(0);
    expect(received).to.deep.equal([packet(1), packet(2), packet(3)]);
  });

  it('makes the stack wait while the stream is full', async () => {
    const { duplex, written, shut, open } = wire(100);
    const { clock, link, send } = byteLink(duplex);
    let told = 0;
    link.onWritable = () => told++;
    shut();
    expect(send(packet(1, 200))).to.equal(true);
    expect(send(packet(2))).to.equal(true);
    expect(send(packet(3))).to.equal(false);
    open();
    await settled();
    clock.advanceBy(0);
    expect(told).to.equal(1);
    expect(send(packet(3))).to.equal(true);
    await settled();
    const all = Uint8Array.from([...packet(1, 200), ...packet(2), ...packet(3)]);
    expect(Buffer.concat(written).equals(all)).to.equal(true);
  });

  it('stops reading while the stack is behind, in the middle of a piece too', async () => {
    const { duplex } = wire();
    const { clock, link, received } = byteLink(duplex, { queuePackets: 64 });
    const packets = Array.from({ length: 300 }, (_, i) => packet(i));
    duplex.push(Uint8Array.from(packets.flatMap((one) => [...one])));
    await settled();
    expect(duplex.isPaused()).to.equal(true);
    for (let i = 0; i < 10; i++) {
      clock.advanceBy(0);
      await settled();
    }
    expect(received).to.deep.equal(packets);
    expect(link.counters.inDrops).to.equal(0);
    expect(duplex.isPaused()).to.equal(false);
  });

  it('fails where no packet can be, says where, counts it, and ends the stream', async () => {
    const { duplex } = wire();
    const { clock, link, received, down } = byteLink(duplex);
    duplex.push(Uint8Array.from([...packet(1), 0, 0, 0, 0, 0, 0, 0, 0]));
    await settled();
    clock.runUntilIdle();
    expect(received).to.deep.equal([packet(1)]);
    expect(down.map(({ code, message }) => [code, message])).to.deep.equal([
      ['EPROTO', 'link: the stream is not one of packets: IP version 0 at byte 50 of the stream'],
    ]);
    expect(link.counters.dropped(DropReason.LinkFraming)).to.equal(1);
    expect(duplex.destroyed).to.equal(true);
  });

  it('tells an end between packets from one within', async () => {
    for (const [tail, text, drops] of [
      [[], 'link: the stream has ended', 0],
      [[0x45, 0], 'link: the stream has ended within a packet', 1],
    ] as const) {
      const { duplex } = wire();
      const { clock, link, down } = byteLink(duplex);
      duplex.push(Uint8Array.from([...packet(1), ...tail]));
      duplex.push(null);
      await settled();
      clock.runUntilIdle();
      expect(down.map(({ message }) => message)).to.deep.equal([text]);
      expect(link.counters.dropped(DropReason.LinkFraming)).to.equal(drops);
    }
  });

  it('fails on a stream of text', async () => {
    const { duplex } = wire();
    duplex.setEncoding('utf8');
    const { clock, down } = byteLink(duplex);
    duplex.push('hello');
    await settled();
    clock.runUntilIdle();
    expect(down.map(({ code }) => code)).to.deep.equal(['EPROTO']);
  });

  it('lets the other side end its half when it is closed, for a second at most', async () => {
    for (const isEnding of [true, false]) {
      const { duplex, written } = wire();
      const { clock, link, send } = byteLink(duplex);
      send(packet(1));
      link.close();
      duplex.push(packet(2));
      await settled();
      expect(duplex.writableFinished).to.equal(true);
      expect(Buffer.concat(written).equals(packet(1))).to.equal(true);
      expect(duplex.destroyed).to.equal(false);
      if (isEnding) duplex.push(null);
      else clock.advanceBy(1e6);
      await settled();
      expect(duplex.destroyed).to.equal(true);
      expect(clock.pending).to.equal(0);
    }
  });

  it('survives a peer that resets the stream while it writes', async () => {
    const { duplex, shut } = wire(10);
    shut();
    const { clock, send, down } = byteLink(duplex);
    send(packet(1), packet(2));
    send(packet(3));
    duplex.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    await settled();
    clock.runUntilIdle();
    expect(down.map(({ code }) => code)).to.deep.equal(['ECONNRESET']);
    expect(send(packet(4))).to.equal(false);
  });

  it('keeps the process alive as the stack wants, where the stream can be told', () => {
    const { duplex } = wire();
    let refs = 0;
    const counted = Object.assign(duplex, { ref: () => refs++, unref: () => refs-- });
    const { link } = byteLink(counted);
    link.unref();
    expect(refs).to.equal(-1);
    link.ref();
    expect(refs).to.equal(0);
    packetLink({ readable: silence(), writable: nowhere() }).link.unref();
  });

  it('refuses a framing nobody knows', () => {
    expect(() => byteLink(wire().duplex, { framing: 'slip' as 'ip' })).to.throw(TypeError, /framing must be/);
    expect(() => byteLink(wire().duplex, { framing: 'toString' as 'ip' })).to.throw(TypeError);
    expect(() => byteLink(wire().duplex, { mtu: 10 })).to.throw(RangeError);
  });
});
