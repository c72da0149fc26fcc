/**
 * Name service for those inside: questions over UDP are passed to the host's name servers by a few sockets, each
 * with a port and identifiers nobody can foresee (RFC 5452 §9), and the answers back. TCP is passed on as any other.
 */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:dgram';
import { StackError } from '../base/errors.js';
import type { TcpListenerEndpoint } from '../stack/tcp-listener-endpoint.js';
import { type Datagram, UdpEvent } from '../udp/datagram.js';
import type { UdpEndpoint } from '../udp/udp-endpoint.js';
import { IpAddress } from '../wire/ip-address.js';
import type { GatewayStats } from './counters.js';
import {
  answersQuestion,
  isAnswer,
  MAX_MESSAGE_BYTES,
  messageId,
  questionEnd,
  questionOf,
  serverFailure,
  setMessageId,
} from './dns-question.js';
import { openHostSocket } from './host-datagrams.js';
import { type GatewaySettings, PASSED_ON } from './options.js';
import type { Place } from './places.js';
import { Sweeper } from './sweeper.js';
import type { TcpFlows } from './tcp-flows.js';

const DNS_PORT = 53;
/** Most questions waiting for an answer; one more is dropped, and asked again by whoever needs it. */
const MAX_WAITING = 4096;
/** How long a server has, ms; then the next is asked, and new questions go there too. */
const SERVER_MS = 2000;
/** Servers asked for one question. */
const MAX_TRIES = 3;
/** Sockets to one server, among which questions are dealt out. */
const SOCKETS = 4;
/** Questions a socket asks before one with a new port takes its place. */
const SOCKET_QUESTIONS = 4096;

/** A question under way. */
interface Waiting {
  readonly endpoint: UdpEndpoint;
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  /** The identifier it came with. */
  readonly id: number;
  readonly question: Uint8Array;
  readonly message: Buffer;
  tries: number;
  server: number;
  /** Tick at which the server has had its time. */
  dueTick: number;
}

/** A socket to a server, and what was asked by it, by identifier. */
class Channel {
  readonly waiting = new Map<number, Waiting>();
  readonly socket: Socket;
  asked = 0;
  /** Another has taken its place; it ends with its last question. */
  isRetired = false;

  constructor(
    place: Place,
    onMessage: (channel: Channel, bytes: Buffer) => void,
    onError: (channel: Channel) => void,
  ) {
    this.socket = openHostSocket({ family: place.address.includes(':') ? 6 : 4 });
    this.socket.on('message', (bytes) => onMessage(this, bytes));
    this.socket.on('error', () => onError(this));
    this.socket.connect(place.port, place.address);
  }
}

export class DnsService {
  readonly #settings: GatewaySettings;
  readonly #stats: GatewayStats;
  readonly #sweeper: Sweeper;
  readonly #endpoints: UdpEndpoint[] = [];
  readonly #listeners: TcpListenerEndpoint[] = [];
  /** By server, then by number. */
  readonly #channels: (Channel | undefined)[][];
  readonly #retired = new Set<Channel>();
  #waiting = 0;
  /** The server new questions go to. */
  #preferred = 0;
  #isClosed = false;

  /** @throws StackError where the stack has not the addresses, or the port is taken */
  constructor(settings: GatewaySettings, stats: GatewayStats, tcp: TcpFlows) {
    this.#settings = settings;
    this.#stats = stats;
    this.#channels = settings.dnsServers.map(() => []);
    this.#sweeper = new Sweeper(settings.timers, [SERVER_MS], () => this.#sweep());
    try {
      for (const address of settings.dnsAddresses) this.#listen(IpAddress.parse(address), tcp);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Questions waiting for an answer. */
  get waiting(): number {
    return this.#waiting;
  }

  close(): void {
    this.#isClosed = true;
    this.#sweeper.stop();
    for (const endpoint of this.#endpoints) endpoint.close();
    for (const listener of this.#listeners) listener.close();
    for (const channel of [...this.#channels.flat(), ...this.#retired]) channel?.socket.close();
    for (const channels of this.#channels) channels.length = 0;
    this.#retired.clear();
    this.#waiting = 0;
  }

  #listen(address: IpAddress, tcp: TcpFlows): void {
    const { stack } = this.#settings;
    const endpoint = stack.openUdp(address.family);
    this.#endpoints.push(endpoint);
    endpoint.bind(address, DNS_PORT);
    endpoint.onEvents = (events) => {
      if ((events & UdpEvent.READABLE) !== 0) this.#receive(endpoint);
    };
    const listener = stack.listenTcp({ address, port: DNS_PORT, options: PASSED_ON });
    this.#listeners.push(listener);
    listener.onConnection = () => {
      for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
        const place = this.#settings.dnsServers[this.#preferred];
        if (place !== undefined) tcp.passToHost(next, place);
        else next.abort();
      }
    };
  }

  #receive(endpoint: UdpEndpoint): void {
    for (;;) {
      let datagram: Datagram | undefined;
      try {
        datagram = endpoint.receive();
      } catch (error) {
        if (error instanceof StackError) continue;
        throw error;
      }
      if (datagram === undefined) return;
      this.#ask(endpoint, datagram);
    }
  }

  #ask(endpoint: UdpEndpoint, datagram: Datagram): void {
    this.#stats.dnsQueries++;
    const { payload, source, sourcePort, destination } = datagram;
    const end = questionEnd(payload);
    const isUsable = end > 0 && !isAnswer(payload) && payload.length <= MAX_MESSAGE_BYTES && sourcePort !== 0;
    if (!isUsable || this.#waiting >= MAX_WAITING) {
      this.#stats.dnsDropped++;
      return;
    }
    this.#send({
      endpoint,
      source,
      sourcePort,
      destination,
      id: messageId(payload),
      question: questionOf(payload, end),
      message: Buffer.from(payload),
      tries: 0,
      server: this.#preferred,
      dueTick: 0,
    });
  }

  #send(waiting: Waiting): void {
    const { random } = this.#settings.stack;
    const channel = this.#channel(waiting.server, random.uint32() % SOCKETS);
    if (channel === undefined) {
      this.#stats.dnsDropped++;
      this.#reply(waiting, serverFailure(waiting.message));
      return;
    }
    let id = random.uint32() & 0xffff;
    while (channel.waiting.has(id)) id = (id + 1) & 0xffff;
    channel.waiting.set(id, waiting);
    channel.asked++;
    this.#waiting++;
    waiting.tries++;
    waiting.dueTick = this.#sweeper.tick + this.#sweeper.ticksOf(SERVER_MS);
    setMessageId(waiting.message, id);
    this.#sweeper.start();
    try {
      channel.socket.send(waiting.message, (error) => {
        if (error !== null) this.#failed(channel);
      });
    } catch {
      // It could not be connected, as there is no way to that server; an event tells so later.
      this.#failed(channel);
    }
  }

