import { expect } from 'chai';
import { seq } from '../../../../lib/base/seq.js';
import { type ForwardFacts, ForwardRto, ForwardVerdict } from '../../../../lib/tcp/recovery/forward-rto.js';

const NOTHING: ForwardFacts = {
  isPartialAdvance: false,
  hasOriginal: false,
  hasDuplicate: false,
  canSendNew: true,
};
const { Unknown, Spurious, SendNew } = ForwardVerdict;
/** SND.NXT at the time-out, near the end of the numbers. */
const POINT = seq(0xffff_ff00);
const BEYOND = seq(0x100);

function begun(): ForwardRto {
  const forward = new ForwardRto();
  forward.begin(true);
  return forward;
}

describe('ForwardRto (RFC 5682 §3.1)', () => {
  it('says nothing where it was not begun', () => {
    const forward = new ForwardRto();
    const facts = { ...NOTHING, isPartialAdvance: true, hasOriginal: true };
    expect(forward.acknowledged(facts, POINT, POINT)).to.equal(Unknown);
    forward.begin(false);
    expect(forward.acknowledged(facts, POINT, POINT)).to.equal(Unknown);
  });

  it('goes on where the first ACK is a duplicate, and asks for new data after a partial one (steps 2.a, 2.b)', () => {
    const forward = begun();
    expect(forward.acknowledged({ ...NOTHING, hasDuplicate: true }, POINT, POINT)).to.equal(Unknown);
    expect(forward.isActive).to.equal(true);
    expect(forward.acknowledged({ ...NOTHING, isPartialAdvance: true }, POINT, POINT)).to.equal(SendNew);
    expect(forward.isActive).to.equal(true);
  });

  it('ends without new data that could be sent', () => {
    const forward = begun();
    const facts = { ...NOTHING, isPartialAdvance: true, canSendNew: false };
    expect(forward.acknowledged(facts, POINT, POINT)).to.equal(Unknown);
    expect(forward.isActive).to.equal(false);
  });

  it('ends with a duplicate behind the new data: the hole is real (step 3.a)', () => {
    const forward = begun();
    forward.acknowledged({ ...NOTHING, isPartialAdvance: true }, POINT, POINT);
    expect(forward.acknowledged({ ...NOTHING, hasDuplicate: true }, BEYOND, POINT)).to.equal(Unknown);
    expect(forward.isActive).to.equal(false);
    expect(forward.acknowledged({ ...NOTHING, hasOriginal: true }, BEYOND, POINT)).to.equal(Unknown);
  });

  it('finds the time-out spurious where what was sent once is acknowledged, before or behind new data (step 3.b)', () => {
    const first = begun();
    const facts = { ...NOTHING, hasOriginal: true, hasDuplicate: true };
    expect(first.acknowledged(facts, POINT, POINT)).to.equal(Spurious);
    expect(first.isActive).to.equal(false);
    const later = begun();
    later.acknowledged({ ...NOTHING, isPartialAdvance: true }, POINT, POINT);
    expect(later.acknowledged(facts, BEYOND, POINT)).to.equal(Spurious);
  });
});
