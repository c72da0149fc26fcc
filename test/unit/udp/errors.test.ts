import { expect } from 'chai';
import { IcmpErrorKind } from '../../../lib/ip/interfaces.js';
import { IcmpKind } from '../../../lib/udp/carrier.js';
import { UdpEvent } from '../../../lib/udp/datagram.js';
import type { UdpEndpoint } from '../../../lib/udp/udp-endpoint.js';
import { Host, PEER, text } from './host.js';

const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return '';
};

/** A socket that has sent a datagram, and that datagram. */
function afterSending(version: 4 | 6, connected: boolean, receiveErrors = false) {
  const host = new Host();
  const socket = host.udp.createEndpoint(version, { receiveErrors });
  socket.bind(undefined, 2000);
  if (connected) socket.connect(PEER[version], 1000);
  socket.send(text('x'), { destination: PEER[version], port: 1000 });
  const [{ packet }] = host.port.sent.splice(0);
  return { host, socket, packet };
}

const unreachable = (host: Host, version: 4 | 6, packet: Uint8Array): void =>
  version === 4 ? host.icmpError(3, 3, packet) : host.icmpError(1, 4, packet);

/** The error of the next send, and of the one after that. */
const nextTwo = (socket: UdpEndpoint, version: 4 | 6): string[] =>
  [1, 2].map(() => codeOf(() => socket.send(text('y'), { destination: PEER[version], port: 1000 })));

describe('UDP errors', () => {
  it('numbers the kinds of ICMP errors as IP does', () => {
    expect(IcmpKind).to.deep.equal(IcmpErrorKind);
  });

  for (const version of [4, 6] as const) {
    it(`fails the next call of a connected socket once over IPv${version} [UDP-8, UDP-9]`, () => {
      const { host, socket, packet } = afterSending(version, true);
      unreachable(host, version, packet);
      const told: number[] = [];
      socket.onEvents = (events) => told.push(events);
      host.udp.tell();
      expect(told).to.deep.equal([UdpEvent.ERROR]);
      expect(nextTwo(socket, version)).to.deep.equal(['ECONNREFUSED', '']);
      // Or its next receive, though datagrams wait.
      host.receive({ version, payload: 'waits' });
      unreachable(host, version, packet);
      expect(() => socket.receive()).to.throw('recvmsg ECONNREFUSED');
      expect(socket.receive()?.length).to.equal(5);
      unreachable(host, version, packet);
      expect(socket.takeError()).to.include({ code: 'ECONNREFUSED', errno: -111, syscall: 'recvmsg' });
      expect(socket.takeError()).to.equal(undefined);
    });

    it(`tells an unconnected socket only by the error queue, over IPv${version} [UDP-8]`, () => {
      const silent = afterSending(version, false);
      unreachable(silent.host, version, silent.packet);
      expect(silent.socket.takeEvents()).to.equal(0);
      expect(nextTwo(silent.socket, version)).to.deep.equal(['', '']);
      expect(silent.socket.takeErrorEntry()).to.equal(undefined);
      const { host, socket, packet } = afterSending(version, false, true);
      unreachable(host, version, packet);
      expect(nextTwo(socket, version)).to.deep.equal(['ECONNREFUSED', '']);
      const entry = socket.takeErrorEntry();
      expect(entry).to.include({
        code: 'ECONNREFUSED',
        origin: version === 4 ? 'icmp' : 'icmp6',
        destinationPort: 1000,
      });
      expect(entry).to.include(version === 4 ? { icmpType: 3, icmpCode: 3 } : { icmpType: 1, icmpCode: 4 });
      expect(entry?.destination.toString()).to.equal(PEER[version].toString());
      expect(entry?.reporter?.toString()).to.equal(version === 4 ? '10.0.0.9' : 'fd00::9');
      expect(socket.takeErrorEntry()).to.equal(undefined);
    });

    it(`lets an error pass that quotes other ports or addresses, over IPv${version} [UDP-8]`, () => {
      const { host, socket, packet } = afterSending(version, true);
      const at = version === 4 ? 20 : 40;
      for (const place of [at + 1, at + 3, at - 1]) {
        const other = packet.slice();
        other[place] ^= 4;
        unreachable(host, version, other);
      }
      expect(nextTwo(socket, version)).to.deep.equal(['', '']);
      expect(host.stats.icmp.inUnmatched).to.equal(3);
    });
  }

  /** Type and code, what a connected socket hears, and what one with an error queue hears. */
  const MATRIX: Record<4 | 6, [number, number, string, string][]> = {
    4: [
      [3, 0, '', 'ENETUNREACH'],
      [3, 1, '', 'EHOSTUNREACH'],
      [3, 2, 'ENOPROTOOPT', 'ENOPROTOOPT'],
      [3, 3, 'ECONNREFUSED', 'ECONNREFUSED'],
      [3, 5, '', 'EOPNOTSUPP'],
      [3, 13, 'EHOSTUNREACH', 'EHOSTUNREACH'],
      [11, 0, '', 'EHOSTUNREACH'],
      [12, 0, 'EPROTO', 'EPROTO'],
    ],
    6: [
      [1, 0, '', 'ENETUNREACH'],
      [1, 1, 'EACCES', 'EACCES'],
      [1, 3, '', 'EHOSTUNREACH'],
      [1, 4, 'ECONNREFUSED', 'ECONNREFUSED'],
      [3, 0, '', 'EHOSTUNREACH'],
      [4, 0, 'EPROTO', 'EPROTO'],
    ],
  };
  for (const version of [4, 6] as const) {
    it(`tells hard errors by themselves and soft ones only when asked, over IPv${version} [UDP-9, IC4-15, IC4-19]`, () => {
      for (const [type, code, plain, asked] of MATRIX[version]) {
        const first = afterSending(version, true);
        first.host.icmpError(type, code, first.packet);
        expect(nextTwo(first.socket, version), `${type}/${code}`).to.deep.equal([plain, '']);
        const second = afterSending(version, true, true);
        second.host.icmpError(type, code, second.packet);
        expect(nextTwo(second.socket, version), `${type}/${code} asked`).to.deep.equal([asked, '']);
        expect(second.socket.takeErrorEntry()).to.include({ code: asked, icmpType: type, icmpCode: code });
      }
    });
  }

  it('bounds the error queue and counts what it had no room for', () => {
    const { host, socket, packet } = afterSending(4, false, true);
    for (let i = 0; i < 100; i++) unreachable(host, 4, packet);
    let entries = 0;
    while (socket.takeErrorEntry() !== undefined) entries++;
    expect(entries).to.equal(64);
    expect(socket.errorsDropped).to.equal(36);
  });

  it('finds no socket for an error that quotes port 0, or a socket that is gone', () => {
    const { host, socket, packet } = afterSending(4, true);
    socket.close();
    unreachable(host, 4, packet);
    expect(host.stats.icmp.inUnmatched).to.equal(1);
    expect(host.udp.hasTouched).to.equal(false);
  });
});

