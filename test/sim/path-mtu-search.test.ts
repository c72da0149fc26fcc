/** Path MTU discovery by probes over UDP endpoints (RFC 8899), with a protocol that acknowledges what it gets. */
import { expect } from 'chai';
import { SIMULATED, Simulation } from '../../lib/sim/simulation.js';
import type { PathMtuSearch, PathMtuSearchOptions } from '../../lib/udp/path-mtu-search.js';
import type { UdpEndpoint } from '../../lib/udp/udp-endpoint.js';
import { ANY_V4, ANY_V6, IpAddress } from '../../lib/wire/ip-address.js';

/** Path MTUs: of a tunnel, and of a narrower one that takes its place. */
const WIDE = 1400;
const NARROW = 1300;
const MINUTE_US = 60e6;

/** A client that probes, and a server that answers each datagram with its size. */
class Conversation {
  readonly simulation: Simulation;
  readonly client: UdpEndpoint;
  readonly search: PathMtuSearch;
  readonly probed: number[] = [];
  readonly told: number[] = [];

  constructor(family: 4 | 6, mtu: number, options: Partial<PathMtuSearchOptions> = {}) {
    this.simulation = new Simulation({ upstream: { mtu }, family });
    const { client, server } = this.simulation;
    const answerer = server.openUdp(family);
    answerer.bind(family === 4 ? ANY_V4 : ANY_V6, 7);
    answerer.onEvents = () => {
      for (let datagram = answerer.receive(); datagram !== undefined; datagram = answerer.receive()) {
        const size = new Uint8Array(2);
        new DataView(size.buffer).setUint16(0, datagram.length);
        answerer.send(size, { destination: datagram.source, port: datagram.sourcePort });
      }
    };
    this.client = client.openUdp(family);
    this.client.connect(IpAddress.parse(SIMULATED.server[family]), 7);
    this.search = client.udp.searchPathMtu(this.client, {
      probe: (bytes) => {
        this.probed.push(bytes);
        this.client.send(new Uint8Array(bytes));
      },
      onChange: (bytes) => this.told.push(bytes),
      ...options,
    });
    this.client.onEvents = () => {
      for (let datagram = this.client.receive(); datagram !== undefined; datagram = this.client.receive()) {
        const view = new DataView(datagram.payload.slice().buffer);
        this.search.acknowledged(view.getUint16(0));
      }
    };
  }

  run(us: number): void {
    this.simulation.clock.advanceBy(us);
  }
}

for (const family of [4, 6] as const) {
  const overhead = family === 4 ? 28 : 48;

  describe(`path MTU search of a UDP endpoint, IPv${family}`, () => {
    it('finds what the path takes, without ICMP, and no more than the link takes (RFC 8899)', () => {
      const narrow = new Conversation(family, WIDE);
      expect(narrow.search.state).to.equal('disabled');
      narrow.search.connected();
      narrow.run(10 * MINUTE_US);
      expect(narrow.search.state).to.equal('search-complete');
      // The largest of the sizes that are common, or the ceiling.
      expect(narrow.search.plpmtuBytes).to.be.within(WIDE - overhead - 20, WIDE - overhead);
      expect(narrow.told.at(-1)).to.equal(narrow.search.plpmtuBytes);
      expect(Math.max(...narrow.probed)).to.equal(1500 - overhead);
      const whole = new Conversation(family, 1500, { maxBytes: 9000 });
      whole.search.connected();
      whole.run(MINUTE_US);
      expect([whole.search.state, whole.search.plpmtuBytes]).to.deep.equal([
        'search-complete',
        1500 - overhead,
      ]);
    });

    it('begins anew when what fitted does not arrive any more, and searches for more later', () => {
      const talk = new Conversation(family, WIDE);
      talk.search.connected();
      talk.run(10 * MINUTE_US);
      const before = talk.search.plpmtuBytes;
      talk.simulation.link?.outgoing.update({ mtu: NARROW });
      for (let i = 0; i < 3; i++) talk.search.lost(before);
      expect(talk.search.plpmtuBytes).to.equal(1200);
      talk.run(5 * MINUTE_US);
      expect(talk.search.plpmtuBytes).to.be.within(NARROW - overhead - 60, NARROW - overhead);
      talk.simulation.link?.outgoing.update({ mtu: 1500 });
      // PMTU_RAISE_TIMER: ten minutes.
      talk.run(15 * MINUTE_US);
      expect(talk.search.plpmtuBytes).to.equal(1500 - overhead);
    });

    it('ends with the endpoint, and with the next search', () => {
      const talk = new Conversation(family, WIDE);
      talk.search.connected();
      const { udp } = talk.simulation.client;
      const next = udp.searchPathMtu(talk.client, { probe: () => talk.probed.push(0) });
      expect(talk.search.state).to.equal('disabled');
      next.connected();
      expect(talk.probed.at(-1)).to.equal(0);
      talk.client.close();
      expect(next.state).to.equal('disabled');
      expect(udp.nextDeadlineUs).to.equal(Number.POSITIVE_INFINITY);
    });

    it('needs a peer, and sizes it can work with', () => {
      const { client } = new Simulation();
      const endpoint = client.openUdp(family);
      const options = { probe: () => {} };
      expect(() => client.udp.searchPathMtu(endpoint, options)).to.throw('ENOTCONN');
      endpoint.connect(IpAddress.parse(SIMULATED.server[family]), 7);
      expect(() => client.udp.searchPathMtu(endpoint, { ...options, probeTimerMs: 5 })).to.throw(RangeError);
      expect(endpoint.options.mtuDiscovery).to.equal('want');
    });
  });
}
