/** Port forwards, filtering and outside addresses. */
import { expect } from 'chai';
import type { NatFiltering } from '../../../lib/nat/options.js';
import { icmp4, readIcmp, v4 } from '../../support/ip-wire.js';
import {
  flowOf,
  HOST,
  HOST_2,
  HOST_6,
  NatWorld,
  type NatWorldOptions,
  OUTSIDE,
  OUTSIDE_6,
  only,
  PEER,
  PEER_2,
  PEER_6,
  place,
  tcpPacket,
  udpPacket,
} from '../../support/nat-world.js';

let world: NatWorld;

const begin = (options: NatWorldOptions = {}): void => {
  world = new NatWorld(options);
};

const end = (): void => {
  expect(world.inside.faults).to.deep.equal([]);
  expect(world.outside.faults).to.deep.equal([]);
  world.close();
  expect(world.clock.pending, 'alarms left').to.equal(0);
};

describe('NAT port forwards', () => {
  afterEach(end);

  it('lead a connection to the host inside, and its answers back from the port outside', () => {
    begin();
    world.nat.forward({ protocol: 'tcp', outsidePort: 8080, insideAddress: HOST, insidePort: 80 });
    const client = place(PEER, 4321);
    const syn = only(world.in(tcpPacket(client, place(OUTSIDE, 8080), 'S')));
    expect(syn.to).to.deep.equal(place(HOST, 80));
    expect(world.nat.stats.sessions, 'no state before an answer').to.equal(0);
    const answer = only(world.out(tcpPacket(place(HOST, 80), client, 'S.')));
    expect(answer.from).to.deep.equal(place(OUTSIDE, 8080));
    only(world.in(tcpPacket(client, place(OUTSIDE, 8080), '.')));
    expect([...world.nat.sessions()]).to.deep.equal([
      {
        protocol: 'tcp',
        inside: `${HOST}:80`,
        outside: `${OUTSIDE}:8080`,
        remote: `${PEER}:4321`,
        state: 'open',
        idleMs: 0,
      },
    ]);
  });

  it('lead ranges of ports, each to its own', () => {
    begin();
    world.nat.forward({ protocol: 'udp', outsidePort: [7000, 7009], insideAddress: HOST, insidePort: 9000 });
    for (const port of [7000, 7005, 7009]) {
      const there = only(world.in(udpPacket(place(PEER, 1), place(OUTSIDE, port))));
      expect(there.to).to.deep.equal(place(HOST, port + 2000));
      const back = only(world.out(udpPacket(place(HOST, port + 2000), place(PEER, 1))));
      expect(back.from.port).to.equal(port);
    }
    expect(world.in(udpPacket(place(PEER, 1), place(OUTSIDE, 7010)))).to.be.empty;
  });

  it('give what the host sends first the port outside', () => {
    begin();
    world.nat.forward({ protocol: 'udp', outsidePort: 7000, insideAddress: HOST, insidePort: 9000 });
    expect(only(world.out(udpPacket(place(HOST, 9000), place(PEER_2, 5)))).from.port).to.equal(7000);
  });

  it('are for hosts inside too, by the address outside', () => {
    begin();
    world.nat.forward({ protocol: 'tcp', outsidePort: 8080, insideAddress: HOST, insidePort: 80 });
    world.inside.inject([tcpPacket(place(HOST_2, 5000), place(OUTSIDE, 8080), 'S')]);
    const syn = only(world.takeInside());
    expect(syn.from).to.deep.equal(place(OUTSIDE, 5000));
    expect(syn.to).to.deep.equal(place(HOST, 80));
    world.inside.inject([tcpPacket(place(HOST, 80), place(OUTSIDE, 5000), 'S.')]);
    const answer = only(world.takeInside());
    expect(answer.from).to.deep.equal(place(OUTSIDE, 8080));
    expect(answer.to).to.deep.equal(place(HOST_2, 5000));
  });

  it('are open whatever the filtering', () => {
    begin({ filtering: 'address-and-port-dependent' });
    world.nat.forward({ protocol: 'udp', outsidePort: 53, insideAddress: HOST });
    expect(only(world.in(udpPacket(place(PEER, 9), place(OUTSIDE, 53)))).to).to.deep.equal(place(HOST, 53));
  });

  it('of two ports to one endpoint answer each caller from the port it called', () => {
    begin();
    for (const port of [8080, 8081]) {
      world.nat.forward({ protocol: 'tcp', outsidePort: port, insideAddress: HOST, insidePort: 80 });
    }
    for (const [caller, port] of [
      [place(PEER, 1000), 8081],
      [place(PEER, 1001), 8080],
      [place(PEER_2, 1000), 8081],
    ] as const) {
      only(world.in(tcpPacket(caller, place(OUTSIDE, port), 'S')));
      expect(only(world.out(tcpPacket(place(HOST, 80), caller, 'S.'))).from.port).to.equal(port);
      only(world.in(tcpPacket(caller, place(OUTSIDE, port), '.')));
    }
    expect(world.sessions).to.equal(3);
  });

  it('translate errors of the host they lead to, without any state', () => {
    begin();
    world.nat.forward({ protocol: 'udp', outsidePort: 7000, insideAddress: HOST, insidePort: 9000 });
    world.inside.onSent = ({ bytes }) => {
      const payload = icmp4(3, 3, 0, bytes);
      errors.push(v4({ from: HOST, to: PEER, protocol: 1, payload }));
    };
    const errors: Uint8Array[] = [];
    world.in(udpPacket(place(PEER, 1), place(OUTSIDE, 7000)));
    const [error] = world.out(...errors);
    const { data, packet } = readIcmp(error);
    expect(packet.from).to.equal(OUTSIDE);
    expect(flowOf(data).to).to.deep.equal(place(OUTSIDE, 7000));
  });

  it('take the port from whoever has it, and end with what they let in', () => {
    begin();
    only(world.out(udpPacket(place(HOST_2, 7000), place(PEER, 1))));
    const forward = world.nat.forward({ protocol: 'udp', outsidePort: 7000, insideAddress: HOST });
    expect(world.nat.stats.mappings).to.equal(0);
    expect(only(world.out(udpPacket(place(HOST_2, 7000), place(PEER, 1)))).from.port).to.not.equal(7000);
    only(world.out(udpPacket(place(HOST, 7000), place(PEER, 1))));
    expect(world.nat.forwards).to.have.length(1);
    forward.close();
    forward.close();
    expect(world.nat.forwards).to.deep.equal([]);
    expect(world.in(udpPacket(place(PEER, 1), place(OUTSIDE, 7000)))).to.be.empty;
    expect(world.nat.stats.mappings).to.equal(1);
  });

  it('refuse ports that are in use, and what cannot be', () => {
    begin({ maxForwards: 2 });
    const spec = { protocol: 'tcp', outsidePort: 8080, insideAddress: HOST } as const;
    world.stack.listenTcp({ port: 25 });
    expect(() => world.nat.forward({ ...spec, outsidePort: 25 })).to.throw('EADDRINUSE');
    world.nat.forward(spec);
    expect(() => world.nat.forward({ ...spec, outsidePort: [8000, 8100] })).to.throw('EADDRINUSE');
    world.nat.forward({ ...spec, protocol: 'udp' });
    expect(() => world.nat.forward({ ...spec, outsidePort: 1 })).to.throw('ENOBUFS');
    for (const wrong of [
      { outsidePort: 0 },
      { outsidePort: 65_536 },
      { outsidePort: [9, 8] },
      { outsidePort: [60_000, 60_010], insidePort: 65_530 },
      { insidePort: 1.5 },
      { insideAddress: 'here' },
      { insideAddress: '0.0.0.0' },
      { insideAddress: '127.0.0.1' },
      { outsideAddress: '::1' },
      { protocol: 'icmp' },
      { outsidePort: '80' },
      { outsidePort: {} },
      { outsidePort: [80, 81, 82] },
      { insideport: 80 },
    ]) {
      expect(() => world.nat.forward({ ...spec, ...(wrong as object) }), JSON.stringify(wrong)).to.throw(
        /^(?!.*(EADDRINUSE|ENOBUFS|iterable))/,
      );
    }
  });

  it('leave alone a connection the stack has from the same port to the same peer', () => {
    begin();
    world.stack.connectTcp({ address: PEER, port: 80, localPort: 40_000 });
    only(world.takeOutside());
    world.nat.forward({ protocol: 'tcp', outsidePort: 40_000, insideAddress: HOST });
    expect(world.out(tcpPacket(place(HOST, 40_000), place(PEER, 80), 'S'))).to.be.empty;
    expect(world.nat.stats).to.include({ sessions: 0, mappings: 0, sessionsRefused: 1 });
    only(world.out(tcpPacket(place(HOST, 40_000), place(PEER, 81), 'S')));
  });

  it('keep their ports from sockets of the stack that ask for any', () => {
    begin();
    world.nat.forward({ protocol: 'udp', outsidePort: [32_768, 60_999], insideAddress: HOST });
    expect(() => world.stack.openUdp(4).bind(undefined, 0)).to.throw('EADDRINUSE');
    world.nat.close();
    world.stack.openUdp(4).bind(undefined, 0);
  });

  it('work for IPv6, whose other packets pass as they are', () => {
    begin();
    world.nat.forward({ protocol: 'tcp', outsidePort: 8080, insideAddress: HOST_6, insidePort: 80 });
    const client = place(PEER_6, 4321);
    expect(only(world.in(tcpPacket(client, place(OUTSIDE_6, 8080), 'S'))).to).to.deep.equal(
      place(HOST_6, 80),
    );
    const answer = only(world.out(tcpPacket(place(HOST_6, 80), client, 'S.')));
    expect(answer.from).to.deep.equal(place(OUTSIDE_6, 8080));
    const other = only(world.out(tcpPacket(place(HOST_6, 81), client, 'S')));
    expect(other.from).to.deep.equal(place(HOST_6, 81));
    expect(only(world.in(tcpPacket(client, place(HOST_6, 81), 'S.'))).to).to.deep.equal(place(HOST_6, 81));
  });
});

