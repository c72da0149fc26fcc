/** What the resolver takes from where it runs: Node, or a page. Whoever makes resolvers there says so first. */
import { invariant } from '../base/errors.js';
import type { Question } from './message.js';

/** A record as a codec reads it. */
export interface Decoded {
  readonly type: string;
  readonly data: unknown;
}

/** The sections of a message, and how many bytes of it they took. */
export interface DecodedMessage {
  readonly sections: readonly [answers: Decoded[], authorities: Decoded[], additionals: Decoded[]];
  readonly bytes: number;
}

/** Writes queries and reads the data of records. The structure of what it reads was walked before. */
export interface MessageCodec {
  /** A query with an ID, and an OPT record unless `udpPayloadBytes` is 0 (RFC 6891 §6.1). */
  encode(question: Question, id: number, udpPayloadBytes: number): Uint8Array;
  /** Undefined for what it cannot read. */
  decode(bytes: Uint8Array): DecodedMessage | undefined;
}

export interface DnsHost {
  readonly codec: MessageCodec;
  /** A name in ASCII (RFC 5891); '' for one that has no such form. */
  toAscii(name: string): string;
  /** Calls back once the present call is over. */
  soon(callback: () => void): void;
}

let current: DnsHost | undefined;

export function setDnsHost(host: DnsHost): void {
  current = host;
}

/** As `setDnsHost`, unless there is one already: Node's goes before that of pages, where a program has loaded both. */
export function offerDnsHost(host: DnsHost): void {
  current ??= host;
}

export function dnsHost(): DnsHost {
  invariant(current !== undefined, 'a host is set before a resolver is made');
  return current;
}
