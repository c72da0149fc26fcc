/** One attempt to connect: an address, and the errors that may come of it. */
import { isBlocked } from './arguments.js';
import { addressOf, connectFrom } from './bound-socket.js';
import { kContext } from './context.js';
import { blockedError, codeOf, errnoError, hostPortError, type SystemError } from './node-errors.js';
import { NODE_MAJOR } from './node-version.js';
import type { StackSocket } from './socket.js';
import { attach } from './socket-owner.js';
import { kState } from './socket-state.js';
import { firstLinkLocal, type Links, lacksLink, readTcpPlace } from './zones.js';

/** One address to try, and the local end to try it from. */
export interface Target {
  readonly address: string;
  readonly family: number;
  readonly port: number;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly fastOpen: boolean;
}

/** `ERR_IP_BLOCKED`, where the socket's block list has the address. */
export function refusalOf({ blockList }: StackSocket, { address, family }: Target): Error | undefined {
  return isBlocked(blockList, address, family) ? blockedError(address) : undefined;
}

/**
 * Sends the SYN. @returns what made that impossible
 * @param failed hears of the failure of what was begun
 */
export function begin(
  socket: StackSocket,
  target: Target,
  failed: (code: string) => void,
): SystemError | undefined {
  const { address, family, port, localAddress, localPort } = target;
  const state = socket[kState];
  const { handle, bound, typeOfService } = state;
  if (handle !== undefined) {
    socket.emit('connectionAttempt', address, port, family);
    return connectError(
      handle.isConnecting ? 'EALREADY' : 'EISCONN',
      target,
      localDetails(handle.localEnd()),
    );
  }
  if (port === 0) {
    // Nobody can listen there: what the host says, without asking.
    socket.emit('connectionAttempt', address, port, family);
    setImmediate(() => {
      if (socket.connecting) failed('ECONNREFUSED');
    });
    return undefined;
  }
  try {
    const options = {
      ...(target.fastOpen ? { fastOpen: true } : {}),
      ...(typeOfService === undefined ? {} : { trafficClass: typeOfService }),
    };
    const { stack } = socket[kContext];
    // libuv takes the lower 16 bits, and Node finds that it is another port.
    const bindPort = (localPort ?? 0) & 0xffff;
    if (localPort !== undefined && localPort > 0 && bindPort !== localPort)
      throw errnoError('EADDRINUSE', 'bind');
    const wish = { ...placesOf(target, stack.ip), port, options };
    const endpoint = bound
      ? connectFrom(bound, wish, family)
      : stack.connectTcp({ ...wish, localPort: bindPort });
    state.bound = undefined;
    attach(socket, { endpoint, isMapped: family === 6, connectFailed: failed });
  } catch (error) {
    const code = codeOf(error);
    if (localAddress !== undefined && BIND_ERRORS.has(code)) {
      return hostPortError(code, 'bind', { address: localAddress, port: localPort });
    }
    socket.emit('connectionAttempt', address, port, family);
    const any = family === 4 ? '0.0.0.0:0' : ':::0';
    return connectError(code, target, bound ? localDetails(addressOf(bound)) : any);
  }
  socket.emit('connectionAttempt', address, port, family);
  return undefined;
}

/** Whether a link-local address without a link is looked for on the first that has one; libuv does since Node 22. */
const CHOOSES_LINK = NODE_MAJOR >= 22;

/** Where to and from, by the link that the zone of either names. */
function placesOf({ address, localAddress }: Target, links: Links) {
  const remote = readTcpPlace(address, links);
  const local = localAddress === undefined ? undefined : readTcpPlace(localAddress, links);
  const named = remote.link || (local?.link ?? 0);
  const link = named === 0 && CHOOSES_LINK && lacksLink(remote) ? firstLinkLocal(links) : named;
  return {
    address: remote.address,
    ...(local === undefined ? {} : { localAddress: local.address }),
    ...(link > 0 ? { link } : {}),
  };
}

/** What a local end that was asked for may be refused with. */
const BIND_ERRORS: ReadonlySet<string> = new Set(['EADDRINUSE', 'EADDRNOTAVAIL', 'EINVAL', 'EACCES']);

const localDetails = (end: { address: string; port: number } | undefined): string | undefined =>
  end && `${end.address}:${end.port}`;

export function connectError(code: string, target: Target, details?: string): SystemError {
  const { localAddress, localPort } = target;
  if (details !== undefined || !localAddress || !localPort) {
    return hostPortError(code, 'connect', target, details);
  }
  const error = hostPortError(code, 'connect', target, `${localAddress}:${localPort}`);
  return Object.assign(error, { localAddress, localPort });
}
