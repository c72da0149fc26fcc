/** `dgram.Socket` over a UDP endpoint of a private stack. */
import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { checkNumber, checkPort, checkString } from '../net/arguments.js';
import { codeOf, errnoError, hostPortError, plainError } from '../net/node-errors.js';
import { type DgramStack, Happened, type UdpEndpoint } from './dgram-stack.js';
import { Outbox } from './outbox.js';
import { type Place, readPlace, type SocketPlace, type SocketType, showAddress } from './places.js';
import { type Message, readSendArguments } from './send-arguments.js';
import {
  readBindArguments,
  readSocketOptions,
  type SocketOptions,
  type SocketSettings,
} from './socket-options.js';
import { DgramSettings, kParts, type SocketParts } from './socket-settings.js';

/** How far a socket is on its way to a port, and to a peer. */
const Step = { None: 0, Underway: 1, Done: 2 } as const;
type Step = (typeof Step)[keyof typeof Step];

/** A UDP socket after the pattern of `node:dgram`. `createDgram` makes one class of it per stack. */
export class StackDgramSocket extends DgramSettings {
  readonly type: SocketType;
  readonly [kParts]: SocketParts;
  readonly #stack: DgramStack;
  readonly #settings: SocketSettings;
  readonly #outbox: Outbox;
  readonly #scope = new AsyncResource('TUNSTACK_UDP');
  /** Undefined when closed. */
  #endpoint: UdpEndpoint | undefined;
  #bound: Step = Step.None;
  #connected: Step = Step.None;
  /** What was asked for while the socket was being bound. */
  #queue: (() => void)[] | undefined;
  #isRef = true;
  #holds = false;
  /** The place sent to last, for those who send to it again. */
  #lastAddress = '';
  #lastPlace: Place | undefined;

  constructor(stack: DgramStack, given: SocketType | SocketOptions, listener?: (...args: unknown[]) => void) {
    super();
    const settings = readSocketOptions(given);
    this.#stack = stack;
    this.#settings = settings;
    this.type = settings.type;
    const endpoint = stack.openUdp(this.type === 'udp4' ? 4 : 6, {
      reuseAddress: Boolean(settings.reuseAddr),
      reusePort: Boolean(settings.reusePort),
      v6Only: Boolean(settings.ipv6Only),
    });
    endpoint.onEvents = (events) => this.#scope.runInAsyncScope(() => this.#happened(events));
    this.#endpoint = endpoint;
    this.#outbox = new Outbox(endpoint, stack.stats);
    this[kParts] = { stack, outbox: this.#outbox, running: () => this.#running() };
    if (typeof listener === 'function') this.on('message', listener);
    this.#obeySignal();
  }

  // ---- where it is ---------------------------------------------------------------------------------

  /**
   * Binds: `([port][, address][, callback])` or `(options[, callback])`. `listening` or `error` follow.
   * @throws `ERR_SOCKET_ALREADY_BOUND`, `ERR_SOCKET_DGRAM_NOT_RUNNING`, `ERR_SOCKET_BAD_PORT`
   */
  bind(...args: unknown[]): this {
    this.#running();
    if (this.#bound !== Step.None) throw plainError('ERR_SOCKET_ALREADY_BOUND');
    const { port, address } = readBindArguments(args);
    const wanted = port === undefined || port === null ? 0 : checkPort(port, 'port');
    this.#bound = Step.Underway;
    const callback = args[args.length - 1];
    if (typeof callback === 'function') this.#onceListening(callback as () => void);
    const any = this.type === 'udp4' ? '0.0.0.0' : '::';
    this.#settings.resolve(address || any, (error, ip) => {
      const endpoint = this.#endpoint;
      if (endpoint === undefined) return;
      const trouble = error ?? this.#bindTo(endpoint, ip, wanted);
      if (trouble !== null) {
        this.#bound = Step.None;
        this.emit('error', trouble);
        return;
      }
      this.#bound = Step.Done;
      this.#updateHold();
      const { recvBufferSize, sendBufferSize } = this.#settings;
      if (recvBufferSize) this.setRecvBufferSize(recvBufferSize);
      if (sendBufferSize) this.setSendBufferSize(sendBufferSize);
      this.emit('listening');
    });
    return this;
  }

