import { expect } from 'chai';
import fc from 'fast-check';
import { NEVER } from '../../../lib/base/clock.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';

describe('VirtualClock', () => {
  it('starts where it is told and moves only when told', () => {
    const clock = new VirtualClock(5_000);
    expect(clock.nowUs()).to.equal(5_000);
    clock.advanceBy(1.5);
    clock.advanceTo(6_000);
    expect(clock.nowUs()).to.equal(6_000);
    expect(() => clock.advanceTo(5_999)).to.throw(RangeError);
    expect(() => clock.advanceTo(Number.NaN)).to.throw(RangeError);
    expect(() => new VirtualClock(NEVER)).to.throw(RangeError);
  });

  it('rings in order of deadline, ties in order of setting, each at its own time', () => {
    const clock = new VirtualClock();
    const rung: string[] = [];
    const alarm = (name: string) => clock.createAlarm(() => rung.push(`${name}@${clock.nowUs()}`));
    const a = alarm('a');
    const b = alarm('b');
    const c = alarm('c');
    a.setAt(20);
    b.setAt(10);
    c.setAt(20);
    a.setAt(20); // set again: now after c
    clock.advanceTo(15);
    expect(rung).to.deep.equal(['b@10']);
    clock.advanceTo(20);
    expect(rung).to.deep.equal(['b@10', 'c@20', 'a@20']);
    clock.advanceTo(1000);
    expect(rung).to.have.length(3);
  });

  it('rings a past deadline at the current time, never inside setAt', () => {
    const clock = new VirtualClock(100);
    let rung = 0;
    const alarm = clock.createAlarm(() => rung++);
    alarm.setAt(50);
    expect(rung).to.equal(0);
    expect(clock.nextUs).to.equal(100);
    clock.advanceBy(0);
    expect(rung).to.equal(1);
    expect(clock.nowUs()).to.equal(100);
  });

  it('forgets a cleared alarm, also one cleared by another that rings at the same time', () => {
    const clock = new VirtualClock();
    let rung = 0;
    const late = clock.createAlarm(() => rung++);
    const early = clock.createAlarm(() => late.clear());
    early.setAt(10);
    late.setAt(10);
    clock.advanceTo(20);
    expect(rung).to.equal(0);
    late.setAt(30);
    late.setAt(NEVER);
    expect(clock.pending).to.equal(0);
    expect(clock.runUntilIdle()).to.equal(true);
    expect(clock.nowUs()).to.equal(20);
  });

  it('runs until idle, at most for the given time', () => {
    const clock = new VirtualClock(1000);
    let left = 5;
    const alarm = clock.createAlarm(() => {
      if (--left > 0) alarm.setAt(clock.nowUs() + 100);
    });
    alarm.setAt(1100);
    expect(clock.runUntilIdle(250)).to.equal(false);
    expect(clock.nowUs()).to.equal(1250);
    expect(left).to.equal(3);
    expect(clock.runUntilIdle()).to.equal(true);
    expect(clock.nowUs()).to.equal(1500);
    alarm.setAt(2000);
    expect(clock.runUntil(() => clock.nowUs() === 2000)).to.equal(true);
    expect(clock.step()).to.equal(false);
  });

  it('agrees with a sorted list under random setting, clearing and advancing', () => {
    const operation = fc.record({
      alarm: fc.nat(9),
      us: fc.nat(50),
      kind: fc.constantFrom('set', 'set', 'clear', 'advance'),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const clock = new VirtualClock();
        const rung: string[] = [];
        const expected: string[] = [];
        const alarms = Array.from({ length: 10 }, (_, i) =>
          clock.createAlarm(() => rung.push(`${i}@${clock.nowUs()}`)),
        );
        let model: { i: number; at: number; order: number }[] = [];
        let order = 0;
        for (const { alarm, us, kind } of operations) {
          if (kind === 'advance') {
            const until = clock.nowUs() + us;
            clock.advanceTo(until);
            model.sort((x, y) => x.at - y.at || x.order - y.order);
            for (const entry of model.filter((e) => e.at <= until)) expected.push(`${entry.i}@${entry.at}`);
            model = model.filter((e) => e.at > until);
          } else {
            model = model.filter((e) => e.i !== alarm);
            if (kind === 'clear') alarms[alarm].clear();
            else {
              const at = clock.nowUs() - 10 + us;
              alarms[alarm].setAt(at);
              model.push({ i: alarm, at: Math.max(at, clock.nowUs()), order: order++ });
            }
          }
          expect(clock.pending).to.equal(model.length);
        }
        expect(rung).to.deep.equal(expected);
      }),
    );
  });
});
