/** TCP as IP sees it: segments, and ICMP errors about segments it sent. */
import type { StackStats } from '../base/stats.js';
import { type IcmpError, IcmpErrorKind, type Transport } from '../ip/interfaces.js';
import type { IpLayer } from '../ip/ip-layer.js';
import type { IpPath } from '../ip/path.js';
import type { TcpLayer } from '../tcp/tcp-layer.js';
import type { IpPacket } from '../wire/ip-packet.js';

/** Where the loopback always is: what comes in there, this stack has said itself. */
const LOOPBACK_PORT = 0;

/** The error each kind stands for, and whether it ends an attempt to connect (RFC 1122 §4.2.3.9). */
const MEANING: Readonly<Record<number, readonly [code: string, isHard: boolean]>> = {
  [IcmpErrorKind.NetUnreachable]: ['ENETUNREACH', false],
  [IcmpErrorKind.HostUnreachable]: ['EHOSTUNREACH', false],
  [IcmpErrorKind.ProtocolUnreachable]: ['ENOPROTOOPT', true],
  [IcmpErrorKind.PortUnreachable]: ['ECONNREFUSED', true],
  [IcmpErrorKind.SourceRouteFailed]: ['EOPNOTSUPP', false],
  [IcmpErrorKind.Prohibited]: ['EHOSTUNREACH', false],
  [IcmpErrorKind.TimeExceeded]: ['EHOSTUNREACH', false],
  [IcmpErrorKind.ParameterProblem]: ['EPROTO', false],
};

export class TcpTransport implements Transport {
  readonly #tcp: TcpLayer;
  readonly #ip: IpLayer;
  readonly #stats: StackStats;

  constructor(tcp: TcpLayer, ip: IpLayer, stats: StackStats) {
    this.#tcp = tcp;
    this.#ip = ip;
    this.#stats = stats;
  }

  input(packet: IpPacket): void {
    this.#tcp.input(packet);
  }

  /** Only errors that quote a sequence number in flight are believed (RFC 5927 §4). */
  icmpError(error: IcmpError): void {
    const found = this.#tcp.errors.quoted(error.quote);
    if (found === undefined) {
      if (error.reporter.isForeign) error.reporter.isDeclined = true;
      else this.#stats.icmp.inUnmatched++;
      return;
    }
    if (error.kind === IcmpErrorKind.PacketTooBig) {
      this.#ip.learnPathMtu(found.occupant.path as IpPath, error.mtu);
      this.#tcp.errors.tooBig(found);
      return;
    }
    const meaning = MEANING[error.kind];
    if (meaning === undefined) return;
    // MUST-56 is about messages of others. That nobody is at the first hop we know ourselves, and as in Linux, which
    // believes anybody there, an attempt to connect need not wait for its time-out.
    const isOwn = error.reporter.link === LOOPBACK_PORT;
    this.#tcp.errors.unreachable(found, meaning[0], meaning[1] || isOwn);
  }
}
