/** The client against a server that is played by hand: what it says when, and what it believes. */
import { expect } from 'chai';
import { DhcpClient } from '../../lib/dhcp/client.js';
import type { DhcpClientOptions } from '../../lib/dhcp/client-options.js';
import { DhcpOption, DhcpType } from '../../lib/dhcp/message.js';
import { routeBytes } from '../../lib/dhcp/option-values.js';
import { MacAddress } from '../../lib/ethernet/mac-address.js';
import { IpAddress, IpPrefix } from '../../lib/wire/ip-address.js';
import { Lan, type LanHost } from '../ethernet/lan.js';
import { addressOf, answer, type Heard, hear, ip, type Said, seconds } from './played.js';

const MAC = '52:54:00:00:00:0b';
const OTHER_MAC = MacAddress.parse('52:54:00:00:00:0c');

describe('DHCP client', () => {
  let lan: Lan;
  let host: LanHost;
  let heard: Heard[];
  let lost: string[];

  beforeEach(() => {
    lan = new Lan();
    host = lan.host('host', { ethernet: { mac: MAC } });
    lan.host('router', { addresses: ['10.0.0.1/24'], ethernet: { mac: '52:54:00:00:00:01' } });
    lan.advanceMs(10);
    heard = hear(lan);
    lost = [];
  });

  const ask = (options: Partial<DhcpClientOptions> = {}): DhcpClient =>
    new DhcpClient({
      link: host.link,
      clock: lan.clock,
      random: lan.random,
      probeMs: 0,
      onLost: (reason) => void lost.push(reason),
      ...options,
    });

  const last = (): Heard => heard[heard.length - 1];
  const names = (): string[] => heard.filter(({ message }) => message.isRequest).map(({ name }) => name);
  const own = (): string[] =>
    host.stack.ip.addresses(host.index).flatMap(({ address, family }) => (family === 4 ? [address] : []));

  /** Passes time until the client says something. */
  function hearNext(): Heard {
    const { length } = heard;
    for (let i = 0; heard.length === length; i++) {
      if (i === 50_000) throw new Error('the client says nothing');
      lan.advanceMs(100);
    }
    return last();
  }

  /** A client that was lent 10.0.0.15 for an hour. */
  function bound(options: Partial<DhcpClientOptions> = {}, said: Said = {}): DhcpClient {
    const client = ask(options);
    answer(lan, hearNext(), DhcpType.Offer, said);
    answer(lan, last(), DhcpType.Ack, said);
    expect(client.state).to.equal('bound');
    return client;
  }

  describe('asks', () => {
    it('for the address it had before, of every server, and looks for another where none answers (§3.2)', () => {
      const client = ask({ requestAddress: '10.0.0.15' });
      expect(client.state).to.equal('rebooting');
      const { message, isToAll } = hearNext();
      expect(isToAll).to.equal(true);
      expect(message.clientAddress.isUnspecified).to.equal(true);
      expect(addressOf(message, DhcpOption.RequestedAddress)).to.equal('10.0.0.15');
      expect(message.options.has(DhcpOption.ServerId)).to.equal(false);
      hearNext();
      hearNext();
      expect(names()).to.deep.equal(['Request', 'Request', 'Discover']);
      expect(last().atMs).to.be.below(16_000);
      expect(addressOf(last().message, DhcpOption.RequestedAddress)).to.equal('10.0.0.15');
    });

    it('for it and takes it in two messages', () => {
      const client = ask({ requestAddress: '10.0.0.15' });
      answer(lan, hearNext(), DhcpType.Ack);
      expect(client.lease?.address).to.equal('10.0.0.15/24');
      expect(names()).to.deep.equal(['Request']);
    });

    it('for it, hears that it cannot have it, and would still like it most', () => {
      const client = ask({ requestAddress: '10.0.0.15' });
      answer(lan, hearNext(), DhcpType.Ack, { yourAddress: IpAddress.parse('10.0.0.16') });
      expect(client.stats.malformed).to.equal(1);
      answer(lan, last(), DhcpType.Nak);
      expect([client.state, client.stats.naks]).to.deep.equal(['selecting', 1]);
      expect(addressOf(hearNext().message, DhcpOption.RequestedAddress)).to.equal('10.0.0.15');
      expect(lost).to.deep.equal([]);
    });

    it('again at half of the time that is left, but not within a minute (§4.4.5)', () => {
      const client = bound();
      const startMs = last().atMs;
      const times: number[] = [];
      const isToAll: boolean[] = [];
      while (lost.length === 0) {
        const { length } = heard;
        lan.advanceMs(100);
        if (heard.length === length || last().name !== 'Request') continue;
        times.push(Math.round((last().atMs - startMs) / 1000));
        isToAll.push(last().isToAll);
        expect(last().message.clientAddress.toString()).to.equal('10.0.0.15');
        for (const code of [DhcpOption.ServerId, DhcpOption.RequestedAddress]) {
          expect(last().message.options.has(code)).to.equal(false);
        }
      }
      // T1 1800, T2 3150, the end 3600.
      const renewals = [1800, 2475, 2813, 2981, 3066, 3126];
      expect(times).to.deep.equal([...renewals, 3150, 3375, 3488, 3548]);
      expect(isToAll).to.deep.equal(times.map((time) => time >= 3150));
      expect(lost).to.deep.equal(['expired']);
      expect(client.stats.expirations).to.equal(1);
      expect(own()).to.deep.equal([]);
    });

    it('at the times the server names, and at the usual ones where those make no sense', () => {
      const cases: [Said['options'], number, number][] = [
        [[[DhcpOption.RenewalTime, seconds(600)]], 600, 3150],
        [[[DhcpOption.RebindingTime, seconds(2000)]], 1800, 2000],
        [
          [
            [DhcpOption.RenewalTime, seconds(3000)],
            [DhcpOption.RebindingTime, seconds(2000)],
          ],
          1800,
          3150,
        ],
        [[[DhcpOption.RenewalTime, seconds(0)]], 1800, 3150],
        [[[DhcpOption.RebindingTime, seconds(4000)]], 1800, 3150],
        [[[DhcpOption.RenewalTime, Uint8Array.of(1, 2)]], 1800, 3150],
      ];
      for (const [options = [], renewSeconds, rebindSeconds] of cases) {
        const client = bound({}, { options });
        expect(client.lease).to.include({ renewSeconds, rebindSeconds });
        client.close();
        lan.advanceMs(10);
      }
    });

    it('again as soon as it is told to, also while it waits for an answer', () => {
      const client = bound();
      client.renew();
      client.renew();
      lan.advanceMs(10);
      expect(names().slice(-2)).to.deep.equal(['Request', 'Request']);
      expect(heard.at(-1)?.message.transaction).to.equal(heard.at(-2)?.message.transaction);
      answer(lan, last(), DhcpType.Ack);
      expect([client.state, client.stats.renewals]).to.deep.equal(['bound', 1]);
    });

    it('ever less often for what it is offered and then refused', () => {
      const client = ask();
      const endMs = lan.clock.nowUs() / 1000 + 1_000_000;
      while (lan.clock.nowUs() / 1000 < endMs) {
        answer(lan, hearNext(), DhcpType.Offer);
        answer(lan, last(), DhcpType.Nak);
      }
      expect(client.stats.naks).to.be.within(20, 50);
      answer(lan, hearNext(), DhcpType.Offer);
      answer(lan, last(), DhcpType.Ack);
      client.renew();
      lan.advanceMs(10);
      answer(lan, last(), DhcpType.Nak);
      const fromMs = lan.clock.nowUs() / 1000;
      expect(hearNext().atMs - fromMs).to.be.below(2001);
    });

    it('no more once it is lent an address for ever', () => {
      const client = bound({}, { options: [[DhcpOption.LeaseTime, seconds(0xffff_ffff)]] });
      const { length } = heard;
      lan.advanceMs(1e8);
      expect(heard).to.have.length(length);
      expect(client.state).to.equal('bound');
    });

    it('says no time where it gives an address back, and names its server (Table 5)', () => {
      const client = bound();
      lan.advanceMs(100_000);
      client.close();
      lan.advanceMs(10);
      const { name, message, udp, isToAll } = last();
      expect([name, isToAll, message.seconds]).to.deep.equal(['Release', false, 0]);
      expect([String(udp.source), String(udp.destination)]).to.deep.equal(['10.0.0.15', '10.0.0.1']);
      expect(addressOf(message, DhcpOption.ServerId)).to.equal('10.0.0.1');
      expect(message.options.has(DhcpOption.ParameterList)).to.equal(false);
      client.close();
      expect(names().filter((one) => one === 'Release')).to.have.length(1);
    });

    it('a server behind a router by that router, as the routes of the lease have it', () => {
      lan.host('far', { addresses: ['10.0.0.9/24'], ethernet: { mac: '52:54:00:00:00:09' } });
      const routes = routeBytes([
        { destination: IpPrefix.parse('192.0.2.0/24'), gateway: IpAddress.parse('10.0.0.9') },
        { destination: IpPrefix.parse('0.0.0.0/0'), gateway: IpAddress.parse('10.0.0.1') },
      ]);
      const client = ask();
      answer(lan, hearNext(), DhcpType.Offer);
      const far: Said = { options: [[DhcpOption.ClasslessRoutes, routes]] };
      const server = [DhcpOption.ServerId, ip('192.0.2.1')] as const;
      answer(lan, last(), DhcpType.Ack, { options: [...(far.options ?? []), server] });
      const frames: Uint8Array[] = [];
      lan.listen((frame) => void (frame[12] === 8 && frame[13] === 0 && frames.push(frame)));
      client.renew();
      lan.advanceMs(100);
      expect(frames[0].subarray(0, 6)).to.deep.equal(Uint8Array.of(0x52, 0x54, 0, 0, 0, 9));
      expect(last().udp.destination.toString()).to.equal('192.0.2.1');
    });
  });

  describe('believes', () => {
    it('nobody who answers another host, another client or another question', () => {
      const client = ask();
      const discover = hearNext();
      const { transaction } = discover.message;
      answer(lan, discover, DhcpType.Offer, { mac: OTHER_MAC });
      answer(lan, discover, DhcpType.Offer, { transaction: transaction ^ 1 });
      answer(lan, discover, DhcpType.Offer, { isRequest: true });
      answer(lan, discover, DhcpType.Offer, { options: [[DhcpOption.ClientId, Uint8Array.of(1, 2, 3)]] });
      answer(lan, discover, DhcpType.Ack);
      answer(lan, discover, DhcpType.Nak);
      expect([client.state, client.stats.received]).to.deep.equal(['selecting', 0]);
      // What looks like a question goes to the port of servers.
      expect(client.stats.ignored).to.equal(5);
    });

    it('the first offer, the acknowledgement of its own address, and the refusal of its own server', () => {
      const client = ask();
      const discover = hearNext();
      answer(lan, discover, DhcpType.Offer);
      answer(lan, discover, DhcpType.Offer, { yourAddress: IpAddress.parse('10.0.0.99') });
      answer(lan, last(), DhcpType.Ack, { yourAddress: IpAddress.parse('10.0.0.99') });
      answer(lan, last(), DhcpType.Nak, { options: [[DhcpOption.ServerId, ip('10.0.0.2')]] });
      expect(client.state).to.equal('requesting');
      expect([client.stats.ignored, client.stats.malformed]).to.deep.equal([2, 1]);
      answer(lan, last(), DhcpType.Ack);
      expect(client.lease?.address).to.equal('10.0.0.15/24');
    });

    it('a refusal while it asks, and at no other time', () => {
      const asking = ['requesting', 'renewing', 'rebinding'];
      for (const state of ['bound', 'checking', ...asking]) {
        const client = ask({ probeMs: state === 'checking' ? 1000 : 0 });
        answer(lan, hearNext(), DhcpType.Offer);
        if (state !== 'requesting') answer(lan, last(), DhcpType.Ack);
        if (state.startsWith('re') && state !== 'requesting') {
          while (client.state !== state) hearNext();
        }
        expect(client.state).to.equal(state);
        answer(lan, last(), DhcpType.Nak);
        expect(client.state, state).to.equal(asking.includes(state) ? 'selecting' : state);
        client.close();
        lan.advanceMs(10);
      }
      expect(lost).to.deep.equal(['refused', 'refused']);
    });

    it('no lease without a server, a time, an address or a mask that can be', () => {
      const wrong: Said[] = [
        { options: [[DhcpOption.ServerId, ip('224.0.0.1')]] },
        { options: [[DhcpOption.ServerId, Uint8Array.of(1, 2, 3)]] },
        { options: [[DhcpOption.LeaseTime, seconds(9)]] },
        { options: [[DhcpOption.LeaseTime, Uint8Array.of(1)]] },
        { options: [[DhcpOption.SubnetMask, ip('0.0.0.0')]] },
        { options: [[DhcpOption.SubnetMask, ip('255.0.255.0')]] },
        ...['0.0.0.0', '127.0.0.1', '224.0.0.5', '240.0.0.1', '255.255.255.255'].map((text) => ({
          yourAddress: IpAddress.parse(text),
        })),
      ];
      const client = ask();
      const discover = hearNext();
      for (const said of wrong) answer(lan, discover, DhcpType.Offer, said);
      expect([client.state, client.stats.malformed]).to.deep.equal(['selecting', wrong.length]);
    });

    it('no route by what can be no router', () => {
      const route = (destination: string, gateway: string) => ({
        destination: IpPrefix.parse(destination),
        gateway: IpAddress.parse(gateway),
      });
      const routes = [
        route('10.1.0.0/16', '224.0.0.1'),
        route('10.2.0.0/16', '255.255.255.255'),
        route('10.3.0.0/16', '127.0.0.1'),
        route('224.0.0.0/4', '10.0.0.1'),
        route('10.4.0.0/16', '0.0.0.0'),
        route('10.5.0.0/16', '10.0.0.1'),
        route('10.5.0.0/16', '10.0.0.1'),
      ];
      const client = bound({}, { options: [[DhcpOption.ClasslessRoutes, routeBytes(routes)]] });
      const taken = client.lease?.routes.map(({ destination }) => destination);
      expect(taken).to.deep.equal(['10.4.0.0/16', '10.5.0.0/16', '10.5.0.0/16']);
      client.close();
      expect(host.stack.routing.routes.list({ protocol: 'dhcp' })).to.deep.equal([]);
    });
  });

  describe('whose owner', () => {
    it('closes it when the address is lost stays closed', () => {
      for (const reason of ['refused', 'expired', 'conflict']) {
        const client: DhcpClient = ask({
          probeMs: reason === 'conflict' ? 1000 : 0,
          onLost: (said) => {
            lost.push(said);
            client.close();
          },
        });
        const taken = { yourAddress: IpAddress.parse(reason === 'conflict' ? '10.0.0.1' : '10.0.0.15') };
        answer(lan, hearNext(), DhcpType.Offer, taken);
        answer(lan, last(), DhcpType.Ack, taken);
        if (reason === 'refused') {
          client.renew();
          lan.advanceMs(10);
          answer(lan, last(), DhcpType.Nak);
        }
        lan.advanceMs(4_000_000);
        expect(client.state, reason).to.equal('released');
        const { length } = heard;
        lan.advanceMs(1_000_000);
        expect(heard, reason).to.have.length(length);
        expect(lost.pop(), reason).to.equal(reason);
      }
    });

    it('closes it when it has an address has none', () => {
      const client: DhcpClient = ask({ onLease: () => client.close() });
      answer(lan, hearNext(), DhcpType.Offer);
      answer(lan, last(), DhcpType.Ack);
      lan.advanceMs(10_000_000);
      expect(client.state).to.equal('released');
      expect(own()).to.deep.equal([]);
      expect(last().name).to.equal('Release');
    });

    it('throws is told so, and the client goes on', () => {
      const client = ask({
        onLost: () => {
          throw new Error('of the owner');
        },
      });
      answer(lan, hearNext(), DhcpType.Offer);
      answer(lan, last(), DhcpType.Ack);
      client.renew();
      lan.advanceMs(10);
      expect(() => answer(lan, last(), DhcpType.Nak)).to.throw('of the owner');
      answer(lan, hearNext(), DhcpType.Offer);
      answer(lan, last(), DhcpType.Ack);
      expect(client.state).to.equal('bound');
    });

    it('gave the stack the same address by hand keeps it', () => {
      host.stack.ip.addAddress(host.index, '10.0.0.15/24');
      const client = bound();
      answer(lan, hearNext(), DhcpType.Ack);
      expect(client.stats.renewals).to.equal(1);
      client.close();
      expect(own()).to.deep.equal(['10.0.0.15/24']);
    });

    it('left no room for addresses or routes in the stack gets none, and may make some', () => {
      const addresses = host.stack.ip.addresses().length;
      const full = lan.host('full', { ethernet: { mac: '52:54:00:00:00:0d' }, stack: { ip: { addresses } } });
      const client = ask({ link: full.link });
      answer(lan, hearNext(), DhcpType.Offer);
      answer(lan, last(), DhcpType.Ack);
      expect([client.state, client.stats.unusable, client.stats.leases]).to.deep.equal(['waiting', 1, 0]);
      expect(hearNext().name).to.equal('Discover');
      full.stack.close();
      const routes = host.stack.routing.routes.count + 4;
      const narrow = lan.host('narrow', {
        ethernet: { mac: '52:54:00:00:00:0e' },
        stack: { ip: { routes } },
      });
      const other = ask({ link: narrow.link });
      answer(lan, hearNext(), DhcpType.Offer);
      const many = Array.from({ length: 10 }, (_, i) => ({
        destination: IpPrefix.parse(`10.${i + 1}.0.0/16`),
        gateway: IpAddress.parse('10.0.0.1'),
      }));
      answer(lan, last(), DhcpType.Ack, { options: [[DhcpOption.ClasslessRoutes, routeBytes(many)]] });
      expect(other.state).to.equal('bound');
      other.close();
      expect(narrow.stack.routing.routes.list({ protocol: 'dhcp' })).to.deep.equal([]);
    });
  });

  it('refuses options that cannot be right', () => {
    const wrong: [object, string][] = [
      [{ requestAddress: 'fd00::1' }, 'ERR_INVALID_ARG_VALUE'],
      [{ requestAddress: '224.0.0.1' }, 'ERR_INVALID_ARG_VALUE'],
      [{ requestAddress: 7 }, 'ERR_INVALID_ARG_TYPE'],
      [{ hostname: 7 }, 'ERR_INVALID_ARG_TYPE'],
      [{ probeMs: '5' }, 'ERR_INVALID_ARG_TYPE'],
      [{ probeMs: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ metric: Number.NaN }, 'ERR_OUT_OF_RANGE'],
      [{ useRoutes: 'no' }, 'ERR_INVALID_ARG_TYPE'],
      [{ clientId: 'me' }, 'ERR_INVALID_ARG_TYPE'],
      [{ clock: {} }, 'ERR_INVALID_ARG_TYPE'],
      [{ random: {} }, 'ERR_INVALID_ARG_TYPE'],
      [{ link: {} }, 'ERR_INVALID_ARG_TYPE'],
      [{ onLost: 'told' }, 'ERR_INVALID_ARG_TYPE'],
      [{ hostName: 'vm' }, 'ERR_INVALID_ARG_VALUE'],
    ];
    for (const [options, code] of wrong) {
      expect(() => ask(options), JSON.stringify(options))
        .to.throw()
        .with.property('code', code);
    }
    expect(() => new DhcpClient(null as unknown as DhcpClientOptions)).to.throw(TypeError);
    const alone = lan.link('alone');
    expect(() => ask({ link: alone })).to.throw('ENODEV');
    // Nothing is left of those: the port is free.
    ask().close();
  });
});
