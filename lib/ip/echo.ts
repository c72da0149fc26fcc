/**
 * Echo requests of this host, and who waits for their answers (ping).
 */
import { ArgumentRangeError, StackError } from '../base/errors.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { IcmpError } from './interfaces.js';

/** Hears what comes back for one identifier. Packets are lent for the call. */
export interface EchoListener {
  /** An echo reply: its data are the `dataBytes` bytes at `dataAt`. */
  reply(packet: IpPacket, reply: { sequence: number; dataAt: number; dataBytes: number }): void;
  /** An ICMP error about a request. */
  error(error: IcmpError, sequence: number): void;
}

/** An echo request to send. */
export interface EchoRequest {
  readonly destination: IpAddress;
  readonly source?: IpAddress;
  /** 0 .. 65535, as is `sequence`. */
  readonly identifier: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
  /** 1 .. 255; by default what a route or the options say. */
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly mark?: number;
  readonly oif?: number;
  /** Refuse instead of fragmenting; false by default. */
  readonly dontFragment?: boolean;
}

export class EchoListeners {
  readonly #listeners = new Map<number, EchoListener>();
  /**
   * Who is given echo requests that this host does not answer: to addresses that are not ours, where ICMP is taken for
   * such, and to ours where we do not answer. The packet is lent for the call. @returns whether he takes it
   */
  onStranger: ((packet: IpPacket) => boolean) | undefined = undefined;
  /** Answers the echo request in a packet from where it was sent to, be that ours or not. */
  readonly answer: (packet: IpPacket) => void;

  constructor(answer: (packet: IpPacket) => void) {
    this.answer = answer;
  }

  /**
   * Hears what comes for `identifier`, from now on.
   * @throws StackError EADDRINUSE when somebody does, ArgumentRangeError for no identifier
   */
  add(identifier: number, listener: EchoListener): void {
    if (!Number.isInteger(identifier) || identifier < 0 || identifier > 0xffff) {
      throw new ArgumentRangeError(`an echo identifier must be 0 .. 65535, not ${identifier}`);
    }
    if (this.#listeners.has(identifier)) throw new StackError('EADDRINUSE', 'ping', String(identifier));
    this.#listeners.set(identifier, listener);
  }

  remove(identifier: number): void {
    this.#listeners.delete(identifier);
  }

  get(identifier: number): EchoListener | undefined {
    return this.#listeners.get(identifier);
  }
}
