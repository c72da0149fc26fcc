/** What is begun within a turn of the stack, however long that takes. */
import { expect } from 'chai';
import { createPipe } from '../../../lib/link/pipe-device.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { Stack } from '../../../lib/stack/stack.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { StallingClock } from '../../support/stalling-clock.js';

describe('a turn of a stack', () => {
  for (const by of ['UDP', 'TCP'] as const) {
    it(`gives a connection begun when ${by} was told of something its own time, though the program was slow`, () => {
      const clock = new StallingClock(1e9);
      const random = new SeededRandom(1);
      const [near, far] = createPipe({ clock });
      const client = new Stack({ clock, random });
      const server = new Stack({ clock, random });
      client.addLink(near, { addresses: ['10.0.0.1/24'] });
      server.addLink(far, { addresses: ['10.0.0.2/24'] });
      const listener = server.listenTcp({ port: 80 });
      let isConnected = false;
      const nothing = (): void => {};
      const quiet = {
        onConnect: nothing,
        onReadable: nothing,
        onWritable: nothing,
        onEnd: nothing,
        onClose: nothing,
      };
      const connectSlowly = (): void => {
        clock.stallBy(50_000);
        const endpoint = client.connectTcp({ address: '10.0.0.2', port: 80 });
        endpoint.handler = { ...quiet, onConnect: () => void (isConnected = true) };
      };
      if (by === 'UDP') {
        const endpoint = client.openUdp(4);
        endpoint.bind(IpAddress.parse('10.0.0.1'), 7);
        endpoint.onEvents = connectSlowly;
        const sender = server.openUdp(4);
        sender.send(Uint8Array.of(1), { destination: IpAddress.parse('10.0.0.1'), port: 7 });
      } else {
        client.connectTcp({ address: '10.0.0.2', port: 80 }).handler = { ...quiet, onConnect: connectSlowly };
      }
      clock.advanceBy(100_000);
      expect(isConnected).to.equal(true);
      expect(client.stats.tcp).to.include({ pawsActive: 0, synRetrans: 0 });
      expect(listener.ready).to.equal(by === 'UDP' ? 1 : 2);
      client.close();
      server.close();
    });
  }

  it('is gone on with at once where somebody who was told something has thrown', () => {
    const clock = new VirtualClock(1e9);
    const random = new SeededRandom(1);
    const [near, far] = createPipe({ clock });
    const client = new Stack({ clock, random });
    const server = new Stack({ clock, random });
    client.addLink(near, { addresses: ['10.0.0.1/24'] });
    server.addLink(far, { addresses: ['10.0.0.2/24'] });
    const nothing = (): void => {};
    const quiet = {
      onConnect: nothing,
      onReadable: nothing,
      onWritable: nothing,
      onEnd: nothing,
      onClose: nothing,
    };
    const listener = server.listenTcp({ port: 80 });
    listener.onConnection = () => {
      const accepted = listener.accept();
      if (accepted === undefined) return;
      const onReadable = (): void => {
        accepted.write(Uint8Array.of(2));
        throw new Error('a mistake of its own');
      };
      accepted.handler = { ...quiet, onReadable };
    };
    const endpoint = client.connectTcp({ address: '10.0.0.2', port: 80 });
    endpoint.handler = quiet;
    clock.advanceBy(100_000);
    endpoint.write(Uint8Array.of(1));
    expect(() => clock.advanceBy(10_000)).to.throw('a mistake of its own');
    clock.advanceBy(10_000);
    expect(endpoint.readableBytes, 'what it had written').to.equal(1);
    expect(client.stats.tcp.retransSegs).to.equal(0);
    client.close();
    server.close();
  });
});