describe('UDP path MTU search', () => {
  it('takes Packet Too Big only where it quotes what both ends know (RFC 8899 §4.6.1)', () => {
    for (const isKnown of [true, false]) {
      const host = new Host();
      const socket = host.udp.createEndpoint(4);
      socket.connect(PEER[4], 1000);
      const quotes: Uint8Array[] = [];
      const probed: number[] = [];
      const search = host.udp.searchPathMtu(socket, {
        probe: (bytes) => {
          probed.push(bytes);
          socket.send(new Uint8Array(bytes).fill(7));
        },
        validate: (quoted) => {
          quotes.push(quoted.slice());
          return isKnown;
        },
      });
      search.connected();
      search.acknowledged(1200);
      expect(probed).to.deep.equal([1200, 1472]);
      const whole = host.port.sent.at(-1)?.packet;
      if (whole === undefined) throw new Error('nothing was sent');
      host.icmpError(3, 4, whole, 1400);
      expect(quotes).to.have.lengthOf(1);
      expect(quotes[0].length).to.be.above(100);
      expect(new Set(quotes[0])).to.deep.equal(new Set([7]));
      expect(probed).to.deep.equal(isKnown ? [1200, 1472, 1372] : [1200, 1472]);
      // Without somebody to ask nothing is believed.
      const deaf = host.udp.searchPathMtu(socket, { probe: (bytes) => probed.push(bytes) });
      deaf.connected();
      deaf.acknowledged(1200);
      const before = probed.length;
      host.icmpError(3, 4, whole, 1400);
      expect(probed).to.have.lengthOf(before);
    }
  });
});
