/**
 * What `tunstack/browser` offers: everything of `tunstack` that needs no Node. Names that do not stand here are not
 * public there. Written by `scripts/browser-entry.ts`.
 */
// Connections can be disposed of, which not every set of types for browsers knows.
/// <reference lib="esnext.disposable" preserve="true" />
export { type Alarm, type Clock, NEVER } from './base/clock.js';
export { StackError } from './base/errors.js';
export type { Probe, ProbedConnection, RetransmissionReason } from './base/probe.js';
export type { Random } from './base/random.js';
export type { Seq } from './base/seq.js';
export {
  type DnsStats,
  type DropCounts,
  DropReason,
  dropReasonName,
  type GroupStats,
  type IcmpStats,
  type IpStats,
  type StackStats,
  type TcpStats,
  type UdpStats,
} from './base/stats.js';
export { BrowserClock } from './browser/browser-clock.js';
export { BrowserRandom } from './browser/browser-random.js';
// Gives every stack `streams`.
export { createStreams } from './browser/stack-streams.js';
export { DhcpClient } from './dhcp/client.js';
export type { DhcpClientOptions, DhcpClientState, DhcpClientStats } from './dhcp/client-options.js';
export type { DhcpLease } from './dhcp/lease.js';
export { DhcpServer } from './dhcp/server.js';
export type { DhcpServerOptions, DhcpServerStats, ServedLease, StaticLease } from './dhcp/server-options.js';
export type { AddressConflict, DetectionOptions } from './ethernet/address-detection.js';
export type { EthernetCounters } from './ethernet/counters.js';
export { EthernetLink } from './ethernet/ethernet-link.js';
export type { EthernetLinkOptions } from './ethernet/ethernet-options.js';
export { MacAddress } from './ethernet/mac-address.js';
export type { NeighborOptions } from './ethernet/neighbor-options.js';
export type { NeighborDescription, NeighborStateName } from './ethernet/neighbor-table.js';
export type { RouterPreference } from './ethernet/router-advertisement.js';
export type {
  PrefixToAdvertise,
  RouterAdvertiser,
  RouterAdvertiserOptions,
} from './ethernet/router-advertiser.js';
export type { RouterDescription } from './ethernet/router-discovery.js';
export type { AdvertisedDns, RouterDiscoveryOptions } from './ethernet/router-discovery-options.js';
export type { AddressDescription, AddressOptions } from './ip/addresses.js';
export type { IpLayer } from './ip/ip-layer.js';
export type { LinkIpOptions } from './ip/link-options.js';
export type { IpOptions } from './ip/options.js';
export type {
  NextHopSpec,
  RoutePreference,
  RouteScopeName,
  RouteSpec,
  RouteTableName,
  RouteType,
} from './ip/route.js';
export type { RouteAnswer, RouteQuestion } from './ip/route-answer.js';
export type { RouteDescription, RouteFilter, RouteSet } from './ip/routes.js';
export type { Routing } from './ip/routing.js';
export type { RangeSpec, Rule, RuleAction, RuleList, RuleSpec } from './ip/rules.js';
export type { QueueLimits } from './link/batch-queue.js';
export { type ByteStreamLinkOptions, byteStreamLink } from './link/byte-stream-link.js';
export type { DirectionCounters, EmulatedDirection } from './link/emulated-direction.js';
export { EmulatedLink, type EmulatedLinkOptions } from './link/emulated-link.js';
export type { BurstLoss, DirectionOptions, Fault } from './link/emulation-options.js';
export { type JoinedLinks, joinLinks } from './link/join-links.js';
export type { LinkCounters } from './link/link-counters.js';
export type { LinkDevice } from './link/link-device.js';
export { LinkError } from './link/link-error.js';
export type { LinkAddress, LinkAddressOptions, LinkHost, LinkRoute } from './link/link-host.js';
export { LoopbackDevice, type LoopbackOptions } from './link/loopback.js';
export { messagePortLink, type PacketPort } from './link/message-port-link.js';
export { PacketBatch } from './link/packet-batch.js';
export type { Framing } from './link/packet-framer.js';
export {
  type BatchLinkOptions,
  type ChannelHooks,
  type ChannelLinkOptions,
  PacketLink,
  type PacketLinkOptions,
} from './link/packet-link.js';
export { packetStreamLink } from './link/packet-stream-link.js';
export { PcapDevice, type PcapOptions } from './link/pcap.js';
export { CaptureDirection, type PacketRecord, PcapngWriter } from './link/pcapng-writer.js';
export { createPipe, type PipeDevice, type PipeOptions } from './link/pipe-device.js';
export type {
  LinkStreams,
  NodeReadable,
  NodeStream,
  NodeWritable,
  StreamPair,
  StreamSource,
  StreamTarget,
  WebReadable,
  WebWritable,
} from './link/stream-channel.js';
export {
  type DatagramPeer,
  type DatagramSocket,
  udpSocketLink,
} from './link/udp-socket-link.js';
export {
  type WebSocketLike,
  type WebSocketLinkOptions,
  webSocketLink,
} from './link/web-socket-link.js';
export type { PortForwardOptions } from './nat/forwards.js';
export { Nat, type NatSession, type PortForward } from './nat/nat.js';
export type { NatStats } from './nat/nat-stats.js';
export type { NatFiltering, NatOptions, UnsolicitedSyn } from './nat/options.js';
export {
  type IpVersion,
  PacketdrillFailure,
  type PacketdrillOptions,
  type PacketdrillResult,
  PacketdrillSyntaxError,
  packetdrillVersions,
  runPacketdrill,
} from './sim/packetdrill/packetdrill.js';
export { type SocketPlace, Sockets } from './sim/packetdrill/sockets.js';
export { SeededRandom } from './sim/seeded-random.js';
export { Simulation, type SimulationOptions } from './sim/simulation.js';
export type { Transfer, TransferOptions } from './sim/transfer.js';
export { VirtualClock } from './sim/virtual-clock.js';
export type { SocksTunnelStats } from './socks/counters.js';
export { parseSocksProxy, type SocksProxy, type SocksTunnelOptions } from './socks/options.js';
export {
  type AnyEchoCounts,
  AnyEchoListener,
  type AnyEchoOptions,
  PingRequest,
} from './stack/any-echo.js';
export {
  AnyTcpListener,
  type AnyTcpOptions,
  type CancelReason,
  type SynInfo,
  TcpRequest,
} from './stack/any-tcp.js';
export type { DnsOptions, DnsServer, DnsSettings } from './stack/dns-options.js';
export type { HostsOption, HostsTable } from './stack/hosts-table.js';
export {
  type ConnectOptions,
  type LinkOptions,
  type ListenOptions,
  Stack,
  type StackOptions,
} from './stack/stack.js';
export { type BindOptions, TcpBinding } from './stack/tcp-binding.js';
export { TcpEndpoint, type TcpEndpointHandler } from './stack/tcp-endpoint.js';
export { TcpListenerEndpoint } from './stack/tcp-listener-endpoint.js';
export type { BytesToWrite } from './streams/byte-sink.js';
export { StreamConnection } from './streams/stream-connection.js';
export { StreamListener } from './streams/stream-listener.js';
export type {
  StreamAcceptOptions,
  StreamConnectOptions,
  StreamListenOptions,
  Streams,
} from './streams/streams.js';
export type { ConnectionEnds } from './streams/wire.js';
export type { AnyCounts } from './tcp/any-listener.js';
export type {
  AckSample,
  CongestionControl,
  CongestionFactory,
  CongestionParameters,
  CongestionSignal,
  InheritedWindow,
  LostData,
  RateSample,
} from './tcp/congestion/congestion-control.js';
export { registerCongestionControl } from './tcp/congestion/registry.js';
export type { ConnectionInfo, EcnByteCounts } from './tcp/connection-info.js';
export type { KeepAliveTiming } from './tcp/connection-timers.js';
export type { EcnSetting } from './tcp/ecn/negotiation.js';
export type { LiveOption } from './tcp/live-options.js';
export type {
  MtuProbing,
  SynCookieMode,
  TcpLayerOptions,
  TcpOptions,
  TimeWaitReuse,
} from './tcp/options.js';
export type { TextSink } from './tcp/receiver.js';
export { stateName, TcpState } from './tcp/state.js';
export { type Datagram, type DatagramError, UdpEvent } from './udp/datagram.js';
export {
  DatagramPlpmtud,
  datagramBytes,
  type PacketTooBigReport,
  type PlpmtudOptions,
  type PlpmtudState,
} from './udp/datagram-plpmtud.js';
export type { DatagramData, UdpSendOptions } from './udp/datagram-sender.js';
export { type FlowReader, UdpFlow, UdpFlowRequest } from './udp/flow.js';
export type { FlowEnd, FlowError } from './udp/flow-entry.js';
export { type AnyUdpCounts, AnyUdpListener } from './udp/flow-listener.js';
export type { AnyUdpOptions, FlowOptions } from './udp/flow-options.js';
export type { Memberships } from './udp/memberships.js';
export type { MtuDiscovery, UdpOptions, UdpSocketOptions } from './udp/options.js';
export { PathMtuSearch, type PathMtuSearchOptions } from './udp/path-mtu-search.js';
export { UdpEndpoint } from './udp/udp-endpoint.js';
export type { AnyFilter } from './wire/any-filter.js';
export type { IcmpRejection } from './wire/icmp-rejection.js';
export { IpAddress, type IpFamily, IpPrefix } from './wire/ip-address.js';
export { ChecksumState } from './wire/ip-packet.js';
