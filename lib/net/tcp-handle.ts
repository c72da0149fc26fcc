/**
 * What stands between a stream and its endpoint, as libuv's handle does in Node: it reads when it is
 * asked to, remembers what waits for room, keeps the process alive while it is at work, and calls the
 * stream in the async context the socket was made in.
 */
import { AsyncResource } from 'node:async_hooks';
import type { TcpEndpointHandler } from '../stack/tcp-endpoint.js';
import type { Endpoint, NetContext, TextSink } from './context.js';
import type { Inlet } from './inlet.js';
import { errnoError } from './node-errors.js';
import { Outlet } from './outlet.js';
import { showTcpAddress } from './zones.js';

/** Hears what becomes of a connection. What it throws is thrown anew outside the stack's turn. */
export interface HandleOwner {
  onConnect(): void;
  /** The attempt has failed. */
  onConnectError(code: string): void;
  /** Something was read. */
  onActivity(): void;
  /** What had to wait for room has been written. */
  onWritten(): void;
  /** The peer has finished sending, and everything was delivered. */
  onEnd(): void;
  onReadError(code: string): void;
  /** It was broken off on this side, under whoever has it: the stack was closed. */
  onCut(): void;
}

export type WriteDone = (error?: Error | null) => void;

export interface Address {
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly port: number;
}

export interface HandleOptions {
  readonly endpoint: Endpoint;
  readonly inlet: Inlet;
  readonly isConnecting: boolean;
  /** Whether an IPv4 connection belongs to an IPv6 socket and shows mapped addresses. */
  readonly isMapped: boolean;
}

export class TcpHandle implements TcpEndpointHandler, TextSink {
  owner: HandleOwner | undefined;
  readonly endpoint: Endpoint;
  static readonly #connectedStep = (handle: TcpHandle): void => handle.#connected();
  static readonly #deliverStep = (handle: TcpHandle): void => handle.#deliver();
  static readonly #writeStep = (handle: TcpHandle): void => handle.#continueWriting();
  static readonly #endStep = (handle: TcpHandle): void => handle.#ended();
  readonly #stack: NetContext['stack'];
  readonly #ticks: NetContext['ticks'];
  readonly #inlet: Inlet;
  readonly #outlet: Outlet;
  readonly #scope = new AsyncResource('TUNSTACK_TCP');
  readonly #isMapped: boolean;
  #isConnecting: boolean;
  #isReading = false;
  /** Whether the end of the stream, or an error, was told: nothing will be read any more. */
  #isReadDone = false;
  #isDeliveryDue = false;
  /** When text was last delivered, as `TickCount` marks it. */
  #deliveredAt = -1;
  /** The endpoint is over. */
  #isOver = false;
  /** Code of the error that ended it and that nobody was told yet. */
  #failure = '';
  #writeDone: WriteDone | undefined;
  #isClosed = false;
  /** A FIN was asked for. */
  #isShutdown = false;
  #isRef = true;
  #holds = false;

  constructor(context: NetContext, options: HandleOptions) {
    const { endpoint } = options;
    this.#stack = context.stack;
    this.#ticks = context.ticks;
    this.endpoint = endpoint;
    this.#inlet = options.inlet;
    this.#outlet = new Outlet(endpoint, context.scratch);
    this.#isConnecting = options.isConnecting;
    this.#isMapped = options.isMapped;
    endpoint.handler = this;
    endpoint.setSink(this);
    this.#updateHold();
  }

  // ---- what the endpoint tells ---------------------------------------------------------------------

  onConnect(): void {
    // The receiving half exists only now.
    this.endpoint.setSink(this);
    this.#run(TcpHandle.#connectedStep);
  }

  onReadable(): void {
    this.#run(TcpHandle.#deliverStep);
  }

  onEnd(): void {
    this.#run(TcpHandle.#deliverStep);
  }

