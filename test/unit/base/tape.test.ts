import { expect } from 'chai';
import fc from 'fast-check';
import { Tape } from '../../../lib/base/tape.js';

type Field = { kind: 'number'; value: number; usual: number } | { kind: 'flag' | 'object'; value: boolean };

const number = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.double(),
  fc.constantFrom(-0, 2 ** 31, -(2 ** 31)),
);
const field: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ kind: fc.constant('number' as const), value: number, usual: number }),
  fc.record({ kind: fc.constantFrom('flag' as const, 'object' as const), value: fc.boolean() }),
);

/** Passes fields to the tape; what they are while it plays is nobody's business. */
function pass(tape: Tape, fields: readonly Field[], isPlaying: boolean): unknown[] {
  return fields.map((one) => {
    if (one.kind === 'number') return tape.number(isPlaying ? 77 : one.value, one.usual);
    if (one.kind === 'flag') return tape.flag(isPlaying ? !one.value : one.value);
    return tape.object(one.value && !isPlaying ? one : undefined);
  });
}

const values = (fields: readonly Field[]): unknown[] =>
  fields.map((one) => (one.kind === 'object' ? (one.value ? one : undefined) : one.value));

describe('a tape', () => {
  it('answers what was recorded, bit for bit, whatever that is, and again', () => {
    const tape = new Tape();
    fc.assert(
      fc.property(fc.array(field, { maxLength: 400 }), fc.array(field), (fields, others) => {
        tape.record();
        expect(pass(tape, fields, false)).to.deep.equal(values(fields));
        const recording = tape.taken();
        tape.record();
        pass(tape, others, false);
        const other = tape.taken();
        for (let i = 0; i < 2; i++) {
          tape.play(recording);
          pass(tape, fields, true).forEach((value, at) => {
            expect(Object.is(value, values(fields)[at]), `field ${at}`).to.equal(true);
          });
        }
        tape.play(other);
        expect(pass(tape, others, true)).to.deep.equal(values(others));
      }),
    );
  });

  it('keeps nothing of what is usual but a bit', () => {
    const tape = new Tape();
    tape.record();
    for (let i = 0; i < 60; i++) tape.number(i, i);
    tape.number(5, 6);
    const { numbers, objects } = tape.taken();
    expect(numbers.length).to.equal(4);
    expect(objects.length).to.equal(0);
  });
});
