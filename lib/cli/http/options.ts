/** What `tunstack http` is told. */
import type { FamilyOptions } from '../network/family.js';
import type { NetworkOptions } from '../network/options.js';

export interface HttpOptions extends NetworkOptions, FamilyOptions {
  readonly request?: string;
  readonly header: readonly string[];
  readonly data: readonly string[];
  readonly output?: string;
  readonly include: boolean;
  readonly head: boolean;
  readonly location: boolean;
  readonly maxRedirects: number;
  readonly fail: boolean;
  readonly silent: boolean;
  readonly insecure: boolean;
  readonly cacert?: string;
  /** ms. */
  readonly maxTime?: number;
  readonly connectTimeout?: number;
  readonly json: boolean;
}

/** Exit statuses, as curl numbers them. */
export const HttpExit = {
  MalformedUrl: 3,
  NotResolved: 6,
  NotConnected: 7,
  Partial: 18,
  HttpError: 22,
  WriteError: 23,
  ReadError: 26,
  TimedOut: 28,
  TlsFailed: 35,
  TooManyRedirects: 47,
  EmptyReply: 52,
  ReceiveError: 56,
  CertificateRefused: 60,
  CaFileUnreadable: 77,
} as const;
