/** Names as programs look them up: hosts, `localhost`, search domains, families, orders. */
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { DnsOptions } from '../../lib/stack/dns-options.js';
import { DnsWorld } from './support/dns-world.js';
import {
  address,
  alias,
  answer,
  type NameServer,
  noData,
  reply,
  type Script,
  zone,
} from './support/name-server.js';

describe('dns: looking up', () => {
  let world: DnsWorld;
  let server: NameServer;
  afterEach(() => world?.close());

  const make = (script: Script, dns: DnsOptions = {}): void => {
    world = new DnsWorld({ dns });
    server = world.server(script);
  };
  const lookup = (name: string, options: object = {}) =>
    world.settled(world.client.dns.promises.lookup(name, { all: true, ...options }));
  const addresses = async (name: string, options: object = {}) =>
    ((await lookup(name, options)) as unknown as { address: string }[]).map((found) => found.address);
  const refused = async (name: string, options: object = {}) =>
    (await world.failed(world.client.dns.promises.lookup(name, options)))[0];

  const both = zone(address('a.test', '10.0.0.9'), address('a.test', 'fd00::9'));

  it('asks for both families at once', async () => {
    make(both);
    const [found, ms] = await world.timed(world.client.dns.promises.lookup('a.test', { all: true }));
    expect(found).to.deep.include.members([
      { address: '10.0.0.9', family: 4 },
      { address: 'fd00::9', family: 6 },
    ]);
    expect(ms).to.equal(20);
    expect(server.asked).to.have.members(['A a.test', 'AAAA a.test']);
  });

  it('gives one where one is wanted, as address and family', async () => {
    make(both);
    const found = await world.settled(world.client.dns.promises.lookup('a.test', 6));
    expect(found).to.deep.equal({ address: 'fd00::9', family: 6 });
    const promised = promisify(world.client.dns.lookup);
    expect(await world.settled(promised('a.test', 4))).to.deep.equal({ address: '10.0.0.9', family: 4 });
  });

  it('orders by RFC 6724, or one family first', async () => {
    make(zone(address('a.test', '10.0.0.9'), address('a.test', '2001:db8::1'), address('a.test', 'fd00::9')));
    // No way leads to 2001:db8::1; unique local addresses come behind IPv4.
    expect(await addresses('a.test')).to.deep.equal(['10.0.0.9', 'fd00::9', '2001:db8::1']);
    expect(await addresses('a.test', { order: 'ipv6first' })).to.deep.equal([
      'fd00::9',
      '2001:db8::1',
      '10.0.0.9',
    ]);
    expect(await addresses('a.test', { verbatim: false })).to.deep.equal([
      '10.0.0.9',
      'fd00::9',
      '2001:db8::1',
    ]);
    world.client.dns.setDefaultResultOrder('ipv6first');
    expect(world.client.dns.getDefaultResultOrder()).to.equal('ipv6first');
    expect((await addresses('a.test'))[0]).to.equal('fd00::9');
  });

  it('finds addresses and nothing at once, without asking', async () => {
    make(both);
    expect(await lookup('10.7.7.7')).to.deep.equal([{ address: '10.7.7.7', family: 4 }]);
    expect(await lookup('fd00::7', { family: 4 })).to.deep.equal([{ address: 'fd00::7', family: 6 }]);
    expect(server.queries).to.have.length(0);
  });

  for (const name of ['localhost', 'LocalHost.', 'db.localhost']) {
    it(`knows ${name} itself, whatever servers and hosts say (RFC 6761 §6.3)`, async () => {
      make(zone(address('localhost', '10.6.6.6')), { hosts: { localhost: '10.6.6.6' } });
      expect(await addresses(name)).to.deep.equal(['127.0.0.1', '::1']);
      expect(await addresses(name, { family: 6 })).to.deep.equal(['::1']);
      const { promises } = world.client.dns;
      expect(await world.settled(promises.resolve4(name))).to.deep.equal(['127.0.0.1']);
      expect(await world.settled(promises.resolve6(name))).to.deep.equal(['::1']);
      expect((await world.failed(promises.resolveMx(name)))[0].code).to.equal('ENODATA');
      expect(server.queries).to.have.length(0);
    });
  }

  it('sends nobody after names that are nowhere (RFC 6761 §6.4, RFC 7686)', async () => {
    make(both);
    for (const name of ['x.invalid', 'duckduckgo.onion.']) {
      expect(await refused(name)).to.include({ code: 'ENOTFOUND', syscall: 'getaddrinfo', errno: -3008 });
    }
    expect(server.queries).to.have.length(0);
  });

  describe('in the hosts table', () => {
    const hosts = { 'db.internal': ['10.0.0.5', 'fd00::5'], Cache: '10.0.0.6' };

    it('finds names in either case, and asks nobody', async () => {
      make(both, { hosts });
      expect(await addresses('DB.internal.')).to.deep.equal(['10.0.0.5', 'fd00::5']);
      expect(await addresses('cache')).to.deep.equal(['10.0.0.6']);
      expect(server.queries).to.have.length(0);
    });

    it('asks for a family that the table lacks', async () => {
      make(zone(address('cache', 'fd00::6')), { hosts });
      expect(await addresses('cache', { family: 6 })).to.deep.equal(['fd00::6']);
    });

    it('reads the text of a hosts file', async () => {
      make(both, {
        hosts:
          '# a comment\n10.0.0.5\tone one.internal # another\r\n\nfd00::5 one\nnonsense here\n10.0.0.6\n',
      });
      expect(await addresses('one')).to.deep.equal(['10.0.0.5', 'fd00::5']);
      expect(await addresses('one.internal')).to.deep.equal(['10.0.0.5']);
      const { promises } = world.client.dns;
      expect(await world.settled(promises.reverse('fd00::5'))).to.deep.equal(['one']);
      expect(await world.settled(promises.lookupService('10.0.0.5', 443))).to.deep.equal({
        hostname: 'one',
        service: 'https',
      });
    });
  });

  describe('with search domains', () => {
    const search = ['one.test', 'two.test.'];

    it('tries a short name in each, then as it is', async () => {
      make(zone(address('web.two.test', '10.0.0.2')), { search });
      expect(await addresses('web', { family: 4 })).to.deep.equal(['10.0.0.2']);
      expect(server.asked).to.deep.equal(['A web.one.test', 'A web.two.test']);
      server.queries.length = 0;
      expect((await refused('mail', { family: 4 })).code).to.equal('ENOTFOUND');
      expect(server.asked).to.deep.equal(['A mail.one.test', 'A mail.two.test', 'A mail']);
    });

    it('tries a name with as many dots as ndots as it is first', async () => {
      make(zone(), { search, ndots: 2 });
      await refused('a.b', { family: 4 });
      await refused('a.b.c', { family: 4 });
      expect(server.asked).to.deep.equal(
        ['a.b.one.test', 'a.b.two.test', 'a.b', 'a.b.c', 'a.b.c.one.test', 'a.b.c.two.test'].map(
          (n) => `A ${n}`,
        ),
      );
    });

    it('adds nothing to a name that ends in a dot, and nothing where resolve asks', async () => {
      make(zone(), { search });
      await refused('web.', { family: 4 });
      await world.failed(world.client.dns.promises.resolve4('mail'));
      expect(server.asked).to.deep.equal(['A web', 'A mail']);
    });

    it('goes on behind a name that is there without an address, and behind a server that fails', async () => {
      make(
        (query) => {
          if (query.name === 'web.one.test') return [noData(query)];
          return query.name === 'db.one.test'
            ? [reply(query, {}, 2)]
            : zone(address('web.two.test', '10.0.0.2'))(query);
        },
        { search },
      );
      expect(await addresses('web', { family: 4 })).to.deep.equal(['10.0.0.2']);
      expect(await refused('db', { family: 4 })).to.include({ code: 'EAI_AGAIN', errno: -3001 });
    });

    it('stops where nobody answers', async () => {
      make(() => [], { search, tries: 1 });
      const [error, ms] = await world.failed(world.client.dns.promises.lookup('web', 4));
      expect(error).to.include({ code: 'EAI_AGAIN', message: 'getaddrinfo EAI_AGAIN web', hostname: 'web' });
      expect(ms).to.equal(2000);
    });
  });

  describe('of both families', () => {
    it('takes what one gives when the other fails or has nothing', async () => {
      make((query) =>
        query.type === 'A' ? [answer(query, address('a.test', '10.0.0.9'))] : [reply(query, {}, 2)],
      );
      expect(await addresses('a.test')).to.deep.equal(['10.0.0.9']);
      server.script = (query) =>
        query.type === 'AAAA' ? [answer(query, address('b.test', 'fd00::9'))] : [noData(query)];
      expect(await addresses('b.test')).to.deep.equal(['fd00::9']);
    });

    it('tells a name without addresses from no name in the errno', async () => {
      make((query) => [noData(query)]);
      expect(await refused('a.test')).to.include({ code: 'ENOTFOUND', errno: -3007 });
      server.script = zone();
      expect(await refused('b.test')).to.include({ code: 'ENOTFOUND', errno: -3008 });
    });

    it('follows an alias to an end without addresses', async () => {
      make((query) => [
        reply(query, { answers: [alias('a.test', 'b.test')], authorities: noData(query).authorities }),
      ]);
      expect(await refused('a.test')).to.include({ code: 'ENOTFOUND' });
    });

    it('maps IPv4 where that is asked for', async () => {
      make(zone(address('a.test', '10.0.0.9'), address('b.test', '10.0.0.9'), address('b.test', 'fd00::9')));
      const { V4MAPPED, ALL } = world.client.dns;
      expect(await addresses('a.test', { family: 6, hints: V4MAPPED })).to.deep.equal(['::ffff:10.0.0.9']);
      expect(await addresses('b.test', { family: 6, hints: V4MAPPED })).to.deep.equal(['fd00::9']);
      expect(await addresses('b.test', { family: 6, hints: V4MAPPED | ALL })).to.deep.equal([
        'fd00::9',
        '::ffff:10.0.0.9',
      ]);
    });

    it('leaves out a family this stack has no address of, with ADDRCONFIG', async () => {
      make(both);
      const { ADDRCONFIG } = world.client.dns;
      world.client.ip.removeAddress(1, 'fd00::1/64');
      expect(await addresses('a.test', { hints: ADDRCONFIG })).to.deep.equal(['10.0.0.9']);
      expect(server.asked).to.deep.equal(['A a.test']);
      expect((await refused('a.test', { family: 6, hints: ADDRCONFIG })).code).to.equal('ENOTFOUND');
    });
  });

  it('names ports, and addresses by asking', async () => {
    make((query) => [answer(query, { type: 'PTR', name: query.name, ttl: 60, data: 'host.test' })]);
    const { promises, lookupService } = world.client.dns;
    expect(await world.settled(promises.lookupService('10.1.2.3', 22))).to.deep.equal({
      hostname: 'host.test',
      service: 'ssh',
    });
    expect(await world.settled(promisify(lookupService)('fd00::abcd', 50_000))).to.deep.equal({
      hostname: 'host.test',
      service: '50000',
    });
    expect(server.asked).to.deep.equal([
      'PTR 3.2.1.10.in-addr.arpa',
      `PTR d.c.b.a.${'0.'.repeat(24)}0.0.d.f.ip6.arpa`,
    ]);
    server.script = zone();
    const [error] = await world.failed(promises.lookupService('10.9.9.9', 22));
    expect(error).to.include({
      code: 'ENOTFOUND',
      syscall: 'getnameinfo',
      hostname: '10.9.9.9',
      errno: -3008,
    });
  });

  it('refuses options of a stack that cannot be', () => {
    const refuse = (dns: unknown) => () => new DnsWorld({ dns: dns as DnsOptions }).close();
    expect(refuse({ server: [] })).to.throw(TypeError, 'unknown DNS option "server"');
    for (const dns of [
      { servers: ['x'] },
      { servers: ['10.0.0.1:99999'] },
      { hosts: { a: 'b' } },
      { hosts: { '.': '10.0.0.1' } },
    ]) {
      expect(refuse(dns), JSON.stringify(dns)).to.throw().with.property('code', 'ERR_INVALID_ARG_VALUE');
    }
    for (const dns of [
      { servers: '10.0.0.1' },
      { servers: [1] },
      { search: 'x' },
      { hosts: 5 },
      { ndots: 'x' },
      { rotate: 1 },
    ]) {
      expect(refuse(dns), JSON.stringify(dns)).to.throw().with.property('code', 'ERR_INVALID_ARG_TYPE');
    }
    for (const dns of [
      { ndots: 16 },
      { tries: 0 },
      { timeoutMs: 0.5 },
      { cacheEntries: -1 },
      { search: Array(33).fill('a') },
    ]) {
      expect(refuse(dns), JSON.stringify(dns)).to.throw().with.property('code', 'ERR_OUT_OF_RANGE');
    }
  });
});
