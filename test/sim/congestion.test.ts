/** Congestion control by whole connections over emulated links, in virtual time. */
import { expect } from 'chai';
import { jainIndex } from '../../bench/goodput/fairness.js';
import { Flow } from '../../bench/goodput/flow.js';
import { SharedBottleneck } from '../../lib/sim/shared-bottleneck.js';
import { Simulation } from '../../lib/sim/simulation.js';
import { Bulk, type BulkOptions, SEGMENT, Windows } from '../support/bulk.js';

const MB = 1e6;

/** A path that one loss in slow start finds half empty. */
const roomy = (
  rttMs: number,
  drop: readonly number[] = [60],
): Pick<BulkOptions, 'upstream' | 'downstream'> => ({
  upstream: { rateBps: 200e6, delayMs: rttMs / 2, drop },
  downstream: { delayMs: rttMs / 2 },
});

/** A bulk transfer just after it has recovered from the one loss of its slow start. */
function recovered(options: Omit<BulkOptions, 'upstream' | 'downstream'>, rttMs: number, drop = [60]): Bulk {
  const bulk = new Bulk({ ...options, ...roomy(rttMs, drop) });
  bulk.until(() => bulk.windows.reductions.length > 0, 5);
  bulk.until(() => bulk.windows.last.phase === 'open', 5);
  return bulk;
}

describe('growth in congestion avoidance', () => {
  it('is a segment a round trip with NewReno (RFC 5681 §3.1) [CC-4]', () => {
    const bulk = recovered({ control: 'reno' }, 20);
    const startUs = bulk.net.clock.nowUs() + 100_000;
    bulk.advance(2.1);
    expect(bulk.windows.reductions).to.have.length(1);
    // Each of the 20 intervals by itself, too: it is a straight line.
    expect(bulk.growth(startUs, startUs + 2e6)).to.be.closeTo(1, 0.05);
    for (let i = 0; i < 20; i++) {
      const growth = bulk.growth(startUs + i * 1e5, startUs + (i + 1) * 1e5);
      expect(growth, `interval ${i}`).to.be.within(0.5, 1.5);
    }
    bulk.close();
  });

  it('is Reno’s with CUBIC on short paths: 0.53 segments up to where the loss was, then one (RFC 9438 §4.3) [CUB-3 CUB-4]', () => {
    const bulk = recovered({ control: 'cubic' }, 10);
    const { samples } = bulk.windows;
    const prior = Math.max(...samples.map(({ cwndBytes }) => cwndBytes));
    const startUs = bulk.net.clock.nowUs();
    bulk.until(() => bulk.windows.last.cwndBytes >= prior, 5);
    const thereUs = bulk.net.clock.nowUs();
    bulk.advance(0.5);
    expect(bulk.windows.reductions).to.have.length(1);
    expect(bulk.growth(startUs + 20_000, thereUs)).to.be.closeTo(0.53, 0.06);
    expect(bulk.growth(thereUs, thereUs + 400_000)).to.be.closeTo(1, 0.12);
    bulk.close();
  });

  it('does not depend on how many ACKs come: they are lost, or thinned out (RFC 3449) [RM-12 CUB-13 D12]', () => {
    for (const control of ['reno', 'cubic']) {
      const goodput = (downstream: BulkOptions['downstream']): number => {
        const bulk = new Bulk({
          control,
          upstream: { rateBps: 10e6, delayMs: 20, queuePackets: 60 },
          downstream: { delayMs: 20, ...downstream },
        }).advance(6);
        bulk.close();
        return bulk.flow.receivedBytes;
      };
      const all = goodput({});
      expect(all).to.be.above(5 * MB);
      expect(goodput({ loss: 0.5 }), `${control}: half of the ACKs are lost`).to.be.above(0.9 * all);
      const eighth = { dropIf: (_: Uint8Array, number: number) => number > 3 && number % 8 !== 0 };
      expect(goodput(eighth), `${control}: one of eight comes`).to.be.above(0.9 * all);
    }
  });

  it('in slow start doubles the window each round trip, however few ACKs come (RFC 3465) [RM-12]', () => {
    for (const control of ['reno', 'cubic']) {
      const atSeconds = (downstream: BulkOptions['downstream']): number => {
        const bulk = new Bulk({
          control,
          upstream: { rateBps: 1e9, delayMs: 50 },
          downstream: { delayMs: 50, ...downstream },
        }).advance(0.75);
        bulk.close();
        return bulk.windows.last.cwndBytes;
      };
      const all = atSeconds({});
      expect(all).to.be.above(300 * SEGMENT);
      const fourth = { dropIf: (_: Uint8Array, number: number) => number > 3 && number % 4 !== 0 };
      expect(atSeconds(fourth), control).to.be.above(0.5 * all);
    }
  });

  it('does not overflow the queue at the end of slow start, as delay tells first (RFC 9406) [HYS-5 HYS-7]', () => {
    for (const control of ['reno', 'cubic']) {
      // 50 Mbit/s for 60 ms are 210 segments. The queue takes what five rounds of conservative slow start add;
      // without them the window would double until it overflows.
      const bulk = new Bulk({
        control,
        upstream: { rateBps: 50e6, delayMs: 30, queuePackets: 1700 },
        downstream: { delayMs: 30 },
      });
      bulk.until(() => bulk.windows.reductions.length > 0, 3);
      expect(bulk.stats.retransSegs, control).to.equal(0);
      expect(bulk.windows.last.ssthreshBytes / SEGMENT, control).to.be.within(210, 1900);
      expect(bulk.net.link?.outgoing.counters.queueDrops, control).to.equal(0);
      bulk.close();
    }
  });
});

