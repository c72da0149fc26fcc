/**
 * A connection to a name server through the proxy, for the questions of many (RFC 7766): made when one is asked, kept
 * for a while after the last answer, made anew where the server has closed it.
 */
import type { Socket } from 'node:net';
import {
  answersQuestion,
  isAnswer,
  messageId,
  questionEnd,
  questionOf,
  setMessageId,
} from '../gateway/dns-question.js';
import { SocksCommand, type SocksPlace } from './protocol.js';
import type { Proxy } from './proxy.js';

/** Bytes before a message, which say how long it is (RFC 1035 §4.2.2). */
const LENGTH_BYTES = 2;
const FIRST_BYTES = 4096;
/** Questions under way by one connection; one more fails. */
const MAX_ASKED = 4096;
/** A connection that nobody needs is kept for so long, ms: RFC 7766 §6.2.3 wants it to be a few seconds. */
const KEEP_MS = 3000;
/** Connections tried for one question that bring no answer at all: servers may close one while a question is on its way. */
const MAX_TRIES = 2;

/** Who asks. */
export interface DnsAsker {
  /** @param answer a whole message with the identifier of the question; lent */
  answered(answer: Uint8Array): void;
  /** There is no answer. */
  failed(): void;
}

interface Asked {
  readonly asker: DnsAsker;
  /** As it came. */
  readonly id: number;
  readonly message: Uint8Array;
  readonly question: Uint8Array;
  readonly dueMs: number;
  tries: number;
}

export interface DnsChannelHost {
  readonly proxy: Proxy;
  /** How long an answer may take, ms. */
  readonly dnsMs: number;
  /** A message was dropped. */
  dropped(): void;
  /** The channel has nothing to do any more. */
  over(channel: DnsChannel): void;
}

export class DnsChannel {
  readonly server: SocksPlace;
  readonly #host: DnsChannelHost;
  /** By the identifier they have on the connection, the oldest first. */
  readonly #asked = new Map<number, Asked>();
  #socket: Socket | undefined;
  #cancelDial: (() => void) | undefined;
  #lastId = 0;
  /** When there last was an answer, or else the connection, ms. */
  #heardMs = 0;
  /** Whether this connection has brought an answer. */
  #hasAnswered = false;
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;
  #timer: unknown;
  #isClosed = false;

  constructor(server: SocksPlace, host: DnsChannelHost) {
    this.server = server;
    this.#host = host;
  }

  /** Questions under way. */
  get asked(): number {
    return this.#asked.size;
  }

  /** Asks. @param message a question, which is kept */
  ask(message: Uint8Array, asker: DnsAsker): void {
    if (this.#isClosed || this.#asked.size >= MAX_ASKED) {
      asker.failed();
      return;
    }
    const { timers } = this.#host.proxy.settings;
    const question = questionOf(message, questionEnd(message));
    const dueMs = timers.now() + this.#host.dnsMs;
    this.#begin({ asker, id: messageId(message), message, question, dueMs, tries: 0 });
    // Else it is set for one that is older.
    if (this.#asked.size === 1) this.#setTimer();
  }

  /** Ends it; nobody who waits hears anything. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopTimer();
    this.#asked.clear();
    this.#hangUp();
  }

  #begin(asked: Asked): void {
    asked.tries++;
    do this.#lastId = (this.#lastId + 1) & 0xffff;
    while (this.#asked.has(this.#lastId));
    this.#asked.set(this.#lastId, asked);
    if (this.#socket !== undefined) this.#write(this.#lastId, asked);
    else if (this.#cancelDial === undefined) this.#dial();
  }

  #write(id: number, { message }: Asked): void {
    const framed = new Uint8Array(LENGTH_BYTES + message.length);
    framed[0] = message.length >> 8;
    framed[1] = message.length & 0xff;
    framed.set(message, LENGTH_BYTES);
    setMessageId(framed.subarray(LENGTH_BYTES), id);
    this.#socket?.write(framed);
  }

  #dial(): void {
    this.#cancelDial = this.#host.proxy.dial(SocksCommand.Connect, this.server, {
      dialled: (socket) => {
        this.#cancelDial = undefined;
        this.#use(socket);
      },
      failed: () => {
        this.#cancelDial = undefined;
        this.#failAll();
      },
    });
  }

  #use(socket: Socket): void {
    this.#socket = socket;
    this.#length = 0;
    this.#hasAnswered = false;
    this.#heardMs = this.#host.proxy.settings.timers.now();
    const lost = (): void => this.#lost(socket);
    socket.on('data', (bytes: Uint8Array) => this.#read(bytes));
    socket.on('end', lost).on('error', lost).on('close', lost);
    for (const [id, asked] of this.#asked) this.#write(id, asked);
    socket.resume();
  }

  /** What was asked goes by another connection: some servers answer one question and hang up. */
  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    const hasAnswered = this.#hasAnswered;
    this.#hangUp();
    const waiting = [...this.#asked.values()];
    this.#asked.clear();
    for (const asked of waiting) {
      if (hasAnswered) asked.tries = 0;
      if (asked.tries < MAX_TRIES) this.#begin(asked);
      else asked.asker.failed();
    }
    this.#setTimer();
  }

  #hangUp(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
    this.#cancelDial?.();
    this.#cancelDial = undefined;
  }

