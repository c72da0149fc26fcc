/** What a DHCP client is made with, and what it counts. */
import type { Clock } from '../base/clock.js';
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import type { EthernetLink } from '../ethernet/ethernet-link.js';
import { IpAddress } from '../wire/ip-address.js';
import { type DhcpLease, isHostAddress } from './lease.js';
import { checkInteger, checkObjects } from './option-checks.js';

/** What a client is made with. */
export interface DhcpClientOptions {
  /** The link, after it was added to a stack. */
  readonly link: EthernetLink;
  /** The clock of the stack. */
  readonly clock: Clock;
  /** The randomness of the stack. */
  readonly random: Random;
  /** A name for the server to know it by; none by default. */
  readonly hostname?: string;
  /** What it is known by, 2 .. 255 bytes; by default made from the Ethernet address (RFC 4361 §6.1). */
  readonly clientId?: Uint8Array;
  /**
   * An address it had before, and would like again; none by default. It asks for that alone first (INIT-REBOOT, RFC 2131
   * §3.2), twice within 12 s, and for any other once that is refused, or no server says anything.
   */
  readonly requestAddress?: string;
  /** How long it waits for somebody else to claim the address by ARP before it is used, ms; 1000 by default, 0: not at all. */
  readonly probeMs?: number;
  /** Whether to add routes; true by default. */
  readonly useRoutes?: boolean;
  /** Metric of those routes; 0 by default. */
  readonly metric?: number;
  /** Hears of every lease, also when it was renewed: `({ dnsServers }) => stack.dns.setServers(dnsServers)`. */
  readonly onLease?: (lease: DhcpLease) => void;
  /** Hears that the address is lost: its time is up, the server took it back, or somebody else has it. */
  readonly onLost?: (reason: 'expired' | 'refused' | 'conflict') => void;
}

/**
 * Where a client stands (RFC 2131 Figure 5): `rebooting` asks for the address it had before, `checking` asks by ARP,
 * `waiting` has found an address taken, `released` is closed.
 */
export type DhcpClientState =
  | 'rebooting'
  | 'selecting'
  | 'requesting'
  | 'checking'
  | 'bound'
  | 'renewing'
  | 'rebinding'
  | 'waiting'
  | 'released';

/** What a client has seen. All only grow. */
export class DhcpClientStats {
  /** Messages sent. */
  sent = 0;
  /** Messages to it that it could use. */
  received = 0;
  /** Packets that could not be read. */
  malformed = 0;
  /** Messages for somebody else, or that it did not ask for. */
  ignored = 0;
  /** Times the server refused an address. */
  naks = 0;
  /** Addresses somebody else was found to have. */
  conflicts = 0;
  /** Leases of an address for which the stack had no room. */
  unusable = 0;
  /** Leases that began. */
  leases = 0;
  /** Leases renewed. */
  renewals = 0;
  /** Leases whose time was up. */
  expirations = 0;
}

/** The options with everything read, and their defaults. */
export interface ClientSettings extends DhcpClientOptions {
  readonly clientId: Uint8Array;
  readonly wanted: IpAddress | undefined;
  readonly probeMs: number;
  readonly useRoutes: boolean;
  readonly metric: number;
}

const KEYS: ReadonlySet<string> = new Set(
  'link clock random hostname clientId requestAddress probeMs useRoutes metric onLease onLost'.split(' '),
);

/** @throws ArgumentTypeError, ArgumentRangeError, ArgumentValueError */
export function resolveClientOptions(options: DhcpClientOptions): ClientSettings {
  checkObjects(options, KEYS);
  if (typeof options.random?.uint32 !== 'function') throw new ArgumentTypeError('random must be a Random');
  const { link, clientId, requestAddress, hostname, probeMs = 1000, useRoutes = true, metric = 0 } = options;
  if (clientId !== undefined && !(clientId instanceof Uint8Array)) {
    throw new ArgumentTypeError('clientId must be a Uint8Array');
  }
  if (clientId !== undefined && (clientId.length < 2 || clientId.length > 255)) {
    throw new ArgumentRangeError('clientId must have 2 .. 255 bytes');
  }
  if (hostname !== undefined && typeof hostname !== 'string') {
    throw new ArgumentTypeError('hostname must be a string');
  }
  if (hostname !== undefined && !/^[\w.-]{1,255}$/.test(hostname)) {
    throw new ArgumentRangeError(`not a name of a host: "${hostname}"`);
  }
  const wanted = requestAddress === undefined ? undefined : IpAddress.parse(requestAddress);
  if (wanted !== undefined && !isHostAddress(wanted)) {
    throw new ArgumentValueError(`not an IPv4 address of a host: "${requestAddress}"`);
  }
  if (typeof useRoutes !== 'boolean') throw new ArgumentTypeError('useRoutes must be a boolean');
  checkInteger('probeMs', probeMs, [0, 60_000]);
  checkInteger('metric', metric, [0, 0xffff_ffff]);
  // A copy: what it is known by must not change.
  const id = clientId?.slice() ?? defaultClientId(link);
  return { ...options, clientId: id, wanted, probeMs, useRoutes, metric };
}

/** Identity association and DUID-LL (RFC 4361 §6.1, RFC 8415 §11.4): the same for DHCPv4 and DHCPv6. */
function defaultClientId({ mac }: EthernetLink): Uint8Array {
  const bytes = mac.toBytes();
  return Uint8Array.of(255, ...bytes.subarray(2), 0, 3, 0, 1, ...bytes);
}
