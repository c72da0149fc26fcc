/**
 * A link that encrypts, and plays the role of WireGuard: packets go out sealed and numbered, come in only from who has
 * the right key, once each, and keys are replaced before they grow old, and forgotten.
 *
 * It is here to be read. It is not WireGuard, does not talk to it, and lacks what a product needs: protection of the
 * handshake against floods (cookies; each first message costs the responder work with the curve), padding
 * against those who look at lengths, keys that are overwritten in memory, clocks that never go back (the initiator's
 * must not, even across restarts), roaming, more than one peer, and anybody who has tried to break it.
 */
import { randomBytes } from 'node:crypto';
import { type Alarm, type Clock, type PacketBatch, PacketLink } from 'tunstack';
import { Handshake, type KeyPair, open, type SessionKeys, seal, TAG_BYTES } from './noise.js';
import { ReplayWindow } from './replay-window.js';

/** First byte of every datagram. */
const Kind = { FIRST: 1, SECOND: 2, DATA: 3 } as const;

/** Kind, and the number by which the receiver finds its session. */
const HEAD_BYTES = 5;
/** What stands before the sealed packet: the head, and the packet's number. */
const DATA_HEAD_BYTES = HEAD_BYTES + 8;
const STAMP_BYTES = 8;
const NUMBER_BYTES = 4;
/** Bytes that a packet grows by. */
export const OVERHEAD_BYTES = DATA_HEAD_BYTES + TAG_BYTES;

/** The first message is said again after this, µs. */
const RETRY_US = 1e6;
/** Keys are replaced after so long, µs, or so many packets: none is used until somebody might have broken it. */
const REKEY_US = 120e6;
const REKEY_PACKETS = 1 << 20;
/** Where they cannot be replaced, as the other side does not answer, they are forgotten after so long, µs. */
const FORGET_US = 180e6;

export interface TunnelOptions {
  readonly clock: Clock;
  readonly keys: KeyPair;
  readonly peerKey: Uint8Array;
  /** Whether this side begins handshakes; the other must not. */
  readonly isInitiator: boolean;
  readonly mtu: number;
  /** Packets that one key encrypts; 1,048,576 by default. */
  readonly rekeyPackets?: number;
  /** Sends a datagram to the peer. */
  transmit(datagram: Uint8Array): void;
  close(): void;
}

/** What two handshakes leave behind: each side finds it by a number it chose. */
class Session {
  readonly number: number;
  readonly peerNumber: number;
  /** When its keys are forgotten, µs. */
  readonly endUs: number;
  readonly #sendKey: Uint8Array;
  readonly #receiveKey: Uint8Array;
  readonly #window = new ReplayWindow();
  sent = 0;
  /** Packets that its keys have encrypted, in both directions. */
  packets = 0;

  constructor(
    numbers: readonly [own: number, peer: number],
    keys: SessionKeys,
    isInitiator: boolean,
    nowUs: number,
  ) {
    [this.number, this.peerNumber] = numbers;
    this.endUs = nowUs + FORGET_US;
    this.#sendKey = isInitiator ? keys.ofInitiator : keys.ofResponder;
    this.#receiveKey = isInitiator ? keys.ofResponder : keys.ofInitiator;
  }

