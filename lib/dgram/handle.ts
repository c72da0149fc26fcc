/**
 * What stands below a socket: a UDP endpoint with the calls of libuv's, which answer with numbers of
 * errors instead of throwing. `_handle` of a socket shows it, as Node's does.
 */
import { AsyncResource } from 'node:async_hooks';
import { lacksLink, type Place } from '../net/zones.js';
import { type DgramStack, Happened, type UdpEndpoint } from './dgram-stack.js';
import { attempt, errnoOf } from './errno.js';
import { type GroupsHost, HandleGroups } from './handle-groups.js';
import type { Lookup } from './lookups.js';
import { Outbox, type SendRequest } from './outbox.js';
import { readPlace, type SocketPlace, type SocketType, showAddress } from './places.js';

/** Flags of `bind`, as libuv numbers them. */
export const BindFlag = { IPV6_ONLY: 1, REUSE_ADDRESS: 4, REUSE_PORT: 8 } as const;

/** The least Linux gives, and the most that can be asked for, bytes. */
const LEAST_RECEIVE_BYTES = 2304;
const LEAST_SEND_BYTES = 4608;
const MOST_ASKED_BYTES = 0x7fff_ffff;
/** Most that waits for a link, bytes, however much is asked for. */
const MOST_SEND_BYTES = 16 << 20;

export interface MessageInfo extends SocketPlace {
  size?: number;
}

/** `nread` is negative for an error: then there is neither data nor a place it comes from. */
export type OnMessage = (
  nread: number,
  handle: UdpHandle,
  data: Buffer | undefined,
  info: MessageInfo | undefined,
) => void;

/** Its reactions are microtasks behind those there are, without the async resource of each `queueMicrotask`. */
const SETTLED = Promise.resolve();

export class UdpHandle implements GroupsHost {
  /** There is none: the stack's sockets are not the host's. */
  readonly fd = -1;
  readonly type: SocketType;
  lookup: Lookup;
  onmessage: OnMessage | undefined = undefined;
  /** Called when the stack is closed under it. */
  oncut: (() => void) | undefined = undefined;
  isCut = false;
  readonly #stack: DgramStack;
  readonly #scope = new AsyncResource('TUNSTACK_UDP');
  readonly #outbox: Outbox;
  readonly #groups: HandleGroups;
  /** Undefined when closed. */
  #endpoint: UdpEndpoint | undefined;
  #isReceiving = false;
  /** Datagrams are being handed over, one after the other. */
  #isHandingOver = false;
  #isRef = true;
  #holds = false;
  /** The place sent to last, for those who send to it again. */
  #lastText = '';
  #lastPlace: Place | undefined;
  readonly #afterMicrotasks = (): void => process.nextTick(this.#nextMessage);
  readonly #nextMessage = (): void => this.#scope.runInAsyncScope(() => this.#handOver());

  constructor(stack: DgramStack, type: SocketType, lookup: Lookup) {
    this.#stack = stack;
    this.type = type;
    this.lookup = lookup;
    const endpoint = stack.openUdp(type === 'udp4' ? 4 : 6);
    endpoint.onEvents = (events) => this.#scope.runInAsyncScope(() => this.#happened(events));
    endpoint.onClosed = () => {
      this.isCut = true;
      this.oncut?.();
    };
    this.#endpoint = endpoint;
    this.#outbox = new Outbox(endpoint, stack.stats);
    this.#groups = new HandleGroups(endpoint, stack.ip, this);
  }

  getAsyncId(): number {
    return this.#scope.asyncId();
  }

  // ---- where it is ---------------------------------------------------------------------------------

