/** The settings of a UDP socket, by Node's names and with Node's errors. */
import { EventEmitter } from 'node:events';
import { checkNumber, checkString } from '../net/arguments.js';
import { bufferSizeError, codeOf, errnoError, missingArgumentError, typeError } from '../net/node-errors.js';
import type { DgramStack, UdpEndpoint } from './dgram-stack.js';
import type { Outbox } from './outbox.js';
import { mustReadPlace, type SocketType } from './places.js';

/** What a method's caller gets when something cannot be done before there is a port. */
const UNBOUND = 'EBADF';

/** Where a socket keeps what its settings concern. */
export const kParts = Symbol('tunstack.dgram');

export interface SocketParts {
  readonly stack: DgramStack;
  readonly outbox: Outbox;
  /** @throws `ERR_SOCKET_DGRAM_NOT_RUNNING` */
  running(): UdpEndpoint;
}

export abstract class DgramSettings extends EventEmitter {
  abstract readonly type: SocketType;
  abstract readonly [kParts]: SocketParts;

  /** Whether sending to broadcast addresses is allowed; not at first. */
  setBroadcast(flag: boolean): void {
    this.#set('setBroadcast', { broadcast: Boolean(flag) });
  }

  /** 1 .. 255. @throws `EINVAL`, `EBADF` before there is a port */
  setTTL(ttl: number): number {
    checkNumber(ttl, 'ttl');
    if (!(ttl >= 1 && ttl <= 255)) throw errnoError('EINVAL', 'setTTL');
    this.#set('setTTL', { hopLimit: Math.trunc(ttl) });
    return ttl;
  }

  /** 0 .. 255; 1 at first. @throws `EINVAL`, `EBADF` before there is a port */
  setMulticastTTL(ttl: number): number {
    checkNumber(ttl, 'ttl');
    if (!(ttl >= 0 && ttl <= 255)) throw errnoError('EINVAL', 'setMulticastTTL');
    this.#set('setMulticastTTL', { multicastHopLimit: Math.trunc(ttl) });
    return ttl;
  }

  /** Whether this host hears what it sends to groups; at first it does. */
  setMulticastLoopback(flag: boolean): boolean {
    this.#set('setMulticastLoopback', { multicastLoop: Boolean(flag) });
    return flag;
  }

  /** The link groups are sent to on: one of its addresses, or for IPv6 its index as a zone (`::%1`). */
  setMulticastInterface(interfaceAddress: string): void {
    this[kParts].running();
    checkString(interfaceAddress, 'interfaceAddress');
    this.#attempt('setMulticastInterface', (endpoint) => {
      endpoint.setOptions({ multicastLink: this.#link(interfaceAddress, 'EADDRNOTAVAIL') ?? 0 });
    });
  }

  /** Receives what is sent to a group, on the link named as by `setMulticastInterface`. */
  addMembership(multicastAddress: string, multicastInterface?: string): void {
    this.#group('addMembership', multicastAddress, (endpoint, group) => {
      endpoint.memberships.join(group, this.#link(multicastInterface));
    });
  }

  dropMembership(multicastAddress: string, multicastInterface?: string): void {
    this.#group('dropMembership', multicastAddress, (endpoint, group) => {
      endpoint.memberships.leave(group, this.#link(multicastInterface));
    });
  }

  /** As `addMembership`, for what comes from one source. */
  addSourceSpecificMembership(
    sourceAddress: string,
    groupAddress: string,
    multicastInterface?: string,
  ): void {
    this[kParts].running();
    checkString(sourceAddress, 'sourceAddress');
    checkString(groupAddress, 'groupAddress');
    this.#group('addSourceSpecificMembership', groupAddress, (endpoint, group) => {
      const source = mustReadPlace(sourceAddress, this.type, '').address;
      endpoint.memberships.joinSource(group, source, this.#link(multicastInterface));
    });
  }

  dropSourceSpecificMembership(
    sourceAddress: string,
    groupAddress: string,
    multicastInterface?: string,
  ): void {
    this[kParts].running();
    checkString(sourceAddress, 'sourceAddress');
    checkString(groupAddress, 'groupAddress');
    this.#group('dropSourceSpecificMembership', groupAddress, (endpoint, group) => {
      const source = mustReadPlace(sourceAddress, this.type, '').address;
      endpoint.memberships.leaveSource(group, source, this.#link(multicastInterface));
    });
  }

  /** Bytes; twice as many are reserved, as Linux does. @throws `ERR_SOCKET_BAD_BUFFER_SIZE`, `ERR_SOCKET_BUFFER_SIZE` */
  setRecvBufferSize(size: number): void {
    const endpoint = this.#bufferOwner(size, 'uv_recv_buffer_size');
    if (size > 0) endpoint.setOptions({ receiveBufferBytes: Math.min(2 * size, 0xffff_ffff) });
  }

  setSendBufferSize(size: number): void {
    this.#bufferOwner(size, 'uv_send_buffer_size');
    if (size > 0) this[kParts].outbox.limitBytes = 2 * size;
  }

  getRecvBufferSize(): number {
    return this.#bufferOwner(0, 'uv_recv_buffer_size').receiveBufferBytes;
  }

  getSendBufferSize(): number {
    this.#bufferOwner(0, 'uv_send_buffer_size');
    return this[kParts].outbox.limitBytes;
  }

  #bufferOwner(size: number, syscall: string): UdpEndpoint {
    if (size >>> 0 !== size) {
      throw typeError('ERR_SOCKET_BAD_BUFFER_SIZE', 'Buffer size must be a positive integer');
    }
    const endpoint = this[kParts].running();
    if (endpoint.localPort === 0) throw bufferSizeError(UNBOUND, syscall);
    return endpoint;
  }

  /** As in Node, where there is nothing to set before there is a port. */
  #set(syscall: string, options: Parameters<UdpEndpoint['setOptions']>[0]): void {
    this.#attempt(syscall, (endpoint) => endpoint.setOptions(options));
  }

  #attempt(syscall: string, act: (endpoint: UdpEndpoint) => void): void {
    const endpoint = this[kParts].running();
    if (endpoint.localPort === 0) throw errnoError(UNBOUND, syscall);
    this.#explain(syscall, () => act(endpoint));
  }

  #group(
    syscall: string,
    text: string,
    act: (endpoint: UdpEndpoint, group: UdpEndpoint['localAddress']) => void,
  ): void {
    const endpoint = this[kParts].running();
    if (!text) throw missingArgumentError('multicastAddress');
    this.#explain(syscall, () => act(endpoint, mustReadPlace(text, this.type, syscall).address));
  }

  #explain(syscall: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      throw errnoError(codeOf(error), syscall);
    }
  }

  /** The index of the link named; undefined where routes are to choose. */
  #link(text: string | undefined, unknown = 'ENODEV'): number | undefined {
    if (!text) return undefined;
    const { address, link } = mustReadPlace(text, this.type, '');
    if (link > 0) return link;
    if (address.isUnspecified) return undefined;
    const wanted = address.toString();
    const owner = this[kParts].stack.ip.addresses().find((one) => one.address.split('/')[0] === wanted);
    if (owner === undefined) throw errnoError(unknown, '');
    return owner.port;
  }
}
