/** A link of a channel as a stack uses it, in virtual time. */
import type { Clock } from '../../../lib/base/clock.js';
import type { PacketLink } from '../../../lib/link/packet-link.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';

export interface Opened {
  readonly clock: VirtualClock;
  readonly link: PacketLink;
  /** What the stack was given. */
  readonly received: Uint8Array[];
  /** Why the link went down. */
  readonly down: (Error & { code?: string })[];
  /** Sends packets as a stack does. @returns false when the link lends no batch */
  send(...packets: Uint8Array[]): boolean;
}

/** @param make makes the link */
export function opened(make: (clock: Clock) => PacketLink): Opened {
  const clock = new VirtualClock();
  const link = make(clock);
  const received: Uint8Array[] = [];
  const down: (Error & { code?: string })[] = [];
  link.onDown = (error) => down.push(error);
  link.open((batch) => {
    for (let i = 0; i < batch.count; i++) {
      received.push(batch.bytes.slice(batch.offset(i), batch.offset(i) + batch.length(i)));
    }
  });
  const send = (...packets: Uint8Array[]): boolean => {
    const batch = link.borrow();
    if (batch === undefined) return false;
    for (const packet of packets) batch.appendPacket(packet, ChecksumState.Valid);
    link.send(batch);
    return true;
  };
  return { clock, link, received, down, send };
}

/** Lets promises that are settled, and callbacks of streams, have their say. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((turn) => setImmediate(turn));
}

/** Something with listeners, as dgram sockets, WebSockets and ports are. */
export class Talker {
  readonly #listeners = new Map<string, Set<(...args: unknown[]) => void>>();

  on(event: string, listener: (...args: unknown[]) => void): void {
    const known = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, known.add(listener));
  }

  addEventListener(event: string, listener: (...args: unknown[]) => void): void {
    this.on(event, listener);
  }

  removeEventListener(event: string, listener: (...args: unknown[]) => void): void {
    this.#listeners.get(event)?.delete(listener);
  }

  emit(event: string, ...args: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(...args);
  }

  listeners(event: string): number {
    return this.#listeners.get(event)?.size ?? 0;
  }
}