  onWritable(): void {
    if (this.#writeDone !== undefined) this.#run(TcpHandle.#writeStep);
  }

  onClose(errorCode: string): void {
    this.#isOver = true;
    this.#failure = errorCode;
    this.#run(TcpHandle.#endStep);
  }

  take(_bytes: Uint8Array, at: number, length: number, view: DataView): boolean {
    return this.#isReading && this.#inlet.take(view, at, length);
  }

  // ---- what it is --------------------------------------------------------------------------------

  get bytesRead(): number {
    return this.#inlet.bytesDelivered;
  }

  get bytesWritten(): number {
    return this.#outlet.bytesAccepted;
  }

  /** Bytes accepted that wait for room in the send buffer. */
  get waitingBytes(): number {
    return this.#outlet.waitingBytes;
  }

  get isConnecting(): boolean {
    return this.#isConnecting;
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  localEnd(): Address {
    const { localAddress, localPort } = this.endpoint;
    return this.#address(localAddress, localPort);
  }

  remoteEnd(): Address {
    const { remoteAddress, remotePort } = this.endpoint;
    return this.#address(remoteAddress, remotePort);
  }

  #address(address: Endpoint['localAddress'], port: number): Address {
    const shown = showTcpAddress(address, this.#isMapped, {
      link: this.endpoint.link,
      links: this.#stack.ip,
    });
    return { address: shown, family: address.family === 6 || this.#isMapped ? 'IPv6' : 'IPv4', port };
  }

  // ---- reading -----------------------------------------------------------------------------------

  /** Begins to deliver, what waits already in the next tick. */
  readStart(): void {
    if (this.#isReading || this.#isReadDone || this.#isClosed) return;
    this.#isReading = true;
    this.#updateHold();
    const isWaiting = this.#inlet.hasText || this.endpoint.readableBytes > 0;
    if (isWaiting || this.endpoint.isPeerClosed || this.#isOver) this.#deliverSoon();
  }

  /** Stops delivering: the receive buffer fills, and the window closes. */
  readStop(): void {
    this.#isReading = false;
    this.#updateHold();
  }

  #deliverSoon(): void {
    if (this.#isDeliveryDue) return;
    this.#isDeliveryDue = true;
    process.nextTick(this.#deliverDue);
  }

  #deliverLater(): void {
    if (this.#isDeliveryDue) return;
    this.#isDeliveryDue = true;
    setImmediate(this.#deliverDue);
  }

  readonly #deliverDue = (): void => {
    this.#isDeliveryDue = false;
    this.#run(this.#isOver ? TcpHandle.#endStep : TcpHandle.#deliverStep);
  };

  #deliver(): void {
    while (this.#isReading && !this.#isClosed) {
      if (!this.#inlet.hasText && this.endpoint.readableBytes === 0) {
        this.#deliverEnd();
        return;
      }
      let wantsMore = true;
      try {
        this.#deliveredAt = this.#ticks.mark();
        wantsMore = this.#inlet.deliver(this.endpoint);
        this.owner?.onActivity();
      } catch (error) {
        // The listener's mistake: what follows is delivered all the same.
        this.#deliverSoon();
        throw error;
      }
      if (!wantsMore) this.readStop();
    }
  }

  #deliverEnd(): void {
    const isDue = this.endpoint.isPeerClosed || this.#failure !== '';
    if (isDue && this.#ticks.isPresent(this.#deliveredAt)) {
      // As libuv, which reads the end in a turn of its own: what text has led to happens before.
      this.#deliverLater();
      return;
    }
    if (this.endpoint.isPeerClosed) {
      this.#finishReading();
      this.owner?.onEnd();
    } else if (this.#failure !== '') {
      this.#finishReading();
      const code = this.#failure;
      this.#failure = '';
      this.owner?.onReadError(code);
    }
  }

  #finishReading(): void {
    this.#isReadDone = true;
    this.readStop();
  }

  // ---- writing -----------------------------------------------------------------------------------

  /** Accepts one chunk; `done` is called when all of it is in the send buffer, often at once. */
  write(data: Uint8Array | string, encoding: BufferEncoding, done: WriteDone): void {
    if (this.#isOver) {
      done(this.#writeError());
      return;
    }
    this.#outlet.put(data, encoding);
    this.#settleWrite(done);
  }

  /** As `write`, for many chunks. */
  writev(chunks: readonly { chunk: Uint8Array | string; encoding: BufferEncoding }[], done: WriteDone): void {
    if (this.#isOver) {
      done(this.#writeError());
      return;
    }
    this.put(chunks);
    this.#settleWrite(done);
  }

  /** Hands over chunks of a write that a `writev` of no more will settle. */
  put(chunks: readonly { chunk: Uint8Array | string; encoding: BufferEncoding }[]): void {
    for (const { chunk, encoding } of chunks) this.#outlet.put(chunk, encoding);
  }

  /** A FIN follows what was written. */
  shutdown(done: WriteDone): void {
    if (this.#isOver || this.#isClosed) {
      done();
      return;
    }
    this.#isShutdown = true;
    this.endpoint.shutdown();
    process.nextTick(done);
  }

  #settleWrite(done: WriteDone): void {
    if (this.#outlet.waitingBytes === 0) {
      done();
      return;
    }
    this.#writeDone = done;
    this.#updateHold();
  }

  #continueWriting(): void {
    if (this.#writeDone === undefined) return;
    this.#outlet.flush();
    if (this.#outlet.waitingBytes > 0) return;
    this.#finishWrite();
  }

  #finishWrite(error?: Error): void {
    const done = this.#writeDone;
    this.#writeDone = undefined;
    this.#outlet.clear();
    this.#updateHold();
    if (done === undefined) return;
    if (error === undefined) this.owner?.onWritten();
    done(error ?? null);
  }

  /** The error of a connection is told once; a later write meets a broken pipe, as with the kernel. */
  #writeError(): Error {
    const code = this.#failure === '' ? 'EPIPE' : this.#failure;
    this.#failure = '';
    return errnoError(code, 'write');
  }

  // ---- beginning and end ---------------------------------------------------------------------------

  #connected(): void {
    if (!this.#isConnecting) return;
    this.#isConnecting = false;
    this.#updateHold();
    this.owner?.onConnect();
  }

  #ended(): void {
    if (this.#isConnecting) {
      this.#isConnecting = false;
      this.#updateHold();
      this.owner?.onConnectError(this.#failure === '' ? 'ECONNABORTED' : this.#failure);
      return;
    }
    const isCut = this.#failure === '' && !(this.endpoint.isPeerClosed && this.#isShutdown);
    this.#deliver();
    // What reading tells comes first.
    if (this.#isDeliveryDue) return;
    if (this.#writeDone !== undefined) this.#finishWrite(this.#writeError());
    this.#updateHold();
    if (isCut) this.owner?.onCut();
  }

  /** Gives the connection up; `done` is called in a later phase of the event loop. */
  close(done: () => void): void {
    // What was taken from the endpoint and never delivered counts as unread (RFC 2525 §2.17).
    this.#release(done, this.#inlet.hasText);
  }

  /** Ends the connection with an RST. */
  reset(done: () => void): void {
    this.#release(done, true);
  }

  #release(done: () => void, aborts: boolean): void {
    const { endpoint } = this;
    this.#isClosed = true;
    this.#isReading = false;
    endpoint.handler = undefined;
    endpoint.setSink(undefined);
    this.#inlet.clear();
    if (aborts) endpoint.abort();
    endpoint.close();
    this.owner = undefined;
    setImmediate(() => {
      this.#run(() => {
        this.#finishWrite();
        done();
      });
    });
    this.#updateHold();
  }

  // ---- the process -----------------------------------------------------------------------------------

  ref(): void {
    this.#isRef = true;
    this.#updateHold();
  }

  unref(): void {
    this.#isRef = false;
    this.#updateHold();
  }

  /** As with libuv: a handle that is at work keeps the process alive, one that is paused does not. */
  #updateHold(): void {
    const isBusy = this.#isConnecting || (!this.#isOver && this.#isReading) || this.#writeDone !== undefined;
    const holds = isBusy && this.#isRef && !this.#isClosed;
    if (holds === this.#holds) return;
    this.#holds = holds;
    if (holds) this.#stack.hold();
    else this.#stack.release();
  }

  /** Calls the owner's code: in the socket's context, and so that its mistakes do not break the stack's turn. */
  #run(step: (handle: TcpHandle) => void): void {
    try {
      this.#scope.runInAsyncScope(step, undefined, this);
    } catch (error) {
      process.nextTick(rethrow, error);
    }
  }
}

function rethrow(error: unknown): never {
  throw error;
}
