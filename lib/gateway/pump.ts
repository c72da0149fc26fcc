/**
 * One connection of the gateway: an endpoint of the stack on one side, a socket of the host on the other.
 * What `relay` does for any two streams, without a stream on the stack's side: text goes from the link's
 * memory through one piece of ours to the host's kernel, and from its kernel into the send buffer.
 */
import { Buffer } from 'node:buffer';
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { copyBytes } from '../base/copy.js';
import type { Rostered } from '../base/roster.js';
import { descriptorOf, hiddenError, writeError } from '../relay/host-socket.js';
import { reset } from '../relay/relay.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../stack/tcp-endpoint.js';
import { CHUNK_BYTES, type Chunk, type ChunkPool } from './chunks.js';
import type { HostSocket, SocketUser } from './host-sockets.js';

/** What fits into one segment on any path, bytes (RFC 9293 §3.7.1). */
const SMALL_BYTES = 536;

type TextSink = NonNullable<Parameters<TcpEndpoint['setSink']>[0]>;

/** What the pumps of a gateway share. */
export interface PumpHost {
  readonly chunks: ChunkPool;
  /** Counts up with time; what is written down here says when something last happened. */
  readonly tick: number;
  /** Bytes passed so far. */
  readonly passed: { toHost: number; toStack: number };
  /** The pump is done, and holds nothing any more. */
  pumpEnded(pump: Pump, error: string): void;
}

/** Joins an endpoint and a connected socket of the host, which must allow half-open connections. */
export class Pump implements TcpEndpointHandler, TextSink, SocketUser, Rostered {
  rosterPlace = -1;
  /** `tick` of the host when something last happened. */
  touched: number;
  readonly #host: PumpHost;
  readonly #endpoint: TcpEndpoint;
  readonly #hostSocket: HostSocket;
  readonly #socket: Socket;
  readonly #written = (error?: Error | null): void => this.#hostTook(error);
  /** Whether the host was given something, and whether Nagle's algorithm was turned off for what follows. */
  #hasWritten = false;
  #isPrompt = false;
  /** Text for the host that is being gathered, or that it has not taken yet. */
  #chunk: Chunk | undefined;
  /** The host has not taken all it was given: nothing more is taken from the stack. */
  #isBlocked = false;
  /** Text of the host's that the send buffer had no room for. */
  #rest: Uint8Array | undefined;
  /** The host has finished; a FIN follows `#rest`. */
  #hostEnded = false;
  /** The stack's peer has finished, and the host was told. */
  #stackEnded = false;
  /** The endpoint is over, and nothing may be written to it. */
  #isClosed = false;
  #isOver = false;
  /** The handshake is still to be done, by this side: closed now, the connection would be forgotten. */
  #isConnecting: boolean;
  /** Bytes the stack's peer had not acknowledged when that was last looked at. */
  #unackedBytes = 0;

  /** @param isConnecting whether the endpoint was only just told to connect */
  constructor(host: PumpHost, endpoint: TcpEndpoint, socket: HostSocket, isConnecting = false) {
    this.#isConnecting = isConnecting;
    this.#host = host;
    this.#endpoint = endpoint;
    this.#hostSocket = socket;
    this.#socket = socket.socket;
    socket.user = this;
    this.touched = host.tick;
    endpoint.handler = this;
    endpoint.setSink(this);
    // What came while the host was being dialled.
    this.#pull();
  }

  /** Whether one side has finished and the other has not. */
  get isHalfClosed(): boolean {
    return this.#hostEnded !== this.#stackEnded;
  }

