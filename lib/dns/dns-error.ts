/** The errors of `node:dns`. */

export interface DnsError extends Error {
  /** Of libuv, negative, for `lookup` and `lookupService`; undefined for what a name server said. */
  errno: number | undefined;
  /** `ENOTFOUND`, `ETIMEOUT`, `EAI_AGAIN` … */
  code: string;
  /** `queryA`, `getaddrinfo` … */
  syscall: string;
  hostname?: string;
}

/** Of libuv (`UV_EAI_…`). */
export const EaiError = { AGAIN: -3001, NODATA: -3007, NONAME: -3008 } as const;

/** `queryA ENOTFOUND example.com`. */
export function dnsError(code: string, syscall: string, hostname: string, errno?: number): DnsError {
  const message = hostname === '' ? `${syscall} ${code}` : `${syscall} ${code} ${hostname}`;
  const error = Object.assign(new Error(message), { errno, code, syscall });
  return hostname === '' ? error : Object.assign(error, { hostname });
}

/** What `lookup` and `lookupService` make of the code of an answer: whoever cannot be asked may be later. */
export function lookupError(code: string, syscall: string, hostname: string): DnsError {
  if (code === 'ENODATA') return dnsError('ENOTFOUND', syscall, hostname, EaiError.NODATA);
  const isNowhere = code === 'ENOTFOUND' || code === 'EBADNAME';
  if (isNowhere) return dnsError('ENOTFOUND', syscall, hostname, EaiError.NONAME);
  return dnsError('EAI_AGAIN', syscall, hostname, EaiError.AGAIN);
}

/** The servers of a resolver cannot be changed now. */
export const busyError = (servers: readonly string[]): Error =>
  Object.assign(
    new Error(`c-ares failed to set servers: "There are pending queries." [${servers.join(',')}]`),
    {
      code: 'ERR_DNS_SET_SERVERS_FAILED',
    },
  );
