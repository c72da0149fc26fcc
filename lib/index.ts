/** What the package offers. Names that do not stand here are not public. */
export { type Alarm, type Clock, NEVER } from './base/clock.js';
export { StackError } from './base/errors.js';
export type { Probe, ProbedConnection, RetransmissionReason } from './base/probe.js';
export type { Random } from './base/random.js';
export { DropReason, dropReasonName, type StackStats } from './base/stats.js';
export type { DgramModule } from './dgram/dgram.js';
// Gives every stack `dgram`.
export { createDgram } from './dgram/stack-dgram.js';
export type { DnsModule } from './dns/dns.js';
// Gives every stack `dns`.
export { createDns } from './dns/stack-dns.js';
export { EmulatedLink, type EmulatedLinkOptions } from './link/emulated-link.js';
export type { BurstLoss, DirectionOptions, Fault } from './link/emulation-options.js';
export {
  type HostAddress,
  type HostLink,
  HostNetwork,
  type LinkChanges,
} from './link/host-network.js';
export type { HostRoute } from './link/host-route.js';
export type { HostRule } from './link/host-rule.js';
export type { LinkDevice } from './link/link-device.js';
export { LoopbackDevice } from './link/loopback.js';
export { PacketBatch } from './link/packet-batch.js';
export { PacketLink, type PacketLinkOptions } from './link/packet-link.js';
export { PcapDevice, type PcapOptions } from './link/pcap.js';
export { createPipe, type PipeDevice, type PipeOptions } from './link/pipe-device.js';
export { AddonError } from './link/tun-addon.js';
export { TunDevice, type TunOptions, type TunStats } from './link/tun-device.js';
export { openPrivateTun, type PrivateTun, type PrivateTunOptions } from './link/tun-private.js';
export type { Connector, ConnectorOptions } from './net/connector.js';
export type { DispatcherOptions, FetchDispatcher, MakeDispatcher, UndiciModule } from './net/dispatcher.js';
export type { Http2Module } from './net/http2.js';
export type { NetModule } from './net/net.js';
export type { RequestHandler, Serve, ServerApplication } from './net/serve.js';
export type { TcpSocket } from './net/socket-tcp.js';
// Gives every stack `net`, `tls`, `http2`, `serve`, `dispatcher`, `agent`, `httpsAgent` and `connector`.
export { createNet } from './net/stack-net.js';
export type { TlsModule } from './net/tls.js';
export {
  PacketdrillFailure,
  type PacketdrillOptions,
  type PacketdrillResult,
  PacketdrillSyntaxError,
  packetdrillVersions,
  runPacketdrill,
} from './sim/packetdrill/packetdrill.js';
export { Sockets } from './sim/packetdrill/sockets.js';
export { SeededRandom } from './sim/seeded-random.js';
export { Simulation, type SimulationOptions } from './sim/simulation.js';
export { VirtualClock } from './sim/virtual-clock.js';
export type { DnsOptions } from './stack/dns-options.js';
export type { HostsOption } from './stack/hosts-table.js';
export {
  type ConnectOptions,
  type LinkOptions,
  type ListenOptions,
  Stack,
  type StackOptions,
} from './stack/stack.js';
export { SystemClock } from './stack/system-clock.js';
export { SystemRandom } from './stack/system-random.js';
export { type BindOptions, TcpBinding } from './stack/tcp-binding.js';
export { TcpEndpoint, type TcpEndpointHandler } from './stack/tcp-endpoint.js';
export { TcpListenerEndpoint } from './stack/tcp-listener-endpoint.js';
export type { BytesToWrite } from './streams/byte-sink.js';
// Gives every stack `streams`.
export { createStreams } from './streams/stack-streams.js';
export { StreamConnection } from './streams/stream-connection.js';
export { StreamListener } from './streams/stream-listener.js';
export type { StreamConnectOptions, StreamListenOptions, Streams } from './streams/streams.js';
export type { ConnectionEnds } from './streams/wire.js';
export type { AckSample, CongestionControl } from './tcp/congestion/congestion-control.js';
export { registerCongestionControl } from './tcp/congestion/registry.js';
export type { ConnectionInfo, EcnByteCounts } from './tcp/connection-info.js';
export type { KeepAliveTiming } from './tcp/connection-timers.js';
export type { EcnSetting } from './tcp/ecn/negotiation.js';
export type { LiveOption } from './tcp/live-options.js';
export type { MtuProbing, TcpLayerOptions, TcpOptions } from './tcp/options.js';
export { stateName, TcpState } from './tcp/state.js';
export { UdpEvent } from './udp/datagram.js';
export {
  DatagramPlpmtud,
  datagramBytes,
  type PacketTooBigReport,
  type PlpmtudOptions,
  type PlpmtudState,
} from './udp/datagram-plpmtud.js';
export type { UdpOptions, UdpSocketOptions } from './udp/options.js';
export { UdpEndpoint } from './udp/udp-endpoint.js';
export { IpAddress, IpPrefix } from './wire/ip-address.js';
