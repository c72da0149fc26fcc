/** What leaves an Ethernet link: headers before packets where they lie, texts that lie elsewhere, and its own messages in between. */
import { expect } from 'chai';
import { EthernetLink } from '../../lib/ethernet/ethernet-link.js';
import type { EthernetLinkOptions } from '../../lib/ethernet/ethernet-options.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import { BATCH_HEADER_WORDS, PacketBatch, SLOT_WORDS, SlotWord } from '../../lib/link/packet-batch.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { LinkPort } from '../../lib/stack/link-port.js';
import { Stack } from '../../lib/stack/stack.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { ChecksumState } from '../../lib/wire/ip-packet.js';
import { hex, Pinger, viewOf } from './lan.js';

const ARP = 0x0806;
const IPV4 = 0x0800;
const ANYBODY = IpAddress.parse('10.0.0.77');

/** One end of a cable that takes super-packets, and texts from where they lie, as a TAP does. */
class Cable implements LinkDevice {
  readonly name = 'cable';
  readonly mtu = 1518;
  readonly maxPacketBytes = 65_549;
  readonly checksumOffload = true;
  readonly gathers = true;
  readonly framing = 'ethernet';
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  /** Frames that left, and how many had their text elsewhere. */
  readonly sent: Uint8Array[] = [];
  texts = 0;
  isFull = false;
  timesClosed = 0;
  peer: Cable | undefined;
  readonly #outgoing = new PacketBatch();
  readonly #incoming = new PacketBatch();
  #onBatch: (batch: PacketBatch) => void = () => {};
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
  }

  borrow(): PacketBatch | undefined {
    if (this.isFull) return undefined;
    // What the device has to send for want of room, nobody above knows of.
    if (this.#outgoing.room < this.maxPacketBytes) this.send(this.#outgoing);
    return this.#outgoing;
  }

  send(batch: PacketBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const frame = this.#gather(batch, i);
      this.sent.push(frame);
      const [checksum, segmentSize, headerBytes] = [
        batch.checksum(i),
        batch.segmentSize(i),
        batch.headerBytes(i),
      ];
      this.#clock
        .createAlarm(() => this.peer?.deliver(frame, { checksum, segmentSize, headerBytes }))
        .setAt(this.#clock.nowUs() + 10);
    }
    batch.clear();
  }

  deliver(
    frame: Uint8Array,
    about: { checksum: ChecksumState; segmentSize: number; headerBytes: number },
  ): void {
    const batch = this.#incoming;
    batch.clear();
    batch.bytes.set(frame, 0);
    batch.append(frame.length, about.checksum, about.segmentSize, about.headerBytes);
    this.#onBatch(batch);
  }

  close(): void {
    this.timesClosed++;
  }

  /** A frame as `writev` would make it. */
  #gather(batch: PacketBatch, i: number): Uint8Array {
    const offset = batch.offset(i);
    const frame = batch.bytes.slice(offset, offset + batch.length(i));
    const slot = BATCH_HEADER_WORDS + i * SLOT_WORDS;
    const bytes = batch.words[slot + SlotWord.TEXT_BYTES];
    if (bytes === 0) return frame;
    this.texts++;
    const at = batch.words[slot + SlotWord.TEXT_AT];
    const memory = batch.memories[batch.words[slot + SlotWord.TEXT_MEMORY]];
    frame.set(memory.subarray(at, at + bytes), frame.length - bytes);
    return frame;
  }
}

