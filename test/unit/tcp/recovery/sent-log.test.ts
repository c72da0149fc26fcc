/** The log of what is in flight against a plain list: both of its orders, whatever is done to it. */
import { expect } from 'chai';
import fc from 'fast-check';
import { type Seq, seq, seqAdd } from '../../../../lib/base/seq.js';
import { NO_SLOT, RowFlag, SentLog } from '../../../../lib/tcp/recovery/sent-log.js';

const BYTES = 100;

/** A record of the twin; `order` is its place in the order of transmission, ties by sequence number. */
interface Record {
  start: number;
  end: number;
  sentAtUs: number;
  flags: number;
  listed: boolean;
}

type Step =
  | { readonly kind: 'append'; readonly flags: number }
  | { readonly kind: 'split'; readonly pick: number; readonly part: number }
  | { readonly kind: 'shift' | 'clear' | 'trim' }
  | { readonly kind: 'resent' | 'unlist' | 'relist'; readonly pick: number }
  | { readonly kind: 'find'; readonly part: number }
  | { readonly kind: 'wait' };

const pick = fc.nat({ max: 1_000_000 });
const part = fc.double({ min: 0.01, max: 0.99, noNaN: true });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.record({ kind: fc.constant('append'), flags: fc.constantFrom(0, RowFlag.FIN) }),
  },
  { weight: 40, arbitrary: fc.record({ kind: fc.constant('split'), pick, part }) },
  { weight: 30, arbitrary: fc.record({ kind: fc.constant('shift') }) },
  { weight: 40, arbitrary: fc.record({ kind: fc.constantFrom('resent', 'unlist', 'relist'), pick }) },
  { weight: 30, arbitrary: fc.record({ kind: fc.constant('find'), part }) },
  { weight: 30, arbitrary: fc.record({ kind: fc.constant('wait') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('clear', 'trim') }) },
);

class Twins {
  readonly #log = new SentLog();
  readonly #iss: Seq;
  readonly #records: Record[] = [];
  #sent: Record[] = [];
  #next = 0;
  #nowUs = 0;

  constructor(iss: Seq) {
    this.#iss = iss;
  }

