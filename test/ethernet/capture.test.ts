import { expect } from 'chai';
import { EthernetLink } from '../../lib/ethernet/ethernet-link.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import { PcapDevice } from '../../lib/link/pcap.js';
import { createPipe } from '../../lib/link/pipe-device.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack } from '../../lib/stack/stack.js';
import { Lan, Pinger, viewOf } from './lan.js';

/** Block type of an interface description (draft-ietf-opsawg-pcapng §4.2). */
const INTERFACE = 1;
const PACKET = 6;

function blocksOf(chunks: readonly Uint8Array[]): { type: number; body: DataView }[] {
  const bytes = Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
  const view = viewOf(bytes);
  const blocks: { type: number; body: DataView }[] = [];
  for (let at = 0; at < bytes.length; at += view.getUint32(at + 4, true)) {
    blocks.push({ type: view.getUint32(at, true), body: new DataView(bytes.buffer, at + 8) });
  }
  return blocks;
}

describe('a capture and an Ethernet', () => {
  it('has packets where the recorder is around the link, which still knows its neighbours', () => {
    const lan = new Lan();
    lan.host('a', { addresses: ['10.0.0.1/24'] });
    const chunks: Uint8Array[] = [];
    const link = lan.link('b', { detection: { ipv6Probes: 0 }, linkLocal: false });
    const recorder = new PcapDevice(link, { clock: lan.clock, sink: (chunk) => chunks.push(chunk) });
    const stack = new Stack({ clock: lan.clock, random: lan.random.fork() });
    stack.addLink(recorder, { addresses: ['10.0.0.2/24'] });
    stack.routing.routes.add({ destination: '10.9.0.0/16', gateway: '10.0.0.1' });
    const ping = new Pinger(stack);
    ping.send('10.0.0.1');
    ping.send('10.9.0.1');
    lan.advanceMs(10);
    expect(ping.replies).to.deep.equal([1]);
    expect(link.neighbors().map(({ address }) => address)).to.deep.equal(['10.0.0.1']);
    const blocks = blocksOf(chunks);
    expect(blocks.find(({ type }) => type === INTERFACE)?.body.getUint16(0, true), 'LINKTYPE_RAW').to.equal(
      101,
    );
    expect(blocks.filter(({ type }) => type === PACKET)).to.have.length(3);
  });

  it('has frames where the recorder is around a device that says it carries frames', () => {
    const clock = new VirtualClock();
    const random = new SeededRandom(1);
    const pair: LinkDevice[] = createPipe({ clock, mtu: 1514 });
    const [near, far] = pair.map((device) => Object.assign(device, { framing: 'ethernet' as const }));
    const chunks: Uint8Array[] = [];
    const recorder = new PcapDevice(near, { clock, sink: (chunk) => chunks.push(chunk) });
    const quiet = { linkLocal: false, detection: { ipv4Announcements: 0 } } as const;
    const stacks = [recorder, far].map((frames, i) => {
      const stack = new Stack({ clock, random });
      stack.addLink(new EthernetLink({ frames, clock, random, ...quiet }), {
        addresses: [`10.0.0.${i + 1}/24`],
      });
      return stack;
    });
    const ping = new Pinger(stacks[0]);
    ping.send('10.0.0.2');
    clock.advanceBy(10_000);
    expect(ping.replies).to.deep.equal([1]);
    const blocks = blocksOf(chunks);
    expect(
      blocks.find(({ type }) => type === INTERFACE)?.body.getUint16(0, true),
      'LINKTYPE_ETHERNET',
    ).to.equal(1);
    const types = blocks.filter(({ type }) => type === PACKET).map(({ body }) => body.getUint16(20 + 12));
    expect(types, 'ARP, then IPv4').to.deep.equal([0x0806, 0x0806, 0x0800, 0x0800]);
  });
});
