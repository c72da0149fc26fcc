/** A link over a UDP socket: each datagram is one packet. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { DropReason } from '../base/stats.js';
import { IpAddress } from '../wire/ip-address.js';
import { LinkError, toError } from './link-error.js';
import { type ChannelLinkOptions, PacketLink } from './packet-link.js';
import { PeerTable } from './peer-table.js';

/** What is used of a socket of `node:dgram`, or of `stack.dgram`. */
export interface DatagramSocket {
  /** Sends to a peer, or, without one, to whom the socket is connected to. */
  send(data: Uint8Array, port: number, address: string, done: (error: Error | null) => void): void;
  send(data: Uint8Array, done: (error: Error | null) => void): void;
  /** Adds a listener: `message`, `error` and `close` are heard. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Ends it. */
  close(): unknown;
  /** It keeps the process alive. */
  ref?(): unknown;
  /** It does not. */
  unref?(): unknown;
}

/** The other end of a link over UDP, or one of several. */
export interface DatagramPeer {
  /** Its address. No name, which would be looked up for every packet. */
  readonly address: string;
  /** Its port. */
  readonly port: number;
  /**
   * The networks behind it: `10.0.0.2`, `fd00:1::/64`. Needed where there are several peers. The longest that
   * contains the destination of a packet says who gets it; packets from the peer must come from there, as with
   * WireGuard.
   */
  readonly networks?: readonly string[];
}

/** Most peers of one link. */
const MAX_PEERS = 256;
/** Datagrams that the socket has not reported as sent; with more of them the stack waits. */
const MAX_IN_FLIGHT = 256;
/** Errors that say something of one datagram, or of a peer that is away; the next may pass. */
const PASSING_ERRORS = new Set(
  'EAGAIN ECONNREFUSED ECONNRESET EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN EMSGSIZE ENOBUFS EPERM EACCES'.split(
    ' ',
  ),
);

/**
 * A link over a UDP socket, one datagram for each packet, to one peer or to several that share the link by the
 * addresses behind them. The MTU should leave room for the outer headers: 28 bytes over IPv4, 48 over IPv6.
 *
 *     const link = udpSocketLink(socket, { address: '192.0.2.7', port: 5182 }, { clock, mtu: 1420 });
 *
 * Datagrams of others, and packets from or for addresses that are no peer's, are dropped as `LinkPeer`. An error
 * of sending (`ECONNREFUSED`, `EMSGSIZE` …) costs that packet, counted as `LinkError`, and not the link. What a
 * socket receives faster than the stack takes is dropped as `LinkQueueFull`. Closing the link closes the socket.
 *
 * @param peer one or several; undefined for a socket that is connected
 * @throws ArgumentTypeError, ArgumentValueError, ArgumentRangeError for peers or options that are wrong
 */
export function udpSocketLink(
  socket: DatagramSocket,
  peer: DatagramPeer | readonly DatagramPeer[] | undefined,
  options: ChannelLinkOptions,
): PacketLink {
  if (typeof socket?.send !== 'function' || typeof socket.on !== 'function') {
    throw new ArgumentTypeError('socket must be a socket of dgram');
  }
  return new UdpSocketEnd(socket, peersOf(peer), options).link;
}

/** Whom a datagram comes from, as sockets say. */
interface Sender {
  readonly address: string;
  readonly port: number;
}

/** A peer that was checked. */
interface KnownPeer {
  readonly address: string;
  readonly port: number;
  readonly networks: readonly string[] | undefined;
  /** Its address as sockets report it: IPv4 as such, IPv6 in its one canonical form, with its zone. */
  readonly known: string;
}

