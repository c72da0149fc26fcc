/** A router between Ethernets, in virtual time: neighbours on both sides, next hops, and redirects. */
import { expect } from 'chai';
import { EtherType } from '../../lib/ethernet/frame.js';
import { IcmpErrorKind } from '../../lib/ip/interfaces.js';
import type { Simulation } from '../../lib/sim/simulation.js';
import { Transfer } from '../../lib/sim/transfer.js';
import { hex, Lan, type LanHost, Pinger } from './lan.js';

/** Two Ethernets and a router with a foot in each; everybody else by default goes by the router. */
class TwoLans {
  readonly near = new Lan();
  readonly far = new Lan(this.near.clock);
  readonly router: LanHost;

  constructor() {
    const ip = { forwarding: true };
    const stack = { ip };
    this.router = this.near.host('near0', { addresses: ['10.1.0.1/24', 'fd01::1/64'], stack });
    const link = this.far.link('far0', { detection: { ipv6Probes: 0, ipv4Announcements: 0 } });
    this.router.stack.addLink(link, { addresses: ['10.2.0.1/24', 'fd02::1/64'] });
  }

  host(side: 'near' | 'far', number: number, options: { forwarding?: boolean } = {}): LanHost {
    const net = side === 'near' ? 1 : 2;
    const addresses = [`10.${net}.0.${number}/24`, `fd0${net}::${number}/64`, `fe80::${net}:${number}/64`];
    const ip = { acceptRedirects: true, ...options };
    const host = this[side].host(`${side}-${number}`, { addresses, stack: { ip } });
    const { routes } = host.stack.routing;
    routes.add({ destination: '0.0.0.0/0', gateway: `10.${net}.0.1` });
    // Routers are known by the address they have by themselves.
    const ofRouter = this.router.stack.ip.addresses(net).find(({ address }) => address.startsWith('fe80'));
    routes.add({ destination: '::/0', gateway: (ofRouter?.address ?? '').split('/')[0], port: host.index });
    return host;
  }

  advanceMs(ms: number): void {
    this.near.advanceMs(ms);
  }

  close(...hosts: LanHost[]): void {
    for (const { stack } of [this.router, ...hosts]) stack.close();
  }
}

/** To whom the frames of a type went that were seen from the `from`-th on. */
const targets = (lan: Lan, etherType: number, from: number): string[] =>
  lan.framesOf(etherType, from).map((frame) => hex(frame.subarray(0, 6)));

const macOf = ({ link }: LanHost): string => link.mac.toString().replaceAll(':', '');

describe('a router between Ethernets', () => {
  for (const family of [4, 6] as const) {
    const etherType = family === 4 ? EtherType.Ipv4 : EtherType.Ipv6;
    const address = (net: number, number: number): string =>
      family === 4 ? `10.${net}.0.${number}` : `fd0${net}::${number}`;

    it(`carries connections, finding who is next on either side, IPv${family}`, () => {
      const lans = new TwoLans();
      const client = lans.host('near', 7);
      const server = lans.host('far', 9);
      const { clock } = lans.near;
      const serverAddress = address(2, 9);
      const world = { client: client.stack, server: server.stack, clock, serverAddress };
      const transfer = new Transfer(world as unknown as Simulation, 80, {
        bytes: 200_000,
        direction: 'both',
      });
      clock.runUntil(() => transfer.isOver, 60_000_000);
      expect([transfer.receivedBytes, transfer.isIntact]).to.deep.equal([400_000, true]);
      expect(new Set(targets(lans.far, etherType, 0))).to.include(macOf(server));
      expect(targets(lans.near, etherType, 0)).to.include(macOf(client));
      expect(lans.router.stack.stats.icmp.outRedirects).to.equal(0);
      lans.close(client, server);
    });

    it(`goes by the router its routes name, IPv${family}`, () => {
      const lans = new TwoLans();
      const client = lans.host('near', 7);
      const other = lans.host('far', 9);
      const destination = family === 4 ? '10.3.0.0/16' : 'fd03::/16';
      const gateway = family === 4 ? '10.2.0.9' : 'fe80::2:9';
      lans.router.stack.routing.routes.add({ destination, gateway, port: 2 });
      const pinger = new Pinger(client.stack);
      pinger.send(address(3, 5));
      lans.advanceMs(100);
      const [arrived] = targets(lans.far, etherType, 0).filter((mac) => mac === macOf(other));
      expect(arrived).to.equal(macOf(other));
      expect(other.stack.stats.drops.toJSON()).to.include({ IpNotForUs: 1 });
      lans.close(client, other);
    });

    it(`says that nobody is there, IPv${family}`, () => {
      const lans = new TwoLans();
      const client = lans.host('near', 7);
      const pinger = new Pinger(client.stack);
      pinger.send(address(2, 77));
      lans.advanceMs(10_000);
      expect(pinger.errors).to.deep.equal([IcmpErrorKind.HostUnreachable]);
      lans.close(client);
    });

    it(`sends a host to the other router, and passes its packet on meanwhile, IPv${family}`, () => {
      const lans = new TwoLans();
      const client = lans.host('near', 7);
      const other = lans.host('near', 9, { forwarding: true });
      const destination = family === 4 ? '10.9.0.0/16' : 'fd09::/16';
      const gateway = family === 4 ? '10.1.0.9' : 'fe80::1:9';
      lans.router.stack.routing.routes.add({ destination, gateway, port: 1 });
      other.stack.ip.addAddress(0, family === 4 ? '10.9.0.1/32' : 'fd09::1/128');
      const pinger = new Pinger(client.stack);
      const hops: string[][] = [];
      for (let i = 0; i < 2; i++) {
        const from = lans.near.seen.length;
        expect(pinger.send(address(9, 1))).to.equal('');
        lans.advanceMs(100);
        const echo = lans.near.seen.slice(from).filter((frame) => frame[12] * 256 + frame[13] === etherType);
        const type = family === 4 ? 34 : 54;
        const requests = echo.filter((frame) => frame[type] === (family === 4 ? 8 : 128));
        hops.push(requests.map((frame) => hex(frame.subarray(0, 6))));
      }
      expect(pinger.replies).to.deep.equal([1, 2]);
      expect(hops).to.deep.equal([[macOf(lans.router), macOf(other)], [macOf(other)]]);
      expect(lans.router.stack.stats.icmp.outRedirects).to.equal(1);
      lans.close(client, other);
    });
  }
});
