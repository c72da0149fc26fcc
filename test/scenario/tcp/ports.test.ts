/** Ephemeral ports (RFC 6056): tcp.md §14, PORT-1 to PORT-4, and rows A7 and C12 of robustness.md. */
import { expect } from 'chai';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { DEFAULT_TCP_LAYER_OPTIONS } from '../../../lib/tcp/options.js';
import { TcpPorts } from '../../../lib/tcp/ports.js';
import { forEachFamily, Peer, type PeerOptions } from '../../support/peer.js';

type Layer = NonNullable<PeerOptions['tcp']>;

/** A stack, and connects from it whose SYNs nobody answers. */
function connector(tcp: Layer = {}, ipv6 = false): (remote?: string, port?: number) => number {
  const peer = Peer.closed({ tcp, ipv6, role: 'client' });
  return (remote = ipv6 ? 'fd00::2' : '10.0.0.2', port = 80) => {
    const endpoint = peer.stack.connectTcp({ address: remote, port });
    peer.host.adopt(endpoint);
    return endpoint.localPort;
  };
}

const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

const codeOf = (attempt: () => unknown): string => {
  try {
    attempt();
    return '';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('an ephemeral port', () => {
  forEachFamily(({ ipv6 }, name) => {
    it(`is any of the range but the reserved ones and those listened on, over ${name} (RFC 6056 §3.2) [PORT-1]`, () => {
      const peer = Peer.closed({
        ipv6,
        role: 'client',
        tcp: { ephemeralPorts: [40_000, 40_019], reservedPorts: [40_003, 40_019, 50_000] },
      });
      const listener = peer.host.listen(40_007, () => {}, {});
      const connect = (): number => {
        const endpoint = peer.stack.connectTcp({ address: ipv6 ? 'fd00::2' : '10.0.0.2', port: 80 });
        peer.host.adopt(endpoint);
        return endpoint.localPort;
      };
      const ports = times(17, connect).sort((a, b) => a - b);
      const expected = Array.from({ length: 20 }, (_, i) => 40_000 + i);
      expect(ports).to.deep.equal(expected.filter((port) => ![40_003, 40_007, 40_019].includes(port)));
      expect(codeOf(connect)).to.equal('EADDRNOTAVAIL');
      listener.close();
      expect(connect()).to.equal(40_007);
    });
  });

  it('comes from 32768 to 60999 unless another range is set, and from all of it (Linux) [PORT-1]', () => {
    const { ephemeralPorts } = DEFAULT_TCP_LAYER_OPTIONS;
    expect(ephemeralPorts).to.deep.equal([32_768, 60_999]);
    const ports = new TcpPorts(new SeededRandom(1), ephemeralPorts, []);
    const drawn = times(200_000, () => ports.ephemeral(() => true));
    const seen = new Set(drawn);
    expect(Math.min(...seen)).to.equal(32_768);
    expect(Math.max(...seen)).to.equal(60_999);
    // Of 28,232 ports one in 1,200 is not drawn in so many draws.
    expect(seen.size).to.be.above(28_232 * 0.998);
    const one = connector({ ephemeralPorts: [1024, 65_535] });
    for (const port of times(200, () => one())) expect(port).to.be.within(1024, 65_535);
  });

  it('does not follow from those before it (RFC 6056 §3.3, statistics) [PORT-2, A7]', () => {
    const connect = connector();
    const drawn = times(1000, () => connect());
    const steps = drawn.slice(1).map((port, i) => port - drawn[i]);
    // By chance one step in 14,000 is 1 or -1.
    expect(steps.filter((step) => Math.abs(step) <= 16).length).to.be.below(12);
    expect(new Set(steps).size).to.be.above(950);
    // Evenly over sixteen parts of the range: 15 degrees of freedom.
    expect(
      chiSquare(
        drawn.map((port) => Math.floor(((port - 32_768) * 16) / 28_232)),
        16,
      ),
    ).to.be.below(45);
    // The next one is as likely above as below, whatever the last was: no correlation.
    expect(Math.abs(correlation(drawn.slice(1), drawn.slice(0, -1)))).to.be.below(0.15);
    // Nor do ports to one destination tell of those to another.
    const other = connector();
    const pairs = times(500, () => [other('10.0.0.3'), other('10.0.0.4')]);
    const first = pairs.map(([port]) => port);
    const second = pairs.map(([, port]) => port);
    expect(Math.abs(correlation(first, second))).to.be.below(0.2);
  });

  it('is drawn from the stack’s randomness: other stacks draw others (RFC 6056 §3.3) [PORT-2, A7]', () => {
    const first = (seed: number): number =>
      new TcpPorts(new SeededRandom(seed), [32_768, 60_999], []).ephemeral(() => true);
    const drawn = Array.from({ length: 2000 }, (_, seed) => first(seed + 1));
    expect(
      chiSquare(
        drawn.map((port) => Math.floor(((port - 32_768) * 16) / 28_232)),
        16,
      ),
    ).to.be.below(45);
  });

  it('stays hard to guess when most of the range is taken (RFC 6056 §3.3, statistics) [PORT-2, A7]', () => {
    const random = new SeededRandom(8);
    const taken = new Set(times(20_000, () => 32_768 + (random.uint32() % 28_232)));
    const ports = new TcpPorts(new SeededRandom(9), [32_768, 60_999], []);
    const drawn = times(5000, () => ports.ephemeral((port) => !taken.has(port)));
    for (const port of drawn) expect(taken.has(port)).to.equal(false);
    const counts = new Map<number, number>();
    for (const port of drawn) counts.set(port, (counts.get(port) ?? 0) + 1);
    expect(counts.size).to.be.above(3000);
    expect(Math.max(...counts.values())).to.be.below(20);
  });

  it('serves many connections at once, to other addresses or other ports (RFC 6056 §3.3) [PORT-3]', () => {
    const connect = connector({ ephemeralPorts: [40_000, 40_000] });
    expect(connect('10.0.0.2', 80)).to.equal(40_000);
    expect(connect('10.0.0.2', 81)).to.equal(40_000);
    expect(connect('10.0.0.3', 80)).to.equal(40_000);
    expect(connect('fd00::2', 80)).to.equal(40_000);
    expect(codeOf(() => connect('10.0.0.2', 80))).to.equal('EADDRNOTAVAIL');
    expect(codeOf(() => connect('fd00::2', 80))).to.equal('EADDRNOTAVAIL');
    expect(connect('fd00::2', 81)).to.equal(40_000);
  });

  it('that the caller names serves many connections too, but not one four-tuple twice (RFC 6056 §3.3) [PORT-3]', () => {
    const peer = Peer.closed({ role: 'client' });
    const connect = (address: string, port: number): string =>
      codeOf(() => peer.host.adopt(peer.stack.connectTcp({ address, port, localPort: 5000 })));
    expect(connect('10.0.0.2', 80)).to.equal('');
    expect(connect('10.0.0.2', 81)).to.equal('');
    expect(connect('10.0.0.9', 80)).to.equal('');
    expect(connect('10.0.0.2', 80)).to.equal('EADDRINUSE');
  });

  it('runs out promptly, after one turn through the range at most (RFC 6056 §3.3) [PORT-4, C12]', () => {
    const ports = new TcpPorts(new SeededRandom(2), [32_768, 60_999], [33_000]);
    let asked = 0;
    const refuse = (): boolean => {
      asked++;
      return false;
    };
    expect(ports.ephemeral(refuse)).to.equal(0);
    expect(asked).to.equal(28_231);
    // The last free one is found, wherever the search begins.
    for (let i = 0; i < 50; i++) expect(ports.ephemeral((port) => port === 45_678)).to.equal(45_678);
  });

  it('that is used up is an error at once, and comes back with the end of a connection (Linux) [PORT-4, C12]', () => {
    const peer = Peer.closed({ role: 'client', tcp: { ephemeralPorts: [33_000, 34_999] } });
    const connect = (): ReturnType<typeof peer.stack.connectTcp> =>
      peer.stack.connectTcp({ address: '10.0.0.2', port: 80 });
    const endpoints = times(2000, connect);
    expect(new Set(endpoints.map(({ localPort }) => localPort)).size).to.equal(2000);
    const start = performance.now();
    for (let i = 0; i < 10; i++) expect(codeOf(connect)).to.equal('EADDRNOTAVAIL');
    // Ten searches of 2,000 ports; a slow machine may take a while, but not for a scan of scans.
    expect(performance.now() - start).to.be.below(500);
    const freed = endpoints[777].localPort;
    endpoints[777].abort();
    peer.host.settle();
    const again = connect();
    expect(again.localPort).to.equal(freed);
    // Others are not affected.
    expect(codeOf(() => peer.host.adopt(peer.stack.connectTcp({ address: '10.0.0.3', port: 80 })))).to.equal(
      '',
    );
    for (const endpoint of [...endpoints, again]) endpoint.abort();
    peer.host.settle();
    peer.drain();
    peer.host.unclaimed.length = 0;
  });

  it('can be used up by listeners as well (Linux) [PORT-4]', () => {
    const peer = Peer.closed({ role: 'client', tcp: { ephemeralPorts: [33_000, 33_003] } });
    const listeners = times(4, () => peer.host.listen(0, () => {}, {}));
    expect(listeners.map(({ localPort }) => localPort).sort((a, b) => a - b)).to.deep.equal([
      33_000, 33_001, 33_002, 33_003,
    ]);
    expect(codeOf(() => peer.host.listen(0, () => {}, {}))).to.equal('EADDRINUSE');
    expect(codeOf(() => peer.stack.connectTcp({ address: '10.0.0.2', port: 80 }))).to.equal('EADDRNOTAVAIL');
  });
});

/** How far `values` of 0 .. `bins`-1 are from even. */
function chiSquare(values: readonly number[], bins: number): number {
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) counts[value]++;
  const expected = values.length / bins;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** Pearson's coefficient. */
function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - meanA) * (b[i] - meanB);
    aa += (a[i] - meanA) ** 2;
    bb += (b[i] - meanB) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

describe('the settings of TCP as a whole', () => {
  it('are refused where they cannot be', () => {
    const wrong: [object, string][] = [
      ...[[0, 10], [1, 70_000], [1.5, 7], ['a', 'b'], [5], [10, 5], [1, 2, 3], []].map(
        (ephemeralPorts): [object, string] => [{ ephemeralPorts }, 'ERR_OUT_OF_RANGE'],
      ),
      [{ ephemeralPorts: {} }, 'ERR_INVALID_ARG_TYPE'],
      [{ reservedPorts: [-1] }, 'ERR_OUT_OF_RANGE'],
      [{ maxConnections: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ restAfterMs: -2 }, 'ERR_OUT_OF_RANGE'],
      [{ synCookies: 'sometimes' }, 'ERR_INVALID_ARG_VALUE'],
      [{ timeWaitReuse: 'sometimes' }, 'ERR_INVALID_ARG_VALUE'],
    ];
    for (const [tcp, code] of wrong) {
      expect(
        codeOf(() => Peer.closed({ tcp })),
        JSON.stringify(tcp),
      ).to.equal(code);
    }
    for (const tcp of [{ ephemeralPorts: [1, 65_535] }, { restAfterMs: -1 }, { maxOrphans: 0 }]) {
      expect(codeOf(() => Peer.closed({ tcp: tcp as Layer }))).to.equal('');
    }
  });
});