function peersOf(given: DatagramPeer | readonly DatagramPeer[] | undefined): readonly KnownPeer[] {
  if (given === undefined) return [];
  const list = Array.isArray(given) ? (given as readonly DatagramPeer[]) : [given as DatagramPeer];
  if (list.length === 0 || list.length > MAX_PEERS) {
    throw new ArgumentRangeError(`a link has 1 .. ${MAX_PEERS} peers, not ${list.length}`);
  }
  return list.map(({ address, port, networks }) => {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new ArgumentRangeError(`the port of a peer must be within 1 .. 65535, not ${String(port)}`);
    }
    if (networks === undefined && list.length > 1) {
      throw new ArgumentValueError('of several peers each needs its networks');
    }
    if (typeof address !== 'string') throw new ArgumentTypeError('the address of a peer must be a string');
    // A zone is for the socket, not a part of the address.
    const [plain, ...zone] = address.split('%');
    const known = [IpAddress.parse(plain).toString(), ...zone].join('%');
    return { address, port, networks, known };
  });
}

/** As a socket for both families reports an IPv4 address. */
const MAPPED = /^::ffff:(?=\d+\.)/i;

class UdpSocketEnd {
  readonly link: PacketLink;
  readonly #socket: DatagramSocket;
  readonly #peers: readonly KnownPeer[];
  /** Undefined where the one peer gets everything. */
  readonly #table: PeerTable | undefined;
  #inFlight = 0;
  #isFull = false;
  #isClosing = false;
  #isClosed = false;
  readonly #sent = (error: Error | null): void => this.#onSent(error);

  constructor(socket: DatagramSocket, peers: readonly KnownPeer[], options: ChannelLinkOptions) {
    this.#socket = socket;
    this.#peers = peers;
    if (peers.some(({ networks }) => networks !== undefined)) {
      this.#table = new PeerTable(peers.map(({ networks }) => networks ?? []));
    }
    this.link = new PacketLink({
      ...options,
      send: (packet) => this.#send(packet),
      close: () => this.#close(),
      ref: () => void socket.ref?.(),
      unref: () => void socket.unref?.(),
    });
    socket.on('message', (data, from) => this.#arrived(data as Uint8Array, from as Sender));
    socket.on('error', (error) => this.#onError(toError(error)));
    socket.on('close', () => {
      this.#isClosed = true;
      this.link.fail(new LinkError('ENETDOWN', this.link.name, 'the socket was closed'));
    });
  }

  #send(packet: Uint8Array): boolean {
    const peers = this.#peers;
    if (peers.length === 0) {
      this.#socket.send(packet, this.#sent);
    } else {
      const peer = peers[this.#table?.destinationOf(packet) ?? 0];
      if (peer === undefined) {
        this.link.counters.dropOut(DropReason.LinkPeer);
        return true;
      }
      this.#socket.send(packet, peer.port, peer.address, this.#sent);
    }
    this.#inFlight++;
    this.#isFull = this.#inFlight >= MAX_IN_FLIGHT;
    return !this.#isFull;
  }

  #onSent(error: Error | null): void {
    this.#inFlight--;
    if (error) this.link.counters.dropOut(DropReason.LinkError);
    if (this.#isFull && this.#inFlight <= MAX_IN_FLIGHT / 2) {
      this.#isFull = false;
      this.link.ready();
    }
    if (this.#isClosing && this.#inFlight === 0) this.#closeNow();
  }

  #arrived(data: Uint8Array, from: Sender): void {
    if (!this.link.isUp) return;
    if (this.#peers.length > 0 && !this.#isFrom(data, from)) {
      this.link.counters.dropIn(DropReason.LinkPeer);
      return;
    }
    this.link.receive(data);
  }

  /** Whether a packet comes from a peer, and from behind it. */
  #isFrom(data: Uint8Array, { address, port }: Sender): boolean {
    const plain = address.replace(MAPPED, '');
    const index = this.#table?.sourceOf(data) ?? 0;
    const peer = this.#peers[index];
    return peer !== undefined && peer.port === port && peer.known === plain;
  }

  #onError(error: Error): void {
    if (PASSING_ERRORS.has((error as { code?: string }).code ?? '')) return;
    this.link.fail(error);
  }

  /** What was handed to the socket leaves first. */
  #close(): void {
    this.#isClosing = true;
    if (this.#inFlight === 0) this.#closeNow();
  }

  #closeNow(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#socket.close();
    } catch {
      // Somebody closed it before, and has not been told yet.
    }
  }
}
