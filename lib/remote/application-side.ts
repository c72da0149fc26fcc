/**
 * The application's side of the rings: what `net` takes for a stack. Its connections are in another thread, which
 * acknowledges, retransmits and keeps its times while this one is busy.
 */
import { StackError } from '../base/errors.js';
import type { BoundPort, Endpoint, ListenerEndpoint, SocketStack } from '../net/context.js';
import { IpAddress } from '../wire/ip-address.js';
import { unpackError } from './errors.js';
import { Outbox, type Speaker } from './outbox.js';
import {
  ACCEPT_WINDOW,
  type Answer,
  type Ends,
  MAX_RECORDS,
  type Question,
  ringPlaces,
  Say,
} from './protocol.js';
import { RingReader, RingWriter } from './record-ring.js';
import { RemoteEndpoint, type RemoteHost } from './remote-endpoint.js';

/** What this side is made of. */
export interface ApplicationSideParts {
  readonly rings: SharedArrayBuffer;
  /** Has the other side's `hear` called, soon. */
  readonly wake: () => void;
  /** Has this side's `hear` called, soon. */
  readonly again: () => void;
  /** Asks the other side, and waits. */
  readonly ask: (question: Question) => Answer;
  /** Something keeps the process alive, or nothing does any more. */
  readonly held: (isHeld: boolean) => void;
  /** As the other side has it. */
  readonly windowBytes: number;
}

interface Opened extends Ends {
  readonly id: number;
}

interface Place {
  readonly id: number;
  readonly address: string;
  readonly port: number;
}

export class ApplicationSide implements SocketStack, RemoteHost {
  readonly outbox: Outbox;
  readonly windowBytes: number;
  readonly ip: SocketStack['ip'];
  readonly #reader: RingReader;
  readonly #parts: ApplicationSideParts;
  readonly #endpoints = new Map<number, RemoteEndpoint>();
  readonly #listeners = new Map<number, RemoteListener>();
  /** Endpoints with text for their handlers to hear of. */
  readonly #readable = new Set<RemoteEndpoint>();
  /** Connections that were told in this turn that they are. */
  readonly #connected = new Set<number>();
  /** Whether the reader is aimed at a record that was not heard yet. */
  #isAimed = false;
  #isHearing = false;
  #isWakeDue = false;
  #holders = 0;
  #isOver = false;