  #read(bytes: Uint8Array): void {
    this.#add(bytes);
    let at = 0;
    for (;;) {
      if (this.#length - at < LENGTH_BYTES) break;
      const length = (this.#bytes[at] << 8) | this.#bytes[at + 1];
      if (this.#length - at < LENGTH_BYTES + length) break;
      at += LENGTH_BYTES;
      this.#answer(this.#bytes.subarray(at, at + length));
      at += length;
      if (this.#socket === undefined) return;
    }
    this.#bytes.copyWithin(0, at, this.#length);
    this.#length -= at;
  }

  /** What is there is never more than the beginning of a message, and what the host's socket reads at once. */
  #add(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      let size = this.#bytes.length;
      while (size < length) size *= 2;
      const larger = new Uint8Array(size);
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  #answer(message: Uint8Array): void {
    const id = message.length < LENGTH_BYTES ? -1 : messageId(message);
    const asked = this.#asked.get(id);
    if (asked === undefined || !isAnswer(message) || !isTo(message, asked.question)) {
      this.#host.dropped();
      return;
    }
    this.#asked.delete(id);
    this.#hasAnswered = true;
    this.#heardMs = this.#host.proxy.settings.timers.now();
    setMessageId(message, asked.id);
    asked.asker.answered(message);
    if (this.#asked.size === 0) this.#setTimer();
  }

  #failAll(): void {
    const waiting = [...this.#asked.values()];
    this.#asked.clear();
    for (const { asker } of waiting) asker.failed();
    this.#setTimer();
  }

  // One timer: for the oldest question, or for a connection nobody needs.

  #setTimer(): void {
    if (this.#isClosed) return;
    const { timers } = this.#host.proxy.settings;
    this.#stopTimer();
    const [oldest] = this.#asked.values();
    if (oldest !== undefined) {
      this.#timer = timers.setTimeout(() => this.#late(), Math.max(0, oldest.dueMs - timers.now()));
    } else if (this.#socket !== undefined) {
      this.#timer = timers.setTimeout(() => this.#end(), KEEP_MS);
    } else {
      this.#end();
    }
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) this.#host.proxy.settings.timers.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #late(): void {
    this.#timer = undefined;
    const nowMs = this.#host.proxy.settings.timers.now();
    for (const [id, asked] of this.#asked) {
      if (asked.dueMs > nowMs) break;
      this.#asked.delete(id);
      asked.asker.failed();
    }
    // A server that is silent may be so for good on this connection.
    const socket = this.#socket;
    if (this.#asked.size === 0) this.#hangUp();
    else if (socket !== undefined && nowMs - this.#heardMs >= this.#host.dnsMs) this.#lost(socket);
    this.#setTimer();
  }

  #end(): void {
    this.close();
    this.#host.over(this);
  }
}

/** Whether an answer repeats the question; servers that cannot read it may leave it out (RFC 1035 §4.1.1). */
function isTo(message: Uint8Array, question: Uint8Array): boolean {
  const hasQuestion = message.length >= 6 && (message[4] | message[5]) !== 0;
  return !hasQuestion || answersQuestion(message, question);
}
