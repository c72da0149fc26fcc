/** Explicit congestion notification with the Linux kernel: agreed on by both roles, marks fed back both ways. */
import { expect } from 'chai';
import type { EcnSetting } from '../../lib/tcp/ecn/negotiation.js';
import { type BedOptions, FAMILIES, InteropBed } from '../support/interop.js';
import { endPair, exchange, OPENERS, type Pair } from '../support/interop-pair.js';

const BYTES = 1_000_000;

/** Sets the kernel's `tcp_ecn`. Older kernels know no accurate ECN (3), and get 1. @returns whether it was to its liking */
async function setKernel(bed: InteropBed, value: number): Promise<boolean> {
  const set = (to: number): Promise<string> => bed.exec('sysctl', '-qw', `net.ipv4.tcp_ecn=${to}`);
  if (value !== 3) {
    await set(value);
    return true;
  }
  const isKnown = await set(3).then(
    () => true,
    () => false,
  );
  if (!isKnown) await set(1);
  return isKnown;
}

interface Case {
  /** The kernel's `tcp_ecn`, and our setting. */
  readonly kernel: number;
  readonly ecn: EcnSetting;
  readonly agreed: 'none' | 'classic' | 'accurate';
}

const CASES: Readonly<Record<keyof typeof OPENERS, readonly Case[]>> = {
  'the kernel': [
    { kernel: 1, ecn: 'accept', agreed: 'classic' },
    { kernel: 1, ecn: 'off', agreed: 'none' },
    { kernel: 0, ecn: 'accept', agreed: 'none' },
    { kernel: 1, ecn: 'accept-accurate', agreed: 'classic' },
    { kernel: 3, ecn: 'accept', agreed: 'classic' },
    { kernel: 3, ecn: 'accept-accurate', agreed: 'accurate' },
  ],
  'the stack': [
    { kernel: 2, ecn: 'request', agreed: 'classic' },
    { kernel: 0, ecn: 'request', agreed: 'none' },
    { kernel: 2, ecn: 'accept', agreed: 'none' },
    { kernel: 2, ecn: 'request-accurate', agreed: 'classic' },
    { kernel: 3, ecn: 'request', agreed: 'classic' },
    { kernel: 3, ecn: 'request-accurate', agreed: 'accurate' },
  ],
};

for (const [opener, open] of Object.entries(OPENERS)) {
  describe(`ECN when ${opener} opens`, function () {
    this.timeout(20_000);
    let bed: InteropBed;
    let pair: Pair | undefined;
    before(async function () {
      bed = await InteropBed.createOrSkip(this);
    });
    after(() => bed?.close());
    afterEach(async () => {
      await endPair(bed, pair);
      pair = undefined;
    });

    for (const family of FAMILIES) {
      for (const { kernel, ecn, agreed } of CASES[opener as keyof typeof OPENERS]) {
        it(`is ${agreed}${kernel === 3 ? ', or classic with older kernels,' : ''} where the kernel has tcp_ecn=${kernel} and we "${ecn}", IPv${family}`, async () => {
          const isKnown = await setKernel(bed, kernel);
          pair = await open(bed, family, { tcp: { ecn } });
          expect((await pair.theirs.info()).ecn).to.equal(agreed !== 'none');
          const mode = isKnown ? agreed : 'classic';
          expect(pair.ours.endpoint.info).to.include({ ecn: mode, ecnCapable: mode !== 'none' });
          await exchange(pair, BYTES);
          expect(bed.stack.stats.tcp.malformedOptions).to.equal(0);
        });
      }
    }
  });
}

/** 50 Mbit/s and 10 ms, and a queue that marks long before it is full. */
const MARKING = { rateBps: 50e6, delayMs: 5, queuePackets: 500, ecnThresholdPackets: 20 };

for (const ecn of ['request', 'request-accurate'] as const) {
  describe(`marks where we "${ecn}" ECN`, function () {
    this.timeout(30_000);
    for (const offload of [true, false]) {
      it(`are fed back both ways, and slow down without a loss, ${offload ? 'in super-packets' : 'packet by packet'}`, async function () {
        const options: BedOptions = { offload, outgoing: MARKING, incoming: MARKING };
        const bed = await InteropBed.createOrSkip(this, options);
        try {
          const isAccurate = (await setKernel(bed, ecn === 'request' ? 1 : 3)) && ecn === 'request-accurate';
          for (const open of Object.values(OPENERS)) {
            const pair = await open(bed, 4, { tcp: { ecn } });
            expect(pair.ours.endpoint.info.ecn).to.equal(isAccurate ? 'accurate' : 'classic');
            const before = await bed.counter('TcpExtTCPDeliveredCE');
            await exchange(pair, BYTES);
            const { info } = pair.ours.endpoint;
            expect(info.deliveredMarks, 'marks the kernel told of').to.be.above(0);
            expect(info.receivedMarks, 'marks we told of').to.be.above(0);
            expect(await bed.counter('TcpExtTCPDeliveredCE'), 'marks it heard of').to.be.above(before);
            expect(info).to.include({ ecnCapable: true, retransmissions: 0 });
            await endPair(bed, pair);
          }
        } finally {
          await bed.close();
        }
      });
    }
  });
}
