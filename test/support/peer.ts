/**
 * A scripted peer: the other end of one TCP connection of a `Stack`, in virtual time. What the peer sends,
 * and what the stack must answer, stands in the test as lines in packetdrill's notation:
 *
 *     const peer = Peer.established({ mss: 1000 }).wrote(4000);
 *     peer.send('< . 1:1(0) ack 1 win 65535 <sack 1001:2001>');
 *     peer.send('< . 1:1(0) ack 1 win 65535 <sack 1001:3001>');
 *     peer.send('< . 1:1(0) ack 1 win 65535 <sack 1001:4001>');
 *     peer.expect('> . 1:1001(1000) ack 1');
 *
 * **Where it begins.** `Peer.closed()` has a stack on which nobody listens, `Peer.listening()` a listener,
 * `Peer.connecting()` a stack that has sent a SYN (to be expected), `Peer.established()` a connection whose
 * handshake is done, `Peer.in(state)` one in any of the eleven states, with everything sent on the way there
 * already taken. By default the stack is the server, at port 80, and the peer connects from port 40000; with
 * `role: 'client'` the stack connects. `ipv6: true` changes the family and nothing else. `PeerOptions` lists
 * the rest: options of the stack, of its link, of the peer's SYN.
 *
 * **Lines.** Sequence numbers are relative: the first byte of either side is 1, also behind a SYN that has
 * not been seen yet (ISS 0 until the stack's SYN is seen, so numbers in an RST from CLOSED are absolute).
 * Windows are fields as on the wire, unscaled. Timestamps are printed so that the stack's TSval is the
 * virtual time in ms since the scenario began and the peer's is that plus 1000. Signs of direction are
 * optional. A super-packet, of a link with `offload: true`, is one line.
 *
 * `send` takes a line literally, but for what is left out: `win` is 65535; and where timestamps were
 * negotiated and the options do not name `TS`, the right ones are put in front (`<>` sends none). The text
 * is made up, each byte following from its place in the stream. `SendFields` has everything that a line has
 * no words for: IP fields, options of IP, wrong checksums, other ports.
 *
 * `expect` takes the oldest segment that was not yet taken and compares flags, sequence number and length;
 * `ack`, `win`, `urg` and the ECN field only where the line has them; options only where the line has `<>`:
 * then each that is named must be there, in that order, whatever others there are (`*` stands for any word,
 * `!sack` for the absence of an option), and `<>` allows none. With `{ strict: true }` the options must be
 * exactly those, padding included. The text of what the stack sends is always compared with what was
 * written, and every packet with the rules of `packet-check.ts` (checksums, reserved bits, padding, MTU).
 *
 * **Time** moves only in `advanceMs`, `stallMs` (the process sleeps: alarms ring late) and
 * `expectAfterMs`. What is due at once has happened when a method returns. The handshake of `established`
 * takes 20 ms, so the smoothed RTT is 20 ms and the RTO 220 ms.
 *
 * **The application's side** is `peer.endpoint`, a `TcpEndpoint`; `write`, `wrote`, `expectRead`, `shutdown`
 * and `close` are short for what tests do most. `peer.takeEvents()` tells what the endpoint's handler heard
 * since it was last asked: `connect`, `readable`, `writable`, `end`, `drain`, `urgent`, `soft CODE`, `close`
 * or `close CODE`. Set `peer.onEvent` to act on events as they happen.
 *
 * When the test ends all is closed, and gauges, alarms and memory must be back at nothing (row I19);
 * nothing needs to be called for this. So open peers inside tests, not in `before`.
 */
