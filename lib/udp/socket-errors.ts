/** Errors a socket is told of: the one its next call fails with, and the queue of those it asked for. */
import { StackError } from '../base/errors.js';
import { type DatagramIcmpError, IcmpKind } from './carrier.js';
import type { DatagramError } from './datagram.js';

/** What an ICMP error means to a socket. */
export interface Verdict {
  readonly code: string;
  /** Reported to a connected socket without being asked for. */
  readonly isHard: boolean;
}

const HARD = true;
const SOFT = false;

/** As Linux translates them (`icmp_err_convert`, `icmpv6_err_convert`). */
export function verdictOf(error: DatagramIcmpError, discoversMtu: boolean): Verdict {
  const isV4 = error.quote.version === 4;
  switch (error.kind) {
    case IcmpKind.NetUnreachable:
      return { code: 'ENETUNREACH', isHard: SOFT };
    case IcmpKind.HostUnreachable:
    case IcmpKind.TimeExceeded:
      return { code: 'EHOSTUNREACH', isHard: SOFT };
    case IcmpKind.ProtocolUnreachable:
      return { code: 'ENOPROTOOPT', isHard: HARD };
    case IcmpKind.PortUnreachable:
      return { code: 'ECONNREFUSED', isHard: HARD };
    case IcmpKind.PacketTooBig:
      return { code: 'EMSGSIZE', isHard: discoversMtu };
    case IcmpKind.SourceRouteFailed:
      return { code: 'EOPNOTSUPP', isHard: SOFT };
    case IcmpKind.Prohibited:
      return { code: isV4 ? 'EHOSTUNREACH' : 'EACCES', isHard: HARD };
    case IcmpKind.ParameterProblem:
      return { code: 'EPROTO', isHard: HARD };
    default:
      return { code: 'EPROTO', isHard: SOFT };
  }
}

export class SocketErrors {
  /** Code of the error that the next call fails with; '' for none. */
  #pending = '';
  #queue: DatagramError[] = [];
  readonly #limit: number;
  /** Entries the queue had no room for. */
  dropped = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get pending(): string {
    return this.#pending;
  }

  get queued(): number {
    return this.#queue.length;
  }

  setPending(code: string): void {
    this.#pending = code;
  }

  /** The error that waits, which is then told. */
  take(syscall: string): StackError | undefined {
    if (this.#pending === '') return undefined;
    const code = this.#pending;
    this.#pending = '';
    return new StackError(code, syscall);
  }

  /** An entry about an ICMP error, which means `code`. */
  pushIcmp(code: string, error: DatagramIcmpError, destinationPort: number): void {
    this.push({
      code,
      origin: error.quote.version === 4 ? 'icmp' : 'icmp6',
      icmpType: error.type,
      icmpCode: error.code,
      mtu: error.mtu,
      destination: error.quote.destination(),
      destinationPort,
      reporter: error.reporter.source(),
    });
  }

  push(entry: DatagramError): void {
    if (this.#queue.length >= this.#limit) this.dropped++;
    else this.#queue.push(entry);
  }

  /** The oldest entry of the queue. */
  shift(): DatagramError | undefined {
    return this.#queue.shift();
  }

  clear(): void {
    this.#pending = '';
    this.#queue = [];
  }
}
