/** A connection whose stack is in another thread, as `net` and whoever else wants an endpoint sees it. */
import type {
  ConnectionInfo,
  LiveOption,
  TcpEndpoint,
  TcpEndpointHandler,
  TcpOptions,
} from '../stack/tcp-endpoint.js';
import { IpAddress, type IpFamily } from '../wire/ip-address.js';
import type { Outbox, Speaker } from './outbox.js';
import {
  CREDIT_SHARE,
  type Ends,
  MAX_PIECE_BYTES,
  type Question,
  Say,
  type SettingCall,
} from './protocol.js';

/** What an endpoint needs of its side. */
export interface RemoteHost {
  readonly outbox: Outbox;
  readonly windowBytes: number;
  /** Asks, and waits for the answer. @throws what the other side threw */
  ask(question: Question): unknown;
  /** The endpoint is given up: somebody waits for the other side to hear of it. */
  given(endpoint: RemoteEndpoint): void;
}

type KeepAliveTiming = Exclude<Parameters<TcpEndpoint['setKeepAlive']>[1], number | undefined>;
type Sink = NonNullable<Parameters<TcpEndpoint['setSink']>[0]>;

/** What is to be said when there is room. */
const Due = { Shutdown: 1, ShutdownRead: 2, Abort: 4, Close: 8 } as const;

export class RemoteEndpoint implements Speaker {
  handler: TcpEndpointHandler | undefined;
  readonly id: number;
  readonly localAddress: IpAddress;
  readonly localPort: number;
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
  readonly link: number;
  readonly #host: RemoteHost;
  #sink: Sink | undefined;
  /** Text that came and was not consumed, oldest first, and how much of the first was. */
  #queue: Uint8Array[] = [];
  #queueAt = 0;
  #queuedBytes = 0;
  /** Bytes consumed, modulo 2^32, and those the other side was not told of yet. */
  #consumedBytes = 0;
  #creditDue = 0;
  /** How much may be written now. */
  #allowance: number;
  /** Whether `write` admitted less than it was offered. */
  #wantsRoom = false;
  #settings: string[] = [];
  #due = 0;
  #hasEnded = false;
  #isShut = false;
  #isOver = false;
  #isGiven = false;
  #errorCode = '';

  constructor(host: RemoteHost, id: number, ends: Ends) {
    this.#host = host;
    this.id = id;
    this.localAddress = IpAddress.parse(ends.local);
    this.localPort = ends.localPort;
    this.remoteAddress = IpAddress.parse(ends.remote);
    this.remotePort = ends.remotePort;
    this.link = ends.link;
    this.#allowance = host.windowBytes;
  }

  get family(): IpFamily {
    return this.localAddress.family;
  }

  get errorCode(): string {
    return this.#errorCode;
  }

  get isPeerClosed(): boolean {
    return this.#hasEnded;
  }

  get readableBytes(): number {
    return this.#queuedBytes;
  }

  get writableBytes(): number {
    return this.#isOver ? 0 : Math.min(this.#allowance, this.#host.outbox.ring.room());
  }

  get info(): ConnectionInfo {
    return this.#host.ask({ ask: 'info', id: this.id }) as ConnectionInfo;
  }

  // ---- text --------------------------------------------------------------------------------------

