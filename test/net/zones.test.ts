/** Link-local addresses, which mean something only together with a link (RFC 4007). */
import { expect } from 'chai';
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

describe('net: link-local addresses', () => {
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
});
