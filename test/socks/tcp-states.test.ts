/** TCP through a proxy: every state of the conversation, and everything that may happen in it. */
import { expect } from 'chai';
import type { SocksTunnelStats } from '../../lib/socks/counters.js';
import { eventually } from '../support/interop-wait.js';
import { Flag, type RawPort, RawWorld } from './support/raw-world.js';
import { ScriptedProxy, type Step } from './support/scripted-proxy.js';

type Counts = Partial<SocksTunnelStats>;

const GREETING = 3;
const REQUEST = { 4: 10, 6: 22 } as const;
/** With the user `anna`, whose password is `pw`. */
const USER = { username: 'anna', password: 'pw' };
const GREETING_WITH_USER = 4;
const AUTH = 3 + 4 + 2;
const REPLIES: Readonly<Record<string, readonly number[]>> = {
  'an IPv4 address': [5, 0, 0, 1, 127, 0, 0, 1, 0, 80],
  'an IPv6 address': [5, 0, 0, 4, ...new Array<number>(15).fill(0), 1, 0, 80],
  'a name': [5, 0, 0, 3, 4, 104, 111, 115, 116, 0, 80],
  'no name': [5, 0, 0, 3, 0, 0, 80],
};
const REPLY = REPLIES['an IPv4 address'];
/** What comes before the reply. */
const ASKED: readonly Step[] = [GREETING, [5, 0], REQUEST[4]];

/** States before the reply, without and with a password. */
const STATES: readonly (readonly [name: string, steps: readonly Step[], hasUser: boolean])[] = [
  ['before the greeting', [], false],
  ['after the greeting', [GREETING], false],
  ['in the midst of the method', [GREETING, [5]], false],
  ['after the method', [GREETING, [5, 0]], false],
  ['after the request', ASKED, false],
  ['after the greeting with a password', [GREETING_WITH_USER], true],
  ['after the password is asked for', [GREETING_WITH_USER, [5, 2]], true],
  ['after the password', [GREETING_WITH_USER, [5, 2], AUTH], true],
  ['in the midst of the verdict on it', [GREETING_WITH_USER, [5, 2], AUTH, [1]], true],
  ['after the verdict', [GREETING_WITH_USER, [5, 2], AUTH, [1, 0], REQUEST[4]], true],
];