describe('a window that is not in use', () => {
  /** Writes `bytes` every `everyMs`, over a round trip of 20 ms. */
  const trickle = (control: string, bytes: number, everyMs: number, seconds: number): Windows => {
    const windows = new Windows();
    const path = { rateBps: 100e6, delayMs: 10 };
    const net = new Simulation({
      upstream: path,
      downstream: path,
      client: { tcp: { connection: { congestionControl: control, noDelay: true } }, probe: windows },
    });
    const listener = net.server.listenTcp({ port: 80 });
    const endpoint = net.client.connectTcp({ address: net.serverAddress, port: 80 });
    net.clock.advanceBy(1e5);
    const accepted = listener.accept();
    const chunk = new Uint8Array(Math.max(bytes, 65_536));
    for (let ms = 0; ms < seconds * 1000; ms += everyMs) {
      endpoint.write(chunk, 0, bytes);
      net.clock.advanceBy(everyMs * 1000);
      while (accepted !== undefined && accepted.read(chunk) > 0);
    }
    net.close();
    return windows;
  };

  it('does not grow while the application limits what is sent (RFC 7661, Linux) [CC-13]', () => {
    for (const control of ['reno', 'cubic']) {
      // Four, and one of those before whose ACK is delayed: half the window.
      const small = trickle(control, 4 * SEGMENT, 50, 10);
      expect(small.last.cwndBytes, control).to.equal(10 * SEGMENT);
      // Slow start goes on to twice of what is in use.
      const larger = trickle(control, 20 * SEGMENT, 50, 10);
      expect(larger.last.cwndBytes, control).to.be.within(20 * SEGMENT, 40 * SEGMENT);
    }
  });

  it('does not grow while the receiver limits what is sent (RFC 7661, Linux) [CC-13]', () => {
    for (const control of ['reno', 'cubic']) {
      const server = { windowClampBytes: 60_000, receiveBufferBytes: 60_000, receiveBufferMaxBytes: 60_000 };
      const bulk = new Bulk({ control, ...roomy(20, []), server }).advance(5);
      expect(bulk.windows.last.inFlightBytes).to.be.at.most(60_000);
      expect(bulk.windows.last.cwndBytes, control).to.be.within(30_000, 120_000);
      bulk.close();
    }
  });

  it('does not jump when it is used again: the curve of CUBIC stood still (RFC 9438 §5.8) [CUB-10]', () => {
    const windows = new Windows();
    const path = { delayMs: 50 };
    const net = new Simulation({
      upstream: { ...path, rateBps: 200e6, drop: [600] },
      downstream: path,
      client: { tcp: { connection: { congestionControl: 'cubic', noDelay: true } }, probe: windows },
      server: { tcp: { connection: { receiveBufferBytes: 4 << 20 } } },
    });
    const listener = net.server.listenTcp({ port: 80 });
    const endpoint = net.client.connectTcp({ address: net.serverAddress, port: 80 });
    net.clock.advanceBy(2e5);
    const accepted = listener.accept();
    const chunk = new Uint8Array(65_536);
    /** Writes as much as it may each 10 ms, or one segment. */
    const write = (seconds: number, bytes: number): void => {
      for (let i = 0; i < seconds * 100; i++) {
        while (endpoint.write(chunk, 0, bytes) === bytes && bytes === chunk.length);
        net.clock.advanceBy(10_000);
        while (accepted !== undefined && accepted.read(chunk) > 0);
      }
    };
    write(3, chunk.length);
    expect(windows.reductions).to.have.length(1);
    // For half a minute next to nothing: K has long passed on the clock, and W(t) would be thousands of segments.
    write(0.5, 100);
    const before = windows.last.cwndBytes;
    write(30, 100);
    expect(windows.last.cwndBytes, 'unused').to.equal(before);
    write(0.6, chunk.length);
    const after = windows.last.cwndBytes;
    expect(after).to.be.within(before, 1.15 * before);
    write(3, chunk.length);
    expect(windows.last.cwndBytes, 'and then it goes on').to.be.above(after);
    net.close();
  });
});

