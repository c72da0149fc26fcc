/** UDP sockets, compared with `node:dgram`. */
import { once } from 'node:events';
import { expect } from 'chai';
import { anonymous, bound, describeError, next, pipeWorld, sameAsNode, thrown } from './world.js';

describe('dgram', () => {
  sameAsNode('there and back, in both families', async (world) => {
    const results: unknown[] = [];
    for (const [type, host] of [
      ['udp4', world.host],
      ['udp6', world.host6],
    ] as const) {
      const server = world.server.createSocket(type, (message, info) => {
        server.send(`re: ${String(message)}`, info.port, info.address);
      });
      const port = await bound(server, host);
      const client = world.client.createSocket(type);
      const sent = new Promise((resolve) => {
        client.send('question', port, host, (error, bytes) => resolve([error, bytes]));
      });
      const [answer, info] = await next(client);
      const { address, family, size } = info;
      results.push(answer, anonymous(address, world), family, size, info.port === port, await sent);
      const own = client.address();
      results.push(own.address, own.family, own.port > 0, Object.keys(info).sort());
      client.close();
      server.close();
      await Promise.all([once(client, 'close'), once(server, 'close')]);
    }
    return results;
  });

  sameAsNode('IPv4 on a socket of IPv6', async (world) => {
    const server = world.server.createSocket('udp6');
    const port = await bound(server);
    const client = world.client.createSocket('udp4');
    client.send('four', port, world.host);
    const [message, { address, family }] = await next(server);
    const single = world.server.createSocket({ type: 'udp6', ipv6Only: true });
    await bound(single);
    const mapped = world.client.createSocket('udp6');
    mapped.send('mapped', port, `::ffff:${world.host}`);
    const [second, from] = await next(server);
    for (const socket of [server, client, single, mapped]) socket.close();
    return [message, anonymous(address, world), family, second, anonymous(from.address, world)];
  });

  sameAsNode('every way to call `send`', async (world) => {
    const server = world.server.createSocket('udp4');
    const port = await bound(server, world.host);
    const client = world.client.createSocket('udp4');
    const { host } = world;
    const bytes = Buffer.from('0123456789');
    const ways: (() => void)[] = [
      () => client.send('text', port, host),
      () => client.send(bytes, port, host),
      () => client.send(bytes, 2, 3, port, host),
      () => client.send(bytes, 2, 3, port, host, () => {}),
      () => client.send(new Uint8Array([65, 66]), port, host),
      () => client.send(new DataView(bytes.buffer, bytes.byteOffset, 4), port, host),
      () => client.send(['a', Buffer.from('b'), new Uint8Array([67])], port, host),
      () => client.send([], port, host),
      () => client.send('', port, host),
      () => client.send('text', 1, 2, port, host),
    ];
    const received: unknown[] = [];
    for (const way of ways) {
      way();
      received.push((await next(server))[0]);
    }
    client.connect(port, host);
    await once(client, 'connect');
    const connectedWays: (() => void)[] = [
      () => client.send('connected'),
      () => client.send(bytes, () => {}),
      () => client.send(bytes, 1, 2),
      () => client.send(bytes, 1, 2, () => {}),
      () => client.send(['x', 'y']),
    ];
    for (const way of connectedWays) {
      way();
      received.push((await next(server))[0]);
    }
    client.close();
    server.close();
    return received;
  });

  sameAsNode('connecting, and back', async (world) => {
    const server = world.server.createSocket('udp4');
    const port = await bound(server, world.host);
    const probe = world.client.createSocket('udp4');
    const own = await bound(probe, world.clientHost);
    probe.close();
    await once(probe, 'close');
    const client = world.client.createSocket('udp4');
    // Linux gives a port up with the connection, unless it was asked for by number.
    client.bind(own);
    await once(client, 'listening');
    const log: unknown[] = [thrown(() => client.remoteAddress()), thrown(() => client.disconnect())];
    await new Promise<void>((resolve) => client.connect(port, world.host, resolve));
    const remote = client.remoteAddress();
    log.push(anonymous(remote.address, world), remote.family, remote.port === port);
    log.push(anonymous(client.address().address, world));
    log.push(thrown(() => client.connect(port, world.host)));
    log.push(thrown(() => client.send('x', port, world.host)));
    client.send('hello');
    const [, info] = await next(server);
    log.push(info.port === client.address().port);
    // What others send does not arrive: only the answer does.
    const other = world.server.createSocket('udp4');
    other.send('from another', client.address().port, world.clientHost);
    await once(other, 'listening');
    server.send('from the peer', info.port, info.address);
    log.push((await next(client))[0]);
    client.disconnect();
    log.push(thrown(() => client.remoteAddress()));
    other.send('now from another', client.address().port, world.clientHost);
    log.push((await next(client))[0]);
    for (const socket of [client, server, other]) socket.close();
    return log;
  });

  sameAsNode('nobody is there', async (world) => {
    const probe = world.server.createSocket('udp4');
    const port = await bound(probe, world.host);
    probe.close();
    await once(probe, 'close');
    const client = world.client.createSocket('udp4');
    client.connect(port, world.host);
    await once(client, 'connect');
    client.send('anybody?');
    const [error] = await once(client, 'error');
    client.close();
    // Without a connection nobody is told.
    const loose = world.client.createSocket('udp4');
    loose.on('error', () => log.push('told'));
    const log: unknown[] = [];
    await new Promise((resolve) => loose.send('anybody?', port, world.host, resolve));
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    loose.close();
    return [describeError(error, world), log];
  });

  sameAsNode('ports that are taken, and addresses of others', async (world) => {
    const first = world.server.createSocket('udp4');
    const port = await bound(first, world.host);
    const log: unknown[] = [];
    const second = world.server.createSocket('udp4');
    second.bind(port, world.host);
    log.push(describeError((await once(second, 'error'))[0], world));
    second.bind(0, '203.0.113.9');
    log.push(describeError((await once(second, 'error'))[0], world));
    second.bind(0, 'fd00::5');
    log.push(describeError((await once(second, 'error'))[0], world));
    second.bind({ port: 0, address: world.host }, () => log.push('callback'));
    await once(second, 'listening');
    const sharing = [1, 2].map(() => world.server.createSocket({ type: 'udp4', reuseAddr: true }));
    const shared = await bound(sharing[0], world.host);
    sharing[1].bind(shared, world.host);
    await once(sharing[1], 'listening');
    for (const socket of [first, second, ...sharing]) socket.close();
    return log;
  });

  sameAsNode('datagrams of all sizes, up to too large', async (world) => {
    const server = world.server.createSocket('udp4');
    const port = await bound(server, world.host);
    const client = world.client.createSocket('udp4');
    const log: unknown[] = [];
    for (const bytes of [0, 1, 500, 1472, 1473, 9000, 65_507]) {
      client.send(Buffer.alloc(bytes, 7), port, world.host);
      log.push((await next(server))[0].length);
    }
    const error = await new Promise((resolve) =>
      client.send(Buffer.alloc(65_508), port, world.host, resolve),
    );
    log.push(describeError(error, world));
    client.close();
    server.close();
    return log;
  });

  sameAsNode('arguments that can never be right', async (world) => {
    const { createSocket } = world.client;
    const socket = createSocket('udp4');
    const calls: (() => unknown)[] = [
      () => createSocket('udp5' as never),
      () => createSocket({} as never),
      () => createSocket({ type: 'udp4', lookup: 1 as never }),
      () => createSocket({ type: 'udp4', recvBufferSize: 'x' as never }),
      () => createSocket({ type: 'udp4', recvBufferSize: -1 }),
      () => createSocket({ type: 'udp4', signal: 'x' as never }),
      () => socket.send('x', 0, '127.0.0.1'),
      () => socket.send('x', 65_536, '127.0.0.1'),
      () => socket.send('x', 'y' as never, '127.0.0.1'),
      () => socket.send(1 as never, 80, '127.0.0.1'),
      () => socket.send([1] as never, 80, '127.0.0.1'),
      () => socket.send('x', 80, 1 as never),
      () => socket.send(Buffer.alloc(2), 3, 1, 80, '127.0.0.1'),
      () => socket.send(Buffer.alloc(2), 1, 3, 80, '127.0.0.1'),
      () => socket.connect(0),
      () => socket.connect(80, 1 as never),
      () => socket.setTTL('x' as never),
      () => socket.setTTL(0),
      () => socket.setTTL(1),
      () => socket.setMulticastTTL(256),
      () => socket.setBroadcast(true),
      () => socket.setMulticastLoopback(true),
      () => socket.address(),
      () => socket.addMembership(undefined as never),
      () => socket.setMulticastInterface(1 as never),
      () => socket.getRecvBufferSize(),
      () => socket.setRecvBufferSize(-1),
      () => socket.setSendBufferSize('x' as never),
      () => socket.addSourceSpecificMembership(1 as never, '232.1.1.1'),
    ];
    const results = calls.map(thrown);
    socket.close();
    results.push(thrown(() => socket.send('x', 80, '127.0.0.1')));
    results.push(thrown(() => socket.bind()));
    results.push(thrown(() => socket.close()));
    results.push(thrown(() => socket.address()));
    await once(socket, 'close');
    return results;
  });

  sameAsNode('what can be set once there is a port', async (world) => {
    const socket = world.client.createSocket({
      type: 'udp4',
      recvBufferSize: 50_000,
      sendBufferSize: 60_000,
    });
    await bound(socket, world.clientHost);
    const results: unknown[] = [
      socket.getRecvBufferSize(),
      socket.getSendBufferSize(),
      socket.setTTL(64),
      socket.setMulticastTTL(0),
      socket.setMulticastLoopback(false),
      socket.setBroadcast(true),
    ];
    results.push(
      thrown(() => socket.setTTL(0)),
      thrown(() => socket.setTTL(256)),
    );
    results.push(thrown(() => socket.setMulticastTTL(256)));
    results.push(thrown(() => socket.bind()));
    socket.setRecvBufferSize(70_000);
    socket.setSendBufferSize(80_000);
    results.push(socket.getRecvBufferSize(), socket.getSendBufferSize());
    results.push(socket.getSendQueueSize(), socket.getSendQueueCount());
    results.push(thrown(() => socket.addMembership('127.0.0.1')));
    results.push(thrown(() => socket.addMembership('nonsense')));
    results.push(thrown(() => socket.dropMembership('224.0.0.114')));
    results.push(thrown(() => socket.addMembership('224.0.0.114', '203.0.113.9')));
    results.push(thrown(() => socket.setMulticastInterface('203.0.113.9')));
    socket.addMembership('224.0.0.114', world.clientHost);
    results.push(thrown(() => socket.addMembership('224.0.0.114', world.clientHost)));
    socket.dropMembership('224.0.0.114', world.clientHost);
    socket.ref().unref().ref();
    socket.close();
    return results;
  });

  for (const [type, group, near, far] of [
    ['udp4', '239.1.2.3', '10.9.0.1', '10.9.0.2'],
    ['udp6', 'ff15::123', '::%1', '::%1'],
  ] as const) {
    it(`takes part in a group across a link, ${type}`, async () => {
      const world = pipeWorld();
      const receiver = world.server.createSocket(type);
      const port = await bound(receiver);
      receiver.addMembership(group, far);
      const sender = world.client.createSocket(type);
      await bound(sender);
      sender.setMulticastInterface(near);
      sender.send('to the group', port, group);
      const [message, { size }] = await next(receiver);
      expect([message, size]).to.deep.equal(['to the group', 12]);
      receiver.dropMembership(group, far);
      expect(() => receiver.dropMembership(group, far)).to.throw('dropMembership EADDRNOTAVAIL');
      sender.close();
      receiver.close();
      world.close();
    });
  }

  sameAsNode('the order of things', async (world) => {
    const log: unknown[] = [];
    const socket = world.client.createSocket('udp4');
    for (const event of ['listening', 'connect', 'close']) socket.on(event, () => log.push(event));
    socket.bind(0, world.clientHost, () => log.push('bind callback'));
    log.push('bind returned');
    socket.send('x', 9, world.host, () => log.push('sent'));
    await once(socket, 'listening');
    socket.connect(9, world.host, () => log.push('connect callback'));
    await once(socket, 'connect');
    socket.close(() => log.push('close callback'));
    log.push('close returned');
    await once(socket, 'close');
    return log;
  });

  sameAsNode('a name, a lookup of one’s own, and one that fails', async (world) => {
    const server = world.server.createSocket('udp4');
    const port = await bound(server, world.host);
    const asked: unknown[] = [];
    const lookup = ((name: string, family: unknown, found: (...args: unknown[]) => void) => {
      asked.push(name, family);
      if (name === 'nowhere.example') found(Object.assign(new Error('no'), { code: 'ENOTFOUND' }));
      else found(null, name === 'server.example' ? world.host : '0.0.0.0', 4);
    }) as never;
    const client = world.client.createSocket({ type: 'udp4', lookup });
    client.send('by name', port, 'server.example');
    const [message] = await next(server);
    const error = await new Promise((resolve) => client.send('x', port, 'nowhere.example', resolve));
    client.send('x', port, 'nowhere.example');
    const [emitted] = await once(client, 'error');
    const failed = new Promise((resolve) => client.connect(port, 'nowhere.example', resolve as () => void));
    const results = [message, asked, String(error), String(emitted), String(await failed)];
    client.close();
    server.close();
    return results;
  });

  sameAsNode('a signal, and disposal', async (world) => {
    const controller = new AbortController();
    const first = world.client.createSocket({ type: 'udp4', signal: controller.signal });
    await bound(first);
    controller.abort();
    await once(first, 'close');
    const early = world.client.createSocket({ type: 'udp4', signal: AbortSignal.abort() });
    await once(early, 'close');
    const third = world.client.createSocket('udp4');
    await bound(third);
    await third[Symbol.asyncDispose]();
    await third[Symbol.asyncDispose]();
    return [thrown(() => first.address()), thrown(() => early.bind()), thrown(() => third.address())];
  });

  sameAsNode('a burst, in order', async (world) => {
    const server = world.server.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    const port = await bound(server, world.host);
    const received: number[] = [];
    server.on('message', (message) => received.push(message.readUInt32LE()));
    const client = world.client.createSocket('udp4');
    await bound(client);
    for (let i = 0; i < 300; i++) {
      const message = Buffer.alloc(64);
      message.writeUInt32LE(i);
      client.send(message, port, world.host);
    }
    while (received.length < 300) await once(server, 'message');
    client.close();
    server.close();
    return received;
  });
});
