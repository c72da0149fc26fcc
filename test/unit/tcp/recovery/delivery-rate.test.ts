/** Delivery-rate samples (draft-ietf-ccwg-bbr, "Delivery Rate Samples"). */
import { expect } from 'chai';
import { type Seq, seq, seqAdd } from '../../../../lib/base/seq.js';
import { AckFacts, RateResult } from '../../../../lib/tcp/recovery/ack-facts.js';
import { DeliveryRate } from '../../../../lib/tcp/recovery/delivery-rate.js';
import { SentLog } from '../../../../lib/tcp/recovery/sent-log.js';

const MSS = 1000;

/** What a sender does with its records, without loss detection. */
class Flow {
  readonly rate = new DeliveryRate();
  readonly result = new RateResult();
  readonly log = new SentLog();
  #next: Seq = seq(0xffff_f000);
  #inFlight = 0;

  send(nowUs: number, segments = 1): void {
    for (let i = 0; i < segments; i++) {
      const end = seqAdd(this.#next, MSS);
      const slot = this.log.append(this.#next, end, nowUs, 0);
      this.#inFlight += MSS;
      this.#next = end;
      this.rate.sent(this.log, slot, this.#inFlight, nowUs);
    }
  }

  /** The first so many records are acknowledged. */
  ack(nowUs: number, segments = 1, minRttUs = 0): RateResult {
    const facts = new AckFacts();
    facts.nowUs = nowUs;
    this.rate.begin(this.result);
    for (let i = 0; i < segments; i++) {
      this.rate.delivered(this.log, this.log.slot(0), MSS, facts);
      this.log.shift();
      this.#inFlight -= MSS;
    }
    this.rate.finish(minRttUs);
    return this.result;
  }

  pause(): void {
    this.rate.appLimited(this.#inFlight);
  }
}

describe('DeliveryRate', () => {
  it('is what was delivered over the time its acknowledging took, where that is longer than its sending', () => {
    const flow = new Flow();
    flow.send(0, 4);
    expect(flow.ack(10_000, 2)).to.include({
      deliveryRateBps: 200_000,
      intervalUs: 10_000,
      deliveredBytes: 2000,
    });
    flow.send(10_000);
    // Of what was sent last: since it was sent, 2000 bytes in 10 ms and 1000 more in 5 ms.
    expect(flow.ack(20_000, 2)).to.include({ deliveryRateBps: 200_000, priorDeliveredBytes: 0 });
    expect(flow.ack(25_000, 1)).to.include({
      deliveryRateBps: 200_000,
      intervalUs: 15_000,
      deliveredBytes: 3000,
    });
    expect(flow.rate.deliveredBytes).to.equal(5000);
  });

  it('is no faster than the sending, when ACKs come together', () => {
    const flow = new Flow();
    flow.send(0);
    flow.send(4000);
    flow.send(8000);
    flow.ack(10_000);
    flow.send(10_000);
    // All ACKs at once, right after: 3000 bytes took 10 ms to send.
    expect(flow.ack(10_100, 3)).to.include({ intervalUs: 10_000, deliveryRateBps: 300_000 });
  });

  it('is of no idle time: after a pause the clocks start anew', () => {
    const flow = new Flow();
    flow.send(0);
    flow.ack(10_000);
    flow.send(5e6, 2);
    expect(flow.ack(5e6 + 10_000, 2)).to.include({ intervalUs: 10_000, deliveryRateBps: 200_000 });
  });

  it('is not taken where an interval is shorter than any round trip, nor where nothing is newly delivered', () => {
    const flow = new Flow();
    flow.send(0, 2);
    expect(flow.ack(1000, 1, 2000)).to.include({ intervalUs: -1, deliveryRateBps: 0 });
    expect(flow.ack(5000, 0)).to.include({ intervalUs: -1, deliveryRateBps: 0, priorDeliveredBytes: -1 });
    expect(flow.ack(5000, 1, 2000)).to.include({ intervalUs: 5000 });
  });

  it('says that the application limited it for what was sent until the pause has been delivered', () => {
    const flow = new Flow();
    flow.send(0);
    flow.pause();
    expect(flow.rate.isAppLimited).to.equal(true);
    flow.send(1000);
    expect(flow.ack(10_000).isAppLimited, 'sent before the pause').to.equal(false);
    expect(flow.rate.isAppLimited, 'what was in flight then').to.equal(true);
    expect(flow.ack(11_000).isAppLimited, 'sent in it').to.equal(true);
    expect(flow.rate.isAppLimited).to.equal(false);
    flow.send(11_000);
    expect(flow.ack(21_000).isAppLimited).to.equal(false);
  });

  it('is remembered from an application that pauses only where it is better than what was known', () => {
    const flow = new Flow();
    flow.send(0, 10);
    flow.ack(10_000, 10);
    expect(flow.rate.lastRateBps).to.equal(1e6);
    flow.pause();
    flow.send(20_000);
    flow.ack(30_000);
    expect(flow.rate.lastRateBps).to.equal(1e6);
    flow.pause();
    flow.send(40_000, 20);
    flow.ack(50_000, 20);
    expect(flow.rate).to.include({ lastRateBps: 2e6, lastIsAppLimited: true });
  });

  it('tells what was lost between the sending and the acknowledgment', () => {
    const flow = new Flow();
    flow.rate.totalLostBytes = 500;
    flow.send(0);
    flow.rate.totalLostBytes = 2500;
    expect(flow.ack(10_000)).to.include({ lostBytes: 2000, txInFlightBytes: MSS });
  });
});