import { expect } from 'chai';
import { NEVER } from '../../lib/base/clock.js';
import { seq, seqAdd, seqDiff } from '../../lib/base/seq.js';
import type { StackStats } from '../../lib/base/stats.js';
import type { Stack } from '../../lib/stack/stack.js';
import type { TcpEndpoint, TcpEndpointHandler, TcpListenerEndpoint } from '../../lib/stack/tcp-endpoint.js';
import { stateName, TcpState } from '../../lib/tcp/state.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { ConnectionOrigin, relativeNumber } from '../../lib/wire/segment-origin.js';
import {
  formatSegmentLine,
  parseSegmentLine,
  readSegmentLine,
  type SegmentLine,
} from '../../lib/wire/segment-text.js';
import { TcpFlag } from '../../lib/wire/tcp.js';
import { TcpOptionReader } from '../../lib/wire/tcp-options.js';
import { type IcmpFields, type IcmpKind, icmpErrorPacket } from './icmp-packet.js';
import { IPV6_HEADER_BYTES } from './packet-bytes.js';
import type { SentPacket } from './packet-check.js';
import { isnDelayUs } from './peer-isn.js';
import {
  DEFAULT_IRS,
  DEFAULT_RTT_MS,
  PEER_TS_BASE,
  type PeerOptions,
  type SendFields,
  synOptionsText,
} from './peer-options.js';
import { enterState, type PeerState } from './peer-states.js';
import {
  gaugesOf,
  PEER_V4,
  PEER_V6,
  ROUTER_V4,
  ROUTER_V6,
  ScenarioHost,
  STACK_V4,
  STACK_V6,
  type WireListener,
} from './scenario-host.js';
import { type Direction, lineEnd, segmentPacket } from './segment-bytes.js';
import { segmentDifference } from './segment-match.js';
import { StreamContent } from './stream-content.js';
import type { InjectedMetadata } from './wire-link.js';

export type { IcmpFields, IcmpKind } from './icmp-packet.js';
export type { PeerOptions, SendFields } from './peer-options.js';
export type { PeerState } from './peer-states.js';
export { type FamilyChoice, forEachFamily, forEachIsn, type IsnChoice } from './sweeps.js';

/** A segment the stack sent. */
export interface SentSegment {
  readonly line: SegmentLine;
  /** The line as text, with `>`. */
  readonly text: string;
  /** The IP packet. */
  readonly bytes: Uint8Array;
  /** Virtual time since the beginning, ms. */
  readonly atMs: number;
  readonly hopLimit: number;
  readonly trafficClass: number;
  /** IPv4: whether DF is set. IPv6: true. */
  readonly dontFragment: boolean;
  readonly packet: SentPacket;
}

/** How far from its time a segment may leave in `expectAfterMs`, ms. */
const TOLERANCE_MS = 1;

export class Peer implements WireListener {
  readonly host: ScenarioHost;
  readonly options: PeerOptions;
  readonly stack: Stack;
  readonly stats: StackStats;
  /** Addresses and ports of what the peer sends. */
  readonly direction: Direction;
  readonly origin = new ConnectionOrigin();
  /** The next number the peer would send, and the end of what the stack has sent, both relative. */
  sndNxt = 0;
  rcvNxt = 0;
  listener: TcpListenerEndpoint | undefined;
  /** The newest segment the stack sent, whether taken or not. */
  last: SentSegment | undefined;
  /** Hears of each event of the endpoint as it happens. */
  onEvent: (event: string) => void = () => {};
  /** What the peer sends, and what the application writes. */
  readonly outgoing = new StreamContent(11);
  readonly incoming = new StreamContent(170);
  #endpoint: TcpEndpoint | undefined;
  #events: string[] = [];
  #sent: SentSegment[] = [];
  /** The newest TSval of the stack. */
  #lastTsVal = 0;
  /** Whether the newest SYN of the peer, and that of the stack, had timestamps. */
  #offersStamps = false;
  #takesStamps = false;
  readonly #reader = new TcpOptionReader();

  private constructor(options: PeerOptions, host: ScenarioHost) {
    const ipv6 = options.ipv6 === true;
    const isClient = options.role === 'client';
    this.options = options;
    this.host = host;
    this.stack = host.stack;
    this.stats = host.stack.stats;
    this.direction = {
      source: options.address ?? (ipv6 ? PEER_V6 : PEER_V4),
      destination: options.stackAddress ?? (ipv6 ? STACK_V6 : STACK_V4),
      sourcePort: options.port ?? (isClient ? 80 : 40_000),
      destinationPort: options.stackPort ?? (isClient ? 0 : 80),
    };
    this.origin.remoteSequence = seq(options.irs ?? DEFAULT_IRS);
    this.origin.remoteTimestamp = ((options.timestampBase ?? PEER_TS_BASE) - PEER_TS_BASE) | 0;
    host.listeners.push(this);
  }

  // ---- where it begins --------------------------------------------------------------------------

