/** ICMP errors about segments that were sent: which are believed, and what they do (RFC 5927, RFC 1122 §4.2.3.9). */
import { type Seq, seq, seqInWindow } from '../base/seq.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { TcpConnection } from './connection.js';
import type { ConnectionBooks } from './connection-books.js';
import { ConnectionEvent } from './connection-parameters.js';
import { type ConnectionEntry, isHalfOpen, isTimeWait, isUndecided } from './entry.js';
import type { HalfOpen } from './half-open.js';
import type { TcpContext } from './layer-context.js';
import type { PassiveOpen } from './passive-open.js';
import { TcpState } from './state.js';
import type { Tuple } from './tuple.js';

/** The connection or handshake an ICMP error is about, and the sequence number it quotes. */
export interface Quoted {
  readonly occupant: ConnectionEntry | HalfOpen;
  readonly sequence: Seq;
}

export class IcmpErrors {
  readonly #context: TcpContext;
  readonly #books: ConnectionBooks;
  readonly #passive: PassiveOpen;

  constructor(context: TcpContext, books: ConnectionBooks, passive: PassiveOpen) {
    this.#context = context;
    this.#books = books;
    this.#passive = passive;
  }

  /** Whether `[una, nxt)` of the connection an ICMP error quotes holds the quoted number; and whose it is. */
  quoted(quote: IpPacket): Quoted | undefined {
    if (quote.payloadBytes < 8) return undefined;
    const { view, payloadAt } = quote;
    const tuple: Tuple = {
      local: quote.source(),
      remote: quote.destination(),
      localPort: view.getUint16(payloadAt),
      remotePort: view.getUint16(payloadAt + 2),
      link: quote.link,
    };
    const slot = this.#books.table.find(tuple);
    const occupant = slot < 0 ? undefined : this.#books.table.at(slot);
    if (occupant === undefined || isTimeWait(occupant) || isUndecided(occupant)) return undefined;
    const sequence = seq(view.getInt32(payloadAt + 4));
    if (isInFlight(occupant, sequence)) return { occupant, sequence };
    this.#context.stats.tcp.outOfWindowIcmps++;
    return undefined;
  }

  /** An error about a connection, validated by `quoted`: hard ones end attempts, others are told. */
  unreachable(found: Quoted, code: string, isHard: boolean): void {
    const { occupant } = found;
    if (isHalfOpen(occupant)) {
      if (isHard) this.#passive.halfOpenUnreachable(occupant, found.sequence);
      return;
    }
    const { connection } = occupant;
    // An error before this one has ended it, in the same turn.
    if (connection.state === TcpState.CLOSED) return;
    if (isHard && isOpening(connection)) {
      this.#context.stats.tcp.attemptFails++;
      connection.end(code);
    } else {
      connection.softError = code;
      connection.signal(ConnectionEvent.SoftError);
    }
    this.#books.touch(occupant);
  }

  /** A packet of a connection was too big for its path, whose MTU is known now: visit it. */
  tooBig(found: Quoted): void {
    if (!isHalfOpen(found.occupant)) this.#books.touch(found.occupant);
  }
}

/** Whether a hard error ends it; not where Fast Open has let the application begin. */
const isOpening = ({ state, fastOpenPlace }: TcpConnection): boolean =>
  state === TcpState.SYN_SENT || (state === TcpState.SYN_RECEIVED && fastOpenPlace === undefined);

/** Whether a number is that of something sent and not acknowledged (RFC 5927 §4.1). */
function isInFlight(occupant: ConnectionEntry | HalfOpen, sequence: Seq): boolean {
  if (isHalfOpen(occupant)) return sequence === occupant.iss;
  if (occupant.isResting) return false;
  const { sndUna, sndNxt } = occupant.connection.sender;
  return seqInWindow(sequence, sndUna, (sndNxt - sndUna) | 0);
}