  seal(packet: Uint8Array): Uint8Array {
    const head = headOf(Kind.DATA, this.peerNumber, DATA_HEAD_BYTES);
    new DataView(head.buffer).setBigUint64(HEAD_BYTES, BigInt(this.sent));
    this.packets++;
    return Buffer.concat([head, seal(this.#sendKey, this.sent++, packet, head)]);
  }

  /** The packet, or why there is none. */
  open(datagram: Uint8Array): Uint8Array | 'forged' | 'replayed' {
    const view = new DataView(datagram.buffer, datagram.byteOffset);
    const counter = Number(view.getBigUint64(HEAD_BYTES));
    const head = datagram.subarray(0, DATA_HEAD_BYTES);
    const packet = open(this.#receiveKey, counter, datagram.subarray(DATA_HEAD_BYTES), head);
    if (packet === undefined) return 'forged';
    if (!this.#window.take(counter)) return 'replayed';
    this.packets++;
    return packet;
  }
}

function headOf(kind: number, number: number, bytes = HEAD_BYTES): Uint8Array {
  const head = new Uint8Array(bytes);
  head[0] = kind;
  new DataView(head.buffer).setUint32(1, number);
  return head;
}

export class Tunnel {
  /** For `stack.addLink`. */
  readonly link: PacketLink;
  handshakes = 0;
  forged = 0;
  replayed = 0;
  readonly #options: TunnelOptions;
  readonly #rekeyPackets: number;
  readonly #alarm: Alarm;
  /** The handshake that this side began, and the number it gave the session to come. */
  #begun: { readonly handshake: Handshake; readonly number: number } | undefined;
  /** Sends and receives. */
  #current: Session | undefined;
  /** What came before it: its packets may still be on their way. */
  #previous: Session | undefined;
  /** Answered, but the peer has not used it: whoever replays a first message gets no further than this. */
  #next: Session | undefined;
  /** Of the last first message that this side sent, and of the last that it took. */
  #ownStamp = 0n;
  #latestStamp = 0n;

  constructor(options: TunnelOptions) {
    this.#options = options;
    this.#rekeyPackets = options.rekeyPackets ?? REKEY_PACKETS;
    this.#alarm = options.clock.createAlarm(() => this.#ring());
    // A handshake that nobody answers does not keep the process alive.
    this.#alarm.unref?.();
    this.link = new PacketLink({
      clock: options.clock,
      name: 'crypt0',
      mtu: options.mtu,
      sendBatch: (batch, first) => this.#send(batch, first),
      close: () => {
        this.#alarm.clear();
        options.close();
      },
    });
    if (options.isInitiator) this.#begin();
  }

  /** Takes a datagram from the network, where anybody may have written anything. */
  receive(datagram: Uint8Array): void {
    if (datagram.length < HEAD_BYTES + TAG_BYTES) {
      this.forged++;
      return;
    }
    const number = new DataView(datagram.buffer, datagram.byteOffset).getUint32(1);
    const [kind] = datagram;
    if (kind === Kind.DATA) this.#openData(datagram, number);
    else if (kind === Kind.FIRST && !this.#options.isInitiator) this.#answer(datagram, number);
    else if (kind === Kind.SECOND) this.#finish(datagram, number);
    else this.forged++;
  }

  // ---- packets --------------------------------------------------------------------------------------

  #send(batch: PacketBatch, first: number): number {
    this.#forget();
    const session = this.#current;
    // Until there are keys the packets wait in the link; `ready` is called then.
    if (session === undefined) return first;
    for (let i = first; i < batch.count; i++) {
      const offset = batch.offset(i);
      this.#options.transmit(session.seal(batch.bytes.subarray(offset, offset + batch.length(i))));
    }
    this.#renew(session);
    return batch.count;
  }

  #openData(datagram: Uint8Array, number: number): void {
    this.#forget();
    const session = [this.#current, this.#previous, this.#next].find((one) => one?.number === number);
    if (session === undefined || datagram.length < DATA_HEAD_BYTES + TAG_BYTES) {
      this.forged++;
      return;
    }
    const packet = session.open(datagram);
    if (typeof packet === 'string') {
      this[packet]++;
      return;
    }
    // The peer has the keys, as nobody else can: they are used from now on.
    if (session === this.#next) this.#use(session);
    if (packet.length > 0) this.link.receive(packet);
    if (session === this.#current) this.#renew(session);
  }

  /** Begins a handshake when the keys have encrypted much; they are used until it is done. */
  #renew(session: Session): void {
    if (!this.#options.isInitiator || this.#begun !== undefined) return;
    if (session.packets >= this.#rekeyPackets) this.#begin();
  }

  #use(session: Session): void {
    this.#previous = this.#current;
    this.#current = session;
    this.#next = undefined;
    this.handshakes++;
    const { clock, isInitiator } = this.#options;
    this.#alarm.setAt(isInitiator ? clock.nowUs() + REKEY_US : session.endUs);
    this.link.ready();
  }

  #forget(): void {
    const nowUs = this.#options.clock.nowUs();
    const young = (session: Session | undefined) =>
      session !== undefined && nowUs < session.endUs ? session : undefined;
    this.#current = young(this.#current);
    this.#previous = young(this.#previous);
    this.#next = young(this.#next);
  }

  /** The keys are old, or nobody has answered. */
  #ring(): void {
    this.#forget();
    if (this.#options.isInitiator) this.#begin();
  }

  // ---- handshakes -----------------------------------------------------------------------------------

  #begin(): void {
    if (!this.link.isUp) return;
    const { clock, keys, peerKey } = this.#options;
    const number = randomBytes(NUMBER_BYTES).readUInt32BE();
    // Who finds the number changed on the way finds another handshake.
    const head = headOf(Kind.FIRST, number);
    const handshake = new Handshake([keys, peerKey], true, head);
    this.#begun = { handshake, number };
    // Grows with each handshake, also after a restart, so that an old one can be told from a new one.
    const timeNs = BigInt(Date.now()) * 1_000_000n;
    this.#ownStamp = timeNs > this.#ownStamp ? timeNs : this.#ownStamp + 1n;
    const stamp = new Uint8Array(STAMP_BYTES);
    new DataView(stamp.buffer).setBigUint64(0, this.#ownStamp);
    this.#options.transmit(Buffer.concat([head, handshake.writeFirst(stamp)]));
    this.#alarm.setAt(clock.nowUs() + RETRY_US);
  }

  #answer(datagram: Uint8Array, peerNumber: number): void {
    const { clock, keys, peerKey } = this.#options;
    const handshake = new Handshake([keys, peerKey], false, datagram.subarray(0, HEAD_BYTES));
    const stamp = handshake.readFirst(datagram.subarray(HEAD_BYTES));
    if (stamp?.length !== STAMP_BYTES) {
      this.forged++;
      return;
    }
    const time = new DataView(stamp.buffer, stamp.byteOffset).getBigUint64(0);
    if (time <= this.#latestStamp) {
      this.replayed++;
      return;
    }
    this.#latestStamp = time;
    const number = randomBytes(NUMBER_BYTES);
    this.#options.transmit(Buffer.concat([headOf(Kind.SECOND, peerNumber), handshake.writeSecond(number)]));
    this.#next = new Session([number.readUInt32BE(), peerNumber], handshake.keys(), false, clock.nowUs());
  }

  #finish(datagram: Uint8Array, number: number): void {
    const begun = this.#begun;
    const answer =
      begun?.number === number ? begun.handshake.readSecond(datagram.subarray(HEAD_BYTES)) : undefined;
    if (begun === undefined || answer?.length !== NUMBER_BYTES) {
      this.forged++;
      return;
    }
    this.#begun = undefined;
    const peerNumber = new DataView(answer.buffer, answer.byteOffset).getUint32(0);
    const nowUs = this.#options.clock.nowUs();
    const session = new Session([number, peerNumber], begun.handshake.keys(), true, nowUs);
    // An empty packet tells the peer that the keys are there, even if nothing else is to be said.
    this.#options.transmit(session.seal(new Uint8Array(0)));
    this.#use(session);
  }
}
