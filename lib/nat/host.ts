/** What a translator asks of the stack it works in. */

import type { DropReason } from '../base/drop-reason.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { LinkAddress } from './outside.js';
import type { Endpoint } from './rewrite.js';

/** The ports of the stack itself, which has the outside addresses too. */
export interface OwnPorts {
  /** Whether a socket of the stack listens on a port, or waits for answers there. */
  isTaken(protocol: number, port: number): boolean;
  /** Whether the stack itself speaks from `near` to `far`. */
  hasFlow(protocol: number, near: Endpoint, far: Endpoint): boolean;
  /** Whether the stack takes connections that are begun to that port, though no socket of it has it. */
  wants(packet: IpPacket, port: number): boolean;
  /** The stack must not choose this port for itself. */
  reserve(protocol: number, port: number): void;
  /** Undoes one `reserve`. */
  release(protocol: number, port: number): void;
}

/** The stack a translator works in. */
export interface NatHost {
  readonly own: OwnPorts;
  /** Counts a packet dropped. */
  drop(reason: DropReason): void;
  /** Changes whenever addresses may have changed. */
  generation(): number;
  /** Addresses of the outside link that packets may leave with, in the order in which they are best used. */
  linkAddresses(): readonly LinkAddress[];
  /** Answers a packet with an ICMP error, within the limits of the stack. */
  sendError(packet: IpPacket, kind: NatErrorKind): void;
  /** `nextDeadlineUs` may have become earlier. */
  deadlineChanged(): void;
}

/** Errors a translator sends, numbered as IP numbers them. */
export const NatErrorKind = { PortUnreachable: 4, Prohibited: 7 } as const;
export type NatErrorKind = (typeof NatErrorKind)[keyof typeof NatErrorKind];
