/** Fast Open between two stacks, on a path where any one packet may suffer. */
import { expect } from 'chai';
import type { Fault } from '../../lib/link/emulation-options.js';
import { Simulation, type SimulationOptions } from '../../lib/sim/simulation.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';

const PATH = { delayMs: 10, rateBps: 20e6 };
const FAST = { fastOpen: true };
/** More than a SYN holds, and less. */
const LONG = 3000;
const SHORT = 1000;

const contentOf = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, i) => (i * 7) & 0xff);

class Handler implements TcpEndpointHandler {
  readonly endpoint: TcpEndpoint;
  readonly received: number[] = [];
  readonly #bytes: number;

  constructor(endpoint: TcpEndpoint, bytes: number) {
    this.endpoint = endpoint;
    this.#bytes = bytes;
    endpoint.handler = this;
  }

  onConnect(): void {}
  onWritable(): void {}
  onReadable(): void {
    const bytes = new Uint8Array(65_536);
    for (let read = this.endpoint.read(bytes); read > 0; read = this.endpoint.read(bytes)) {
      this.took(bytes.subarray(0, read));
    }
  }
  onEnd(): void {
    this.endpoint.close();
  }
  onClose(): void {}
  protected took(bytes: Uint8Array): void {
    this.received.push(...bytes);
    if (this.received.length >= this.#bytes) this.endpoint.shutdown();
  }
}

/** Answers with what it hears. */
class Echo extends Handler {
  protected override took(bytes: Uint8Array): void {
    this.received.push(...bytes);
    this.endpoint.write(bytes);
  }
}

/** Two requests, the second with the cookie of the first; says what went wrong, '' for nothing. */
function run(
  options: SimulationOptions,
  bytes = LONG,
): { trouble: string; net: Simulation; tookMs: number[] } {
  const content = contentOf(bytes);
  const net = new Simulation({ seed: 3, ...options });
  const echoes: Echo[] = [];
  const listener = net.server.listenTcp({ port: 80, options: FAST });
  listener.onConnection = () => {
    for (let next = listener.accept(); next !== undefined; next = listener.accept())
      echoes.push(new Echo(next, bytes));
  };
  let trouble = '';
  const tookMs: number[] = [];
  for (let i = 0; i < 2 && trouble === ''; i++) {
    const address = net.serverAddress;
    const startUs = net.clock.nowUs();
    const client = new Handler(
      net.client.connectTcp({ address, port: 80, data: content, options: FAST }),
      bytes,
    );
    net.clock.runUntil(() => client.received.length >= bytes, 30e6);
    tookMs.push((net.clock.nowUs() - startUs) / 1000);
    if (Buffer.compare(Uint8Array.from(client.received), content) !== 0) {
      trouble = `request ${i}: ${client.received.length} of ${bytes} bytes came back, or wrong ones`;
    } else if (Buffer.compare(Uint8Array.from(echoes[i]?.received ?? []), content) !== 0) {
      trouble = `request ${i} arrived wrong`;
    }
  }
  if (trouble === '' && echoes.length !== 2) trouble = `${echoes.length} connections`;
  if (trouble === '' && !net.rest()) trouble = 'no rest';
  if (trouble === '' && net.client.tcp.connections + net.server.tcp.connections > 0)
    trouble = 'connections left';
  net.close();
  return { trouble, net, tookMs };
}

describe('Fast Open between two stacks', () => {
  it('saves the second request a round trip', () => {
    const { trouble, net, tookMs } = run({ upstream: PATH, downstream: PATH }, SHORT);
    expect(trouble).to.equal('');
    expect(tookMs[0] - tookMs[1]).to.be.closeTo(20, 2);
    expect(net.client.stats.tcp).to.include({ fastOpenActive: 1, fastOpenActiveFail: 0 });
    expect(net.server.stats.tcp).to.include({ fastOpenPassive: 1, fastOpenCookieReqd: 1 });
  });

  for (const [kind, family] of [
    ['drop', 4],
    ['drop', 6],
    ['delay', 6],
    ['duplicate', 4],
    ['corrupt', 6],
  ] as const) {
    it(`delivers every request once whatever packet suffers: ${kind}, IPv${family} (RFC 7413 §4.2) [TFO-8]`, () => {
      for (let packet = 1; packet <= 14; packet++) {
        const delayMs = kind === 'delay' ? 35 : 7;
        const hit = { ...PATH, faults: [{ packet, kind, delayMs } as Fault] };
        const up = run({ family, upstream: hit, downstream: PATH });
        expect(up.trouble, `upstream packet ${packet}`).to.equal('');
        const down = run({ family, upstream: PATH, downstream: hit });
        expect(down.trouble, `downstream packet ${packet}`).to.equal('');
      }
    });
  }
});
