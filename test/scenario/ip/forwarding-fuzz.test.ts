/** Anything at all through a router: nothing throws, and what leaves is a packet that may leave. */
import { expect } from 'chai';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';
import {
  bytesOf,
  fragmentHeader,
  optionsHeader,
  pattern,
  read,
  routingHeader,
  tcp,
  udp,
} from '../../support/ip-wire.js';
import { FAR, NEAR, OWN, Router, transit4, transit6 } from '../../support/router.js';

const ROUNDS = 30_000;
const seed = Number(process.env.SIM_SEED ?? 7);

/** Packets to start from, each of which passes. */
const SEEDS: readonly Uint8Array[] = [
  transit4(),
  transit4({ protocol: 6, payload: tcp(NEAR[4], FAR[4], pattern(1500)) }),
  transit4({ options: [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0], payload: pattern(1400) }),
  transit4({ options: [68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0] }),
  transit4({ more: true, offset: 64, payload: pattern(1200) }),
  transit4({ df: true, payload: pattern(1471) }),
  transit4({ to: OWN[4] }),
  transit4({ to: '10.1.0.255' }),
  transit6(),
  transit6({ next: 6, payload: tcp(NEAR[6], FAR[6], pattern(1000)) }),
  transit6({ next: 0, payload: bytesOf(optionsHeader(17, [5, 2, 0, 0]), udp(NEAR[6], FAR[6])) }),
  transit6({
    next: 43,
    payload: bytesOf(routingHeader(44, 4, 0), fragmentHeader(17, 8, true, 3), pattern(64)),
  }),
  transit6({ to: OWN[6] }),
];

describe('forwarding: anything at all', function () {
  this.timeout(60_000);

  it(`leaves as a sound packet or not at all (SIM_SEED=${seed})`, () => {
    const random = new SeededRandom(seed);
    const below = (limit: number): number => random.uint32() % limit;
    const router = new Router({
      far: { mtu: 1300, maxPacketBytes: 65_535, offload: true },
      options: {
        mssClamp: 'path',
        directedBroadcast: true,
        icmpErrorsPerSecond: 1_000_000,
        icmpDestinationMs: 0,
      },
    });
    router.peer.ip.routing.routes.add({ destination: 'default', port: 3 });
    router.peer.ip.routing.routes.add({ destination: '::/0', port: 3 });
    for (let round = 0; round < ROUNDS; round++) {
      const packet = SEEDS[below(SEEDS.length)].slice();
      for (let i = below(4); i > 0; i--) packet[below(Math.min(packet.length, 80))] = below(256);
      // A bit that means nothing passes as it is (RFC 791 §3.1), but the reader takes it for a mistake.
      if (packet[0] >> 4 === 4) packet[6] &= 0x7f;
      // Half of them with the checksum of their header made right again.
      if (packet[0] >> 4 === 4 && below(2) === 0) mend(packet);
      const segmentSize = below(8) === 0 ? below(1600) : 0;
      const checksum = below(4) as ChecksumState;
      const before = packet.slice();
      router.peer.receive(packet.subarray(0, packet.length - (below(10) === 0 ? below(60) : 0)), {
        checksum: segmentSize > 0 ? ChecksumState.Partial : checksum,
        segmentSize,
      });
      for (const port of [router.far, router.third]) {
        for (const out of port.queue.splice(0)) {
          const seen = read(out.bytes);
          expect(seen.ttl).to.be.within(1, 254);
          const isWhole = out.segmentSize > 0;
          expect(isWhole ? out.headerBytes + out.segmentSize : out.bytes.length).to.be.at.most(port.mtu);
          if (port.checksumOffload === false) expect(out.checksum).not.to.equal(ChecksumState.Partial);
          expect(seen.from, before.join()).not.to.match(/^(127|169\.254|0)\.|^fe80/);
        }
      }
      for (const out of router.near.queue.splice(0)) expect(read(out.bytes).bytes.length).to.be.at.most(1500);
      router.peer.loopback.queue.length = 0;
      if (round % 500 === 0) router.peer.advanceMs(1000);
    }
    expect(router.stats.ip.outForwDatagrams).to.be.greaterThan(ROUNDS / 10);
  });
});

function mend(packet: Uint8Array): void {
  const end = Math.min((packet[0] & 15) * 4, packet.length);
  packet[10] = 0;
  packet[11] = 0;
  let sum = 0;
  for (let i = 0; i < end; i += 2) sum += packet[i] * 256 + (packet[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet[10] = (~sum >> 8) & 255;
  packet[11] = ~sum & 255;
}
