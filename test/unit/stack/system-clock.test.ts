import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type Alarm, NEVER } from '../../../lib/base/clock.js';
import { SystemClock } from '../../../lib/stack/system-clock.js';

/** Sets an alarm and resolves with how late it rang, µs. */
const ringLateUs = (clock: SystemClock, delayUs: number, prepare?: (alarm: Alarm) => void): Promise<number> =>
  new Promise((resolve) => {
    const deadlineUs = clock.nowUs() + delayUs;
    const alarm = clock.createAlarm(() => resolve(clock.nowUs() - deadlineUs));
    prepare?.(alarm);
    alarm.setAt(deadlineUs);
  });

describe('SystemClock', () => {
  const clock = new SystemClock();

  it('counts microseconds and does not go back', async () => {
    const before = clock.nowUs();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const passed = clock.nowUs() - before;
    expect(passed).to.be.within(18_000, 2_000_000);
  });

  it('takes its time from a clock that nobody sets: moving the wall clock moves nothing [G1]', () => {
    const wall = Date.now;
    try {
      const before = clock.nowUs();
      Date.now = () => wall() + 86_400_000;
      expect(clock.nowUs() - before).to.be.within(0, 1_000_000);
      Date.now = () => 0;
      expect(clock.nowUs() - before).to.be.within(0, 1_000_000);
    } finally {
      Date.now = wall;
    }
  });

  it('rings at the deadline or after it, never before and never inside setAt', async () => {
    for (const delayUs of [-5_000, 0, 1, 300, 999, 1_000, 1_700, 5_000, 12_300, 40_000]) {
      let inside = true;
      const late = await new Promise<number>((resolve, reject) => {
        const deadlineUs = clock.nowUs() + delayUs;
        const alarm = clock.createAlarm(() => {
          if (inside) reject(new Error('rang inside setAt'));
          resolve(clock.nowUs() - deadlineUs);
        });
        alarm.setAt(deadlineUs);
        inside = false;
      });
      expect(late, `${delayUs} µs`).to.be.within(0, 500_000);
    }
  });

  it('moves an armed alarm to an earlier and to a later time', async () => {
    const toEarlier = await ringLateUs(clock, 2_000, (alarm) => alarm.setAt(clock.nowUs() + 3_600_000_000));
    expect(toEarlier).to.be.within(0, 500_000);
    const toLater = await ringLateUs(clock, 15_000, (alarm) => alarm.setAt(clock.nowUs() + 1_000));
    expect(toLater).to.be.within(0, 500_000);
  });

  it('does not touch the host timer when set to a later time', () => {
    const original = globalThis.setTimeout;
    let armed = 0;
    const counting = ((...args: Parameters<typeof setTimeout>) => {
      armed++;
      return original(...args);
    }) as typeof setTimeout;
    const alarm = clock.createAlarm(() => {});
    globalThis.setTimeout = counting;
    try {
      for (let i = 0; i < 1000; i++) {
        alarm.setAt(clock.nowUs() + 200_000);
        if (i % 10 === 0) alarm.clear();
      }
    } finally {
      globalThis.setTimeout = original;
      alarm.clear();
    }
    expect(armed).to.equal(1);
  });

  it('stays silent once cleared, and rings once for each setting', async () => {
    let rung = 0;
    const alarm = clock.createAlarm(() => rung++);
    alarm.setAt(clock.nowUs());
    alarm.clear();
    alarm.setAt(clock.nowUs() + 2_000);
    alarm.setAt(NEVER);
    await new Promise((resolve) => setTimeout(resolve, 15));
    expect(rung).to.equal(0);
    alarm.setAt(clock.nowUs());
    alarm.setAt(clock.nowUs());
    await new Promise((resolve) => setTimeout(resolve, 15));
    expect(rung).to.equal(1);
  });

  it('arms again past the longest host timer instead of ringing at once', async () => {
    let rung = 0;
    const alarm = clock.createAlarm(() => rung++);
    alarm.setAt(clock.nowUs() + 2 ** 31 * 1000 * 2);
    await new Promise((resolve) => setTimeout(resolve, 15));
    alarm.clear();
    expect(rung).to.equal(0);
  });

  it('keeps the process alive only while set and referenced', async function () {
    this.timeout(30_000);
    const run = async (body: string): Promise<string> => {
      const script = `import { SystemClock } from './lib/stack/system-clock.ts';
        const clock = new SystemClock(); const alarm = clock.createAlarm(() => console.log('rang'));
        const inUs = (us) => clock.nowUs() + us; ${body}`;
      const args = ['--import=tsx', '--input-type=module', '-e', script];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
      return stdout.trim();
    };
    const outputs = await Promise.all([
      run('alarm.setAt(inUs(30_000));'),
      run('alarm.setAt(inUs(3_600_000_000)); alarm.clear();'),
      run('alarm.unref(); alarm.setAt(inUs(3_600_000_000));'),
      run('alarm.setAt(inUs(3_600_000_000)); alarm.unref();'),
      // An unreferenced alarm still rings in time while something else keeps the loop going.
      run(`alarm.unref(); alarm.setAt(inUs(0)); setTimeout(() => process.exit(), 3_000); alarm2();
        function alarm2() { const a = clock.createAlarm(() => process.exit()); a.unref(); a.setAt(inUs(100_000)); }`),
      run(`alarm.setAt(inUs(0)); alarm.unref(); const t = clock.nowUs();
        setTimeout(() => {}, 1_000); const b = clock.createAlarm(() => console.log(clock.nowUs() - t < 500_000));
        b.setAt(inUs(50)); b.unref();`),
    ]);
    expect(outputs).to.deep.equal(['rang', '', '', '', 'rang', 'rang\ntrue']);
  });
});
