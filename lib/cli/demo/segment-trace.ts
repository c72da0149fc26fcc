/** The segments of one connection as people read them, with the state of both sides after each. */
import { type Seq, seqAdd } from '../../base/seq.js';
import { nextState, stateName, type TcpEvent, TcpState } from '../../tcp/state.js';
import { ConnectionOrigin } from '../../wire/segment-origin.js';
import { formatSegmentLine, readSegmentLine } from '../../wire/segment-text.js';
import { TcpFlag, TcpHeader } from '../../wire/tcp.js';

const TCP_PROTOCOL = 6;
/** Rows kept; a trace is for reading. */
const MAX_ROWS = 100;

export interface TraceRow {
  /** Since the row before, µs. */
  readonly deltaUs: number;
  readonly outgoing: boolean;
  /** In packetdrill's notation, without options. */
  readonly segment: string;
  readonly options: readonly string[];
  /** States after this segment: of our side, and of the other once it has arrived. */
  readonly ours: string;
  readonly theirs: string;
}

/** One side, as its segments tell. */
class Side {
  state: TcpState = TcpState.CLOSED;
  /** Sequence number behind its FIN, once sent. */
  #finEnd: Seq | undefined;

  sends(header: TcpHeader): void {
    const { flags } = header;
    if (flags & TcpFlag.RST) this.#move('reset');
    else if (flags & TcpFlag.SYN && !(flags & TcpFlag.ACK)) this.#move('activeOpen');
    if (!(flags & TcpFlag.FIN)) return;
    this.#finEnd = seqAdd(header.sequence, header.payloadBytes + 1);
    this.#move('close');
  }

  /** In the order of RFC 9293 §3.10.7: RST, SYN, ACK, FIN. */
  receives(header: TcpHeader): void {
    const { flags } = header;
    if (flags & TcpFlag.RST) {
      this.#move('reset');
      return;
    }
    if (flags & TcpFlag.SYN) {
      // Whoever hears a SYN without having sent one was listening.
      if (this.state === TcpState.CLOSED) this.state = TcpState.LISTEN;
      this.#move(flags & TcpFlag.ACK ? 'rcvSynAck' : 'rcvSyn');
      return;
    }
    if (flags & TcpFlag.ACK) {
      if (this.state === TcpState.SYN_RECEIVED) this.#move('rcvAckOfSyn');
      if (header.acknowledgment === this.#finEnd) this.#move('rcvAckOfFin');
    }
    if (flags & TcpFlag.FIN) this.#move('rcvFin');
  }

  #move(event: TcpEvent): void {
    this.state = nextState(this.state, event) ?? this.state;
  }
}

export class SegmentTrace {
  readonly rows: TraceRow[] = [];
  readonly #port: number;
  readonly #origin = new ConnectionOrigin();
  readonly #ours = new Side();
  readonly #theirs = new Side();
  readonly #header = new TcpHeader();
  #lastNs: bigint | undefined;

  /** @param port of the other side, by which the connection is known */
  constructor(port: number) {
    this.#port = port;
  }

  /** Looks at a packet; what belongs to the connection becomes a row. */
  add(packet: Uint8Array, outgoing: boolean, timeNs: bigint): void {
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    const at = segmentAt(view);
    if (at < 0 || this.rows.length === MAX_ROWS) return;
    const header = this.#header;
    const length = view.byteLength - at;
    if (!header.parse(view, at, length)) return;
    if ((outgoing ? header.destinationPort : header.sourcePort) !== this.#port) return;
    this.#origin.learn(view, at, length, outgoing);
    const line = readSegmentLine(view, at, length, this.#origin.of(outgoing));
    if (line === undefined) return;
    const [from, to] = outgoing ? [this.#ours, this.#theirs] : [this.#theirs, this.#ours];
    from.sends(header);
    to.receives(header);
    this.rows.push({
      deltaUs: Number(timeNs - (this.#lastNs ?? timeNs)) / 1000,
      outgoing,
      segment: formatSegmentLine({ ...line, options: undefined }),
      options: line.options ?? [],
      ours: stateName(this.#ours.state),
      theirs: stateName(this.#theirs.state),
    });
    this.#lastNs = timeNs;
  }

  /** Whether both sides are done with each other. */
  get isOver(): boolean {
    const done = (state: TcpState): boolean => state === TcpState.CLOSED || state === TcpState.TIME_WAIT;
    return this.rows.length > 0 && done(this.#ours.state) && done(this.#theirs.state);
  }
}

/** Where the segment of a packet begins; -1 when it carries none. Extension headers do not occur here. */
function segmentAt(view: DataView): number {
  const version = view.byteLength < 20 ? 0 : view.getUint8(0) >> 4;
  if (version === 4 && view.getUint8(9) === TCP_PROTOCOL) return (view.getUint8(0) & 15) * 4;
  return version === 6 && view.byteLength >= 40 && view.getUint8(6) === TCP_PROTOCOL ? 40 : -1;
}
