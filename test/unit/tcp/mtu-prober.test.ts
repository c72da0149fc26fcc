/** The search of RFC 4821 for the largest segments that arrive, told and asked by hand. */
import { expect } from 'chai';
import type { Seq } from '../../../lib/base/seq.js';
import { MtuProber } from '../../../lib/tcp/mtu-prober.js';

const SIZES = { limitBytes: 1460, baseBytes: 1024, floorBytes: 48 };
const INTERVAL_US = 600_000_000;

const at = (sequence: number): Seq => (sequence | 0) as Seq;

/** A path that takes `pathBytes`, and a sender that always has enough to send. */
class Path {
  readonly prober: MtuProber;
  pathBytes: number;
  nowUs = 1_000_000;
  sequence = 0x7fff_0000;
  readonly probes: number[] = [];

  constructor(pathBytes: number, fromBase: boolean, sizes = SIZES) {
    this.pathBytes = pathBytes;
    this.prober = new MtuProber(sizes, fromBase);
  }

  conditions(given: Partial<MtuProber['now']> = {}): number {
    const plenty = { unsentBytes: 1e6, windowBytes: 1e6, cwndBytes: 1e5, inFlightBytes: 0 };
    Object.assign(this.prober.now, plenty, given, { nowUs: this.nowUs });
    return this.prober.nextProbe();
  }

  /** Sends one probe and tells its fate. @returns its size; 0 when none was wanted */
  step(): number {
    const { prober } = this;
    const size = this.conditions();
    if (size === 0) return 0;
    this.probes.push(size);
    const start = this.sequence;
    prober.probeSent(at(start), at(start + size));
    this.sequence += size;
    if (size <= this.pathBytes) {
      expect(prober.acknowledged(at(start + size), at(start + size), 10_000)).to.equal(true);
      this.sequence += 10_000;
      prober.acknowledged(at(this.sequence), at(this.sequence), 10_000);
    } else {
      prober.probeLost();
    }
    return size;
  }

  search(): number[] {
    this.probes.length = 0;
    for (let i = 0; i < 40 && this.step() > 0; i++);
    expect(this.conditions(), 'the search ends').to.equal(0);
    return this.probes;
  }
}

