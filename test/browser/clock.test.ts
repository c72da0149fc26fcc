import { expect } from 'chai';
import { NEVER } from '../../lib/base/clock.js';
import { BrowserClock } from '../../lib/browser/browser-clock.js';
import { BrowserRandom } from '../../lib/browser/browser-random.js';
import { messagePortLink, Stack } from '../../lib/browser.js';

describe('BrowserClock', () => {
  let clock: BrowserClock;
  beforeEach(() => {
    clock = new BrowserClock();
  });
  // In Node the channel it speaks to itself by keeps the process alive.
  afterEach(() => clock.close());

  /** Waits until an alarm set to each of these times from now has rung. @returns in which order, and how late, µs */
  function ringing(delaysUs: readonly number[]): Promise<{ place: number; lateUs: number }[]> {
    const rung: { place: number; lateUs: number }[] = [];
    const startUs = clock.nowUs();
    return new Promise((done) => {
      for (const [place, delayUs] of delaysUs.entries()) {
        const alarm = clock.createAlarm(() => {
          rung.push({ place, lateUs: clock.nowUs() - startUs - delayUs });
          if (rung.length === delaysUs.length) done(rung);
        });
        alarm.setAt(startUs + delayUs);
      }
      expect(rung, 'within setAt').to.have.length(0);
    });
  }

  it('rings what is due at once in the order in which it was set, and never within setAt', async () => {
    const rung = await ringing([0, -1000, 0, 0]);
    expect(rung.map(({ place }) => place)).to.deep.equal([0, 1, 2, 3]);
  });

  it('rings never early, near and far', async () => {
    const rung = await ringing([100, 700, 1500, 5300, 12_345, 30_000]);
    for (const { lateUs } of rung) expect(lateUs).to.be.at.least(0);
    // Which comes first of those that a stalled process is late for, timers and messages do not agree on.
    const places = rung.map(({ place }) => place).sort((a, b) => a - b);
    expect(places).to.deep.equal([0, 1, 2, 3, 4, 5]);
  });

  it('rings once for the last setting, and not when cleared', async () => {
    let rings = 0;
    const alarm = clock.createAlarm(() => rings++);
    const cleared = clock.createAlarm(() => expect.fail('rang'));
    const nowUs = clock.nowUs();
    cleared.setAt(nowUs);
    cleared.clear();
    cleared.clear();
    const never = clock.createAlarm(() => expect.fail('rang'));
    never.setAt(nowUs);
    never.setAt(NEVER);
    alarm.setAt(nowUs);
    alarm.setAt(nowUs + 2000);
    alarm.setAt(nowUs + 1000);
    await ringing([5000]);
    expect(rings).to.equal(1);
    alarm.setAt(clock.nowUs() + 1e12);
    alarm.setAt(clock.nowUs());
    await ringing([0, 1500]);
    expect(rings).to.equal(2);
  });

  it('can be set anew from within its ring', async () => {
    const times: number[] = [];
    await new Promise<void>((done) => {
      const alarm = clock.createAlarm(() => {
        times.push(clock.nowUs());
        if (times.length === 200) done();
        else alarm.setAt(clock.nowUs());
      });
      alarm.setAt(clock.nowUs());
    });
    expect(times).to.have.length(200);
  });

  it('waits for what is further off than a timer reaches', async () => {
    const alarm = clock.createAlarm(() => expect.fail('rang'));
    alarm.setAt(clock.nowUs() + 0x7fff_ffff * 5000);
    await ringing([3000]);
    alarm.clear();
    alarm.setAt(clock.nowUs() + 3000);
    alarm.clear();
    await ringing([5000]);
  });

  it('draws random words that differ', () => {
    const random = new BrowserRandom();
    const words = new Set(Array.from({ length: 3000 }, () => random.uint32()));
    expect(words.size).to.be.above(2990);
    expect(Math.max(...words)).to.be.above(2 ** 31);
  });

  it('drives stacks: a connection over a MessageChannel', async () => {
    const channel = new MessageChannel();
    const random = new BrowserRandom();
    const stacks = [channel.port1, channel.port2].map((port, i) => {
      const stack = new Stack({ clock, random });
      stack.addLink(messagePortLink(port, { clock, mtu: 1500 }), { addresses: [`10.0.0.${i + 1}/24`] });
      return stack;
    });
    const [client, server] = stacks;
    const listener = server.streams.listen({ port: 7 });
    const connection = client.streams.connect({ host: '10.0.0.2', port: 7 });
    const accepted = await listener.accept();
    const writer = connection.writable.getWriter();
    await writer.write(new TextEncoder().encode('hello'));
    await writer.close();
    expect(await new Response(accepted?.readable).text()).to.equal('hello');
    await accepted?.close();
    await connection.close();
    for (const stack of stacks) stack.close();
  });
});