  /** undefined where there is no server, or the host has no socket for it. */
  #channel(server: number, number: number): Channel | undefined {
    const place = this.#settings.dnsServers[server];
    if (place === undefined) return undefined;
    const known = this.#channels[server][number];
    if (known !== undefined && known.asked < SOCKET_QUESTIONS) return known;
    let channel: Channel;
    try {
      channel = new Channel(
        place,
        (from, bytes) => this.#answered(from, bytes),
        (from) => this.#failed(from),
      );
    } catch {
      // Descriptors have run out, most likely: the old one goes on.
      return known;
    }
    if (known !== undefined) this.#retire(known);
    this.#channels[server][number] = channel;
    return channel;
  }

  #retire(channel: Channel): void {
    channel.isRetired = true;
    this.#retired.add(channel);
    this.#closeIfDone(channel);
  }

  #closeIfDone(channel: Channel): void {
    if (channel.waiting.size > 0 || !this.#retired.delete(channel)) return;
    channel.socket.close();
  }

  #answered(channel: Channel, bytes: Buffer): void {
    const waiting = bytes.length >= 2 ? channel.waiting.get(messageId(bytes)) : undefined;
    if (waiting === undefined || !isAnswer(bytes) || !answersQuestion(bytes, waiting.question)) {
      this.#stats.dnsStray++;
      return;
    }
    this.#forget(channel, messageId(bytes));
    if (this.#reply(waiting, bytes)) this.#stats.dnsAnswers++;
    else this.#stats.dnsDropped++;
  }

  #reply({ endpoint, source, sourcePort, destination, id }: Waiting, message: Uint8Array): boolean {
    setMessageId(message, id);
    try {
      return endpoint.send(message, { destination: source, port: sourcePort, source: destination });
    } catch (error) {
      if (error instanceof StackError) return false;
      throw error;
    }
  }

  #forget(channel: Channel, id: number): void {
    channel.waiting.delete(id);
    this.#waiting--;
    this.#closeIfDone(channel);
  }

  /** The server has no such port, or the host no way there, or no socket: its questions go to the next. */
  #failed(channel: Channel): void {
    // A socket may tell of its end when all of them have been closed.
    if (this.#isClosed) return;
    for (const channels of this.#channels) {
      const at = channels.indexOf(channel);
      if (at >= 0) channels[at] = undefined;
    }
    if (!channel.isRetired) this.#retire(channel);
    // What is asked again may come into the same map.
    const failed = [...channel.waiting];
    for (const [id, waiting] of failed) this.#again(channel, id, waiting);
  }

  #again(channel: Channel, id: number, waiting: Waiting): void {
    this.#forget(channel, id);
    const next = (waiting.server + 1) % this.#channels.length;
    if (waiting.server === this.#preferred) this.#preferred = next;
    if (waiting.tries >= MAX_TRIES) {
      this.#stats.dnsTimeouts++;
      this.#reply(waiting, serverFailure(waiting.message));
      return;
    }
    waiting.server = next;
    this.#send(waiting);
  }

  #sweep(): boolean {
    const { tick } = this.#sweeper;
    for (const channel of [...this.#channels.flat(), ...this.#retired]) {
      if (channel === undefined) continue;
      for (const [id, waiting] of channel.waiting) {
        if (waiting.dueTick <= tick) this.#again(channel, id, waiting);
      }
    }
    return this.#waiting > 0;
  }
}
