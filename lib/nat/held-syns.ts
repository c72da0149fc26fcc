/**
 * SYNs from the outside that nobody has asked for: held for a while, since the host inside that they are for
 * may be about to send its own (RFC 5382 §4.3 REQ-4).
 */

import { NEVER } from '../base/clock.js';
import { EndpointIndex, KeyWord, putAddress } from '../base/endpoint-index.js';
import { RowNumbers } from '../base/hash-slots.js';
import type { Random } from '../base/random.js';
import { Cast, type IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import { keepPacket } from '../wire/kept-packet.js';
import type { Endpoint } from './rewrite.js';

/** Bytes of each that are kept: both headers with all their options. */
const KEPT_BYTES = 120;

interface HeldSyn {
  readonly row: number;
  readonly packet: IpPacket;
  readonly deadlineUs: number;
  isHeld: boolean;
}

export class HeldSyns {
  readonly #index: EndpointIndex;
  readonly #numbers = new RowNumbers();
  readonly #byRow: (HeldSyn | undefined)[] = [];
  /** In the order of their deadlines, which is that in which they came. */
  #queue: HeldSyn[] = [];
  readonly #limit: number;
  readonly #holdUs: number;

  constructor(random: Random, limit: number, holdUs: number) {
    this.#index = new EndpointIndex(random);
    this.#limit = limit;
    this.#holdUs = holdUs;
  }

  get size(): number {
    return this.#index.size;
  }

  get nextDeadlineUs(): number {
    return this.#queue.length === 0 ? NEVER : this.#queue[0].deadlineUs;
  }

  /** Holds a SYN from `far` to `near`. @returns false when it is held already, or too many are */
  hold(packet: IpPacket, near: Endpoint, far: Endpoint): boolean {
    this.#aim(near, far);
    // Those met meanwhile stay in the queue until their time is up, and count.
    if (this.#index.find() >= 0 || this.#queue.length >= this.#limit) return false;
    const kept = keepPacket(packet, KEPT_BYTES);
    // Nobody has looked yet to how many it was sent, but the address says it.
    kept.cast = Cast.Unicast;
    const row = this.#numbers.take();
    const held: HeldSyn = { row, packet: kept, deadlineUs: packet.nowUs + this.#holdUs, isHeld: true };
    this.#index.insert(row);
    this.#byRow[row] = held;
    this.#queue.push(held);
    return true;
  }

  /** The inside has sent a SYN from `near` to `far`: one held for it is forgotten. @returns whether there was one */
  meet(near: Endpoint, far: Endpoint): boolean {
    if (this.#index.size === 0) return false;
    this.#aim(near, far);
    const row = this.#index.find();
    if (row < 0) return false;
    this.#forget(this.#byRow[row] as HeldSyn);
    return true;
  }

  /** Hands out those whose time is up. */
  expire(nowUs: number, refuse: (packet: IpPacket) => void): void {
    if (this.nextDeadlineUs > nowUs) return;
    const due = this.#queue.filter(({ deadlineUs }) => deadlineUs <= nowUs);
    this.#queue = this.#queue.slice(due.length);
    for (const held of due) {
      if (!held.isHeld) continue;
      this.#forget(held);
      held.packet.nowUs = nowUs;
      refuse(held.packet);
    }
  }

  #forget(held: HeldSyn): void {
    held.isHeld = false;
    this.#index.remove(held.row);
    this.#byRow[held.row] = undefined;
    this.#numbers.give(held.row);
  }

  #aim(near: Endpoint, far: Endpoint): void {
    const { probe } = this.#index;
    probe[KeyWord.EXTRA] = Protocol.Tcp;
    putAddress(probe, KeyWord.NEAR, near);
    putAddress(probe, KeyWord.FAR, far);
    probe[KeyWord.PORTS] = (near.port << 16) | far.port;
  }
}
