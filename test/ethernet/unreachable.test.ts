/** Nobody is at the next hop: who hears of it, and when. As Linux does it. */
import { expect } from 'chai';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { place, tcpPacket } from '../support/nat-world.js';
import { frameOf, Lan, type LanHost } from './lan.js';

const IPV4 = 0x0800;
const PEER = '52:54:00:00:00:99';

/** What an endpoint was told, each with the time, ms. */
function listenTo(endpoint: TcpEndpoint, lan: Lan): { told: string[]; ms: number[] } {
  const heard = { told: [] as string[], ms: [] as number[] };
  const tell = (what: string): void => {
    heard.told.push(what);
    heard.ms.push(Math.round(lan.clock.nowUs() / 1000));
  };
  endpoint.handler = {
    onConnect: () => tell('connect'),
    onReadable() {},
    onWritable() {},
    onEnd: () => tell('end'),
    onClose: (code) => tell(`close ${code}`),
    onSoftError: (code) => tell(`soft ${code}`),
  };
  return heard;
}

describe('A next hop where nobody is', () => {
  let lan: Lan;
  let a: LanHost;

  beforeEach(() => {
    lan = new Lan();
    a = lan.host('a', { addresses: ['10.0.0.1/24', 'fd00::1/64'] });
  });

  afterEach(() => a.stack.close());

  for (const address of ['10.0.0.9', 'fd00::9', '192.0.2.7', '2001:db8::7']) {
    it(`ends an attempt to connect to ${address} after three requests in three seconds`, () => {
      a.stack.routing.routes.add({ destination: '0.0.0.0/0', gateway: '10.0.0.8' });
      a.stack.routing.routes.add({ destination: '::/0', gateway: 'fd00::8' });
      const { told, ms } = listenTo(a.stack.connectTcp({ address, port: 80 }), lan);
      lan.advanceMs(2990);
      expect(told).to.deep.equal([]);
      lan.advanceMs(20);
      expect(told).to.deep.equal(['close EHOSTUNREACH']);
      expect(ms[0]).to.be.within(3000, 3010);
      expect(a.stack.stats.tcp.attemptFails).to.equal(1);
      lan.advanceMs(60_000);
      expect(told).to.have.length(1);
      expect(lan.clock.pending, 'nothing is left to be done').to.equal(0);
    });
  }

  it('ends an attempt to connect by a link-local address too', () => {
    const endpoint = a.stack.connectTcp({ address: 'fe80::9', port: 80, link: a.index });
    const { told } = listenTo(endpoint, lan);
    lan.advanceMs(3100);
    expect(told).to.deep.equal(['close EHOSTUNREACH']);
  });

  it('frees the place of a handshake whose SYN-ACK finds nobody', () => {
    const listener = a.stack.listenTcp({ port: 80, address: '10.0.0.1' });
    // A SYN from an address of the network that nobody has.
    const syn = tcpPacket(place('10.0.0.9', 5000), place('10.0.0.1', 80), 'S');
    lan.inject(frameOf({ from: PEER, to: a.link.mac.toString(), type: IPV4 }, syn));
    lan.advanceMs(3100);
    expect(a.stack.stats.tcp.attemptFails).to.equal(1);
    const { length } = lan.seen;
    lan.advanceMs(100_000);
    expect(lan.seen, 'no SYN-ACK is sent again').to.have.length(length);
    listener.close();
  });

  it('is only told to a connection that exists, which goes on once somebody is there again', () => {
    const b = lan.host('b', { addresses: ['10.0.0.2/24'] });
    const listener = b.stack.listenTcp({ port: 80, address: '10.0.0.2' });
    const endpoint = a.stack.connectTcp({ address: '10.0.0.2', port: 80 });
    const { told } = listenTo(endpoint, lan);
    lan.advanceMs(100);
    lan.passes = () => false;
    a.link.forgetNeighbor('10.0.0.2');
    endpoint.write(new Uint8Array(1000));
    lan.advanceMs(10_000);
    expect([...new Set(told)]).to.deep.equal(['connect', 'soft EHOSTUNREACH']);
    lan.passes = () => true;
    lan.advanceMs(30_000);
    expect(listener.accept()?.read(new Uint8Array(2000))).to.equal(1000);
    b.stack.close();
  });

  it('is told to a datagram socket that asks for errors, and as on Linux to no other', () => {
    for (const [family, address] of [
      [4, '10.0.0.9'],
      [6, 'fd00::9'],
    ] as const) {
      for (const receiveErrors of [true, false]) {
        const socket = a.stack.openUdp(family, { receiveErrors });
        const destination = IpAddress.parse(address);
        socket.connect(destination, 9);
        socket.send(new Uint8Array(1), {});
        lan.advanceMs(3100);
        expect(socket.takeError()?.code, `IPv${family}`).to.equal(receiveErrors ? 'EHOSTUNREACH' : undefined);
        socket.close();
      }
    }
  });
});
