import { expect } from 'chai';
import { type Seq, seq } from '../../../../lib/base/seq.js';
import { AckFacts } from '../../../../lib/tcp/recovery/ack-facts.js';
import { FalseAlarm } from '../../../../lib/tcp/recovery/false-alarm.js';

/** The reduction was made with [UNA, NXT) out, across the end of the numbers. */
const UNA = seq(0xffff_fc00);
const NXT = seq(0x400);

function begun(alreadyResent = 0): FalseAlarm {
  const alarm = new FalseAlarm();
  alarm.begin(UNA, NXT, alreadyResent);
  return alarm;
}

function echo(echoedAtUs: number): AckFacts {
  const facts = new AckFacts();
  facts.echoedAtUs = echoedAtUs;
  return facts;
}

const duplicate = (alarm: FalseAlarm, start: Seq, end: Seq, segments = 1): void =>
  alarm.duplicateSeen(start, end, segments);

describe('FalseAlarm', () => {
  it('is proven by as many duplicates as were sent again, of what was out then (RFC 3708 §3)', () => {
    const alarm = begun();
    expect(alarm.isProvenByDuplicates, 'nothing was sent again').to.equal(false);
    alarm.resent(2, 1e6);
    duplicate(alarm, UNA, seq(0xffff_fe00));
    expect(alarm.isProvenByDuplicates).to.equal(false);
    duplicate(alarm, seq(0x200), seq(0x600));
    duplicate(alarm, seq(0xffff_fb00), seq(0xffff_fd00));
    expect(alarm.isProvenByDuplicates, 'of something else').to.equal(false);
    duplicate(alarm, seq(0x200), NXT);
    expect(alarm.isProvenByDuplicates).to.equal(true);
    alarm.close();
    expect(alarm.isProvenByDuplicates).to.equal(false);
  });

  it('counts on what is sent again later, and duplicates before anything was do not prove', () => {
    const alarm = begun();
    duplicate(alarm, UNA, NXT, 5);
    alarm.resent(1, 1e6);
    expect(alarm.isProvenByDuplicates).to.equal(false);
    duplicate(alarm, UNA, seq(0xffff_fe00));
    expect(alarm.isProvenByDuplicates).to.equal(true);
    alarm.resent(1, 1e6);
    expect(alarm.isProvenByDuplicates).to.equal(false);
  });

  it('waits for the duplicates of an episode before too (Linux tcp_init_undo)', () => {
    const alarm = begun(1);
    alarm.resent(1, 1e6);
    duplicate(alarm, UNA, seq(0xffff_fe00));
    expect(alarm.isProvenByDuplicates).to.equal(false);
    duplicate(alarm, UNA, seq(0xffff_fe00));
    expect(alarm.isProvenByDuplicates).to.equal(true);
  });

  it('is proven by the echo of a tick before the first retransmission, not of its own (RFC 3522 §3.2)', () => {
    const alarm = begun();
    expect(alarm.isProvenByEcho(echo(0)), 'nothing was sent again').to.equal(false);
    alarm.resent(1, 5_000_700);
    alarm.resent(1, 9_000_000);
    expect(alarm.isProvenByEcho(echo(5_000_000))).to.equal(false);
    expect(alarm.isProvenByEcho(echo(4_999_000))).to.equal(true);
    expect(alarm.isProvenByEcho(echo(-1)), 'no timestamp').to.equal(false);
    alarm.begin(UNA, NXT, 1);
    expect(alarm.isProvenByEcho(echo(4_999_000)), 'of another reduction').to.equal(false);
  });

  it('takes proof until what was sent by its end is acknowledged', () => {
    const alarm = begun();
    alarm.resent(1, 1e6);
    alarm.keepUntil(NXT);
    alarm.outlived(seq(0xffff_ffff));
    alarm.outlived(NXT);
    expect(alarm.isOpen).to.equal(true);
    alarm.outlived(seq(0x401));
    expect(alarm.isOpen).to.equal(false);
  });
});
