/**
 * `stack.dns` beside `node:dns`: the same calls, answered by name servers that say the same, one on the host's
 * loopback and one on a stack. Results and errors must be the same.
 */
import { createSocket } from 'node:dgram';
import nodeDns from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect } from 'chai';
import dnsPacket, { type Answer } from 'dns-packet';
import { NODE_MAJOR } from '../../lib/net/node-version.js';
import { Stack } from '../../lib/stack/stack.js';
import { SystemClock } from '../../lib/stack/system-clock.js';
import { SystemRandom } from '../../lib/stack/system-random.js';
import '../../lib/dns/stack-dns.js';
import {
  address,
  alias,
  answer,
  bytesOf,
  framed,
  NameServer,
  noData,
  type Query,
  readQuery,
  reply,
  type Script,
  SOA,
  zone,
} from './support/name-server.js';

type Dns = typeof nodeDns;

const record = (type: string, name: string, data: unknown, ttl = 5): Answer =>
  ({ type, name, data, ttl }) as Answer;

const naptr = {
  order: 1,
  preference: 2,
  flags: 's',
  services: 'SIP+D2U',
  regexp: '!x!y!',
  replacement: 'r.test',
};
const caa = { flags: 128, tag: 'issue', value: 'ca.test', issuerCritical: true };
const many = Array.from({ length: 300 }, (_, i) => `10.2.${i >> 8}.${i & 255}`);

const RECORDS: readonly Answer[] = [
  address('a.test', '10.1.1.1', 30),
  address('a.test', '10.1.1.2', 40),
  address('a.test', 'fd01::1', 50),
  record('TXT', 'txt.test', [Buffer.from('hé'), Buffer.from([0xff, 0x41])]),
  record('TXT', 'txt.test', ['one']),
  record('TXT', 'txt.test', ['']),
  record('MX', 'mx.test', { preference: 10, exchange: 'm1.test' }),
  record('MX', 'mx.test', { preference: 5, exchange: 'm2.test' }),
  record('CAA', 'caa.test', caa),
  record('NAPTR', 'naptr.test', naptr),
  record('SRV', 'srv.test', { port: 80, target: 't.test', priority: 1, weight: 2 }),
  { ...SOA, name: 'soa.test' },
  record('TLSA', 'tlsa.test', {
    usage: 3,
    selector: 1,
    matchingType: 1,
    certificate: Buffer.from([1, 2, 3]),
  }),
  record('NS', 'ns.test', 'n1.test'),
  record('NS', 'ns.test', 'n2.test'),
  record('PTR', 'ptr.test', 'p1.test'),
  record('PTR', 'ptr.test', 'Printer 2 é;"x"@$(y).test'),
  record('PTR', '9.1.1.10.in-addr.arpa', 'h1.test'),
  record('PTR', '9.1.1.10.in-addr.arpa', 'h2.test'),
  record('PTR', `9.${'0.'.repeat(27)}1.0.d.f.ip6.arpa`, 'h6.test'),
  address('xn--mnchen-3ya.test', '10.1.1.3'),
  address('under_score.test', '10.1.1.4'),
  // Everything at once.
  address('any.test', '10.1.1.5', 9),
  address('any.test', 'fd01::5', 8),
  record('MX', 'any.test', { preference: 10, exchange: 'm1.test' }),
  record('TXT', 'any.test', ['x', 'y']),
  record('NS', 'any.test', 'n1.test'),
  record('PTR', 'any.test', 'p.test'),
  { ...SOA, name: 'any.test' },
  record('SRV', 'any.test', { port: 80, target: 't.test', priority: 1, weight: 2 }),
  record('NAPTR', 'any.test', naptr),
  record('CAA', 'any.test', { ...caa, flags: 0 }),
];

const inZone = zone(...RECORDS);

const withSoa = (query: Query, ...answers: Answer[]) => [reply(query, { answers, authorities: [SOA] })];

