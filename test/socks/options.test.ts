/** What a tunnel is opened with: what is taken, what is refused, and what a refusal leaves. */
import { expect } from 'chai';
import { openSocksTunnel, parseSocksProxy, Stack, SystemClock, SystemRandom } from '../../lib/index.js';
import { resolveTunnelOptions, type SocksTunnelOptions } from '../../lib/socks/options.js';
import { TestProxy } from './support/test-proxy.js';
import { SocksWorld, textOf } from './support/world.js';

const newStack = (): Stack => new Stack({ clock: new SystemClock(), random: new SystemRandom() });
const LONG = 'ä'.repeat(127);

describe('a tunnel: options', () => {
  let stack: Stack;
  before(() => {
    stack = newStack();
  });
  after(() => stack.close());

  for (const [text, host, port, username, password] of [
    ['socks5://192.0.2.1', '192.0.2.1', 1080],
    ['socks5://192.0.2.1:9050/', '192.0.2.1', 9050],
    ['socks5h://proxy.example:1', 'proxy.example', 1],
    ['socks://proxy.example', 'proxy.example', 1080],
    ['SOCKS5://proxy.example', 'proxy.example', 1080],
    ['socks5://[2001:db8::1]:9050', '2001:db8::1', 9050],
    ['socks5://[::1]', '::1', 1080],
    ['socks5://b%C3%BCcher.example', 'bücher.example', 1080],
    ['socks5://bücher.example', 'bücher.example', 1080],
    ['socks5://anna@proxy.example', 'proxy.example', 1080, 'anna', ''],
    ['socks5://anna:a%20b%3A%40@proxy.example', 'proxy.example', 1080, 'anna', 'a b:@'],
    [`socks5://${LONG}:${LONG}@proxy.example`, 'proxy.example', 1080, LONG, LONG],
  ] as const) {
    it(`take ${text.slice(0, 50)}`, () => {
      const user = username === undefined ? {} : { username, password };
      expect(parseSocksProxy(text)).to.deep.equal({ host, port, ...user });
      const settings = resolveTunnelOptions({ stack, proxy: text });
      expect(settings.proxy).to.deep.equal({ host, port });
      expect(settings.credentials).to.deep.equal(username === undefined ? undefined : user);
    });
  }

  const proxy = { host: '192.0.2.1' };
  const wrong: readonly (readonly [name: string, options: object | null, code: string])[] = [
    ['nothing', null, 'ERR_INVALID_ARG_TYPE'],
    ['no stack', { stack: undefined, proxy }, 'ERR_INVALID_ARG_TYPE'],
    ['no proxy', {}, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown option', { proxy, maxTCP: 1 }, 'ERR_INVALID_ARG_VALUE'],
    ['an unknown option of the proxy', { proxy: { ...proxy, user: 'anna' } }, 'ERR_INVALID_ARG_VALUE'],
    ['a proxy that is null', { proxy: null }, 'ERR_INVALID_ARG_TYPE'],
    ['no host', { proxy: { host: '' } }, 'ERR_INVALID_ARG_VALUE'],
    ['a host that is no text', { proxy: { host: 1 } }, 'ERR_INVALID_ARG_TYPE'],
    ['port 0', { proxy: { ...proxy, port: 0 } }, 'ERR_OUT_OF_RANGE'],
    ['port 65536', { proxy: { ...proxy, port: 65_536 } }, 'ERR_OUT_OF_RANGE'],
    ['a port that is text', { proxy: { ...proxy, port: '1080' } }, 'ERR_INVALID_ARG_TYPE'],
    ['a password without a user', { proxy: { ...proxy, password: 'x' } }, 'ERR_INVALID_ARG_VALUE'],
    ['a password without a user in a URL', { proxy: 'socks5://:x@192.0.2.1' }, 'ERR_INVALID_ARG_VALUE'],
    ['an empty user', { proxy: { ...proxy, username: '' } }, 'ERR_OUT_OF_RANGE'],
    ['a user of 256 bytes', { proxy: { ...proxy, username: 'ä'.repeat(128) } }, 'ERR_OUT_OF_RANGE'],
    [
      'a password of 256 bytes',
      { proxy: { ...proxy, username: 'a', password: 'b'.repeat(256) } },
      'ERR_OUT_OF_RANGE',
    ],
    ['a user of 256 bytes in a URL', { proxy: `socks5://${'a'.repeat(256)}@192.0.2.1` }, 'ERR_OUT_OF_RANGE'],
    ['a URL of HTTP', { proxy: 'http://192.0.2.1:1080' }, 'ERR_INVALID_ARG_VALUE'],
    ['version 4', { proxy: 'socks4://192.0.2.1:1080' }, 'ERR_INVALID_ARG_VALUE'],
    ['no URL', { proxy: '192.0.2.1:1080' }, 'ERR_INVALID_ARG_VALUE'],
    ['a URL without a host', { proxy: 'socks5://' }, 'ERR_INVALID_ARG_VALUE'],
    ['a URL with port 0', { proxy: 'socks5://192.0.2.1:0' }, 'ERR_OUT_OF_RANGE'],
    ['a URL with a path', { proxy: 'socks5://192.0.2.1/x' }, 'ERR_INVALID_ARG_VALUE'],
    ['a URL with a query', { proxy: 'socks5://192.0.2.1?x' }, 'ERR_INVALID_ARG_VALUE'],
    ['a URL with broken escapes', { proxy: 'socks5://a%ff@192.0.2.1' }, 'ERR_INVALID_ARG_VALUE'],
    ['a name for a name server', { proxy, nameServer: 'dns.example' }, 'ERR_INVALID_ARG_VALUE'],
    ['a name server at port 0', { proxy, nameServer: '192.0.2.1:0' }, 'ERR_OUT_OF_RANGE'],
    ['a name server at port 65536', { proxy, nameServer: '192.0.2.1:65536' }, 'ERR_OUT_OF_RANGE'],
    ['a name server for dns: udp', { proxy, nameServer: '192.0.2.1', dns: 'udp' }, 'ERR_INVALID_ARG_VALUE'],
    ['a choice that is none', { proxy, udp: 'maybe' }, 'ERR_INVALID_ARG_VALUE'],
    ['no TCP', { proxy, maxTcp: 0 }, 'ERR_OUT_OF_RANGE'],
    ['too much of it', { proxy, maxUdp: 2 ** 20 + 1 }, 'ERR_OUT_OF_RANGE'],
    ['half of it', { proxy, maxTcp: 1.5 }, 'ERR_OUT_OF_RANGE'],
    ['a number that is text', { proxy, dialMs: '5' }, 'ERR_INVALID_ARG_TYPE'],
    ['more than a timer takes', { proxy, tcpIdleMs: 2 ** 31 }, 'ERR_OUT_OF_RANGE'],
    ['a link that is none', { proxy, link: 7 }, 'ERR_OUT_OF_RANGE'],
    ['timers that are none', { proxy, timers: {} }, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [name, options, code] of wrong) {
    it(`refuse ${name}: ${code}`, () => {
      const given = options === null ? null : { stack, ...options };
      expect(() => openSocksTunnel(given as SocksTunnelOptions))
        .to.throw()
        .with.property('code', code);
    });
  }

  it('say nothing of the password where they refuse', () => {
    for (const text of [
      'socks5://anna:secret@',
      'http://anna:secret@192.0.2.1',
      'socks5://anna:secret%ff@a/b',
    ]) {
      expect(() => parseSocksProxy(text))
        .to.throw()
        .and.not.match(/secret/);
    }
  });

  it('leave nothing where a tunnel cannot be opened', () => {
    // Whoever takes pings of any address keeps the tunnel from it.
    const own = newStack();
    const echoes = Array.from({ length: 64 }, () => own.listenAnyEcho({}));
    expect(() => openSocksTunnel({ stack: own, proxy }))
      .to.throw()
      .with.property('code', 'ENOBUFS');
    for (const echo of echoes) echo.close();
    for (let i = 0; i < 64; i++) own.listenAny({ protocol: 'tcp' }, () => {}).unref();
    own.close();
  });
});

describe('a tunnel: proxies that need something', function () {
  this.timeout(20_000);

  it('give a user and a password of 255 bytes each', async () => {
    const [username, password] = ['u'.repeat(255), 'ß'.repeat(127)];
    const world = await SocksWorld.open({ user: [username, password] }, {}, { username, password });
    const socket = await world.connect();
    socket.end('x');
    expect(await textOf(socket)).to.equal('x');
    expect(world.proxy.offered).to.deep.equal([`${username}:${password}`]);
    await world.close();
  });

  for (const host of ['::1', 'localhost', '::ffff:127.0.0.1']) {
    it(`reach a proxy at ${host}`, async () => {
      const proxy = await TestProxy.start({}, '::');
      const world = await SocksWorld.open({}, { proxy: { host, port: proxy.port } });
      const { port } = world.echo;
      proxy.behaviour = { connect: () => ({ port }) };
      const socket = await world.connect();
      socket.end('x');
      expect(await textOf(socket)).to.equal('x');
      expect(proxy.asked).to.have.lengthOf(1);
      await world.close();
      await proxy.close();
    });
  }
});
