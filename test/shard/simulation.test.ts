/** Stacks that share addresses behind one interface, in virtual time: every flow is whole, whoever gets its packets. */
import { expect } from 'chai';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';
import { UdpEvent } from '../../lib/udp/datagram.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { icmpErrorPacket } from '../support/icmp-packet.js';
import { Asker, Echo } from './echo.js';
import { INSIDE, OUTSIDE, ShardWorld } from './world.js';

/** Lets every shard listen and echo. @returns how many connections each has accepted */
function listen(world: ShardWorld, port: number, shards = world.stacks.map((_, i) => i)): number[] {
  const accepted = world.stacks.map(() => 0);
  for (const index of shards) {
    const listener = world.stacks[index].listenTcp({ port });
    listener.onConnection = () => {
      for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
        accepted[index]++;
        new Echo(next);
      }
    };
  }
  return accepted;
}

const ask = (world: ShardWorld, port: number, bytes: number, piece = bytes): Asker =>
  new Asker(world.outside.connectTcp({ address: INSIDE[4], port }), bytes, piece);

const complete = (askers: readonly Asker[]): boolean => askers.every((asker) => asker.code !== undefined);

describe('shards: connections from outside', () => {
  for (const shards of [1, 2, 4, 8]) {
    it(`reach ${shards} shards evenly by the kernel's steering, and need no hand-over`, () => {
      const world = new ShardWorld({ shards });
      const accepted = listen(world, 80);
      const askers = Array.from({ length: 200 }, () => ask(world, 80, 3000));
      world.clock.runUntil(() => complete(askers), 60e6);
      expect(askers.every((asker) => asker.isComplete)).to.equal(true);
      expect(world.resets).to.equal(0);
      expect(world.sum(({ handedOver, copied }) => handedOver + copied)).to.equal(0);
      const fair = 200 / shards;
      // Four standard deviations of a fair coin with so many sides.
      const slack = 4 * Math.sqrt(fair * (1 - 1 / shards));
      for (const count of accepted) expect(count).to.be.within(fair - slack, fair + slack);
      world.close();
    });
  }

  it('are whole though every packet comes to a random shard, over a path that loses some', () => {
    const turn = { next: 0 };
    const world = new ShardWorld({
      shards: 4,
      seed: 7,
      direction: { delayMs: 5, loss: 0.01 },
      misdirect: () => (turn.next = (turn.next * 5 + 3) % 97) % 4,
    });
    listen(world, 80);
    const askers = Array.from({ length: 40 }, () => ask(world, 80, 60_000));
    world.clock.runUntil(() => complete(askers), 300e6);
    expect(askers.every((asker) => asker.isComplete)).to.equal(true);
    expect(world.resets).to.equal(0);
    const arrived = world.queue.counters.inPackets;
    // Three of four packets came to another shard, of which SYNs are as welcome there as anywhere.
    expect(world.sum(({ handedOver }) => handedOver)).to.be.within(arrived * 0.6, arrived * 0.8);
    expect(world.sum(({ takenOver }) => takenOver)).to.equal(world.sum(({ handedOver }) => handedOver));
    expect(world.sum(({ ringFull }) => ringFull)).to.equal(0);
    world.close();
  });

  it('survive a queue less and a queue more: at most their first packet then comes to another shard', () => {
    const world = new ShardWorld({ shards: 4 });
    // The first two listen: queues that go away have nothing to lose.
    listen(world, 80, [0, 1]);
    const askers = Array.from({ length: 100 }, () => ask(world, 80, 4000, 1000));
    world.clock.runUntil(() => complete(askers), 60e6);
    const before = world.sum(({ handedOver }) => handedOver);
    expect(before, 'SYNs that came to shards without a listener').to.be.within(30, 70);
    const idle = Array.from({ length: 100 }, () => ask(world, 80, 4000, 2000));
    world.clock.advanceBy(200);
    world.queue.steering.queues = 2;
    world.clock.runUntil(() => complete(idle), 60e6);
    expect(idle.every((asker) => asker.isComplete)).to.equal(true);
    expect(world.resets).to.equal(0);
    world.close();
  });

  it('find the one shard that listens, and an RST only where none does', () => {
    const world = new ShardWorld({ shards: 4 });
    listen(world, 8080, [2]);
    const askers = Array.from({ length: 60 }, () => ask(world, 8080, 2000));
    world.clock.runUntil(() => complete(askers), 60e6);
    expect(askers.every((asker) => asker.isComplete)).to.equal(true);
    expect(world.resets).to.equal(0);
    const refused = Array.from({ length: 20 }, () => ask(world, 8081, 1));
    world.clock.runUntil(() => complete(refused), 60e6);
    expect(refused.map(({ code }) => code)).to.deep.equal(Array(20).fill('ECONNREFUSED'));
    expect(world.resets).to.equal(20);
    world.close();
  });
});

