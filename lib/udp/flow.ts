/** A flow of datagrams to addresses that are anybody's, as its owner has it: first as a question, then open. */
import { ArgumentTypeError, StackError } from '../base/errors.js';
import { type IcmpRejection, rejectionKind } from '../wire/icmp-rejection.js';
import type { FlowEnd, FlowEntry, FlowError } from './flow-entry.js';
import { FlowState } from './flow-entry.js';

/** Hears a datagram from inside a flow. `data` is lent until it returns: who keeps it copies it. */
export type FlowReader = (data: Uint8Array, destinationAddress: string, destinationPort: number) => void;

/** What flows ask of their layer. */
export interface FlowHost {
  accept(entry: FlowEntry): UdpFlow;
  refuse(entry: FlowEntry, kind: number): void;
  /** Somebody reads the flow from now on. */
  readable(entry: FlowEntry): void;
  send(entry: FlowEntry, answer: FlowAnswer): boolean;
  unreachable(entry: FlowEntry, kind: number, address: string, port: number): void;
  end(entry: FlowEntry, reason: FlowEnd): void;
}

/** What is sent to the inside of a flow. */
export interface FlowAnswer {
  readonly data: Uint8Array;
  readonly address: string;
  readonly port: number;
  readonly segmentSize: number;
}

/** Both ends of a flow. */
abstract class FlowEndsView {
  readonly #entry: FlowEntry;

  constructor(entry: FlowEntry) {
    this.#entry = entry;
  }

  /** The address inside that sends. */
  get sourceAddress(): string {
    return this.#entry.source.toString();
  }

  /** The port it sends from. */
  get sourcePort(): number {
    return this.#entry.sourcePort;
  }

  /** Where its first datagram was sent; in a symmetric flow, where all are. */
  get destinationAddress(): string {
    return this.#entry.destination.toString();
  }

  /** To which port. */
  get destinationPort(): number {
    return this.#entry.destinationPort;
  }

  /** Index of the link it comes in on. */
  get link(): number {
    return this.#entry.link;
  }

  /** IPv4 or IPv6. */
  get family(): 4 | 6 {
    return this.#entry.version;
  }
}

/**
 * Somebody inside sends to an address where nobody listens: the flow is accepted, rejected or ignored, at once or
 * later. Until then its datagrams wait: 32 of them, or 64 KiB; more are dropped and counted.
 * @hideconstructor
 */
export class UdpFlowRequest extends FlowEndsView {
  /** Told when it is over without having been decided: too old, or its listener or the stack was closed. */
  onCancel: ((reason: 'expired' | 'closed') => void) | undefined = undefined;
  readonly #entry: FlowEntry;
  readonly #host: FlowHost;

  constructor(entry: FlowEntry, host: FlowHost) {
    super(entry);
    this.#entry = entry;
    this.#host = host;
  }

  /** Whether it can still be decided on. */
  get isPending(): boolean {
    return this.#entry.request === this && this.#entry.state === FlowState.Pending;
  }

  /**
   * Takes the flow. What waits is given to its `onDatagram`, once that is set, at the end of the turn.
   * @throws StackError ECONNABORTED where it is not pending any more
   */
  accept(): UdpFlow {
    if (!this.isPending) throw new StackError('ECONNABORTED', 'accept', this.sourceAddress, this.sourcePort);
    return this.#host.accept(this.#entry);
  }

  /**
   * Answers by an ICMP error, within the stack's limits for such. Further datagrams to the same destination are
   * answered so for five seconds without asking again. Does nothing where it is not pending any more.
   * @param reason `port-unreachable` by default
   * @throws ArgumentTypeError, ArgumentValueError for a reason that is none
   */
  reject(reason: IcmpRejection = 'port-unreachable'): void {
    const kind = rejectionKind(reason);
    if (this.isPending) this.#host.refuse(this.#entry, kind);
  }

  /** Says nothing; further datagrams to the same destination are dropped for five seconds without asking again. */
  ignore(): void {
    if (this.isPending) this.#host.refuse(this.#entry, 0);
  }
}

/**
 * A flow that was accepted: datagrams from one address and port inside, and answers to it.
 * @hideconstructor
 */
export class UdpFlow extends FlowEndsView {
  /** Called at the end of the turn for ICMP errors about what was sent: the last one, where there were several. */
  onError: ((error: FlowError) => void) | undefined = undefined;
  /** Called once when it has ended, however that came. */
  onClose: ((reason: FlowEnd) => void) | undefined = undefined;
  /** Datagrams that came from inside and were handed over. */
  received = 0;
  /** Datagrams sent to the inside. */
  sent = 0;
  readonly #entry: FlowEntry;
  readonly #host: FlowHost;
  #onDatagram: FlowReader | undefined;

  constructor(entry: FlowEntry, host: FlowHost) {
    super(entry);
    this.#entry = entry;
    this.#host = host;
  }

  /**
   * Called with each datagram from inside and where it was sent, at the end of the turn it came in. The data are lent
   * until it returns: who keeps them copies them. While it is not set, up to 32 datagrams, or 64 KiB, wait.
   */
  get onDatagram(): FlowReader | undefined {
    return this.#onDatagram;
  }

  set onDatagram(reader: FlowReader | undefined) {
    if (reader !== undefined && typeof reader !== 'function') {
      throw new ArgumentTypeError('onDatagram must be a function');
    }
    this.#onDatagram = reader;
    if (reader !== undefined && this.#entry.held.length > 0) this.#host.readable(this.#entry);
  }

  /** Whether it has ended. */
  get isClosed(): boolean {
    return this.#entry.state !== FlowState.Open;
  }

  /**
   * Sends a datagram to the inside, from any address and port; from the one of the flow where it is symmetric. It is
   * copied before this returns, and fragmented where it does not fit the path.
   * @param segmentSize splits the data into datagrams of so many bytes; 0, the default, for one
   * @returns false when it was not sent, and counted: the link is full, there is no route, the flow has ended, the data
   *   are more than UDP can carry, or the address is of the other family, of nobody, or none a symmetric flow has asked
   * @throws ArgumentTypeError, ArgumentValueError, ArgumentRangeError for arguments that are no data, address or port
   */
  send(data: Uint8Array, fromAddress: string, fromPort: number, segmentSize = 0): boolean {
    if (!(data instanceof Uint8Array)) throw new ArgumentTypeError('data must be a Uint8Array');
    return this.#host.send(this.#entry, { data, address: fromAddress, port: fromPort, segmentSize });
  }

  /**
   * Tells the inside by an ICMP error that what it sends to an address and port does not arrive. The flow stays.
   * @throws ArgumentTypeError, ArgumentValueError, ArgumentRangeError for a reason, address or port that is none
   */
  reject(reason: IcmpRejection, address = this.destinationAddress, port = this.destinationPort): void {
    this.#host.unreachable(this.#entry, rejectionKind(reason), address, port);
  }

  /** Ends it. What the inside sends next is a new flow. May be called twice. */
  close(): void {
    this.#host.end(this.#entry, 'closed');
  }
}
