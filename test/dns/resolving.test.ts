/** How answers are asked for and believed: in virtual time, against name servers that misbehave. */
import { expect } from 'chai';
import dnsPacket from 'dns-packet';
import type { DnsOptions } from '../../lib/stack/dns-options.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { DnsWorld, type DnsWorldOptions, SERVERS } from './support/dns-world.js';
import {
  address,
  alias,
  answer,
  bytesOf,
  noData,
  noName,
  type Query,
  readQuery,
  reply,
  type Script,
  zone,
} from './support/name-server.js';

const A = address('a.test', '10.1.1.1');
const known = zone(A, address('a.test', 'fd01::1'));
const silent: Script = () => [];

/** A script that takes its answers one after the other, the last for ever. */
function inTurn(...scripts: Script[]): Script {
  let at = 0;
  return (query) => scripts[Math.min(at++, scripts.length - 1)](query);
}

describe('dns: asking', () => {
  let world: DnsWorld;
  afterEach(() => world?.close());

  const make = (script: Script, options: DnsWorldOptions = {}) => {
    world = new DnsWorld(options);
    return world.server(script);
  };
  const promises = () => world.client.dns.promises;
  const stats = () => world.client.stats.dns;
  const withDns = (dns: DnsOptions): DnsWorldOptions => ({ dns });

  it('takes one round trip, and asks with recursion and EDNS for no more than fits a packet', async () => {
    const server = make(known);
    expect(await world.timed(promises().resolve4('a.test'))).to.deep.equal([['10.1.1.1'], 20]);
    const [query] = server.queries;
    expect(query.packet.flags).to.equal(dnsPacket.RECURSION_DESIRED);
    expect(query.udpPayloadBytes).to.equal(1232);
  });

  it('uses a port and an ID nobody can foresee, each time (RFC 5452)', async () => {
    const server = make((query) => [answer(query, address(query.name, '10.1.1.1', 0))]);
    for (let i = 0; i < 40; i++) await world.settled(promises().resolve4(`n${i}.test`));
    expect(new Set(server.queries.map(({ port }) => port)).size).to.be.above(38);
    const ids = server.queries.map(({ id }) => id);
    expect(new Set(ids).size).to.be.above(38);
    expect(Math.max(...ids) - Math.min(...ids)).to.be.above(40_000);
  });

  it('repeats a run exactly', async () => {
    const run = async (): Promise<unknown> => {
      const server = make(known, { seed: 9, upstream: { delayMs: 7, loss: 0.4 }, dns: { cacheEntries: 0 } });
      const took: number[] = [];
      for (let i = 0; i < 10; i++) took.push((await world.timed(promises().resolve4('a.test')))[1]);
      const seen = server.queries.map(({ id, port }) => [id, port]);
      world.close();
      return { took, seen, stats: JSON.stringify(stats()) };
    };
    expect(await run()).to.deep.equal(await run());
  });

  describe('and waiting', () => {
    it('asks again after 2 s, 4 s, 8 s and 16 s, then gives up', async () => {
      const server = make(silent);
      const [error, ms] = await world.failed(promises().resolve4('a.test'));
      expect(error).to.include({ code: 'ETIMEOUT', syscall: 'queryA', hostname: 'a.test', errno: undefined });
      expect(error.message).to.equal('queryA ETIMEOUT a.test');
      expect(ms).to.equal(2000 + 4000 + 8000 + 16_000);
      expect(server.queries).to.have.length(4);
      expect(stats()).to.include({ queries: 4, timeouts: 4, responses: 0 });
    });

    it('takes timeout and tries from the resolver', async () => {
      const server = make(silent);
      const resolver = new world.client.dns.promises.Resolver({ timeout: 100, tries: 2 });
      const [, ms] = await world.failed(resolver.resolve4('a.test'));
      // No less than 250 ms, as with c-ares.
      expect([ms, server.queries.length]).to.deep.equal([750, 2]);
    });

    it('waits no longer than the longest timeout of the resolver, in any round', async () => {
      const server = make(silent);
      const options = { timeout: 300, tries: 4, maxTimeout: 500 };
      const resolver = new world.client.dns.promises.Resolver(options);
      const [, ms] = await world.failed(resolver.resolve4('a.test'));
      expect([ms, server.queries.length]).to.deep.equal([300 + 500 + 500 + 500, 4]);
    });

    it('finds the answer although most packets are lost', async () => {
      make(known, {
        upstream: { delayMs: 10, loss: 0.5 },
        dns: { tries: 20, timeoutMs: 10, cacheEntries: 0 },
      });
      for (let i = 0; i < 20; i++) {
        expect(await world.settled(promises().resolve4('a.test'))).to.deep.equal(['10.1.1.1']);
      }
      expect(stats().timeouts).to.be.above(5);
    });

    it('goes to the next server, and comes back to the first in the next round', async () => {
      const first = make(inTurn(silent, known), withDns({ servers: SERVERS.slice(0, 2) }));
      const second = world.server(silent, 1);
      const [result, ms] = await world.timed(promises().resolve4('a.test'));
      expect([result, ms]).to.deep.equal([['10.1.1.1'], 4020]);
      expect([first.queries.length, second.queries.length]).to.deep.equal([2, 1]);
    });

    it('begins at the next server each time, where it is to rotate', async () => {
      const servers = [make(known, withDns({ servers: SERVERS, rotate: true, cacheEntries: 0 }))];
      servers.push(world.server(known, 1), world.server(known, 2));
      for (let i = 0; i < 6; i++) await world.settled(promises().resolve4('a.test'));
      expect(servers.map(({ queries }) => queries.length)).to.deep.equal([2, 2, 2]);
    });

    it('begins at the first server each time, where it is not', async () => {
      const servers = [make(known, withDns({ servers: SERVERS, cacheEntries: 0 })), world.server(known, 1)];
      for (let i = 0; i < 4; i++) await world.settled(promises().resolve4('a.test'));
      expect(servers.map(({ queries }) => queries.length)).to.deep.equal([4, 0]);
    });

    it('does not wait for a server where nobody listens', async () => {
      world = new DnsWorld({ dns: { servers: SERVERS.slice(0, 2) } });
      world.server(known, 1);
      const [result, ms] = await world.timed(promises().resolve4('a.test'));
      expect([result, ms]).to.deep.equal([['10.1.1.1'], 40]);
      expect(stats().unreachable).to.equal(1);
    });

    it('tells when there is no way to any server, and when there is no server', async () => {
      world = new DnsWorld({ dns: { servers: ['192.0.2.1'] } });
      expect((await world.failed(promises().resolve4('a.test')))[0].code).to.equal('ECONNREFUSED');
      world.client.dns.setServers([]);
      expect((await world.failed(promises().resolve4('a.test')))[0].code).to.equal('ECONNREFUSED');
    });

    it('asks over IPv6, at another port and from a local address', async () => {
      world = new DnsWorld();
      world.client.ip.addAddress(1, 'fd00::77/64');
      const endpoint = world.far.openUdp(6);
      endpoint.bind(IpAddress.parse('fd00::54'), 5353);
      let from = '';
      endpoint.onEvents = () => {
        const datagram = endpoint.receive();
        if (datagram === undefined) return;
        from = String(datagram.source);
        const query = readQuery(datagram.payload, false, datagram.sourcePort);
        endpoint.send(bytesOf(answer(query, A)), { destination: datagram.source, port: datagram.sourcePort });
      };
      const resolver = new world.client.dns.promises.Resolver();
      resolver.setServers(['[fd00::54]:5353']);
      resolver.setLocalAddress('0.0.0.0', 'fd00::77');
      expect(resolver.getServers()).to.deep.equal(['[fd00::54]:5353']);
      expect(await world.settled(resolver.resolve4('a.test'))).to.deep.equal(['10.1.1.1']);
      expect(from).to.equal('fd00::77');
    });
  });

  describe('and believing', () => {
    const forged =
      (change: (query: Query) => unknown): Script =>
      (query) => [change(query) as Uint8Array, answer(query, A)];
    const evil = (query: Query) => answer(query, address('a.test', '6.6.6.6'));

    const wrong: Record<string, (query: Query) => unknown> = {
      'another ID': (query) => ({ ...evil(query), id: query.id ^ 1 }),
      'another name in the question': (query) => ({
        ...evil(query),
        questions: [{ type: 'A', name: 'b.test' }],
      }),
      'another type in the question': (query) => ({
        ...evil(query),
        questions: [{ type: 'AAAA', name: 'a.test' }],
      }),
      'no question': (query) => ({ ...evil(query), questions: [] }),
      'two questions': (query) => ({
        ...evil(query),
        questions: [...(query.packet.questions ?? []), ...(query.packet.questions ?? [])],
      }),
      'the form of a query': (query) => ({ ...evil(query), type: 'query' }),
      'another operation': (query) => ({ ...evil(query), flags: 2 << 11 }),
    };
    for (const [what, change] of Object.entries(wrong)) {
      it(`drops an answer with ${what}, and waits for the true one`, async () => {
        make(forged(change));
        expect(await world.timed(promises().resolve4('a.test'))).to.deep.equal([['10.1.1.1'], 20]);
        expect(stats()).to.include({ mismatched: 1, malformed: 0, responses: 1, timeouts: 0 });
      });
    }

    it('drops an answer from another address, and from another port of the server', async () => {
      const server = make(silent);
      const others = [SERVERS[1], SERVERS[0]].map((at, i) => {
        const endpoint = world.far.openUdp(4);
        endpoint.bind(IpAddress.parse(at), 1000 + i);
        return endpoint;
      });
      server.script = (query) => {
        const destination = IpAddress.parse('10.0.0.1');
        for (const other of others) other.send(bytesOf(evil(query)), { destination, port: query.port });
        return [answer(query, A)];
      };
      expect(await world.settled(promises().resolve4('a.test'))).to.deep.equal(['10.1.1.1']);
    });

    it('takes a question in other letters for the same (RFC 4343)', async () => {
      make((query) => [
        { ...answer(query, address('A.TEST', '10.1.1.1')), questions: [{ type: 'A', name: 'A.Test' }] },
      ]);
      expect(await world.settled(promises().resolve4('a.test'))).to.deep.equal(['10.1.1.1']);
    });

    it('does not believe records of names that were not asked for', async () => {
      make((query) => [answer(query, address('bank.test', '6.6.6.6'))]);
      expect((await world.failed(promises().resolve4('a.test')))[0].code).to.equal('ENODATA');
    });

    const whole = (query: Query): Uint8Array => bytesOf(answer(query, A));
    const broken: Record<string, (query: Query) => Uint8Array> = {
      'three bytes': () => Uint8Array.of(1, 2, 3),
      'no bytes': () => new Uint8Array(0),
      'an answer cut short without saying so': (query) => whole(query).subarray(0, -3),
      'more records promised than there are': (query) => {
        const bytes = Buffer.from(whole(query));
        bytes.writeUInt16BE(0xffff, 6);
        return bytes;
      },
      'a name that points at itself': (query) => {
        const bytes = Buffer.from(whole(query));
        const at = 12 + 8 + 4;
        bytes.writeUInt16BE(0xc000 | at, at);
        return bytes;
      },
      'an address of three bytes': (query) => {
        const bytes = Buffer.from(whole(query));
        bytes.writeUInt16BE(3, bytes.length - 6);
        return bytes.subarray(0, -1);
      },
    };
    for (const [what, change] of Object.entries(broken)) {
      it(`drops ${what}, counts it, and waits for a good answer`, async () => {
        make((query) => [change(query), answer(query, A)]);
        expect(await world.timed(promises().resolve4('a.test'))).to.deep.equal([['10.1.1.1'], 20]);
        expect(stats()).to.include({ malformed: 1, mismatched: 0, responses: 1 });
      });
    }

    it('says EBADRESP when nothing better comes', async () => {
      make((query) => [whole(query).subarray(0, -3)]);
      const [error, ms] = await world.failed(promises().resolve4('a.test'));
      expect([error.code, ms]).to.deep.equal(['EBADRESP', 30_000]);
      expect(stats().malformed).to.equal(4);
    });

    it('turns to TCP when somebody floods it with guesses (RFC 5452 §9.3)', async () => {
      const guesses = (query: Query) => Array.from({ length: 40 }, (_, i) => ({ ...evil(query), id: i }));
      const server = make((query) => (query.overTcp ? [answer(query, A)] : guesses(query)));
      expect(await world.settled(promises().resolve4('a.test'))).to.deep.equal(['10.1.1.1']);
      expect(server.asked).to.deep.equal(['A a.test', 'A a.test TCP']);
      expect(stats()).to.include({ floods: 1, mismatched: 32, queriesTcp: 1 });
    });
  });

  describe('again over TCP', () => {
    const cut = (query: Query) => reply(query, { flags: dnsPacket.TRUNCATED_RESPONSE });
    const addresses = Array.from({ length: 500 }, (_, i) => `10.2.${i >> 8}.${i & 255}`);
    const many = addresses.map((one) => address('a.test', one));

    it('gets an answer of 8 KB that UDP cut short', async () => {
      const server = make((query) => [query.overTcp ? answer(query, ...many) : cut(query)]);
      const [result, ms] = await world.timed(promises().resolve4('a.test'));
      expect(result).to.deep.equal(addresses);
      expect(server.asked).to.deep.equal(['A a.test', 'A a.test TCP']);
      expect(ms).to.be.below(200);
      expect(stats()).to.include({ truncated: 1, queries: 1, queriesTcp: 1, responses: 1 });
    });

    it('goes to the next server when nobody answers there', async () => {
      make((query) => (query.overTcp ? [] : [cut(query)]), withDns({ servers: SERVERS.slice(0, 2) }));
      world.server(known, 1);
      expect(await world.timed(promises().resolve4('a.test'))).to.deep.equal([['10.1.1.1'], 2040]);
    });

    it('goes to the next server when the connection ends, is reset or brings rubbish', async () => {
      const bad: Script = (query) => [query.overTcp ? Uint8Array.of(1, 2, 3) : cut(query)];
      make(bad, withDns({ servers: SERVERS.slice(0, 2) }));
      world.server(known, 1);
      expect((await world.timed(promises().resolve4('a.test')))[0]).to.deep.equal(['10.1.1.1']);
      expect(stats().malformed).to.equal(1);
    });

    it('leaves no connection behind', async () => {
      make((query) => [query.overTcp ? answer(query, ...many) : cut(query)], withDns({ cacheEntries: 0 }));
      for (let i = 0; i < 5; i++) await world.settled(promises().resolve4('a.test'));
      world.clock.runUntilIdle(300e6);
      expect([...world.client.tcp.entries()]).to.have.length(0);
      expect(world.client.udp.endpoints.size).to.equal(0);
    });
  });

  describe('a server that', () => {
    it('knows no EDNS is asked without', async () => {
      const server = make((query) =>
        query.udpPayloadBytes === undefined ? [answer(query, A)] : [reply(query, {}, 1)],
      );
      expect(await world.timed(promises().resolve4('a.test'))).to.deep.equal([['10.1.1.1'], 40]);
      expect(server.queries.map(({ udpPayloadBytes }) => udpPayloadBytes)).to.deep.equal([1232, undefined]);
      expect(stats().ednsRefused).to.equal(1);
    });

    it('is not to be asked with EDNS is not', async () => {
      const server = make(known, withDns({ udpPayloadBytes: 0 }));
      await world.settled(promises().resolve4('a.test'));
      expect(server.queries[0].packet.additionals).to.deep.equal([]);
    });

    it('sends back nothing but a header is believed to know no EDNS', async () => {
      make((query) =>
        query.udpPayloadBytes === undefined
          ? [answer(query, A)]
          : [bytesOf({ type: 'response', id: query.id, flags: 1 })],
      );
      expect(await world.settled(promises().resolve4('a.test'))).to.deep.equal(['10.1.1.1']);
    });

    const codes = { 1: 'EFORMERR', 2: 'ESERVFAIL', 4: 'ENOTIMP', 5: 'EREFUSED', 9: 'ENODATA' };
    for (const [rcode, code] of Object.entries(codes)) {
      it(`answers with code ${rcode} is not asked again, but the next is; alone it means ${code}`, async () => {
        const first = make(
          (query) => [reply(query, {}, Number(rcode))],
          withDns({ servers: SERVERS.slice(0, 2) }),
        );
        world.server(inTurn(known, silent), 1);
        expect(await world.settled(promises().resolve4('a.test'))).to.deep.equal(['10.1.1.1']);
        const asked = first.queries.length;
        const alone = new world.client.dns.promises.Resolver();
        alone.setServers([SERVERS[0]]);
        expect((await world.failed(alone.resolve4('a.test')))[0].code).to.equal(code);
        expect(first.queries.length).to.equal(2 * asked);
      });
    }
  });

  describe('and following aliases', () => {
    it('takes the time of the shortest for the whole', async () => {
      make((query) => [
        answer(
          query,
          address('end.test', '10.3.3.3', 100),
          alias('mid.test', 'end.test', 7),
          alias('a.test', 'mid.test', 300),
        ),
      ]);
      const [result] = await world.timed(promises().resolve4('a.test', { ttl: true }));
      expect(result).to.deep.equal([{ address: '10.3.3.3', ttl: 7 }]);
    });

    it('asks for the end of a chain that is not in the answer', async () => {
      const server = make((query) =>
        query.name === 'a.test'
          ? [answer(query, alias('a.test', 'end.test', 5))]
          : zone(address('end.test', '10.3.3.3'))(query),
      );
      const [result] = await world.timed(promises().resolve4('a.test', { ttl: true }));
      expect(result).to.deep.equal([{ address: '10.3.3.3', ttl: 5 }]);
      expect(server.asked).to.deep.equal(['A a.test', 'A end.test']);
    });

    it('ends at a circle within one answer, and over several', async () => {
      make((query) => [answer(query, alias('a.test', 'b.test'), alias('b.test', 'a.test'))]);
      expect((await world.failed(promises().resolve4('a.test')))[0].code).to.equal('EBADRESP');
      world.close();
      const next: Record<string, string> = { 'a.test': 'b.test', 'b.test': 'c.test', 'c.test': 'a.test' };
      const server = make((query) => [answer(query, alias(query.name, next[query.name]))]);
      expect((await world.failed(promises().resolve4('a.test')))[0].code).to.equal('EBADRESP');
      expect(stats().aliasLoops).to.equal(1);
      expect(server.asked).to.deep.equal(['A a.test', 'A b.test', 'A c.test']);
    });

    it('ends in a chain without end', async () => {
      let at = 0;
      make((query) => [answer(query, alias(query.name, `n${at++}.test`))]);
      expect((await world.failed(promises().resolve4('a.test')))[0].code).to.equal('EBADRESP');
      expect(at).to.equal(17);
    });

    it('gives the alias itself to those who ask for it', async () => {
      make((query) => [answer(query, alias('a.test', 'b.test'))]);
      expect(await world.settled(promises().resolveCname('a.test'))).to.deep.equal(['b.test']);
    });
  });

  describe('once, and remembering', () => {
    it('asks the same question once, however many want to know', async () => {
      const server = make(known);
      const all = Array.from({ length: 50 }, () => promises().resolve4('a.test'));
      const results = await world.settled(Promise.all(all));
      expect(results.every(([one]) => one === '10.1.1.1')).to.equal(true);
      expect(server.queries).to.have.length(1);
      expect(stats().joined).to.equal(49);
    });

    it('keeps an answer for its time, and says how much is left', async () => {
      const server = make(known);
      await world.settled(promises().resolve4('A.test'));
      world.clock.advanceBy(50.5e6);
      expect(await world.settled(promises().resolve4('a.TEST.', { ttl: true }))).to.deep.equal([
        { address: '10.1.1.1', ttl: 10 },
      ]);
      expect(server.queries).to.have.length(1);
      world.clock.advanceBy(9.6e6);
      await world.settled(promises().resolve4('a.test'));
      expect(server.queries).to.have.length(2);
      expect(stats()).to.include({ cacheHits: 1, cacheMisses: 2 });
    });

    for (const [what, script, code] of [
      ['there is no such name', noName, 'ENOTFOUND'],
      ['there is nothing of a type', noData, 'ENODATA'],
    ] as const) {
      it(`remembers that ${what} for as long as the zone says (RFC 2308)`, async () => {
        const server = make((query) => [script(query)]);
        for (let i = 0; i < 3; i++) {
          expect((await world.failed(promises().resolve4('a.test')))[0].code).to.equal(code);
        }
        expect(server.queries).to.have.length(1);
        world.clock.advanceBy(5.1e6);
        await world.failed(promises().resolve4('a.test'));
        expect(server.queries).to.have.length(2);
      });
    }

    it('does not remember what no zone has said, nor failures', async () => {
      const server = make((query) => [reply(query, {}, 3)]);
      for (let i = 0; i < 2; i++) await world.failed(promises().resolve4('a.test'));
      expect(server.queries).to.have.length(2);
      server.script = (query) => [reply(query, {}, 2)];
      for (let i = 0; i < 2; i++) await world.failed(promises().resolve4('a.test'));
      expect(server.queries).to.have.length(4);
    });

    it('keeps nothing longer than it may, and takes a time beyond all bounds for none (RFC 2181 §8)', async () => {
      const ttls: Record<string, number> = {
        'long.test': 0x7fff_ffff,
        'bad.test': 0xffff_ffff,
        'now.test': 0,
      };
      const server = make((query) => [answer(query, address(query.name, '10.1.1.1', ttls[query.name]))], {
        dns: { cacheMaxTtlSeconds: 100 },
      });
      for (const name of Object.keys(ttls)) {
        for (let i = 0; i < 2; i++) await world.settled(promises().resolve4(name));
      }
      expect(server.asked).to.deep.equal(
        ['long.test', 'bad.test', 'bad.test', 'now.test', 'now.test'].map((n) => `A ${n}`),
      );
      world.clock.advanceBy(100.1e6);
      await world.settled(promises().resolve4('long.test'));
      expect(server.queries).to.have.length(6);
    });

    it('keeps so many answers and no more: what was used last stays', async () => {
      const server = make(
        (query) => [answer(query, address(query.name, '10.1.1.1'))],
        withDns({ cacheEntries: 3 }),
      );
      const ask = (name: string) => world.settled(promises().resolve4(name));
      for (const name of ['a.test', 'b.test', 'c.test', 'a.test', 'd.test', 'a.test', 'b.test'])
        await ask(name);
      expect(server.asked).to.deep.equal(['a', 'b', 'c', 'd', 'b'].map((name) => `A ${name}.test`));
      expect(stats().cacheEvictions).to.equal(2);
    });

    it('forgets everything when it gets other servers', async () => {
      make(known);
      world.server(zone(address('a.test', '10.9.9.9')), 1);
      await world.settled(promises().resolve4('a.test'));
      world.client.dns.setServers([SERVERS[1]]);
      expect(world.client.dns.getServers()).to.deep.equal([SERVERS[1]]);
      expect(promises().getServers()).to.deep.equal([SERVERS[1]]);
      expect(await world.settled(promises().resolve4('a.test'))).to.deep.equal(['10.9.9.9']);
    });
  });

  describe('and being stopped', () => {
    it('ends with ECANCELLED, and sends nothing any more', async () => {
      const server = make(silent);
      const resolver = new world.client.dns.promises.Resolver();
      const both = Promise.allSettled([resolver.resolve4('a.test'), resolver.resolveMx('b.test')]);
      world.clock.advanceBy(1e6);
      resolver.cancel();
      const [first, second] = await world.settled(both);
      expect((first as PromiseRejectedResult).reason).to.include({ code: 'ECANCELLED', syscall: 'queryA' });
      expect((second as PromiseRejectedResult).reason).to.include({ code: 'ECANCELLED', hostname: 'b.test' });
      world.clock.advanceBy(100e6);
      expect(server.queries).to.have.length(2);
    });

    it('keeps its servers while questions are under way, as Node does; those of the module can be changed', async () => {
      make(silent);
      const resolver = new world.client.dns.promises.Resolver();
      const first = world.failed(resolver.resolve4('localhost.test'));
      expect(() => resolver.setServers(['127.0.0.1']))
        .to.throw('c-ares failed to set servers: "There are pending queries." [127.0.0.1]')
        .with.property('code', 'ERR_DNS_SET_SERVERS_FAILED');
      resolver.cancel();
      await first;
      resolver.setServers(['127.0.0.1']);
      const second = world.failed(promises().resolve4('a.test'));
      world.client.dns.setServers([SERVERS[1]]);
      expect((await second)[0].code).to.equal('ETIMEOUT');
    });

    it('ends when its stack is closed', async () => {
      make(silent);
      const first = world.failed(promises().resolve4('a.test'));
      world.client.close();
      const [error, ms] = await first;
      expect([error.code, ms]).to.deep.equal(['ECONNREFUSED', 0]);
    });

    it('can ask again afterwards', async () => {
      const server = make(silent);
      const resolver = new world.client.dns.promises.Resolver();
      const first = world.failed(resolver.resolve4('a.test'));
      resolver.cancel();
      expect((await first)[0].code).to.equal('ECANCELLED');
      server.script = known;
      expect(await world.settled(resolver.resolve4('a.test'))).to.deep.equal(['10.1.1.1']);
    });
  });

  describe('within bounds', () => {
    it('has at most 256 questions under way, and the others wait', async () => {
      const server = make((query) => [answer(query, address(query.name, '10.1.1.1'))]);
      const all = Array.from({ length: 600 }, (_, i) => promises().resolve4(`n${i}.test`));
      world.clock.advanceBy(15_000);
      expect(server.queries).to.have.length(256);
      await world.settled(Promise.all(all));
      expect(server.queries).to.have.length(600);
    });

    it('refuses what would have to wait behind 10,000', async () => {
      make(silent);
      const resolver = new world.client.dns.promises.Resolver();
      const all = Array.from({ length: 10_257 }, (_, i) => resolver.resolve4(`n${i}.test`));
      const [error] = await world.failed(all[10_256]);
      expect(error.code).to.equal('ENOMEM');
      expect(stats().overflows).to.equal(1);
      const rest = Promise.allSettled(all);
      resolver.cancel();
      await rest;
    });
  });
});