  /** A stack on which nobody listens. */
  static closed(options: PeerOptions = {}): Peer {
    return new Peer(options, new ScenarioHost(options, isnDelayUs(options, measureIss)));
  }

  /** A stack that listens. */
  static listening(options: PeerOptions = {}): Peer {
    return Peer.closed(options).listen();
  }

  /** A stack that has sent its SYN to the peer. */
  static connecting(options: PeerOptions = {}): Peer {
    return Peer.closed({ ...options, role: 'client' }).connect();
  }

  /** A connection whose handshake is done. */
  static established(options: PeerOptions = {}): Peer {
    return Peer.in('ESTABLISHED', options);
  }

  /**
   * A connection in a state, nothing untaken. Up to ESTABLISHED both sides are at 1; each FIN on the way
   * makes that a 2. `orphan: true` closes where the stack would half-close. SYN-RECEIVED with
   * `role: 'client'` is that of a simultaneous open.
   */
  static in(state: PeerState, options: PeerOptions & { orphan?: boolean } = {}): Peer {
    const peer = enterState(state, options, Peer);
    peer.drain();
    peer.takeEvents();
    return peer;
  }

  /** Another peer on the same stack, with another port or address; connected to nothing yet. */
  another(options: PeerOptions = {}): Peer {
    const port = options.port ?? this.direction.sourcePort + this.host.listeners.length;
    const same = { ...this.options };
    delete same.iss;
    const peer = new Peer({ ...same, port, ...options }, this.host);
    peer.listener = this.listener;
    return peer;
  }

