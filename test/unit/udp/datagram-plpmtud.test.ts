/** Path MTU discovery for datagrams (RFC 8899), in virtual time. */
import { expect } from 'chai';
import { NEVER } from '../../../lib/base/clock.js';
import {
  DatagramPlpmtud,
  DEFAULT_PLPMTUD_OPTIONS,
  datagramBytes,
  type PlpmtudOptions,
} from '../../../lib/udp/datagram-plpmtud.js';

const SECOND_US = 1_000_000;

/** A path that carries `pathBytes` and takes 50 ms there and back, and a protocol that obeys the machine. */
class Path {
  readonly search: DatagramPlpmtud;
  pathBytes: number;
  nowUs = 5 * SECOND_US;
  /** Time and size of each probe. */
  readonly probes: [seconds: number, bytes: number][] = [];
  #acks: [atUs: number, bytes: number][] = [];

  constructor(pathBytes: number, options: Partial<PlpmtudOptions> = {}) {
    this.pathBytes = pathBytes;
    this.search = new DatagramPlpmtud(options);
    this.search.connected();
  }

  /** Lets so many seconds pass. */
  run(seconds: number): this {
    const endUs = this.nowUs + seconds * SECOND_US;
    for (;;) {
      this.#poll();
      const next = Math.min(this.search.nextDeadlineUs, this.#acks[0]?.[0] ?? NEVER);
      if (next > endUs) break;
      this.nowUs = Math.max(this.nowUs, next);
      const ack = this.#acks[0];
      if (ack !== undefined && ack[0] <= this.nowUs) {
        this.#acks.shift();
        this.search.acknowledged(ack[1], this.nowUs);
      }
    }
    this.nowUs = endUs;
    return this;
  }

  /** Probes since this was last asked. */
  take(): number[] {
    return this.probes.splice(0).map(([, bytes]) => bytes);
  }

  #poll(): void {
    const bytes = this.search.nextProbe(this.nowUs);
    if (bytes === 0) return;
    this.probes.push([this.nowUs / SECOND_US, bytes]);
    if (bytes <= this.pathBytes) this.#acks.push([this.nowUs + 50_000, bytes]);
  }
}

const tooBig = (path: Path, bytes: number, isValidated = true): boolean =>
  path.search.packetTooBig({ bytes, isValidated }, path.nowUs);

