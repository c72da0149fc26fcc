import { DEFAULT_IP_OPTIONS } from '../../lib/ip/options.js';
import { ROUTE_TYPES, RouteScope, RouteTableId } from '../../lib/ip/route.js';
import { RULE_ACTIONS } from '../../lib/ip/rules.js';
import { ECN_SETTINGS } from '../../lib/tcp/ecn/negotiation.js';
import { LIVE } from '../../lib/tcp/live-options.js';
import { DEFAULT_TCP_LAYER_OPTIONS, DEFAULT_TCP_OPTIONS } from '../../lib/tcp/options.js';
import { DEFAULT_SOCKET_OPTIONS, DEFAULT_UDP_OPTIONS } from '../../lib/udp/options.js';

/** Options whose defaults stand in one object each: the page shows them from there. */
export const DEFAULTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  IpOptions: { ...DEFAULT_IP_OPTIONS },
  TcpOptions: { ...DEFAULT_TCP_OPTIONS },
  TcpLayerOptions: { ...DEFAULT_TCP_LAYER_OPTIONS, connection: undefined },
  UdpOptions: { ...DEFAULT_UDP_OPTIONS },
  UdpSocketOptions: { ...DEFAULT_SOCKET_OPTIONS },
};

/** Types whose members are the entries of a list. */
export const WORDS: Readonly<Record<string, readonly string[]>> = {
  EcnSetting: ECN_SETTINGS,
  LiveOption: Object.keys(LIVE),
  RouteScopeName: Object.keys(RouteScope),
  RouteTableName: Object.keys(RouteTableId),
  RouteType: ROUTE_TYPES,
  RuleAction: RULE_ACTIONS,
};

/** The chapters of the reference, by the file a name is declared in. The first that matches has it. */
export interface Topic {
  readonly title: string;
  readonly files: RegExp;
  /** What a reader should know before the names. */
  readonly text?: string;
  /** Names that come first, whatever their file says. */
  readonly first?: readonly string[];
}

export const TOPICS: readonly Topic[] = [
  {
    title: 'The stack',
    files: /^lib\/stack\/stack\.ts$/,
    first: ['Stack', 'StackOptions', 'LinkOptions'],
    text: 'A stack is made with a clock and a source of randomness, is given links, and then makes sockets.',
  },
  {
    title: 'net and HTTP',
    files: /^lib\/net\/(?!listen-any)/,
    text: 'What `stack.net` offers is described where Node describes `node:net`; here stands what is added to it.',
  },
  {
    title: 'dgram',
    files: /^lib\/dgram\//,
    text: 'What `stack.dgram` offers is described where Node describes `node:dgram`.',
  },
  {
    title: 'dns',
    files: /^lib\/(dns\/|stack\/(dns-options|hosts-table))/,
    first: ['DnsOptions'],
    text: 'What `stack.dns` offers is described where Node describes `node:dns`.',
  },
  { title: 'WHATWG streams', files: /^lib\/streams\// },
  { title: 'A whole process', files: /^lib\/register\// },
  {
    title: 'More cores',
    files: /^lib\/shard\//,
    first: ['createShardedStack', 'ShardedStack', 'ShardedStackOptions', 'ServeShard', 'ShardContext'],
    text: 'Several stacks, a thread each, that look like one from outside: [more cores](sharding.md).',
  },
  {
    title: 'A stack in a thread',
    files: /^lib\/remote\//,
    first: ['createWorkerStack', 'WorkerStack', 'WorkerStackOptions', 'WorkerStackContext'],
    text: 'Its sockets stay with the application, which may be busy: [a stack in a thread](sharding.md#a-stack-in-a-thread).',
  },
  {
    title: 'Accept anything',
    files:
      /^lib\/(net\/listen-any|stack\/any-|tcp\/(any-|undecided)|udp\/flow|wire\/(any-filter|icmp-rejection))/,
    first: [
      'AnyFilter',
      'ListenAny',
      'NetTcpRequest',
      'TcpRequest',
      'UdpFlowRequest',
      'UdpFlow',
      'PingRequest',
    ],
    text: 'Connections, flows and pings to any address, decided on before they are answered: [embedding](embedding.md#accept-anything).',
  },
  {
    title: 'TCP: endpoints',
    files: /^lib\/(stack\/(tcp-|options)|tcp\/(state|receiver))/,
    first: ['TcpEndpoint', 'TcpEndpointHandler', 'TcpListenerEndpoint', 'TcpBinding'],
    text: 'Calls instead of streams: bytes in, bytes out, and a handler that hears what happens.',
  },
  {
    title: 'TCP: settings',
    files: /^lib\/tcp\/(options|live-options|ecn\/|connection-timers)/,
    first: ['TcpOptions', 'TcpLayerOptions'],
  },
  { title: 'TCP: what a connection knows', files: /^lib\/(tcp\/connection-info|base\/probe)/ },
  {
    title: 'TCP: congestion control',
    files: /^lib\/(tcp\/congestion\/|base\/seq)/,
    first: ['CongestionControl'],
  },
  { title: 'UDP', files: /^lib\/udp\//, first: ['UdpEndpoint', 'UdpSocketOptions', 'UdpOptions'] },
  {
    title: 'IP: addresses, routes and rules',
    files: /^lib\/(ip\/|wire\/ip-address)/,
    first: ['IpAddress', 'IpPrefix', 'IpLayer', 'IpOptions', 'Routing'],
  },
  {
    title: 'Links',
    files: /^lib\/(link\/(?!host-|tun-addon)|wire\/ip-packet)/,
    first: ['LinkDevice', 'TunDevice', 'TunOptions'],
    text: 'A link carries IP packets, in batches. Every link here is a `LinkDevice`, and so may be your own.',
  },
  {
    title: 'Links: Ethernet',
    files: /^lib\/ethernet\//,
    first: ['EthernetLink', 'EthernetLinkOptions'],
    text: 'Frames in place of packets, with ARP, neighbour discovery and router advertisements: [Ethernet](embedding.md#ethernet-arp-dhcp).',
  },
  { title: 'DHCP', files: /^lib\/dhcp\//, first: ['DhcpClient', 'DhcpClientOptions', 'DhcpServer'] },
  { title: 'Address translation', files: /^lib\/nat\//, first: ['Nat', 'NatOptions'] },
  {
    title: 'Gateways and relays',
    files: /^lib\/(gateway|relay|socks)\//,
    text: 'What is built on accepting anything: [embedding](embedding.md).',
  },
  { title: 'Links: the network of the host', files: /^lib\/link\/host-/, first: ['HostNetwork'] },
  {
    title: 'In a browser',
    files: /^lib\/browser\//,
    text: '`tunstack/browser` has everything here that needs no Node, and these in place of `SystemClock` and `SystemRandom`: [in a browser](embedding.md#in-a-browser).',
  },
  { title: 'Time and randomness', files: /^lib\/(base\/(clock|random)|stack\/system-)/ },
  {
    title: 'Virtual time',
    files: /^lib\/sim\//,
    first: ['VirtualClock', 'SeededRandom', 'Simulation', 'SimulationOptions'],
  },
  {
    title: 'Statistics',
    files: /^lib\/base\/(stats|drop-reason|.*-stats)\.ts$/,
    first: ['StackStats', 'DropReason', 'DropCounts', 'dropReasonName'],
    text: 'All are numbers that only grow, but for those called gauges.',
  },
  { title: 'Errors', files: /^lib\/(base\/errors|link\/tun-addon)/ },
];
