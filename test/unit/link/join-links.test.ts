import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { joinLinks } from '../../../lib/link/join-links.js';
import type { LinkDevice } from '../../../lib/link/link-device.js';
import { PacketLink } from '../../../lib/link/packet-link.js';
import { createPipe, type PipeOptions } from '../../../lib/link/pipe-device.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { Transfer } from '../../../lib/sim/transfer.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { Stack } from '../../../lib/stack/stack.js';
import { makePacket } from './packets.js';

const OFFLOADS = { checksumOffload: true, segmentation: true, udpSegmentation: true };

/** Two stacks, each at a pipe, whose other ends are joined. */
function joinedStacks(first: Partial<PipeOptions>, second: Partial<PipeOptions>) {
  const clock = new VirtualClock(1e9);
  const random = new SeededRandom(1);
  const [a, near] = createPipe({ clock, ...first });
  const [b, far] = createPipe({ clock, ...second });
  const joined = joinLinks(near, far);
  const client = new Stack({ clock, random: random.fork() });
  const server = new Stack({ clock, random: random.fork() });
  client.addLink(a, { addresses: ['10.0.0.1/24', 'fd00::1/64'] });
  server.addLink(b, { addresses: ['10.0.0.2/24', 'fd00::2/64'] });
  return { clock, joined, client, server };
}

