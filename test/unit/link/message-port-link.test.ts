import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { messagePortLink, type PacketPort } from '../../../lib/link/message-port-link.js';
import { opened, Talker } from './channel-ends.js';
import { makePacket, pattern } from './packets.js';

/** A port whose messages wait until the test passes them on, transferred as by a real one. */
class FakePort extends Talker implements PacketPort {
  peer: FakePort | undefined;
  readonly inbox: unknown[] = [];
  posted = 0;
  started = 0;
  closed = 0;
  held = 0;

  postMessage(message: unknown, transfer: ArrayBuffer[]): void {
    this.posted++;
    this.peer?.inbox.push(structuredClone(message, { transfer }));
  }

  start(): void {
    this.started++;
  }

  close(): void {
    this.closed++;
  }

  ref(): void {
    this.held++;
  }

  unref(): void {
    this.held--;
  }

  deliver(): number {
    const messages = this.inbox.splice(0);
    for (const data of messages) this.emit('message', { data });
    return messages.length;
  }
}

function pair(queuePackets = 1000) {
  const ports = [new FakePort(), new FakePort()];
  ports[0].peer = ports[1];
  ports[1].peer = ports[0];
  const [a, b] = ports.map((port) => ({
    port,
    ...opened((clock) => messagePortLink(port, { clock, mtu: 1500, coalesce: false, queuePackets })),
  }));
  /** Passes messages on until none is left; time stands still, so nothing reaches the stacks. */
  const exchange = (): void => {
    while (a.port.deliver() + b.port.deliver() > 0);
  };
  return { a, b, exchange };
}

const packets = (count: number, from = 0): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => makePacket({ payload: pattern(1400, from + i) }));