  /** The stack listens on the peer's port of choice. */
  listen(): this {
    const { backlog, accept, options } = this.options;
    this.listener = this.host.listen(this.direction.destinationPort, (endpoint) => this.#route(endpoint), {
      ...(backlog === undefined ? {} : { backlog }),
      ...(accept === undefined ? {} : { accept }),
      ...(options === undefined ? {} : { options }),
    });
    return this;
  }

  /** The stack connects to the peer. */
  connect(): this {
    const { source, sourcePort, destinationPort } = this.direction;
    const endpoint = this.stack.connectTcp({
      address: source,
      port: sourcePort,
      localPort: destinationPort,
      options: this.options.options ?? {},
    });
    (this.direction as { destinationPort: number }).destinationPort = endpoint.localPort;
    this.adopt(this.host.adopt(endpoint));
    this.host.settle();
    return this;
  }

  /** The peer's SYN, with the options of its settings. */
  sendSyn(): this {
    const stamps = `TS val ${this.tsVal} ecr 0`;
    return this.send(`< S 0:0(0) win ${this.window}${synOptionsText(this.options, stamps)}`);
  }

  /** The peer's three-way handshake with a stack that listens, or its answer to one that connects. */
  handshake(): this {
    const { rttMs = DEFAULT_RTT_MS } = this.options;
    if (this.options.role === 'client') {
      this.drain();
      this.advanceMs(rttMs);
      const stamped = synOptionsText(this.options, `TS val ${this.tsVal} ecr ${this.tsEcr}`);
      return this.send(`< S. 0:0(0) ack 1 win ${this.window}${stamped}`);
    }
    this.reborn().sendSyn().drain();
    this.advanceMs(rttMs);
    return this.send('< . 1:1(0) ack 1');
  }

  /** A new connection between the same ports may begin: the stack's next SYN says anew where it counts from. */
  reborn(): this {
    this.origin.localSequence = undefined;
    this.sndNxt = 0;
    this.rcvNxt = 0;
    return this;
  }

  /** A sequence number of the stack as on the wire, as text shows it. */
  relativeOf(sequence: number): number {
    return relativeNumber(seqDiff(seq(sequence), this.origin.localSequence ?? seq(0)));
  }

  // ---- what the peer does -----------------------------------------------------------------------

  /** The window field of lines without one. */
  get window(): number {
    return this.options.window ?? 0xffff;
  }

  /** Sends the segment a line describes. */
  send(text: string, fields: SendFields = {}): this {
    this.host.inject([this.packet(text, fields)], fields);
    return this;
  }

  /** Sends several segments in one batch, as a link hands over what came in together. */
  sendBatch(...texts: readonly string[]): this {
    this.host.inject(texts.map((text) => this.packet(text)));
    return this;
  }

  /** Sends an IP packet as it is. */
  sendRaw(bytes: Uint8Array, metadata: InjectedMetadata = {}): this {
    this.host.note(`< ${bytes.length} raw bytes`);
    this.host.inject([bytes], metadata);
    return this;
  }

  /** Acknowledges everything the stack has sent. */
  ackAll(window = this.window): this {
    return this.send(`< . ${this.sndNxt}:${this.sndNxt}(0) ack ${this.rcvNxt} win ${window}`);
  }

  /** Sends the next `bytes` of the stream, in segments of at most `mss` bytes, one batch each. */
  sendText(bytes: number, mss = 1000): this {
    for (let left = bytes; left > 0; left -= mss) {
      const text = Math.min(left, mss);
      this.send(`< P. ${this.sndNxt}:${this.sndNxt + text}(${text}) ack ${this.rcvNxt}`);
    }
    return this;
  }

  /** The IP packet `send` would send, to be spoilt and sent by `sendRaw`. It counts as sent. */
  packet(text: string, fields: SendFields = {}): Uint8Array {
    if (text.trim().startsWith('>')) throw new Error(`a peer sends "<", not "${text}"`);
    const line = this.#complete(parseSegmentLine(text.trim().replace(/^<(?![^ ]*>) ?/, '')), text);
    const content = this.#textOf(line, fields);
    if (line.flags & TcpFlag.SYN) this.#offersStamps = hasOption(line, 'TS');
    const place = { direction: this.direction, origin: this.origin.of(false) };
    const packet = segmentPacket(line, content, place, fields);
    const end = lineEnd(line);
    if (seqDiff(seq(end), seq(this.sndNxt)) > 0) this.sndNxt = end;
    this.host.note(`< ${formatSegmentLine(line)}${fields.tcpChecksum === undefined ? '' : ' (checksum)'}`);
    return packet;
  }

  /** Sends an ICMP error about the last segment the stack sent, or about another packet. */
  icmp(kind: IcmpKind, fields: IcmpFields = {}): this {
    const about = fields.about ?? this.last?.bytes;
    if (about === undefined) throw new Error('the stack has sent nothing an ICMP error could be about');
    const { destination } = this.direction;
    const source = fields.from ?? (destination.includes(':') ? ROUTER_V6 : ROUTER_V4);
    this.host.note(`< ICMP ${kind}${fields.mtu === undefined ? '' : ` mtu ${fields.mtu}`}`);
    this.host.inject([icmpErrorPacket(kind, { source, destination }, { ...fields, about })]);
    return this;
  }

  /** A timestamp of the stack as on the wire, as text shows it. */
  relativeStamp(timestamp: number): number {
    return relativeNumber((timestamp - (this.origin.localTimestamp ?? 0)) | 0);
  }

  /** The peer's TSval now, and the TSecr it would send, as text shows them. */
  get tsVal(): number {
    return PEER_TS_BASE + Math.floor(this.nowMs);
  }

  get tsEcr(): number {
    return this.relativeStamp(this.#lastTsVal);
  }

  // ---- what the stack must do -------------------------------------------------------------------

  /** The oldest segment not yet taken must be this one. */
  expect(text: string, choice: { strict?: boolean } = {}): this {
    if (text.trim().startsWith('<')) throw new Error(`a stack sends ">", not "${text}"`);
    const expected = parseSegmentLine(text.trim().replace(/^> ?/, ''));
    const actual = this.#sent.shift();
    if (actual === undefined) return this.#fail(text, 'nothing');
    const difference = segmentDifference(expected, actual.line, choice.strict === true);
    if (difference !== '') this.#fail(text, actual.text, difference);
    return this;
  }

  /** Nothing is left to be taken, also not after `forMs` of time. */
  expectNothing(forMs = 0): this {
    this.#expectNone('nothing');
    if (forMs > 0) {
      this.advanceMs(forMs);
      this.#expectNone(`nothing for ${forMs} ms`);
    }
    return this;
  }

  /** Nothing leaves for `ms`, to the millisecond, and then this segment. Time stands at its departure. */
  expectAfterMs(ms: number, text: string, choice: { strict?: boolean; toleranceMs?: number } = {}): this {
    this.#expectNone(`nothing for ${ms} ms`);
    const tolerance = choice.toleranceMs ?? TOLERANCE_MS;
    const start = this.nowMs;
    while (this.#sent.length === 0 && this.nowMs - start <= ms + tolerance) {
      const next = (this.host.clock.nextUs - this.host.startUs) / 1000;
      if (next * 1000 === NEVER || next - start > ms + tolerance) {
        this.advanceMs(start + ms + tolerance - this.nowMs);
        return this.#fail(text, `nothing within ${ms + tolerance} ms`);
      }
      this.advanceMs(Math.max(0, next - this.nowMs));
    }
    const waited = this.nowMs - start;
    if (Math.abs(waited - ms) > tolerance) {
      this.#fail(`${text} after ${ms} ms`, `${this.#sent[0].text} after ${waited.toFixed(3)} ms`);
    }
    return this.expect(text, choice);
  }

  /** Takes the oldest segment; undefined when there is none. */
  take(): SentSegment | undefined {
    return this.#sent.shift();
  }

  /** Takes all segments. */
  drain(): readonly SentSegment[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  /** How many segments wait to be taken. */
  get waiting(): number {
    return this.#sent.length;
  }

  // ---- time -------------------------------------------------------------------------------------

  /** Virtual time since the beginning, ms. */
  get nowMs(): number {
    return this.host.nowMs;
  }

  advanceMs(ms: number): this {
    this.host.advanceUs(ms * 1000);
    return this;
  }

  /** The process sleeps for so long, then everything overdue happens. */
  stallMs(ms: number): this {
    this.host.clock.stallBy(ms * 1000);
    this.host.settle();
    return this;
  }

  // ---- the application's side -------------------------------------------------------------------

  get endpoint(): TcpEndpoint {
    if (this.#endpoint === undefined) throw new Error('the stack has no endpoint for this peer (yet)');
    return this.#endpoint;
  }

  get hasEndpoint(): boolean {
    return this.#endpoint !== undefined;
  }

  /** Accepts the connection that has waited longest; for peers with `accept: false`. */
  accept(): TcpEndpoint {
    const endpoint = this.listener?.accept();
    if (endpoint === undefined) throw new Error('no connection waits to be accepted');
    this.#route(this.host.adopt(endpoint));
    this.host.settle();
    return endpoint;
  }

  /** Makes an endpoint the application's side of this peer. */
  adopt(endpoint: TcpEndpoint): void {
    this.#endpoint = endpoint;
    endpoint.handler = this.#handler();
  }

  /** The application writes so many bytes, or these; all must be admitted. */
  write(what: number | Uint8Array, choice: { urgent?: boolean } = {}): this {
    const position = this.#written;
    const bytes = typeof what === 'number' ? this.incoming.bytes(position, what) : what;
    if (typeof what !== 'number') this.incoming.choose(position, what);
    this.host.note(`* write ${bytes.length}`);
    const { endpoint } = this;
    const admitted = choice.urgent === true ? endpoint.writeUrgent(bytes) : endpoint.write(bytes);
    expect(admitted, 'bytes admitted by write').to.equal(bytes.length);
    this.host.settle();
    return this;
  }

  /** The application has written so many bytes, and what left of them at once is taken. */
  wrote(what: number | Uint8Array): this {
    this.write(what).drain();
    return this;
  }

  /** The application reads, and must get exactly so many bytes as the peer sent them, or these. */
  expectRead(what: number | Uint8Array): this {
    const { receiver } = this.endpoint.connection;
    const length = typeof what === 'number' ? what : what.length;
    const position = receiver === undefined ? 0 : seqDiff(receiver.buffer.readSequence, receiver.irs) - 1;
    const bytes = new Uint8Array(length + 1);
    const read = this.endpoint.read(bytes);
    this.host.note(`* read ${read}`);
    this.host.settle();
    if (read !== length) this.#fail(`${length} bytes to read`, `${read}`);
    if (typeof what !== 'number') expect(bytes.subarray(0, read)).to.deep.equal(what);
    else if (this.outgoing.difference(position >>> 0, bytes.subarray(0, read)) >= 0) {
      this.#fail(`the ${length} bytes the peer sent`, 'others');
    }
    return this;
  }

  /** The application reads up to `length` bytes, whatever they are. */
  read(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const read = this.endpoint.read(bytes);
    this.host.note(`* read ${read}`);
    this.host.settle();
    return bytes.subarray(0, read);
  }

  /** Half-close: a FIN follows what was written. */
  shutdown(): this {
    this.host.note('* shutdown');
    this.endpoint.shutdown();
    this.host.settle();
    return this;
  }

  /** The application gives the connection up. */
  close(): this {
    this.host.note('* close');
    this.endpoint.close();
    this.host.settle();
    return this;
  }

  /** The application resets the connection. */
  abort(): this {
    this.host.note('* abort');
    this.endpoint.abort();
    this.host.settle();
    return this;
  }

  /** What the endpoint's handler heard since this was last asked. */
  takeEvents(): readonly string[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** The handler must have heard exactly this since it was last asked. */
  expectEvents(...events: readonly string[]): this {
    expect(this.takeEvents(), `events\ntrace:\n${this.host.trace}`).to.deep.equal(events);
    return this;
  }

  /** The stack's state, as the RFC writes it: LISTEN only while no connection of this peer was accepted. */
  get state(): string {
    const { source, destination, sourcePort, destinationPort } = this.direction;
    const state = this.stack.tcp.stateOf({
      local: IpAddress.parse(destination),
      remote: IpAddress.parse(source),
      localPort: destinationPort,
      remotePort: sourcePort,
    });
    const listens = state === TcpState.CLOSED && this.listener !== undefined && !this.hasEndpoint;
    return stateName(listens ? TcpState.LISTEN : state);
  }

  expectState(state: PeerState): this {
    if (this.state !== state) this.#fail(`state ${state}`, this.state);
    return this;
  }

  /** Everything that is zero on a stack without connections. */
  get gauges(): Record<string, number> {
    return gaugesOf(this.stack);
  }

  // ---- within -----------------------------------------------------------------------------------

  /** Takes a packet of this connection (`WireListener`). */
  sent(packet: SentPacket): boolean {
    const { bytes } = packet;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const isV6 = bytes[0] >> 4 === 6;
    const at = isV6 ? IPV6_HEADER_BYTES : (bytes[0] & 15) * 4;
    if (!this.#isMine(view, at, isV6)) return false;
    const length = bytes.length - at;
    this.#learn(view, at, length);
    const line = readSegmentLine(view, at, length, this.origin.of(true));
    if (line === undefined) return false;
    const trafficClass = isV6 ? (view.getUint16(0) >> 4) & 0xff : bytes[1];
    const told = { ...line, ...(trafficClass & 3 ? { ecn: trafficClass & 3 } : {}) };
    const text = `> ${formatSegmentLine(told)}`;
    this.last = {
      line: { ...line, ecn: trafficClass & 3 },
      text,
      bytes,
      atMs: this.nowMs,
      hopLimit: bytes[isV6 ? 7 : 8],
      trafficClass,
      dontFragment: isV6 || (view.getUint16(6) & 0x4000) !== 0,
      packet,
    };
    this.#sent.push(this.last);
    this.host.note(text);
    this.#checkText(line, bytes.subarray(bytes.length - line.textBytes));
    const end = lineEnd(line);
    if (seqDiff(seq(end), seq(this.rcvNxt)) > 0 && !(line.flags & TcpFlag.RST)) this.rcvNxt = end;
    return true;
  }

  #isMine(view: DataView, at: number, isV6: boolean): boolean {
    const { source, destination, sourcePort, destinationPort } = this.direction;
    if (view.getUint8(isV6 ? 6 : 9) !== 6 || view.byteLength < at + 20) return false;
    const family = isV6 ? 6 : 4;
    return (
      String(IpAddress.read(view, isV6 ? 8 : 12, family)) === destination &&
      String(IpAddress.read(view, isV6 ? 24 : 16, family)) === source &&
      (view.getUint16(at) === destinationPort || destinationPort === 0) &&
      view.getUint16(at + 2) === sourcePort
    );
  }

  /** The ISS from the first SYN, and of timestamps the one that makes their text the virtual time. */
  #learn(view: DataView, at: number, length: number): void {
    const isSyn = (view.getUint8(at + 13) & TcpFlag.SYN) !== 0;
    if (isSyn) this.origin.localSequence ??= seq(view.getInt32(at + 4));
    const headerBytes = Math.min(length, (view.getUint8(at + 12) >> 4) * 4);
    this.#reader.parse(view, at + 20, headerBytes - 20);
    if (isSyn) this.#takesStamps = this.#reader.hasTimestamps;
    if (!this.#reader.hasTimestamps) return;
    this.#lastTsVal = this.#reader.tsVal;
    const { clock, startUs } = this.host;
    const ticks = Math.floor(clock.nowUs() / 1000) - Math.floor(startUs / 1000);
    this.origin.localTimestamp ??= (this.#lastTsVal - ticks) | 0;
  }

  /** Text must be what was written, as far as this peer knows. */
  #checkText(line: SegmentLine, text: Uint8Array): void {
    const position = line.start - 1;
    const known = this.#endpoint === undefined ? 0 : this.#written;
    if (text.length === 0 || position < 0 || position + text.length > known) return;
    const place = this.incoming.difference(position, text);
    if (place >= 0) this.host.wire.faults.push(`byte ${place + 1} of the stream is not what was written`);
  }

  /** Bytes the application has written so far. */
  get #written(): number {
    const { sender } = this.endpoint.connection;
    return seqDiff(sender.buffer.end, seqAdd(sender.iss, 1)) >>> 0;
  }

  #complete(line: SegmentLine, text: string): SegmentLine {
    if (line.flags & TcpFlag.ACK && line.ack === undefined) throw new Error(`ack is missing in "${text}"`);
    const { options } = line;
    const wantsStamps =
      this.#offersStamps && this.#takesStamps && !(line.flags & TcpFlag.SYN) && options?.length !== 0;
    const hasStamps = hasOption(line, 'TS') || hasOption(line, 'raw');
    const stamps = ['nop', 'nop', `TS val ${this.tsVal} ecr ${line.flags & TcpFlag.ACK ? this.tsEcr : 0}`];
    return {
      ...line,
      window: line.window ?? this.window,
      ...(wantsStamps && !hasStamps ? { options: [...stamps, ...(options ?? [])] } : {}),
    };
  }

  #textOf(line: SegmentLine, fields: SendFields): Uint8Array {
    const position = line.start + (line.flags & TcpFlag.SYN ? 1 : 0) - 1;
    if (fields.payload === undefined) return this.outgoing.bytes(Math.max(0, position), line.textBytes);
    if (fields.payload.length !== line.textBytes)
      throw new Error('the payload is not as long as the line says');
    return fields.payload;
  }

  #route(endpoint: TcpEndpoint): void {
    for (const listener of this.host.listeners) {
      if (!(listener instanceof Peer)) continue;
      const { source, sourcePort } = listener.direction;
      if (source !== String(endpoint.remoteAddress) || sourcePort !== endpoint.remotePort) continue;
      listener.adopt(endpoint);
      return;
    }
  }

  #handler(): TcpEndpointHandler {
    const hear = (event: string): void => {
      this.#events.push(event);
      this.host.note(`* ${event}`);
      this.onEvent(event);
    };
    return {
      onConnect: () => hear('connect'),
      onReadable: () => hear('readable'),
      onWritable: () => hear('writable'),
      onEnd: () => hear('end'),
      onClose: (code) => hear(code === '' ? 'close' : `close ${code}`),
      onUrgent: () => hear('urgent'),
      onSoftError: (code) => hear(`soft ${code}`),
      onDrain: () => hear('drain'),
    };
  }

  #expectNone(what: string): void {
    if (this.#sent.length > 0) this.#fail(what, this.#sent.map(({ text }) => text).join('\n          '));
  }

  #fail(expected: string, actual: string, difference = ''): never {
    const why = difference === '' ? '' : `\n          (${difference})`;
    return expect.fail(
      `\nexpected  ${expected.trim()}\nbut got   ${actual}${why}\ntrace:\n${this.host.trace}\n`,
    );
  }
}

const hasOption = (line: SegmentLine, name: string): boolean =>
  line.options?.some((option) => option.startsWith(name)) === true;

/** The ISS a stack would choose at time zero for such a peer. */
function measureIss(options: PeerOptions): number {
  const peer = options.role === 'client' ? Peer.connecting(options) : Peer.listening(options);
  if (options.role !== 'client') peer.send('< S 0:0(0) win 65535 <mss 1460>');
  const iss = peer.origin.localSequence;
  if (iss === undefined) throw new Error('the stack has sent no SYN');
  peer.stack.close();
  return iss >>> 0;
}
