/** Sends echo requests one after another, and tells what comes back (RFC 792, RFC 4443 §4.1). */
import type { IpAddress, Stack } from '../../index.js';
import { IcmpErrorKind } from '../../ip/interfaces.js';
import { PingStatistics } from './statistics.js';

export interface PingerOptions {
  readonly stack: Stack;
  readonly destination: IpAddress;
  /** Requests to send; without end by default. */
  readonly count?: number;
  readonly intervalMs: number;
  /** How long the last reply is waited for, ms. */
  readonly timeoutMs: number;
  /** All ends after so long, ms. */
  readonly deadlineMs?: number;
  /** Bytes of data behind the ICMP header. */
  readonly size: number;
  /** 1 .. 255; 0 for the stack's default. */
  readonly hopLimit: number;
  readonly trafficClass: number;
  readonly dontFragment: boolean;
  readonly signal: AbortSignal;
  readonly onEvent: (event: PingEvent) => void;
}

export type PingEvent =
  | {
      readonly type: 'reply';
      readonly sequence: number;
      readonly bytes: number;
      readonly hopLimit: number;
      readonly rttMs: number;
      readonly duplicate: boolean;
      readonly corrupted: boolean;
    }
  | { readonly type: 'error'; readonly sequence: number; readonly from: string; readonly message: string }
  | { readonly type: 'unsent'; readonly sequence: number; readonly code: string };

const SEQUENCES = 0x1_0000;
const ICMP_HEADER_BYTES = 8;

/** What an ICMP error says, as ping says it. */
const MESSAGES: Readonly<Record<number, string>> = {
  [IcmpErrorKind.NetUnreachable]: 'Destination net unreachable',
  [IcmpErrorKind.HostUnreachable]: 'Destination host unreachable',
  [IcmpErrorKind.ProtocolUnreachable]: 'Destination protocol unreachable',
  [IcmpErrorKind.PortUnreachable]: 'Destination port unreachable',
  [IcmpErrorKind.PacketTooBig]: 'Packet too big',
  [IcmpErrorKind.SourceRouteFailed]: 'Source route failed',
  [IcmpErrorKind.Prohibited]: 'Communication administratively prohibited',
  [IcmpErrorKind.TimeExceeded]: 'Time to live exceeded',
  [IcmpErrorKind.ParameterProblem]: 'Parameter problem',
};

/** What is known of a sequence number. */
const State = { Unused: 0, Waiting: 1, Answered: 2 } as const;

export class Pinger {
  readonly statistics = new PingStatistics();
  readonly #options: PingerOptions;
  readonly #identifier: number;
  readonly #payload: Uint8Array;
  readonly #sentUs = new Float64Array(SEQUENCES);
  readonly #states = new Uint8Array(SEQUENCES);
  readonly #startUs: number;
  /** Requests begun, whether or not they could be sent. */
  #attempts = 0;
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;
  #end: () => void = () => {};

  constructor(options: PingerOptions) {
    const { stack, size } = options;
    this.#options = options;
    this.#identifier = stack.random.uint32() & 0xffff;
    // Any that repeats shows a byte that was lost or moved.
    this.#payload = Uint8Array.from({ length: size }, (_value, i) => (i * 7 + 1) & 0xff);
    this.#startUs = stack.nowUs();
  }

  /** How long it has run, µs. */
  get elapsedUs(): number {
    return this.#options.stack.nowUs() - this.#startUs;
  }

  /** Settles when all is answered, waited for or interrupted. */
  async run(): Promise<void> {
    const { stack, signal, deadlineMs } = this.#options;
    const { echo } = stack.ip;
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    const abort = (): void => this.#end();
    signal.addEventListener('abort', abort);
    const deadline = deadlineMs === undefined ? undefined : setTimeout(abort, deadlineMs);
    echo.add(this.#identifier, {
      reply: (packet, reply) => this.#reply(packet, reply),
      error: (error, sequence) => this.#failed(sequence, error.reporter.source().toString(), error.kind),
    });
    try {
      this.#next();
      await ended;
    } finally {
      echo.remove(this.#identifier);
      clearTimeout(this.#timer);
      clearTimeout(deadline);
      signal.removeEventListener('abort', abort);
    }
  }

  #next(): void {
    const { count = Number.POSITIVE_INFINITY, intervalMs, timeoutMs, stack } = this.#options;
    this.#send();
    if (this.#attempts >= count) {
      this.#timer = setTimeout(() => this.#end(), timeoutMs);
      if (this.#waiting === 0) this.#end();
      return;
    }
    // Counted from the start, so that no lateness adds up.
    const dueUs = this.#startUs + this.#attempts * intervalMs * 1000;
    this.#timer = setTimeout(() => this.#next(), Math.max(0, (dueUs - stack.nowUs()) / 1000));
  }

  #send(): void {
    const { stack, destination, hopLimit, trafficClass, dontFragment, onEvent } = this.#options;
    const sequence = ++this.#attempts % SEQUENCES;
    const code = stack.ip.sendEchoRequest({
      destination,
      identifier: this.#identifier,
      sequence,
      payload: this.#payload,
      trafficClass,
      dontFragment,
      ...(hopLimit === 0 ? {} : { hopLimit }),
    });
    this.statistics.transmitted++;
    if (code !== '') {
      this.statistics.errors++;
      onEvent({ type: 'unsent', sequence, code });
      return;
    }
    if (this.#states[sequence] !== State.Waiting) this.#waiting++;
    this.#states[sequence] = State.Waiting;
    this.#sentUs[sequence] = stack.nowUs();
  }

  #reply(
    packet: { readonly bytes: Uint8Array; readonly hopLimit: number; readonly nowUs: number },
    reply: { readonly sequence: number; readonly dataAt: number; readonly dataBytes: number },
  ): void {
    const { sequence, dataAt, dataBytes } = reply;
    const state = this.#states[sequence];
    if (state === State.Unused) return;
    const { onEvent } = this.#options;
    const rttUs = Math.max(0, packet.nowUs - this.#sentUs[sequence]);
    const duplicate = state === State.Answered;
    const corrupted = !this.#isOurs(packet.bytes.subarray(dataAt, dataAt + dataBytes));
    if (corrupted) this.statistics.corrupted++;
    if (duplicate) this.statistics.duplicates++;
    else this.statistics.addReply(rttUs);
    onEvent({
      type: 'reply',
      sequence,
      bytes: dataBytes + ICMP_HEADER_BYTES,
      hopLimit: packet.hopLimit,
      rttMs: Math.round(rttUs) / 1000,
      duplicate,
      corrupted,
    });
    this.#answered(sequence);
  }

  #failed(sequence: number, from: string, kind: number): void {
    if (this.#states[sequence] !== State.Waiting) return;
    this.statistics.errors++;
    this.#options.onEvent({ type: 'error', sequence, from, message: MESSAGES[kind] ?? `ICMP error ${kind}` });
    this.#answered(sequence);
  }

  #answered(sequence: number): void {
    if (this.#states[sequence] === State.Waiting) this.#waiting--;
    this.#states[sequence] = State.Answered;
    const { count = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#waiting === 0 && this.#attempts >= count) this.#end();
  }

  #isOurs(data: Uint8Array): boolean {
    return data.length === this.#payload.length && data.every((byte, i) => byte === this.#payload[i]);
  }
}