describe('MtuProber', () => {
  it('halves the range between what arrives and what may, to within eight bytes (RFC 4821 §7.3) [PMTU-10]', () => {
    for (let pathBytes = 1024; pathBytes <= 1460; pathBytes++) {
      const path = new Path(pathBytes, true);
      const probes = path.search();
      expect(probes[0]).to.equal(1242);
      expect(path.prober.mssBytes, `path of ${pathBytes}`).to.be.within(pathBytes - 8, pathBytes);
      expect(probes.length).to.be.at.most(16);
    }
  });

  it('finds the whole where nothing is in the way, to the last byte', () => {
    for (let limitBytes = 1030; limitBytes <= 1500; limitBytes += 7) {
      const path = new Path(9000, true, { ...SIZES, limitBytes });
      path.search();
      expect(path.prober.mssBytes).to.equal(limitBytes);
    }
    expect(new Path(9000, true, { ...SIZES, limitBytes: 1024 }).search()).to.deep.equal([]);
    expect(new Path(9000, true, { ...SIZES, limitBytes: 700 }).prober.mssBytes).to.equal(700);
  });

  it('gives a size up after two losses, since one may have another reason', () => {
    const path = new Path(9000, true);
    const size = path.conditions();
    path.prober.probeSent(at(1), at(1 + size));
    path.prober.probeLost();
    expect(path.prober.highBytes).to.equal(1460);
    path.search();
    expect(path.prober.mssBytes, 'the second one arrived').to.equal(1460);
    const narrow = new Path(1100, true);
    expect(narrow.search().slice(0, 4)).to.deep.equal([1242, 1242, 1132, 1132]);
    expect(narrow.prober.highBytes).to.be.below(1110);
  });

  it('begins anew ten minutes after a search has ended [PMTU-10]', () => {
    const path = new Path(1200, true);
    path.search();
    path.pathBytes = 1460;
    path.nowUs += INTERVAL_US - 1;
    expect(path.conditions()).to.equal(0);
    path.nowUs += 1;
    path.search();
    expect(path.prober.mssBytes).to.equal(1460);
    path.nowUs += INTERVAL_US;
    expect(path.search(), 'there is nothing left to find').to.deep.equal([]);
  });

  it('wants enough behind a probe to see its loss, and windows that take it (RFC 4821 §7.4) [PMTU-11]', () => {
    const path = new Path(9000, true);
    const needed = 1242 + 4 * 1024;
    const cwnd = 11 * 1024;
    const inFlightBytes = cwnd - 1242 - 1024;
    const exact = { unsentBytes: needed, windowBytes: needed, cwndBytes: cwnd, inFlightBytes };
    expect(path.conditions(exact)).to.equal(1242);
    expect(path.conditions({ ...exact, unsentBytes: needed - 1 })).to.equal(0);
    expect(path.conditions({ ...exact, windowBytes: needed - 1 })).to.equal(0);
    expect(path.conditions({ ...exact, cwndBytes: cwnd - 1, inFlightBytes: 0 })).to.equal(0);
    expect(path.conditions({ ...exact, inFlightBytes: inFlightBytes + 1 })).to.equal(0);
  });

  it('sends one probe at a time, and the next when a window of data has proven the size (RFC 4821 §7.8) [PMTU-10]', () => {
    const path = new Path(9000, true);
    const { prober } = path;
    prober.probeSent(at(-100), at(1142));
    expect(path.conditions()).to.equal(0);
    expect(prober.acknowledged(at(1141), at(9000), 5000)).to.equal(false);
    expect(prober.acknowledged(at(1142), at(9000), 5000)).to.equal(true);
    expect([prober.mssBytes, prober.lowBytes, prober.isVerifying]).to.deep.equal([1242, 1024, true]);
    expect(path.conditions()).to.equal(0);
    expect(prober.acknowledged(at(13_999), at(20_000), 5000)).to.equal(false);
    expect([prober.lowBytes, path.conditions()]).to.deep.equal([1024, 0]);
    prober.acknowledged(at(14_000), at(20_000), 5000);
    expect([prober.lowBytes, prober.isVerifying, path.conditions()]).to.deep.equal([1242, false, 1351]);
  });

  it('takes a size back that a window of data did not prove (RFC 4821 §7.8) [PMTU-10]', () => {
    const path = new Path(9000, true);
    const { prober } = path;
    path.step();
    prober.probeSent(at(0), at(1351));
    prober.acknowledged(at(1351), at(1351), 20_000);
    expect([prober.mssBytes, prober.fallbackBytes]).to.deep.equal([1351, 1242]);
    prober.blackHole();
    expect([prober.mssBytes, prober.highBytes, prober.isVerifying]).to.deep.equal([1242, 1350, false]);
    expect(path.conditions()).to.equal(1296);
  });

  it('concludes nothing where it is not known what became of a probe (RFC 4821 §7.6.4) [PMTU-10]', () => {
    const path = new Path(9000, true);
    const { prober } = path;
    prober.probeLost();
    for (let i = 0; i < 5; i++) {
      prober.probeSent(at(0), at(1242));
      prober.inconclusive();
    }
    expect([prober.probeBytes, prober.highBytes]).to.deep.equal([0, 1460]);
    expect(prober.acknowledged(at(5000), at(5000), 5000), 'not counted as arrived').to.equal(false);
    expect(path.conditions()).to.equal(1242);
  });

  it('falls to the base, and from there by halves to the floor (RFC 4821 §7.7) [PMTU-10]', () => {
    const { prober } = new Path(9000, false);
    const sizes: number[] = [prober.mssBytes];
    for (let i = 0; i < 7; i++) {
      const next = prober.fallbackBytes;
      prober.blackHole();
      expect(prober.mssBytes).to.equal(next);
      sizes.push(next);
    }
    expect(sizes).to.deep.equal([1460, 1024, 512, 256, 128, 64, 48, 48]);
  });

  it('tries the whole first after a fall, and only then what lies between', () => {
    const passed = new Path(1460, false);
    passed.prober.blackHole();
    expect(passed.search(), 'it was an outage').to.deep.equal([1460]);
    const hole = new Path(1400, false);
    hole.prober.blackHole();
    expect(hole.search().slice(0, 3)).to.deep.equal([1460, 1460, 1241]);
    expect(hole.prober.mssBytes).to.be.within(1392, 1400);
  });

  it('follows a limit down at once, and up by probing', () => {
    const path = new Path(9000, true);
    path.search();
    const { prober } = path;
    expect(prober.limitChanged(1300)).to.equal(false);
    expect([prober.mssBytes, prober.highBytes]).to.deep.equal([1300, 1300]);
    expect(path.search()).to.deep.equal([]);
    expect(prober.limitChanged(1460)).to.equal(false);
    expect(prober.mssBytes).to.equal(1300);
    path.search();
    expect(prober.mssBytes).to.equal(1460);
    // What probes have found narrow stays so until the search begins anew.
    const narrow = new Path(1200, true);
    narrow.search();
    const { mssBytes } = narrow.prober;
    narrow.prober.limitChanged(1440);
    narrow.prober.limitChanged(1500);
    expect([narrow.prober.mssBytes, narrow.conditions()]).to.deep.equal([mssBytes, 0]);
    prober.limitChanged(20);
    expect([prober.mssBytes, prober.fallbackBytes], 'below the floor').to.deep.equal([20, 20]);
  });

  it('knows when a new limit refuses the probe in flight', () => {
    const { prober } = new Path(9000, true);
    prober.probeSent(at(0), at(1242));
    expect(prober.limitChanged(1242)).to.equal(false);
    expect(prober.limitChanged(1241)).to.equal(true);
    expect(prober.probeBytes).to.equal(0);
    expect(prober.limitChanged(1100)).to.equal(false);
  });
});