  get #isWhole(): boolean {
    return this.#hostEnded && this.#stackEnded && this.#rest === undefined;
  }

  /** Looks now and then for what nobody tells. */
  look(): void {
    const { unackedBytes } = this.#endpoint;
    // What was admitted long ago and is taken only now is activity too: a slow reader is no idle one.
    if (unackedBytes !== this.#unackedBytes) this.touched = this.#host.tick;
    this.#unackedBytes = unackedBytes;
    // The host may have reset what it had finished; what it said before goes first.
    if (!this.#hostEnded || this.#stackEnded || unackedBytes > 0) return;
    const code = writeError(this.#socket);
    if (code !== '') this.#end(code);
  }

  /** Ends both with an RST. @param why code for the counters */
  abort(why: string): void {
    this.#end(why);
  }

  // ---- from the host to the stack ------------------------------------------------------------------

  hostConnected(): void {}

  hostText(bytes: Uint8Array, length: number, isLent: boolean): boolean {
    if (this.#isClosed) return true;
    this.touched = this.#host.tick;
    this.#host.passed.toStack += length;
    const admitted = this.#rest === undefined ? this.#endpoint.write(bytes, 0, length) : 0;
    if (admitted === length) return true;
    const left = bytes.subarray(admitted, length);
    const kept = isLent ? Buffer.from(left) : left;
    this.#rest = this.#rest === undefined ? kept : Buffer.concat([this.#rest, kept]);
    return false;
  }

  hostFinished(): void {
    const code = hiddenError(this.#socket);
    if (code !== '') {
      this.#end(code);
      return;
    }
    this.#hostEnded = true;
    this.touched = this.#host.tick;
    if (this.#rest === undefined && !this.#isClosed && !this.#isConnecting) this.#endpoint.shutdown();
  }

  hostClosed(code: string): void {
    if (code !== '') this.#end(code);
    else this.#end(this.#isWhole ? '' : 'ECONNABORTED');
  }

  onWritable(): void {
    const rest = this.#rest;
    if (rest === undefined) return;
    this.touched = this.#host.tick;
    const admitted = this.#endpoint.write(rest);
    if (admitted < rest.length) {
      this.#rest = rest.subarray(admitted);
      return;
    }
    this.#rest = undefined;
    if (this.#hostEnded) this.#endpoint.shutdown();
    else this.#socket.resume();
  }

  // ---- from the stack to the host ------------------------------------------------------------------

  take(_bytes: Uint8Array, at: number, length: number, view: DataView): boolean {
    if (this.#isBlocked || this.#isOver || length > CHUNK_BYTES) return false;
    if (this.#chunk !== undefined && this.#chunk.filled + length > CHUNK_BYTES && !this.#write())
      return false;
    const chunk = (this.#chunk ??= this.#host.chunks.take());
    copyBytes(view, at, chunk.view, chunk.filled, length);
    chunk.filled += length;
    return true;
  }

  onReadable(): void {
    this.#pull();
  }

  onEnd(): void {
    this.#pull();
  }

  /** Gives the host what was gathered, then what waits in the receive buffer, then the end. */
  #pull(): void {
    if (this.#isBlocked || this.#isOver) return;
    this.touched = this.#host.tick;
    const endpoint = this.#endpoint;
    while (endpoint.readableBytes > 0) {
      const chunk = (this.#chunk ??= this.#host.chunks.take());
      chunk.filled += endpoint.read(chunk.bytes, chunk.filled, CHUNK_BYTES - chunk.filled);
      if (!this.#write()) return;
    }
    if (this.#chunk !== undefined && !this.#write()) return;
    this.#dropChunk();
    if (!endpoint.isPeerClosed || this.#stackEnded) return;
    this.#stackEnded = true;
    this.#socket.end();
  }

  /** @returns whether the host's kernel has all of it, so that the memory serves again */
  #write(): boolean {
    const chunk = this.#chunk;
    if (chunk === undefined || chunk.filled === 0) return true;
    const socket = this.#socket;
    this.#host.passed.toHost += chunk.filled;
    if (!this.#isPrompt) this.#bePrompt(chunk.filled);
    const written = this.#writeNow(chunk);
    if (written === chunk.filled) {
      chunk.filled = 0;
      return true;
    }
    socket.write(chunk.bytes.subarray(written, chunk.filled), this.#written);
    // Node writes at once as far as the kernel takes it; it counts what it still holds.
    if (socket.writableLength > 0 || socket.destroyed || this.#isOver) {
      this.#isBlocked = true;
      return false;
    }
    chunk.filled = 0;
    return true;
  }

  /** Nagle's algorithm (RFC 1122 §4.2.3.4) keeps back what follows something small: little, first and alone, goes anyway. */
  #bePrompt(bytes: number): void {
    if (this.#hasWritten || bytes > SMALL_BYTES) {
      this.#socket.setNoDelay(true);
      this.#isPrompt = true;
    }
    this.#hasWritten = true;
  }

  /** As much as the host's kernel takes at once, past the stream, which has nothing to do with it. */
  #writeNow({ bytes, filled }: Chunk): number {
    const fd = descriptorOf(this.#socket);
    if (fd < 0) return 0;
    try {
      return writeSync(fd, bytes, 0, filled);
    } catch {
      // Full, or failed: the stream finds out which, and tells.
      return 0;
    }
  }

  #hostTook(error: Error | null | undefined): void {
    const { writableLength, destroyed } = this.#socket;
    // Of an error the socket itself tells right after.
    if (error || !this.#isBlocked || writableLength > 0 || destroyed || this.#isOver) return;
    this.#isBlocked = false;
    if (this.#chunk !== undefined) this.#chunk.filled = 0;
    this.#pull();
  }

  #dropChunk(): void {
    if (this.#chunk !== undefined) this.#host.chunks.give(this.#chunk);
    this.#chunk = undefined;
  }

  // ---- beginning and end ---------------------------------------------------------------------------

  onConnect(): void {
    this.#isConnecting = false;
    // The receiving half exists only now.
    this.#endpoint.setSink(this);
    if (this.#hostEnded && this.#rest === undefined) this.#endpoint.shutdown();
  }

  onClose(errorCode: string): void {
    this.#isClosed = true;
    // Without both ends it was broken off here, as when the stack is closed.
    const isWhole = this.#endpoint.isPeerClosed && this.#hostEnded;
    if (errorCode !== '' || !isWhole) this.#end(errorCode === '' ? 'ECONNABORTED' : errorCode);
    // Else the host may still have to take what was received.
    else this.#pull();
  }

  #end(error: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const endpoint = this.#endpoint;
    endpoint.handler = undefined;
    endpoint.setSink(undefined);
    if (error !== '') endpoint.abort();
    endpoint.close();
    // A piece the host still writes from is left to the collector.
    if (!this.#isBlocked) this.#dropChunk();
    this.#chunk = undefined;
    this.#rest = undefined;
    this.#hostSocket.user = undefined;
    reset(this.#socket);
    this.#host.pumpEnded(this, error);
  }
}
