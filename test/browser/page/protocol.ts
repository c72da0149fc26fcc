/** What the page, its workers and the test say to each other. */
import type { PacketPort } from '../../../lib/browser.js';

export type Start =
  | { readonly role: 'server' | 'client'; readonly port: PacketPort; readonly bytes: number }
  | { readonly role: 'close' };

export interface TalkReport {
  readonly kind: 'report';
  /** Digests of what the client sent, as each side computed it. */
  readonly sent: string;
  readonly heard: string;
  /** Whether the same passed to a name of the hosts table, and to one that a name server knew. */
  readonly byName: boolean;
  readonly byDns: boolean;
  readonly dnsQueries: number;
  readonly udp: string;
  readonly refused: string;
  readonly unknown: string;
  readonly tookMs: number;
  readonly counters: Record<string, number>;
  readonly drops: Record<string, number>;
  /** Whether the page has shared memory. */
  readonly isIsolated: boolean;
  /** Why the client's link went down, when the server closed its own. */
  readonly down: string;
}

export type Report =
  | TalkReport
  | { readonly kind: 'listening' }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly message: string };
