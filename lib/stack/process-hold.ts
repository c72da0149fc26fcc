/** Keeping the host process alive: by sockets and servers, and for what is still to be delivered. */
import type { Alarm, Clock } from '../base/clock.js';
import type { LinkPort } from './link-port.js';

/** How far away the alarm is that keeps the host process alive, µs; it never has anything to do. */
const KEEP_US = 86_400e6;

export class ProcessHold {
  readonly #clock: Clock;
  /** Set while the host process is to be kept alive, though no packet and no deadline may be due. */
  readonly #keeper: Alarm;
  readonly #alarm: Alarm;
  readonly #ports: readonly LinkPort[];
  /** Sockets and servers that keep the host process alive. */
  #holders = 0;
  #holdsForOrphans = false;
  #isOver = false;

  /**
   * @param alarm the stack's own
   * @param ports its links, which may become more
   */
  constructor(clock: Clock, alarm: Alarm, ports: readonly LinkPort[]) {
    this.#clock = clock;
    this.#keeper = clock.createAlarm(() => this.#keep());
    this.#alarm = alarm;
    this.#ports = ports;
    alarm.unref?.();
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  hold(): void {
    if (this.#holders++ > 0) return;
    this.#alarm.ref?.();
    this.#keep();
    for (const port of this.#ports) port.device.ref?.();
  }

  release(): void {
    if (--this.#holders > 0) return;
    this.#alarm.unref?.();
    this.#keeper.clear();
    for (const port of this.#ports) port.device.unref?.();
  }

  /**
   * What was written before a socket was given up is still delivered: the process must live that long.
   * @returns whether that is new
   */
  holdForOrphans(holds: boolean): boolean {
    if (holds === this.#holdsForOrphans) return false;
    this.#holdsForOrphans = holds;
    if (holds) this.hold();
    else this.release();
    return true;
  }

  /** The stack is closed: no process lives for it any more, and its alarm is off. */
  end(): void {
    this.#isOver = true;
    this.#alarm.clear();
    this.#keeper.clear();
  }

  /** Links within the process have nothing the host's loop would wait for. In virtual time there is no host. */
  #keep(): void {
    if (this.#keeper.ref !== undefined && !this.#isOver) this.#keeper.setAt(this.#clock.nowUs() + KEEP_US);
  }
}
