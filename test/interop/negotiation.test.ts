/** What stack and kernel agree on when a connection is opened, and that it works without what is missing. */
import { expect } from 'chai';
import type { TcpOptions } from '../../lib/tcp/options.js';
import { FAMILIES, InteropBed } from '../support/interop.js';
import type { KernelTcpInfo } from '../support/interop-kernel.js';
import { endPair, exchange, OPENERS, type Pair } from '../support/interop-pair.js';

const BYTES = 1_000_000;

interface Case {
  readonly what: string;
  /** Settings of the kernel's side. */
  readonly sysctl?: string;
  readonly tcp?: Partial<TcpOptions>;
  readonly agreed: Partial<KernelTcpInfo>;
}

/** The smallest scale with which a window of 32 MiB can be told. */
const SCALE = 10;
const ALL = { timestamps: true, sack: true, windowScaling: true } as const;
const CASES: readonly Case[] = [
  { what: 'all of it by default', agreed: ALL },
  {
    what: 'no timestamps where the kernel has none',
    sysctl: 'tcp_timestamps=0',
    agreed: { ...ALL, timestamps: false },
  },
  {
    what: 'no selective acknowledgment where the kernel has none',
    sysctl: 'tcp_sack=0',
    agreed: { ...ALL, sack: false },
  },
  {
    what: 'no window scaling where the kernel has none',
    sysctl: 'tcp_window_scaling=0',
    agreed: { ...ALL, windowScaling: false },
  },
  {
    what: 'no timestamps where we have none',
    tcp: { timestamps: false },
    agreed: { ...ALL, timestamps: false },
  },
  {
    what: 'no selective acknowledgment where we have none',
    tcp: { sack: false },
    agreed: { ...ALL, sack: false },
  },
  {
    what: 'no window scaling where we have none',
    tcp: { windowScaling: false },
    agreed: { ...ALL, windowScaling: false },
  },
];

for (const [opener, open] of Object.entries(OPENERS)) {
  describe(`what is agreed on when ${opener} opens`, function () {
    this.timeout(20_000);
    let bed: InteropBed;
    let pair: Pair | undefined;
    before(async function () {
      bed = await InteropBed.createOrSkip(this);
    });
    after(() => bed?.close());
    afterEach(() => endPair(bed, pair));

    for (const family of FAMILIES) {
      for (const { what, sysctl = '', tcp = {}, agreed } of CASES) {
        it(`${what}, IPv${family}`, async () => {
          const settings = ['tcp_timestamps=1', 'tcp_sack=1', 'tcp_window_scaling=1', sysctl];
          for (const setting of settings) {
            if (setting !== '') await bed.exec('sysctl', '-qw', `net.ipv4.${setting}`);
          }
          pair = await open(bed, family, { tcp });
          const info = await pair.theirs.info();
          expect(info).to.deep.include(agreed);
          const mss = (family === 4 ? 1460 : 1440) - (agreed.timestamps === true ? 12 : 0);
          expect(info.sendMss, 'the kernel sends').to.equal(mss);
          if (agreed.windowScaling === true) expect(info.sendScale, 'of our window').to.equal(SCALE);
          const seen = await bed.sockets(`sport = :${pair.port} or dport = :${pair.port}`);
          expect(/ ts /.test(seen), seen).to.equal(agreed.timestamps);
          expect(/ sack /.test(seen), seen).to.equal(agreed.sack);
          expect(/ wscale:\d+,\d+ /.test(seen), seen).to.equal(agreed.windowScaling);
          await exchange(pair, BYTES);
          expect(bed.stack.stats.tcp.malformedOptions).to.equal(0);
        });
      }
    }
  });
}

describe('the segment size', function () {
  this.timeout(20_000);
  for (const mtu of [1280, 9000, 65_535]) {
    for (const family of FAMILIES) {
      it(`follows an MTU of ${mtu}, IPv${family}`, async function () {
        const bed = await InteropBed.createOrSkip(this, { mtu });
        try {
          for (const open of Object.values(OPENERS)) {
            const pair = await open(bed, family);
            const { advertisedMss, pathMtu, sendMss } = await pair.theirs.info();
            const headers = family === 4 ? 40 : 60;
            expect(pathMtu).to.equal(mtu);
            expect(advertisedMss).to.equal(mtu - headers - 12);
            expect(sendMss).to.be.at.most(mtu - headers - 12);
            await exchange(pair, BYTES);
            await endPair(bed, pair);
          }
        } finally {
          await bed.close();
        }
      });
    }
  }

  it('follows what the kernel says of its own', async function () {
    const bed = await InteropBed.createOrSkip(this);
    try {
      for (const open of Object.values(OPENERS)) {
        const pair = await open(bed, 4, { options: [['IPPROTO_TCP', 'TCP_MAXSEG', 500]] });
        await exchange(pair, BYTES);
        expect((await pair.theirs.info()).receiveMss).to.be.at.most(500 - 12);
        await endPair(bed, pair);
      }
    } finally {
      await bed.close();
    }
  });
});