const SPECIAL: Readonly<Record<string, Script>> = {
  'chain.test': (query) => {
    const aliases = [alias('chain.test', 'mid.test', 300), alias('mid.test', 'end.test', 7)];
    if (!['A', 'AAAA', 'CNAME'].includes(query.type)) return withSoa(query, ...aliases);
    return [
      answer(query, ...aliases, address('end.test', query.type === 'AAAA' ? 'fd01::9' : '10.1.1.9', 100)),
    ];
  },
  // An alias to a name that has nothing of the type.
  'dangling.test': (query) => withSoa(query, alias('dangling.test', 'mid.test')),
  'nodata.test': (query) => [noData(query)],
  'servfail.test': (query) => [reply(query, {}, 2)],
  'notimp.test': (query) => [reply(query, {}, query.udpPayloadBytes === undefined ? 4 : 1)],
  'refused.test': (query) => [reply(query, {}, 5)],
  'formerr.test': (query) => [reply(query, {}, 1)],
  'odd.test': (query) => [reply(query, {}, 9)],
  'silent.test': () => [],
  'broken.test': (query) => [bytesOf(answer(query, address('broken.test', '10.1.1.1'))).subarray(0, -3)],
  'large.test': (query) =>
    query.overTcp
      ? [answer(query, ...many.map((one) => address('large.test', one)))]
      : [reply(query, { flags: dnsPacket.TRUNCATED_RESPONSE })],
  'liar.test': (query) => [
    { ...answer(query, address('liar.test', '6.6.6.6')), id: (query.id ^ 1) & 0xffff },
    answer(query, address('liar.test', '10.1.1.1')),
  ],
};

const script: Script = (query) => (SPECIAL[query.name.toLowerCase()] ?? inZone)(query);

/** Where the calls are made. */
interface Place {
  readonly dns: Dns;
  readonly server: string;
  close(): void;
}

/** The script on UDP and TCP of the host's loopback. */
async function hostPlace(): Promise<Place> {
  for (let attempt = 0; ; attempt++) {
    const udp = createSocket('udp4', (bytes, from) => {
      for (const part of script(readQuery(bytes, false, from.port)))
        udp.send(bytesOf(part), from.port, from.address);
    });
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    const { port } = udp.address();
    const tcp = createServer((socket) => {
      socket.once('data', (bytes) => {
        for (const part of script(readQuery(bytes.subarray(2), true, 0))) socket.write(framed(bytesOf(part)));
      });
      socket.on('error', () => {});
    });
    tcp.listen(port, '127.0.0.1');
    const isListening = await once(tcp, 'listening').then(
      () => true,
      () => false,
    );
    if (!isListening && attempt < 20) {
      udp.close();
      continue;
    }
    const close = (): void => {
      udp.close();
      tcp.close();
    };
    return { dns: nodeDns, server: `127.0.0.1:${port}`, close };
  }
}

/** The script on the loopback of a stack. */
function stackPlace(): Place {
  const stack = new Stack({
    clock: new SystemClock(),
    random: new SystemRandom(),
    dns: { servers: ['127.0.0.1'] },
  });
  new NameServer(stack, '127.0.0.1', script);
  return { dns: stack.dns, server: '127.0.0.1', close: () => stack.close() };
}

const METHODS = [
  'resolve4',
  'resolve6',
  'resolveAny',
  'resolveCaa',
  'resolveCname',
  'resolveMx',
  'resolveNaptr',
  'resolveNs',
  'resolvePtr',
  'resolveSoa',
  'resolveSrv',
  'resolveTxt',
  // What is newer.
  ...('resolveTlsa' in nodeDns ? (['resolveTlsa'] as const) : []),
  'reverse',
] as const;

type Call = readonly [method: string, ...args: unknown[]];

const NAMES = [
  'a',
  'txt',
  'mx',
  'caa',
  'naptr',
  'srv',
  'tlsa',
  'soa',
  'ns',
  'ptr',
  'chain',
  'dangling',
  'nodata',
  'none',
];

