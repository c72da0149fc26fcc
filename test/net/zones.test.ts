/** Link-local addresses, which mean something only together with a link (RFC 4007). */
import type { RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { expect } from 'chai';
import '../../lib/dgram/stack-dgram.js';
import { createPipe } from '../../lib/link/pipe-device.js';
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
      server.send(`${text} from ${from.address}`, from.port, from.address),
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
});
