/** Steps towards a port and a peer that the calls which wait and those which do not have in common. */
import { isBlocked } from '../net/arguments.js';
import { blockedError } from '../net/node-errors.js';
import { BindFlag } from './handle.js';
import { bufferSize } from './socket-settings.js';
import { kState, type Stateful, Step } from './state.js';

/** What a socket's options ask of `bind`. */
export function flagsOf(socket: Stateful): number {
  const { reuseAddr, reusePort, ipv6Only } = socket[kState];
  return (
    (reuseAddr ? BindFlag.REUSE_ADDRESS : 0) |
    (reusePort ? BindFlag.REUSE_PORT : 0) |
    (ipv6Only ? BindFlag.IPV6_ONLY : 0)
  );
}

/** The socket is bound, and hears. */
export function startReceiving(socket: Stateful): void {
  const state = socket[kState];
  state.handle?.recvStart();
  state.receiving = true;
  state.bindState = Step.Done;
  if (state.recvBufferSize) bufferSize(socket, state.recvBufferSize, true);
  if (state.sendBufferSize) bufferSize(socket, state.sendBufferSize, false);
}

/** `ERR_IP_BLOCKED`, where a block list of the socket has an address. */
export function refusalOf(socket: Stateful, ip: string): Error | undefined {
  return isBlocked(socket[kState].sendBlockList, ip) ? blockedError(ip) : undefined;
}
