/** ICMP messages in words. */
import { Icmp4Type, Icmp4Unreachable, Icmp6Type, Icmp6Unreachable, IcmpMessage } from '../../wire/icmp.js';

const NAMES_V4: Readonly<Record<number, string>> = {
  [Icmp4Type.EchoReply]: 'echo reply',
  [Icmp4Type.Unreachable]: 'unreachable',
  [Icmp4Type.SourceQuench]: 'source quench',
  [Icmp4Type.Redirect]: 'redirect',
  [Icmp4Type.Echo]: 'echo request',
  [Icmp4Type.TimeExceeded]: 'time exceeded',
  [Icmp4Type.ParameterProblem]: 'parameter problem',
  [Icmp4Type.Timestamp]: 'timestamp request',
};
const NAMES_V6: Readonly<Record<number, string>> = {
  [Icmp6Type.Unreachable]: 'unreachable',
  [Icmp6Type.PacketTooBig]: 'packet too big',
  [Icmp6Type.TimeExceeded]: 'time exceeded',
  [Icmp6Type.ParameterProblem]: 'parameter problem',
  [Icmp6Type.Echo]: 'echo request',
  [Icmp6Type.EchoReply]: 'echo reply',
  130: 'multicast listener query',
  131: 'multicast listener report',
  132: 'multicast listener done',
  143: 'multicast listener report v2',
  [Icmp6Type.RouterSolicitation]: 'router solicitation',
  [Icmp6Type.RouterAdvertisement]: 'router advertisement',
  [Icmp6Type.NeighborSolicitation]: 'neighbor solicitation',
  [Icmp6Type.NeighborAdvertisement]: 'neighbor advertisement',
  [Icmp6Type.Redirect]: 'redirect',
};
const REASONS_V4: Readonly<Record<number, string>> = {
  [Icmp4Unreachable.Net]: 'net',
  [Icmp4Unreachable.Host]: 'host',
  [Icmp4Unreachable.Protocol]: 'protocol',
  [Icmp4Unreachable.Port]: 'port',
  [Icmp4Unreachable.FragmentationNeeded]: 'need to fragment',
  [Icmp4Unreachable.SourceRoute]: 'source route failed',
  [Icmp4Unreachable.Prohibited]: 'prohibited',
};
const REASONS_V6: Readonly<Record<number, string>> = {
  [Icmp6Unreachable.NoRoute]: 'no route',
  [Icmp6Unreachable.Prohibited]: 'prohibited',
  [Icmp6Unreachable.BeyondScope]: 'beyond scope',
  [Icmp6Unreachable.Address]: 'address',
  [Icmp6Unreachable.Port]: 'port',
};

const message = new IcmpMessage();

/** `ICMP echo request, id 7, seq 1, length 64`. */
export function icmpText(
  view: DataView,
  { version, at, bytes }: { readonly version: 4 | 6; readonly at: number; readonly bytes: number },
): string {
  const family = version === 4 ? 'ICMP' : 'ICMP6';
  if (!message.parse(view, at, bytes)) return `${family} malformed, length ${bytes}`;
  const { type, code } = message;
  const name = (version === 4 ? NAMES_V4 : NAMES_V6)[type] ?? `type ${type}`;
  return `${family} ${name}${detail(version, type, code)}, length ${bytes}`;
}

function detail(version: 4 | 6, type: number, code: number): string {
  const isEcho =
    version === 4
      ? type === Icmp4Type.Echo || type === Icmp4Type.EchoReply
      : type === Icmp6Type.Echo || type === Icmp6Type.EchoReply;
  if (isEcho) return `, id ${message.identifier}, seq ${message.sequence}`;
  if (version === 6 && type === Icmp6Type.PacketTooBig) return `, mtu ${message.word >>> 0}`;
  if (type === (version === 4 ? Icmp4Type.Unreachable : Icmp6Type.Unreachable)) {
    const reason = (version === 4 ? REASONS_V4 : REASONS_V6)[code] ?? `code ${code}`;
    const mtu = version === 4 && code === Icmp4Unreachable.FragmentationNeeded;
    return ` (${reason}${mtu ? `, mtu ${message.word & 0xffff}` : ''})`;
  }
  return code === 0 ? '' : `, code ${code}`;
}
