/**
 * A connection on the stack's side of the rings: its text goes into the ring as it arrives, as far as the other side
 * has consumed what came before, and waits in its receive buffer otherwise, where it closes the window. What the
 * application wrote goes into its send buffer, and waits here as far as that is full.
 */
import type { TcpEndpoint, TcpEndpointHandler } from '../stack/tcp-endpoint.js';
import type { Outbox, Speaker } from './outbox.js';
import { CREDIT_SHARE, MAX_PIECE_BYTES, Say } from './protocol.js';

/** What there is to say beside text and credit; bits, in the order in which they are said. */
const News = { Connected: 1, Trouble: 2, Drained: 4, Ended: 8, Over: 16 } as const;

export class Bridge implements TcpEndpointHandler, Speaker {
  readonly endpoint: TcpEndpoint;
  readonly id: number;
  readonly #outbox: Outbox;
  readonly #windowBytes: number;
  /** How much may be sent to the other side now. */
  #allowance: number;
  /** Bytes sent to the other side, modulo 2^32. */
  #sentBytes = 0;
  /** Bytes the endpoint took that the other side was not told of yet. */
  #creditDue = 0;
  #news = 0;
  #code = '';
  /** Written by the application, and still without room. */
  #parked: Uint8Array[] = [];
  /** What is to be done when nothing is parked any more. */
  #shutsDown = false;
  #isOver = false;

  constructor(endpoint: TcpEndpoint, id: number, outbox: Outbox, windowBytes: number) {
    this.endpoint = endpoint;
    this.id = id;
    this.#outbox = outbox;
    this.#windowBytes = windowBytes;
    this.#allowance = windowBytes;
    endpoint.handler = this;
    endpoint.setSink(this);
  }

  // ---- what the endpoint tells -------------------------------------------------------------------

  onConnect(): void {
    // The receiving half exists only now.
    this.endpoint.setSink(this);
    this.#tell(News.Connected);
  }

  onReadable(): void {
    this.speak();
  }

  onEnd(): void {
    this.#tell(News.Ended);
  }

  onWritable(): void {
    this.#unpark();
    this.speak();
  }

  onDrain(): void {
    this.#tell(News.Drained);
  }

  onSoftError(code: string): void {
    this.#code = code;
    this.#tell(News.Trouble);
  }

  onClose(code: string): void {
    this.#isOver = true;
    this.#code = code;
    this.#parked = [];
    this.#tell(News.Over);
  }

  /** Text goes from the packet into the ring, in one copy, as long as none waits before it. */
  take(bytes: Uint8Array, at: number, length: number): boolean {
    if (length > this.#allowance || this.#news !== 0 || this.#outbox.ring.room() < length) return false;
    this.#outbox.data(this.id, bytes, at, length);
    this.#sent(length);
    return true;
  }

  // ---- what the application says -----------------------------------------------------------------

  /** It has consumed so many bytes. */
  allow(bytes: number): void {
    this.#allowance += bytes;
    this.speak();
  }

  /** It has written: `bytes` are lent. */
  written(bytes: Uint8Array, at: number, length: number): void {
    if (this.#isOver) return;
    const admitted = this.#parked.length > 0 ? 0 : this.endpoint.write(bytes, at, length);
    this.#creditDue += admitted;
    if (admitted < length) this.#parked.push(bytes.slice(at + admitted, at + length));
    this.speak();
  }

  shutdown(): void {
    this.#shutsDown = true;
    this.#unpark();
  }

  /**
   * It has given the connection up. What was sent to it and not consumed is lost, of which the peer is told by an RST
   * (RFC 2525 §2.17); what it wrote before still goes.
   * @param done called when the stack alone has to do with the connection
   */
  close(consumedBytes: number, done: () => void): void {
    const { endpoint } = this;
    const give = (): void => {
      endpoint.handler = undefined;
      endpoint.close();
      done();
    };
    this.#outbox.forget(this);
    endpoint.setSink(undefined);
    if (consumedBytes !== this.#sentBytes || endpoint.readableBytes > 0) {
      endpoint.abort();
      give();
    } else if (this.#parked.length === 0) {
      give();
    } else {
      // What has no room in the send buffer yet is brought there first.
      const goOn = (): void => {
        this.#unpark();
        if (this.#parked.length === 0) give();
      };
      endpoint.handler = {
        onConnect: ignore,
        onReadable: ignore,
        onEnd: ignore,
        onWritable: goOn,
        onClose: give,
      };
    }
  }

  // ---- saying it -----------------------------------------------------------------------------------

  speak(): boolean {
    const said = this.#sayCredit() && this.#sayText() && this.#sayNews();
    if (!said) this.#outbox.await(this);
    return said;
  }

  #tell(news: number): void {
    this.#news |= news;
    this.speak();
  }

  #sent(bytes: number): void {
    this.#allowance -= bytes;
    this.#sentBytes = (this.#sentBytes + bytes) | 0;
  }

  /** What waits in the receive buffer, as far as it may go. @returns false for want of room in the ring */
  #sayText(): boolean {
    const { endpoint } = this;
    const { ring } = this.#outbox;
    if (this.#news & News.Connected && !this.#say(News.Connected, Say.Connected)) return false;
    while (this.#allowance > 0) {
      const wanted = Math.min(endpoint.readableBytes, this.#allowance, MAX_PIECE_BYTES);
      if (wanted === 0) return true;
      const length = Math.min(wanted, ring.room());
      if (length === 0) return false;
      const at = ring.begin(Say.Data, this.id, 0, length);
      endpoint.read(ring.bytes, at, length);
      ring.commit();
      this.#sent(length);
    }
    return true;
  }

  #sayCredit(): boolean {
    const due = this.#creditDue;
    if (due === 0 || (due < this.#windowBytes / CREDIT_SHARE && this.#parked.length === 0)) return true;
    if (!this.#outbox.ring.put(Say.Credit, this.id, due)) return false;
    this.#creditDue = 0;
    return true;
  }

  /** The end, and how it came, are told behind all text. */
  #sayNews(): boolean {
    const waits = this.endpoint.readableBytes > 0;
    if (!this.#say(News.Trouble, Say.Trouble) || !this.#say(News.Drained, Say.Drained)) return false;
    if (waits) return true;
    return this.#say(News.Ended, Say.Ended) && this.#say(News.Over, Say.Over);
  }

  #say(news: number, type: number): boolean {
    if ((this.#news & news) === 0) return true;
    const text = news === News.Over || news === News.Trouble ? this.#code : '';
    if (!this.#outbox.tell(type, this.id, 0, text)) return false;
    this.#news &= ~news;
    return true;
  }

  /** As much of what was parked as there is room for; then what was to follow it. */
  #unpark(): void {
    while (this.#parked.length > 0) {
      const [first] = this.#parked;
      const admitted = this.endpoint.write(first);
      this.#creditDue += admitted;
      if (admitted < first.length) {
        this.#parked[0] = first.subarray(admitted);
        return;
      }
      this.#parked.shift();
    }
    if (this.#shutsDown && !this.#isOver) this.endpoint.shutdown();
    this.#shutsDown = false;
  }
}

function ignore(): void {}
