import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { type DatagramPeer, type DatagramSocket, udpSocketLink } from '../../../lib/link/udp-socket-link.js';
import { opened, Talker } from './channel-ends.js';
import { makePacket } from './packets.js';

type Done = (error: Error | null) => void;

/** A socket that says nothing by itself. */
class FakeSocket extends Talker implements DatagramSocket {
  readonly sent: { data: Uint8Array; to: string; done: Done }[] = [];
  closed = 0;
  refs = 0;

  send(data: Uint8Array, portOrDone: number | Done, address = '', done: Done = () => {}): void {
    if (typeof portOrDone === 'function') this.sent.push({ data, to: '', done: portOrDone });
    else this.sent.push({ data, to: `${address} ${portOrDone}`, done });
  }

  close(): void {
    if (this.closed++ > 0) throw new Error('ERR_SOCKET_DGRAM_NOT_RUNNING');
    this.emit('close');
  }

  ref(): void {
    this.refs++;
  }

  unref(): void {
    this.refs--;
  }
}

function linkTo(peer: DatagramPeer | readonly DatagramPeer[] | undefined) {
  const socket = new FakeSocket();
  const ends = opened((clock) => udpSocketLink(socket, peer, { clock, mtu: 1400, coalesce: false }));
  return { socket, ...ends };
}

const PEER = { address: '192.0.2.7', port: 5182 };