  read(target: Uint8Array, at = 0, length = target.length - at): number {
    let done = 0;
    while (done < length && this.#queue.length > 0) {
      const [first] = this.#queue;
      const piece = Math.min(length - done, first.length - this.#queueAt);
      target.set(first.subarray(this.#queueAt, this.#queueAt + piece), at + done);
      done += piece;
      this.#queueAt += piece;
      if (this.#queueAt < first.length) break;
      this.#queue.shift();
      this.#queueAt = 0;
    }
    this.#queuedBytes -= done;
    this.#consumed(done);
    return done;
  }

  write(source: Uint8Array, at = 0, length = source.length - at): number {
    if (this.#isOver || this.#isGiven || this.#isShut) return 0;
    const { outbox } = this.#host;
    let done = 0;
    while (done < length && this.#saySettings()) {
      const piece = Math.min(length - done, this.#allowance, outbox.ring.room(), MAX_PIECE_BYTES);
      if (piece === 0) break;
      outbox.data(this.id, source, at + done, piece);
      this.#allowance -= piece;
      done += piece;
    }
    if (done < length) {
      this.#wantsRoom = true;
      // With an allowance left it is the ring that is full.
      if (this.#allowance > 0) outbox.await(this);
    }
    return done;
  }

  setSink(sink: Sink | undefined): void {
    this.#sink = sink;
  }

  // ---- the end -----------------------------------------------------------------------------------

  shutdown(): void {
    this.#isShut = true;
    this.#say(Due.Shutdown);
  }

  shutdownRead(): void {
    this.#say(Due.ShutdownRead);
  }

  abort(): void {
    this.#say(Due.Abort);
  }

  close(): void {
    if (this.#isGiven) return;
    this.#isGiven = true;
    this.handler = undefined;
    this.#sink = undefined;
    this.#host.given(this);
    this.#say(Due.Close);
  }

  // ---- settings ----------------------------------------------------------------------------------

  setOption<K extends LiveOption>(name: K, value: TcpOptions[K]): void {
    this.#host.ask({ ask: 'set', id: this.id, name, value });
  }

  getOption<K extends keyof TcpOptions>(name: K): TcpOptions[K] {
    return this.#host.ask({ ask: 'get', id: this.id, name }) as TcpOptions[K];
  }

  setNoDelay(on: boolean): void {
    this.#set('setNoDelay', on);
  }

  setKeepAlive(on: boolean, timing?: number | KeepAliveTiming): void {
    this.#set('setKeepAlive', on, timing ?? {});
  }

  setTrafficClass(trafficClass: number): void {
    this.#set('setTrafficClass', trafficClass);
  }

  /** Calls a method that only sets something, in its turn between what is written; what is wrong changes nothing. */
  #set(...call: SettingCall): void {
    if (this.#isOver || this.#isGiven) return;
    this.#settings.push(JSON.stringify(call));
    if (!this.#saySettings()) this.#host.outbox.await(this);
  }

  get trafficClass(): number {
    return this.getOption('trafficClass');
  }

  // ---- what the other side says ------------------------------------------------------------------

  /** Text: to the sink, or into the queue. */
  arrived(bytes: Uint8Array, at: number, length: number, view: DataView): void {
    // Nobody will consume it, of which the other side learns by the numbers.
    if (this.#isGiven) return;
    if (this.#queuedBytes === 0 && this.#sink?.take(bytes, at, length, view) === true) {
      this.#consumed(length);
      return;
    }
    this.#queue.push(bytes.slice(at, at + length));
    this.#queuedBytes += length;
  }

  /** The other side has consumed so many bytes. */
  allowed(bytes: number): void {
    this.#allowance += bytes;
    if (!this.#wantsRoom) return;
    this.#wantsRoom = false;
    this.handler?.onWritable();
  }

  connected(): void {
    this.handler?.onConnect();
    this.handler?.onWritable();
  }

  ended(): void {
    this.#hasEnded = true;
    this.handler?.onEnd();
  }

  over(code: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#errorCode = code;
    this.#settings = [];
    this.handler?.onClose(code);
  }

  // ---- saying it ---------------------------------------------------------------------------------

  speak(): boolean {
    if (!this.#saySettings() || !this.#sayCredit() || !this.#sayDue()) return false;
    if (this.#wantsRoom && this.#allowance > 0) {
      this.#wantsRoom = false;
      this.handler?.onWritable();
    }
    return true;
  }

  #say(due: number): void {
    this.#due |= due;
    if (!this.speak()) this.#host.outbox.await(this);
  }

  #sayDue(): boolean {
    return (
      this.#sayOne(Due.ShutdownRead, Say.ShutdownRead) &&
      this.#sayOne(Due.Shutdown, Say.Shutdown) &&
      this.#sayOne(Due.Abort, Say.Abort) &&
      this.#sayOne(Due.Close, Say.Close, this.#consumedBytes)
    );
  }

  #sayOne(due: number, type: number, value = 0): boolean {
    if ((this.#due & due) === 0) return true;
    if (!this.#host.outbox.ring.put(type, this.id, value)) return false;
    this.#due &= ~due;
    return true;
  }

  #saySettings(): boolean {
    while (this.#settings.length > 0) {
      if (!this.#host.outbox.tell(Say.Setting, this.id, 0, this.#settings[0])) return false;
      this.#settings.shift();
    }
    return true;
  }

  #consumed(bytes: number): void {
    this.#consumedBytes = (this.#consumedBytes + bytes) | 0;
    this.#creditDue += bytes;
    if (this.#creditDue >= this.#host.windowBytes / CREDIT_SHARE && !this.#sayCredit()) {
      this.#host.outbox.await(this);
    }
  }

  #sayCredit(): boolean {
    if (this.#isGiven || this.#creditDue < this.#host.windowBytes / CREDIT_SHARE) return true;
    if (!this.#host.outbox.ring.put(Say.Credit, this.id, this.#creditDue)) return false;
    this.#creditDue = 0;
    return true;
  }
}