  step(one: Step): void {
    const log = this.#log;
    const records = this.#records;
    const i = 'pick' in one && records.length > 0 ? one.pick % records.length : -1;
    switch (one.kind) {
      case 'append':
        this.#append(one.flags);
        break;
      case 'split':
        if (i >= 0) this.#split(i, one.part);
        break;
      case 'shift':
        if (records.length === 0) break;
        log.shift();
        this.#leave(records.shift() as Record);
        break;
      case 'resent':
        if (i < 0) break;
        log.resent(log.slot(i), this.#nowUs);
        this.#leave(records[i]);
        records[i].sentAtUs = this.#nowUs;
        this.#sent.push(records[i]);
        records[i].listed = true;
        break;
      case 'unlist':
        if (i < 0) break;
        log.unlist(log.slot(i));
        this.#leave(records[i]);
        break;
      case 'relist':
        if (i < 0 || records[i].listed) break;
        log.relist(log.slot(i));
        this.#relist(records[i]);
        break;
      case 'find': {
        const at = Math.floor((records[0]?.start ?? 0) + one.part * 2 * BYTES * records.length);
        const index = records.findIndex(({ end }) => end > at);
        expect(log.find(seqAdd(this.#iss, at))).to.equal(index < 0 ? records.length : index);
        break;
      }
      case 'wait':
        this.#nowUs += 10;
        break;
      default:
        if (one.kind === 'trim' && records.length > 0) break;
        log[one.kind]();
        records.length = 0;
        this.#sent = [];
        if (one.kind === 'trim') expect(log.memoryBytes).to.equal(0);
    }
    this.#compare();
  }

  #append(flags: number): void {
    const record = {
      start: this.#next,
      end: this.#next + BYTES,
      sentAtUs: this.#nowUs,
      flags,
      listed: true,
    };
    this.#next += BYTES;
    this.#log.append(seqAdd(this.#iss, record.start), seqAdd(this.#iss, record.end), this.#nowUs, flags);
    this.#records.push(record);
    this.#sent.push(record);
  }

  #split(i: number, share: number): void {
    const first = this.#records[i];
    const at = Math.floor(first.start + share * (first.end - first.start));
    const point = seqAdd(this.#iss, at);
    expect(this.#log.straddles(i, point)).to.equal(at > first.start && at < first.end);
    if (at <= first.start || at >= first.end) return;
    this.#log.split(i, point);
    const second = { ...first, start: at };
    first.end = at;
    first.flags &= ~(RowFlag.FIN | RowFlag.PUSHED);
    this.#records.splice(i + 1, 0, second);
    if (second.listed) this.#sent.splice(this.#sent.indexOf(first) + 1, 0, second);
  }

  #leave(record: Record): void {
    if (record.listed) this.#sent.splice(this.#sent.indexOf(record), 1);
    record.listed = false;
  }

  #relist(record: Record): void {
    const isBefore = (other: Record): boolean =>
      other.sentAtUs < record.sentAtUs || (other.sentAtUs === record.sentAtUs && other.end < record.end);
    let at = 0;
    while (at < this.#sent.length && isBefore(this.#sent[at])) at++;
    this.#sent.splice(at, 0, record);
    record.listed = true;
  }

  #compare(): void {
    const log = this.#log;
    expect(log.count).to.equal(this.#records.length);
    this.#records.forEach((record, i) => {
      const slot = log.slot(i);
      expect(log.start(slot), `start of ${i}`).to.equal(seqAdd(this.#iss, record.start));
      expect(log.end(slot), `end of ${i}`).to.equal(seqAdd(this.#iss, record.end));
      expect(log.sentAtUs(slot), `time of ${i}`).to.equal(record.sentAtUs);
      expect(log.flags(slot), `flags of ${i}`).to.equal(record.flags);
      expect(log.isListed(slot), `listed ${i}`).to.equal(record.listed);
    });
    const sent = [];
    for (let slot = log.oldest; slot !== NO_SLOT; slot = log.nextSent(slot)) sent.push(log.start(slot));
    expect(sent, 'in the order of transmission').to.deep.equal(
      this.#sent.map(({ start }) => seqAdd(this.#iss, start)),
    );
    expect(log.newest === NO_SLOT ? undefined : log.start(log.newest)).to.equal(sent.at(-1));
  }
}

describe('SentLog', () => {
  it('keeps both orders as a plain list does, across the end of the sequence numbers', function () {
    this.timeout(30_000);
    fc.assert(
      fc.property(
        fc.constantFrom(seq(1), seq(0x7fff_ff80), seq(0xffff_fe00)),
        fc.array(step, { maxLength: 120 }),
        (iss, steps) => {
          const twins = new Twins(iss);
          for (const one of steps) twins.step(one);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('gives the snapshot of a record to both of its parts, and each its own later', () => {
    const log = new SentLog();
    const slot = log.append(seq(0), seq(100), 5, 0);
    const snapshot = {
      deliveredBytes: 1,
      deliveredAtUs: 2,
      firstSentAtUs: 3,
      txInFlightBytes: 4,
      totalLostBytes: 5,
      isAppLimited: true,
    };
    log.setSnapshot(slot, snapshot);
    log.split(0, seq(40));
    log.setSnapshot(log.slot(0), { ...snapshot, deliveredBytes: 9, isAppLimited: false });
    expect([0, 1].map((i) => log.deliveredBytes(log.slot(i)))).to.deep.equal([9, 1]);
    expect([0, 1].map((i) => log.has(log.slot(i), RowFlag.APP_LIMITED))).to.deep.equal([false, true]);
    const second = log.slot(1);
    expect([log.deliveredAtUs(second), log.firstSentAtUs(second)]).to.deep.equal([2, 3]);
    expect([log.txInFlightBytes(second), log.totalLostBytes(second)]).to.deep.equal([4, 5]);
  });

  it('grows as is needed, and gives back the memory of many records when it is empty', () => {
    const log = new SentLog(5000);
    for (let i = 0; i < 5000; i++) log.append(seq(i), seq(i + 1), i, 0);
    expect(log.isFull).to.equal(true);
    expect(log.find(seq(4321))).to.equal(4321);
    while (log.count > 0) log.shift();
    expect(log.memoryBytes).to.be.above(0);
    log.clear();
    expect(log.memoryBytes).to.equal(0);
    expect(log.oldest).to.equal(NO_SLOT);
  });
});