describe('What leaves an Ethernet link', () => {
  let clock: VirtualClock;
  let cables: Cable[];
  let links: EthernetLink[];
  let stacks: Stack[];

  const start = (options: Partial<EthernetLinkOptions> = {}): void => {
    clock = new VirtualClock(1e9);
    const random = new SeededRandom(5);
    cables = [new Cable(clock), new Cable(clock)];
    [cables[0].peer, cables[1].peer] = [cables[1], cables[0]];
    links = cables.map(
      (frames) =>
        new EthernetLink({
          frames,
          clock,
          random,
          mtu: 1500,
          linkLocal: false,
          detection: { ipv4Announcements: 0 },
          ...options,
        }),
    );
    stacks = links.map((link, i) => {
      const stack = new Stack({ clock, random: random.fork() });
      stack.addLink(link, { addresses: [`10.0.0.${i + 1}/24`] });
      return stack;
    });
  };

  afterEach(() => {
    for (const stack of stacks) stack.close();
  });

  const typesOf = (cable: Cable): number[] => cable.sent.map((frame) => viewOf(frame).getUint16(12));

  for (const vlan of [undefined, 7]) {
    it(`has its texts from where they lie, also of packets that waited${vlan === undefined ? '' : ', in a VLAN'}`, () => {
      start(vlan === undefined ? {} : { vlan });
      const data = Uint8Array.from({ length: 600_000 }, (_, i) => (i * 7919) >>> 5);
      const listener = stacks[1].listenTcp({ port: 80, address: '10.0.0.2' });
      const client = stacks[0].connectTcp({ address: '10.0.0.2', port: 80 });
      const received = new Uint8Array(data.length + 1);
      let written = 0;
      let read = 0;
      let server = listener.accept();
      for (let turn = 0; turn < 4000 && read < data.length; turn++) {
        written += client.write(data.subarray(written));
        // Again and again nobody knows where the other is, in the midst of it.
        if (turn % 2 === 1) links[0].forgetNeighbor('10.0.0.2');
        clock.advanceBy(1000);
        server ??= listener.accept();
        if (server !== undefined) read += server.read(received.subarray(read));
      }
      expect(read).to.equal(data.length);
      expect(hex(received.subarray(0, read)) === hex(data)).to.equal(true);
      expect(cables[0].texts, 'none was copied').to.be.greaterThan(10);
      expect(Math.max(...cables[0].sent.map(({ length }) => length))).to.be.greaterThan(20_000);
      expect(stacks[1].stats.tcp.inErrs).to.equal(0);
    });
  }

  it('takes no larger packets than a frame has room for', () => {
    start({ vlan: 7 });
    expect(links[0].maxPacketBytes).to.equal(65_531);
    start();
    expect(links[0].maxPacketBytes).to.equal(65_535);
  });

  it('is what the stack has filled before messages of the link, and nothing twice', () => {
    start();
    const ping = new Pinger(stacks[0]);
    ping.send('10.0.0.2');
    clock.advanceBy(1000);
    const before = cables[0].sent.length;
    // A packet waits for the end of the turn, when somebody asks: the answer goes behind it.
    ping.send('10.0.0.2');
    links[0].askFor(ANYBODY, 100, () => {});
    expect(cables[0].sent).to.have.length(before);
    clock.advanceBy(1000);
    expect(typesOf(cables[0]).slice(before)).to.deep.equal([IPV4, ARP]);
    expect(ping.replies).to.deep.equal([1, 2]);
  });

  it('has its header before it, whatever was sent since the room for it was asked for first', () => {
    start();
    new Pinger(stacks[0]).send('10.0.0.2');
    clock.advanceBy(1000);
    const port = new LinkPort(1, links[0], () => {});
    expect(port.reserve()).to.equal(true);
    links[0].askFor(ANYBODY, 100, () => {});
    const before = cables[0].sent.length;
    expect(port.reserve()).to.equal(true);
    const packet = Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0, 0, 64, 99, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2);
    port.bytes.set(packet, port.at);
    port.commit(packet.length, ChecksumState.Valid, 0, 0);
    port.flush();
    const [frame] = cables[0].sent.slice(before);
    const { mac } = links[0];
    expect(hex(frame)).to.equal(
      hex(Uint8Array.of(...links[1].mac.toBytes(), ...mac.toBytes(), 8, 0, ...packet)),
    );
  });

  it('leaves by a link: a stack itself takes no frames', () => {
    start();
    const stack = new Stack({ clock, random: new SeededRandom(1) });
    expect(() => stack.addLink(new Cable(clock))).to.throw(TypeError, 'put an EthernetLink around it');
    stack.close();
  });

  it('closes its device also when that has failed', () => {
    start();
    cables[0].onDown(new Error('unplugged'));
    expect(cables[0].timesClosed).to.equal(0);
    stacks[0].close();
    expect(cables[0].timesClosed).to.equal(1);
  });

  it('waits while the device is full: messages of the link within a limit, packets with the stack', () => {
    start();
    const ping = new Pinger(stacks[0]);
    ping.send('10.0.0.2');
    clock.advanceBy(1000);
    cables[0].isFull = true;
    const before = cables[0].sent.length;
    expect(links[0].borrow()).to.equal(undefined);
    for (let i = 0; i < 600; i++) {
      links[0].sendIpv4(new Uint8Array(20), links[1].mac);
    }
    expect(links[0].counters.outQueueFull).to.equal(88);
    links[0].sendIpv4(new Uint8Array(1501), links[1].mac);
    expect(links[0].counters.outTooBig).to.equal(1);
    let isWritable = false;
    const { onWritable } = links[0];
    links[0].onWritable = () => {
      isWritable = true;
      onWritable();
    };
    cables[0].isFull = false;
    cables[0].onWritable();
    expect(cables[0].sent).to.have.length(before + 512);
    expect(isWritable).to.equal(true);
    ping.send('10.0.0.2');
    clock.advanceBy(1000);
    expect(ping.replies).to.deep.equal([1, 2]);
  });
});
