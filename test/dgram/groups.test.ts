/** Multicast by sockets of dgram: what may be said of it, compared with `node:dgram`, and what then arrives. */
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { expect } from 'chai';
import { anonymous, bound, next, pipeWorld, sameAsNode, thrown } from './world.js';

/** Sends until `receiver` has it: the first ones may come before a membership is known everywhere. */
async function hears(receiver: Socket, send: () => void): Promise<string> {
  send();
  return (await next(receiver))[0];
}

describe('dgram: groups', () => {
  sameAsNode('what a socket may join, and what not', async (world) => {
    const socket = world.client.createSocket('udp4');
    const own = world.clientHost;
    const calls: (() => unknown)[] = [
      // Joining binds.
      () => socket.addMembership('224.0.0.114', own),
      () => socket.address().address,
      () => socket.addMembership('224.0.0.114', own),
      () => socket.dropMembership('224.0.0.114', own),
      () => socket.dropMembership('224.0.0.114', own),
      () => socket.addMembership('224.0.0.114', '203.0.113.9'),
      () => socket.addMembership('224.0.0.114', 'nonsense'),
      () => socket.addMembership('224.0.0.114', ''),
      () => socket.addMembership('10.0.0.1', own),
      () => socket.addMembership('ff02::1'),
      () => socket.addMembership('nonsense'),
      () => socket.addSourceSpecificMembership('192.0.2.1', '232.1.1.1', own),
      () => socket.addSourceSpecificMembership('192.0.2.1', '232.1.1.1', own),
      () => socket.dropSourceSpecificMembership('192.0.2.2', '232.1.1.1', own),
      () => socket.addMembership('232.1.1.1', own),
      () => socket.addMembership('232.1.1.2', own),
      () => socket.addSourceSpecificMembership('192.0.2.1', '232.1.1.2', own),
      () => socket.dropMembership('232.1.1.1', own),
      () => socket.addSourceSpecificMembership('nonsense', '232.1.1.1', own),
      () => socket.addSourceSpecificMembership('::1', '232.1.1.1', own),
      () => socket.setMulticastInterface(own),
      () => socket.setMulticastInterface('203.0.113.9'),
      () => socket.setMulticastInterface('::'),
      () => socket.setMulticastInterface('224.0.0.2'),
      () => socket.setMulticastInterface('nonsense'),
      () => socket.setMulticastInterface('0.0.0.0'),
    ];
    const results = calls.map((call) => thrown(call));
    const failed = once(socket, 'error') as Promise<[Error]>;
    socket.bind(0);
    const [error] = await failed;
    results.push(error.message);
    socket.close();
    const fresh = world.client.createSocket('udp4');
    results.push(thrown(() => fresh.setMulticastInterface(own)));
    results.push(thrown(() => fresh.dropMembership('224.0.0.114', own)));
    results.push(thrown(() => fresh.dropSourceSpecificMembership('192.0.2.1', '232.0.0.1', own)));
    results.push(fresh.address().port > 0);
    fresh.close();
    const six = world.client.createSocket('udp6');
    results.push(
      thrown(() => six.addMembership('nonsense')),
      thrown(() => six.addMembership('ff02::7', '127.0.0.1')),
      thrown(() => six.dropMembership('ff02::200', '::%lo')),
      thrown(() => six.addSourceSpecificMembership('192.0.2.1', 'ff32::1', '::%lo')),
      thrown(() => six.setMulticastInterface('')),
      thrown(() => six.setMulticastInterface('::%nowhere')),
    );
    six.close();
    return results;
  });

  sameAsNode('what a socket sends to its own group', async (world) => {
    const own = world.clientHost;
    const socket = world.client.createSocket('udp4');
    const port = await bound(socket);
    socket.setMulticastInterface(own);
    socket.addMembership('224.0.0.114', own);
    const results: unknown[] = [];
    socket.send('to all', port, '224.0.0.114');
    const [message, { address }] = await next(socket);
    results.push(message, anonymous(address, world));
    socket.dropMembership('224.0.0.114', own);
    socket.addSourceSpecificMembership(own, '232.1.1.1', own);
    results.push(await hears(socket, () => socket.send('from me', port, '232.1.1.1')));
    // From a source that is not asked for nothing comes: the next thing heard is the unicast one.
    socket.dropSourceSpecificMembership(own, '232.1.1.1', own);
    socket.addSourceSpecificMembership('192.0.2.1', '232.1.1.1', own);
    socket.send('not wanted', port, '232.1.1.1');
    results.push(await hears(socket, () => socket.send('wanted', port, own)));
    socket.close();
    return results;
  });

  it('hears itself once on the loopback, and not at all on a link when it does not want to', async () => {
    const world = pipeWorld();
    const socket = world.client.createSocket('udp4');
    const port = await bound(socket);
    const heard: string[] = [];
    socket.on('message', (message) => heard.push(String(message)));
    for (const host of ['127.0.0.1', '10.9.0.1']) {
      socket.setMulticastInterface(host);
      socket.addMembership('239.7.7.7', host);
      for (const isLooped of [true, false]) {
        socket.setMulticastLoopback(isLooped);
        await new Promise((resolve) => socket.send(`${host} ${isLooped}`, port, '239.7.7.7', resolve));
      }
    }
    socket.send('end', port, '10.9.0.1');
    while (!heard.includes('end')) await once(socket, 'message');
    socket.close();
    world.close();
    // The loopback brings back whatever it is given, as on Linux.
    expect(heard.sort()).to.deep.equal(['10.9.0.1 true', '127.0.0.1 false', '127.0.0.1 true', 'end']);
  });

  it('names links as zones, by name or number', async () => {
    const world = pipeWorld();
    const receiver = world.server.createSocket('udp6');
    const port = await bound(receiver);
    const name = world.linkName;
    receiver.addMembership('ff02::77', `::%${name}`);
    const sender = world.client.createSocket('udp6');
    await bound(sender);
    sender.setMulticastInterface(`::%${name}`);
    expect(await hears(receiver, () => sender.send('by name', port, 'ff02::77'))).to.equal('by name');
    sender.send('zone', port, 'ff02::77%1');
    const [, { address }] = await next(receiver);
    expect(address).to.match(/^f[de]/);
    receiver.dropMembership('ff02::77', '::%1');
    // Without a zone, it is the first link.
    receiver.addMembership('ff02::77');
    expect(await hears(receiver, () => sender.send('no zone', port, 'ff02::77'))).to.equal('no zone');
    sender.close();
    receiver.close();
    world.close();
  });

  it('reports what it joins on the link, and leaves it when it closes', async () => {
    const world = pipeWorld();
    const { groups } = world.clientStack.stats;
    const socket = world.client.createSocket('udp4');
    await bound(socket);
    socket.addMembership('239.1.2.3', '10.9.0.1');
    expect(groups.outReports).to.equal(1);
    socket.close();
    expect(groups.outReports).to.equal(2);
    await once(socket, 'close');
    world.close();
  });
});
