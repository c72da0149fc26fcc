/**
 * What `allocation-ethernet.test.ts` runs in a process of its own: bytes allocated per packet that comes in a frame on
 * one Ethernet and goes out in a frame on another, to a router its routes name. As `allocation-probe.ts` counts.
 */
import { getHeapStatistics } from 'node:v8';
import { invariant } from '../../lib/base/errors.js';
import { ArpOperation, writeArp } from '../../lib/ethernet/arp-packet.js';
import { EthernetLink } from '../../lib/ethernet/ethernet-link.js';
import { MacAddress } from '../../lib/ethernet/mac-address.js';
import type { LinkDevice } from '../../lib/link/link-device.js';
import { PacketBatch } from '../../lib/link/packet-batch.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';
import { Stack } from '../../lib/stack/stack.js';
import { ChecksumState } from '../../lib/wire/ip-packet.js';

const FEW = 8;
const MANY = 40;
const ATTEMPTS = 8;
const PEER = MacAddress.parse('52:54:00:00:00:99');

/** Frames made and taken by the test. */
class BareFrames implements LinkDevice {
  readonly name = 'bare';
  readonly mtu = 1514;
  readonly maxPacketBytes = 1514;
  readonly checksumOffload = false;
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly incoming = new PacketBatch();
  readonly #outgoing = new PacketBatch();
  sent = 0;
  #onBatch: (batch: PacketBatch) => void = () => {};

  open(onBatch: (batch: PacketBatch) => void): void {
    this.#onBatch = onBatch;
  }

  borrow(): PacketBatch {
    return this.#outgoing;
  }

  send(batch: PacketBatch): void {
    this.sent += batch.count;
    batch.clear();
  }

  deliver(): void {
    this.#onBatch(this.incoming);
    this.incoming.clear();
  }

  close(): void {}
}

const clock = new VirtualClock(1e9);
const random = new SeededRandom(1);
const stack = new Stack({ clock, random, ip: { forwarding: true } });
const quiet = { linkLocal: false, detection: { ipv4Announcements: 0 } } as const;
const from = new BareFrames();
const to = new BareFrames();
const inside = new EthernetLink({ frames: from, clock, random, coalesce: false, ...quiet });
const outside = new EthernetLink({ frames: to, clock, random, ...quiet });
stack.addLink(inside, { addresses: ['10.0.0.1/24'] });
stack.addLink(outside, { addresses: ['10.1.0.1/24'] });
stack.routing.routes.add({ destination: '10.2.0.0/16', gateway: '10.1.0.9' });

function writeHeader(batch: PacketBatch, mac: MacAddress, type: number): void {
  const { view, tail } = batch;
  mac.write(view, tail);
  PEER.write(view, tail + 6);
  view.setUint16(tail + 12, type);
}

/** A UDP packet to somebody behind the router. No closure: what the test makes would count. */
function transit(): void {
  const { view, tail } = from.incoming;
  const at = tail + 14;
  writeHeader(from.incoming, inside.mac, 0x0800);
  view.setUint16(at, 0x4500);
  view.setUint16(at + 2, 1000);
  view.setInt32(at + 4, 0x4000);
  view.setInt32(at + 8, 0x4011_0000);
  view.setInt32(at + 12, 0x0a00_0009);
  view.setInt32(at + 16, 0x0a02_0007);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += view.getUint16(at + i);
  sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(at + 10, ~(sum + (sum >>> 16)) & 0xffff);
  view.setInt32(at + 20, 0x1000_2000);
  view.setInt32(at + 24, (980 << 16) | 1);
  from.incoming.append(1014, ChecksumState.Unknown, 0, 0);
}

function pass(packets: number): void {
  for (let i = 0; i < packets; i++) transit();
  from.deliver();
  clock.advanceBy(100);
}

/** Bytes allocated by each of `rounds` calls: the least of a few attempts, as a compiler at work allocates too. */
function allocatedPerRound(rounds: number, round: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    globalThis.gc?.();
    const before = getHeapStatistics().used_heap_size;
    for (let i = 0; i < rounds; i++) round();
    const allocated = getHeapStatistics().used_heap_size - before;
    if (allocated >= 0) least = Math.min(least, allocated / rounds);
  }
  return least;
}

pass(1);
writeHeader(to.incoming, outside.mac, 0x0806);
const reply = { operation: ArpOperation.Reply, senderMac: PEER, targetMac: outside.mac };
to.incoming.bytes.set(writeArp({ ...reply, senderIp: 0x0a01_0009, targetIp: 0x0a01_0001 }), 14);
to.incoming.append(42, ChecksumState.Unknown, 0, 0);
to.deliver();
const asked = to.sent;
for (let i = 0; i < 20_000; i++) pass(MANY);
const few = allocatedPerRound(2000, () => pass(FEW));
const many = allocatedPerRound(2000, () => pass(MANY));
invariant(
  to.sent - asked === (20_000 + 2000 * ATTEMPTS) * MANY + 2000 * ATTEMPTS * FEW,
  'all packets were passed on',
);
const perPacket = (many - few) / (MANY - FEW);
console.log(JSON.stringify({ perPacket, perTurn: few - FEW * perPacket }));