describe('shards: connections to outside', () => {
  it('leave from any shard, and their answers come home also after a silence', () => {
    const world = new ShardWorld({ shards: 4 });
    const listener = world.outside.listenTcp({ port: 90 });
    const far: Echo[] = [];
    const ends = new Set<string>();
    listener.onConnection = () => {
      for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
        ends.add(`${next.remotePort}`);
        far.push(new Echo(next));
      }
    };
    const askers = world.stacks.flatMap((stack) =>
      Array.from({ length: 25 }, () => {
        const asker = new Asker(stack.connectTcp({ address: OUTSIDE[4], port: 90 }), 30_000, 10_000);
        return asker;
      }),
    );
    world.clock.runUntil(() => complete(askers), 60e6);
    expect(askers.every((asker) => asker.isComplete)).to.equal(true);
    expect(ends.size, 'no two shards chose one port').to.equal(100);
    expect(world.sum(({ handedOver }) => handedOver)).to.equal(0);
    expect(world.resets).to.equal(0);
    world.close();
  });

  it('that were silent for three seconds cost one hand-over when the peer speaks first', () => {
    const world = new ShardWorld({ shards: 4 });
    const listener = world.outside.listenTcp({ port: 90 });
    listener.onConnection = () => {};
    const near = world.stacks.flatMap((stack) =>
      Array.from({ length: 25 }, () => stack.connectTcp({ address: OUTSIDE[4], port: 90 })),
    );
    world.clock.advanceBy(10e6);
    for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
      next.write(Uint8Array.of(1, 2, 3));
    }
    world.clock.advanceBy(1e6);
    expect(near.map((endpoint) => endpoint.readableBytes)).to.deep.equal(Array(100).fill(3));
    // Three of four flows have the hash of another queue; the answer makes an entry again.
    expect(world.sum(({ handedOver }) => handedOver)).to.be.within(60, 90);
    expect(world.resets).to.equal(0);
    world.close();
  });

  it('come home by their port where the common table of connections is full', () => {
    const world = new ShardWorld({ shards: 2, flows: 1024 });
    const listener = world.outside.listenTcp({ port: 90, backlog: 4000 });
    const near = world.stacks.flatMap((stack) =>
      Array.from({ length: 1000 }, () => stack.connectTcp({ address: OUTSIDE[4], port: 90 })),
    );
    world.clock.advanceBy(10e6);
    expect(world.sum(({ flowsFull }) => flowsFull)).to.be.within(976, 1400);
    for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
      next.write(Uint8Array.of(1));
    }
    world.clock.advanceBy(1e6);
    expect(near.every((endpoint) => endpoint.readableBytes === 1)).to.equal(true);
    expect(world.resets).to.equal(0);
    world.close();
  });
});

describe('shards: a shard that is gone', () => {
  it('leaves nothing behind: its connections are answered with RST, its ports are free', () => {
    const world = new ShardWorld({ shards: 2, direction: { delayMs: 1 } });
    listen(world, 80, [1]);
    const askers = Array.from({ length: 10 }, () => ask(world, 80, 400, 1));
    world.clock.advanceBy(20_000);
    // As a thread that dies: nothing is said to anybody, the queue is gone, and the main thread tidies up.
    world.queue.queues[1].close();
    world.board.gone(1);
    world.queue.steering.queues = 1;
    expect(world.board.tcpShards(80)).to.equal(0);
    world.clock.runUntil(() => complete(askers), 60e6);
    expect(askers.map(({ code }) => code)).to.deep.equal(Array(10).fill('ECONNRESET'));
    world.close();
  });
});