describe('joinLinks', () => {
  for (const [name, first, second] of [
    ['two plain links', {}, {}],
    ['a link with offloads and one without', OFFLOADS, {}],
    ['a link without offloads and one with', {}, OFFLOADS],
    ['two links with offloads', OFFLOADS, OFFLOADS],
    ['a link that leaves only checksums open', { checksumOffload: true }, {}],
  ] as const) {
    for (const family of [4, 6] as const) {
      it(`carries a connection over ${name}, by IPv${family}`, () => {
        const world = joinedStacks(first, second);
        const { clock, joined, client, server } = world;
        const serverAddress = family === 4 ? '10.0.0.2' : 'fd00::2';
        const transfer = new Transfer({ ...world, serverAddress } as never, 5000, { bytes: 1_000_000 });
        clock.runUntil(() => transfer.isOver, 60e6);
        expect(transfer.isIntact).to.equal(true);
        expect(transfer.receivedBytes).to.equal(1_000_000);
        expect(joined.forth.outPackets).to.equal(joined.forth.inPackets);
        expect([joined.forth.outDrops, joined.back.outDrops]).to.deep.equal([0, 0]);
        client.close();
        server.close();
        joined.close();
      });
    }
  }

  /** A link that takes what it is told to, and hands over what it is told to. */
  function handLink(clock: VirtualClock, mtu = 1500) {
    const sent: Uint8Array[] = [];
    let room = 0;
    const link: PacketLink = new PacketLink({
      clock,
      mtu,
      coalesce: false,
      sendBatch(batch, first) {
        let next = first;
        for (; next < batch.count && room > 0; next++, room--) {
          sent.push(batch.bytes.slice(batch.offset(next), batch.offset(next) + batch.length(next)));
        }
        return next;
      },
    });
    const take = (count: number): void => {
      room = count;
      link.ready();
      clock.advanceBy(0);
    };
    return { link, sent, take };
  }

  const numbered = (number: number): Uint8Array =>
    makePacket({ protocol: 17, identification: number, payload: 'x' });

  it('keeps what the other link has no room for, in order, within limits, and counts the rest', () => {
    const clock = new VirtualClock();
    const a = handLink(clock);
    const b = handLink(clock);
    const joined = joinLinks(a.link, b.link, { queuePackets: 200 });
    for (let i = 0; i < 600; i++) a.link.receive(numbered(i));
    clock.advanceBy(0);
    const { forth } = joined;
    const waiting = 600 - forth.dropped(DropReason.LinkQueueFull);
    expect(forth.inPackets).to.equal(600);
    expect(waiting).to.be.within(200, 200 + 3 * 64);
    expect(b.sent).to.have.length(0);
    for (let i = 0; i < 4; i++) b.take(50);
    a.link.receive(numbered(600));
    clock.advanceBy(0);
    for (let i = 0; i < 20; i++) b.take(50);
    expect(b.sent).to.have.length(waiting + 1);
    expect(b.sent.slice(0, waiting)).to.deep.equal(Array.from({ length: waiting }, (_, i) => numbered(i)));
    expect(b.sent[waiting]).to.deep.equal(numbered(600));
    for (let i = 0; i < 100; i++) a.link.receive(numbered(i));
    clock.advanceBy(0);
    for (let i = 0; i < 4; i++) b.take(50);
    expect(b.sent).to.have.length(waiting + 101);
  });

  it('lets nothing overtake what waits, though there be room by now', () => {
    const clock = new VirtualClock();
    const a = handLink(clock);
    const b = handLink(clock);
    joinLinks(a.link, b.link);
    for (let i = 0; i < 300; i++) a.link.receive(numbered(i));
    clock.advanceBy(0);
    // The alarm by which these come is set before that by which room is told.
    a.link.receive(numbered(300));
    for (let i = 0; i < 20; i++) b.take(100);
    expect(b.sent).to.deep.equal(Array.from({ length: 301 }, (_, i) => numbered(i)));
  });

  it('drops and counts what is larger than the other link takes', () => {
    const clock = new VirtualClock();
    const a = handLink(clock);
    const b = handLink(clock, 100);
    joinLinks(a.link, b.link);
    b.take(100);
    a.link.receive(makePacket({ protocol: 17, payload: new Uint8Array(200) }));
    a.link.receive(numbered(1));
    clock.advanceBy(0);
    expect(b.sent).to.deep.equal([numbered(1)]);
  });

  it('closes both when one fails, and says which', () => {
    const clock = new VirtualClock();
    const a = handLink(clock);
    const b = handLink(clock);
    const joined = joinLinks(a.link, b.link);
    const heard: string[] = [];
    joined.onDown = (error: Error, link: LinkDevice) => heard.push(`${link === b.link} ${error.message}`);
    b.link.fail(new Error('gone'));
    clock.runUntilIdle();
    expect(heard).to.deep.equal(['true gone']);
    expect(a.link.isUp).to.equal(false);
    joined.close();
    expect(clock.pending).to.equal(0);
  });

  it('refuses limits that are none', () => {
    const clock = new VirtualClock();
    expect(() => joinLinks(handLink(clock).link, handLink(clock).link, { queuePackets: 0 })).to.throw(
      RangeError,
    );
    expect(() => joinLinks(handLink(clock).link, handLink(clock).link, { queueBytes: 0.5 })).to.throw(
      RangeError,
    );
  });

  it('refuses a link twice, and links of frames, and opens neither', () => {
    const clock = new VirtualClock();
    const { link } = handLink(clock);
    const refused = { code: 'ERR_INVALID_ARG_VALUE' };
    const framed = Object.assign(handLink(clock).link, { framing: 'ethernet' as const });
    for (const [a, b] of [
      [link, link],
      [link, framed],
      [framed, link],
    ]) {
      expect(() => joinLinks(a, b))
        .to.throw(TypeError)
        .that.includes(refused);
    }
    joinLinks(link, handLink(clock).link).close();
  });

  it('ends with a link that had failed before', () => {
    const clock = new VirtualClock();
    const a = handLink(clock);
    const b = handLink(clock);
    b.link.fail(new Error('gone before'));
    clock.runUntilIdle();
    const joined = joinLinks(a.link, b.link);
    const heard: string[] = [];
    joined.onDown = (error: Error) => heard.push(error.message);
    clock.runUntilIdle();
    expect(heard).to.deep.equal(['gone before']);
    expect(a.link.isUp).to.equal(false);
  });
});