  constructor(parts: ApplicationSideParts) {
    const { toStack, fromStack } = ringPlaces(parts.rings);
    this.#parts = parts;
    this.windowBytes = parts.windowBytes;
    this.outbox = new Outbox(new RingWriter(toStack, () => this.#wake()), parts.again);
    this.#reader = new RingReader(fromStack, () => this.#wake());
    this.ip = {
      addresses: () => this.ask({ ask: 'addresses' }) as ReturnType<SocketStack['ip']['addresses']>,
      portIndex: (port) => this.ask({ ask: 'port-index', port }) as number,
      portName: (index) => this.ask({ ask: 'port-name', index }) as string,
    };
    this.#reader.rest();
  }

  // ---- what `net` asks -----------------------------------------------------------------------------

  connectTcp(options: Parameters<SocketStack['connectTcp']>[0]): Endpoint {
    return this.#opened(this.ask({ ask: 'connect', options: plain(options) }) as Opened);
  }

  listenTcp(options: Parameters<SocketStack['listenTcp']>[0]): ListenerEndpoint {
    return this.#listening(this.ask({ ask: 'listen', options: plain(options) }) as Place);
  }

  bindTcp(options: Parameters<SocketStack['bindTcp']>[0]): BoundPort {
    const { id, address, port } = this.ask({ ask: 'bind', options: plain(options) }) as Place;
    return {
      localAddress: IpAddress.parse(address),
      localPort: port,
      listen: (more = {}) =>
        this.#listening(this.ask({ ask: 'bound-listen', id, options: plain(more) }) as Place),
      connect: (more) => this.#opened(this.ask({ ask: 'bound-connect', id, options: plain(more) }) as Opened),
      close: () => void this.ask({ ask: 'unbind', id }),
    };
  }

  hold(): void {
    if (this.#holders++ === 0 && !this.#isOver) this.#parts.held(true);
  }

  release(): void {
    if (--this.#holders === 0 && !this.#isOver) this.#parts.held(false);
  }

  /** @throws StackError ENETDOWN when the other side has ended */
  ask(question: Question): unknown {
    if (this.#isOver) throw new StackError('ENETDOWN', question.ask);
    const answer = this.#parts.ask(question);
    if ('failed' in answer) throw new StackError(answer.failed, question.ask);
    if ('error' in answer) throw unpackError(answer.error);
    return answer.value;
  }

  /** What is given up is still delivered: the process lives until the other side has it in its hands. */
  given(endpoint: RemoteEndpoint): void {
    if (this.#endpoints.has(endpoint.id)) this.hold();
  }

  #opened({ id, ...ends }: Opened): Endpoint {
    return this.#endpoint(id, ends) as unknown as Endpoint;
  }

  #endpoint(id: number, ends: Ends): RemoteEndpoint {
    const endpoint = new RemoteEndpoint(this, id, ends);
    this.#endpoints.set(id, endpoint);
    return endpoint;
  }

  #listening({ id, address, port }: Place): ListenerEndpoint {
    const listener = new RemoteListener({ id, address, port }, this.outbox, () => {
      this.#listeners.delete(id);
      if (!this.#isOver) this.ask({ ask: 'unlisten', id });
    });
    this.#listeners.set(id, listener);
    return listener;
  }

  // ---- what the other side says ----------------------------------------------------------------------

  /** Tells owners what the stack's side has said. */
  hear(): void {
    this.#isHearing = true;
    try {
      this.#hear();
    } finally {
      this.#isHearing = false;
      if (this.#isWakeDue) this.#wake();
    }
  }

  /** While it hears, one call at the end stands for all; what is written outside of that shall not wait. */
  #wake(): void {
    this.#isWakeDue = this.#isHearing;
    if (!this.#isHearing) this.#parts.wake();
  }

  #hear(): void {
    const reader = this.#reader;
    let isLeft = true;
    this.#connected.clear();
    for (let i = 0; i < MAX_RECORDS && isLeft; i++) {
      if (!this.#isAimed && !reader.next()) {
        isLeft = !reader.rest();
        continue;
      }
      // As with a system's events: what follows upon being connected comes in a turn of its own, so that promises
      // of who waited for that have settled.
      this.#isAimed = this.#connected.has(reader.id);
      if (this.#isAimed) break;
      this.#heard();
    }
    this.#tellReadable();
    this.outbox.hasRoom();
    if (isLeft) this.#parts.again();
  }

  #heard(): void {
    const { type, id, value, at, length, bytes, view } = this.#reader;
    if (type === Say.Hold) {
      if (value === 1) this.hold();
      else this.release();
      return;
    }
    if (type === Say.Accept) {
      const endpoint = this.#endpoint(value, JSON.parse(this.#reader.text()) as Ends);
      const listener = this.#listeners.get(id);
      if (listener === undefined) refuse(endpoint);
      else listener.arrived(endpoint);
      return;
    }
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return;
    if (type === Say.Data) {
      endpoint.arrived(bytes, at, length, view);
      this.#readable.add(endpoint);
    } else if (type === Say.Credit) {
      endpoint.allowed(value);
    } else if (type === Say.Gone) {
      this.#endpoints.delete(id);
      this.release();
    } else {
      // What came before it is heard before it.
      this.#tellReadable();
      this.#happened(endpoint, type);
    }
  }

  #happened(endpoint: RemoteEndpoint, type: number): void {
    if (type === Say.Connected) this.#connected.add(endpoint.id);
    if (type === Say.Connected) endpoint.connected();
    else if (type === Say.Ended) endpoint.ended();
    else if (type === Say.Over) endpoint.over(this.#reader.text());
    else if (type === Say.Trouble) endpoint.handler?.onSoftError?.(this.#reader.text());
    else if (type === Say.Drained) endpoint.handler?.onDrain?.();
  }

  #tellReadable(): void {
    for (const endpoint of this.#readable) {
      this.#readable.delete(endpoint);
      endpoint.handler?.onReadable();
    }
  }

  /** The other side has ended: so has every connection, with an error if it has a code. */
  down(code = 'ENETDOWN'): void {
    if (this.#isOver) return;
    // What it said last is still heard.
    this.hear();
    this.#isOver = true;
    const endpoints = [...this.#endpoints.values()];
    this.#endpoints.clear();
    for (const endpoint of endpoints) endpoint.over(code);
    for (const listener of this.#listeners.values()) listener.onClosed();
    this.#parts.held(false);
  }
}

/** Options as they can be sent: addresses as text. */
function plain(options: object): object {
  const sent = Object.entries(options).map(([key, value]) => [
    key,
    value instanceof IpAddress ? String(value) : (value as unknown),
  ]);
  return Object.fromEntries(sent) as object;
}

/** Nobody will accept it any more. */
function refuse(endpoint: RemoteEndpoint): void {
  endpoint.abort();
  endpoint.close();
}

/** A listener whose stack is in another thread. */
class RemoteListener implements ListenerEndpoint, Speaker {
  onConnection: () => void = () => {};
  onClosed: () => void = () => {};
  readonly localAddress: IpAddress;
  readonly localPort: number;
  readonly #id: number;
  readonly #outbox: Outbox;
  readonly #closed: () => void;
  readonly #ready: RemoteEndpoint[] = [];
  /** Connections accepted that the other side was not told of yet. */
  #accepted = 0;
  #isClosed = false;

  constructor({ id, address, port }: Place, outbox: Outbox, closed: () => void) {
    this.#id = id;
    this.localAddress = IpAddress.parse(address);
    this.localPort = port;
    this.#outbox = outbox;
    this.#closed = closed;
  }

  arrived(endpoint: RemoteEndpoint): void {
    this.#ready.push(endpoint);
    this.onConnection();
  }

  accept(): Endpoint | undefined {
    const endpoint = this.#ready.shift();
    if (endpoint === undefined) return undefined;
    this.#accepted++;
    if (this.#accepted >= ACCEPT_WINDOW / 4 && !this.speak()) this.#outbox.await(this);
    return endpoint as unknown as Endpoint;
  }

  speak(): boolean {
    if (this.#isClosed || this.#accepted === 0) return true;
    if (!this.#outbox.ring.put(Say.Accepted, this.#id, this.#accepted)) return false;
    this.#accepted = 0;
    return true;
  }

  /** Stops listening; connections nobody accepted are reset. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#outbox.forget(this);
    for (const endpoint of this.#ready.splice(0)) refuse(endpoint);
    this.#closed();
  }
}
