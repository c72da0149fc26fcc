/** Recovery as a whole, where scenarios would take too long or too much. */
import { expect } from 'chai';
import { type Seq, seq, seqAdd } from '../../../../lib/base/seq.js';
import { AckFacts } from '../../../../lib/tcp/recovery/ack-facts.js';
import { Phase, type Recovery } from '../../../../lib/tcp/recovery/recovery.js';
import { recoveryAt } from '../../../support/recovery.js';

const MSS = 1000;
const ISS = seq(1000);

class Flow {
  readonly recovery: Recovery;
  readonly facts = new AckFacts();
  una: Seq = ISS;
  nxt: Seq = ISS;

  constructor(sack: boolean) {
    this.recovery = recoveryAt(ISS, { sack });
    this.recovery.sack = sack;
    this.recovery.mssBytes = MSS;
    this.facts.mssBytes = MSS;
  }

  send(bytes: number, nowUs: number): void {
    const end = seqAdd(this.nxt, bytes);
    this.recovery.sent(this.nxt, end, nowUs, false);
    this.nxt = end;
  }

  /** Acknowledges so many bytes, and blocks counted from SND.UNA. */
  ack(bytes: number, nowUs: number, ...blocks: readonly (readonly [number, number])[]): void {
    const { facts, recovery } = this;
    facts.ack = seqAdd(this.una, bytes);
    facts.nowUs = nowUs;
    facts.sndNxt = this.nxt;
    facts.isDuplicate = bytes === 0;
    facts.sackCount = blocks.length;
    blocks.forEach(([from, to], i) => {
      facts.sackEdges[2 * i] = seqAdd(this.una, from);
      facts.sackEdges[2 * i + 1] = seqAdd(this.una, to);
    });
    recovery.acknowledge(facts, this.una);
    this.una = facts.ack;
    if (recovery.episode.signal !== '') recovery.enter(this.una, this.nxt, 2 * MSS);
  }
}

describe('Recovery', () => {
  it('counts duplicate ACKs however much has been sent since the last loss, also beyond half the numbers', () => {
    const flow = new Flow(false);
    for (let i = 0; i < 5; i++) {
      flow.send(2 ** 29, i * 1e6);
      flow.ack(2 ** 29, i * 1e6 + 1000);
    }
    for (let i = 0; i < 6; i++) flow.send(MSS, 9e6);
    for (let i = 0; i < 3; i++) flow.ack(0, 9.1e6);
    expect(flow.recovery.phase).to.equal(Phase.Recovery);
  });

  it('tells of a sample what was lost by the same ACK too', () => {
    const flow = new Flow(true);
    for (let i = 0; i < 6; i++) flow.send(MSS, i);
    flow.ack(0, 20_000, [MSS, 5 * MSS]);
    expect(flow.recovery.result).to.include({ lostBytes: MSS });
    expect(flow.recovery.result.rate.lostBytes).to.equal(MSS);
  });

  it('probes for a lost tail also while marks have the window reduced (Linux tcp_set_xmit_timer)', () => {
    const flow = new Flow(true);
    for (let i = 0; i < 6; i++) flow.send(MSS, 0);
    flow.facts.ecnEcho = true;
    flow.ack(MSS, 20_000);
    expect(flow.recovery.phase).to.equal(Phase.Cwr);
    expect(flow.recovery.probe.deadlineUs).to.be.below(flow.recovery.timers.retransmissionUs);
  });

  it('that goes on from marks when its timer finds a loss ends behind all that was sent by then', () => {
    const flow = new Flow(true);
    for (let i = 0; i < 6; i++) flow.send(MSS, 0);
    flow.recovery.rack.reorderingSeen = true;
    flow.facts.ecnEcho = true;
    flow.ack(MSS, 20_000);
    flow.ack(0, 20_100, [MSS, 2 * MSS]);
    flow.facts.ecnEcho = false;
    flow.send(MSS, 20_200);
    expect(flow.recovery.timers.deadlineUs).to.be.below(30_000);
    flow.recovery.reorderingTimeout(flow.nxt, 30_000);
    expect(flow.recovery.phase).to.equal(Phase.Recovery);
    expect(flow.recovery.episode.recoveryPoint).to.equal(flow.nxt);
  });
});
