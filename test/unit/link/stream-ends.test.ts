/** Streams below a link that end badly, never end, or do not keep what they promise. */
import { EventEmitter } from 'node:events';
import { Duplex, PassThrough, Readable, Writable } from 'node:stream';
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { byteStreamLink } from '../../../lib/link/byte-stream-link.js';
import type { ChannelLinkOptions } from '../../../lib/link/packet-link.js';
import { packetStreamLink } from '../../../lib/link/packet-stream-link.js';
import type { LinkStreams, NodeReadable, StreamSource } from '../../../lib/link/stream-channel.js';
import { opened, settled } from './channel-ends.js';
import { makePacket, pattern } from './packets.js';

const packetLink = (streams: LinkStreams, options: Partial<ChannelLinkOptions> = {}) =>
  opened((clock) => packetStreamLink(streams, { clock, mtu: 1500, coalesce: false, ...options }));
const byteLink = (streams: LinkStreams, options: Partial<ChannelLinkOptions> = {}) =>
  opened((clock) => byteStreamLink(streams, { clock, mtu: 1500, coalesce: false, ...options }));

const packet = (number: number): Uint8Array => makePacket({ payload: pattern(10, number) });
const silence = (): Readable => new Readable({ objectMode: true, read() {} });
const nowhere = (): Writable =>
  new Writable({ objectMode: true, write: (_chunk, _encoding, done) => done() });
/** Takes a chunk, and never another. */
const stuck = (): Writable => new Writable({ objectMode: true, highWaterMark: 1, write() {} });
const DOWN = ['ENETDOWN'];

