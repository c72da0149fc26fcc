import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import {
  type WebSocketLike,
  type WebSocketLinkOptions,
  webSocketLink,
} from '../../../lib/link/web-socket-link.js';
import { opened, Talker } from './channel-ends.js';
import { makePacket, pattern } from './packets.js';

class FakeWebSocket extends Talker implements WebSocketLike {
  readyState = 1;
  bufferedAmount = 0;
  binaryType = 'blob';
  readonly sent: Uint8Array[] = [];
  readonly closes: (number | undefined)[] = [];

  send(data: Uint8Array<ArrayBuffer>): void {
    if (this.readyState === 0) throw new Error('InvalidStateError');
    this.sent.push(data);
    this.bufferedAmount += data.length;
  }

  close(code?: number): void {
    this.closes.push(code);
    this.readyState = 2;
  }
}

function linkOver(socket = new FakeWebSocket(), options: Partial<WebSocketLinkOptions> = {}) {
  const ends = opened((clock) => webSocketLink(socket, { clock, mtu: 1500, coalesce: false, ...options }));
  return { socket, ...ends };
}

describe('webSocketLink', () => {
  it('makes each packet a binary message, of memory of its own, and the other way round', () => {
    const { socket, clock, received, send, link } = linkOver();
    expect(socket.binaryType).to.equal('arraybuffer');
    const packet = makePacket({ payload: pattern(9) });
    send(packet, packet);
    expect(socket.sent).to.deep.equal([packet, packet]);
    expect(socket.sent[0].buffer.byteLength).to.equal(packet.length);
    socket.emit('message', { data: packet.slice().buffer });
    socket.emit('message', { data: Buffer.from(packet) });
    socket.emit('message', { data: 'text' });
    socket.emit('message', { data: [Buffer.from(packet)] });
    clock.advanceBy(0);
    expect(received).to.deep.equal([packet, packet]);
    expect(link.counters.dropped(DropReason.LinkFraming)).to.equal(2);
  });

  it('leaves alone how `ws` hands over messages', () => {
    const socket = new FakeWebSocket();
    socket.binaryType = 'nodebuffer';
    linkOver(socket);
    expect(socket.binaryType).to.equal('nodebuffer');
  });

  it('keeps the first packets while it connects', () => {
    const socket = new FakeWebSocket();
    socket.readyState = 0;
    const { clock, link, send } = linkOver(socket);
    let told = 0;
    link.onWritable = () => told++;
    expect(send(makePacket(), makePacket())).to.equal(true);
    expect(send(makePacket())).to.equal(false);
    expect(socket.sent).to.have.length(0);
    socket.readyState = 1;
    socket.emit('open');
    expect(socket.sent).to.have.length(2);
    clock.advanceBy(0);
    expect(told).to.equal(1);
  });

  it('makes the stack wait while too much is buffered, and asks until it is not', () => {
    const socket = new FakeWebSocket();
    const { clock, link, send } = linkOver(socket, { maxBufferedBytes: 1000 });
    let told = 0;
    link.onWritable = () => told++;
    const packet = makePacket({ payload: pattern(360) });
    expect(send(packet, packet, packet, packet)).to.equal(true);
    expect(socket.sent).to.have.length(3);
    expect(send(packet)).to.equal(false);
    clock.advanceBy(20_000);
    expect(socket.sent).to.have.length(3);
    socket.bufferedAmount = 501;
    clock.advanceBy(2000);
    expect(socket.sent).to.have.length(3);
    socket.bufferedAmount = 500;
    clock.advanceBy(2000);
    expect(socket.sent).to.have.length(4);
    expect(told).to.equal(1);
    socket.bufferedAmount = 0;
    expect(clock.runUntilIdle(1e6)).to.equal(true);
  });

  it('lets a WebSocket that can wait do so, before there is no room left', () => {
    const socket = new FakeWebSocket() as FakeWebSocket & WebSocketLike;
    let isPaused = false;
    socket.pause = () => {
      isPaused = true;
    };
    socket.resume = () => {
      isPaused = false;
    };
    const { clock, link, received } = linkOver(socket);
    let came = 0;
    for (; !isPaused; came++) socket.emit('message', { data: makePacket() });
    expect(came).to.be.within(700, 800);
    for (let i = 0; i < 200; i++, came++) socket.emit('message', { data: makePacket() });
    expect(link.counters.inDrops).to.equal(0);
    clock.advanceBy(0);
    expect(isPaused).to.equal(false);
    expect(received).to.have.length(came);
    const narrow = linkOver(socket, { queuePackets: 10 });
    socket.emit('message', { data: makePacket() });
    expect(isPaused).to.equal(true);
    narrow.clock.advanceBy(0);
    expect(isPaused).to.equal(false);
  });

  it('is not paused for what it drops, and flows when it is closed, so that it hears its end', () => {
    const socket = new FakeWebSocket() as FakeWebSocket & WebSocketLike;
    const calls: string[] = [];
    socket.pause = () => void calls.push('pause');
    socket.resume = () => void calls.push('resume');
    const { link } = linkOver(socket, { queuePackets: 10 });
    socket.emit('message', { data: new Uint8Array(70_000) });
    expect(link.counters.dropped(DropReason.LinkTooBig)).to.equal(1);
    expect(calls).to.deep.equal([]);
    socket.emit('message', { data: makePacket() });
    link.close();
    expect(calls).to.deep.equal(['pause', 'resume']);
    // `ws` throws at this before it was open.
    const young = new FakeWebSocket() as FakeWebSocket & WebSocketLike;
    young.readyState = 0;
    young.resume = () => expect.fail('resumed');
    linkOver(young).link.close();
    expect(young.closes).to.deep.equal([1000]);
  });

  it('is down when the WebSocket closes or fails, and says why', () => {
    const closed = linkOver();
    closed.socket.readyState = 3;
    closed.socket.emit('close', { code: 1011, reason: 'shutting down' });
    closed.clock.runUntilIdle();
    expect(closed.down.map(({ code, message }) => [code, message])).to.deep.equal([
      ['ENETDOWN', 'link: the WebSocket was closed with code 1011: shutting down'],
    ]);
    const failed = linkOver();
    failed.socket.emit('error', { error: new Error('connect ECONNREFUSED') });
    failed.socket.emit('close', { code: 1006, reason: '' });
    failed.clock.runUntilIdle();
    expect(failed.down.map(({ message }) => message)).to.deep.equal(['connect ECONNREFUSED']);
    const inBrowser = linkOver();
    inBrowser.socket.emit('error', { type: 'error' });
    inBrowser.socket.emit('close', { code: 1006, reason: '' });
    inBrowser.clock.runUntilIdle();
    expect(inBrowser.down.map(({ message }) => message)).to.deep.equal([
      'link: the WebSocket was closed with code 1006',
    ]);
    const over = new FakeWebSocket();
    over.readyState = 3;
    const late = linkOver(over);
    late.clock.runUntilIdle();
    expect(late.down).to.have.length(1);
  });

  it('closes the WebSocket once, also one that still connects, and waits for nothing any more', () => {
    for (const readyState of [0, 1]) {
      const socket = new FakeWebSocket();
      socket.readyState = readyState;
      const { clock, link, send, down } = linkOver(socket, { maxBufferedBytes: 1 });
      send(makePacket(), makePacket());
      link.close();
      link.close();
      socket.emit('error', { error: new Error('closed before it was open') });
      socket.emit('close', { code: 1006 });
      expect(socket.closes).to.deep.equal([1000]);
      clock.runUntilIdle();
      expect(clock.pending).to.equal(0);
      expect(down).to.deep.equal([]);
    }
  });

  it('refuses what is no WebSocket, and a limit that is none', () => {
    expect(() => linkOver({} as FakeWebSocket)).to.throw(TypeError, /WebSocket/);
    expect(() => linkOver(undefined, { maxBufferedBytes: 0 })).to.throw(RangeError);
  });
});
