/** What went wrong with a request, as curl tells it. */
import { CliError } from '../frame/errors.js';
import { HttpExit } from './options.js';

const NOT_RESOLVED = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NONAME', 'EAI_FAIL', 'EAI_NODATA']);
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EACCES',
  'ENETDOWN',
]);
const CERTIFICATE =
  /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_CA|CRL_)/;

interface CodedError extends Error {
  readonly code?: string;
  readonly errors?: readonly CodedError[];
}

/** @param connected whether the connection stood already */
export function failure(error: unknown, connected: boolean): CliError {
  if (error instanceof CliError) return error;
  const given = error as CodedError;
  // Attempts to several addresses: the last says enough.
  const { code = '', message } = given.errors?.at(-1) ?? given;
  return new CliError(message, statusOf(code, connected));
}

function statusOf(code: string, connected: boolean): number {
  if (NOT_RESOLVED.has(code)) return HttpExit.NotResolved;
  if (CERTIFICATE.test(code)) return HttpExit.CertificateRefused;
  if (/^(ERR_SSL|EPROTO|ERR_TLS)/.test(code)) return HttpExit.TlsFailed;
  if (code === 'ETIMEDOUT') return HttpExit.TimedOut;
  if (NOT_CONNECTED.has(code)) return HttpExit.NotConnected;
  return connected ? HttpExit.ReceiveError : HttpExit.NotConnected;
}
