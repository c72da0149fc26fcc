/** From what `Stack.connectTcp` and `Stack.listenTcp` are given to a connection, and a listener. */
import { StackError } from '../base/errors.js';
import { ANY_V4, ANY_V6, LOOPBACK_V4, LOOPBACK_V6 } from '../wire/ip-address.js';
import { checkPort, toAddress } from './arguments.js';
import type { ConnectOptions, ListenOptions } from './options.js';
import { type EndpointHost, TcpEndpoint } from './tcp-endpoint.js';
import { TcpListenerEndpoint } from './tcp-listener-endpoint.js';

/** See `Stack.connectTcp`. @param nowUs the time of the turn */
export function connectTcp(host: EndpointHost, options: ConnectOptions, nowUs: number): TcpEndpoint {
  let remote = toAddress(options.address, 'address');
  // As on Linux, the unspecified address means this host.
  if (remote.equals(ANY_V4)) remote = LOOPBACK_V4;
  if (remote.equals(ANY_V6)) remote = LOOPBACK_V6;
  const local =
    options.localAddress === undefined ? undefined : toAddress(options.localAddress, 'localAddress');
  const entry = host.tcp.connect(
    {
      remote,
      remotePort: checkPort(options.port, 'port'),
      ...(local === undefined || local.isUnspecified ? {} : { local }),
      localPort: checkPort(options.localPort ?? 0, 'localPort'),
      ...(options.link === undefined ? {} : { link: options.link }),
      options: options.options ?? {},
    },
    nowUs,
  );
  host.schedule();
  const endpoint = new TcpEndpoint(host, entry);
  const { data } = options;
  if (data !== undefined && endpoint.write(data) < data.length) {
    endpoint.close();
    throw new StackError('ENOBUFS', 'connect', String(remote), options.port);
  }
  return endpoint;
}

/** See `Stack.listenTcp`. */
export function listenTcp(host: EndpointHost, options: ListenOptions): TcpListenerEndpoint {
  const address = toAddress(options.address ?? ANY_V6, 'address');
  const port = checkPort(options.port, 'port');
  return new TcpListenerEndpoint(host, (told) =>
    host.tcp.listen({
      address,
      port,
      dualStack: address.equals(ANY_V6) && options.ipv6Only !== true,
      reusePort: options.reusePort === true,
      link: options.link ?? -1,
      backlog: options.backlog ?? 511,
      options: options.options ?? {},
      ...told,
    }),
  );
}
