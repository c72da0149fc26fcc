/** How whoever accepts any address may refuse by ICMP, in words that both families have. */
import { ArgumentTypeError, ArgumentValueError } from '../base/errors.js';

/**
 * An ICMP error in answer to what is not accepted: Destination Unreachable with codes 0, 1, 3 and 13 over IPv4
 * (RFC 792, RFC 1812 §5.2.7.1), 0, 3, 4 and 1 over IPv6 (RFC 4443 §3.1).
 */
export type IcmpRejection = 'net-unreachable' | 'host-unreachable' | 'port-unreachable' | 'prohibited';

/** Numbered as IP numbers the kinds of errors. */
const KINDS = { 'net-unreachable': 1, 'host-unreachable': 2, 'port-unreachable': 4, prohibited: 7 } as const;

/** The number of a kind of error. @throws ArgumentTypeError, ArgumentValueError for what is none */
export function rejectionKind(reason: IcmpRejection): (typeof KINDS)[IcmpRejection] {
  if (typeof reason !== 'string') throw new ArgumentTypeError('the reason of a rejection must be a string');
  if (Object.hasOwn(KINDS, reason)) return KINDS[reason];
  throw new ArgumentValueError(`not a reason for a rejection: "${String(reason)}"`);
}
