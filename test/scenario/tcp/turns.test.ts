/** A connection with much to send lets others have their turn. */
import { expect } from 'chai';
import { Simulation } from '../../../lib/sim/simulation.js';
import type { TcpEndpoint } from '../../../lib/stack/tcp-endpoint.js';
import { TURN_BYTES } from '../../../lib/tcp/transmission.js';

const MIB = 1 << 20;
/** A run ends with the super-packet that uses its turn up. */
const LONGEST_RUN = TURN_BYTES + 65_535;

interface Run {
  readonly port: number;
  bytes: number;
}

/** Connections whose windows hold megabytes write so much each, all at once: whose text left one after another. */
class Crowd {
  readonly runs: Run[] = [];
  readonly endpoints: TcpEndpoint[] = [];
  received = 0;
  readonly #net: Simulation;

  constructor(connections: number) {
    this.#net = new Simulation({
      superPackets: true,
      upstream: { delayMs: 10, observe: (packet) => this.#note(packet) },
      client: { tcp: { connection: { initialWindow: 10_000, noDelay: true } } },
    });
    const listener = this.#net.server.listenTcp({ port: 80 });
    listener.onConnection = () => {
      for (let got = listener.accept(); got !== undefined; got = listener.accept()) {
        got.setReceiveBuffer(16 * MIB);
        got.setSink({ take: (_bytes, _at, length) => this.#take(length) });
      }
    };
    for (let i = 0; i < connections; i++) {
      const endpoint = this.#net.client.connectTcp({ address: this.#net.serverAddress, port: 80 });
      endpoint.setSendBuffer(8 * MIB);
      this.endpoints.push(endpoint);
    }
    this.#net.clock.advanceBy(1e5);
    // The window of a SYN-ACK is never scaled: the next ACK tells of the whole.
    for (const endpoint of this.endpoints) endpoint.write(new Uint8Array(1));
    this.#net.clock.advanceBy(1e5);
    this.runs.length = 0;
    this.received = 0;
  }

  /** @param bytes of each; a connection's bytes beyond the first window are not sent in the same moment */
  write(bytes: number): void {
    for (const endpoint of this.endpoints) expect(endpoint.write(new Uint8Array(bytes))).to.equal(bytes);
    this.#net.clock.advanceBy(1000);
  }

  finish(): void {
    this.#net.clock.advanceBy(10e6);
    this.#net.close();
  }

  #take(bytes: number): boolean {
    this.received += bytes;
    return true;
  }

  #note(packet: Uint8Array): void {
    const view = new DataView(packet.buffer, packet.byteOffset);
    const bytes = packet.length - 52;
    const port = view.getUint16(20);
    const last = this.runs.at(-1);
    if (bytes <= 0) return;
    if (last?.port === port) last.bytes += bytes;
    else this.runs.push({ port, bytes });
  }
}

describe('turns', () => {
  it('are taken by all that have much to send, one after another', () => {
    const crowd = new Crowd(3);
    crowd.write(3 * MIB);
    expect(Math.max(...crowd.runs.map(({ bytes }) => bytes))).to.be.at.most(LONGEST_RUN);
    const [first, second, third] = crowd.runs.map(({ port }) => port);
    expect(new Set([first, second, third]).size).to.equal(3);
    // All of it leaves in the same moment: a turn waits for nothing but the others'.
    const order = crowd.runs.map(({ port }) => port);
    expect(order.slice(0, 9)).to.deep.equal([
      first,
      second,
      third,
      first,
      second,
      third,
      first,
      second,
      third,
    ]);
    expect(crowd.runs.reduce((sum, { bytes }) => sum + bytes, 0)).to.equal(9 * MIB);
    crowd.finish();
    expect(crowd.received).to.equal(9 * MIB);
  });

  it('end where all is sent: what is written next has a turn of its own', () => {
    const crowd = new Crowd(1);
    for (let round = 1; round <= 4; round++) {
      crowd.write(TURN_BYTES);
      expect(crowd.runs[0].bytes).to.equal(round * TURN_BYTES);
    }
    crowd.finish();
    expect(crowd.received).to.equal(4 * TURN_BYTES);
  });
});
