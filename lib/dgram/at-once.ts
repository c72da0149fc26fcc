/**
 * `bindSync` and `connectSync`, which Node has since version 24: no name is looked up, so nothing needs to be waited
 * for. Events still come in the next tick.
 */
import { type AddressInfo, isIP } from 'node:net';
import { checkObject, checkPort, checkString } from '../net/arguments.js';
import { argumentValueError, plainError } from '../net/node-errors.js';
import { flagsOf, refusalOf, startReceiving } from './binding.js';
import { placeException } from './errno.js';
import { handleOf, kState, type Stateful, Step } from './state.js';

/** Where `bindSync` binds. */
export interface BindAtOnceOptions {
  /** 0, any free one, by default. */
  port?: number | undefined;
  /** Every address of the socket's family by default; no name. */
  address?: string | undefined;
}

/** What each socket of `stack.dgram` can do, though the types of Node before version 24 do not say so. */
export interface SyncUdpSocket {
  /**
   * Binds at once, to an address and no name. `listening` follows.
   * @returns where it is bound
   * @throws as `bind`; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_SOCKET_BAD_PORT`; a system error
   */
  bindSync(options?: BindAtOnceOptions): AddressInfo;
  /**
   * As `connect`, at once, to an address and no name, by default this host; binds where that was not done.
   * `connect` follows.
   * @throws as `connect` and `bindSync`; `ERR_IP_BLOCKED`
   */
  connectSync(port: number, address?: string | null): void;
}

/** An address that needs no looking up. @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` */
function checkLiteral(address: unknown, name: string, call: string): asserts address is string {
  checkString(address, name);
  if (isIP(address) !== 0) return;
  throw argumentValueError(
    name,
    address,
    `must be a numeric IP address; ${call} does not perform DNS resolution`,
  );
}

function emitSoon(socket: Stateful, event: string): void {
  process.nextTick(() => {
    if (socket[kState].handle !== null) socket.emit(event);
  });
}

/** @throws as the method says */
export function bindAtOnce(socket: Stateful, options: unknown): void {
  const handle = handleOf(socket);
  checkObject(options, 'options');
  const state = socket[kState];
  if (state.bindState !== Step.None) throw plainError('ERR_SOCKET_ALREADY_BOUND');
  const { port: givenPort, address: givenAddress } = options as BindAtOnceOptions;
  const port = checkPort(givenPort ?? 0, 'options.port');
  if (givenAddress) checkLiteral(givenAddress, 'options.address', 'bindSync');
  const address = givenAddress || (socket.type === 'udp4' ? '0.0.0.0' : '::');
  const errno = handle.bind(address, port, flagsOf(socket));
  if (errno !== 0) throw placeException(errno, 'bind', { address, port });
  startReceiving(socket);
  emitSoon(socket, 'listening');
}

/** @throws as the method says */
export function connectAtOnce(socket: Stateful, givenPort: unknown, givenAddress: unknown): void {
  const handle = handleOf(socket);
  const port = checkPort(givenPort, 'Port', false);
  const state = socket[kState];
  if (state.connectState !== Step.None) throw plainError('ERR_SOCKET_DGRAM_IS_CONNECTED');
  let address = socket.type === 'udp4' ? '127.0.0.1' : '::1';
  if (givenAddress !== undefined && givenAddress !== null && givenAddress !== '') {
    checkLiteral(givenAddress, 'address', 'connectSync');
    address = givenAddress;
  }
  if (state.bindState === Step.None) bindAtOnce(socket, {});
  else if (state.bindState !== Step.Done) throw plainError('ERR_SOCKET_ALREADY_BOUND');
  const refusal = refusalOf(socket, address);
  if (refusal !== undefined) throw refusal;
  const errno = handle.connect(address, port);
  if (errno !== 0) throw placeException(errno, 'connect', { address, port });
  state.connectState = Step.Done;
  emitSoon(socket, 'connect');
}
