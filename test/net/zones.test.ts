/** Link-local addresses, which mean something only together with a link (RFC 4007). */
import type { RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import '../../lib/dgram/stack-dgram.js';
import { createPipe } from '../../lib/link/pipe-device.js';
import { NODE_MAJOR } from '../../lib/net/node-version.js';
import { SystemClock } from '../../lib/stack/system-clock.js';
import { newStack } from './support/worlds.js';

/** Two stacks, joined twice, with the same link-local addresses on both pipes. */
function twiceJoined() {
  const [near, far] = [newStack(), newStack()];
  const links = ['fe80::1', 'fe80::1'].map((address) => {
    const [left, right] = createPipe({ clock: new SystemClock() });
    return {
      near: near.addLink(left, { addresses: [`${address}/64`] }),
      far: far.addLink(right, { addresses: ['fe80::2/64'] }),
    };
  });
  const close = (): void => {
    near.close();
    far.close();
  };
  return { near, far, links, close };
}

describe('link-local addresses', () => {
  it('are reached by the link that is named, and need one', async () => {
    const { near, far, links, close } = twiceJoined();
    for (const { near: from, far: to } of links) {
      const listener = far.listenTcp({ address: 'fe80::2', port: 80, link: to });
      const accepted = new Promise<number>((resolve) => {
        listener.onConnection = () => resolve(listener.accept()?.link ?? -1);
      });
      const endpoint = near.connectTcp({ address: 'fe80::2', port: 80, link: from });
      expect(await accepted).to.equal(to);
      expect(endpoint.link).to.equal(from);
    }
    expect(() => near.connectTcp({ address: 'fe80::2', port: 80 }))
      .to.throw(Error)
      .with.property('code', 'EINVAL');
    expect(() => near.connectTcp({ address: 'fe80::2', port: 80, link: 9 })).to.throw(
      RangeError,
      'no link 9',
    );
    close();
  });

  it('are connected to by sockets of dgram, which then know no other link', async () => {
    const { near, far, links, close } = twiceJoined();
    const server = far.dgram.createSocket('udp6');
    server.bind(0);
    await once(server, 'listening');
    server.on('message', (text, from) =>
      server.send(`${text.toString()} from ${from.address}`, from.port, from.address),
    );
    const { port } = server.address();
    const client = near.dgram.createSocket('udp6');
    client.connect(port, `fe80::2%${links[1].near}`);
    await once(client, 'connect');
    client.send('hello');
    const [answer, from] = (await once(client, 'message')) as [Buffer, RemoteInfo];
    // The two links have one name: their numbers tell them apart.
    expect(String(answer)).to.equal(`hello from fe80::1%${links[1].far}`);
    expect([from.address, client.remoteAddress().address]).to.deep.equal([
      `fe80::2%${links[1].near}`,
      `fe80::2%${links[1].near}`,
    ]);
    client.close();
    server.close();
    close();
  });

  it('are listened on and connected to by sockets of net, which show the zone', async () => {
    const { near, far, links, close } = twiceJoined();
    const [first, second] = links;
    const server = far.net.createServer((socket) => {
      socket.end(`${socket.remoteAddress} to ${socket.localAddress}`);
    });
    server.listen(0, `fe80::2%${second.far}`);
    await once(server, 'listening');
    const { address, port } = server.address() as AddressInfo;
    expect(address).to.equal(`fe80::2%${second.far}`);
    const socket = near.net.connect(port, `fe80::2%${second.near}`);
    const [text] = (await once(socket, 'data')) as [Buffer];
    expect(String(text)).to.equal(`fe80::1%${second.far} to fe80::2%${second.far}`);
    expect([socket.localAddress, socket.remoteAddress]).to.deep.equal([
      `fe80::1%${second.near}`,
      `fe80::2%${second.near}`,
    ]);
    // Over the other link the same addresses are others.
    const [refused] = await once(near.net.connect(port, `fe80::2%${first.near}`), 'error');
    expect(refused).to.have.property('message', `connect ECONNREFUSED fe80::2%${first.near}:${port}`);
    // Without a zone Node takes the first link since version 22, and fails before.
    const [anywhere] = await once(near.net.connect(port, 'fe80::2'), 'error');
    expect(anywhere).to.have.property('code', NODE_MAJOR >= 22 ? 'ECONNREFUSED' : 'EINVAL');
    // A zone of the own end says it as well.
    const local = near.net
      .connect({ port, host: 'fe80::2', localAddress: `fe80::1%${second.near}` })
      .resume();
    await once(local, 'close');
    expect(local.bytesRead).to.be.above(0);
    server.close();
    close();
  });
});
