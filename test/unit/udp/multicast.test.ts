import { expect } from 'chai';
import type { UdpEndpoint } from '../../../lib/udp/udp-endpoint.js';
import { makePacket } from '../link/packets.js';
import { address, Host, text, withAddress } from './host.js';

const GROUP = { 4: address('239.1.2.3'), 6: address('ff05::123') } as const;
const OTHER = address('239.9.9.9');

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

function socketOn(host: Host, family: 4 | 6 = 4, options = {}): UdpEndpoint {
  const socket = host.udp.createEndpoint(family, { reuseAddress: true, ...options });
  socket.bind(undefined, 2000);
  return socket;
}

/** A datagram to a group, from .source of the peer's network. */
function toGroup(host: Host, group = GROUP[4], source = 1, link = 1): void {
  const packet = makePacket({ protocol: 17, source, payload: 'm', withoutChecksum: true });
  const word = group.w3;
  host.inject(withAddress(packet, 16, [word >>> 24, (word >> 16) & 255, (word >> 8) & 255, word & 255]), {
    link,
  });
}

describe('UDP multicast', () => {
  it('reaches every member on the host, and no one when none is left [UDP-12, UDP-25]', () => {
    const host = new Host();
    const [a, b, outsider] = [1, 2, 3].map(() => socketOn(host, 4, { multicastAll: false }));
    toGroup(host);
    expect([a, b, outsider].map(received)).to.deep.equal([0, 0, 0]);
    a.memberships.join(GROUP[4], 1);
    b.memberships.join(GROUP[4], 1);
    toGroup(host);
    toGroup(host, OTHER);
    expect([a, b, outsider].map(received)).to.deep.equal([1, 1, 0]);
    a.memberships.leave(GROUP[4], 1);
    toGroup(host);
    expect([a, b].map(received)).to.deep.equal([0, 1]);
    b.close();
    expect(host.ip.hasGroup(1, GROUP[4])).to.equal(false);
    toGroup(host);
    // IGMP: that it was joined, and left.
    expect(host.sent().map(({ destination }) => destination)).to.deep.equal(['224.0.0.22', '224.0.0.22']);
  });

  it('counts memberships by socket: a group is heard while one of them is in it [UDP-25]', () => {
    const host = new Host();
    const [a, b] = [1, 2].map(() => socketOn(host));
    a.memberships.join(GROUP[4], 1);
    b.memberships.join(GROUP[4], 1);
    expect(codeOf(() => a.memberships.join(GROUP[4], 1))).to.equal('EADDRINUSE');
    a.memberships.leave(GROUP[4], 1);
    expect(codeOf(() => a.memberships.leave(GROUP[4], 1))).to.equal('EADDRNOTAVAIL');
    expect(host.ip.hasGroup(1, GROUP[4])).to.equal(true);
    // As on Linux, a socket also takes what others have joined, unless told not to.
    toGroup(host);
    expect([a, b].map(received)).to.deep.equal([1, 1]);
    a.setOptions({ multicastAll: false });
    toGroup(host);
    expect([a, b].map(received)).to.deep.equal([0, 1]);
    b.memberships.leave(GROUP[4], 1);
    expect(host.ip.hasGroup(1, GROUP[4])).to.equal(false);
  });

  it('takes only the sources asked for, or all but those refused [UDP-25]', () => {
    const host = new Host();
    const chosen = socketOn(host, 4, { multicastAll: false });
    const filtered = socketOn(host, 4, { multicastAll: false });
    const [first, third] = [address('10.0.0.1'), address('10.0.0.3')];
    chosen.memberships.joinSource(GROUP[4], first, 1);
    filtered.memberships.join(GROUP[4], 1);
    filtered.memberships.block(GROUP[4], third, 1);
    for (const source of [1, 3, 4]) toGroup(host, GROUP[4], source);
    expect([chosen, filtered].map(received)).to.deep.equal([1, 2]);
    chosen.memberships.joinSource(GROUP[4], third, 1);
    filtered.memberships.unblock(GROUP[4], third, 1);
    for (const source of [1, 3, 4]) toGroup(host, GROUP[4], source);
    expect([chosen, filtered].map(received)).to.deep.equal([2, 3]);
    chosen.memberships.leaveSource(GROUP[4], first, 1);
    chosen.memberships.leaveSource(GROUP[4], third, 1);
    expect(chosen.memberships.count).to.equal(0);
    expect(codeOf(() => chosen.memberships.leaveSource(GROUP[4], third, 1))).to.equal('EINVAL');
    filtered.memberships.block(GROUP[4], third, 1);
    expect(codeOf(() => filtered.memberships.joinSource(GROUP[4], third, 1))).to.equal('EINVAL');
    filtered.memberships.unblock(GROUP[4], third, 1);
    expect(codeOf(() => filtered.memberships.unblock(GROUP[4], third, 1))).to.equal('EADDRNOTAVAIL');
    filtered.memberships.joinSource(GROUP[4], third, 1);
    for (const source of [1, 3]) toGroup(host, GROUP[4], source);
    expect(received(filtered)).to.equal(1);
    expect(codeOf(() => chosen.memberships.block(GROUP[4], third, 1))).to.equal('EINVAL');
  });

  it('is sent from an address of ours also by a socket that is bound to the group', () => {
    const host = new Host();
    const socket = host.udp.createEndpoint(4);
    socket.bind(GROUP[4], 2000);
    socket.memberships.join(GROUP[4], 1);
    toGroup(host);
    toGroup(host, OTHER);
    expect(received(socket)).to.equal(1);
    host.sent(); // the report
    socket.send(text('x'), { destination: address('10.0.0.1'), port: 9 });
    expect(host.sent()[0].source).to.equal('10.0.0.2');
  });

  it('does not reach a socket here while no one here is in the group', () => {
    const host = new Host();
    const socket = socketOn(host);
    host.udp.createEndpoint(4).send(text('x'), { destination: GROUP[4], port: 2000 });
    expect(received(socket)).to.equal(0);
  });

  it('is heard on the link where it was joined only', () => {
    const host = new Host();
    host.addPort(2, ['10.9.0.2/24']);
    const socket = socketOn(host, 4, { multicastAll: false });
    socket.memberships.join(GROUP[4], 2);
    host.ip.joinGroup(1, GROUP[4]);
    toGroup(host, GROUP[4], 1, 1);
    expect(received(socket)).to.equal(0);
    toGroup(host, GROUP[4], 1, 2);
    expect(received(socket)).to.equal(1);
    socket.memberships.leave(GROUP[4], 2);
    socket.memberships.join(GROUP[4]);
    toGroup(host, GROUP[4], 1, 1);
    expect(received(socket)).to.equal(1);
    host.ip.removePort(1);
    socket.close();
  });

  it('bounds memberships and sources', () => {
    const host = new Host({ udp: { maxMemberships: 2, maxSources: 2 } });
    const socket = socketOn(host);
    socket.memberships.join(address('239.0.0.1'), 1);
    socket.memberships.join(address('239.0.0.2'), 1);
    expect(codeOf(() => socket.memberships.join(address('239.0.0.3'), 1))).to.equal('ENOBUFS');
    socket.memberships.block(address('239.0.0.1'), address('10.0.0.1'), 1);
    socket.memberships.block(address('239.0.0.1'), address('10.0.0.3'), 1);
    expect(codeOf(() => socket.memberships.block(address('239.0.0.1'), address('10.0.0.4'), 1))).to.equal(
      'ENOBUFS',
    );
    expect(codeOf(() => socket.memberships.join(address('10.0.0.1'), 1))).to.equal('ERR_INVALID_ARG_VALUE');
  });

  it('sends with hop limit 1 by the link chosen, and to the members here unless told not to', () => {
    for (const version of [4, 6] as const) {
      const host = new Host();
      const second = host.addPort(2, ['10.9.0.2/24', 'fd09::2/64']);
      const member = socketOn(host, version, { multicastAll: false });
      member.memberships.join(GROUP[version], 2);
      host.sent(second); // the report
      const sender = host.udp.createEndpoint(version, { multicastLink: 2 });
      const to = { destination: GROUP[version], port: 2000 };
      sender.send(text('a'), to);
      sender.setOptions({ multicastHopLimit: 7, multicastLoop: false });
      sender.send(text('b'), to);
      sender.setOptions({ multicastHopLimit: 0, multicastLoop: true });
      sender.send(text('c'), to);
      const sent = host.sent(second);
      expect(sent.map(({ payload, hopLimit }) => [payload, hopLimit])).to.deep.equal([
        ['a', 1],
        ['b', 7],
      ]);
      expect(sent[0].source).to.equal(version === 4 ? '10.9.0.2' : 'fd09::2');
      const heard: string[] = [];
      for (let datagram = member.receive(); datagram !== undefined; datagram = member.receive()) {
        heard.push(`${new TextDecoder().decode(datagram.payload)} ${datagram.source} ${datagram.sourcePort}`);
      }
      const from = `${version === 4 ? '10.9.0.2' : 'fd09::2'} ${sender.localPort}`;
      expect(heard).to.deep.equal([`a ${from}`, `c ${from}`]);
    }
  });
});
