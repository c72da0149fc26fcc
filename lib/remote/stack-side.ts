/** The stack's side of the rings: does what is said of its connections, and answers what is asked at once. */
import { StackError } from '../base/errors.js';
import type { ConnectOptions, ListenOptions, Stack } from '../stack/stack.js';
import type { BindOptions, TcpBinding } from '../stack/tcp-binding.js';
import type { TcpEndpoint } from '../stack/tcp-endpoint.js';
import type { TcpListenerEndpoint } from '../stack/tcp-listener-endpoint.js';
import { Bridge } from './bridge.js';
import { packError } from './errors.js';
import { Outbox, type Speaker } from './outbox.js';
import {
  ACCEPT_WINDOW,
  type Answer,
  type Ends,
  MAX_RECORDS,
  type Question,
  ringPlaces,
  Say,
  type SettingCall,
} from './protocol.js';
import { RingReader, RingWriter } from './record-ring.js';

/** What this side has counted. */
export interface BridgeStats {
  /** Connections at the other side now. */
  connections: number;
  /** How often the other side was woken. */
  wakeUps: number;
  /** How often something had to wait for room in the ring. */
  ringFull: number;
}

/** What this side is made of. */
export interface StackSideParts {
  readonly stack: Stack;
  readonly rings: SharedArrayBuffer;
  /** Has the other side's `hear` called, soon. */
  readonly wake: () => void;
  /** Has this side's `hear` called, soon. */
  readonly again: () => void;
  /** What a connection may have under way and not consumed, bytes, each way. */
  readonly windowBytes: number;
}

export class StackSide {
  readonly #stack: Stack;
  readonly #outbox: Outbox;
  readonly #reader: RingReader;
  readonly #again: () => void;
  readonly #windowBytes: number;
  readonly #bridges = new Map<number, Bridge>();
  readonly #listeners = new Map<number, Listener>();
  readonly #bindings = new Map<number, TcpBinding>();
  /** What had no room: closed connections, and whether the stack holds. */
  readonly #late: LateWords;
  #nextId = 1;
  #wakeUps = 0;

  constructor({ stack, rings, wake, again, windowBytes }: StackSideParts) {
    const { toStack, fromStack } = ringPlaces(rings);
    const wakeOther = (): void => {
      this.#wakeUps++;
      wake();
    };
    this.#stack = stack;
    this.#again = again;
    this.#windowBytes = windowBytes;
    this.#outbox = new Outbox(new RingWriter(fromStack, wakeOther), again);
    this.#reader = new RingReader(toStack, wakeOther);
    this.#late = new LateWords(this.#outbox);
    // The thread lives until it is ended; only the application's side must know of connections that nobody has.
    stack.hold();
    stack.onUnfinished = (isUnfinished) => this.#late.say(Say.Hold, 0, isUnfinished ? 1 : 0);
    this.#reader.rest();
  }

  get stats(): BridgeStats {
    return { connections: this.#bridges.size, wakeUps: this.#wakeUps, ringFull: this.#outbox.fulls };
  }

  // ---- what is said ------------------------------------------------------------------------------

  /** Does what the application's side has said, and says what there is room for again. */
  hear(): void {
    this.#outbox.hasRoom();
    const reader = this.#reader;
    for (let i = 0; i < MAX_RECORDS; i++) {
      if (reader.next()) this.#heard();
      else if (reader.rest()) return;
    }
    this.#again();
  }

  #heard(): void {
    const { type, id, value, at, length, bytes } = this.#reader;
    if (type === Say.Accepted) {
      this.#listeners.get(id)?.allow(value);
      return;
    }
    const bridge = this.#bridges.get(id);
    if (bridge === undefined) return;
    if (type === Say.Data) bridge.written(bytes, at, length);
    else if (type === Say.Credit) bridge.allow(value);
    else if (type === Say.Shutdown) bridge.shutdown();
    else if (type === Say.ShutdownRead) bridge.endpoint.shutdownRead();
    else if (type === Say.Abort) bridge.endpoint.abort();
    else if (type === Say.Close) this.#close(bridge, value);
    else if (type === Say.Setting) this.#set(bridge.endpoint);
  }

