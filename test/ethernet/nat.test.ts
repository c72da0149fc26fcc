/** A translator between Ethernets: what is said of a packet that found nobody after it was translated. */
import { expect } from 'chai';
import { IcmpErrorKind } from '../../lib/ip/interfaces.js';
import { Nat } from '../../lib/nat/nat.js';
import type { Stack } from '../../lib/stack/stack.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { Lan, type LanHost, Pinger } from './lan.js';

describe('A translator between Ethernets', () => {
  let near: Lan;
  let far: Lan;
  let nat: Nat;
  let stacks: Stack[];

  beforeEach(() => {
    near = new Lan();
    far = new Lan(near.clock);
    const addresses = ['10.1.0.1/24', 'fd01::1/64'];
    const { stack } = near.host('inside', { addresses, stack: { ip: { forwarding: true } } });
    const link = far.link('outside', { detection: { ipv6Probes: 0, ipv4Announcements: 0 } });
    const outside = stack.addLink(link, { addresses: ['192.0.2.1/24', '2001:db8::1/64'] });
    nat = new Nat({ stack, outside, families: [4, 6] });
    stacks = [stack];
  });

  afterEach(() => {
    nat.close();
    for (const stack of stacks) stack.close();
  });

  const inside = (): LanHost => {
    const made = near.host('host', { addresses: ['10.1.0.7/24', 'fd01::7/64'] });
    made.stack.routing.routes.add({ destination: '0.0.0.0/0', gateway: '10.1.0.1' });
    made.stack.routing.routes.add({ destination: '::/0', gateway: 'fd01::1' });
    stacks.push(made.stack);
    return made;
  };

  /** What a socket that sends a datagram hears of it within five seconds. */
  const fate = ({ stack }: LanHost, address: string, port: number): string | undefined => {
    const destination = IpAddress.parse(address);
    const socket = stack.openUdp(destination.family, { receiveErrors: true });
    socket.connect(destination, port);
    socket.send(new Uint8Array(9), {});
    near.advanceMs(5000);
    const code = socket.takeError()?.code;
    socket.close();
    return code;
  };

  for (const address of ['192.0.2.77', '2001:db8::77']) {
    it(`tells who sent it of a packet to ${address} as it was`, () => {
      const host = inside();
      const pinger = new Pinger(host.stack);
      pinger.send(address);
      expect(fate(host, address, 9)).to.equal('EHOSTUNREACH');
      expect(pinger.errors).to.deep.equal([IcmpErrorKind.HostUnreachable]);
      pinger.send(address, { bytes: 4000 });
      near.advanceMs(5000);
      expect(pinger.errors, 'by the first fragment of a large one').to.have.length(2);
    });
  }

  it('names nobody inside to who sent a packet to a port forward, be it from inside', () => {
    nat.forward({ protocol: 'udp', outsidePort: 5300, insideAddress: '10.1.0.77', insidePort: 53 });
    const stranger = far.host('stranger', { addresses: ['192.0.2.9/24'] });
    stacks.push(stranger.stack);
    expect(fate(stranger, '192.0.2.1', 5300)).to.equal('EHOSTUNREACH');
    expect(fate(inside(), '192.0.2.1', 5300)).to.equal('EHOSTUNREACH');
  });

  it('leaves alone what goes from one network inside to another', () => {
    const [stack] = stacks;
    const third = new Lan(near.clock);
    const link = third.link('third', { detection: { ipv6Probes: 0, ipv4Announcements: 0 } });
    stack.addLink(link, { addresses: ['10.3.0.1/24'] });
    nat.forward({ protocol: 'udp', outsidePort: 5300, insideAddress: '10.3.0.77', insidePort: 53 });
    expect(fate(inside(), '10.3.0.77', 53)).to.equal('EHOSTUNREACH');
  });

  it('leaves to the stack what is its own', () => {
    const [stack] = stacks;
    const pinger = new Pinger(stack);
    pinger.send('192.0.2.77');
    pinger.send('10.1.0.77');
    near.advanceMs(5000);
    expect(pinger.errors).to.have.length(2);
  });
});
