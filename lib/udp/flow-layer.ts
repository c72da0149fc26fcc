/**
 * Flows of datagrams to addresses that are anybody's: who sends from where is one, from its first datagram until
 * nothing was sent for a while. What comes in is queued, and its owners hear of it at the end of the turn.
 */
import { DeadlineHeap } from '../base/deadline-heap.js';
import { ArgumentTypeError, invariant, StackError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import { DropReason } from '../base/stats.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { keepPacket } from '../wire/kept-packet.js';
import { type DatagramIcmpError, IcmpKind } from './carrier.js';
import type { UdpContext } from './context.js';
import { type FlowAnswer, type FlowHost, UdpFlow, UdpFlowRequest } from './flow.js';
import { type FlowEnd, FlowEntry, FlowState } from './flow-entry.js';
import { AnyUdpListener } from './flow-listener.js';
import { FlowNews } from './flow-news.js';
import type { AnyUdpOptions } from './flow-options.js';
import { unreachablePacket } from './flow-report.js';
import { checkAnswer, FlowSender, isPossible } from './flow-sender.js';
import { FlowKey, isSameDestination } from './flow-table.js';
import { verdictOf } from './socket-errors.js';

/** Listeners for any address at once: each datagram is compared with their filters in turn. */
const MAX_LISTENERS = 64;
/** How long a refusal holds, µs: clients ask again after a second or a few, and each answer is one more question. */
const REFUSAL_US = 5_000_000;
/** Bytes kept of the first datagram: no error quotes more (RFC 4443 §2.4). */
const QUOTED_BYTES = 1280;

export interface FlowLayerParts {
  readonly context: UdpContext;
  readonly random: Random;
  readonly clock: { nowUs(): number };
  /** Called when there is something to tell, or another deadline, outside of a turn. */
  readonly wake: () => void;
}

export class UdpFlows implements FlowHost {
  readonly #parts: FlowLayerParts;
  readonly #context: UdpContext;
  readonly #sender: FlowSender;
  readonly #news: FlowNews;
  readonly #listeners: AnyUdpListener[] = [];
  readonly #deadlines = new DeadlineHeap();
  /** Flows by the id of their deadline; free ids are used again. */
  readonly #entries: (FlowEntry | undefined)[] = [];
  readonly #freeIds: number[] = [];
  readonly #key = new FlowKey();

  constructor(parts: FlowLayerParts) {
    this.#parts = parts;
    this.#context = parts.context;
    this.#sender = new FlowSender(parts.context);
    this.#news = new FlowNews(parts.context, (entry) => this.#ask(entry));
  }

  /** @throws StackError ENOBUFS for one listener too many; ArgumentTypeError and the like */
  listen(options: AnyUdpOptions, onFlow: (request: UdpFlowRequest) => void): AnyUdpListener {
    if (typeof onFlow !== 'function') throw new ArgumentTypeError('onFlow must be a function');
    if (this.#listeners.length >= MAX_LISTENERS) throw new StackError('ENOBUFS', 'listen');
    const { random } = this.#parts;
    const listener = new AnyUdpListener(options, onFlow, {
      random,
      end: (ended, reason) => this.#endListener(ended, reason),
    });
    this.#listeners.push(listener);
    this.#context.ip.takeForeign(true);
    return listener;
  }

  // In.

  /** A datagram for no socket, all of it checked. @returns false when nobody wants it */
  input(packet: IpPacket, sourcePort: number, destinationPort: number): boolean {
    // Nobody can be answered at port 0, and nobody is there.
    if (sourcePort === 0 || destinationPort === 0) return false;
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i++) {
      const listener = listeners[i];
      if (!packet.isForeign && !listener.options.ownAddresses) continue;
      if (!listener.matcher.matches(packet, destinationPort)) continue;
      const key = this.#key;
      key.setFrom(packet, sourcePort, destinationPort);
      this.#take(listener, packet);
      return true;
    }
    return false;
  }

  /** An ICMP error about a datagram for no socket. @returns false when it is about no flow */
  icmpError(error: DatagramIcmpError, sourcePort: number, destinationPort: number): boolean {
    const { quote } = error;
    const key = this.#key;
    key.setFromQuote(quote, sourcePort, destinationPort);
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i++) {
      const entry = listeners[i].table.find(key);
      if (entry === undefined || entry.state !== FlowState.Open) continue;
      const from = quote.source();
      const path = this.#sender.hasSentFrom(entry, from, sourcePort);
      // What was never sent is nobody's business (RFC 5927 §4).
      if (path === undefined) continue;
      if (error.kind === IcmpKind.PacketTooBig) this.#context.ip.tooBig(path, error);
      entry.error = {
        code: verdictOf(error, true).code,
        mtu: error.mtu,
        address: from.toString(),
        port: sourcePort,
      };
      this.#news.ready(entry);
      return true;
    }
    return false;
  }

  #take(listener: AnyUdpListener, packet: IpPacket): void {
    const key = this.#key;
    const known = listener.table.find(key);
    if (known?.state === FlowState.Refused && isSameDestination(known, key)) {
      if (known.destinationPort === key.destinationPort) return this.#refuseAgain(known, packet);
    }
    const isNew = known === undefined || known.state === FlowState.Refused;
    const entry = isNew ? this.#begin(listener, packet, known) : known;
    if (entry === undefined) {
      listener.books.overflows++;
      this.#context.stats.drop(DropReason.UdpFlowLimit);
      return;
    }
    entry.activeUs = packet.nowUs;
    this.#news.add(entry, packet);
  }

  /** A new flow, or a new question about one that was refused and sends elsewhere; undefined where there are too many. */
  #begin(listener: AnyUdpListener, packet: IpPacket, refused: FlowEntry | undefined): FlowEntry | undefined {
    const { options, table } = listener;
    if (listener.books.pending >= options.maxPending) return undefined;
    const isFull = refused === undefined && table.size >= options.maxFlows;
    if (isFull && !this.#forgetRefusal(listener)) return undefined;
    const entry = refused ?? this.#add(listener, packet);
    listener.refused.delete(entry);
    entry.aimAt(packet, this.#key);
    entry.state = FlowState.New;
    entry.first = keepPacket(packet, QUOTED_BYTES);
    listener.books.pending++;
    this.#deadlines.set(entry.id, packet.nowUs + 1000 * options.pendingMs);
    return entry;
  }

  /** A refusal is a memory, and no flow: the oldest makes room for one. @returns whether there was any */
  #forgetRefusal({ refused }: AnyUdpListener): boolean {
    const [oldest] = refused;
    if (oldest !== undefined) this.end(oldest, 'idle');
    return oldest !== undefined;
  }

  #add(listener: AnyUdpListener, packet: IpPacket): FlowEntry {
    const id = this.#freeIds.pop() ?? this.#entries.length;
    const entry = new FlowEntry(listener, id, packet, this.#key);
    this.#entries[id] = entry;
    listener.table.add(entry);
    return entry;
  }

  #refuseAgain(entry: FlowEntry, packet: IpPacket): void {
    this.#news.drop(entry);
    if (entry.refusal !== 0) this.#context.ip.reject(packet, entry.refusal);
  }

  // Telling.

  /** Whether `tell` has something to do. */
  get hasNews(): boolean {
    return this.#news.isWaiting;
  }

  /** Hands over what came in since the last call. */
  tell(): void {
    this.#news.tell();
  }

  #ask(entry: FlowEntry): void {
    const request = new UdpFlowRequest(entry, this);
    entry.state = FlowState.Pending;
    entry.request = request;
    entry.listener.ask(request);
  }

  // What owners do.

  accept(entry: FlowEntry): UdpFlow {
    const { listener } = entry;
    const flow = new UdpFlow(entry, this);
    this.#decide(entry, FlowState.Open);
    listener.books.accepted++;
    listener.books.flows++;
    entry.flow = flow;
    this.#setDeadline(entry, entry.activeUs + 1000 * listener.options.idleMs);
    return flow;
  }

  refuse(entry: FlowEntry, kind: number): void {
    const { listener, first } = entry;
    const nowUs = this.#parts.clock.nowUs();
    if (kind === 0) listener.books.ignored++;
    else listener.books.rejected++;
    this.#decide(entry, FlowState.Refused);
    listener.refused.add(entry);
    entry.refusal = kind;
    this.#news.forget(entry);
    if (kind !== 0 && first !== undefined) {
      first.nowUs = nowUs;
      this.#context.ip.reject(first, kind);
    }
    this.#setDeadline(entry, nowUs + REFUSAL_US);
  }

  #decide(entry: FlowEntry, state: FlowState): void {
    invariant(entry.state === FlowState.Pending, 'a flow is decided on once');
    entry.listener.books.pending--;
    entry.state = state;
    entry.request = undefined;
    entry.first = undefined;
  }

  readable(entry: FlowEntry): void {
    this.#news.ready(entry);
    this.#parts.wake();
  }

  send(entry: FlowEntry, { data, address, port, segmentSize }: FlowAnswer): boolean {
    const { listener, flow } = entry;
    const from = this.#sender.address(address);
    checkAnswer(port, segmentSize);
    if (entry.state !== FlowState.Open || flow === undefined) return this.#unsent(listener);
    const isSymmetric = listener.options.cone === 'symmetric';
    if (isSymmetric && !(entry.destinationPort === port && entry.destination.equals(from))) {
      listener.books.unsolicited++;
      return false;
    }
    if (!this.#sender.send(entry, from, { data, address, port, segmentSize })) return this.#unsent(listener);
    flow.sent++;
    if (listener.options.refreshInbound) entry.activeUs = this.#parts.clock.nowUs();
    return true;
  }

  #unsent(listener: AnyUdpListener): false {
    listener.books.unsent++;
    return false;
  }

  unreachable(entry: FlowEntry, kind: number, address: string, port: number): void {
    const from = this.#sender.address(address);
    checkAnswer(port, 0);
    if (entry.state !== FlowState.Open || !isPossible(entry, from)) return;
    const packet = unreachablePacket(entry, from, port);
    packet.nowUs = this.#parts.clock.nowUs();
    this.#context.ip.reject(packet, kind);
  }

  end(entry: FlowEntry, reason: FlowEnd): void {
    const { state, listener, flow, request } = entry;
    if (state === FlowState.Ended) return;
    entry.state = FlowState.Ended;
    listener.table.remove(entry);
    listener.refused.delete(entry);
    this.#deadlines.clear(entry.id);
    this.#entries[entry.id] = undefined;
    this.#freeIds.push(entry.id);
    this.#news.forget(entry);
    entry.first = undefined;
    entry.error = undefined;
    entry.request = undefined;
    if (state === FlowState.New || state === FlowState.Pending) listener.books.pending--;
    if (state === FlowState.Open) listener.books.flows--;
    if (state === FlowState.Open) flow?.onClose?.(reason);
    else if (state === FlowState.Pending) request?.onCancel?.(reason === 'idle' ? 'expired' : 'closed');
  }

  #endListener(listener: AnyUdpListener, reason: FlowEnd): void {
    this.#listeners.splice(this.#listeners.indexOf(listener), 1);
    this.#context.ip.takeForeign(false);
    for (const entry of listener.table.rows()) this.end(entry, reason);
  }

  // Time.

  /** When `deadlineReached` has something to do, µs. */
  get nextDeadlineUs(): number {
    return this.#deadlines.earliestUs;
  }

  /** Ends flows that are idle, and forgets those nobody decided on. */
  deadlineReached(nowUs: number): void {
    while (this.#deadlines.earliestUs <= nowUs) {
      const entry = this.#entries[this.#deadlines.earliestId];
      invariant(entry !== undefined, 'a deadline is that of a flow');
      const { listener, state } = entry;
      const idleUs = 1000 * listener.options.idleMs;
      if (state === FlowState.Open && entry.activeUs + idleUs > nowUs) {
        // Datagrams only say when they came: the deadline follows when it is reached.
        this.#deadlines.set(entry.id, entry.activeUs + idleUs);
        continue;
      }
      if (state === FlowState.Open) listener.books.idle++;
      else if (state !== FlowState.Refused) listener.books.expired++;
      this.end(entry, 'idle');
    }
  }

  #setDeadline(entry: FlowEntry, deadlineUs: number): void {
    this.#deadlines.set(entry.id, deadlineUs);
    this.#parts.wake();
  }

  /** The stack closes. */
  close(): void {
    while (this.#listeners.length > 0) this.#listeners[0].end('stack');
  }
}