const CALLS: readonly Call[] = [
  ...METHODS.filter((method) => method !== 'reverse' && method !== 'resolveAny').flatMap((method) =>
    NAMES.map((name): Call => [method, `${name}.test`]),
  ),
  ...[
    'servfail',
    'notimp',
    'refused',
    'formerr',
    'odd',
    'silent',
    'broken',
    'large',
    'liar',
    'under_score',
  ].map((name): Call => ['resolve4', `${name}.test`]),
  ['resolveAny', 'any.test'],
  ['resolveAny', 'nodata.test'],
  ['resolveAny', 'none.test'],
  ['resolve4', 'a.test', { ttl: true }],
  ['resolve6', 'a.test', { ttl: true }],
  ['resolve4', 'chain.test', { ttl: true }],
  ['resolve6', 'chain.test', { ttl: true }],
  ['resolve4', 'a.test', { ttl: false }],
  ['resolve4', 'A.TEST.'],
  ['resolve4', 'münchen.test'],
  ['resolve4', ''],
  ['resolve4', '.'],
  ['resolve4', 'a..test'],
  ['resolve4', 'a b.test'],
  ['resolve4', '::1'],
  ['resolve4', '10.0.0.1'],
  ['resolve4', `${'x'.repeat(64)}.test`],
  ['resolve4', `${'x'.repeat(60)}.`.repeat(5)],
  ['resolve4', 5],
  ['resolve', 'a.test'],
  ['resolve', 'a.test', 'AAAA'],
  ['resolve', 'mx.test', 'MX'],
  ['resolve', 'any.test', 'ANY'],
  ['resolve', 'a.test', 'X'],
  ['resolve', 'a.test', 5],
  ['reverse', '10.1.1.9'],
  ['reverse', 'fd01::9'],
  ['reverse', '10.9.9.9'],
  ['reverse', 'a.test'],
  ['reverse', ''],
];

const describe1 = (error: unknown): object => {
  const { name, code, message, errno, syscall, hostname } = error as NodeJS.ErrnoException & {
    hostname?: string;
  };
  return { name, code, message, errno, syscall, hostname, keys: Object.keys(error as object).sort() };
};

type Methods = Readonly<Record<string, (...args: unknown[]) => unknown>>;

/**
 * Node 24 gives some records a `type` that is undefined. `data` of TLSA is compared by its bytes.
 */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof ArrayBuffer) return [...new Uint8Array(value)];
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(entries.map(([key, part]) => [key, plain(part)]));
}

/** What a call comes to: thrown, failed, or its results. */
function called(methods: object, [method, ...args]: Call): Promise<unknown> {
  return new Promise((resolve) => {
    const done = (error: Error | null, ...results: unknown[]): void =>
      resolve(error === null ? { results } : { error: describe1(error) });
    try {
      (methods as Methods)[method](...args, done);
    } catch (error) {
      resolve({ thrown: describe1(error) });
    }
  });
}

function promised(methods: object, [method, ...args]: Call): Promise<unknown> {
  try {
    return ((methods as Methods)[method](...args) as Promise<unknown>).then(
      (result) => ({ result }),
      (error: Error) => ({ error: describe1(error) }),
    );
  } catch (error) {
    return Promise.resolve({ thrown: describe1(error) });
  }
}

const show = ([method, ...args]: Call): string => {
  const list = args.map((arg) => JSON.stringify(arg)).join(', ');
  return `${method}(${list.length > 60 ? `${list.slice(0, 60)}…` : list})`;
};

