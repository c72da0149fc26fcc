/** What people type, where the host may dial, and what is read of a question: alone. */
import { expect } from 'chai';
import fc from 'fast-check';
import { Destinations, Refusal } from '../../lib/gateway/destinations.js';
import { answersQuestion, questionEnd, questionOf, serverFailure } from '../../lib/gateway/dns-question.js';
import { type GatewayOptions, resolveOptions } from '../../lib/gateway/options.js';
import { parseForward, parseServer } from '../../lib/gateway/places.js';
import { Sweeper } from '../../lib/gateway/sweeper.js';
import { rejectionOf } from '../../lib/gateway/tcp-flows.js';
import { SeededRandom, Stack, VirtualClock } from '../../lib/index.js';
import { IpPrefix } from '../../lib/wire/ip-address.js';
import { ManualTimers } from '../relay/support/manual-timers.js';

describe('gateway: ports that lead to the other side', () => {
  const forwards: [string, string, number, string, number][] = [
    ['8080', '', 8080, '', 8080],
    ['8080:80', '', 8080, '', 80],
    ['0.0.0.0:8080:80', '0.0.0.0', 8080, '', 80],
    ['8080:10.0.2.101:80', '', 8080, '10.0.2.101', 80],
    ['[::1]:8080:[fd00::100]:80', '::1', 8080, 'fd00::100', 80],
    ['127.0.0.1:1:10.0.0.1:65535', '127.0.0.1', 1, '10.0.0.1', 65_535],
  ];
  for (const [text, fromAddress, fromPort, toAddress, toPort] of forwards) {
    it(`reads ${text}`, () => {
      const expected = {
        from: { address: fromAddress, port: fromPort },
        to: { address: toAddress, port: toPort },
      };
      expect(parseForward(text)).to.deep.equal({ protocol: 'tcp', ...expected });
      expect(parseForward(`${text}/udp`)).to.deep.equal({ protocol: 'udp', ...expected });
    });
  }

  it('refuses what is none', () => {
    const wrong = [
      '',
      '0',
      '65536',
      'x',
      '80/sctp',
      '1:2:3',
      'a.b:80',
      '::1:80',
      '[::1',
      '80:',
      ':80',
      '80:host:80',
    ];
    for (const text of wrong) {
      expect(() => parseForward(text), text)
        .to.throw()
        .with.property('code', 'ERR_INVALID_ARG_VALUE');
    }
  });

  it('reads name servers as people write them', () => {
    expect(parseServer('192.0.2.1')).to.deep.equal({ address: '192.0.2.1', port: 53 });
    expect(parseServer('192.0.2.1:5353')).to.deep.equal({ address: '192.0.2.1', port: 5353 });
    expect(parseServer('2001:db8::1')).to.deep.equal({ address: '2001:db8::1', port: 53 });
    expect(parseServer('[2001:db8::1]')).to.deep.equal({ address: '2001:db8::1', port: 53 });
    expect(parseServer('[2001:db8::1]:5353')).to.deep.equal({ address: '2001:db8::1', port: 5353 });
    for (const text of ['', '5353', 'one.example', '[x]:53', '192.0.2.1:0']) {
      expect(() => parseServer(text), text)
        .to.throw()
        .with.property('code', 'ERR_INVALID_ARG_VALUE');
    }
  });
});

describe('gateway: where the host dials', () => {
  const own = '10.0.2.2';
  const of = (denied: string[], loopbacks: string[]): Destinations =>
    new Destinations(
      denied.map((text) => IpPrefix.parse(text)),
      loopbacks,
      (address) => String(address) === own,
    );

  it('dials what is asked for', () => {
    for (const address of ['192.0.2.1', '2001:db8::1', '10.9.9.9']) {
      expect(of([], []).dialled(address)).to.equal(address);
    }
  });

  it('never dials what only this host has, however it is written', () => {
    const never = [
      '127.0.0.1',
      '127.9.9.9',
      '169.254.169.254',
      '0.0.0.0',
      '255.255.255.255',
      '224.0.0.1',
      '::1',
      '::',
      'ff02::1',
    ];
    const hidden = ['::ffff:127.0.0.1', '::127.0.0.1', 'fe80::1', 'localhost', ''];
    for (const address of [...never, ...hidden]) {
      expect(of([], []).dialled(address), address).to.equal(Refusal.Denied);
    }
  });

  it('denies prefixes, IPv4 written as IPv6 among them', () => {
    const some = of(['10.0.0.0/8', '2001:db8::/32'], []);
    expect(some.dialled('10.1.2.3')).to.equal(Refusal.Denied);
    expect(some.dialled('::ffff:10.1.2.3')).to.equal(Refusal.Denied);
    expect(some.dialled('2001:db8:1::1')).to.equal(Refusal.Denied);
    expect(some.dialled('11.1.2.3')).to.equal('11.1.2.3');
  });

  it("has nobody at the stack's own addresses, but the host's loopback where that was asked for", () => {
    expect(of([], []).dialled(own)).to.equal(Refusal.Nobody);
    const mapped = of([], [own, 'fd00::2']);
    expect([mapped.dialled(own), mapped.dialled('fd00::2')]).to.deep.equal(['127.0.0.1', '::1']);
    expect([mapped.shown('127.0.0.1'), mapped.shown('::1')]).to.deep.equal([own, 'fd00::2']);
    expect(of([own], [own]).dialled(own)).to.equal(Refusal.Denied);
  });

  it('has no name for loopbacks and links of the host, inside', () => {
    const bare = of([], []);
    for (const address of ['127.0.0.1', '127.0.0.53', '::1', 'fe80::1%eth0']) {
      expect(bare.shown(address), address).to.equal(undefined);
    }
    expect(bare.shown('192.0.2.1')).to.equal('192.0.2.1');
  });
});

