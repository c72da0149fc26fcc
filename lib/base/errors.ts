/**
 * Errors. Three kinds of trouble get three answers: bad packets are counted and dropped (`stats.ts`),
 * our own mistakes fail an `invariant`, and what the world does to a caller is a `StackError`, shaped
 * like the system errors of Node.
 */

/** errno values as Linux numbers them; Node reports them negated. */
const ERRNO: Readonly<Record<string, number>> = {
  EPERM: 1,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  EPIPE: 32,
  EPROTO: 71,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  ESRCH: 3,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  ENOTTY: 25,
  ENOSPC: 28,
  EROFS: 30,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  EBADMSG: 74,
  EBADFD: 77,
  EPROTOTYPE: 91,
};

/** A system error in the shape Node gives its own: `listen EADDRINUSE: address already in use 10.0.0.1:80`. */
export class StackError extends Error {
  /** Negated errno as Linux numbers it, for instance -111. */
  readonly errno: number;
  /** Name of the error, for instance `ECONNREFUSED`. */
  readonly code: string;
  /** The call that failed: `listen`, `connect`, `read`, `write`, `bind`, `send` … */
  readonly syscall: string;
  /** Address concerned. Where there is none, the error has no such property, as Node's have none. */
  declare readonly address?: string;
  /** Absent when there is none or it is 0. */
  declare readonly port?: number;

  constructor(code: string, syscall: string, address?: string, port?: number) {
    super(describe(code, syscall, address, port));
    this.errno = -(ERRNO[code] ?? 0);
    this.code = code;
    this.syscall = syscall;
    if (address !== undefined) this.address = address;
    if (port !== undefined && port !== 0) this.port = port;
  }
}

/** The words Node adds to the two errors of `listen` and `bind`; its other system errors have none. */
const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'address not available',
};

function describe(code: string, syscall: string, address?: string, port?: number): string {
  const words = syscall === 'listen' && WORDS[code] !== undefined ? `: ${WORDS[code]}` : '';
  const place =
    address === undefined ? '' : port === undefined || port === 0 ? ` ${address}` : ` ${address}:${port}`;
  return `${syscall} ${code}${words}${place}`;
}

/** A `TypeError` or `RangeError` with a code of Node's, for arguments that can never be right. */
export class ArgumentTypeError extends TypeError {
  readonly code = 'ERR_INVALID_ARG_TYPE';
}

export class ArgumentValueError extends TypeError {
  readonly code = 'ERR_INVALID_ARG_VALUE';
}

export class ArgumentRangeError extends RangeError {
  readonly code = 'ERR_OUT_OF_RANGE';
}

/** A mistake of this code base, never of a peer or a caller. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** States a fact that must hold here. Failing it is a bug in this stack. */
export function invariant(holds: boolean, fact: string): asserts holds {
  if (!holds) throw new InvariantError(`broken invariant: ${fact}`);
}