  #close(bridge: Bridge, consumedBytes: number): void {
    bridge.close(consumedBytes, () => {
      this.#bridges.delete(bridge.id);
      this.#late.say(Say.Gone, bridge.id, 0);
    });
  }

  /** A setting the application's side has checked, as far as Node would. */
  #set(endpoint: TcpEndpoint): void {
    const [method, ...args] = JSON.parse(this.#reader.text()) as SettingCall;
    try {
      (endpoint[method as keyof TcpEndpoint] as (...all: unknown[]) => void)(...args);
    } catch {
      // As with the sockets of a system, whose refusal of such a setting nobody hears either.
    }
  }

  // ---- what is asked -----------------------------------------------------------------------------

  /** Answers a question. What was said before it is done before it. */
  answer(question: Question): Answer {
    this.hear();
    try {
      return { value: this.#answer(question) };
    } catch (error) {
      return { error: packError(error) };
    }
  }

  #answer(question: Question): unknown {
    const stack = this.#stack;
    switch (question.ask) {
      case 'connect':
        return this.#opened(stack.connectTcp(question.options as ConnectOptions));
      case 'listen':
        return this.#listening(stack.listenTcp(question.options as ListenOptions));
      case 'bind':
        return this.#bound(stack.bindTcp(question.options as BindOptions));
      case 'bound-listen':
        return this.#listening(this.#binding(question.id).listen(question.options));
      case 'bound-connect':
        return this.#opened(this.#binding(question.id).connect(question.options as ConnectOptions));
      case 'unbind':
        this.#bindings.get(question.id)?.close();
        this.#bindings.delete(question.id);
        return undefined;
      case 'unlisten':
        this.#listeners.get(question.id)?.close();
        this.#listeners.delete(question.id);
        return undefined;
      case 'stats':
        return { stack: JSON.parse(JSON.stringify(stack.stats)), bridge: this.stats };
      case 'addresses':
        return stack.ip.addresses();
      case 'port-index':
        return stack.ip.portIndex(question.port);
      case 'port-name':
        return stack.ip.portName(question.index);
      default:
        return this.#answerAbout(question);
    }
  }

  #answerAbout(question: Extract<Question, { ask: 'info' | 'get' | 'set' }>): unknown {
    const endpoint = this.#bridges.get(question.id)?.endpoint;
    if (endpoint === undefined) throw new StackError('EBADF', 'getsockopt');
    if (question.ask === 'info') return endpoint.info;
    if (question.ask === 'get') return endpoint.getOption(question.name as 'noDelay');
    endpoint.setOption(question.name as 'noDelay', question.value as boolean);
    return undefined;
  }

  #binding(id: number): TcpBinding {
    const binding = this.#bindings.get(id);
    if (binding === undefined) throw new StackError('EINVAL', 'listen');
    return binding;
  }

  #bound(binding: TcpBinding): object {
    const id = this.#nextId++;
    this.#bindings.set(id, binding);
    return { id, address: String(binding.localAddress), port: binding.localPort };
  }

  #listening(listener: TcpListenerEndpoint): object {
    const id = this.#nextId++;
    const bridged = new Listener(id, listener, this.#outbox, (endpoint) => this.#bridge(endpoint));
    this.#listeners.set(id, bridged);
    return { id, address: String(listener.localAddress), port: listener.localPort };
  }

  #opened(endpoint: TcpEndpoint): object {
    return { id: this.#bridge(endpoint).id, ...endsOf(endpoint) };
  }

  #bridge(endpoint: TcpEndpoint): Bridge {
    const bridge = new Bridge(endpoint, this.#nextId++, this.#outbox, this.#windowBytes);
    this.#bridges.set(bridge.id, bridge);
    return bridge;
  }
}

const endsOf = (endpoint: TcpEndpoint): Ends => ({
  local: String(endpoint.localAddress),
  localPort: endpoint.localPort,
  remote: String(endpoint.remoteAddress),
  remotePort: endpoint.remotePort,
  link: endpoint.link,
});

/** A listener: gives connections to the other side, some more than that has accepted. */
class Listener implements Speaker {
  readonly #id: number;
  readonly #listener: TcpListenerEndpoint;
  readonly #outbox: Outbox;
  readonly #bridge: (endpoint: TcpEndpoint) => Bridge;
  #allowance = ACCEPT_WINDOW;

  constructor(
    id: number,
    listener: TcpListenerEndpoint,
    outbox: Outbox,
    bridge: (endpoint: TcpEndpoint) => Bridge,
  ) {
    this.#id = id;
    this.#listener = listener;
    this.#outbox = outbox;
    this.#bridge = bridge;
    listener.onConnection = () => void this.speak();
  }

  allow(connections: number): void {
    this.#allowance += connections;
    this.speak();
  }

  close(): void {
    this.#outbox.forget(this);
    this.#listener.close();
  }

  speak(): boolean {
    // Room for a record is looked for first: what is accepted must be told.
    while (this.#allowance > 0 && this.#listener.ready > 0) {
      if (this.#outbox.ring.room() < MAX_ACCEPT_BYTES) {
        this.#outbox.await(this);
        return false;
      }
      const endpoint = this.#listener.accept();
      if (endpoint === undefined) return true;
      this.#allowance--;
      const { id } = this.#bridge(endpoint);
      this.#outbox.tell(Say.Accept, this.#id, id, JSON.stringify(endsOf(endpoint)));
    }
    return true;
  }
}

/** More than an `Accept` takes up. */
const MAX_ACCEPT_BYTES = 512;

/** Words of a few bytes that must not be lost, in their order. */
class LateWords implements Speaker {
  readonly #outbox: Outbox;
  #words: (readonly [type: number, id: number, value: number])[] = [];

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  say(type: number, id: number, value: number): void {
    this.#words.push([type, id, value]);
    this.speak();
  }

  speak(): boolean {
    let said = 0;
    for (const [type, id, value] of this.#words) {
      if (!this.#outbox.ring.put(type, id, value)) break;
      said++;
    }
    this.#words = this.#words.slice(said);
    if (this.#words.length > 0) this.#outbox.await(this);
    return this.#words.length === 0;
  }
}
