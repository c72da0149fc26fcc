/**
 * The monotonic clock of a page or worker. Timers of browsers are coarse: 1 ms at best, 4 ms when one sets the next,
 * a second in a page that nobody sees. What is due at once therefore comes by a message to oneself, which waits for
 * nothing but what the event loop has to do already.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';

/** What is due sooner than this is waited for by messages, which takes turns of the event loop. */
const TIMER_GRAIN_US = 1000;
/** A deadline this far away may ring up to one grain late, which saves turns of the loop, and costs a tenth of it. */
const COARSE_FROM_US = 10_000;
/** The longest `setTimeout`, ms. */
const MAX_TIMEOUT_MS = 0x7fff_ffff;

/**
 * The monotonic clock of a page or worker of a browser, which no one sets. In a page that nobody sees browsers let
 * timers ring once a second, and later once a minute: a stack belongs into a worker, where they do not.
 */
export class BrowserClock implements Clock {
  readonly #channel = new MessageChannel();
  /** Alarms that ring with the next message, and those of the message under way. */
  #soon: BrowserAlarm[] = [];
  #ringing: BrowserAlarm[] = [];

  constructor() {
    const { port1 } = this.#channel;
    port1.addEventListener('message', () => this.#ringAll());
    port1.start();
  }

  /** Microseconds since the page or worker started, as exact as the browser tells. */
  nowUs(): number {
    return performance.now() * 1000;
  }

  createAlarm(ring: () => void): Alarm {
    return new BrowserAlarm(this, ring);
  }

  /** Lets no alarm ring any more that is due at once. For tests and pages that make many; a clock costs little. */
  close(): void {
    this.#channel.port1.close();
    this.#soon.length = 0;
  }

  /** @internal Rings `alarm` in the next turn of the event loop. */
  ringSoon(alarm: BrowserAlarm): void {
    if (this.#soon.push(alarm) === 1) this.#channel.port2.postMessage(undefined);
  }

  #ringAll(): void {
    const due = this.#soon;
    this.#soon = this.#ringing;
    this.#ringing = due;
    let next = 0;
    try {
      while (next < due.length) due[next++].hostFired();
    } finally {
      // Only an exception of the owner's leaves alarms over: they keep their turn.
      for (; next < due.length; next++) this.ringSoon(due[next]);
      due.length = 0;
    }
  }
}

/**
 * One alarm over one timer. A stack sets its alarm anew after every batch, nearly always to a later time: then the
 * timer stays as it is, fires early, finds that nothing is due and is armed for the rest.
 */
class BrowserAlarm implements Alarm {
  readonly #clock: BrowserClock;
  readonly #ring: () => void;
  readonly #fired = (): void => this.hostFired();
  #deadlineUs = NEVER;
  /** When the browser calls next, µs; `NEVER` while nothing is armed. */
  #hostUs = NEVER;
  #timeout: ReturnType<typeof setTimeout> | undefined;
  /** Whether it waits for a message, which cannot be taken back. */
  #isSoon = false;

  constructor(clock: BrowserClock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  setAt(deadlineUs: number): void {
    this.#deadlineUs = deadlineUs;
    if (deadlineUs < this.#hostUs) this.#arm(this.#clock.nowUs());
  }

  clear(): void {
    this.#deadlineUs = NEVER;
  }

  /** @internal The timer or the message has come. */
  hostFired(): void {
    this.#disarm();
    if (this.#deadlineUs === NEVER) return;
    const nowUs = this.#clock.nowUs();
    if (this.#deadlineUs > nowUs) {
      this.#arm(nowUs);
      return;
    }
    this.#deadlineUs = NEVER;
    this.#ring();
  }

  #arm(nowUs: number): void {
    const delayUs = this.#deadlineUs - nowUs;
    if (this.#timeout !== undefined) clearTimeout(this.#timeout);
    this.#timeout = undefined;
    if (delayUs < TIMER_GRAIN_US) {
      this.#hostUs = nowUs;
      if (this.#isSoon) return;
      this.#isSoon = true;
      this.#clock.ringSoon(this);
      return;
    }
    const isCoarse = delayUs >= COARSE_FROM_US;
    // Of a near one the rest is waited for by messages.
    const timeoutMs = Math.min((isCoarse ? Math.ceil : Math.floor)(delayUs / 1000), MAX_TIMEOUT_MS);
    this.#hostUs = Math.min(this.#deadlineUs, nowUs + timeoutMs * 1000);
    this.#timeout = setTimeout(this.#fired, timeoutMs);
  }

  #disarm(): void {
    if (this.#timeout !== undefined) clearTimeout(this.#timeout);
    this.#timeout = undefined;
    this.#isSoon = false;
    this.#hostUs = NEVER;
  }
}