describe('a tunnel, TCP: states and events', function () {
  this.timeout(30_000);
  let world: RawWorld;
  afterEach(() => world.close());

  const open = async (hasUser = false): Promise<void> => {
    world = await RawWorld.open({}, hasUser ? USER : undefined);
  };

  /** One who connects, while the proxy plays a script. @returns him, once the script has been played */
  const connects = (steps: readonly Step[], family: 4 | 6 = 4): Promise<RawPort> =>
    world.begins(steps, family, (port) => port.tcp(Flag.SYN));

  /** One who connects, and does not get through. */
  const fails = async (steps: readonly Step[], answer: string, counts: Counts, family: 4 | 6 = 4) =>
    world.endsWith(await connects(steps, family), answer, { tcpRequests: 1, ...counts });

  const unreachable: Counts = { tcpFailed: 1, proxyUnreachable: 1 };
  const malformed: Counts = { tcpFailed: 1, proxyMalformed: 1 };
  const unauthorized: Counts = { tcpFailed: 1, proxyUnauthorized: 1 };
  const late: Counts = { tcpFailed: 1, proxyTimeouts: 1 };

  for (const [name, steps, hasUser] of STATES) {
    it(`is reset where the proxy ends, resets or hangs ${name}`, async () => {
      await open(hasUser);
      await fails([...steps, 'fin'], 'RST', unreachable);
      await fails([...steps, 'rst'], 'RST', unreachable);
      await fails(steps, 'RST', late);
    });

    it(`asks no more where who is inside resets, or the tunnel or the stack ends ${name}`, async () => {
      await open(hasUser);
      const port = await connects(steps);
      port.tcp(Flag.RST);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ tcpRequests: 1, tcpCancelled: 1 });
      expect(port.heard).to.deep.equal([]);
      const other = await connects(steps);
      world.tunnel.close();
      expect(await other.hears()).to.deep.equal(['RST']);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ tcpRequests: 1, tcpCancelled: 1 });
      await world.close();
      await open(hasUser);
      await connects(steps);
      world.stack.close();
      await world.nothingLeft();
    });
  }

  for (const [name, reply] of Object.entries(REPLIES)) {
    it(`is reset where a reply with ${name} is cut anywhere`, async () => {
      await open();
      for (let length = 1; length < reply.length; length++) {
        const steps = [...ASKED, reply.slice(0, length)];
        await fails([...steps, 'fin'], 'RST', unreachable);
        await fails([...steps, 'rst'], 'RST', unreachable);
        await fails(steps, 'RST', late);
      }
    });

    it(`is joined by a reply with ${name}, byte by byte, and what follows it is passed on`, async () => {
      await open();
      for (const isSlow of [false, true]) {
        world.proxy.isSlow = isSlow;
        const port = await connects([...ASKED, [...reply, 104, 105]]);
        expect(await port.hears()).to.deep.equal(['SYN-ACK']);
        port.tcp(Flag.ACK);
        const text = (): string => port.heard.slice(1).join('');
        await eventually('the text behind the reply', text, (heard) => heard === 'hi');
        port.tcp(Flag.RST);
        await world.nothingLeft();
        expect(world.counted()).to.deep.equal({ tcpRequests: 1, tcpConnected: 1, tcpReset: 1, bytesIn: 2 });
      }
    });
  }

  const answers: readonly (readonly [code: number, v4: string, v6: string])[] = [
    [1, 'RST', 'RST'],
    [2, 'ICMP 3/13', 'ICMP 1/1'],
    [3, 'ICMP 3/0', 'ICMP 1/0'],
    [4, 'ICMP 3/1', 'ICMP 1/3'],
    [5, 'RST', 'RST'],
    [6, 'ICMP 3/1', 'ICMP 1/3'],
    [7, 'RST', 'RST'],
    [8, 'ICMP 3/0', 'ICMP 1/0'],
    [9, 'RST', 'RST'],
    [91, 'RST', 'RST'],
    [255, 'RST', 'RST'],
  ];
  for (const [code, answer4, answer6] of answers) {
    it(`hears ${answer4}, or ${answer6}, where the proxy replies ${code}, with and without an address`, async () => {
      await open();
      for (const family of [4, 6] as const) {
        const asked = [GREETING, [5, 0], REQUEST[family]];
        const answer = family === 4 ? answer4 : answer6;
        for (const rest of [[0, 1, 0, 0, 0, 0, 0, 0], [0], []]) {
          await fails([...asked, [5, code, ...rest]], answer, { tcpRefused: 1 }, family);
          await fails([...asked, [5, code, ...rest], 'fin'], answer, { tcpRefused: 1 }, family);
        }
      }
    });
  }

  const wrong: readonly (readonly [
    name: string,
    steps: readonly Step[],
    counts: Counts,
    hasUser?: boolean,
  ])[] = [
    ['another version', [GREETING, [4, 0]], malformed],
    ['a page of HTTP', [GREETING, [...Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]], malformed],
    ['zeros', [GREETING, [0, 0, 0, 0]], malformed],
    ['a method that was not offered', [GREETING, [5, 1]], malformed],
    ['that it wants a password, where there is none', [GREETING, [5, 2]], malformed],
    ['that it takes none of our ways', [GREETING, [5, 255]], unauthorized],
    ['that it takes neither, with a password', [GREETING_WITH_USER, [5, 255]], unauthorized, true],
    ['that the password is wrong', [GREETING_WITH_USER, [5, 2], AUTH, [1, 1]], unauthorized, true],
    [
      'that it is wrong, with a version of its own',
      [GREETING_WITH_USER, [5, 2], AUTH, [5, 1]],
      unauthorized,
      true,
    ],
    ['nonsense about it', [GREETING_WITH_USER, [5, 2], AUTH, [72, 84]], malformed, true],
    ['a reply of another version', [...ASKED, [4, 0, 0, 1, 0, 0, 0, 0, 0, 0]], malformed],
    ['a refusal of another version', [...ASKED, [0, 91, 0, 0, 0, 0, 0, 0]], malformed],
    ['an address of type 0', [...ASKED, [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]], malformed],
    ['an address of type 2', [...ASKED, [5, 0, 0, 2, 0, 0, 0, 0, 0, 0]], malformed],
    ['an address of type 255', [...ASKED, [5, 0, 0, 255, 0, 0, 0, 0, 0, 0]], malformed],
  ];
  for (const [name, steps, counts, hasUser] of wrong) {
    it(`is reset where the proxy says ${name}`, async () => {
      await open(hasUser);
      await fails(steps, 'RST', counts);
      world.proxy.isSlow = true;
      await fails(steps, 'RST', counts);
    });
  }

  it('is reset where there is no proxy, and joined once it is back', async () => {
    await open();
    const { port: place } = world.proxy;
    const first = await connects([...ASKED, REPLY]);
    await first.hears();
    first.tcp(Flag.ACK);
    await world.proxy.close();
    expect(await first.hears(2)).to.satisfy((heard: string[]) => /RST|FIN/.test(heard[1]));
    first.tcp(Flag.RST);
    await world.nothingLeft();
    world.counted();
    const second = world.port();
    second.tcp(Flag.SYN);
    expect(await second.hears()).to.deep.equal(['RST']);
    expect(world.counted()).to.deep.equal({ tcpRequests: 1, ...unreachable });
    world.proxy = await ScriptedProxy.start(place);
    const third = await connects([...ASKED, REPLY]);
    expect(await third.hears()).to.deep.equal(['SYN-ACK']);
    third.tcp(Flag.RST);
    await world.nothingLeft();
  });

  it('is reset where the name of the proxy does not resolve', async () => {
    // A label this long is nobody's: no name server is asked.
    world = await RawWorld.open({ proxy: { host: `${'x'.repeat(64)}.invalid`, port: 1080 } });
    const port = world.port();
    port.tcp(Flag.SYN);
    expect(await port.hears()).to.deep.equal(['RST']);
    await world.nothingLeft();
    expect(world.counted()).to.deep.equal({ tcpRequests: 1, ...unreachable });
  });

  describe('once the proxy has connected', () => {
    const connected: Counts = { tcpRequests: 1, tcpConnected: 1 };
    const accepted = async (...more: Step[]): Promise<RawPort> => {
      await open();
      const port = await connects([...ASKED, REPLY, 'pause', ...more]);
      expect(await port.hears()).to.deep.equal(['SYN-ACK']);
      return port;
    };

    it('and the handshake inside is not done: a reset inside ends it outside', async () => {
      const port = await accepted();
      port.tcp(Flag.RST);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ ...connected, tcpReset: 1 });
    });

    it('and the handshake inside is not done: the end of the tunnel, or of the stack, ends both', async () => {
      const port = await accepted();
      world.tunnel.close();
      await world.nothingLeft();
      expect(port.heard).to.deep.equal(['SYN-ACK', 'RST']);
      expect(world.counted()).to.deep.equal({ ...connected, tcpReset: 1 });
      await world.close();
      await accepted();
      world.stack.close();
      await world.nothingLeft();
    });

    it('and the handshake inside is not done: what the proxy ends is ended once it is', async () => {
      const port = await accepted('rst');
      world.proxy.goOn();
      await world.played(2);
      port.tcp(Flag.ACK);
      expect(await port.hears(2)).to.deep.equal(['SYN-ACK', 'RST']);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ ...connected, tcpReset: 1 });
      await world.close();
      const other = await accepted([98, 121, 101], 'fin');
      world.proxy.goOn();
      await world.played(2);
      other.tcp(Flag.ACK);
      expect(await other.hears(3)).to.deep.equal(['SYN-ACK', 'bye', 'FIN']);
      other.tcp(Flag.ACK | Flag.FIN);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ ...connected, tcpFinished: 1, bytesIn: 3 });
    });

    it('and both are joined: a reset passes in both directions', async () => {
      const port = await accepted();
      port.tcp(Flag.ACK, 'text');
      await eventually(
        'the text',
        () => world.proxy.heard,
        (heard) => heard === 'text',
      );
      port.tcp(Flag.RST | Flag.ACK);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ ...connected, tcpReset: 1, bytesOut: 4 });
      await world.close();
      const other = await accepted('rst');
      other.tcp(Flag.ACK);
      world.proxy.goOn();
      expect(await other.hears(2)).to.deep.equal(['SYN-ACK', 'RST']);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ ...connected, tcpReset: 1 });
    });

    it('and both are joined: the end of the tunnel, or of the stack, ends both', async () => {
      const port = await accepted();
      port.tcp(Flag.ACK);
      world.tunnel.close();
      expect(await port.hears(2)).to.deep.equal(['SYN-ACK', 'RST']);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ ...connected, tcpReset: 1 });
      await world.close();
      const other = await accepted();
      other.tcp(Flag.ACK);
      world.stack.close();
      world.tunnel.close();
      await world.nothingLeft();
    });

    it('and nothing happens: both are reset when they are idle', async () => {
      const port = await accepted();
      port.tcp(Flag.ACK, 'text');
      await eventually(
        'the text',
        () => world.proxy.heard,
        (heard) => heard === 'text',
      );
      world.timers.advance(7_440_000);
      expect(await port.hears(2)).to.deep.equal(['SYN-ACK', 'RST']);
      await world.nothingLeft();
      expect(world.counted()).to.deep.equal({ ...connected, tcpReset: 1, bytesOut: 4 });
    });
  });
});