describe('dns: beside node:dns', () => {
  let host: Place;
  let stack: Place;
  before(async () => {
    host = await hostPlace();
    stack = stackPlace();
  });
  after(() => {
    host?.close();
    stack?.close();
  });

  const resolvers = (
    make: (dns: Dns) => { setServers(servers: string[]): void },
  ): [ours: object, theirs: object] => {
    const [ours, theirs] = [stack, host].map(({ dns, server }) => {
      const resolver = make(dns);
      resolver.setServers([server]);
      return resolver;
    });
    return [ours, theirs];
  };
  const OPTIONS = { timeout: 250, tries: 2 };

  for (const call of CALLS) {
    it(show(call), async () => {
      const [ours, theirs] = resolvers((dns) => new dns.Resolver(OPTIONS));
      const [mine, expected] = await Promise.all([called(ours, call), called(theirs, call)]);
      expect(plain(mine)).to.deep.equal(plain(expected));
      const [ours2, theirs2] = resolvers((dns) => new dns.promises.Resolver(OPTIONS));
      const both = await Promise.all([promised(ours2, call), promised(theirs2, call)]);
      expect(plain(both[0]), 'as a promise').to.deep.equal(plain(both[1]));
    });
  }

  it('cancels alike', async () => {
    const [ours, theirs] = resolvers((dns) => new dns.Resolver());
    const both = [ours, theirs].map((resolver) => {
      const outcome = called(resolver, ['resolve4', 'silent.test']);
      (resolver as nodeDns.Resolver).cancel();
      return outcome;
    });
    const [mine, expected] = await Promise.all(both);
    expect(mine).to.deep.equal(expected);
  });

  it('has the same functions, classes and constants', () => {
    const shape = (object: object): Record<string, unknown> =>
      Object.fromEntries(
        Object.entries(object).map(([key, value]) => [
          key,
          typeof value === 'string' || typeof value === 'number' ? value : typeof value,
        ]),
      );
    const { dns } = stack;
    expect(shape(dns)).to.include(shape(nodeDns));
    expect(shape(dns.promises)).to.include(shape(nodeDns.promises));
    for (const [ours, theirs] of [
      [dns.Resolver, nodeDns.Resolver],
      [dns.promises.Resolver, nodeDns.promises.Resolver],
    ]) {
      const methods = (made: { prototype: object }): string[] => {
        const names: string[] = [];
        for (let at = made.prototype; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
          names.push(...Object.getOwnPropertyNames(at));
        }
        return names;
      };
      expect(methods(ours)).to.include.members(methods(theirs));
    }
    expect(dns.resolve4.name).to.equal(nodeDns.resolve4.name);
  });

  describe('wrong arguments', () => {
    const nothing = (): void => {};
    const calls: Readonly<Record<string, (dns: Dns) => unknown>> = {
      'a name that is no text': (dns) => dns.lookup(5 as never, nothing),
      'no callback': (dns) => dns.lookup('x', undefined as never),
      'options that are none': (dns) => dns.lookup('x', 'y' as never, nothing),
      'options that are none, and no callback': (dns) => dns.lookup('x', true as never),
      'a family': (dns) => dns.lookup('x', 5, nothing),
      'a family among options': (dns) => dns.lookup('x', { family: 5 }, nothing),
      'a family by name, for promises': (dns) => dns.promises.lookup('x', { family: 'IPv4' }),
      'unknown hints': (dns) => dns.lookup('x', { hints: 999 }, nothing),
      'hints that are no number': (dns) => dns.lookup('x', { hints: 'x' as never }, nothing),
      all: (dns) => dns.lookup('x', { all: 1 as never }, nothing),
      verbatim: (dns) => dns.lookup('x', { verbatim: 1 as never }, nothing),
      'an order': (dns) => dns.lookup('x', { order: 'x' } as never, nothing),
      'too few arguments of lookupService': (dns) =>
        (dns.lookupService as (...args: unknown[]) => void)('1.1.1.1', 80),
      'no address for lookupService': (dns) => dns.lookupService('x', 80, nothing),
      'no port for lookupService': (dns) => dns.lookupService('1.1.1.1', 99_999, nothing),
      'a port that is no number': (dns) => dns.lookupService('1.1.1.1', Symbol('x') as never, nothing),
      'no callback for lookupService': (dns) => dns.lookupService('1.1.1.1', 80, 5 as never),
      'too few arguments of the promise': (dns) =>
        (dns.promises.lookupService as (...args: unknown[]) => void)('1.1.1.1'),
      'a default order': (dns) => dns.setDefaultResultOrder('x' as never),
      'servers that are no list': (dns) => dns.setServers('x' as never),
      'a server that is no text': (dns) => dns.setServers(['127.0.0.1', 5 as never]),
      'a server that is no address': (dns) => dns.setServers(['x']),
      'a server without its port': (dns) => dns.setServers(['1.2.3.4:']),
      'a timeout below -1': (dns) => new dns.Resolver({ timeout: -2 }),
      'a timeout that is no number': (dns) => new dns.Resolver({ timeout: '5' as never }),
      'no tries': (dns) => new dns.Resolver({ tries: 0 }),
      'a local address that is none': (dns) => new dns.Resolver().setLocalAddress('x'),
      'a local address that is no text': (dns) => new dns.Resolver().setLocalAddress(5 as never),
      'two local addresses of one family': (dns) => new dns.Resolver().setLocalAddress('1.1.1.1', '1.1.1.2'),
      'two local addresses of the other': (dns) => new dns.Resolver().setLocalAddress('::1', '::2'),
      'a callback of resolve4 that is none': (dns) => dns.resolve4('x', 5 as never),
    };
    for (const [what, call] of Object.entries(calls)) {
      it(what, () => {
        const [mine, expected] = [stack.dns, nodeDns].map((dns) => {
          try {
            call(dns);
            return 'nothing';
          } catch (error) {
            return describe1(error);
          }
        });
        expect(expected).to.not.equal('nothing');
        expect(mine).to.deep.equal(expected);
      });
    }
  });

  describe('wrong arguments of later versions', () => {
    const nothing = (): void => {};
    const calls: Readonly<Record<string, [since: number, code: string, call: (dns: Dns) => unknown]>> = {
      'a name with NUL': [22, 'ERR_INVALID_ARG_VALUE', (dns) => dns.lookup('a\0b', nothing)],
      'a name with NUL, for promises': [22, 'ERR_INVALID_ARG_VALUE', (dns) => dns.promises.lookup('a\0b')],
      'a longest timeout below 0': [
        22,
        'ERR_OUT_OF_RANGE',
        (dns) => new dns.Resolver({ maxTimeout: -1 } as never),
      ],
      'a longest timeout that is no number': [
        22,
        'ERR_INVALID_ARG_TYPE',
        (dns) => new dns.promises.Resolver({ maxTimeout: 'x' } as never),
      ],
      'a longest timeout that is not whole': [
        22,
        'ERR_OUT_OF_RANGE',
        (dns) => new dns.Resolver({ maxTimeout: 1.5 } as never),
      ],
      'a server with too large a port': [
        24,
        'ERR_SOCKET_BAD_PORT',
        (dns) => new dns.Resolver().setServers(['1.2.3.4:65536']),
      ],
      'a server in brackets with too large a port': [
        24,
        'ERR_SOCKET_BAD_PORT',
        (dns) => dns.setServers(['[::1]:99999']),
      ],
    };
    for (const [what, [since, code, call]] of Object.entries(calls)) {
      it(what, () => {
        const both = [stack.dns, nodeDns].slice(0, NODE_MAJOR >= since ? 2 : 1).map((dns) => {
          try {
            call(dns);
            return 'nothing';
          } catch (error) {
            return describe1(error);
          }
        });
        expect(both[0]).to.include({ code });
        expect(both[0]).to.deep.equal(both.at(-1));
      });
    }

    it('an address of lookupService that is no text', () => {
      const both = [stack.dns, nodeDns].map((dns) => {
        try {
          return dns.lookupService(5 as never, 80, nothing);
        } catch (error) {
          return describe1(error);
        }
      });
      expect(both[0]).to.deep.equal(both[1]);
    });
  });

  it('reads and shows servers alike', () => {
    const sparse = ['1.2.3.4'];
    sparse[2] = '5.6.7.8';
    // Versions before 24 end the process over port 0.
    const withoutPorts = NODE_MAJOR >= 24 ? [['1.2.3.4:0', '[fd00::1]:0', '1.2.3.4:08']] : [];
    const lists = [
      ...withoutPorts,
      sparse,
      ['1.2.3.4'],
      ['1.2.3.4:53', '[fd00::1]:5353', 'fd00::2', '[fd00::3]'],
      [],
    ];
    for (const list of lists) {
      const shown = [stack.dns, nodeDns].map((dns) => {
        const resolver = new dns.Resolver();
        resolver.setServers(list);
        return resolver.getServers();
      });
      expect(shown[0]).to.deep.equal(shown[1]);
    }
  });

  it('finds addresses and nothing alike', async () => {
    const calls: Call[] = [
      ['lookup', '10.1.1.1'],
      ['lookup', 'fd00::1', { family: 4 }],
      ['lookup', 'fd00::1', { all: true }],
      ['lookup', ''],
      ['lookup', '', { all: true }],
      ['lookup', null, { family: 6 }],
      ['lookup', 'nowhere.invalid'],
      ['lookup', 'localhost', { family: 4 }],
    ];
    for (const call of calls) {
      expect(await called(stack.dns, call), show(call)).to.deep.equal(await called(nodeDns, call));
      const both = [await promised(stack.dns.promises, call), await promised(nodeDns.promises, call)];
      expect(both[0], `${show(call)} as a promise`).to.deep.equal(both[1]);
    }
  });
});