describe('the response to congestion', () => {
  it('comes once for all that is lost of one window (RFC 5681 §3.2) [CC-22]', () => {
    for (const control of ['reno', 'cubic']) {
      // Ten of the segments that are in flight together.
      const drop = [130, 133, 134, 139, 145, 146, 150, 155, 160, 165];
      const bulk = new Bulk({ control, ...roomy(40, drop) }).advance(1.5);
      expect(bulk.stats.retransSegs, control).to.equal(10);
      expect(bulk.windows.reductions, control).to.have.length(1);
      expect(bulk.stats.timeouts, control).to.equal(0);
      bulk.close();
    }
  });

  it('comes once a round trip, however many are marked (RFC 3168 §6.1.2) [CC-22]', () => {
    for (const control of ['reno', 'cubic']) {
      const bulk = new Bulk({
        control,
        upstream: { rateBps: 20e6, delayMs: 20, ecnThresholdPackets: 5 },
        downstream: { delayMs: 20 },
        client: { ecn: 'request' },
        server: { ecn: 'accept' },
      }).advance(15);
      const { reductions } = bulk.windows;
      expect(bulk.stats.retransSegs, control).to.equal(0);
      expect(reductions.length, control).to.be.within(4, 100);
      for (let i = 1; i < reductions.length; i++) {
        expect(reductions[i] - reductions[i - 1], `${control}, ${i}`).to.be.at.least(40_000);
      }
      bulk.close();
    }
  });
});

describe('flows that share a bottleneck', () => {
  /** How much each got in the last `seconds` of `total`; the second begins two seconds after the first. */
  const shares = (controls: readonly string[], total: number, seconds: number): number[] => {
    const net = new SharedBottleneck({
      clients: controls.map((congestionControl) => ({
        tcp: { connection: { congestionControl } },
      })),
      upstream: { rateBps: 10e6, delayMs: 10, queuePackets: 40 },
      downstream: { delayMs: 10 },
    });
    const flows: Flow[] = [];
    for (const [i, from] of net.clients.entries()) {
      flows.push(new Flow({ from, to: net.server, address: net.serverAddress, port: 5000 + i }));
      net.clock.advanceBy(2e6);
    }
    net.clock.advanceBy((total - seconds) * 1e6);
    const before = flows.map(({ receivedBytes }) => receivedBytes);
    net.clock.advanceBy(seconds * 1e6);
    net.close();
    return flows.map(({ receivedBytes }, i) => receivedBytes - before[i]);
  };

  it('come to equal shares with CUBIC (RFC 9438 §5.6) [CUB-14]', () => {
    const cubic = shares(['cubic', 'cubic'], 25, 12);
    expect(cubic[0] + cubic[1], 'of 15 MB').to.be.above(14 * MB);
    expect(jainIndex(cubic), cubic.join()).to.be.above(0.9);
  });

  it('come to similar shares with CUBIC and Reno where the path is short (RFC 9438 §5.1) [CUB-14]', () => {
    const mixed = shares(['cubic', 'reno'], 25, 12);
    expect(mixed[0] + mixed[1]).to.be.above(14 * MB);
    expect(mixed[0] / mixed[1], mixed.join()).to.be.within(0.5, 2);
  });
});

