/** What sockets of a private stack offer beyond those of Node: the settings of their TCP, and what it knows. */
import type { ConnectionInfo, LiveOption, TcpOptions } from '../stack/tcp-endpoint.js';
import type { SocketState } from './socket-state.js';

/** What each socket of `stack.net` can do, though Node's type does not say so. */
export interface TcpSocket {
  /** What the connection knows of itself now (Linux `TCP_INFO`); undefined while there is none. */
  tcpInfo(): ConnectionInfo | undefined;
  /** A setting of TCP as it is now (`getsockopt`); undefined while there is no connection. */
  getTcpOption<K extends keyof TcpOptions>(name: K): TcpOptions[K] | undefined;
  /**
   * Changes a setting of TCP (`setsockopt`), at once or as soon as there is a connection.
   * @throws with a code of Node's where it is unknown, cannot be changed, or the value is wrong
   */
  setTcpOption<K extends LiveOption>(name: K, value: TcpOptions[K]): this;
}

/** Node's sockets take settings before they have a connection, and so do these. */
export function setTcpOption<K extends LiveOption>(
  socket: { once(event: 'connect', listener: () => void): unknown },
  state: SocketState,
  name: K,
  value: TcpOptions[K],
): void {
  const { handle } = state;
  if (handle !== undefined) handle.endpoint.setOption(name, value);
  else socket.once('connect', () => setTcpOption(socket, state, name, value));
}