describe('shards: datagrams', () => {
  it('reach the shard that has the port, in fragments too, and port unreachable is said once', () => {
    const world = new ShardWorld({ shards: 4 });
    const heard: number[] = [];
    const server = world.stacks[3].openUdp(4);
    server.bind(undefined, 53);
    server.onEvents = (events) => {
      if ((events & UdpEvent.READABLE) === 0) return;
      for (let next = server.receive(); next !== undefined; next = server.receive()) {
        heard.push(next.length);
        server.send(next.payload.slice(), { destination: next.source, port: next.sourcePort });
      }
    };
    const clients = Array.from({ length: 30 }, () => {
      const client = world.outside.openUdp(4);
      client.connect(IpAddress.parse(INSIDE[4]), 53);
      client.send(new Uint8Array(100));
      client.send(new Uint8Array(5000));
      return client;
    });
    world.clock.advanceBy(1e6);
    expect(heard.sort((a, b) => a - b)).to.deep.equal([...Array(30).fill(100), ...Array(30).fill(5000)]);
    for (const client of clients) {
      expect(
        [client.receive()?.length, client.receive()?.length].sort((a, b) => Number(a) - Number(b)),
      ).to.deep.equal([100, 5000]);
    }
    const stray = world.outside.openUdp(4);
    stray.connect(IpAddress.parse(INSIDE[4]), 54);
    stray.send(new Uint8Array(10));
    world.clock.advanceBy(1e6);
    expect(world.stacks.reduce((sum, { stats }) => sum + stats.icmp.outDestUnreachs, 0)).to.equal(1);
    world.close();
  });

  it('to a group reach each shard that is in it once', () => {
    const world = new ShardWorld({ shards: 4 });
    const members = [1, 3].map((index) => {
      const socket = world.stacks[index].openUdp(4);
      socket.bind(undefined, 5000);
      socket.memberships.join(IpAddress.parse('239.1.2.3'), 1);
      return socket;
    });
    const sender = world.outside.openUdp(4, { multicastLink: 1 });
    for (let i = 0; i < 20; i++) {
      sender.send(new Uint8Array(100 + i), { destination: IpAddress.parse('239.1.2.3'), port: 5000 });
    }
    sender.send(new Uint8Array(4000), { destination: IpAddress.parse('239.1.2.3'), port: 5000 });
    world.clock.advanceBy(1e6);
    const wanted = [...Array.from({ length: 20 }, (_, i) => 100 + i), 4000];
    for (const socket of members) {
      const sizes: number[] = [];
      for (let next = socket.receive(); next !== undefined; next = socket.receive()) sizes.push(next.length);
      expect(sizes).to.deep.equal(wanted);
    }
    world.close();
  });
});

describe('shards: ICMP', () => {
  it('answers an echo request once, and brings replies to whoever asked', () => {
    const world = new ShardWorld({ shards: 4 });
    const replies: number[] = [];
    const listener = (index: number): { reply: () => void; error: () => void } => ({
      reply: () => void replies.push(index),
      error: () => {},
    });
    world.outside.ip.echo.add(7, listener(-1));
    const destination = IpAddress.parse(INSIDE[4]);
    world.outside.ip.sendEchoRequest({ destination, identifier: 7, sequence: 1, payload: new Uint8Array(8) });
    world.outside.schedule();
    world.clock.advanceBy(1e6);
    expect(replies).to.deep.equal([-1]);
    for (const [index, stack] of world.stacks.entries()) {
      stack.ip.echo.add(100 + index, listener(index));
      stack.ip.sendEchoRequest({
        destination: IpAddress.parse(OUTSIDE[4]),
        identifier: 100 + index,
        sequence: 1,
        payload: new Uint8Array(8),
      });
      stack.schedule();
    }
    world.clock.advanceBy(1e6);
    expect(replies.slice(1).sort((a, b) => a - b)).to.deep.equal([0, 1, 2, 3]);
    world.close();
  });

  it('brings a path MTU to the shard whose connection it is about, from wherever it comes', () => {
    const seen: Uint8Array[] = [];
    const world = new ShardWorld({
      shards: 4,
      direction: {
        dropIf: (packet) => {
          // What is too large for a router on the way, which says so.
          const isTooBig = packet.length > 1300;
          if (isTooBig) seen.push(packet.slice());
          return isTooBig;
        },
      },
    });
    let server: TcpEndpoint | undefined;
    for (const stack of world.stacks) {
      const listener = stack.listenTcp({ port: 80 });
      listener.onConnection = () => (server = listener.accept());
    }
    const client = world.outside.connectTcp({ address: INSIDE[4], port: 80 });
    world.clock.advanceBy(1000);
    server?.write(new Uint8Array(20_000));
    world.clock.advanceBy(1000);
    const [about] = seen;
    // From several routers, as each message comes to the queue that its addresses name.
    for (let router = 10; router < 26; router++) {
      const addresses = { source: `10.0.0.${router}`, destination: INSIDE[4] };
      const packet = icmpErrorPacket('too-big', addresses, { about, mtu: 1200 });
      const { outside } = world.queue;
      const batch = outside.borrow();
      batch?.appendPacket(packet);
      if (batch !== undefined) outside.send(batch);
    }
    world.clock.advanceBy(5e6);
    expect(client.readableBytes).to.equal(20_000);
    expect(server?.info.pathMtuBytes).to.equal(1200);
    expect(world.sum(({ handedOver }) => handedOver)).to.be.within(8, 16);
    world.close();
  });
});