describe('bursts', () => {
  /** Most bytes that entered the link within a millisecond, among packets from one number on. */
  class Bursts {
    readonly #sent: [atUs: number, bytes: number][] = [];

    note(atUs: number, bytes: number): void {
      this.#sent.push([atUs, bytes]);
    }

    largest(fromUs: number, toUs: number): number {
      const sent = this.#sent.filter(([atUs]) => atUs >= fromUs && atUs < toUs);
      let most = 0;
      for (let i = 0, j = 0, sum = 0; i < sent.length; i++) {
        sum += sent[i][1];
        while (sent[i][0] - sent[j][0] > 1000) sum -= sent[j++][1];
        most = Math.max(most, sum);
      }
      return most / SEGMENT;
    }
  }

  const observed = (options: Omit<BulkOptions, 'control'>): [Bulk, Bursts] => {
    const bursts = new Bursts();
    const made: Bulk[] = [];
    const upstream = {
      ...options.upstream,
      observe: (packet: Uint8Array) => {
        if (packet.length > 1000) bursts.note(made[0]?.net.clock.nowUs() ?? 0, packet.length - 52);
      },
    };
    const bulk = new Bulk({ control: 'cubic', ...options, upstream });
    made.push(bulk);
    return [bulk, bursts];
  };

  it('are no longer than a millisecond at the paced rate, whatever ACKs do (RFC 5681 §3.1) [CC-21]', () => {
    // One ACK of eight comes, for sixteen segments; there is a loss, too, and a recovery that ends with a large ACK.
    const run = (pacing: boolean): { largest: number; perMs: number } => {
      const [bulk, bursts] = observed({
        upstream: { rateBps: 100e6, delayMs: 20, drop: [700] },
        downstream: { delayMs: 20, dropIf: (_, number) => number > 3 && number % 8 !== 0 },
        client: { pacing },
      });
      bulk.advance(3).close();
      const { startUs, windows } = bulk;
      const { cwndBytes, srttUs } = windows.last;
      expect(cwndBytes).to.be.above(200 * SEGMENT);
      const perMs = (cwndBytes / SEGMENT / srttUs) * 1000;
      return { largest: bursts.largest(startUs, startUs + 3e6), perMs };
    };
    // Slow start paces at twice the window, and a millisecond meets two bursts at most.
    const { largest, perMs } = run(true);
    expect(largest).to.be.below(2 * 2 * perMs + 2);
    expect(run(false).largest, 'without pacing').to.be.above(5 * largest);
  });

  it('are no longer than the initial window after idleness (RFC 5681 §4.1) [CC-21 RM-10]', () => {
    const windows = new Windows();
    const bursts = new Bursts();
    const path = { delayMs: 20 };
    const net = new Simulation({
      upstream: {
        ...path,
        rateBps: 100e6,
        observe: (packet) => {
          if (packet.length > 1000) bursts.note(net.clock.nowUs(), packet.length - 52);
        },
      },
      downstream: path,
      client: { probe: windows },
    });
    const listener = net.server.listenTcp({ port: 80 });
    const endpoint = net.client.connectTcp({ address: net.serverAddress, port: 80 });
    net.clock.advanceBy(1e5);
    const accepted = listener.accept();
    const chunk = new Uint8Array(65_536);
    const send = (bytes: number): void => {
      for (let sent = 0; sent < bytes; ) {
        sent += endpoint.write(chunk, 0, Math.min(chunk.length, bytes - sent));
        net.clock.advanceBy(1000);
        while (accepted !== undefined && accepted.read(chunk) > 0);
      }
      net.clock.advanceBy(5e5);
      while (accepted !== undefined && accepted.read(chunk) > 0);
    };
    send(2 * MB);
    expect(windows.last.cwndBytes).to.be.above(50 * SEGMENT);
    const resumedUs = net.clock.nowUs();
    send(5e5);
    expect(bursts.largest(resumedUs, resumedUs + 30_000)).to.be.within(5, 11);
    net.close();
  });

  it('of a large initial window do not overflow a short queue when they are paced (RFC 6928 §3) [RM-10]', () => {
    const begin = (pacing: boolean): Bulk => {
      const bulk = new Bulk({
        control: 'cubic',
        upstream: { rateBps: 10e6, delayMs: 30, queuePackets: 20 },
        downstream: { delayMs: 30 },
        client: { initialWindow: 40, pacing },
      });
      // The first round trip is that of the handshake; the third begins at 120 ms.
      return bulk.advance(0.118);
    };
    const paced = begin(true);
    expect(paced.net.link?.outgoing.counters.queueDrops).to.equal(0);
    const unpaced = begin(false);
    expect(unpaced.net.link?.outgoing.counters.queueDrops).to.be.above(10);
    paced.close();
    unpaced.close();
  });
});
