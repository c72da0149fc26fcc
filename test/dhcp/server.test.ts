/** The server against clients that are played by hand: whom it answers, with what, and whom it leaves alone. */
import { expect } from 'chai';
import { DhcpOption, DhcpType } from '../../lib/dhcp/message.js';
import { DhcpServer } from '../../lib/dhcp/server.js';
import type { DhcpServerOptions, ServedLease } from '../../lib/dhcp/server-options.js';
import { MacAddress } from '../../lib/ethernet/mac-address.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { Lan, type LanHost } from '../ethernet/lan.js';
import { addressOf, type Heard, hear, ip, type Said, say } from './played.js';

const MAC = '52:54:00:00:00:77';
const SERVER = '52:54:00:00:00:01';
const SERVER_ID = [DhcpOption.ServerId, ip('10.0.0.1')] as const;

describe('DHCP server', () => {
  let lan: Lan;
  let gateway: LanHost;
  let heard: Heard[];
  let told: ServedLease[];

  beforeEach(() => {
    lan = new Lan();
    gateway = lan.host('gateway', { addresses: ['10.0.0.1/24'], ethernet: { mac: SERVER } });
    lan.advanceMs(10);
    heard = hear(lan);
    told = [];
  });

  const serve = (options: Partial<DhcpServerOptions> = {}): DhcpServer =>
    new DhcpServer({
      link: gateway.link,
      clock: lan.clock,
      address: '10.0.0.1/24',
      pool: ['10.0.0.100', '10.0.0.109'],
      probeMs: 0,
      onLease: (lease) => void told.push(lease),
      ...options,
    });

  const answers = (): Heard[] => heard.filter(({ message }) => !message.isRequest);

  /** Says something as a client. @returns the answer, if there is one */
  function ask(type: number, said: Said = {}): Heard | undefined {
    const { length } = answers();
    say(lan, type, { isRequest: true, transaction: 7, ...said });
    lan.advanceMs(10);
    return answers()[length];
  }

  const wish = (address: string) => [DhcpOption.RequestedAddress, ip(address)] as const;

  /** A client that was lent an address. */
  function lend(said: Said = {}): string {
    const offer = ask(DhcpType.Discover, said);
    const address = offer?.message.yourAddress.toString() ?? '';
    const options = [SERVER_ID, wish(address), ...(said.options ?? [])];
    expect(ask(DhcpType.Request, { ...said, options })?.name).to.equal('Ack');
    return address;
  }

  it('answers to the address it lends, or to everybody where that is asked for (RFC 2131 §4.1)', () => {
    serve();
    const plain = ask(DhcpType.Discover);
    expect([plain?.isToAll, String(plain?.udp.destination)]).to.deep.equal([false, '10.0.0.100']);
    const broadcast = ask(DhcpType.Discover, { isBroadcast: true });
    expect([broadcast?.isToAll, String(broadcast?.udp.destination)]).to.deep.equal([true, '255.255.255.255']);
    expect(broadcast?.message).to.include({ isBroadcast: true, transaction: 7 });
    lend();
    const renewed = ask(DhcpType.Request, { clientAddress: IpAddress.parse('10.0.0.100') });
    expect([renewed?.name, String(renewed?.udp.destination)]).to.deep.equal(['Ack', '10.0.0.100']);
    const refused = ask(DhcpType.Request, { options: [wish('10.0.0.105')] });
    expect([refused?.name, refused?.isToAll]).to.deep.equal(['Nak', true]);
    expect([...(refused?.message.options.keys() ?? [])]).to.deep.equal([
      DhcpOption.MessageType,
      DhcpOption.ServerId,
    ]);
  });

  it('leaves the clients of other servers alone, also one that begins anew (RFC 2131 §4.3.2)', () => {
    const server = serve({ authoritative: false });
    lend({ mac: MacAddress.parse('52:54:00:00:00:78') });
    // In the pool, or in that of another server of this network.
    for (const address of ['10.0.0.105', '10.0.0.160', '10.0.0.1']) {
      const { ignored } = server.stats;
      expect(ask(DhcpType.Request, { options: [wish(address)] }), address).to.equal(undefined);
      expect(server.stats.ignored).to.equal(ignored + 1);
    }
    // Who renews may have its address from a server of another network on the same link.
    expect(ask(DhcpType.Request, { clientAddress: IpAddress.parse('10.9.0.5') })).to.equal(undefined);
    // What it has lent to somebody else it knows best, and that the network is another.
    expect(ask(DhcpType.Request, { options: [wish('10.0.0.100')] })?.name).to.equal('Nak');
    expect(ask(DhcpType.Request, { options: [wish('10.9.0.5')] })?.name).to.equal('Nak');
    expect(server.stats.naks).to.equal(2);
  });

  it('tells all of them where it is the only server', () => {
    const server = serve();
    for (const address of ['10.0.0.105', '10.0.0.160', '10.9.0.5']) {
      expect(ask(DhcpType.Request, { options: [wish(address)] })?.name).to.equal('Nak');
    }
    expect(ask(DhcpType.Request, { clientAddress: IpAddress.parse('10.9.0.5') })?.name).to.equal('Nak');
    expect(server.stats.naks).to.equal(4);
  });

  it('frees what it offered to a client that takes the offer of another', () => {
    const server = serve({ pool: ['10.0.0.100', '10.0.0.100'] });
    ask(DhcpType.Discover);
    const other = { mac: MacAddress.parse('52:54:00:00:00:78') };
    expect(ask(DhcpType.Discover, other)).to.equal(undefined);
    expect(server.stats.poolExhausted).to.equal(1);
    const elsewhere = [DhcpOption.ServerId, ip('10.0.0.2')] as const;
    expect(ask(DhcpType.Request, { options: [elsewhere, wish('10.0.0.160')] })).to.equal(undefined);
    expect(ask(DhcpType.Discover, other)?.name).to.equal('Offer');
  });

  it('serves no relay, and passes on what is for another server behind us', () => {
    const server = serve();
    expect(ask(DhcpType.Discover, { relay: IpAddress.parse('10.0.0.9') })).to.equal(undefined);
    expect([server.stats.ignored, server.stats.discovers]).to.deep.equal([1, 0]);
    const inReceives = gateway.stack.stats.ip.inReceives;
    const renewal = { clientAddress: IpAddress.parse('10.9.0.5'), to: SERVER, destination: '10.9.0.1' };
    expect(ask(DhcpType.Request, renewal)).to.equal(undefined);
    expect([server.stats.requests, server.stats.naks]).to.deep.equal([0, 0]);
    expect(gateway.stack.stats.ip.inReceives).to.equal(inReceives + 1);
    // To its own address, and to everybody of the network, it is its own.
    for (const destination of ['10.0.0.1', '10.0.0.255']) {
      expect(ask(DhcpType.Discover, { destination, to: SERVER })?.name, destination).to.equal('Offer');
    }
  });

  it('does not lend for a while what a client declined, and says that the lease is over', () => {
    const server = serve({ declineSeconds: 100 });
    const address = lend();
    expect(told.map(({ secondsLeft }) => secondsLeft)).to.deep.equal([3600]);
    ask(DhcpType.Decline, {
      options: [SERVER_ID, wish(address)],
      mac: MacAddress.parse('52:54:00:00:00:78'),
    });
    expect([server.stats.declines, server.stats.ignored]).to.deep.equal([1, 1]);
    ask(DhcpType.Decline, { options: [SERVER_ID, wish(address)] });
    expect(told[1]).to.include({ address, secondsLeft: 0, mac: MAC });
    expect(server.leases()).to.deep.equal([]);
    expect(ask(DhcpType.Discover, { options: [wish(address)] })?.message.yourAddress.toString()).to.equal(
      '10.0.0.101',
    );
    lan.advanceMs(101_000);
    const other = { mac: MacAddress.parse('52:54:00:00:00:78'), options: [wish(address)] };
    expect(ask(DhcpType.Discover, other)?.message.yourAddress.toString()).to.equal(address);
  });

  it('takes back only what was lent, from whom it was lent to', () => {
    const server = serve();
    ask(DhcpType.Discover);
    const clientAddress = IpAddress.parse('10.0.0.100');
    ask(DhcpType.Release, { clientAddress });
    expect([server.stats.ignored, told.length]).to.deep.equal([1, 0]);
    lend();
    ask(DhcpType.Release, { clientAddress, mac: MacAddress.parse('52:54:00:00:00:78') });
    expect(server.leases()).to.have.length(1);
    ask(DhcpType.Release, { clientAddress });
    expect(told.map(({ secondsLeft }) => secondsLeft)).to.deep.equal([3600, 0]);
    ask(DhcpType.Release, { clientAddress });
    expect(told).to.have.length(2);
  });

  it('knows a client by its identifier, whatever its Ethernet address, and echoes it (RFC 6842)', () => {
    const server = serve();
    const id = [DhcpOption.ClientId, Uint8Array.of(1, 2, 3)] as const;
    const address = lend({ options: [id] });
    const moved = { options: [id], mac: MacAddress.parse('52:54:00:00:00:78') };
    const again = ask(DhcpType.Discover, moved);
    expect(again?.message.yourAddress.toString()).to.equal(address);
    expect(again?.message.options.get(DhcpOption.ClientId)).to.deep.equal(id[1]);
    expect(ask(DhcpType.Discover)?.message.yourAddress.toString()).to.not.equal(address);
    expect(server.leases()).to.have.length(1);
  });

  it('neither reads nor keeps names longer than one option holds', () => {
    const server = serve();
    const long = new Uint8Array(256).fill(0x61);
    expect(ask(DhcpType.Discover, { options: [[DhcpOption.ClientId, long]] })).to.equal(undefined);
    expect(server.stats.malformed).to.equal(1);
    lend({ options: [[DhcpOption.HostName, long]] });
    expect(server.leases()[0]).to.not.have.property('hostname');
    for (const mac of ['00:00:00:00:00:00', '01:00:5e:00:00:01']) {
      ask(DhcpType.Discover, { mac: MacAddress.parse(mac), from: MAC });
    }
    expect(server.stats.malformed).to.equal(3);
  });

  it('answers within 576 bytes, or what the client says it takes, or the link (RFC 2131 §2)', () => {
    const label = (length: number): string => 'x'.repeat(length);
    const bytesOf = (said?: Uint8Array): number => {
      const options = said === undefined ? [] : [[DhcpOption.MaxSize, said] as const];
      return 28 + (ask(DhcpType.Discover, { options })?.udp.payload.length ?? 0);
    };
    const searchDomains = Array.from({ length: 16 }, (_, i) => `${label(30)}.${label(30)}.d${i}`);
    const routes = Array.from({ length: 60 }, (_, i) => ({
      destination: `10.${i + 1}.0.0/16`,
      gateway: '10.0.0.1',
    }));
    serve({ searchDomains, routes }).close();
    const server = serve({ searchDomains, routes });
    expect(bytesOf()).to.be.within(300, 576);
    expect(bytesOf(Uint8Array.of(0, 10))).to.be.within(300, 576);
    expect(bytesOf(Uint8Array.of(0x03, 0xe8))).to.be.within(700, 1000);
    // Together they would not pass the link.
    expect(bytesOf(Uint8Array.of(0xff, 0xff))).to.be.within(700, 1500);
    expect(bytesOf(Uint8Array.of(0xff, 0xff, 0xff, 0xff))).to.be.within(700, 1500);
    server.close();
    // The last byte that everybody takes is used, and none behind it.
    const dnsServers = Array.from({ length: 6 }, (_, i) => `10.0.0.${i + 2}`);
    const sizes = Array.from({ length: 60 }, (_, i) => {
      const one = serve({ dnsServers, domain: `${`${label(60)}.`.repeat(3)}${label(i + 1)}` });
      const bytes = bytesOf();
      one.close();
      return bytes;
    });
    expect(Math.max(...sizes)).to.equal(576);
  });

  it('informs hosts of its network of all but a lease (RFC 2131 §4.3.5)', () => {
    const server = serve({ dnsServers: ['10.0.0.53'] });
    const host = ask(DhcpType.Inform, { clientAddress: IpAddress.parse('10.0.0.7') });
    expect([host?.name, String(host?.udp.destination)]).to.deep.equal(['Ack', '10.0.0.7']);
    expect(host?.message.yourAddress.isUnspecified).to.equal(true);
    expect(host?.message.options.has(DhcpOption.LeaseTime)).to.equal(false);
    expect(host === undefined ? '' : addressOf(host.message, DhcpOption.DnsServers)).to.equal('10.0.0.53');
    expect(ask(DhcpType.Inform, { clientAddress: IpAddress.parse('10.9.0.7') })).to.equal(undefined);
    expect(server.leases()).to.deep.equal([]);
  });

  it('keeps a table no larger than its pool, whoever asks however often', () => {
    const server = serve();
    for (let i = 0; i < 500; i++) {
      const mac = new MacAddress(0x5254, 0x1000 + i);
      const offer = ask(DhcpType.Discover, { mac });
      if (offer === undefined) continue;
      const options = [SERVER_ID, wish(offer.message.yourAddress.toString())];
      if (i % 3 === 0) ask(DhcpType.Request, { mac, options });
      if (i % 5 === 0) ask(DhcpType.Decline, { mac, options });
    }
    expect(server.stats.offers).to.equal(10);
    expect(server.stats.poolExhausted).to.equal(490);
    lan.advanceMs(700_000);
    expect(ask(DhcpType.Discover)?.name).to.equal('Offer');
  });

  it('goes on where its owner throws', () => {
    const server = serve({
      onLease: () => {
        throw new Error('of the owner');
      },
    });
    const options = [SERVER_ID, wish('10.0.0.100')];
    ask(DhcpType.Discover);
    expect(() => ask(DhcpType.Request, { options })).to.throw('of the owner');
    lan.advanceMs(10);
    expect(answers().at(-1)?.name).to.equal('Ack');
    expect(server.leases()).to.have.length(1);
    expect(ask(DhcpType.Inform, { clientAddress: IpAddress.parse('10.0.0.100') })?.name).to.equal('Ack');
  });

  it('leaves out leases from before that cannot be', () => {
    const lease = { client: '010203', mac: MAC, secondsLeft: 100 };
    const addresses = ['10.0.0.100', '10.0.0.7', '10.9.0.100', 'fd00::a00:65', 'nowhere', '::a00:66'];
    const server = serve({
      leases: addresses.map((address, i) => ({ ...lease, client: `01020${i}`, address })),
    });
    expect(server.leases().map(({ address }) => address)).to.deep.equal(['10.0.0.100']);
  });

  it('refuses options that cannot be right', () => {
    const wrong: [object, string][] = [
      [{ statics: [{ address: '10.0.0.1', mac: MAC }] }, 'ERR_INVALID_ARG_VALUE'],
      [
        {
          statics: [
            { address: '10.0.0.5', mac: MAC },
            { address: '10.0.0.5', clientId: '010203' },
          ],
        },
        'ERR_INVALID_ARG_VALUE',
      ],
      [{ authoritative: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
      [{ clock: undefined }, 'ERR_INVALID_ARG_TYPE'],
      [{ link: undefined }, 'ERR_INVALID_ARG_TYPE'],
      [{ onLease: true }, 'ERR_INVALID_ARG_TYPE'],
      [{ leaseSeconds: '3600' }, 'ERR_INVALID_ARG_TYPE'],
      [{ leaseTime: 3600 }, 'ERR_INVALID_ARG_VALUE'],
      [{ pool: '10.0.0.1' }, 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [options, code] of wrong) {
      expect(() => serve(options), JSON.stringify(options))
        .to.throw()
        .with.property('code', code);
    }
    serve().close();
  });
});