describe('DatagramPlpmtud', () => {
  it('has the constants of the RFC, and holds others to its limits (RFC 8899 §5.1) [PMTU-12]', () => {
    expect(DEFAULT_PLPMTUD_OPTIONS).to.deep.equal({
      maxBytes: 1472,
      baseBytes: 1200,
      minBytes: 548,
      probeTimerMs: 15_000,
      maxProbes: 3,
      raiseTimerMs: 600_000,
      confirmationTimerMs: 0,
    });
    const bad: Partial<PlpmtudOptions>[] = [
      { probeTimerMs: 999 },
      { maxProbes: 0 },
      { raiseTimerMs: 0 },
      { minBytes: 1201 },
      { minBytes: 0 },
      { baseBytes: 1473 },
      { maxBytes: 65_528 },
      { maxBytes: 1400.5 },
      { maxProbes: -1 },
      { confirmationTimerMs: 600_000 },
    ];
    for (const options of bad) {
      expect(() => new DatagramPlpmtud(options), JSON.stringify(options)).to.throw(RangeError);
    }
    expect(() => new DatagramPlpmtud({ mtu: 1 } as object)).to.throw(/unknown path MTU option "mtu"/);
    expect([datagramBytes(1500, 4), datagramBytes(1500, 6)]).to.deep.equal([1472, 1452]);
    new DatagramPlpmtud({ probeTimerMs: 1000, minBytes: 1200, maxBytes: 1200 });
  });

  it('does nothing before there is a peer, then confirms the base, and searches (RFC 8899 §5.2) [PMTU-12]', () => {
    const search = new DatagramPlpmtud();
    expect([search.state, search.nextProbe(0), search.nextDeadlineUs]).to.deep.equal(['disabled', 0, NEVER]);
    expect(search.plpmtuBytes).to.equal(1200);
    search.connected();
    expect([search.state, search.nextDeadlineUs]).to.deep.equal(['base', 0]);
    expect(search.nextProbe(7)).to.equal(1200);
    expect(search.nextProbe(7), 'one at a time').to.equal(0);
    search.acknowledged(1100, 8);
    expect([search.state, search.nextDeadlineUs]).to.deep.equal(['base', 15_000_007]);
    search.acknowledged(1200, 9);
    expect([search.state, search.nextProbe(9)]).to.deep.equal(['searching', 1472]);
    search.acknowledged(1472, 10);
    expect([search.state, search.plpmtuBytes]).to.deep.equal(['search-complete', 1472]);
    expect(search.nextDeadlineUs, 'there is nothing to raise').to.equal(NEVER);
  });

  it('finds the common size below what the path takes, with at most three losses (RFC 8899 §5.3) [PMTU-12]', () => {
    const found = new Map<number, number>();
    for (let pathBytes = 1200; pathBytes <= 1472; pathBytes++) {
      const path = new Path(pathBytes).run(120);
      expect(path.search.state, `path of ${pathBytes}`).to.equal('search-complete');
      expect(path.search.plpmtuBytes).to.be.at.most(pathBytes);
      expect(path.take().filter((bytes) => bytes > pathBytes).length).to.be.at.most(4);
      found.set(pathBytes, path.search.plpmtuBytes);
    }
    expect([1200, 1240, 1380, 1392, 1471, 1472].map((bytes) => found.get(bytes))).to.deep.equal([
      1200, 1232, 1372, 1392, 1464, 1472,
    ]);
  });

  it('probes a size three times, fifteen seconds apart, before it concludes (RFC 8899 §5.1) [PMTU-12]', () => {
    const path = new Path(1300).run(200);
    const lost = path.probes.filter(([, bytes]) => bytes > 1300);
    expect(lost.map(([, bytes]) => bytes)).to.deep.equal([1472, 1352, 1352, 1352]);
    for (let i = 2; i < lost.length; i++) expect(lost[i][0] - lost[i - 1][0]).to.be.closeTo(15, 1e-6);
    expect(path.search.plpmtuBytes).to.equal(1252);
  });

  it('searches again ten minutes later, for what the path may carry now (RFC 8899 §5.1.1) [PMTU-12]', () => {
    const path = new Path(1300).run(100);
    expect(path.search.state).to.equal('search-complete');
    const restUs = path.search.nextDeadlineUs - path.nowUs;
    expect(restUs).to.be.within(500 * SECOND_US, 600 * SECOND_US);
    path.take();
    path.pathBytes = 1472;
    path.run(restUs / SECOND_US - 0.001);
    expect(path.take()).to.deep.equal([]);
    path.run(1);
    expect(path.take()).to.deep.equal([1472]);
    expect([path.search.state, path.search.plpmtuBytes]).to.deep.equal(['search-complete', 1472]);
  });

  it('falls into ERROR where not even the base arrives, and leaves it when it does (RFC 8899 §5.2) [PMTU-12]', () => {
    const path = new Path(1000).run(44);
    expect([path.search.state, path.take()]).to.deep.equal(['base', [1200, 1200, 1200]]);
    path.run(2);
    expect([path.search.state, path.search.plpmtuBytes]).to.deep.equal(['error', 548]);
    expect(path.take()).to.deep.equal([548]);
    path.run(150);
    const rate = path.take();
    expect(rate, 'one probe in fifteen seconds').to.deep.equal(new Array(rate.length).fill(1200));
    expect(rate.length).to.be.within(9, 11);
    path.search.lost(1200, path.nowUs);
    expect(path.search.nextProbe(path.nowUs), 'also when its loss is known earlier').to.equal(0);
    path.pathBytes = 1472;
    path.run(16);
    expect([path.search.state, path.search.plpmtuBytes]).to.deep.equal(['search-complete', 1472]);
  });

  it('takes a peer that not even the smallest reaches for gone (RFC 8899 §5.2)', () => {
    const path = new Path(100).run(300);
    expect([path.search.state, path.search.nextDeadlineUs]).to.deep.equal(['disabled', NEVER]);
    expect(path.take()).to.deep.equal([1200, 1200, 1200, 548, 548, 548]);
    path.pathBytes = 1472;
    path.search.connected();
    path.run(1);
    expect(path.search.plpmtuBytes).to.equal(1472);
    path.search.disconnected();
    expect([path.search.state, path.search.plpmtuBytes, path.search.nextDeadlineUs]).to.deep.equal([
      'disabled',
      1200,
      NEVER,
    ]);
    path.search.blackHole();
    expect(path.search.state).to.equal('disabled');
  });

  it('goes back to the base when large datagrams are lost in a row (RFC 8899 §4.3) [PMTU-12]', () => {
    const path = new Path(1472).run(1);
    const { search } = path;
    path.take();
    for (const bytes of [1472, 1400, 1200, 1000]) search.lost(bytes, path.nowUs);
    search.acknowledged(1300, path.nowUs);
    search.lost(1472, path.nowUs);
    search.lost(1472, path.nowUs);
    expect(search.state, 'not in a row').to.equal('search-complete');
    path.pathBytes = 1300;
    search.lost(1201, path.nowUs);
    expect([search.state, search.plpmtuBytes]).to.deep.equal(['base', 1200]);
    path.run(100);
    expect([search.state, search.plpmtuBytes]).to.deep.equal(['search-complete', 1252]);
  });

  it('learns of a lost probe earlier from who knows (RFC 8899 §4.1)', () => {
    const path = new Path(1300);
    path.run(0.06);
    expect(path.search.probedBytes).to.equal(1472);
    path.search.lost(1472, path.nowUs);
    expect(path.search.probedBytes).to.equal(1232);
  });

  it('confirms what it found from time to time, where data is not acknowledged (RFC 8899 §5.1.1)', () => {
    const path = new Path(1472, { confirmationTimerMs: 30_000 }).run(1);
    path.take();
    path.run(60);
    expect(path.take()).to.deep.equal([1472, 1472]);
    expect(path.search.state).to.equal('search-complete');
    path.pathBytes = 1280;
    path.run(30 + 45);
    expect([path.search.state, path.search.plpmtuBytes]).to.deep.equal(['searching', 1200]);
    path.run(100);
    expect([path.search.state, path.search.plpmtuBytes]).to.deep.equal(['search-complete', 1252]);
  });

  it('believes only a validated Packet Too Big for less than was sent (RFC 8899 §4.6) [PMTU-13]', () => {
    const path = new Path(1300);
    path.run(0.06);
    const { search } = path;
    expect([search.state, search.probedBytes]).to.deep.equal(['searching', 1472]);
    for (const bytes of [1472, 1473, 9000, 547, 68, 0, -1]) {
      expect(tooBig(path, bytes), `${bytes}`).to.equal(false);
    }
    expect(tooBig(path, 1300, false), 'not ours').to.equal(false);
    expect([search.state, search.probedBytes, search.plpmtuBytes]).to.deep.equal(['searching', 1472, 1200]);
    path.take();
    // It names the next size to probe, and is never believed unproven.
    expect(tooBig(path, 1300)).to.equal(true);
    expect(search.plpmtuBytes).to.equal(1200);
    path.run(1);
    expect(path.take()).to.deep.equal([1300]);
    expect([search.state, search.plpmtuBytes]).to.deep.equal(['search-complete', 1300]);
    expect(tooBig(path, 1300), 'as large as what is sent').to.equal(false);
  });

  it('ends a search where Packet Too Big names what was found (RFC 8899 §5.2) [PMTU-13]', () => {
    const path = new Path(1200);
    path.run(0.06);
    expect(tooBig(path, 1200)).to.equal(true);
    expect([path.search.state, path.search.plpmtuBytes]).to.deep.equal(['search-complete', 1200]);
  });

  it('confirms the base when the path has become narrower, and finds what is named (RFC 8899 §4.6.2) [PMTU-13]', () => {
    const path = new Path(1472).run(1);
    path.take();
    path.pathBytes = 1372;
    expect(tooBig(path, 1372)).to.equal(true);
    expect([path.search.state, path.search.plpmtuBytes]).to.deep.equal(['base', 1200]);
    path.run(1);
    expect(path.take()).to.deep.equal([1200, 1372]);
    expect([path.search.state, path.search.plpmtuBytes]).to.deep.equal(['search-complete', 1372]);
    // After ten minutes all of it is tried again.
    path.pathBytes = 1472;
    path.run(600);
    expect(path.search.plpmtuBytes).to.equal(1472);
  });

  it('goes into ERROR for less than the base, and asks there what arrives (RFC 8899 §4.6.2) [PMTU-13]', () => {
    const path = new Path(1472).run(1);
    path.take();
    path.pathBytes = 600;
    expect(tooBig(path, 572)).to.equal(true);
    expect([path.search.state, path.search.plpmtuBytes]).to.deep.equal(['error', 548]);
    expect(tooBig(path, 560), 'once').to.equal(false);
    path.run(16);
    expect(path.take()).to.deep.equal([548, 1200]);
    path.pathBytes = 1472;
    path.run(30);
    expect(path.search.plpmtuBytes).to.equal(1472);
    expect(new DatagramPlpmtud().packetTooBig({ bytes: 1300, isValidated: true }, 0)).to.equal(false);
  });

  it('follows what link and peer take', () => {
    const path = new Path(9000).run(1);
    const { search } = path;
    search.limitChanged(1300, path.nowUs);
    expect([search.state, search.plpmtuBytes]).to.deep.equal(['search-complete', 1300]);
    search.limitChanged(8972, path.nowUs);
    expect(search.state).to.equal('searching');
    path.run(1);
    expect([search.state, search.plpmtuBytes]).to.deep.equal(['search-complete', 8972]);
    expect(() => search.limitChanged(547, path.nowUs)).to.throw(RangeError);
    search.limitChanged(1000, path.nowUs);
    expect(search.plpmtuBytes).to.equal(1000);
    const early = new Path(9000);
    early.search.limitChanged(900, early.nowUs);
    expect(early.search.nextProbe(early.nowUs)).to.equal(900);
    early.search.acknowledged(900, early.nowUs);
    expect([early.search.state, early.search.plpmtuBytes]).to.deep.equal(['search-complete', 900]);
  });
});
