/** What sockets of a private stack offer beyond what all of Node's have: the settings of their TCP, and what it knows. */
import type { ConnectionInfo, LiveOption, TcpOptions } from '../stack/tcp-endpoint.js';
import { checkInteger } from './arguments.js';
import { argumentTypeError } from './node-errors.js';
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
  /**
   * IPv4 TOS or IPv6 traffic class of what is sent from now on, 0 .. 255, as Node 24 has it; set before there is a
   * connection, from its SYN on. The two ECN bits are the stack's.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setTypeOfService(tos: number): this;
  /** As it is sent, without the two ECN bits; as it was set, while there is no connection; 0 by default. */
  getTypeOfService(): number;
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

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` */
export function setTypeOfService(state: SocketState, tos: number): void {
  if (Number.isNaN(tos)) throw argumentTypeError('tos', 'number', tos);
  checkInteger(tos, 'tos', 0, 255);
  state.typeOfService = tos;
  // What there is already follows; what is still to come begins with it.
  state.handle?.endpoint.setTrafficClass(tos);
}

export const typeOfService = ({ handle, typeOfService: tos = 0 }: SocketState): number =>
  handle === undefined ? tos : handle.endpoint.trafficClass;