describe('NAT filtering', () => {
  afterEach(end);

  /** Who gets in, of: whom the inside has sent to, another port of that host, another host. */
  const lets = (filtering: NatFiltering): boolean[] => {
    begin({ filtering });
    world.out(udpPacket(place(HOST, 5000), place(PEER, 53)));
    const callers = [place(PEER, 53), place(PEER, 54), place(PEER_2, 53)];
    return callers.map((from) => world.in(udpPacket(from, place(OUTSIDE, 5000))).length === 1);
  };

  it('endpoint-independent lets everybody in (RFC 4787 REQ-8) [NU-8]', () => {
    expect(lets('endpoint-independent')).to.deep.equal([true, true, true]);
  });

  it('address-dependent lets in whom the inside has sent to, from any port (RFC 4787 REQ-8) [NU-8]', () => {
    expect(lets('address-dependent')).to.deep.equal([true, true, false]);
    expect(world.nat.stats.filtered).to.equal(1);
    world.pass(300_001);
    expect(world.in(udpPacket(place(PEER, 54), place(OUTSIDE, 5000))), 'until it ends').to.be.empty;
  });

  it('address-and-port-dependent lets in that endpoint alone', () => {
    expect(lets('address-and-port-dependent')).to.deep.equal([true, false, false]);
    expect(world.nat.stats.filtered).to.equal(2);
  });

  it('holds a SYN it refuses, as one to nobody (RFC 5382 REQ-4) [NT-4]', () => {
    begin({ filtering: 'address-dependent' });
    world.out(tcpPacket(place(HOST, 5000), place(PEER, 80), 'S'));
    expect(world.in(tcpPacket(place(PEER_2, 80), place(OUTSIDE, 5000), 'S'))).to.be.empty;
    only(world.out(tcpPacket(place(HOST, 5000), place(PEER_2, 80), 'S')));
    expect(world.nat.stats).to.include({ synsHeld: 1, synsMet: 1 });
  });

  it('applies between hosts inside, as they are seen outside (RFC 4787 REQ-9 a) [NU-9]', () => {
    begin({ filtering: 'address-and-port-dependent' });
    only(world.out(udpPacket(place(HOST_2, 6000), place(PEER, 53))));
    world.inside.inject([udpPacket(place(HOST, 5000), place(OUTSIDE, 6000))]);
    expect(world.takeInside()).to.be.empty;
    expect(world.nat.stats.filtered).to.equal(1);
    world.inside.inject([udpPacket(place(HOST_2, 6000), place(OUTSIDE, 5000))]);
    expect(only(world.takeInside()).to).to.deep.equal(place(HOST, 5000));
    world.inside.inject([udpPacket(place(HOST, 5000), place(OUTSIDE, 6000))]);
    expect(only(world.takeInside()).to).to.deep.equal(place(HOST_2, 6000));
  });
});

