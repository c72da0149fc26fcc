/** A stack that talks to itself: row E26 of robustness.md. */
import { expect } from 'chai';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { Stack } from '../../../lib/stack/stack.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../../lib/stack/tcp-endpoint.js';
import { stateName } from '../../../lib/tcp/state.js';
import { WireLink } from '../../support/wire-link.js';

const nothing = (): void => {};
const SILENT: TcpEndpointHandler = {
  onConnect: nothing,
  onReadable: nothing,
  onWritable: nothing,
  onEnd: nothing,
  onClose: nothing,
};

/** A stack with a link of its own, besides the loopback that every stack has. */
class Loop {
  readonly clock = new VirtualClock(1e9);
  readonly wire = new WireLink();
  readonly stack = new Stack({ clock: this.clock, random: new SeededRandom(26) });
  /** Packets that went out on the link instead of staying. */
  leaked = 0;

  constructor() {
    this.wire.onSent = () => this.leaked++;
    this.stack.addLink(this.wire, { addresses: ['10.0.0.1/24', 'fd00::1/64'], defaultRoute: true });
  }

  /** Connects to a listener of its own, and gives both ends. */
  pair(address: string): [client: TcpEndpoint, server: TcpEndpoint] {
    const listener = this.stack.listenTcp({ port: 80 });
    let server: TcpEndpoint | undefined;
    listener.onConnection = () => {
      server = listener.accept();
    };
    const client = this.stack.connectTcp({ address, port: 80 });
    this.clock.advanceBy(1000);
    if (server === undefined) throw new Error('nobody was accepted');
    return [client, server];
  }

  end(): void {
    this.clock.advanceBy(300e6);
    expect(this.stack.tcp.connections).to.equal(0);
    expect(this.stack.stats.tcp).to.include({ currEstab: 0, twCount: 0, memoryBytes: 0 });
    expect(this.leaked).to.equal(0);
    this.stack.close();
    expect(this.clock.pending).to.equal(0);
  }
}

describe('a connection to the port it comes from', () => {
  for (const address of ['127.0.0.1', '::1', '10.0.0.1', 'fd00::1']) {
    it(`meets itself at ${address}, carries data and ends, in few segments [E26]`, () => {
      const loop = new Loop();
      const local = address === '127.0.0.1' || address === '::1' ? {} : { localAddress: address };
      const endpoint = loop.stack.connectTcp({ address, port: 5000, localPort: 5000, ...local });
      const events: string[] = [];
      endpoint.handler = {
        ...SILENT,
        onConnect: () => events.push('connect'),
        onClose: (code) => events.push(`close ${code}`),
      };
      loop.clock.advanceBy(5e6);
      // As RFC 9293 §3.5 has it, a SYN that meets itself is a simultaneous open.
      expect(events).to.deep.equal(['connect']);
      expect(stateName(endpoint.state)).to.equal('ESTABLISHED');
      expect(loop.stack.stats.tcp.outSegs).to.be.below(8);
      endpoint.write(new Uint8Array([1, 2, 3]));
      loop.clock.advanceBy(1e6);
      const bytes = new Uint8Array(10);
      expect(endpoint.read(bytes)).to.equal(3);
      expect([...bytes.subarray(0, 3)]).to.deep.equal([1, 2, 3]);
      endpoint.shutdown();
      loop.clock.advanceBy(1e6);
      expect(loop.stack.stats.tcp.outSegs).to.be.below(20);
      loop.end();
    });
  }

  it('that is aborted is over at once [E26]', () => {
    const loop = new Loop();
    const endpoint = loop.stack.connectTcp({ address: '127.0.0.1', port: 5000, localPort: 5000 });
    loop.clock.advanceBy(1e6);
    endpoint.abort();
    loop.clock.advanceBy(1e6);
    expect(stateName(endpoint.state)).to.equal('CLOSED');
    expect(loop.stack.stats.tcp.outSegs).to.be.below(10);
    loop.end();
  });
});

describe('two ends of one stack', () => {
  for (const address of ['127.0.0.1', '::1', '10.0.0.1', 'fd00::1']) {
    it(`at ${address} answer each other thousands of times without growing a stack of calls [E26]`, () => {
      const loop = new Loop();
      const ends = loop.pair(address);
      let exchanges = 0;
      let deepest = 0;
      let depth = 0;
      for (const endpoint of ends) {
        const bytes = new Uint8Array(10);
        endpoint.handler = {
          ...SILENT,
          onReadable: () => {
            depth++;
            deepest = Math.max(deepest, depth);
            const count = endpoint.read(bytes);
            if (++exchanges < 4000) endpoint.write(bytes, 0, count);
            depth--;
          },
        };
      }
      ends[0].write(new Uint8Array([7]));
      loop.clock.advanceBy(10e6);
      expect(exchanges).to.equal(4000);
      expect(deepest).to.equal(1);
      // An answer is one segment, and carries the ACK of what it answers.
      expect(loop.stack.stats.tcp.outSegs).to.be.below(4000 + 50);
      for (const endpoint of ends) endpoint.close();
      loop.end();
    });
  }

  it('that both close and abort from within their own events end, and no event comes afterwards [E26]', () => {
    const loop = new Loop();
    const [client, server] = loop.pair('127.0.0.1');
    const events: string[] = [];
    client.handler = {
      ...SILENT,
      onEnd: () => {
        events.push('client end');
        client.abort();
      },
      onClose: (code) => events.push(`client close ${code}`),
    };
    server.handler = {
      ...SILENT,
      onReadable: () => {
        events.push('server readable');
        server.read(new Uint8Array(10));
        server.close();
        server.abort();
      },
      onClose: (code) => events.push(`server close ${code}`),
    };
    client.write(new Uint8Array(5));
    loop.clock.advanceBy(5e6);
    expect(events[0]).to.equal('server readable');
    expect(events.filter((event) => event.startsWith('client close'))).to.have.length(1);
    expect(events.filter((event) => event === 'server readable')).to.have.length(1);
    loop.end();
  });

  it('refuse each other, one attempt after the other, each with one RST [E26]', () => {
    const loop = new Loop();
    let refused = 0;
    const again = (): void => {
      const endpoint = loop.stack.connectTcp({ address: '127.0.0.1', port: 81 });
      endpoint.handler = {
        ...SILENT,
        onClose: (code) => {
          if (code === 'ECONNREFUSED' && ++refused < 500) again();
        },
      };
    };
    again();
    loop.clock.advanceBy(5e6);
    expect(refused).to.equal(500);
    expect(loop.stack.stats.tcp.outRsts).to.equal(500);
    loop.end();
  });
});