describe('messagePortLink', () => {
  it('carries the packets of a turn in one transferred buffer, which comes back', () => {
    const { a, b, exchange } = pair();
    const sent = packets(20);
    a.send(...sent);
    expect(a.port.posted).to.equal(1);
    exchange();
    b.clock.advanceBy(0);
    expect(b.received).to.deep.equal(sent);
    expect(b.port.posted).to.equal(1);
    for (let i = 0; i < 100; i++) {
      a.send(...packets(20, i));
      exchange();
      b.clock.advanceBy(0);
    }
    expect(b.received).to.have.length(2020);
    expect([a.port.started, b.port.started]).to.deep.equal([1, 1]);
  });

  it('carries packets of any size, also of none', () => {
    const { a, b, exchange } = pair();
    const sent = [new Uint8Array(0), makePacket(), pattern(1500), Uint8Array.from([1]), new Uint8Array(0)];
    a.send(...sent);
    exchange();
    b.clock.advanceBy(0);
    expect(b.received).to.deep.equal(sent);
  });

  it('makes the stack wait while all buffers are on their way, and loses nothing', () => {
    const { a, b, exchange } = pair();
    let told = 0;
    a.link.onWritable = () => told++;
    let sent = 0;
    while (a.send(...packets(60, sent))) sent += 60;
    const inFlight = a.port.posted;
    expect(inFlight).to.equal(8);
    expect(a.send(makePacket())).to.equal(false);
    exchange();
    a.clock.advanceBy(0);
    expect(told).to.equal(1);
    expect(a.send(makePacket())).to.equal(true);
    exchange();
    b.clock.advanceBy(0);
    expect(b.received).to.have.length(sent + 1);
    expect(b.received[sent - 1]).to.deep.equal(packets(1, sent - 1)[0]);
  });

  it('gives no buffer back while the stack is behind', () => {
    const { a, b, exchange } = pair(64);
    let sent = 0;
    // The first buffer finds room, and comes back.
    for (let i = 0; i < 2; i++) {
      while (a.send(...packets(60, sent))) sent += 60;
      exchange();
    }
    expect(a.send(makePacket())).to.equal(false);
    expect(b.link.counters.inDrops).to.equal(0);
    for (let i = 0; i < 40; i++) {
      b.clock.advanceBy(0);
      exchange();
      a.clock.advanceBy(0);
    }
    expect(b.received).to.deep.equal(packets(sent));
    expect(a.send(makePacket())).to.equal(true);
  });

  it('keeps what comes before the stack has taken the link', () => {
    const port = new FakePort();
    const peer = new FakePort();
    port.peer = peer;
    const far = opened((clock) => messagePortLink(port, { clock, mtu: 1500 }));
    far.send(makePacket());
    const near = opened((clock) => {
      const link = messagePortLink(peer, { clock, mtu: 1500 });
      peer.deliver();
      return link;
    });
    near.clock.advanceBy(0);
    expect(near.received).to.have.length(1);
  });

  it('is down when the other side closes its link, its port or its thread', () => {
    const first = pair();
    first.a.send(makePacket());
    first.a.link.close();
    expect(first.a.port.closed).to.equal(1);
    first.exchange();
    first.b.clock.runUntilIdle();
    expect(first.b.received).to.have.length(1);
    expect(first.b.down.map(({ code }) => code)).to.deep.equal(['ENETDOWN']);
    expect(first.b.port.closed).to.equal(1);
    expect(first.a.down).to.deep.equal([]);
    const second = pair();
    second.b.port.emit('close', {});
    second.b.clock.runUntilIdle();
    expect(second.b.down.map(({ message }) => message)).to.deep.equal(['link: the port was closed']);
    for (const event of ['message', 'messageerror', 'close']) {
      expect(second.b.port.listeners(event), event).to.equal(0);
    }
  });

  it('gives the stack all that came before the end, also what waited for room', () => {
    for (const ending of ['link', 'port']) {
      const { a, b, exchange } = pair(64);
      a.send(...packets(60));
      a.send(...packets(60, 60));
      exchange();
      if (ending === 'port') b.port.emit('close', {});
      a.link.close();
      exchange();
      expect(b.link.isUp).to.equal(true);
      b.clock.runUntilIdle();
      expect(b.received, ending).to.deep.equal(packets(120));
      expect(b.down.map(({ code }) => code)).to.deep.equal(['ENETDOWN']);
      expect(b.port.closed).to.equal(1);
    }
  });

  it('takes no buffer larger than links make', () => {
    const { b } = pair();
    for (const tunstack of ['packets', 'buffer']) {
      const buffer = new ArrayBuffer(131_073);
      b.port.emit('message', { data: { tunstack, buffer, bytes: 4 } });
    }
    expect(b.link.counters.dropped(DropReason.LinkFraming)).to.equal(2);
    expect(b.port.posted).to.equal(0);
  });

  it('counts what no link says, gives buffers back all the same, and is none the worse', () => {
    const { a, b, exchange } = pair();
    const bad = [
      undefined,
      'packets',
      {},
      { tunstack: 'packets' },
      { tunstack: 'packets', buffer: new ArrayBuffer(8), bytes: 9 },
      { tunstack: 'packets', buffer: new ArrayBuffer(8), bytes: -1 },
      { tunstack: 'packets', buffer: new ArrayBuffer(8), bytes: 0.5 },
      { tunstack: 'packets', buffer: new Uint8Array(8), bytes: 8 },
      { tunstack: 'buffer', buffer: 'none' },
    ];
    for (const data of bad) b.port.emit('message', { data });
    b.port.emit('messageerror', {});
    expect(b.link.counters.dropped(DropReason.LinkFraming)).to.equal(bad.length + 1);
    // A length beyond the end, and one that is larger than any packet.
    for (const length of [5, 70_000]) {
      const buffer = new ArrayBuffer(100_000);
      new DataView(buffer).setUint32(0, length);
      b.port.emit('message', { data: { tunstack: 'packets', buffer, bytes: length === 5 ? 8 : 100_000 } });
    }
    expect(b.link.counters.dropped(DropReason.LinkFraming)).to.equal(bad.length + 3);
    expect(b.port.posted).to.equal(2);
    // Buffers that are none of ours, or more of them than we made, are nobody's.
    for (let i = 0; i < 20; i++) {
      b.port.emit('message', { data: { tunstack: 'buffer', buffer: new ArrayBuffer(131_072) } });
      b.port.emit('message', { data: { tunstack: 'buffer', buffer: new ArrayBuffer(3) } });
    }
    exchange();
    let sent = 0;
    while (b.send(...packets(60, sent))) sent += 60;
    expect(b.port.posted).to.equal(2 + 8);
    exchange();
    a.clock.advanceBy(0);
    expect(a.received).to.have.length(sent);
  });

  it('bounds what another program may leave here', () => {
    const { b } = pair(1);
    for (let i = 0; i < 100; i++) {
      const buffer = new ArrayBuffer(16);
      new DataView(buffer).setUint32(0, 12);
      b.port.emit('message', { data: { tunstack: 'packets', buffer, bytes: 16 } });
    }
    expect(b.link.counters.dropped(DropReason.LinkQueueFull)).to.be.within(30, 40);
    b.clock.runUntilIdle();
    expect(b.received.length + b.link.counters.dropped(DropReason.LinkQueueFull)).to.equal(100);
  });

  it('keeps the process alive as the stack wants, and refuses what is no port', () => {
    const { a } = pair();
    a.link.unref();
    expect(a.port.held).to.equal(-1);
    a.link.ref();
    expect(a.port.held).to.equal(0);
    const bad = (): unknown => opened((clock) => messagePortLink({} as PacketPort, { clock, mtu: 1500 }));
    expect(bad).to.throw(TypeError, /MessagePort/);
  });
});