describe('links over streams', () => {
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown): void => void rejections.push(reason);
  before(() => void process.on('unhandledRejection', onRejection));
  after(() => void process.off('unhandledRejection', onRejection));
  afterEach(async () => {
    await settled();
    expect(rejections).to.deep.equal([]);
  });

  describe('closed above a stream that takes nothing more', () => {
    it('end it after a second (Node)', async () => {
      for (const link of [packetLink, byteLink]) {
        const writable = stuck();
        const readable = silence();
        const ends = link({ readable, writable });
        ends.send(packet(1), packet(2));
        ends.link.close();
        await settled();
        expect([readable.destroyed, writable.destroyed]).to.deep.equal([true, false]);
        ends.clock.advanceBy(1e6);
        await settled();
        expect(writable.destroyed).to.equal(true);
        expect([ends.clock.pending, ends.down.length]).to.deep.equal([0, 0]);
      }
    });

    it('end it after a second (WHATWG)', async () => {
      const aborted: unknown[] = [];
      const writable = new WritableStream({
        write: () => new Promise(() => {}),
        abort: (reason) => void aborted.push(reason),
      });
      const { clock, link, send } = packetLink({ readable: new ReadableStream(), writable });
      send(packet(1), packet(2));
      link.close();
      await settled();
      expect(clock.pending).to.equal(1);
      clock.advanceBy(1e6);
      await settled();
      expect(clock.pending).to.equal(0);
      // A sink in the middle of a chunk hears of it behind that chunk.
      expect(aborted.length).to.be.at.most(1);
    });

    it('leave one alone that took all', async () => {
      let isClosed = false;
      const writable = new WritableStream({
        close: () => {
          isClosed = true;
        },
        abort: () => expect.fail('aborted'),
      });
      const { clock, link, send } = packetLink({ readable: new ReadableStream(), writable });
      send(packet(1));
      link.close();
      await settled();
      expect([isClosed, clock.pending]).to.deep.equal([true, 0]);
    });
  });

  describe('made over what is over', () => {
    it('are down: it will not say so again', async () => {
      const halfOpen = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
      halfOpen.resume().push(null);
      await settled();
      expect([halfOpen.readableEnded, halfOpen.destroyed]).to.deep.equal([true, false]);
      const destroyed = nowhere().destroy();
      await settled();
      for (const streams of [
        halfOpen,
        { readable: silence(), writable: destroyed },
        { readable: silence().destroy(), writable: nowhere() },
      ]) {
        const { clock, down, link } = byteLink(streams);
        clock.runUntilIdle();
        expect(down.map(({ code }) => code)).to.deep.equal(DOWN);
        expect(link.isUp).to.equal(false);
      }
    });

    it('hear the failure of a WHATWG stream that was there before', async () => {
      const broken = new ReadableStream({ start: (controller) => controller.error(new Error('broken')) });
      const { clock, down } = packetLink({ readable: broken, writable: new WritableStream() });
      await settled();
      clock.runUntilIdle();
      expect(down.map(({ message }) => message)).to.deep.equal(['broken']);
    });

    it('read a stream that somebody has paused', async () => {
      const readable = new PassThrough({ objectMode: true });
      readable.pause();
      const { clock, received } = packetLink({ readable, writable: nowhere() });
      readable.write(packet(1));
      await settled();
      clock.advanceBy(0);
      expect(received).to.deep.equal([packet(1)]);
    });
  });

  it('drop and count a chunk for which there will never be room, and read on', async () => {
    for (const size of [65_536, 70_000, 5 << 20]) {
      const readable = new PassThrough({ objectMode: true });
      const options = { queuePackets: 10, queueBytes: 65_536 };
      const { clock, link, received } = packetLink({ readable, writable: nowhere() }, options);
      readable.write(new Uint8Array(size));
      readable.write(packet(1));
      await settled();
      clock.runUntilIdle();
      await settled();
      clock.runUntilIdle();
      expect(received).to.deep.equal([packet(1)]);
      expect(link.counters.dropped(DropReason.LinkTooBig)).to.equal(1);
    }
  });

  it('lose nothing uncounted where a stream goes on though it was paused', () => {
    const wild = (): NodeReadable & EventEmitter =>
      Object.assign(new EventEmitter(), {
        pause() {},
        resume() {},
        destroy() {},
      });
    const packets = wild();
    const ends = packetLink({ readable: packets, writable: nowhere() }, { queuePackets: 2 });
    for (let i = 0; i < 5; i++) packets.emit('data', packet(i));
    ends.clock.advanceBy(0);
    ends.clock.advanceBy(0);
    expect(ends.received).to.deep.equal([packet(0), packet(1), packet(2)]);
    expect(ends.link.counters.dropped(DropReason.LinkQueueFull)).to.equal(2);
    const bytes = wild();
    const framed = byteLink({ readable: bytes, writable: nowhere() }, { queuePackets: 2 });
    bytes.emit('data', Uint8Array.from([...packet(0), ...packet(1), ...packet(2), ...packet(3)]));
    bytes.emit('data', packet(4));
    framed.clock.runUntilIdle();
    // Packets would be found where there are none.
    expect(framed.received).to.deep.equal([packet(0), packet(1)]);
    expect(framed.down.map(({ code }) => code)).to.deep.equal(['EPROTO']);
  });

  it('close above iterators that throw at that, or answer nothing', async () => {
    const endings: (() => unknown)[] = [
      () => {
        throw new Error('of the iterator');
      },
      () => undefined,
      () => Promise.reject(new Error('of the iterator')),
    ];
    for (const ending of endings) {
      const readable = {
        [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: ending }),
      } as unknown as StreamSource;
      const { clock, link, down } = packetLink({ readable, writable: nowhere() });
      link.close();
      await settled();
      clock.runUntilIdle();
      expect([link.isUp, down.length]).to.deep.equal([false, 0]);
    }
  });

  it('are down where an iterator answers nonsense', async () => {
    for (const next of [() => undefined, () => Promise.resolve(undefined), () => Promise.resolve(7)]) {
      const readable = { [Symbol.asyncIterator]: () => ({ next }) } as unknown as StreamSource;
      const { clock, down } = packetLink({ readable, writable: nowhere() });
      await settled();
      clock.runUntilIdle();
      expect(down).to.have.length(1);
    }
  });

  it('are down once where a stream fails in the middle of a packet, with its error', async () => {
    for (const kind of ['callback', 'destroy', 'throw']) {
      let isFailing = false;
      const writable: Writable = new Writable({
        write(_chunk, _encoding, done) {
          if (!isFailing) done();
          else if (kind === 'callback') done(new Error('torn'));
          else if (kind === 'destroy') this.destroy(new Error('torn'));
          else throw new Error('torn');
        },
      });
      const readable = silence();
      const { clock, link, down, send } = byteLink({ readable, writable });
      send(packet(1));
      isFailing = true;
      send(packet(2), packet(3));
      await settled();
      clock.runUntilIdle();
      expect(
        down.map(({ message }) => message),
        kind,
      ).to.deep.equal(['torn']);
      expect([send(packet(4)), readable.destroyed]).to.deep.equal([false, true]);
      link.close();
      expect(clock.pending).to.equal(0);
    }
  });

  it('close twice, within every callback, and before anything was sent', async () => {
    for (const make of [packetLink, byteLink]) {
      const { link, down, clock } = make({ readable: silence(), writable: nowhere() });
      link.onDown = () => link.close();
      link.close();
      link.close();
      link.fail(new Error('late'));
      clock.runUntilIdle();
      await settled();
      expect(down).to.deep.equal([]);
      const readable = new PassThrough({ objectMode: true });
      const receiving = make({ readable, writable: nowhere() });
      receiving.link.onWritable = () => receiving.link.close();
      readable.write(packet(1));
      receiving.link.close();
      readable.write(packet(2));
      await settled();
      receiving.clock.runUntilIdle();
      expect([receiving.received.length, receiving.clock.pending]).to.deep.equal([0, 0]);
    }
  });
});
