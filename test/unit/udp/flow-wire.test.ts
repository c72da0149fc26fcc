/** UDP flows to any address, packet by packet: floods, missing checksums, narrow paths, forged errors, links apart. */
import { expect } from 'chai';
import { randomBelow } from '../../../lib/base/random.js';
import { DropReason } from '../../../lib/base/stats.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { Stack } from '../../../lib/stack/stack.js';
import type { UdpFlow } from '../../../lib/udp/flow.js';
import type { FlowError } from '../../../lib/udp/flow-entry.js';
import { addressBytes, bytesOf, checksumOf, u16, u32, v4 } from '../../support/ip-wire.js';
import { WireLink } from '../../support/wire-link.js';

const OUTSIDE = '192.0.2.7';

class World {
  readonly clock = new VirtualClock(1e9);
  readonly wire = new WireLink();
  readonly stack = new Stack({ clock: this.clock, random: new SeededRandom(3) });
  readonly sent: Uint8Array[] = [];

  constructor() {
    this.stack.addLink(this.wire, { addresses: ['10.0.0.1/8'] });
    this.wire.onSent = ({ bytes }) => this.sent.push(bytes);
  }

  settle(ms = 1): void {
    this.clock.advanceBy(1000 * ms);
  }
}

/** A datagram; without checksum where that is asked for. */
function datagram(fields: {
  from: string;
  port: number;
  to?: string;
  text?: string;
  withoutChecksum?: boolean;
}): Uint8Array {
  const { from, port, to = OUTSIDE, text = 'x', withoutChecksum = false } = fields;
  const payload = new TextEncoder().encode(text);
  const header = (sum: number): Uint8Array =>
    bytesOf(u16(port), u16(53), u16(8 + payload.length), u16(sum), payload);
  const pseudo = bytesOf(addressBytes(from), addressBytes(to), [0, 17], u16(8 + payload.length));
  const checksum = withoutChecksum ? 0 : checksumOf(pseudo, header(0));
  return v4({ from, to, protocol: 17, payload: header(checksum) });
}

/** Fragmentation Needed about a packet, sent to `to`. */
function tooBig(quoted: Uint8Array, to: string, mtu: number): Uint8Array {
  const message = (sum: number): Uint8Array =>
    bytesOf([3, 4], u16(sum), u32(mtu), quoted.subarray(0, 20 + 64));
  return v4({ from: '10.0.0.9', to, protocol: 1, payload: message(checksumOf(message(0))) });
}