describe('udpSocketLink', () => {
  it('makes each packet a datagram to its peer, and takes only what comes from there', () => {
    const { socket, clock, link, received, send } = linkTo(PEER);
    const packet = makePacket();
    send(packet, packet);
    expect(socket.sent.map(({ to }) => to)).to.deep.equal(['192.0.2.7 5182', '192.0.2.7 5182']);
    expect(socket.sent[0].data).to.deep.equal(packet);
    socket.emit('message', packet, { address: '192.0.2.7', port: 5182 });
    socket.emit('message', packet, { address: '::ffff:192.0.2.7', port: 5182 });
    socket.emit('message', packet, { address: '192.0.2.7', port: 5183 });
    socket.emit('message', packet, { address: '192.0.2.8', port: 5182 });
    clock.advanceBy(0);
    expect(received).to.deep.equal([packet, packet]);
    expect(link.counters.dropped(DropReason.LinkPeer)).to.equal(2);
  });

  it('knows a peer however its address is written', () => {
    for (const [written, reported] of [
      ['2001:DB8:0:0::3', '2001:db8::3'],
      ['::ffff:c000:207', '192.0.2.7'],
      ['::FFFF:192.0.2.7', '::ffff:192.0.2.7'],
      ['FE80::1%eth0', 'fe80::1%eth0'],
    ]) {
      const { socket, clock, received, send } = linkTo({ address: written, port: 1 });
      socket.emit('message', makePacket(), { address: reported, port: 1 });
      socket.emit('message', makePacket(), { address: '2001:db8::4', port: 1 });
      clock.advanceBy(0);
      expect(received, written).to.have.length(1);
      send(makePacket());
      expect(socket.sent[0].to).to.equal(`${written} 1`);
    }
  });

  it('leaves peers to a socket that is connected', () => {
    const { socket, clock, received, send } = linkTo(undefined);
    send(makePacket());
    expect(socket.sent[0].to).to.equal('');
    socket.emit('message', makePacket(), { address: '198.51.100.1', port: 9 });
    clock.advanceBy(0);
    expect(received).to.have.length(1);
  });

  it('chooses among peers by the longest network, and checks where packets come from', () => {
    const peers = [
      { address: '192.0.2.1', port: 1, networks: ['10.0.0.0/24', 'fd00::/64'] },
      { address: '192.0.2.2', port: 2, networks: ['10.0.0.9'] },
      { address: '2001:db8::3', port: 3, networks: ['fd00:0:0:0::9/128', '0.0.0.0/0'] },
    ];
    const { socket, clock, link, received, send } = linkTo(peers);
    send(
      makePacket({ destination: 2 }),
      makePacket({ destination: 9 }),
      makePacket({ version: 6, destination: 2 }),
      makePacket({ version: 6, destination: 9 }),
    );
    const elsewhere = makePacket();
    elsewhere.set([8, 8, 8, 8], 16);
    const nowhere = makePacket({ version: 6 });
    nowhere.set([0x20, 1], 24);
    send(elsewhere, nowhere, Uint8Array.from([0x45]), new Uint8Array(0));
    expect(socket.sent.map(({ to }) => to)).to.deep.equal([
      '192.0.2.1 1',
      '192.0.2.2 2',
      '192.0.2.1 1',
      '2001:db8::3 3',
      '2001:db8::3 3',
    ]);
    expect(link.counters.dropped(DropReason.LinkPeer)).to.equal(3);
    const from = (peer: number, packet: Uint8Array): void =>
      socket.emit('message', packet, { address: peers[peer].address, port: peers[peer].port });
    from(0, makePacket({ source: 1 }));
    from(0, makePacket({ source: 9 }));
    from(1, makePacket({ source: 9 }));
    from(1, makePacket({ source: 1 }));
    from(2, makePacket({ version: 6, source: 9 }));
    from(2, Uint8Array.from([]));
    clock.advanceBy(0);
    expect(received).to.deep.equal([
      makePacket({ source: 1 }),
      makePacket({ source: 9 }),
      makePacket({ version: 6, source: 9 }),
    ]);
    expect(link.counters.dropped(DropReason.LinkPeer)).to.equal(6);
  });

  it('makes the stack wait while too many datagrams are on their way', () => {
    const { socket, clock, link, send } = linkTo(PEER);
    let told = 0;
    link.onWritable = () => told++;
    const packets = Array.from({ length: 64 }, () => makePacket());
    for (let i = 0; i < 4; i++) expect(send(...packets)).to.equal(true);
    expect(socket.sent).to.have.length(256);
    expect(send(makePacket())).to.equal(false);
    for (let i = 0; i < 127; i++) socket.sent[i].done(null);
    clock.advanceBy(0);
    expect(told).to.equal(0);
    socket.sent[127].done(null);
    clock.advanceBy(0);
    expect(told).to.equal(1);
    expect(send(makePacket())).to.equal(true);
  });

  it('counts datagrams that could not be sent, and lives on', () => {
    const { socket, clock, link, down, send } = linkTo(PEER);
    send(makePacket(), makePacket());
    socket.sent[0].done(Object.assign(new Error('no'), { code: 'EMSGSIZE' }));
    socket.emit('error', Object.assign(new Error('read ECONNREFUSED'), { code: 'ECONNREFUSED' }));
    clock.runUntilIdle();
    expect(link.counters.dropped(DropReason.LinkError)).to.equal(1);
    expect(down).to.deep.equal([]);
    expect(send(makePacket())).to.equal(true);
  });

  it('is down when the socket fails or is closed', () => {
    const failed = linkTo(PEER);
    failed.socket.emit('error', Object.assign(new Error('bind EBADF'), { code: 'EBADF' }));
    failed.clock.runUntilIdle();
    expect(failed.down.map(({ message }) => message)).to.deep.equal(['bind EBADF']);
    expect(failed.socket.closed).to.equal(1);
    const closed = linkTo(PEER);
    closed.socket.close();
    closed.clock.runUntilIdle();
    expect(closed.down.map(({ code }) => code)).to.deep.equal(['ENETDOWN']);
    // A socket that throws because somebody closed it, and said nothing yet.
    const thrown = linkTo(PEER);
    thrown.socket.closed = 1;
    thrown.socket.send = () => {
      throw new Error('Not running');
    };
    thrown.send(makePacket());
    thrown.clock.runUntilIdle();
    expect(thrown.down.map(({ message }) => message)).to.deep.equal(['Not running']);
  });

  it('closes the socket behind what was handed to it', () => {
    const { socket, link, down, clock, send } = linkTo(PEER);
    send(makePacket());
    link.close();
    expect(socket.closed).to.equal(0);
    socket.sent[0].done(null);
    expect(socket.closed).to.equal(1);
    clock.runUntilIdle();
    expect(down).to.deep.equal([]);
    socket.emit('message', makePacket(), PEER);
    expect(link.counters.inPackets).to.equal(0);
  });

  it('keeps the process alive as the stack wants', () => {
    const { socket, link } = linkTo(PEER);
    link.unref();
    expect(socket.refs).to.equal(-1);
    link.ref();
    expect(socket.refs).to.equal(0);
  });

  it('refuses peers that cannot be', () => {
    const bad = (peer: unknown) => () => linkTo(peer as DatagramPeer);
    expect(bad({ address: 'example.org', port: 1 }))
      .to.throw(TypeError)
      .with.property('code', 'ERR_INVALID_ARG_VALUE');
    expect(bad({ address: 7, port: 1 }))
      .to.throw(TypeError)
      .with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect(bad({ address: '1.2.3.4', port: 0 })).to.throw(RangeError);
    expect(bad([])).to.throw(RangeError);
    expect(bad([PEER, PEER])).to.throw(TypeError, /networks/);
    expect(bad([{ ...PEER, networks: ['nowhere'] }])).to.throw(TypeError);
    expect(bad([{ ...PEER, networks: 'nowhere' }])).to.throw(TypeError);
    expect(bad([{ ...PEER, networks: Array<string>(1025).fill('::/0') }])).to.throw(RangeError);
    expect(bad(Array(257).fill({ ...PEER, networks: [] }))).to.throw(RangeError);
    expect(() => udpSocketLink({} as DatagramSocket, PEER, {} as never)).to.throw(TypeError, /socket/);
    expect(bad({ address: 'fe80::1%eth0', port: 1 })).to.not.throw();
  });
});
