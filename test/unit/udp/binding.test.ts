import { expect } from 'chai';
import fc from 'fast-check';
import type { UdpSocketOptions } from '../../../lib/udp/options.js';
import type { UdpEndpoint } from '../../../lib/udp/udp-endpoint.js';
import { makePacket } from '../link/packets.js';
import { address, Host, OURS, PEER, text } from './host.js';

const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return '';
};

const received = (socket: UdpEndpoint): number => {
  let count = 0;
  while (socket.receive() !== undefined) count++;
  return count;
};

describe('UDP binding', () => {
  it('binds to our addresses, groups and broadcast addresses only', () => {
    const host = new Host();
    const bind = (family: 4 | 6, local: string, port = 0, options: UdpSocketOptions = {}) =>
      codeOf(() => host.udp.createEndpoint(family, options).bind(address(local), port));
    expect(bind(4, '10.0.0.2', 53)).to.equal('');
    expect(bind(4, '10.0.0.2', 53)).to.equal('EADDRINUSE');
    expect(bind(4, '10.0.0.3', 53)).to.equal('EADDRNOTAVAIL');
    expect(bind(4, '127.0.0.1', 53)).to.equal('');
    expect(bind(4, '10.0.0.255', 53)).to.equal('');
    expect(bind(4, '239.1.1.1', 53)).to.equal('');
    expect(bind(4, '0.0.0.0', 53)).to.equal('EADDRINUSE');
    expect(bind(4, 'fd00::2', 53)).to.equal('EAFNOSUPPORT');
    expect(bind(6, '10.0.0.2', 54)).to.equal('');
    expect(bind(6, '10.0.0.2', 55, { v6Only: true })).to.equal('EINVAL');
    expect(bind(4, '10.0.0.2', 65_536)).to.equal('ERR_INVALID_ARG_TYPE');
    const socket = host.udp.createEndpoint(4);
    socket.bind();
    expect(codeOf(() => socket.bind())).to.equal('EINVAL');
    expect(codeOf(() => socket.setOptions({ v6Only: true }))).to.equal('EINVAL');
    socket.close();
    socket.close();
    expect(codeOf(() => socket.bind())).to.equal('EBADF');
    expect(codeOf(() => socket.send(text('x')))).to.equal('EBADF');
  });

  it('has IPv4 and IPv6 wildcards side by side, but not beside a wildcard of both', () => {
    const table: [UdpSocketOptions, string][] = [
      [{}, 'EADDRINUSE'],
      [{ v6Only: true }, ''],
    ];
    for (const [options, code] of table) {
      const host = new Host();
      host.udp.createEndpoint(4).bind(undefined, 53);
      expect(codeOf(() => host.udp.createEndpoint(6, options).bind(undefined, 53))).to.equal(code);
      const other = new Host();
      other.udp.createEndpoint(6, options).bind(undefined, 53);
      expect(codeOf(() => other.udp.createEndpoint(4).bind(undefined, 53))).to.equal(code);
    }
  });

  it('has an address of IPv6 beside the wildcard of IPv4', () => {
    const host = new Host();
    host.udp.createEndpoint(4).bind(undefined, 53);
    expect(codeOf(() => host.udp.createEndpoint(6).bind(OURS[6], 53))).to.equal('');
    expect(codeOf(() => host.udp.createEndpoint(6).bind(OURS[4], 53))).to.equal('EADDRINUSE');
  });

  it('bounds the receive buffer that a socket may ask for', () => {
    const host = new Host({ udp: { maxReceiveBufferBytes: 1_000_000 } });
    expect(host.udp.createEndpoint(4, { receiveBufferBytes: 1_000_001 }).receiveBufferBytes).to.equal(
      1_000_000,
    );
    expect(host.udp.createEndpoint(4, { receiveBufferBytes: 999_999 }).receiveBufferBytes).to.equal(999_999);
  });

  it('gives ephemeral ports that are spread over the whole range, and keeps them [UDP-15, A7]', () => {
    const host = new Host({ udp: { reservedPorts: [40_000] } });
    const ports: number[] = [];
    for (let i = 0; i < 20_000; i++) {
      const socket = host.udp.createEndpoint(4);
      socket.bind();
      ports.push(socket.localPort);
      if (i === 0) {
        socket.send(text('x'), { destination: PEER[4], port: 9 });
        socket.connect(PEER[4], 9);
        socket.disconnect();
        expect(socket.localPort).to.equal(ports[0]);
      }
      socket.close();
    }
    expect(Math.min(...ports)).to.be.within(32_768, 32_790);
    expect(Math.max(...ports)).to.be.within(60_980, 60_999);
    expect(ports).to.not.include(40_000);
    const buckets = new Array<number>(16).fill(0);
    for (const port of ports) buckets[Math.floor(((port - 32_768) * 16) / 28_232)]++;
    for (const count of buckets) expect(count).to.be.within(1_100, 1_400);
    // No step from one to the next is more likely than another.
    const steps = new Set(ports.slice(1).map((port, i) => (port - ports[i] + 28_232) % 28_232));
    expect(steps.size).to.be.greaterThan(13_000);
    const again = new Host({ udp: { reservedPorts: [40_000] }, seed: 2 }).udp.createEndpoint(4);
    again.bind();
    expect(again.localPort).to.not.equal(ports[0]);
  });

  it('ends the search for a free port when all are taken [C12]', () => {
    const host = new Host({ udp: { ephemeralPorts: [50_000, 50_003], reservedPorts: [50_001] } });
    const ports = [1, 2, 3].map(() => {
      const socket = host.udp.createEndpoint(4);
      socket.bind();
      return socket.localPort;
    });
    expect(ports.sort((a, b) => a - b)).to.deep.equal([50_000, 50_002, 50_003]);
    expect(codeOf(() => host.udp.createEndpoint(4).bind())).to.equal('EADDRINUSE');
    const unbound = host.udp.createEndpoint(4);
    expect(codeOf(() => unbound.send(text('x'), { destination: PEER[4], port: 9 }))).to.equal('EAGAIN');
    expect(codeOf(() => unbound.connect(PEER[4], 9))).to.equal('EAGAIN');
    const whole = new Host();
    for (let port = 32_768; port <= 60_999; port++) whole.udp.createEndpoint(4).bind(undefined, port);
    const startMs = performance.now();
    expect(codeOf(() => whole.udp.createEndpoint(4).bind())).to.equal('EADDRINUSE');
    expect(performance.now() - startMs).to.be.lessThan(500);
  });

  it('shares a port where all allow it', () => {
    const share = (a: UdpSocketOptions, b: UdpSocketOptions): string => {
      const host = new Host();
      host.udp.createEndpoint(4, a).bind(undefined, 53);
      return codeOf(() => host.udp.createEndpoint(4, b).bind(undefined, 53));
    };
    expect(share({}, {})).to.equal('EADDRINUSE');
    expect(share({ reuseAddress: true }, {})).to.equal('EADDRINUSE');
    expect(share({ reuseAddress: true }, { reuseAddress: true })).to.equal('');
    expect(share({ reusePort: true }, { reuseAddress: true })).to.equal('EADDRINUSE');
    expect(share({ reusePort: true }, { reusePort: true })).to.equal('');
    expect(share({ boundLink: 1 }, { boundLink: 2 })).to.equal('');
    expect(share({ boundLink: 1 }, {})).to.equal('EADDRINUSE');
  });

  it('bounds the number of sockets', () => {
    const host = new Host({ udp: { maxSockets: 2 } });
    const first = host.udp.createEndpoint(4);
    host.udp.createEndpoint(4);
    expect(codeOf(() => host.udp.createEndpoint(4))).to.equal('ENOBUFS');
    first.close();
    expect(codeOf(() => host.udp.createEndpoint(4))).to.equal('');
    host.udp.close();
    expect(host.udp.endpoints.size).to.equal(0);
  });

  it('refuses options that are unknown or out of range', () => {
    const host = new Host();
    const set = (options: object) => codeOf(() => host.udp.createEndpoint(4, options));
    expect(() => host.udp.createEndpoint(4, { ttl: 3 } as object)).to.throw(
      TypeError,
      'unknown socket option',
    );
    expect(set({ hopLimit: 256 })).to.equal('ERR_OUT_OF_RANGE');
    expect(set({ trafficClass: -1 })).to.equal('ERR_OUT_OF_RANGE');
    expect(set({ broadcast: 1 })).to.equal('ERR_INVALID_ARG_TYPE');
    expect(set({ mtuDiscovery: 'maybe' })).to.equal('ERR_INVALID_ARG_TYPE');
    expect(() => new Host({ udp: { buffers: 1 } as object })).to.throw(TypeError, 'unknown UDP option');
    expect(() => new Host({ udp: { ephemeralPorts: [9, 8] } })).to.throw(RangeError);
    expect(() => new Host({ udp: { ephemeralPorts: [0, 8] } })).to.throw(RangeError);
    expect(() => new Host({ udp: { memoryBytes: -1 } })).to.throw(RangeError);
  });
});

