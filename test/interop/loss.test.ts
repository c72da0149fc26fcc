/** Bulk data between stack and kernel while the kernel loses one packet in twenty, either way. */
import { expect } from 'chai';
import type { IpFamily } from '../../lib/wire/ip-address.js';
import { InteropBed } from '../support/interop.js';
import { endPair, OPENERS, type Pair } from '../support/interop-pair.js';

const BYTES = 2_000_000;
const LIMIT_MS = 60_000;

/** Packets lost at random on their way into and out of the kernel; where there are such, super-packets. */
const LOSS = `
  nft add table inet t
  nft add chain inet t in '{ type filter hook input priority 0; }'
  nft add chain inet t out '{ type filter hook output priority 0; }'
  nft add rule inet t in meta l4proto tcp numgen random mod 100 '<' 5 counter drop
  nft add rule inet t out meta l4proto tcp numgen random mod 100 '<' 5 counter drop`;

interface Case {
  readonly what: string;
  readonly family: IpFamily;
  readonly offload: boolean;
  readonly sysctl?: string;
  /** What the kernel sends with; a namespace may have another default than its host. */
  readonly congestion: 'cubic' | 'bbr';
}
const CASES: readonly Case[] = [
  { what: 'plain packets', family: 4, offload: false, congestion: 'cubic' },
  { what: 'plain packets', family: 6, offload: false, congestion: 'bbr' },
  { what: 'super-packets', family: 4, offload: true, congestion: 'bbr' },
  { what: 'super-packets', family: 6, offload: true, congestion: 'cubic' },
  { what: 'no SACK', family: 4, offload: false, congestion: 'cubic', sysctl: 'tcp_sack=0' },
  { what: 'no timestamps', family: 6, offload: false, congestion: 'cubic', sysctl: 'tcp_timestamps=0' },
];

/** The kernel sends no super-packets through its own filter either. */
const ONE_BY_ONE = 'ip link set tun0 gso_max_segs 1';

/** Sends so much both ways at once, ends both ways, and compares it. */
async function exchange({ ours, theirs }: Pair): Promise<void> {
  const received = [ours.receiveToEnd(LIMIT_MS), theirs.receiveToEnd()];
  const kernelSends = async (): Promise<string> => {
    const hash = await theirs.sendBulk(BYTES);
    await theirs.shutdown();
    return hash;
  };
  const stackSends = async (): Promise<string> => {
    const hash = await ours.sendBulk(BYTES, LIMIT_MS);
    ours.endpoint.shutdown();
    return hash;
  };
  const hashes = await Promise.all([kernelSends(), stackSends()]);
  for (const i of [0, 1]) expect(await received[i]).to.deep.equal({ bytes: BYTES, sha256: hashes[i] });
  expect(await ours.closed(LIMIT_MS)).to.equal('');
}

describe('5 % random loss', function () {
  this.timeout(2 * LIMIT_MS);
  this.slow(LIMIT_MS);
  for (const { what, family, offload, congestion, sysctl } of CASES) {
    it(`loses no byte with ${what}, IPv${family}, ${congestion} in the kernel`, async function () {
      const settings = sysctl === undefined ? [] : [`sysctl -qw net.ipv4.${sysctl}`];
      const setUp = [LOSS, ...(offload ? [] : [ONE_BY_ONE]), ...settings].join('\n');
      const bed = await InteropBed.createOrSkip(this, { offload, setUp });
      try {
        // A connection that either opens, both at once.
        const opened = Object.values(OPENERS).map(async (open) => {
          const options = [['IPPROTO_TCP', 'TCP_CONGESTION', congestion]] as const;
          const pair = await open(bed, family, { options, tcp: { initialRtoMs: 200 } });
          await exchange(pair).finally(() => endPair(bed, pair));
        });
        await Promise.all(opened);
        expect(bed.stack.stats.tcp.retransSegs).to.be.above(0);
        const chains = await bed.exec('nft', 'list', 'table', 'inet', 't');
        const lost = [...chains.matchAll(/packets (\d+)/g)].map(([, count]) => Number(count));
        expect(lost).to.have.lengthOf(2);
        expect(Math.min(...lost), 'lost in the direction with less losses').to.be.above(0);
      } finally {
        await bed.close();
      }
    });
  }
});