  /** @param flags bits of `BindFlag` */
  bind(ip: string, port: unknown, flags = 0): number {
    return this.#act((endpoint) => {
      const place = readPlace(ip, this.type, this.#stack.ip);
      if (place === undefined || lacksLink(place)) return errnoOf('EINVAL');
      if (endpoint.localPort === 0) {
        endpoint.setOptions({
          reuseAddress: (flags & BindFlag.REUSE_ADDRESS) !== 0,
          reusePort: (flags & BindFlag.REUSE_PORT) !== 0,
          v6Only: (flags & BindFlag.IPV6_ONLY) !== 0,
          ...(place.link > 0 ? { boundLink: place.link } : {}),
        });
      }
      // Whatever is given for a port, libuv takes its lower 16 bits.
      endpoint.bind(place.address, (Number(port) >>> 0) & 0xffff);
      return 0;
    });
  }

  /** libuv gives a socket that joins a group before it is bound a port that others may share. */
  bindForGroups(): void {
    const endpoint = this.#endpoint;
    if (endpoint === undefined || endpoint.localPort !== 0) return;
    endpoint.setOptions({ reuseAddress: true });
    endpoint.bind();
  }

  connect(ip: string, port: number): number {
    return this.#act((endpoint) => {
      const place = readPlace(ip, this.type, this.#stack.ip);
      if (place === undefined) return errnoOf('EINVAL');
      // As on Linux, a socket that is connected to an address of one link is bound to that link.
      if (place.link > 0 && place.address.isLinkLocal) endpoint.setOptions({ boundLink: place.link });
      endpoint.connect(place.address, port);
      return 0;
    });
  }

  disconnect(): number {
    return this.#act((endpoint) => {
      endpoint.disconnect();
      return 0;
    });
  }

  /** Fills in the own address. */
  getsockname(out: Partial<SocketPlace>): number {
    return this.#act((endpoint) => {
      if (endpoint.localPort === 0) return errnoOf('EBADF');
      Object.assign(out, this.#show(endpoint.localAddress, endpoint.localPort, endpoint.boundLink));
      return 0;
    });
  }

  /** Fills in the address of the peer. */
  getpeername(out: Partial<SocketPlace>): number {
    return this.#act(({ remoteAddress, remotePort, boundLink }) => {
      if (remoteAddress === undefined) return errnoOf('ENOTCONN');
      Object.assign(out, this.#show(remoteAddress, remotePort, boundLink));
      return 0;
    });
  }

  #show(address: UdpEndpoint['localAddress'], port: number, link: number): SocketPlace {
    const family = this.type === 'udp4' ? 'IPv4' : 'IPv6';
    return { address: showAddress(address, this.type, { link, links: this.#stack.ip }), family, port };
  }

  // ---- what is set -----------------------------------------------------------------------------------

  setTTL(ttl: number): number {
    if (!(ttl >= 1 && ttl < 256)) return errnoOf('EINVAL');
    return this.#set({ hopLimit: Math.trunc(ttl) });
  }

  setMulticastTTL(ttl: number): number {
    if (ttl < 0 || ttl >= 256) return errnoOf('EINVAL');
    // What is no number counts as 0, as for every whole number that Node hands down.
    return this.#set({ multicastHopLimit: Math.trunc(ttl) || 0 });
  }

  setBroadcast(flag: number): number {
    return this.#set({ broadcast: flag !== 0 });
  }

  setMulticastLoopback(flag: number): number {
    return this.#set({ multicastLoop: flag !== 0 });
  }

  setMulticastInterface(text: string): number {
    return this.#act(() => this.#groups.setInterface(text));
  }

  addMembership(group: string, link?: string | null): number {
    return this.#act(() => this.#groups.join(group, link));
  }

  dropMembership(group: string, link?: string | null): number {
    return this.#act(() => this.#groups.leave(group, link));
  }

  addSourceSpecificMembership(source: string, group: string, link?: string | null): number {
    return this.#act(() => this.#groups.joinSource(source, group, link));
  }

  dropSourceSpecificMembership(source: string, group: string, link?: string | null): number {
    return this.#act(() => this.#groups.leaveSource(source, group, link));
  }

  /**
   * Sets the size of the buffer for what comes (or goes), bytes, unless `size` is 0; as on Linux twice as
   * many are reserved. @returns the size; undefined when it cannot be, and `context` says why
   */
  bufferSize(
    size: number,
    isReceive: boolean,
    context: { code?: string; syscall?: string },
  ): number | undefined {
    const endpoint = this.#endpoint;
    const code =
      endpoint === undefined || endpoint.localPort === 0 ? 'EBADF' : size > MOST_ASKED_BYTES ? 'EINVAL' : '';
    if (endpoint === undefined || code !== '') {
      context.code = code;
      context.syscall = isReceive ? 'uv_recv_buffer_size' : 'uv_send_buffer_size';
      return undefined;
    }
    if (size > 0 && isReceive) {
      endpoint.setOptions({ receiveBufferBytes: Math.max(2 * size, LEAST_RECEIVE_BYTES) });
    } else if (size > 0) {
      this.#outbox.limitBytes = Math.min(Math.max(2 * size, LEAST_SEND_BYTES), MOST_SEND_BYTES);
    }
    return isReceive ? endpoint.receiveBufferBytes : this.#outbox.limitBytes;
  }

  /** As with libuv there is nothing to set before there is a port. */
  #set(options: Parameters<UdpEndpoint['setOptions']>[0]): number {
    return this.#act((endpoint) => {
      if (endpoint.localPort === 0) return errnoOf('EBADF');
      endpoint.setOptions(options);
      return 0;
    });
  }

  #act(call: (endpoint: UdpEndpoint) => number): number {
    const endpoint = this.#endpoint;
    if (endpoint === undefined) return errnoOf('EBADF');
    let outcome = 0;
    const errno = attempt(() => {
      outcome = call(endpoint);
    });
    return errno === 0 ? outcome : errno;
  }

  // ---- sending -------------------------------------------------------------------------------------

  /**
   * `(request, list, count, port, ip, hasCallback)`, or `(request, list, count, hasCallback)` to the peer.
   * @returns bytes sent plus 1; 0 when `request` will be told; or an error's number
   */
  send(request: SendRequest, list: readonly Uint8Array[], ...more: unknown[]): number {
    const port = more[1];
    const ip = more[2];
    if (this.#endpoint === undefined) return errnoOf('EBADF');
    if (typeof port !== 'number' || typeof ip !== 'string') {
      return this.#outbox.send(request, { data: list, destination: undefined, port: 0, link: 0 });
    }
    if (ip !== this.#lastText) {
      this.#lastPlace = readPlace(ip, this.type, this.#stack.ip);
      this.#lastText = ip;
    }
    const place = this.#lastPlace;
    if (place === undefined) return errnoOf('EINVAL');
    return this.#outbox.send(request, { data: list, destination: place.address, port, link: place.link });
  }

  getSendQueueSize(): number {
    return this.#outbox.bytes;
  }

  getSendQueueCount(): number {
    return this.#outbox.count;
  }

  // ---- receiving -----------------------------------------------------------------------------------

  recvStart(): number {
    this.#isReceiving = true;
    this.#updateHold();
    const waits = (this.#endpoint?.queuedDatagrams ?? 0) > 0;
    if (waits && !this.#isHandingOver) {
      this.#isHandingOver = true;
      this.#afterMicrotasks();
    }
    return 0;
  }

  recvStop(): number {
    this.#isReceiving = false;
    this.#updateHold();
    return 0;
  }

  /** Within the stack's turn: what listeners throw must not end it. */
  #happened(events: number): void {
    if (events & Happened.ERROR && this.#isReceiving) this.#tell(() => this.#raise());
    if (events & Happened.READABLE && !this.#isHandingOver) this.#tell(() => this.#handOver());
    if (events & Happened.WRITABLE) this.#outbox.flush();
  }

  #raise(): void {
    const error = this.#endpoint?.takeError();
    if (error !== undefined) this.onmessage?.(errnoOf(error.code), this, undefined, undefined);
  }

  /**
   * Hands over one datagram; the next one when all ticks and microtasks of this one are done, as in Node,
   * where each comes in a call of its own. A listener that a promise adds hears the next datagram.
   */
  #handOver(): void {
    this.#isHandingOver = false;
    if (!this.#isReceiving) return;
    this.#raise();
    const datagram = this.#endpoint?.receive();
    if (datagram === undefined || !this.#isReceiving) return;
    this.#isHandingOver = true;
    const { length, source, sourcePort, link } = datagram;
    const data = Buffer.allocUnsafe(length);
    data.set(datagram.payload);
    try {
      this.onmessage?.(length, this, data, this.#show(source, sourcePort, link));
    } finally {
      this.#isHandingOver = (this.#endpoint?.queuedDatagrams ?? 0) > 0;
      if (this.#isHandingOver) void SETTLED.then(this.#afterMicrotasks);
    }
  }

  #tell(step: () => void): void {
    try {
      step();
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  // ---- its life ------------------------------------------------------------------------------------

  /** May be called twice. */
  close(): void {
    const endpoint = this.#endpoint;
    if (endpoint === undefined) return;
    this.#endpoint = undefined;
    this.#isReceiving = false;
    endpoint.close();
    this.#outbox.clear();
    this.#updateHold();
  }

  ref(): void {
    this.#isRef = true;
    this.#updateHold();
  }

  unref(): void {
    this.#isRef = false;
    this.#updateHold();
  }

  hasRef(): boolean {
    return this.#isRef && this.#endpoint !== undefined;
  }

  /** A socket that can receive keeps the process alive. */
  #updateHold(): void {
    const holds = this.#isRef && this.#isReceiving && this.#endpoint !== undefined;
    if (holds === this.#holds) return;
    this.#holds = holds;
    if (holds) this.#stack.hold();
    else this.#stack.release();
  }
}