describe('UDP flows on the wire', () => {
  it('take datagrams without checksum (RFC 768)', () => {
    const { stack, wire, settle } = bound();
    let heard = '';
    stack.listenAnyUdp({}, (request) => {
      request.accept().onDatagram = (data) => {
        heard += new TextDecoder().decode(data);
      };
    });
    wire.inject([datagram({ from: '10.0.0.2', port: 9, text: 'bare', withoutChecksum: true })]);
    settle();
    expect(heard).to.equal('bare');
    const wrong = datagram({ from: '10.0.0.2', port: 9, text: 'wrong' });
    wrong[26] ^= 1;
    wire.inject([wrong]);
    settle();
    expect(heard).to.equal('bare');
    expect(stack.stats.drops.count(DropReason.UdpChecksum)).to.equal(1);
  });

  it('learn narrow paths from who is on them, and from nobody else', () => {
    const { stack, wire, sent, settle } = bound();
    const flows: UdpFlow[] = [];
    const errors: FlowError[] = [];
    stack.listenAnyUdp({}, (request) => {
      const flow = request.accept();
      flow.onError = (error) => errors.push(error);
      flows.push(flow);
    });
    wire.inject([datagram({ from: '10.0.0.2', port: 9 })]);
    settle();
    expect(flows[0].send(new Uint8Array(1400), OUTSIDE, 53)).to.equal(true);
    settle();
    const [packet] = sent.splice(0);
    expect(packet.length).to.equal(1428);
    expect(packet[6] & 0x40, 'DF').to.equal(0x40);
    // About an address that has sent nothing; about another port; sent to somebody else.
    const other = packet.slice();
    other.set(addressBytes('192.0.2.8'), 12);
    const port = packet.slice();
    port[21] ^= 1;
    wire.inject([
      tooBig(other, '192.0.2.8', 600),
      tooBig(port, OUTSIDE, 600),
      tooBig(packet, '192.0.2.9', 600),
    ]);
    settle();
    expect(errors).to.deep.equal([]);
    wire.inject([tooBig(packet, OUTSIDE, 600)]);
    settle();
    expect(errors).to.deep.equal([{ code: 'EMSGSIZE', mtu: 600, address: OUTSIDE, port: 53 }]);
    flows[0].send(new Uint8Array(1400), OUTSIDE, 53);
    settle();
    expect(sent.map(({ length }) => length <= 600)).to.deep.equal([true, true, true]);
  });

  it('are bounded in a flood from everywhere, and all end', () => {
    const { stack, wire, settle } = bound();
    const listener = stack.listenAnyUdp({ maxFlows: 500, maxPending: 200, idleMs: 10_000 }, (request) => {
      const decision = randomBelow(random, 4);
      if (decision === 0) request.ignore();
      else if (decision === 1) request.reject();
      else if (decision === 2) request.accept().onDatagram = () => {};
    });
    const random = new SeededRandom(5);
    const { counts } = listener;
    expect(counts.requested).to.equal(0);
    for (let round = 0; round < 200; round++) {
      const packets = Array.from({ length: 64 }, () => {
        const from = `10.${1 + randomBelow(random, 200)}.${randomBelow(random, 256)}.7`;
        return datagram({ from, port: 1 + randomBelow(random, 60_000) });
      });
      wire.inject(packets);
      settle();
      expect(listener.flows + listener.pending).to.be.at.most(500);
      expect(listener.pending).to.be.at.most(200);
    }
    const { requested, accepted, rejected, ignored, overflows } = listener.counts;
    expect(accepted + rejected + ignored + listener.pending).to.equal(requested);
    expect(requested + overflows).to.equal(200 * 64);
    expect(overflows).to.be.above(10_000);
    settle(31_000);
    expect([listener.flows, listener.pending]).to.deep.equal([0, 0]);
    expect(listener.counts.idle).to.equal(accepted);
    expect(stack.udp.memoryBytes).to.equal(0);
    listener.close();
    expect(stack.udp.nextDeadlineUs).to.equal(Number.POSITIVE_INFINITY);
  });

  it('are answered by the link of their listener, where networks behind two links have the same addresses', () => {
    const clock = new VirtualClock(1e9);
    const stack = new Stack({ clock, random: new SeededRandom(3), ip: { reversePathFilter: 'off' } });
    const wires = [new WireLink({ name: 'a' }), new WireLink({ name: 'b' })];
    const sent = [0, 0];
    for (const [i, wire] of wires.entries()) {
      wire.onSent = () => sent[i]++;
      const link = stack.addLink(wire, { addresses: [`10.0.0.${1 + i}/8`] });
      stack.listenAnyUdp({ link }, (request) => {
        const flow = request.accept();
        flow.onDatagram = (data, address, port) => flow.send(data, address, port);
      });
    }
    for (const [i, expected] of [
      [0, [1, 0]],
      [1, [1, 1]],
      [1, [1, 2]],
    ] as const) {
      wires[i].inject([datagram({ from: '10.0.0.5', port: 9 })]);
      clock.advanceBy(1000);
      expect(sent).to.deep.equal(expected);
    }
    stack.close();
  });
});

/** A world whose parts may be taken apart. */
function bound(): Pick<World, 'stack' | 'wire' | 'sent' | 'settle'> {
  const world = new World();
  return { stack: world.stack, wire: world.wire, sent: world.sent, settle: (ms) => world.settle(ms) };
}