describe('NAT outside addresses', () => {
  afterEach(end);

  const POOL = ['198.51.100.1', '198.51.100.7', '198.51.100.8'];

  it('are the same for all flows of a host (RFC 4787 REQ-2) [NU-2]', () => {
    begin({ addresses: POOL });
    const used = new Set<string>();
    for (let host = 2; host < 40; host++) {
      const address = `192.168.0.${host}`;
      const sources = [1, 2, 3].map((port) => {
        const out = only(world.out(udpPacket(place(address, 5000 + port), place(PEER, port))));
        return out.from.address;
      });
      expect(new Set(sources).size).to.equal(1);
      used.add(sources[0]);
    }
    expect([...used].sort()).to.deep.equal(POOL);
  });

  it('may each have port forwards of their own', () => {
    begin({ addresses: POOL });
    const spec = { protocol: 'tcp', outsidePort: 80, insidePort: 80 } as const;
    world.nat.forward({ ...spec, insideAddress: HOST, outsideAddress: POOL[1] });
    world.nat.forward({ ...spec, insideAddress: HOST_2, outsideAddress: POOL[2] });
    for (const [address, host] of [
      [POOL[2], HOST_2],
      [POOL[1], HOST],
    ]) {
      const caller = place(PEER, 4321);
      expect(only(world.in(tcpPacket(caller, place(address, 80), 'S'))).to).to.deep.equal(place(host, 80));
      expect(only(world.out(tcpPacket(place(host, 80), caller, 'S.'))).from).to.deep.equal(
        place(address, 80),
      );
    }
    expect(world.in(tcpPacket(place(PEER, 1), place(POOL[0], 80), 'S'))).to.be.empty;
  });

  it('need not be those of the stack: what comes for them goes inside', () => {
    begin({ addresses: ['198.51.100.77'] });
    const out = only(world.out(udpPacket(place(HOST, 5000), place(PEER, 1))));
    expect(out.from.address).to.equal('198.51.100.77');
    expect(only(world.in(udpPacket(place(PEER, 1), out.from))).to).to.deep.equal(place(HOST, 5000));
  });

  it('follow the link: mappings of an address that is gone end', () => {
    begin();
    only(world.out(udpPacket(place(HOST, 5000), place(PEER, 1))));
    world.stack.ip.removeAddress(2, OUTSIDE);
    world.stack.ip.addAddress(2, '198.51.100.99/24');
    world.stack.routing.routes.replace({ destination: '0.0.0.0/0', port: 2 });
    const out = only(world.out(udpPacket(place(HOST, 5000), place(PEER, 1))));
    expect(out.from).to.deep.equal(place('198.51.100.99', 5000));
    expect(world.nat.addresses).to.have.members(['198.51.100.99', OUTSIDE_6]);
    expect(world.nat.stats.mappings).to.equal(1);
  });

  it('can be for some prefixes only: others pass as they are, both ways', () => {
    begin({ inside: ['192.168.0.0/28'] });
    expect(only(world.out(udpPacket(place(HOST, 5000), place(PEER, 1)))).from.address).to.equal(OUTSIDE);
    const routed = place('192.168.0.200', 5000);
    expect(only(world.out(udpPacket(routed, place(PEER, 1)))).from).to.deep.equal(routed);
    expect(only(world.in(udpPacket(place(PEER, 1), routed))).to).to.deep.equal(routed);
    expect(world.in(udpPacket(place(PEER, 1), place(HOST, 5000)))).to.be.empty;
    expect(world.nat.stats.uninvited).to.equal(1);
  });
});
