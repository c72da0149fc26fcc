/** What `dns` asks of a stack. */
import type { Stack } from '../stack/stack.js';

export type DnsStack = Pick<
  Stack,
  'clock' | 'connectTcp' | 'dnsSettings' | 'hold' | 'openUdp' | 'random' | 'release' | 'stats'
> & {
  readonly ip: Pick<Stack['ip'], 'addresses' | 'orderDestinations'>;
};

export type IpAddress = ReturnType<Stack['openUdp']>['localAddress'];
export type DnsSettings = Stack['dnsSettings'];
export type DnsServer = DnsSettings['servers'][number];
export type UdpEndpoint = ReturnType<Stack['openUdp']>;
export type TcpEndpoint = ReturnType<Stack['connectTcp']>;

/** Local addresses to ask from; the routes choose where there is none. */
export interface LocalAddresses {
  readonly 4?: IpAddress;
  readonly 6?: IpAddress;
}
