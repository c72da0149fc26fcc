/** The settings of a UDP socket, by Node's names and with Node's errors. */
import { EventEmitter } from 'node:events';
import { checkNumber, checkString } from '../net/arguments.js';
import { missingArgumentError, typeError } from '../net/node-errors.js';
import { bufferSizeException, errnoException } from './errno.js';
import type { SocketType } from './places.js';
import { bareHandle, handleOf, type kState, type SocketState, type Stateful } from './state.js';

function check(errno: number, syscall: string): void {
  if (errno !== 0) throw errnoException(errno, syscall);
}

const RECEIVE = true;
const SEND = false;

/** Asks for the size of a buffer, or sets it. @throws `ERR_SOCKET_BAD_BUFFER_SIZE`, `ERR_SOCKET_BUFFER_SIZE` */
export function bufferSize(socket: Stateful, size: number, isReceive: boolean): number {
  if (size >>> 0 !== size) {
    throw typeError('ERR_SOCKET_BAD_BUFFER_SIZE', 'Buffer size must be a positive integer');
  }
  const context: { code?: string; syscall?: string } = {};
  const bytes = bareHandle(socket).bufferSize(size, isReceive, context);
  if (bytes === undefined) throw bufferSizeException(context.code ?? '', context.syscall ?? '');
  return bytes;
}

export abstract class DgramSettings extends EventEmitter implements Stateful {
  declare readonly type: SocketType;
  declare [kState]: SocketState;

  /** Whether sending to broadcast addresses is allowed; not at first. @throws `EBADF` before there is a port */
  setBroadcast(flag: boolean): void {
    check(bareHandle(this).setBroadcast(flag ? 1 : 0), 'setBroadcast');
  }

  /** 1 .. 255. @throws `EINVAL`, `EBADF` before there is a port */
  setTTL(ttl: number): number {
    checkNumber(ttl, 'ttl');
    check(bareHandle(this).setTTL(ttl), 'setTTL');
    return ttl;
  }

  /** 0 .. 255; 1 at first. @throws `EINVAL`, `EBADF` before there is a port */
  setMulticastTTL(ttl: number): number {
    checkNumber(ttl, 'ttl');
    check(bareHandle(this).setMulticastTTL(ttl), 'setMulticastTTL');
    return ttl;
  }

  /** Whether this host hears what it sends to groups; at first it does. @throws `EBADF` before there is a port */
  setMulticastLoopback(flag: boolean): boolean {
    check(bareHandle(this).setMulticastLoopback(flag ? 1 : 0), 'setMulticastLoopback');
    return flag;
  }

  /**
   * The link groups are sent to on: one of its IPv4 addresses, or for IPv6 its name or index as a zone
   * (`::%tun0`). @throws `EINVAL`, `EADDRNOTAVAIL`, `EBADF` before there is a port
   */
  setMulticastInterface(interfaceAddress: string): void {
    const handle = handleOf(this);
    checkString(interfaceAddress, 'interfaceAddress');
    check(handle.setMulticastInterface(interfaceAddress), 'setMulticastInterface');
  }

  /**
   * Receives what is sent to a group, on the link named as by `setMulticastInterface`; without one, on that
   * the routes lead to. A socket not yet bound is bound to any port.
   * @throws `EINVAL`, `ENODEV`, `EADDRINUSE` when it is joined already, `ERR_MISSING_ARGS`
   */
  addMembership(multicastAddress: string, interfaceAddress?: string): void {
    const handle = handleOf(this);
    if (!multicastAddress) throw missingArgumentError('multicastAddress');
    check(handle.addMembership(multicastAddress, interfaceAddress), 'addMembership');
  }

  /** @throws `EADDRNOTAVAIL` when it is not joined, else as `addMembership` */
  dropMembership(multicastAddress: string, interfaceAddress?: string): void {
    const handle = handleOf(this);
    if (!multicastAddress) throw missingArgumentError('multicastAddress');
    check(handle.dropMembership(multicastAddress, interfaceAddress), 'dropMembership');
  }

  /** As `addMembership`, for what comes from one source. */
  addSourceSpecificMembership(sourceAddress: string, groupAddress: string, interfaceAddress?: string): void {
    const handle = handleOf(this);
    checkString(sourceAddress, 'sourceAddress');
    checkString(groupAddress, 'groupAddress');
    const errno = handle.addSourceSpecificMembership(sourceAddress, groupAddress, interfaceAddress);
    check(errno, 'addSourceSpecificMembership');
  }

  dropSourceSpecificMembership(sourceAddress: string, groupAddress: string, interfaceAddress?: string): void {
    const handle = handleOf(this);
    checkString(sourceAddress, 'sourceAddress');
    checkString(groupAddress, 'groupAddress');
    const errno = handle.dropSourceSpecificMembership(sourceAddress, groupAddress, interfaceAddress);
    check(errno, 'dropSourceSpecificMembership');
  }

  /** Bytes; twice as many are reserved, as Linux does. @throws `ERR_SOCKET_BAD_BUFFER_SIZE`, `ERR_SOCKET_BUFFER_SIZE` */
  setRecvBufferSize(size: number): void {
    bufferSize(this, size, RECEIVE);
  }

  setSendBufferSize(size: number): void {
    bufferSize(this, size, SEND);
  }

  getRecvBufferSize(): number {
    return bufferSize(this, 0, RECEIVE);
  }

  getSendBufferSize(): number {
    return bufferSize(this, 0, SEND);
  }

  /** Bytes that wait for the link to take packets again. */
  getSendQueueSize(): number {
    return bareHandle(this).getSendQueueSize();
  }

  getSendQueueCount(): number {
    return bareHandle(this).getSendQueueCount();
  }
}