  #bindTo(endpoint: UdpEndpoint, ip: string, port: number): Error | null {
    const place = readPlace(ip, this.type);
    try {
      if (place === undefined) throw errnoError('EINVAL', 'bind');
      if (place.link > 0) endpoint.setOptions({ boundLink: place.link });
      endpoint.bind(place.address, port);
      return null;
    } catch (error) {
      return hostPortError(codeOf(error), 'bind', { address: ip, port });
    }
  }

  #onceListening(callback: () => void): void {
    const listening = (): void => {
      this.off('error', failed);
      this.off('listening', listening);
      callback.call(this);
    };
    const failed = (): void => {
      this.off('error', failed);
      this.off('listening', listening);
    };
    this.on('error', failed);
    this.on('listening', listening);
  }

  /**
   * Sends to and receives from one peer only: `(port[, address][, callback])`.
   * @throws `ERR_SOCKET_BAD_PORT`, `ERR_SOCKET_DGRAM_IS_CONNECTED`, `ERR_INVALID_ARG_TYPE`
   */
  connect(port: number, address?: string | (() => void), callback?: () => void): void {
    const target = checkPort(port, 'Port', false);
    const done = typeof address === 'function' ? address : callback;
    const name = typeof address === 'function' || address === undefined ? '' : address;
    checkString(name, 'address');
    if (this.#connected !== Step.None) throw plainError('ERR_SOCKET_DGRAM_IS_CONNECTED');
    this.#connected = Step.Underway;
    this.#whenBound(() => this.#connectTo(target, name, done));
  }

  #connectTo(port: number, name: string, callback: ((error?: Error) => void) | undefined): void {
    const connected = (): void => callback?.();
    if (callback !== undefined) this.once('connect', connected);
    this.#settings.resolve(name, (error, ip) => {
      const endpoint = this.#endpoint;
      if (endpoint === undefined) return;
      let trouble: Error | null = error;
      try {
        const place = trouble === null ? readPlace(ip, this.type) : undefined;
        if (trouble === null && place === undefined) throw errnoError('EINVAL', 'connect');
        if (place !== undefined) endpoint.connect(place.address, port);
      } catch (reason) {
        trouble = hostPortError(codeOf(reason), 'connect', { address: name, port });
      }
      this.#connected = trouble === null ? Step.Done : Step.None;
      process.nextTick(() => {
        if (trouble === null) this.emit('connect');
        else if (callback === undefined) this.emit('error', trouble);
        else {
          this.off('connect', connected);
          callback(trouble);
        }
      });
    });
  }

  /** @throws `ERR_SOCKET_DGRAM_NOT_CONNECTED` */
  disconnect(): void {
    if (this.#connected !== Step.Done) throw plainError('ERR_SOCKET_DGRAM_NOT_CONNECTED');
    this.#running().disconnect();
    this.#connected = Step.None;
  }

  /** @throws `ERR_SOCKET_DGRAM_NOT_RUNNING`; `EBADF` before it is bound */
  address(): SocketPlace {
    const endpoint = this.#running();
    if (endpoint.localPort === 0) throw errnoError('EBADF', 'getsockname');
    return this.#show(endpoint.localAddress, endpoint.localPort);
  }

  /** @throws `ERR_SOCKET_DGRAM_NOT_CONNECTED`, `ERR_SOCKET_DGRAM_NOT_RUNNING` */
  remoteAddress(): SocketPlace {
    const { remoteAddress, remotePort } = this.#running();
    if (this.#connected !== Step.Done || remoteAddress === undefined) {
      throw plainError('ERR_SOCKET_DGRAM_NOT_CONNECTED');
    }
    return this.#show(remoteAddress, remotePort);
  }

  #show(address: UdpEndpoint['localAddress'], port: number, link = 0): SocketPlace {
    const family = this.type === 'udp4' ? 'IPv4' : 'IPv6';
    return { address: showAddress(address, this.type, link), family, port };
  }

  // ---- sending -------------------------------------------------------------------------------------

  /** Sends a datagram; see `readSendArguments` for the ways to call it, and for what it throws. */
  send(...args: unknown[]): void {
    const message = readSendArguments(args, this.#connected === Step.Done);
    this.#running();
    this.#whenBound(() => this.#send(message));
  }

  /** The old name of `send` in its longest form. */
  sendto(buffer: unknown, ...[offset, length, port, address, callback]: unknown[]): void {
    checkNumber(offset, 'offset');
    checkNumber(length, 'length');
    checkNumber(port, 'port');
    checkString(address, 'address');
    this.send(buffer, offset, length, port, address, callback);
  }

  #send(message: Message): void {
    const { port, address = '' } = message;
    if (port === undefined) {
      this.#sendTo(message, undefined);
      return;
    }
    if (address !== '' && address === this.#lastAddress) {
      this.#sendTo(message, this.#lastPlace);
      return;
    }
    const known = this.#settings.knowsLiterals ? readPlace(address, this.type) : undefined;
    if (known !== undefined) {
      this.#lastAddress = address;
      this.#lastPlace = known;
      this.#sendTo(message, known);
      return;
    }
    this.#settings.resolve(address, (error, ip) => this.#found(message, error, ip));
  }

  #found(message: Message, error: Error | null, ip: string): void {
    const { callback, address, port } = message;
    if (error !== null) {
      if (callback !== undefined) process.nextTick(callback, error);
      else process.nextTick(() => this.emit('error', error));
      return;
    }
    if (this.#endpoint === undefined) return;
    const place = readPlace(ip, this.type);
    if (place !== undefined) this.#sendTo(message, place);
    else if (callback !== undefined) {
      process.nextTick(callback, hostPortError('EINVAL', 'send', { address, port }));
    }
  }

  #sendTo({ data, port, address, callback }: Message, place: Place | undefined): void {
    const link = place?.link ?? 0;
    this.#outbox.send({ data, port, address, callback, destination: place?.address, link });
  }

  getSendQueueSize(): number {
    return this.#outbox.bytes;
  }

  getSendQueueCount(): number {
    return this.#outbox.count;
  }

  // ---- receiving -----------------------------------------------------------------------------------

  /** Within the stack's turn: what listeners throw must not end it. */
  #happened(events: number): void {
    if (events & Happened.ERROR) this.#tell(() => this.#raise());
    if (events & Happened.READABLE) this.#receive();
    if (events & Happened.WRITABLE) this.#outbox.flush();
  }

  #raise(): void {
    const error = this.#endpoint?.takeError();
    if (error !== undefined) this.emit('error', errnoError(error.code, 'recvmsg'));
  }

  #receive(): void {
    while (this.#endpoint !== undefined) {
      this.#tell(() => this.#raise());
      const datagram = this.#endpoint?.receive();
      if (datagram === undefined) return;
      const message = Buffer.allocUnsafe(datagram.length);
      message.set(datagram.payload);
      const from = this.#show(datagram.source, datagram.sourcePort, datagram.link);
      this.#tell(() => this.emit('message', message, { ...from, size: message.length }));
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

  // ---- the end ---------------------------------------------------------------------------------------

  /** @throws `ERR_SOCKET_DGRAM_NOT_RUNNING` */
  close(callback?: () => void): this {
    if (typeof callback === 'function') this.on('close', callback);
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.close());
      return this;
    }
    this.#running().close();
    this.#endpoint = undefined;
    this.#outbox.clear();
    this.#updateHold();
    process.nextTick(() => this.emit('close'));
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#endpoint === undefined) return;
    await new Promise<void>((resolve) => void this.close(resolve));
  }

  #obeySignal(): void {
    const { signal } = this.#settings;
    if (signal === undefined) return;
    const close = (): void => {
      if (this.#endpoint !== undefined) this.close();
    };
    if (signal.aborted) {
      close();
      return;
    }
    signal.addEventListener('abort', close, { once: true });
    this.once('close', () => signal.removeEventListener('abort', close));
  }

  ref(): this {
    this.#isRef = true;
    this.#updateHold();
    return this;
  }

  unref(): this {
    this.#isRef = false;
    this.#updateHold();
    return this;
  }

  /** A socket that can receive keeps the process alive. */
  #updateHold(): void {
    const holds = this.#isRef && this.#endpoint !== undefined && this.#bound === Step.Done;
    if (holds === this.#holds) return;
    this.#holds = holds;
    if (holds) this.#stack.hold();
    else this.#stack.release();
  }

  #running(): UdpEndpoint {
    if (this.#endpoint === undefined) throw plainError('ERR_SOCKET_DGRAM_NOT_RUNNING');
    return this.#endpoint;
  }

  /** Binds if nobody has, and acts when that is done. */
  #whenBound(act: () => void): void {
    if (this.#bound === Step.None) this.bind({ port: 0 });
    if (this.#bound === Step.Done) {
      act();
      return;
    }
    if (this.#queue === undefined) {
      this.#queue = [];
      const failed = (): void => {
        this.off('listening', bound);
        this.#queue = undefined;
      };
      const bound = (): void => {
        this.off(EventEmitter.errorMonitor, failed);
        const queue = this.#queue ?? [];
        this.#queue = undefined;
        for (const step of queue) step();
      };
      this.once(EventEmitter.errorMonitor, failed);
      this.once('listening', bound);
    }
    this.#queue.push(act);
  }
}