describe('UDP lookup', () => {
  it('prefers connected to bound to wildcard, over both families [UDP-12]', () => {
    for (const version of [4, 6] as const) {
      const host = new Host();
      const reuse = { reuseAddress: true };
      const wildcard = host.udp.createEndpoint(version, reuse);
      wildcard.bind(undefined, 2000);
      const toAddress = host.udp.createEndpoint(version, reuse);
      toAddress.bind(OURS[version], 2000);
      const connected = host.udp.createEndpoint(version, reuse);
      connected.bind(OURS[version], 2000);
      connected.connect(PEER[version], 1000);
      host.ip.addAddress(1, version === 4 ? '10.0.0.77/24' : 'fd00::4d/64');
      host.receive({ version }); // the peer's port 1000 to our address
      host.receive({ version, sourcePort: 1001 });
      host.receive({ version, source: 3 });
      host.receive({ version, destination: 77 });
      expect([connected, toAddress, wildcard].map(received)).to.deep.equal([1, 2, 1]);
      connected.disconnect();
      host.receive({ version });
      connected.close();
      toAddress.close();
      host.receive({ version });
      expect([connected, wildcard].map(received)).to.deep.equal([0, 1]);
    }
  });

  it('takes nothing from others while connected, and all again afterwards', () => {
    const host = new Host();
    const socket = host.udp.createEndpoint(4);
    socket.connect(PEER[4], 1000);
    expect(socket).to.include({ isConnected: true, remotePort: 1000 });
    expect(socket.localAddress.toString()).to.equal('10.0.0.2');
    const to = { destinationPort: socket.localPort };
    host.receive(to);
    host.receive({ ...to, sourcePort: 1001 });
    host.receive({ ...to, source: 3 });
    expect(received(socket)).to.equal(1);
    expect(host.port.sent).to.have.length(2); // port unreachable
    socket.send(text('x'));
    socket.disconnect();
    expect(codeOf(() => socket.disconnect())).to.equal('ENOTCONN');
    expect(socket.localAddress.isUnspecified).to.equal(true);
    host.receive({ ...to, source: 3 });
    expect(received(socket)).to.equal(1);
    expect(codeOf(() => socket.send(text('x')))).to.equal('EDESTADDRREQ');
    expect(codeOf(() => socket.connect(PEER[4], 0))).to.equal('EINVAL');
    expect(codeOf(() => socket.connect(PEER[6], 9))).to.equal('EAFNOSUPPORT');
    socket.connect(PEER[4], 1001);
    socket.connect(PEER[4], 1002);
    host.receive({ ...to, sourcePort: 1002 });
    expect(received(socket)).to.equal(1);
  });

  it('gives a dual-stack socket both families, and IPv4 first to one that is IPv4 [UDP-12]', () => {
    const host = new Host();
    const dual = host.udp.createEndpoint(6, { reuseAddress: true });
    dual.bind(undefined, 2000);
    host.receive({ version: 4 });
    host.receive({ version: 6 });
    expect(dual.receive()?.source.toString()).to.equal('10.0.0.1');
    expect(dual.receive()?.source.toString()).to.equal('fd00::1');
    const four = host.udp.createEndpoint(4, { reuseAddress: true });
    four.bind(undefined, 2000);
    const six = host.udp.createEndpoint(6, { reuseAddress: true, v6Only: true });
    six.bind(undefined, 2001);
    host.receive({ version: 4 });
    host.receive({ version: 6 });
    host.receive({ version: 4, destinationPort: 2001 });
    host.receive({ version: 6, destinationPort: 2001 });
    expect([dual, four, six].map(received)).to.deep.equal([1, 1, 1]);
  });

  it('gives a shared address to the last one bound, as Linux does', () => {
    const host = new Host();
    const [first, second] = [1, 2].map(() => {
      const socket = host.udp.createEndpoint(4, { reuseAddress: true });
      socket.bind(undefined, 2000);
      return socket;
    });
    host.receive();
    second.close();
    host.receive();
    expect(received(first)).to.equal(1);
  });

  it('spreads senders over a group that shares a port, each sender always to the same member [UDP-12]', () => {
    const host = new Host();
    const group = [0, 1, 2, 3].map(() => {
      const socket = host.udp.createEndpoint(4, { reusePort: true });
      socket.bind(undefined, 2000);
      return socket;
    });
    for (let sourcePort = 1; sourcePort <= 1000; sourcePort++) host.receive({ sourcePort });
    const first = group.map(received);
    for (const count of first) expect(count).to.be.within(190, 310);
    for (let sourcePort = 1; sourcePort <= 1000; sourcePort++) host.receive({ sourcePort });
    expect(group.map(received)).to.deep.equal(first);
    const other = new Host({ seed: 99 });
    const otherGroup = [0, 1, 2, 3].map(() => {
      const socket = other.udp.createEndpoint(4, { reusePort: true });
      socket.bind(undefined, 2000);
      return socket;
    });
    for (let sourcePort = 1; sourcePort <= 1000; sourcePort++) other.receive({ sourcePort });
    expect(otherGroup.map(received), 'the hash is keyed').to.not.deep.equal(first);
  });

  it('keeps a socket to the link it is bound to', () => {
    const host = new Host();
    const second = host.addPort(2, ['10.0.0.3/32']);
    const socket = host.udp.createEndpoint(4, { boundLink: 2 });
    socket.bind(undefined, 2000);
    host.inject(makePacket({ protocol: 17 }), { link: 1 });
    host.inject(makePacket({ protocol: 17 }), { link: 2 });
    expect(received(socket)).to.equal(1);
    host.ip.routing.routes.add({ destination: '0.0.0.0/0', port: 2, metric: 100 });
    socket.send(text('x'), { destination: address('192.0.2.1'), port: 9 });
    expect(host.sent(second)).to.have.length(1);
    const any = host.udp.createEndpoint(4, { reuseAddress: true });
    socket.setOptions({ reuseAddress: true });
    any.bind(undefined, 2000);
    host.inject(makePacket({ protocol: 17 }), { link: 2 });
    host.inject(makePacket({ protocol: 17 }), { link: 1 });
    expect([socket, any].map(received)).to.deep.equal([1, 1]);
    any.close();
    socket.setOptions({ boundLink: 0 });
    host.inject(makePacket({ protocol: 17 }), { link: 1 });
    expect(received(socket)).to.equal(1);
  });

  it('agrees with a list searched from end to end, for any bindings and packets [UDP-12]', () => {
    const locals = ['0.0.0.0', '::', '10.0.0.2', 'fd00::2', '10.0.0.77', 'fd00::4d'];
    const binding = fc.record({
      local: fc.constantFrom(...locals),
      port: fc.constantFrom(2000, 2001),
      v6Only: fc.boolean(),
      peer: fc.constantFrom(0, 0, 0, 1, 3),
      close: fc.boolean(),
    });
    const arrival = fc.record({
      version: fc.constantFrom(4 as const, 6 as const),
      source: fc.constantFrom(1, 3),
      destination: fc.constantFrom(2, 77),
      destinationPort: fc.constantFrom(2000, 2001),
    });
    let matched = 0;
    fc.assert(
      fc.property(
        fc.array(binding, { maxLength: 12 }),
        fc.array(arrival, { maxLength: 12 }),
        (bindings, arrivals) => {
          const host = new Host();
          host.ip.addAddress(1, '10.0.0.77/24');
          host.ip.addAddress(1, 'fd00::4d/64');
          const sockets: UdpEndpoint[] = [];
          for (const { local, port, v6Only, peer, close } of bindings) {
            const family = local.includes(':') ? 6 : 4;
            const socket = host.udp.createEndpoint(family, {
              reuseAddress: true,
              v6Only: v6Only && family === 6,
            });
            socket.bind(address(local), port);
            const remote = family === 4 ? `10.0.0.${peer}` : `fd00::${peer}`;
            if (peer > 0) socket.connect(address(remote), 1000);
            if (close) socket.close();
            else sockets.unshift(socket);
          }
          for (const packet of arrivals) {
            host.receive(packet);
            const at = (last: number) =>
              packet.version === 4 ? `10.0.0.${last}` : `fd00::${last === 77 ? '4d' : last}`;
            const source = address(at(packet.source));
            const destination = address(at(packet.destination));
            let best: UdpEndpoint | undefined;
            let bestScore = -1;
            for (const socket of sockets) {
              if (socket.localPort !== packet.destinationPort) continue;
              const any = socket.localAddress.isUnspecified;
              if (!any && !socket.localAddress.equals(destination)) continue;
              if (any && socket.family !== packet.version && !socket.isDual) continue;
              if (socket.remoteAddress !== undefined && !socket.remoteAddress.equals(source)) continue;
              const score =
                (socket.isConnected ? 4 : 0) + (any ? 0 : 2) + (socket.family === packet.version ? 1 : 0);
              if (score > bestScore) [best, bestScore] = [socket, score];
            }
            if (best !== undefined) matched++;
            const winners = sockets.filter((socket) => received(socket) > 0);
            expect(winners).to.deep.equal(best === undefined ? [] : [best]);
          }
        },
      ),
    );
    expect(matched).to.be.greaterThan(50);
  });
});
