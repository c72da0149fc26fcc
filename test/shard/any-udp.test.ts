/** UDP flows to any address where several stacks share an interface: what is said about them finds their shard. */
import { expect } from 'chai';
import type { UdpFlow } from '../../lib/udp/flow.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { INSIDE, ShardWorld } from './world.js';

const FLOWS = 24;

const addressOf = (i: number): string =>
  i % 2 === 0 ? `198.51.100.${1 + i}` : `2001:db8:f::${(1 + i).toString(16)}`;

/** Every shard takes any flow. @returns those of each, and the errors they heard of */
function takeAny(world: ShardWorld): { flows: UdpFlow[][]; errors: string[] } {
  const errors: string[] = [];
  const flows = world.stacks.map(() => [] as UdpFlow[]);
  for (const [index, stack] of world.stacks.entries()) {
    stack.listenAnyUdp({}, (request) => {
      const flow = request.accept();
      flow.onDatagram = () => {};
      flow.onError = ({ code, address, port }) => errors.push(`${code} ${address} ${port}`);
      flows[index].push(flow);
    });
  }
  return { flows, errors };
}

/** Sends to each of many addresses once, from a port that nobody has when the answer comes. */
function sendAndLeave(world: ShardWorld, to: (i: number) => string, port: number): void {
  for (let i = 0; i < FLOWS; i++) {
    const destination = IpAddress.parse(to(i));
    const socket = world.outside.openUdp(destination.family);
    expect(socket.send(Uint8Array.of(1), { destination, port })).to.equal(true);
    world.clock.advanceBy(1000);
    socket.close();
  }
}

describe('shards: UDP flows to any address', () => {
  for (const [what, to] of [
    ['of others', addressOf],
    ['of their own', (i: number) => INSIDE[i % 2 === 0 ? 4 : 6]],
  ] as const) {
    it(`hear of ICMP errors about answers from addresses ${what}, whichever shard these come to`, () => {
      const world = new ShardWorld({ shards: 4 });
      const { flows, errors } = takeAny(world);
      if (what === 'of others') world.stacks[0].openUdp(4).bind(undefined, 5353);
      sendAndLeave(world, to, 5353 + (what === 'of others' ? 0 : 1));
      const all = flows.flat();
      expect(all).to.have.length(FLOWS);
      expect(Math.min(...flows.map((own) => own.length)), 'of each shard').to.be.above(0);
      const expected: string[] = [];
      for (const flow of all) {
        const { destinationAddress, destinationPort } = flow;
        expect(flow.send(Uint8Array.of(2), destinationAddress, destinationPort)).to.equal(true);
        expected.push(`ECONNREFUSED ${destinationAddress} ${destinationPort}`);
        // Errors about one address are limited in rate.
        world.clock.advanceBy(1_100_000);
      }
      expect(errors.sort()).to.deep.equal(expected.sort());
      expect(
        world.sum(({ copied }) => copied),
        'by way of other shards',
      ).to.be.above(0);
      world.close();
    });
  }
});