describe('gateway: what those inside hear', () => {
  it('is what the host has heard, and an RST where the other end has said no', () => {
    const heard = {
      ECONNREFUSED: 'reset',
      ECONNRESET: 'reset',
      EMFILE: 'reset',
      EHOSTUNREACH: 'host-unreachable',
      ETIMEDOUT: 'host-unreachable',
      ENETUNREACH: 'net-unreachable',
      EAFNOSUPPORT: 'net-unreachable',
      EACCES: 'prohibited',
    };
    for (const [code, answer] of Object.entries(heard)) expect(rejectionOf(code), code).to.equal(answer);
    expect(rejectionOf(undefined)).to.equal('reset');
  });
});

describe('gateway: options', () => {
  const stack = new Stack({ clock: new VirtualClock(), random: new SeededRandom(1) });
  const code = (options: unknown): string | undefined => {
    try {
      resolveOptions(options as GatewayOptions);
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };

  it('refuses what makes no sense', () => {
    expect(code(null)).to.equal('ERR_INVALID_ARG_TYPE');
    expect(code({})).to.equal('ERR_INVALID_ARG_TYPE');
    expect(code({ stack, maxTPC: 1 })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(code({ stack, maxTcp: '1' })).to.equal('ERR_INVALID_ARG_TYPE');
    expect(code({ stack, maxTcp: 0 })).to.equal('ERR_OUT_OF_RANGE');
    expect(code({ stack, dialMs: 1e10 })).to.equal('ERR_OUT_OF_RANGE');
    expect(code({ stack, icmp: 'maybe' })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(code({ stack, hostLoopback: ['10.0.2.2', '10.0.2.3'] })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(code({ stack, publish: ['8080:80'] })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(code({ stack, reach: ['5432'] })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(code({ stack, dns: { addresses: ['x'] } })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(code({ stack, dns: { addresses: '10.0.0.1' } })).to.equal('ERR_INVALID_ARG_TYPE');
    expect(code({ stack, dns: { addresses: [], servers: [] } })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(code({ stack, dns: null })).to.equal('ERR_INVALID_ARG_TYPE');
    for (const name of ['hostLoopback', 'deny', 'publish', 'reach', 'inside']) {
      expect(code({ stack, [name]: '10.0.0.1' }), name).to.equal('ERR_INVALID_ARG_TYPE');
      expect(code({ stack, [name]: [7] }), name).to.equal('ERR_INVALID_ARG_TYPE');
    }
    expect(code({ stack, deny: ['10.0.0.0/80'] })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(code({ stack, tcpIdleMs: 0, publish: ['1:2'], inside: ['10.0.0.9'] })).to.equal(undefined);
  });

  it('listens on the loopback of the host unless it is told otherwise', () => {
    const { publish } = resolveOptions({
      stack,
      publish: ['8080:80', '8081:[fd00::9]:80', '0.0.0.0:8082:80'],
      inside: ['10.0.0.9', 'fd00::8'],
    });
    expect(publish.map(({ from, to }) => `${from.address} ${to.address}`)).to.deep.equal([
      '127.0.0.1 10.0.0.9',
      '::1 fd00::9',
      '0.0.0.0 10.0.0.9',
    ]);
  });
});

describe('gateway: questions', () => {
  const question = Uint8Array.from([
    0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 97, 4, 116, 101, 115, 116, 0, 0, 1, 0, 1,
  ]);

  it('finds where one ends', () => {
    expect(questionEnd(question)).to.equal(question.length);
    expect(questionEnd(Uint8Array.from([...question, 0, 0, 41, 4, 208]))).to.equal(question.length);
    for (let length = 0; length < question.length; length++) {
      expect(questionEnd(question.subarray(0, length)), `${length}`).to.equal(0);
    }
    const two = question.slice();
    two[5] = 2;
    expect(questionEnd(two)).to.equal(0);
    const pointer = question.slice();
    pointer[12] = 0xc0;
    expect(questionEnd(pointer)).to.equal(0);
  });

  it('says SERVFAIL with the question alone', () => {
    const failure = serverFailure(Uint8Array.from([...question, 0, 0, 41, 4, 208]));
    expect([...failure]).to.deep.equal([0, 7, 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0, ...question.subarray(12)]);
  });

  it('stays inside any bytes', () => {
    const asked = questionOf(question, question.length);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const end = questionEnd(bytes);
        expect(end === 0 || (end > 12 && end <= bytes.length)).to.equal(true);
        answersQuestion(bytes, asked);
      }),
      { seed: 1, numRuns: 2000 },
    );
  });
});

describe('gateway: ticks', () => {
  it('keep a limit to a part of it, and stop when nobody needs them', () => {
    const timers = new ManualTimers();
    let needed = true;
    const sweeper = new Sweeper(timers, [0, 8000, 80_000], () => needed);
    expect([sweeper.tickMs, sweeper.ticksOf(8000), sweeper.ticksOf(0)]).to.deep.equal([1000, 9, Infinity]);
    sweeper.start();
    sweeper.start();
    expect(timers.count).to.equal(1);
    timers.advance(3500);
    expect(sweeper.tick).to.equal(3);
    needed = false;
    timers.advance(1000);
    expect([sweeper.tick, timers.count]).to.deep.equal([4, 0]);
    sweeper.start();
    sweeper.stop();
    expect(timers.count).to.equal(0);
  });
});
